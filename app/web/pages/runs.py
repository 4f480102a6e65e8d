"""Runs: job runs and pipeline updates of both sides, with their tasks, tables, expectations, events and errors."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from app.progress.shares import floored
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.web.components import (
    asof,
    generated,
    panel,
    runs_datasets,
    runs_events,
    runs_failures,
    runs_history,
    runs_opened,
    runs_tasks,
    runs_updates,
    sentences,
)
from app.web.components.frame import Figure, answer, empty, figures
from app.web.components.opening import opened
from app.web.components.panel import LIVE_SECONDS, Panel
from app.web.components.runs_scope import MOST, SPANS, elapsed, run_mark, scope
from app.web.components.status import mark
from app.web.components.text import ago, count, literal, seconds

VIEWS = {
    "Runs": runs_history.draw,
    "Tasks": runs_tasks.draw,
    "Updates": runs_updates.draw,
    "Datasets": runs_datasets.draw,
    "Expectations": runs_datasets.draw_expectations,
    "Errors": runs_failures.draw,
}
EVENT_LOG = "Event log"
SOURCES = ("runs", "updates", "events", "links")
DAYS = timedelta(days=14)
"""Time whose runs the head counts."""


def render() -> None:
    """The page."""
    panel.live(_head)
    run_id, update_id = opened("run"), opened("update")
    if run_id:
        panel.live(lambda: runs_opened.run(run_id), key="runs_run")
    if update_id:
        panel.live(lambda: runs_opened.update(update_id), every=_pace(update_id), key="runs_update")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Show", [*VIEWS, EVENT_LOG], default="Runs", required=True, key="view", bind="query-params", wrap=True
        )
        st.segmented_control(
            "Since", list(SPANS), default="7 days", required=True, key="since", bind="query-params", wrap=True
        )
        generated.switch()
    view = st.session_state.get("view") or "Runs"
    if view == EVENT_LOG:
        panel.guarded(runs_events.choose)()
        panel.live(runs_events.draw)
        return
    if view == "Tasks":
        runs_tasks.choose()
    panel.live(_evidence)


def _pace(update_id: str) -> float | None:
    """Seconds between two drawings of an update: a running one is followed, any other drawn like the page."""
    here = panel.current()
    record = here.store.collected.update(update_id)
    return LIVE_SECONDS if record is not None and record.active else None


def _head() -> None:
    here = panel.current()
    found = here.store.collected.snapshot(here.now - DAYS, runs=200, updates=200)
    pipeline, job = here.migration.production_pipeline.name, here.migration.candidate_job.name
    state, sentence = sentences.health(found.runs, found.updates, pipeline, job, here.now)
    answer("Did the last runs succeed?", sentence, state)
    asof.bar(asof.chosen(found.sources, SOURCES), here.zone, here.now)
    figures(
        [
            _last(here, "Last run of the old job", next((r for r in found.runs if r.side == "baseline"), None)),
            _last(here, "Last run of the new job", next((r for r in found.runs if r.side == "candidate"), None)),
            _last(
                here,
                "Last update, production",
                next((u for u in found.updates if u.environment == "production"), None),
            ),
            _share(here),
        ]
    )


def _last(here: Panel, label: str, record: JobRunRecord | UpdateRecord | None) -> Figure:
    if record is None:
        return Figure(label, "–", "none collected")
    state = run_mark(record) if isinstance(record, JobRunRecord) else mark(record.state)
    took = f"{seconds(elapsed(record, here.now))}{' so far' if record.active else ''}"
    note = f"{took}, {ago(record.end_time or record.start_time, here.now)}"
    return Figure(label, state.text, note + (", generated" if record.generated else ""))


def _share(here: Panel) -> Figure:
    runs = here.store.collected.runs("candidate", since=here.now - DAYS, limit=MOST)
    ended = [r for r in runs if not r.active and not r.generated and r.state != "CANCELED"]
    good, repaired = sum(r.first_try for r in ended), sum(r.state == "SUCCESS" and r.repairs > 0 for r in ended)
    after = f", {repaired} more after a repair" if repaired else ""
    return Figure(
        "Successful runs of the new job",
        floored(good, len(ended)) if ended else "–",
        f"{good} of {count(len(ended), 'run')} at once{after}, 14 days, measured, without cancelled ones",
    )


def _evidence() -> None:
    found = scope(panel.current())
    if not found.runs and not found.updates:
        if found.hidden:
            empty("No run or update has been measured in this period.", f"{found.hidden} Show them with the switch.")
        else:
            empty(
                "No run or update has been collected in this period.",
                "Choose a longer period, or start one on the Operations page.",
            )
        return
    if found.left_out:
        st.caption(literal(found.left_out))
    VIEWS[st.session_state.get("view") or "Runs"](found)
