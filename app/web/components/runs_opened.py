"""What an id in the address opens: a run with its attempts, tasks and tries; an update with its tables and events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.store.collected.event_search import EventQuery
from app.store.collected.records import AttemptRecord, JobRunRecord, TaskRunRecord, TryRecord
from app.web.components import charts, charts_runs, hints, panel, sides
from app.web.components.charts import Bar
from app.web.components.frame import section
from app.web.components.native import button, safe
from app.web.components.opening import close_button, put, whole
from app.web.components.panel import Panel
from app.web.components.runs_datasets import DATASET_COLUMNS, EXPECTATION_COLUMNS, dataset_rows, expectation_rows
from app.web.components.runs_events import error_text, search
from app.web.components.runs_scope import elapsed, generated_badge, run_mark
from app.web.components.runs_updates import figures, kind_of, progress
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import code, count, literal, moment, seconds

TASK_COLUMNS = (
    Column("try", "Try", "number"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Seconds", "seconds"),
    Column("error", "Error", width="large"),
    Column("url", "Databricks", "link"),
)
ATTEMPT_COLUMNS = (
    Column("attempt", "Attempt"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("end", "End", "time"),
    Column("seconds", "Seconds", "seconds"),
)


def run(run_id: str) -> None:
    """Draws one run."""
    here = panel.current()
    with st.container(border=True):
        record = here.store.collected.run(number) if (number := whole(run_id)) is not None else None
        if record is None:
            st.markdown(f"Run {code(run_id)} has not been collected.")
            close_button("run")
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**Run** {code(record.run_id)} of the {sides.name(record.side)}, job {code(record.job_id)} "
                f"{run_mark(record).badge}{generated_badge(record.generated)}"
            )
            button("Databricks", record.run_page_url, key="run_native")
            close_button("run")
        _run(here, record)


def _run(here: Panel, record: JobRunRecord) -> None:
    store, run_id = here.store.collected, record.run_id
    tasks = store.tasks([run_id])[run_id]
    tries, attempts = store.tries([run_id])[run_id], store.attempts([run_id])[run_id]
    took = seconds(elapsed(record, here.now))
    words = [
        moment(record.start_time, here.zone),
        f"{took} so far" if record.active else f"{took} running",
        f"{seconds(record.queue_seconds)} queued",
    ]
    if record.repairs:
        first = mark(record.first_result).word if record.first_result else "without a known result"
        words.append(f"its first attempt ended {first}, then {count(record.repairs, 'repair')}")
    st.caption(literal(", ".join(words)))
    if record.active and tasks:
        done = sum(mark(t.state).tone not in ("busy", "unknown") for t in tasks)
        st.progress(done / len(tasks), text=literal(f"{done} of {count(len(tasks), 'task')} ended, {took} so far"))
    if record.state_message and mark(record.state).tone == "bad":
        st.error(literal(record.state_message))
        hints.show(here, hints.signs([(record.state, record.state_message), *((t.state, t.error) for t in tasks)]))
    _chart(here, record, tasks, tries)
    if len(attempts) > 1:
        _attempts(here, attempts)
    table(
        _task_rows(tasks, tries),
        (
            Column(
                "task",
                "Task",
                "open",
                help="Opens its durations and tries over time",
                opens=partial(_open_task, record.side),
            ),
            *TASK_COLUMNS,
        ),
        key="run_tasks",
        zone=here.zone,
        name=f"run_{run_id}_tasks",
        empty="No task of this run has been collected yet.",
    )


def _open_task(side: str, task_key: str) -> None:
    """Opens a task in the view Tasks, which shows one side."""
    st.session_state["view"] = "Tasks"
    st.session_state["choice_side"] = side
    put("side", side)
    put("task", task_key)


def _chart(here: Panel, record: JobRunRecord, tasks: Sequence[TaskRunRecord], tries: Sequence[TryRecord]) -> None:
    every: list[TaskRunRecord | TryRecord] = [*tries, *tasks]
    bars = [
        Bar(str(t.task_run_id), t.task_key, record.side, t.start, t.end, t.state, mark(t.state).tone, record.generated)
        for t in every
        if t.start
    ]
    if bars:
        first = {b.lane: min(o.start for o in bars if o.lane == b.lane) for b in bars}
        bars.sort(key=lambda b: (first[b.lane], b.lane, b.start))
        title = "Tasks of this run along time" + (", every try" if tries else "")
        charts.show(charts_runs.gantt(bars, here.zone, here.now), title, key="run_gantt")


def _attempts(here: Panel, attempts: Sequence[AttemptRecord]) -> None:
    rows = [
        {
            "attempt": f"repair {a.number}" if a.number else "original",
            "state": mark(a.state).text,
            "start": a.start,
            "end": a.end,
            "seconds": a.seconds,
        }
        for a in attempts
    ]
    table(rows, ATTEMPT_COLUMNS, key="run_attempts", zone=here.zone, name="attempts", empty="")


def _task_rows(tasks: Sequence[TaskRunRecord], tries: Sequence[TryRecord]) -> list[dict[str, object]]:
    """Rows of a run's tasks, each with its earlier tries before it."""
    rows: list[dict[str, object]] = []
    for t in tasks:
        every: list[tuple[int, TaskRunRecord | TryRecord]] = [
            *((e.attempt + 1, e) for e in tries if e.task_key == t.task_key),
            (t.tries, t),
        ]
        for number, one in every:
            rows.append(
                {
                    "task": t.task_key,
                    "try": number,
                    "state": mark(one.state).text,
                    "start": one.start,
                    "seconds": one.seconds,
                    "error": one.error,
                    "url": safe(one.url),
                }
            )
    return rows


def update(update_id: str) -> None:
    """Draws one update."""
    here = panel.current()
    with st.container(border=True):
        record = here.store.collected.update(update_id)
        if record is None:
            st.markdown(f"Update {code(update_id)} has not been collected.")
            close_button("update")
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**Update** {code(record.update_id)} of {code(record.pipeline_name)} "
                f"{mark(record.state).badge}{generated_badge(record.generated)}"
            )
            button("Databricks", record.url, key="update_native")
            close_button("update")
        st.caption(literal(f"{kind_of(record)}, cause {(record.cause or 'unknown').replace('_', ' ').lower()}"))
        progress(here, record)
        errors = here.store.collected.events(update_id=update_id, levels=("ERROR",), limit=3)
        for event in errors:
            st.error(literal(error_text(event.error) or event.message))
        hints.show(here, hints.signs((record.state, error_text(e.error) or e.message) for e in errors))
        section("Tables")
        figures(here, record, key="update")
        table(
            dataset_rows(here, [record]),
            DATASET_COLUMNS[:1] + DATASET_COLUMNS[2:-1],
            key="update_datasets",
            zone=here.zone,
            name=f"update_{update_id}_datasets",
            empty="No dataset of this update has been collected yet.",
        )
        section("Expectations")
        table(
            expectation_rows(here, [update_id]),
            EXPECTATION_COLUMNS[:-1],
            key="update_expectations",
            zone=here.zone,
            name=f"update_{update_id}_expectations",
            empty="This update reported no expectations.",
        )
        section("Events")
        search(here, EventQuery(update_id=update_id), key="update_events", page="update_event_page")
