"""Runs over time: the last ones as dots, the duration of each, when both sides ran, and the table of all."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from app.store.collected.records import JobRunRecord, UpdateRecord
from app.web.components import charts, charts_runs, generated, sides
from app.web.components.charts import Bar
from app.web.components.charts_runs import Dot, Duration
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.runs_scope import SIDES, Scope, elapsed, job_name, origin, run_mark
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import ago, literal, moment, seconds

LAST = 40
"""Runs of each job that have a dot."""

OVERLAP = timedelta(days=7)
"""Longest period for which bars along time can be told apart."""


def _last_runs(here: Panel) -> None:
    """Draws the last runs of both jobs and the last updates as dots, whatever the period."""
    store = here.store.collected
    lanes: dict[str, list[Dot]] = {}
    for side in ("baseline", "candidate"):
        runs = generated.visible(store.runs(side, limit=LAST))
        if runs:
            lanes[f"{sides.NAMES[side]} job"] = [_run_dot(here, r) for r in runs]
    updates = generated.visible(store.updates("production", limit=LAST))
    if updates:
        lanes["updates"] = [_update_dot(here, u) for u in updates]
    if lanes:
        title = f"Last {LAST} runs of each job and updates of the production pipeline, newest right"
        charts_runs.clickable(charts_runs.dots(lanes), title, key="runs_dots")


def _run_dot(here: Panel, run: JobRunRecord) -> Dot:
    state = run_mark(run)
    note = f"{moment(run.start_time, here.zone)}, {ago(run.start_time, here.now)}, {seconds(elapsed(run, here.now))}"
    return Dot(("run", str(run.run_id)), state.tone, state.word, note, run.generated)


def _update_dot(here: Panel, update: UpdateRecord) -> Dot:
    state = mark(update.state)
    took = seconds(elapsed(update, here.now))
    note = f"{moment(update.start_time, here.zone)}, {ago(update.start_time, here.now)}, {took}"
    return Dot(("update", update.update_id), state.tone, state.word, note, update.generated)


def draw(found: Scope) -> None:
    """Draws the view Runs."""
    here = found.here
    _last_runs(here)
    if not found.runs:
        st.caption(literal(found.hidden or "There is no job run in this period."))
        return
    points = [
        Duration(
            ("run", str(r.run_id)), job_name(here, r.side), r.start_time, r.run_seconds, run_mark(r).tone,
            run_mark(r).word + (", generated history" if r.generated else ""), r.side,
        )
        for side in SIDES
        for r in found.of(side)
        if r.run_seconds is not None
    ]  # fmt: skip
    if points:
        counted = generated.counts(found.runs).of("run")
        title = f"Run time of every run in this period: {counted}. Repairs and the pauses before them included"
        charts_runs.clickable(charts_runs.durations(points, here.zone), title, key="runs_durations")
    if here.now - found.since <= OVERLAP:
        _timeline(found)
    table(
        [_row(r) for r in found.runs],
        [c for c in RUN_COLUMNS if generated.shown() or c.key != "origin"],
        key="runs_table",
        zone=here.zone,
        name="runs",
        empty="There is no job run in this period.",
    )


def _timeline(found: Scope) -> None:
    here = found.here
    bars = [
        Bar(
            str(r.run_id), job_name(here, r.side), r.side, r.start_time, r.end_time, run_mark(r).word,
            mark(r.state).tone, r.generated,
        )
        for side in SIDES
        for r in found.of(side)
    ]  # fmt: skip
    bars += [
        Bar(
            u.update_id, u.pipeline_name, "candidate" if u.environment == "production" else "development", u.start_time,
            u.end_time, u.state, mark(u.state).tone, u.generated,
        )
        for u in sorted(found.updates, key=lambda u: u.environment != "production")
    ]  # fmt: skip
    counted = f"{generated.counts(found.runs).of('run')}; {generated.counts(found.updates).of('update')}"
    charts.show(
        charts.timeline(bars, here.zone, here.now), f"Runs and updates along time: {counted}", key="runs_timeline"
    )


RUN_COLUMNS = (
    Column("run", "Run", "open", help="Opens the run's tasks, tries and errors"),
    Column("side", "Side", width="small"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Run time, s", "seconds"),
    Column("queue", "Queued, s", "seconds"),
    Column("repairs", "Repairs", "number", help="How often the run was repaired after its first attempt"),
    Column("trigger", "Trigger", width="small"),
    Column("origin", "Origin", width="small"),
    Column("message", "Message", width="medium", help="Whole where its run is opened"),
    Column("url", "Databricks", "link"),
)


def _row(run: JobRunRecord) -> dict[str, object]:
    return {
        "run": str(run.run_id),
        "side": sides.NAMES.get(run.side, run.side),
        "state": run_mark(run).text,
        "start": run.start_time,
        "seconds": run.run_seconds,
        "queue": run.queue_seconds,
        "repairs": run.repairs,
        "trigger": (run.trigger or "").replace("_", " ").lower() or None,
        "origin": origin(run.generated),
        "message": run.state_message or None,
        "url": safe(run.run_page_url),
    }
