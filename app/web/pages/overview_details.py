"""The details of Overview, collapsed: tables, phases with their items, metrics, consumers."""

from __future__ import annotations

import streamlit as st

from app.config.migration import Table
from app.moments import in_zone
from app.progress.assignments import UNNAMED
from app.progress.facts import Facts
from app.progress.phases import metrics, phases
from app.progress.serving import Serving
from app.progress.standing import Standing
from app.progress.timeline import PlannedItem, Timeline, Timing, current_timeline
from app.store.parity_records import ParityTable
from app.web.components import folded, panel, rows
from app.web.components.evidence_links import links
from app.web.components.frame import section
from app.web.components.marks import state_of_item, verdict_mark
from app.web.components.native import PAGES_KEY, page_link
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, csv_button, table
from app.web.components.text import NOTHING, count, literal, moment, shorten
from app.web.pages import overview_exports

LONGEST = 220
"""Characters of a sentence here; the item's own page has all of it."""


def draw() -> None:
    """All details; an expander's content is only drawn while it is open."""
    here = panel.current()
    facts = panel.facts(here)
    section("Details")
    _phases(here, facts)
    _metrics(here, facts)
    _consumers(here)


def side_mark(side: str) -> str:
    """The side as shape and word: a square for the old side, a circle for the new, as in every chart."""
    return {"baseline": "■ old", "candidate": "● new"}.get(side, "? unknown")


def open_report(name: str, parity_id: str) -> None:
    """Opens a table's report on the page Parity."""
    page = st.session_state.get(PAGES_KEY, {}).get("parity")
    if page is not None:
        st.switch_page(page, query_params={"table": name, "report": parity_id})


def table_row(here: Panel, facts: Facts, definition: Table, served: Serving, compared: ParityTable | None) -> Row:
    """One table: the side that serves it, and its newest verdict."""
    record = facts.snapshot.tables.get(definition.baseline)
    kind = (record.table_type or NOTHING).replace("_", " ").lower() if record else NOTHING
    newest = [Link("Open report", "parity", {"table": definition.name})] if compared else []
    return Row(
        definition.baseline,
        verdict_mark(compared),
        f"{side_mark(served.side)}: {served.how}",
        f"{kind}, {count(record.rows if record else None, 'row')}, as of {moment(served.as_of, here.zone)}",
        [*newest, Link("Databricks", url=record.url if record else None)],
    )


def item_row(here: Panel, facts: Facts, plan: Timeline, planned: PlannedItem) -> Row:
    """One item of a phase: its due date, its owner, and what its evidence says."""
    standing = planned.standing
    due = f"due {planned.due:%Y-%m-%d}" if planned.due else "no due date"
    if planned.timing is Timing.LATE and planned.due:
        due = f"{count((plan.today - planned.due).days, 'day')} late, {due}"
    shown = Mark("late", "bad") if planned.timing is Timing.LATE else standing_mark(standing)
    note = ", ".join((planned.phase.title, due, planned.owner or UNNAMED))
    item = Link("Open item", "checklist", {"item": planned.item.key})
    evidence = () if standing.finding.manual else links(standing.finding, facts.snapshot)
    return Row(planned.item.title, shown, brief(standing.finding.summary, here), note, [*evidence, item])


def brief(sentence: str, here: Panel) -> str:
    """A sentence of at most `LONGEST` characters, its times in the reader's zone."""
    return shorten(in_zone(sentence, here.zone), LONGEST)


def standing_mark(standing: Standing) -> Mark:
    """Where an item stands, as a mark."""
    return state_of_item(standing.state)


def _phases(here: Panel, facts: Facts) -> None:
    found = phases(facts)
    plan = current_timeline(facts)
    for p, planned in zip(found, plan.phases, strict=True):
        failing = f", {p.failing} not met" if p.failing else ""
        state = mark(p.state)
        label = (
            f"{state.badge} **{literal(p.phase.title)}** {literal(f'(week {p.phase.weeks})')}: "
            f"{p.done} of {p.total} done{failing}" + (f", owner {literal(planned.owner)}" if planned.owner else "")
        )
        with folded.part(label, key=f"phase_{p.phase.key}") as box:
            if box.open:
                for step in p.steps:
                    st.markdown(f"**{literal(step.step.title)}**")
                    rows.draw(
                        [item_row(here, facts, plan, i) for i in plan.items if i.step.key == step.step.key],
                        here.zone,
                        key=f"overview_{step.step.key}",
                        csv=False,
                    )
    csv_button("CSV of all items", lambda: overview_exports.items_csv(facts), key="overview_items_csv", name="items")


def _metrics(here: Panel, facts: Facts) -> None:
    found = metrics(facts)
    passed = sum(m.finding.passed for m in found)
    label = f"**Success metrics**: {passed} of {len(found)} met"
    with folded.part(label, key="overview_metrics_box") as box:
        if box.open:
            rows.draw(
                [
                    Row(
                        m.metric.title,
                        standing_mark(m.standing),
                        brief(m.finding.summary, here),
                        f"{m.metric.group}, as of {moment(m.finding.as_of, here.zone)}",
                        links(m.finding, facts.snapshot),
                    )
                    for m in found
                ],
                here.zone,
                key="overview_metrics",
                empty="No metrics.",
                export=lambda: overview_exports.metrics_csv(facts),
            )
            page_link("Tick and sign on the Checklist page", "checklist")


CONSUMER_COLUMNS = (
    Column("table", "Table"),
    Column("kind", "Kind"),
    Column("name", "Consumer"),
    Column("user", "Reads as"),
    Column("last", "Last seen", "time"),
    Column("reads", "Recorded reads", "number"),
)


def _consumers(here: Panel) -> None:
    found = here.store.collected.consumers()
    label = f"**Consumers of these tables**: {count(len(found), 'consumer')} in lineage"
    with folded.part(label, key="overview_consumers_box") as box:
        if not box.open:
            return
        st.caption("From lineage, which records only a subset of reads: a consumer may exist that is not listed here.")
        shown = [
            {
                "table": c.table,
                "kind": c.kind.replace("_", " ").lower(),
                "name": c.name or c.consumer_id,
                "user": c.user,
                "last": c.last_seen,
                "reads": c.reads,
            }
            for c in found
        ]
        table(
            shown, CONSUMER_COLUMNS, key="overview_consumers", zone=here.zone, name="consumers",
            empty="Lineage has recorded no read of these tables yet.",
        )  # fmt: skip
