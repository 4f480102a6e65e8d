"""Overview: can we cut over? Gates, plan, run time and cost, verdicts by comparison, what waits for whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from app.config.schedule import FIRST_RECORD
from app.durations import duration
from app.moments import in_zone
from app.performance.assessment import Measure
from app.progress.assignments import assignments
from app.progress.facts import Facts
from app.progress.first_runs import FIRST, load_first_runs
from app.progress.headline import Answer
from app.progress.headline import answer as answer_now
from app.progress.phases import GateStatus, gates, phases, serving, sign_offs
from app.progress.timeline import Timeline, current_timeline
from app.store.operations import State
from app.web.components import asof, charts, charts_overview, charts_timeline, folded, panel, rows, waiting_rows
from app.web.components.evidence_links import links
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.marks import finding_mark, state_mark, word_of
from app.web.components.native import page_link
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark, Tone
from app.web.components.tables import csv_button
from app.web.components.text import ago, count, literal, moment, told
from app.web.pages import overview_details, overview_exports
from app.web.pages.parity_history import note_of_none

QUESTION = "Can we cut over?"
TONES: dict[Answer, Tone] = {
    Answer.CUT_OVER: "good",
    Answer.MIXED: "bad",
    Answer.UNDER_WAY: "busy",
    Answer.BEING_READ: "busy",
    Answer.READY: "good",
    Answer.BLOCKED: "bad",
}
COMPARISONS = 20
"""Newest comparisons in the grid."""
TILE = 336
"""Width of a gate's button in pixels: three beside each other at 1440, one below the other on a narrow screen."""
OPERATIONS = 3
"""Newest operations shown."""
OPERATIONS_READ = 20
"""Operations that are read to find out what waits."""


def render() -> None:
    """The page."""
    panel.live(_head)
    panel.live(_glance)
    panel.live(overview_details.draw)


def _head() -> None:
    here = panel.current()
    facts = panel.facts(here)
    served = serving(facts)
    found = answer_now(facts)
    text = in_zone(found.text.removeprefix(QUESTION).strip(), here.zone)
    answer(QUESTION, text, Mark(found.answer, TONES[found.answer]))
    asof.bar(list(facts.snapshot.sources.values()), here.zone, here.now)
    if not facts.snapshot.sources and not facts.snapshot.tables:
        empty(
            "Nothing has been collected from the workspace yet.",
            "The worker starts collecting within seconds of its start; without evidence every gate below blocks.",
        )
    done = phases(facts)
    streak = facts.streaks["production"]
    new, old, unknown = (sum(s.side == side for s in served) for side in ("candidate", "baseline", "unknown"))
    current = next((p.phase.title for p in done if p.current), "")
    figures(
        [
            Figure(
                "Served by the new side",
                f"{new} of {count(len(served), 'table')}",
                f"{old} by the old side" + (f", {unknown} unknown or being read" if unknown else ""),
            ),
            Figure(
                "Clean comparisons in a row",
                count(streak.runs),
                f"each of all {count(len(served), 'table')}" if streak.runs else note_of_none(streak),
                link=Link("Open", "parity"),
            ),
            Figure(
                "Items met",
                f"{sum(p.done for p in done)} of {sum(p.total for p in done)}",
                f"now in {current}" if current else f"all of {count(len(done), 'phase')}",
                link=Link("Open", "checklist"),
            ),
            Figure(
                "Sign-offs",
                f"{sum(s.finding.passed for s in sign_offs(facts))} of {len(facts.migration.sign_offs)}",
                "needed for cutover",
                link=Link("Open", "checklist"),
            ),
        ]
    )


def _glance() -> None:
    here = panel.current()
    facts = panel.facts(here)
    plan = current_timeline(facts)
    mine = waiting_rows.draw(here, facts)
    _readiness(here, facts, gates(facts))
    left, right = st.columns([3, 2], gap="large")
    with left:
        _plan(here, plan)
    with right:
        _performance(facts)
    _first_runs(here, facts)
    _tables(here, facts)
    left, right = st.columns(2, gap="large")
    with left:
        _waits(here, facts, {w.key for w in mine})
        _operations(here)
    with right:
        _next(here, facts, plan)


def _readiness(here: Panel, facts: Facts, judged: Sequence[GateStatus]) -> None:
    """One button for each gate, those that block first; it opens the evidence."""
    blocking = sum(g.blocks for g in judged)
    section(f"{blocking} of {count(len(judged), 'gate')} block cutover" if blocking else "No gate blocks cutover")
    with st.container(horizontal=True, gap="small", key="overview_gates"):
        for g in sorted(judged, key=lambda g: not g.blocks):
            shown = finding_mark(g.finding, gate=True)
            label = f"{shown.badge} {literal(g.gate.title)}"
            with folded.popover(label, key=f"gate_{g.gate.key}", width=TILE) as box:
                if not box.open:
                    continue
                valid = f"Evidence counts for {duration(g.gate.max_age_hours * 3600)}. " if g.gate.max_age_hours else ""
                st.markdown(told(g.finding.summary, here.zone))
                source = f" Source: {g.finding.source}." if g.finding.source else ""
                st.caption(literal(f"{valid}As of {moment(g.finding.as_of, here.zone)}.{source}"))
                for link in links(g.finding, facts.snapshot):
                    rows.go(link)
        csv_button("CSV", lambda: overview_exports.gates_csv(facts), key="overview_gates_csv", name="gates")


def _plan(here: Panel, plan: Timeline) -> None:
    section("Timeline")
    if not charts_timeline.drawable(plan):
        first = here.migration.schedule.start == FIRST_RECORD
        why = "Week 1 starts on the day of the first recorded item" if first else "No start date is set"
        empty(
            f"{why}, and the worker has recorded no met item yet.",
            "Set schedule.start in the migration file to the first day of week 1.",
        )
        return
    charts.show(
        charts_timeline.phases(plan, here.zone, here.now), charts_timeline.in_words(plan), key="overview_timeline"
    )
    schedule = here.migration.schedule
    if plan.start is None:
        st.caption("No start date is set: set `schedule.start` in the migration file to have weeks and due dates.")
    elif schedule.note:
        st.caption(literal(f"Week 1 starts on {plan.start}. {schedule.note}"))


def _performance(facts: Facts) -> None:
    section("Run time and cost")
    assessed = facts.performance
    if all(m.ratio is None for m in assessed.measures):
        empty("No pair of runs can be compared yet.", "A pair is a run of the old job and one of the new job.")
        return
    title = f"Ratio new / old{_interval(assessed.measures)}; grey: equal within {assessed.settings.margin:.0%}"
    charts.show(charts_overview.ratios(assessed.measures), title, key="overview_ratios")
    page_link("Open the runs behind it", "performance")


def _interval(measures: Sequence[Measure]) -> str:
    """How sure the intervals are: few pairs have less confidence than the migration file asks for, one has none."""
    found = [m.interval.coverage for m in measures if m.interval is not None and len(m.points) > 1]
    return f" with its interval of at least {min(found):.0%} confidence" if found else ""


def _tables(here: Panel, facts: Facts) -> None:
    section("Tables")
    definitions = facts.migration.tables
    names = [t.name for t in definitions]
    served = {s.table: s for s in serving(facts)}
    found = here.store.parity.history(sides="production", limit=COMPARISONS * len(names))
    grid = charts_overview.grid_of(found, names, COMPARISONS)
    if grid.comparisons:
        shapes = [overview_details.side_mark(served[n].side).partition(" ")[0] for n in names]
        chosen = charts.show_and_pick(
            charts_overview.verdict_grid(grid, shapes, here.zone),
            f"Verdict of each table, last {count(len(grid.comparisons), 'comparison')}, the newest at right. "
            "Before each table the side that serves it: ■ old, ● new",
            key="overview_grid",
        )
        if chosen is not None:
            overview_details.open_report(*chosen)
    else:
        empty("No table has been compared yet.", "Start a comparison on the page Parity; the worker starts one too.")
    label = f"**{count(len(names), 'table')}**: the side that serves each, and its newest verdict"
    with folded.part(label, key="overview_serving") as box:
        if not box.open:
            return
        latest = facts.parity["production"]
        rows.draw(
            [overview_details.table_row(here, facts, t, served[t.name], latest.get(t.name)) for t in definitions],
            here.zone,
            key="overview_serving_rows",
            export=lambda: overview_exports.tables_csv(facts),
        )


def _next(here: Panel, facts: Facts, plan: Timeline) -> None:
    section("Late and next")
    rows.draw(
        [overview_details.item_row(here, facts, plan, i) for i in (*plan.late[:4], *plan.next(4))],
        here.zone,
        key="overview_next",
        empty="Every item is met.",
    )
    more = len(plan.late) - 4
    if more > 0:
        page_link(f"{more} more late items on the page Checklist", "checklist")


def _waits(here: Panel, facts: Facts, mine: Collection[str]) -> None:
    """What waits for others. mine: keys of what waits for the reader, said where the page opens."""
    section("What waits for others" if mine else "What waits for whom")
    found = assignments(
        facts,
        here.store.operations.find(
            states=[State.SUBMITTED, State.NEEDS_HUMAN], migration=here.migration.name, limit=OPERATIONS_READ
        ),
        mine,
    )
    rows.draw(
        [
            Row(
                a.who,
                Mark("waits", "warn"),
                f"{a.title}: {a.text}",
                links=[
                    Link("Open", "operations", {"operation": a.operation})
                    if a.operation
                    else Link("Open", "checklist", {"item": a.item})
                ],
            )
            for a in found
        ],
        here.zone,
        key="overview_waits",
        empty="Nothing waits for another person." if mine else "Nothing waits for a person.",
    )


def _first_runs(here: Panel, facts: Facts) -> None:
    """The first runs after the cutover that holds; nothing where none does."""
    found = load_first_runs(here.store, facts)
    if found is None:
        return
    section(f"First runs after the cutover: {len(found)} of {FIRST}")
    tones: dict[bool | None, Tone] = {True: "good", False: "bad", None: "busy"}
    rows.draw(
        [
            Row(
                f"Run {r.number} of {moment(r.started, here.zone, seconds=False)}",
                Mark(r.state.lower(), tones[r.good]),
                f"{r.text}.",
                links=[Link("Open run", "runs", {"run": str(r.run_id)})],
            )
            for r in found
        ],
        here.zone,
        key="overview_first_runs",
        empty="The new job has not run since the cutover.",
    )


def _operations(here: Panel) -> None:
    section("Last operations")
    rows.draw(
        [
            Row(
                word_of(o.kind),
                state_mark(o),
                f"Requested by {o.requested_by}",
                f"{ago(o.ended_at or o.started_at or o.created_at, here.now)}",
                [Link("Open", "operations", {"operation": o.id})],
            )
            for o in here.store.operations.find(migration=here.migration.name, limit=OPERATIONS)
        ],
        here.zone,
        key="overview_operations",
        empty="No operation has been planned yet.",
    )
