"""Parity: are the tables equal? The newest verdict of each table; start, watch and cancel a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.access import Refused
from app.parity.estimate import expected
from app.parity.service import CANCEL, REQUEST
from app.store.parity_records import ParityRun, ParityState
from app.web.components import asof, folded, identity, notice, panel, rows, sentences
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.marks import verdict_mark
from app.web.components.native import safe
from app.web.components.opening import choice, opened, put
from app.web.components.panel import LIVE_SECONDS, Panel
from app.web.components.rows import Link, Row
from app.web.components.status import mark
from app.web.components.tables import Column, table, to_csv
from app.web.components.text import ago, code, count, literal, seconds, told
from app.web.pages import parity_history, parity_report

PAIRS = {"production": "Old against new", "development": "Old against development"}
SOURCES = ("tables", "runs", "updates")


def render() -> None:
    """The page."""
    panel.live(_head)
    notice.show("parity", panel.current().zone)
    choice("Pair", PAIRS, "pair", default="production")
    _start()
    _active()
    panel.live(_chart)
    panel.live(_glance)
    name = opened("table")
    if name:
        panel.guarded(lambda: parity_report.draw(name, opened("report"), _pair()))()
    panel.live(_history)


def _pair() -> str:
    chosen = st.session_state.get("choice_pair") or opened("pair")
    return chosen if chosen in PAIRS else "production"


def _head() -> None:
    here = panel.current()
    names = [t.name for t in here.migration.tables]
    latest = here.store.parity.latest(_pair())
    state, sentence = sentences.equality(latest, names, here.now)
    answer("Are the tables equal?", sentence, state)
    asof.bar(asof.chosen(here.store.collected.sources(), SOURCES), here.zone, here.now)
    done = [r for r in latest.values() if r.verdict]
    figures(
        [
            Figure(
                "Identical",
                f"{sum(r.verdict == 'identical' for r in done)} of {len(names)}",
                f"{count(len(done), 'table')} compared",
            ),
            parity_history.figure(here, _pair(), panel.facts(here).streaks[_pair()]),
            Figure(
                "Rows compared",
                count(sum(r.baseline_rows or 0 for r in done)),
                "old side, newest comparisons",
            ),
            Figure(
                "Newest comparison",
                ago(max((r.finished_at for r in done if r.finished_at), default=None), here.now),
                f"duration {seconds(sum(r.seconds or 0 for r in done))} in total" if done else "",
            ),
        ]
    )


def _chart() -> None:
    parity_history.draw_chart(panel.current(), _pair())


def _history() -> None:
    parity_history.draw(panel.current(), _pair())


# Starting and cancelling


def _start() -> None:
    here = panel.current()
    names = [t.name for t in here.migration.tables]
    with folded.part("**Start a comparison**", key="parity_start_box", icon=":material/play_arrow:") as box:
        if not box.open:
            return
        chosen = st.multiselect("Tables", names, default=names, key="parity_tables")
        final = st.toggle(
            "Final: also the deterministic comparison",
            key="parity_final",
            help="Adds a one-way EXCEPT ALL, which compares values, not hashes: slower. For the sign-off.",
        )
        st.caption(
            "A comparison only reads and changes no table. It runs in the worker: this page can be closed meanwhile."
        )
        if chosen:
            st.caption(literal(sentences.expected(expected(here.store.parity, here.store.collected, chosen, _pair()))))
        if st.button(
            "Compare",
            type="primary",
            key="parity_start",
            disabled=not chosen,
            icon=":material/difference:",
        ):
            _request(here, chosen, bool(final))
            st.rerun()


def _request(here: Panel, tables: Sequence[str], final: bool) -> None:
    parity = here.context.parity
    subject = parity.subject(tables)
    try:
        parity.request(tables, identity.actor(here, REQUEST, subject), final=final, sides=_pair())
    except Refused as e:
        notice.say("parity", f"Refused: {e}", False)
        return
    notice.say("parity", f"Requested a comparison of {subject}. The worker starts it within seconds.")


@panel.guarded
def _cancel(parity_id: str) -> None:
    here = panel.current()
    try:
        here.context.parity.cancel(parity_id, identity.actor(here, CANCEL, parity_id))
    except Refused as e:
        notice.say("parity", f"Refused: {e}", False)
        return
    notice.say("parity", "Cancelling the comparison.")


def _active() -> None:
    drawn = [run.id for run in panel.current().store.parity.active()]
    panel.live(lambda: _under_way(drawn), every=LIVE_SECONDS if drawn else None)


def _under_way(drawn: list[str]) -> None:
    here = panel.current()
    runs = here.store.parity.active()
    if [run.id for run in runs] != drawn:
        st.rerun()  # One started or ended: the whole page shows it.
    for run in runs:
        with st.container(border=True):
            _progress(here, run)


def _progress(here: Panel, run: ParityRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        what = "all tables" if len(run.tables) == len(here.migration.tables) else ", ".join(run.tables)
        final = ", final" if run.final else ""
        pair = PAIRS.get(run.sides, run.sides)
        st.markdown(
            f"{mark(str(run.state)).badge} Comparing {literal(what)} ({literal(pair)}{final}), "
            f"requested by {literal(run.requested_by)} {literal(ago(run.requested_at, here.now))}",
            width="stretch",
        )
        if run.cancel_requested_by:
            st.caption(f"Cancelling, requested by {literal(run.cancel_requested_by)}")
        else:
            st.button(
                "Cancel",
                key=f"cancel_{run.id}",
                on_click=_cancel,
                args=(run.id,),
                icon=":material/stop_circle:",
                type="tertiary",
            )
    if run.warning:
        st.warning("▲ " + told(run.warning, here.zone))
    if run.state is ParityState.QUEUED:
        st.caption("Queued: waits for the worker.")
    for t in here.store.parity.table_results(run.id):
        words = t.verdict.replace("_", " ") if t.verdict else t.step or str(t.state)
        st.progress(min(1.0, max(0.0, t.fraction)), text=f"{code(t.table)} {literal(words)}")


# Verdicts at a glance


def _open_table(name: str) -> None:
    """Opens a table with its newest comparison, whichever of another table was open."""
    put("table", name)
    put("report", None)


def _link(name: str) -> Link:
    return Link("Open report", "parity", {"table": name, "pair": _pair()})


GLANCE_COLUMNS = (
    Column("table", "Table", "open", help="Opens what differs", opens=_open_table),
    Column("verdict", "Verdict"),
    Column("old", "Old rows", "number"),
    Column("new", "New rows", "number"),
    Column("missing", "Missing rows", "number", help="Only on the old side"),
    Column("extra", "Extra rows", "number", help="Only on the new side"),
    Column("modified", "Modified rows", "number"),
    Column("at", "Compared", "time"),
    Column("depth", "Method", help="Every value: a final comparison, which compares values as well as hashes"),
    Column("seconds", "Seconds", "seconds"),
    Column("url", "Databricks", "link"),
)
REASON = Column("reason", "Reason")
"""Exported, and not drawn, for want of space: it wraps in the rows above the table, and in each report."""


def _glance() -> None:
    here = panel.current()
    latest = here.store.parity.latest(_pair())
    collected = here.store.collected.tables()
    section("Each table's newest comparison")
    if not latest:
        empty(
            "No table of this pair has been compared yet.", "Open “Start a comparison” above; an operator can start it."
        )
    found_rows: list[dict[str, Any]] = []
    for definition in here.migration.tables:
        found = latest.get(definition.name)
        record = collected.get(definition.candidate if _pair() == "production" else definition.development or "")
        found_rows.append(
            {
                "table": definition.name,
                "verdict": verdict_mark(found).text,
                "old": found.baseline_rows if found else None,
                "new": found.candidate_rows if found else None,
                "missing": found.missing_rows if found else None,
                "extra": found.extra_rows if found else None,
                "modified": found.modified_rows if found else None,
                "seconds": found.seconds if found else None,
                "at": found.finished_at if found else None,
                "depth": ("every value" if found.final else "hashes") if found else None,
                "reason": found.reason if found else None,
                "url": safe(record.url if record else None),
            }
        )
    rows.draw(
        [
            Row(name, verdict_mark(found), found.reason, links=[_link(name)])
            for name, found in latest.items()
            if found.reason and found.verdict != "identical"
        ],
        here.zone,
        key="parity_reasons",
    )
    table(
        found_rows, GLANCE_COLUMNS, key="parity_glance", zone=here.zone, name=f"parity_{_pair()}", empty="No tables.",
        export=lambda: to_csv(found_rows, (*GLANCE_COLUMNS, REASON)),
    )  # fmt: skip
