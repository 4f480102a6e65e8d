"""Audit: every action and refusal, the check of the hash chain, filter and export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from app.operations.attested import verify
from app.store.audit import AuditRecord, ChainCheck
from app.web.components import panel, sentences
from app.web.components.frame import Figure, answer, empty, figures
from app.web.components.native import page_link
from app.web.components.opening import choice, close_button, opened, whole
from app.web.components.panel import Panel
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, csv_button, table
from app.web.components.text import NOTHING, code, count, literal, moment, told

NEWEST = 2000
PROBLEMS = 20
VERIFY_SECONDS = 30
SPANS: dict[str, timedelta | None] = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "all": None}
SINCE = {"24h": "24 h", "7d": "7 days", "all": "All"}


@st.cache_data(ttl=VERIFY_SECONDS, show_spinner=False, max_entries=4)
def _verify(_here: Panel, url: str, newest: int) -> tuple[ChainCheck, datetime]:
    # Keyed by store and newest record: the same for every reader, verified again at least every VERIFY_SECONDS.
    return verify(_here.store), _here.now


def render() -> None:
    """The page."""
    panel.live(_head)
    seq = opened("record")
    if seq:
        _record(seq)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice("Since", SINCE, "audit_since", default="all")
        st.text_input(
            "Filter by user, action, outcome, subject or reason",
            key="audit_text",
            type="search",
            live=True,
            bind="query-params",
        )
        st.toggle("Refusals and failures only", key="audit_bad", bind="query-params")
    panel.live(_table)
    _export()


def _head() -> None:
    here = panel.current()
    newest = here.store.audit.records(limit=1)
    check, checked = _verify(here, here.settings.store_url, newest[0].seq if newest else 0)
    state, sentence = sentences.audit_log(check, newest[0].at if newest else None, here.now)
    answer("Is the audit log intact?", sentence, state)
    st.caption(
        literal(
            f"As of: {moment(checked, here.zone)}. Verified: the hash chain from the first record to the head, and "
            "operations, approvals and journals against it."
        )
    )
    day = here.store.audit.records(since=here.now - timedelta(hours=24), limit=NEWEST)
    refused = [r for r in day if r.outcome == "refused"]
    figures(
        [
            Figure("Records", count(check.records), "in the hash chain"),
            Figure("Last 24 h", count(len(day)), f"{count(len({r.actor for r in day}), 'user')}"),
            Figure("Refused, last 24 h", count(len(refused)), "actions that were not allowed"),
            Figure("Head", check.head[:12] if check.records else NOTHING, "first 12 characters of its hash"),
        ]
    )
    if check.problems:
        for problem in check.problems[:PROBLEMS]:
            st.markdown(f"- {literal(problem)}")
    elif check.whole and check.records:
        st.caption(
            "Each ended operation leaves the head in the workspace's history of statements, each report has it: "
            f"{code('cutover audit verify --workspace-anchors')} finds a log that was cut or rewritten. Head: "
            + code(str(check.anchor))
        )


COLUMNS = (
    Column("record", "Record", "open", help="Opens the whole record"),
    Column("at", "Time", "time"),
    Column("actor", "User"),
    Column("action", "Action"),
    Column("outcome", "Outcome"),
    Column("subject", "Subject"),
    Column("reason", "Reason", width="medium"),
    Column("plan", "Plan"),
    Column("source", "Identity", help="proxy: headers of Databricks Apps; persona: chosen locally; token"),
)


def outcome_mark(outcome: str) -> Mark:
    """The mark of an outcome: refused and failed are bad, done and allowed are good."""
    tone = {"allowed": "passed", "done": "passed", "intent": "running"}.get(outcome, outcome)
    return mark(tone, outcome)


def _matching(records: Sequence[AuditRecord], words: str, bad: bool) -> list[AuditRecord]:
    wanted = words.casefold().split()
    return [
        r
        for r in records
        if (not bad or outcome_mark(r.outcome).tone == "bad")
        and all(w in f"{r.actor} {r.action} {r.outcome} {r.subject} {r.reason}".casefold() for w in wanted)
    ]


def _rows(records: Sequence[AuditRecord]) -> list[dict[str, object]]:
    return [
        {
            "record": str(r.seq),
            "at": r.at,
            "actor": r.actor,
            "source": r.source + (", local" if r.local else ""),
            "action": r.action,
            "outcome": outcome_mark(r.outcome).text,
            "subject": r.subject,
            "reason": r.reason or None,
            "plan": r.plan_hash[:12] if r.plan_hash else None,
        }
        for r in records
    ]


def _table() -> None:
    here = panel.current()
    span = SPANS.get(st.session_state.get("choice_audit_since") or "all")
    records = here.store.audit.records(since=here.now - span if span else None, limit=NEWEST)
    if not records:
        empty(
            "No action or refusal was recorded in this period.",
            "Actions on the Operations, Parity and Checklist pages and on the command line appear here.",
        )
        return
    words = str(st.session_state.get("audit_text") or "")
    chosen = _matching(records, words, bool(st.session_state.get("audit_bad")))
    if len(records) == NEWEST:
        st.caption(f"Newest {NEWEST:,} records; the export has the whole log.")
    table(
        _rows(chosen),
        COLUMNS,
        key="audit_table",
        zone=here.zone,
        name="audit_filtered",
        empty="No record matches; clear the filter.",
    )


def _record(seq: str) -> None:
    here = panel.current()
    number = whole(seq) or 0
    found = here.store.audit.records(limit=1)
    newest = found[0].seq if found else 0
    # The repository does not read by number; a record that was clicked in the table is among the newest.
    record = next(
        (r for r in here.store.audit.records(limit=max(1, newest - number + 1)) if r.seq == number), None
    ) if 0 < number <= newest else None  # fmt: skip
    with st.container(border=True):
        if record is None:
            st.markdown(f"There is no record {code(seq)}.")
            close_button("record")
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**Record {record.seq}** {outcome_mark(record.outcome).badge} {code(record.actor)} "
                f"{literal(record.action)} {code(record.subject)}"
            )
            close_button("record")
        st.caption(literal(f"{moment(record.at, here.zone)}, identity source: {record.source}"))
        if record.reason:
            st.markdown(told(record.reason, here.zone))
        if record.plan_hash:
            st.markdown(f"Plan {code(record.plan_hash)}")
        st.json(json.dumps(dict(record.detail), default=str, ensure_ascii=False), expanded=2)
        st.caption(f"Hash {code(record.hash)}, after {code(record.prev_hash)}")
        if here.store.operations.get(record.subject) is not None:
            page_link("Open the operation", "operations", operation=record.subject)


def _export() -> None:
    here = panel.current()
    with st.container(horizontal=True):
        csv_button("Whole log, CSV", here.store.audit.export_csv, key="audit_csv_all", name="audit")
        st.download_button(
            "Whole log, JSON (verifiable)",
            data=here.store.audit.export_json,
            file_name="audit.json",
            mime="application/json",
            key="audit_json_all",
            on_click="ignore",
            icon=":material/download:",
        )
