"""Overview: gates that block cutover, the side that serves each table, phases with their deliverables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.progress.facts import Facts
from app.progress.phases import (
    GateStatus,
    PhaseStatus,
    gates,
    headline,
    metrics,
    phases,
    serving,
    sign_offs,
)
from app.progress.serving import Serving
from app.web.components import asof, panel
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.marks import finding_mark
from app.web.components.native import page_link, safe
from app.web.components.panel import Panel
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, table
from app.web.components.text import NOTHING, count, literal
from app.web.pages.parity_history import note_of_none

QUESTION = "Can we cut over?"


def render() -> None:
    """The page."""
    panel.live(_head)
    panel.live(_evidence)


def _head() -> None:
    here = panel.current()
    facts = panel.facts(here)
    judged, served = gates(facts), serving(facts)
    text = headline(facts).removeprefix(QUESTION).strip()
    answer(QUESTION, text, _headline_mark(judged, served))
    asof.bar(list(facts.snapshot.sources.values()), here.zone, here.now)
    done = phases(facts)
    streak = facts.streaks["production"]
    new = sum(s.side == "candidate" for s in served)
    old = sum(s.side == "baseline" for s in served)
    figures(
        [
            Figure("Gates that pass", f"{sum(not g.blocks for g in judged)} of {len(judged)}", "all must pass"),
            Figure(
                "Deliverables done",
                f"{sum(p.done for p in done)} of {sum(p.total for p in done)}",
                f"in {count(len(done), 'phase')}",
            ),
            Figure("Served by the new side", f"{new} of {len(served)}", f"{old} by the old side"),
            Figure(
                "Clean comparisons in a row",
                count(streak.runs),
                f"each of all {count(len(served), 'table')}" if streak.runs else note_of_none(streak),
            ),
            Figure(
                "Sign-offs",
                f"{sum(s.finding.passed for s in sign_offs(facts))} of {len(facts.migration.sign_offs)}",
                "needed for cutover",
            ),
        ]
    )


def _headline_mark(judged: Sequence[GateStatus], served: Sequence[Serving]) -> Mark:
    new = sum(s.side == "candidate" for s in served)
    if new == len(served):
        return Mark("cut over", "good")
    if new:
        return Mark("mixed", "bad")
    return Mark("blocked", "bad") if any(g.blocks for g in judged) else Mark("ready", "good")


def _evidence() -> None:
    here = panel.current()
    facts = panel.facts(here)
    if not facts.snapshot.sources and not facts.snapshot.tables:
        empty(
            "Nothing has been collected from the workspace yet.",
            "The worker starts collecting within seconds of its start; without evidence every gate below blocks.",
        )
    _gates(here, gates(facts))
    _serving(here, facts)
    _phases(here, phases(facts))
    _metrics(here, facts)
    _consumers(here)


GATE_COLUMNS = (
    Column("state", "State"),
    Column("title", "Gate", width=260),
    Column("summary", "Evidence", width=320),
    Column("as_of", "Evidence as of", "time"),
    Column("age", "Valid for, h", "number", help="Older evidence is inconclusive, and an inconclusive gate blocks"),
    Column("source", "Source"),
)


def _gates(here: Panel, judged: Sequence[GateStatus]) -> None:
    blocking = sum(g.blocks for g in judged)
    section(f"{blocking} of {count(len(judged), 'gate')} block cutover" if blocking else "No gate blocks cutover")
    rows = [
        {
            "state": finding_mark(g.finding, gate=True).text,
            "title": g.gate.title,
            "summary": g.finding.summary,
            "as_of": g.finding.as_of,
            "age": g.gate.max_age_hours,
            "source": g.finding.source or None,
        }
        for g in sorted(judged, key=lambda g: not g.blocks)
    ]
    table(rows, GATE_COLUMNS, key="overview_gates", zone=here.zone, name="gates", empty="The migration has no gates.")


SERVING_COLUMNS = (
    Column("side", "Served by", width="small"),
    Column("table", "Table, as consumers read it"),
    Column("how", "How it is served"),
    Column("type", "Type", width="small"),
    Column("rows", "Rows", "number"),
    Column("verdict", "Last comparison"),
    Column("as_of", "As of", "time"),
    Column("url", "Databricks", "link"),
)


def side_mark(side: str) -> str:
    """The side as shape and word: a square for the old side, a circle for the new, as in every chart."""
    return {"baseline": "■ old", "candidate": "● new"}.get(side, "? unknown")


def _serving(here: Panel, facts: Facts) -> None:
    section("Side that serves each table")
    latest = facts.parity["production"]
    rows: list[dict[str, Any]] = []
    for definition, served in zip(facts.migration.tables, serving(facts), strict=True):
        record = facts.snapshot.tables.get(definition.baseline)
        compared = latest.get(definition.name)
        rows.append(
            {
                "side": side_mark(served.side),
                "table": definition.baseline,
                "how": served.how,
                "type": (record.table_type or NOTHING).replace("_", " ").lower() if record else None,
                "rows": record.rows if record else None,
                "verdict": mark(compared.verdict).text if compared else mark("never_compared").text,
                "as_of": served.as_of,
                "url": safe(record.url if record else None),
            }
        )
    table(rows, SERVING_COLUMNS, key="overview_serving", zone=here.zone, name="serving", empty="No tables.")


DELIVERABLE_COLUMNS = (
    Column("state", "State", width="small"),
    Column("step", "Step"),
    Column("title", "Deliverable"),
    Column("summary", "Evidence", width="large"),
    Column("as_of", "As of", "time"),
    Column("source", "Source", width="small"),
    Column("hint", "Hint"),
)


def _phases(here: Panel, found: Sequence[PhaseStatus]) -> None:
    section("Phases and deliverables")
    current = next((p.phase.key for p in found if p.state != "done"), None)
    for p in found:
        failing = f", {p.failing} not met" if p.failing else ""
        state = mark(p.state)
        label = (
            f"{state.badge} **{literal(p.phase.title)}** {literal(f'(week {p.phase.weeks})')}: "
            f"{p.done} of {p.total} done{failing}"
        )
        with st.expander(label, expanded=p.phase.key == current, key=f"phase_{p.phase.key}"):
            st.progress(p.done / p.total if p.total else 1.0)
            rows = [
                {
                    "state": finding_mark(d.finding).text,
                    "step": s.step.title,
                    "title": d.deliverable.title,
                    "summary": d.finding.summary,
                    "as_of": d.finding.as_of,
                    "source": d.finding.source or None,
                    "hint": d.deliverable.hint or None,
                }
                for s in p.steps
                for d in s.deliverables
            ]
            table(
                rows,
                DELIVERABLE_COLUMNS,
                key=f"overview_{p.phase.key}",
                zone=here.zone,
                name=p.phase.key,
                empty="This phase has no deliverables.",
            )


METRIC_COLUMNS = (
    Column("state", "State", width="small"),
    Column("group", "Group", width="small"),
    Column("title", "Success metric"),
    Column("summary", "Evidence", width="large"),
    Column("as_of", "As of", "time"),
    Column("source", "Source", width="small"),
)


def _metrics(here: Panel, facts: Facts) -> None:
    found = metrics(facts)
    passed = sum(m.finding.passed for m in found)
    with st.expander(f"**Success metrics**: {passed} of {len(found)} met", key="overview_metrics_box"):
        rows = [
            {
                "state": finding_mark(m.finding).text,
                "group": m.metric.group,
                "title": m.metric.title,
                "summary": m.finding.summary,
                "as_of": m.finding.as_of,
                "source": m.finding.source or None,
            }
            for m in found
        ]
        table(
            rows, METRIC_COLUMNS, key="overview_metrics", zone=here.zone, name="success_metrics", empty="No metrics."
        )  # fmt: skip
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
    with st.expander(
        f"**Consumers of these tables**: {count(len(found), 'consumer')} in lineage", key="overview_consumers_box"
    ):
        st.caption("From lineage, which records only a subset of reads: a consumer may exist that is not listed here.")
        rows = [
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
            rows, CONSUMER_COLUMNS, key="overview_consumers", zone=here.zone, name="consumers",
            empty="Lineage has recorded no read of these tables yet.",
        )  # fmt: skip
