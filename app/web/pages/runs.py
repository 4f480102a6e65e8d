"""Runs: job runs and pipeline updates of both sides, with their datasets, expectations, events and errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.store.collected.records import (
    EventRecord,
    ExpectationRecord,
    JobRunRecord,
    Snapshot,
    TaskRunRecord,
    UpdateRecord,
)
from app.web.components import asof, charts, generated, hints, panel, sentences, sides
from app.web.components.charts import Bar
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.native import button, safe
from app.web.components.opening import close_button, opened, whole
from app.web.components.panel import Panel
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import ago, code, count, literal, moment, percent, seconds

SPANS: dict[str, timedelta | None] = {
    "24 h": timedelta(hours=24),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "all": None,
}
VIEWS = ("Runs", "Updates", "Datasets", "Expectations", "Event log", "Errors")
EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
EVENTS = 500
SOURCES = ("runs", "updates", "events", "links")


def render() -> None:
    """The page."""
    panel.live(_head)
    run_id, update_id = opened("run"), opened("update")
    if run_id:
        panel.live(lambda: _run(run_id), key="runs_run")
    if update_id:
        panel.live(lambda: _update(update_id), key="runs_update")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control("Show", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", wrap=True)
        st.segmented_control(
            "Since", list(SPANS), default="7 days", required=True, key="since", bind="query-params", wrap=True
        )
        generated.switch()
    panel.live(_evidence)


def _since(here: Panel) -> datetime:
    span = SPANS.get(st.session_state.get("since") or "7 days", SPANS["7 days"])
    return here.now - span if span else EARLIEST


def _snapshot(here: Panel) -> Snapshot:
    return here.store.collected.snapshot(_since(here))


def _head() -> None:
    here = panel.current()
    found = here.store.collected.snapshot(here.now - timedelta(days=14), runs=200, updates=200)
    pipeline, job = here.migration.production_pipeline.name, here.migration.candidate_job.name
    state, sentence = sentences.health(found.runs, found.updates, pipeline, job, here.now)
    answer("Is the new pipeline healthy?", sentence, state)
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
            _share(found),
        ]
    )


def _last(here: Panel, label: str, record: JobRunRecord | UpdateRecord | None) -> Figure:
    if record is None:
        return Figure(label, "–", "none collected")
    duration = record.run_seconds if isinstance(record, JobRunRecord) else record.seconds
    note = f"{seconds(duration)}, {ago(record.end_time or record.start_time, here.now)}"
    return Figure(label, mark(record.state).text, note + (", generated" if record.generated else ""))


def _share(found: Snapshot) -> Figure:
    ended = [r for r in found.runs if r.side == "candidate" and not r.active and not r.generated]
    good = sum(r.state == "SUCCESS" for r in ended)
    return Figure(
        "Successful runs of the new job",
        percent(good / len(ended)) if ended else "–",
        f"{good} of {count(len(ended), 'run')}, 14 days, without generated runs",
    )


def _evidence() -> None:
    here = panel.current()
    found = _snapshot(here)
    runs, updates = generated.visible(found.runs), generated.visible(found.updates)
    hidden = generated.hidden(generated.counts([*found.runs, *found.updates]), "record")
    if not runs and not updates:
        empty(
            "No run or update has been measured in this period."
            if hidden
            else "No run or update has been collected in this period.",
            f"{hidden} Show them with the switch above."
            if hidden
            else "Choose a longer period, or start one on the Operations page.",
        )
        return
    _timeline(here, runs, updates)
    _left_out(here, found)
    view = st.session_state.get("view") or VIEWS[0]
    if view == "Runs":
        _runs_table(here, runs)
    elif view == "Updates":
        _updates_table(here, updates)
    elif view == "Datasets":
        _datasets(here, updates)
    elif view == "Expectations":
        _expectations(here, updates)
    elif view == "Event log":
        _events(here, updates)
    else:
        _errors(here, runs, updates)


def _timeline(here: Panel, runs: Sequence[JobRunRecord], updates: Sequence[UpdateRecord]) -> None:
    names = {"baseline": here.migration.baseline_job.name, "candidate": here.migration.candidate_job.name}
    bars = [
        Bar(
            str(r.run_id),
            names.get(r.side, r.side),
            r.side,
            r.start_time,
            r.end_time,
            r.state,
            mark(r.state).tone,
            r.generated,
        )
        for r in runs
    ]
    bars += [
        Bar(
            u.update_id,
            u.pipeline_name,
            "candidate" if u.environment == "production" else "development",
            u.start_time,
            u.end_time,
            u.state,
            mark(u.state).tone,
            u.generated,
        )
        for u in updates
    ]
    bars.sort(key=lambda b: ({"baseline": 0, "candidate": 1, "development": 2}.get(b.side, 3), b.lane))
    counted = [generated.counts(runs).of("run"), generated.counts(updates).of("update")]
    title = f"Runs and updates over time: {'; '.join(counted)}"
    charts.show(charts.timeline(bars, here.zone, here.now), title, key="runs_timeline")


def _left_out(here: Panel, found: Snapshot) -> None:
    """Says which runs and updates of the period are older than those that the chart and the tables have."""
    since = _since(here)
    parts = []
    for records, numbers, unit in (
        (found.runs, here.store.collected.run_counts(since), "run"),
        (found.updates, here.store.collected.update_counts(since), "update"),
    ):
        if len(records) < sum(numbers):
            parts.append(f"{len(records):,} of {generated.Counts(*numbers).of(unit)}")
    if parts:
        st.caption(literal(f"Older ones are left out here: the newest {' and '.join(parts)} are shown."))


RUN_COLUMNS = (
    Column("run", "Run", "open", help="Opens the run's tasks and errors"),
    Column("side", "Side", width="small"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Run time, s", "seconds"),
    Column("queue", "Queued, s", "seconds"),
    Column("trigger", "Trigger", width="small"),
    Column("origin", "Origin", width="small"),
    Column("message", "Message"),
    Column("url", "Databricks", "link"),
)


def _runs_table(here: Panel, runs: Sequence[JobRunRecord]) -> None:
    rows = [
        {
            "run": str(r.run_id),
            "side": sides.NAMES.get(r.side, r.side),
            "state": mark(r.state).text,
            "start": r.start_time,
            "seconds": r.run_seconds,
            "queue": r.queue_seconds,
            "trigger": (r.trigger or "").replace("_", " ").lower() or None,
            "origin": _origin(r.generated),
            "message": r.state_message or None,
            "url": safe(r.run_page_url),
        }
        for r in runs
    ]
    table(rows, RUN_COLUMNS, key="runs_table", zone=here.zone, name="runs", empty="There is no job run in this period.")


UPDATE_COLUMNS = (
    Column("update", "Update", "open", help="Opens the update's datasets, expectations and events"),
    Column("pipeline", "Pipeline"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Seconds", "seconds"),
    Column("what", "Kind"),
    Column("cause", "Cause"),
    Column("run", "Job run", "open"),
    Column("origin", "Origin", width="small"),
    Column("url", "Databricks", "link"),
)


def _kind_of(u: UpdateRecord) -> str:
    if u.validate_only:
        return "validate only"
    if u.full_refresh:
        return "full refresh"
    if u.full_refresh_selection:
        return "full refresh of " + ", ".join(u.full_refresh_selection)
    if u.refresh_selection:
        return "refresh of " + ", ".join(u.refresh_selection)
    return "refresh"


def _updates_table(here: Panel, updates: Sequence[UpdateRecord]) -> None:
    rows = [
        {
            "update": u.update_id,
            "pipeline": u.pipeline_name,
            "state": mark(u.state).text,
            "start": u.start_time,
            "seconds": u.seconds,
            "what": _kind_of(u),
            "cause": (u.cause or "").replace("_", " ").lower() or None,
            "run": str(u.job_run_id) if u.job_run_id else None,
            "origin": _origin(u.generated),
            "url": safe(u.url),
        }
        for u in updates
    ]
    table(
        rows,
        UPDATE_COLUMNS,
        key="updates_table",
        zone=here.zone,
        name="updates",
        empty="There is no pipeline update in this period.",
    )


DATASET_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("pipeline", "Pipeline"),
    Column("state", "State"),
    Column("rows", "Rows written", "number"),
    Column("dropped", "Rows dropped", "number"),
    Column("seconds", "Seconds", "seconds"),
    Column("start", "Start", "time"),
    Column("update", "Update", "open"),
)


def _dataset_rows(here: Panel, updates: Sequence[UpdateRecord]) -> list[dict[str, Any]]:
    names = {u.update_id: u.pipeline_name for u in updates}
    return [
        {
            "dataset": f.dataset,
            "pipeline": names.get(update_id),
            "state": mark(f.status).text,
            "rows": f.rows,
            "dropped": f.dropped,
            "seconds": f.seconds,
            "start": f.start,
            "update": update_id,
        }
        for update_id, flows in here.store.collected.flows([u.update_id for u in updates]).items()
        for f in flows
    ]


def _datasets(here: Panel, updates: Sequence[UpdateRecord]) -> None:
    recent = [u for u in updates if not u.validate_only][:50]
    rows = _dataset_rows(here, recent)
    newest = next((u for u in recent if u.environment == "production" and u.state == "COMPLETED"), None)
    if newest:
        measured = [r for r in rows if r["update"] == newest.update_id and r["seconds"] is not None]
        if measured:
            measured.sort(key=lambda r: -r["seconds"])
            title = f"Duration of each dataset in the newest completed update, {moment(newest.start_time, here.zone)}"
            charts.show(
                charts.single_bars([(r["dataset"], r["seconds"]) for r in measured], "seconds"),
                title,
                key="runs_datasets_chart",
            )
    table(
        rows,
        DATASET_COLUMNS,
        key="runs_datasets",
        zone=here.zone,
        name="datasets",
        empty="No update in this period wrote datasets; start one on the Operations page.",
    )


EXPECTATION_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("name", "Expectation"),
    Column("action", "On failure", width="small"),
    Column("state", "State"),
    Column("passed", "Rows passed", "number"),
    Column("failed", "Rows failed", "number"),
    Column("share", "Failed", "percent"),
    Column("when", "When", "time"),
    Column("update", "Update", "open"),
)


def _expectation_rows(here: Panel, update_ids: Sequence[str]) -> list[dict[str, Any]]:
    if not update_ids:
        return []
    found = sorted(here.store.collected.expectations(update_ids), key=lambda e: e.timestamp, reverse=True)
    return [
        {
            "dataset": e.dataset,
            "name": e.name,
            "action": e.action,
            "state": mark("passed" if e.failed == 0 else "failed" if e.action == "fail" else "warn", _outcome(e)).text,
            "passed": e.passed,
            "failed": e.failed,
            "share": e.failed / (e.passed + e.failed) if e.passed + e.failed else None,
            "when": e.timestamp,
            "update": e.update_id,
        }
        for e in found
    ]


def _outcome(e: ExpectationRecord) -> str:
    if e.failed == 0:
        return "all passed"
    return {"drop": "rows dropped", "fail": "update failed", "warn": "rows kept"}.get(e.action or "", "rows failed")


def _expectations(here: Panel, updates: Sequence[UpdateRecord]) -> None:
    chosen = [u.update_id for u in updates if u.environment == "production" and not u.validate_only][:100]
    rows = _expectation_rows(here, chosen)
    series: dict[str, list[tuple[datetime, int, int]]] = {}
    for r in reversed(rows):
        series.setdefault(f"{r['dataset']}: {r['name']}", []).append((r["when"], r["passed"], r["failed"]))
    failing = {name: values for name, values in series.items() if any(failed for _, _, failed in values)}
    if failing:
        worst = sorted(failing.items(), key=lambda item: -item[1][-1][2])[:8]
        title = "Share of rows that fail each expectation, by update" + (
            f" (8 of {len(failing)} with failures)" if len(failing) > 8 else ""
        )
        charts.show(charts.failed_share(worst, here.zone), title, key="runs_expectations_chart")
    elif rows:
        st.markdown(
            f"{mark('passed').badge} Every row of {literal(count(len(series), 'expectation'))} passed in "
            f"{literal(count(len({r['update'] for r in rows}), 'update'))}."
        )
    table(
        rows,
        EXPECTATION_COLUMNS,
        key="runs_expectations",
        zone=here.zone,
        name="expectations",
        empty="There are no expectation results in this period; each update of the production pipeline adds some.",
    )


EVENT_COLUMNS = (
    Column("when", "Time", "time"),
    Column("level", "Level", width="small"),
    Column("type", "Type"),
    Column("dataset", "Dataset"),
    Column("message", "Message"),
    Column("error", "Error"),
    Column("update", "Update", "open"),
)
LEVELS = ("INFO", "METRICS", "WARN", "ERROR")


def _event_rows(events: Sequence[EventRecord]) -> list[dict[str, Any]]:
    return [
        {
            "when": e.timestamp,
            "level": mark(e.level, e.level).text,
            "type": e.event_type,
            "dataset": e.dataset,
            "message": e.message,
            "error": error_text(e.error),
            "update": e.update_id,
        }
        for e in events
    ]


def _events(here: Panel, updates: Sequence[UpdateRecord], update_id: str | None = None) -> None:
    prefix = "update_events" if update_id else "events"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        levels = st.pills("Levels", LEVELS, selection_mode="multi", key=f"{prefix}_levels", wrap=True)
        words = st.text_input("Text in message, dataset or type", key=f"{prefix}_text", type="search", live=True)
    since = min((u.start_time for u in updates), default=EARLIEST)
    found = here.store.collected.events(
        update_id=update_id, levels=levels or (), since=None if update_id else since, limit=EVENTS
    )
    if words:
        wanted = words.casefold()
        found = [e for e in found if wanted in f"{e.message} {e.dataset or ''} {e.event_type}".casefold()]
    if len(found) == EVENTS:
        st.caption(f"Newest {EVENTS} events; filter, or open one update, for the others.")
    table(
        _event_rows(found),
        EVENT_COLUMNS,
        key=f"{prefix}_table",
        zone=here.zone,
        name="events",
        empty="No event matches; clear the filter, or wait for the next update.",
    )


def error_text(error: Any) -> str | None:
    """The platform's message from an event's error: class and message of each exception, outermost first."""
    if not error:
        return None
    exceptions = error.get("exceptions") if hasattr(error, "get") else None
    if not isinstance(exceptions, list) or not exceptions:
        return str(error)
    parts = [
        ": ".join(str(x[k]) for k in ("class_name", "message") if x.get(k)) for x in exceptions if hasattr(x, "get")
    ]
    return "; caused by ".join(p for p in parts if p) or str(error)


ERROR_COLUMNS = (
    Column("when", "Time", "time"),
    Column("where", "Where"),
    Column("state", "State"),
    Column("error", "Error message"),
    Column("run", "Run", "open"),
    Column("update", "Update", "open"),
    Column("url", "Databricks", "link"),
)


def _errors(here: Panel, runs: Sequence[JobRunRecord], updates: Sequence[UpdateRecord]) -> None:
    bad_runs = [r for r in runs if mark(r.state).tone == "bad"][:100]
    tasks = here.store.collected.tasks([r.run_id for r in bad_runs]) if bad_runs else {}
    rows: list[dict[str, Any]] = []
    for r in bad_runs:
        failing: list[TaskRunRecord | None] = [t for t in tasks.get(r.run_id, []) if t.error]
        rows += [
            {
                "when": (t.end if t else None) or r.end_time or r.start_time,
                "where": f"{sides.NAMES.get(r.side, r.side)} job" + (f", task {t.task_key}" if t else ""),
                "state": mark(t.state if t else r.state).text,
                "error": t.error if t else r.state_message,
                "run": str(r.run_id),
                "update": None,
                "url": safe((t.url if t else None) or r.run_page_url),
            }
            for t in failing or [None]
        ]
    for u in [u for u in updates if u.state == "FAILED"][:50]:
        events: list[EventRecord | None] = []
        events += here.store.collected.events(update_id=u.update_id, levels=("ERROR",), limit=5)
        rows += [
            {
                "when": (e.timestamp if e else u.end_time) or u.start_time,
                "where": f"{u.pipeline_name}" + (f", {e.dataset}" if e and e.dataset else ""),
                "state": mark(u.state).text,
                "error": (error_text(e.error) or e.message) if e else "no error event: open the update in Databricks",
                "run": str(u.job_run_id) if u.job_run_id else None,
                "update": u.update_id,
                "url": safe(u.url),
            }
            for e in events or [None]
        ]
    rows.sort(key=lambda row: row["when"], reverse=True)
    table(
        rows,
        ERROR_COLUMNS,
        key="runs_errors",
        zone=here.zone,
        name="errors",
        empty="No run or update failed in this period.",
    )
    if any(hints.timed_out(str(row["state"]), [row["error"]]) for row in rows):
        hints.show(here, ("timeout",))


TASK_COLUMNS = (
    Column("task", "Task"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Seconds", "seconds"),
    Column("error", "Error"),
    Column("url", "Databricks", "link"),
)


def _run(run_id: str) -> None:
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
                f"{mark(record.state).badge}{_generated_badge(record.generated)}"
            )
            button("Databricks", record.run_page_url, key="run_native")
            close_button("run")
        st.caption(
            literal(
                f"{moment(record.start_time, here.zone)}, {seconds(record.run_seconds)} running, "
                f"{seconds(record.queue_seconds)} queued"
            )
        )
        if record.state_message and mark(record.state).tone == "bad":
            st.error(literal(record.state_message))
        tasks = here.store.collected.tasks([record.run_id]).get(record.run_id, [])
        _tasks_chart(here, record, tasks)
        table(
            [
                {
                    "task": t.task_key,
                    "state": mark(t.state).text,
                    "start": t.start,
                    "seconds": t.seconds,
                    "error": t.error,
                    "url": safe(t.url),
                }
                for t in tasks
            ],
            TASK_COLUMNS,
            key="run_tasks",
            zone=here.zone,
            name=f"run_{record.run_id}_tasks",
            empty="No task of this run has been collected yet.",
        )


def _tasks_chart(here: Panel, record: JobRunRecord, tasks: Sequence[TaskRunRecord]) -> None:
    bars = [
        Bar(str(t.task_run_id), t.task_key, record.side, t.start, t.end, t.state, mark(t.state).tone, record.generated)
        for t in tasks
        if t.start
    ]
    if bars:
        title = "Tasks of this run"
        charts.show(charts.timeline(bars, here.zone, here.now), title, key="run_gantt")


def _update(update_id: str) -> None:
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
                f"{mark(record.state).badge}{_generated_badge(record.generated)}"
            )
            button("Databricks", record.url, key="update_native")
            close_button("update")
        st.caption(
            literal(
                f"{moment(record.start_time, here.zone)}, {seconds(record.seconds)}, {_kind_of(record)}, "
                f"cause {(record.cause or 'unknown').replace('_', ' ').lower()}"
            )
        )
        for event in here.store.collected.events(update_id=update_id, levels=("ERROR",), limit=3):
            st.error(literal(error_text(event.error) or event.message))
        section("Datasets")
        table(
            _dataset_rows(here, [record]),
            DATASET_COLUMNS[:1] + DATASET_COLUMNS[2:-1],
            key="update_datasets",
            zone=here.zone,
            name=f"update_{update_id}_datasets",
            empty="No dataset of this update has been collected yet.",
        )
        section("Expectations")
        table(
            _expectation_rows(here, [update_id]),
            EXPECTATION_COLUMNS[:-1],
            key="update_expectations",
            zone=here.zone,
            name=f"update_{update_id}_expectations",
            empty="This update reported no expectations.",
        )
        section("Events")
        _events(here, [record], update_id)


def _origin(generated: bool) -> str:
    return "generated" if generated else "measured"


def _generated_badge(generated: bool) -> str:
    return " :gray-badge[generated history]" if generated else ""
