"""One item of the checklist in full: evidence, history, what a sign-off was given on, and what may be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from app.moments import when
from app.progress.assignments import UNNAMED
from app.progress.entries import Entry
from app.progress.evidence import Status
from app.progress.facts import Facts
from app.store.checklist import Tick
from app.store.progress import Change
from app.web.components import folded, rows
from app.web.components.evidence_links import links
from app.web.components.marks import state_of_item
from app.web.components.opening import close_button
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark, Tone
from app.web.components.text import count, literal, moment, told
from app.web.pages import checklist_actions


@dataclass(frozen=True)
class Line:
    """One line of an item's history. what: `ticked`, `regressed` and the like."""

    at: datetime
    what: str
    by: str
    text: str
    key: str
    local: bool = False
    link: str = ""


TONES: Mapping[str, Tone] = {
    Change.MET: "good",
    Change.MET_AGAIN: "good",
    Change.REGRESSED: "bad",
    "ticked": "good",
    "deviation accepted": "warn",
}


def draw(here: Panel, facts: Facts, entry: Entry) -> None:
    """Draws the item in a frame of its own."""
    with st.container(border=True, key="checklist_item"):
        st.markdown(f"## {state_of_item(entry.state).badge} {literal(entry.title)}", anchors=False)
        place = f"{entry.group}: {entry.step}" if entry.step else entry.group
        st.caption(literal(f"{place}. Key: {entry.key}"))
        st.markdown(told(entry.finding.summary, here.zone))
        if entry.live.summary not in entry.finding.summary:
            st.markdown(f"Evidence now: {told(entry.live.summary, here.zone)}")
        st.caption(literal(_facts_of(here, entry)))
        if entry.hint:
            st.caption(literal(f"How: {entry.hint}"))
        with st.container(horizontal=True, gap="small"):
            checklist_actions.tick_button(entry, key=f"act_{entry.key}")
            checklist_actions.deviation_button(entry, key=f"deviation_{entry.key}")
            for link in links(entry.live, facts.snapshot):
                if link.path != "checklist":
                    rows.go(link)
            close_button("item")
        if entry.tick is not None and entry.tick.evidence is not None:
            _given_on(here, entry.tick, entry.tick.evidence)
        _history(here, entry)


def _facts_of(here: Panel, entry: Entry) -> str:
    since = f"In this state since {moment(entry.since, here.zone)}. " if entry.since else ""
    still = f"Still true as of {moment(entry.last_met, here.zone)}. " if entry.last_met else ""
    read = f"Evidence as of {moment(entry.live.as_of, here.zone)}. " if entry.live.as_of else ""
    needs = {"evidence": "evidence", "person": "a person", "both": "evidence and a person"}[str(entry.needs)]
    who = f", role {entry.role}" if entry.role else ""
    owner = f" Owner: {entry.owner}." if entry.owner else "" if entry.signs else f" Owner: {UNNAMED}."
    ids = f" Evidence: {', '.join(entry.live.references[:5])}." if entry.live.references else ""
    return f"{since}{still}{read}Needs {needs}{who}.{owner}{ids}"


def _given_on(here: Panel, tick: Tick, evidence: Mapping[str, Any]) -> None:
    items: Mapping[str, Mapping[str, Any]] = evidence.get("items", {})
    passing = sum(i["status"] == Status.PASS for i in items.values())
    whole = count(len(items), "gate or metric", "gates and metrics")
    label = f"Evidence of {literal(moment(tick.at, here.zone, seconds=False))}: {passing} of {whole} passed"
    with folded.part(label, key="checklist_given_on") as box:
        if box.open:
            tones: dict[str, Tone] = {Status.PASS: "good", Status.FAIL: "bad"}
            found = [
                Row(
                    str(i["title"]), Mark(str(i["status"]), tones.get(str(i["status"]), "unknown")),
                    f"{i['summary']}" + (f" (as of {i['as_of']})" if i.get("as_of") else ""),
                    ", ".join(str(n) for n in i.get("ids", ())[:5]),
                )
                for i in items.values()
            ]  # fmt: skip
            rows.draw(found, here.zone, key="checklist_given_rows")
            st.caption(literal(f"SHA-256 {evidence.get('digest', '')}"))


def _history(here: Panel, entry: Entry) -> None:
    lines = [*ticks(here.store.checklist.history(entry.key)), *deviations(here, entry.key)]
    lines += [Line(t.at, str(t.change), "", t.cause, t.key) for t in here.store.progress.transitions(entry.key)]
    lines.sort(key=lambda line: line.at, reverse=True)
    with st.expander(f"History: {count(len(lines), 'change')}", key="checklist_item_history", expanded=bool(lines)):
        rows.draw(
            [_row(here, line) for line in lines],
            here.zone,
            key="checklist_item_lines",
            empty="Nothing is recorded of this item yet.",
        )


def _row(here: Panel, line: Line) -> Row:
    by = f" by {line.by}" if line.by else ""
    note = [moment(line.at, here.zone), "local persona" if line.local else "", line.link]
    opens = [Link("Open link", url=line.link)] if line.link else ()
    mark = Mark(line.what, TONES.get(line.what, "quiet"))
    return Row(f"{line.what}{by}", mark, line.text, ", ".join(n for n in note if n), opens)


def ticks(found: Sequence[Tick]) -> list[Line]:
    """Ticks and their withdrawals."""
    return [
        Line(
            t.at, "ticked" if t.done else "withdrawn", t.by, t.comment, t.key, t.local or t.source == "persona", t.link
        )
        for t in found
    ]  # fmt: skip


def deviations(here: Panel, key: str | None = None) -> list[Line]:
    """Accepted deviations and their withdrawals; of one item where given."""
    return [
        Line(
            d.at, "deviation accepted" if d.accepted else "deviation withdrawn", d.by,
            f"until {when(d.until)}: {d.reason} (evidence then: {d.seen})" if d.accepted else d.reason,
            d.key, d.local or d.source == "persona",
        )
        for d in here.store.checklist.deviation_history(key)
    ]  # fmt: skip
