"""Failures: tries that failed, retries and repairs that followed, their causes, and the guide's hints for them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from app.store.collected.records import EventRecord
from app.web.components import charts, charts_runs, hints, rows, sides
from app.web.components.frame import Figure, figures
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.runs_events import error_text
from app.web.components.runs_scope import Scope, run_mark
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import count, literal, moment

TOLD = 10
"""Newest failures that are told in full; the table has all."""

RUNS, UPDATES = 200, 100
"""Newest runs and updates with failures that are read."""

ERROR_COLUMNS = (
    Column("when", "Time", "time"),
    Column("where", "Where"),
    Column("state", "State"),
    Column("then", "What followed"),
    Column("error", "Error message", width="large"),
    Column("run", "Run", "open"),
    Column("update", "Update", "open"),
    Column("url", "Databricks", "link"),
)


def draw(found: Scope) -> None:
    """Draws the view Errors."""
    here, store = found.here, found.here.store.collected
    bad = [r for r in found.runs if mark(r.state).tone == "bad" or r.repairs or r.tries_read]
    failed_updates = [u for u in found.updates if u.state == "FAILED"]
    found_rows, tasks = _of_runs(found, bad[:RUNS]), Counter[str]()
    for row in found_rows:
        if row["task"]:
            tasks[f"{row['side']}: {row['task']}"] += 1
    for u in failed_updates[:UPDATES]:
        events: list[EventRecord | None] = []
        events += store.events(update_id=u.update_id, levels=("ERROR",), limit=5)
        found_rows += [
            {
                "when": (e.timestamp if e else u.end_time) or u.start_time,
                "where": f"{u.pipeline_name}" + (f", {e.dataset}" if e and e.dataset else ""),
                "state": mark(u.state).text,
                "mark": mark(u.state),
                "then": None,
                "error": (error_text(e.error) or e.message) if e else "no error event: open the update in Databricks",
                "run": str(u.job_run_id) if u.job_run_id else None,
                "update": u.update_id,
                "url": safe(u.url),
            }
            for e in events or [None]
        ]
    if found_rows:
        repaired = [r for r in found.runs if r.repairs]
        figures(
            [
                Figure("Runs that ended badly", count(sum(mark(r.state).tone == "bad" for r in found.runs)),
                       f"of {count(len(found.runs), 'run')} in this period"),
                Figure("Runs repaired", count(len(repaired)),
                       f"{sum(r.state == 'SUCCESS' for r in repaired)} succeeded after it"),
                Figure("Tries of tasks that failed", count(sum(tasks.values())), f"of {count(len(tasks), 'task')}"),
                Figure("Updates that failed", count(len(failed_updates)),
                       f"of {count(len(found.updates), 'update')} in this period"),
            ]
        )  # fmt: skip
    if tasks:
        charts.show(charts_runs.numbers(tasks.most_common(12)), "Failed tries by task", key="runs_failed_tasks")
    signs = hints.signs((str(row["state"]), row["error"]) for row in found_rows)
    hints.show(here, signs)
    left = [
        f"{shown:,} of {count(number, unit)}"
        for shown, number, unit in ((RUNS, len(bad), "run"), (UPDATES, len(failed_updates), "update"))
        if number > shown
    ]
    if left:
        st.caption(literal(f"Of the failures, the newest {' and '.join(left)} are shown."))
    found_rows.sort(key=lambda row: row["when"], reverse=True)
    rows.draw([_told(here, row) for row in found_rows[:TOLD]], here.zone, key="runs_errors_told")
    table(
        found_rows,
        ERROR_COLUMNS,
        key="runs_errors",
        zone=here.zone,
        name="errors",
        empty="No run or update failed in this period.",
    )


def _told(here: Panel, row: dict[str, Any]) -> rows.Row:
    """One failure as wrapped text, with the way to its run or update."""
    links = [
        rows.Link(f"{kind.capitalize()} {row[kind]}", path="runs", parameters={kind: row[kind]})
        for kind in ("run", "update")
        if row[kind]
    ][:1]
    then = f", then {row['then']}" if row["then"] else ""
    when = moment(row["when"], here.zone)
    return rows.Row(row["where"], row["mark"], row["error"] or "without a message", f"{when}{then}", links)


def _of_runs(found: Scope, runs: list[Any]) -> list[dict[str, Any]]:
    """Rows of the failed tries of runs: the newest of each task, and those before a retry or a repair."""
    store = found.here.store.collected
    ids = [r.run_id for r in runs]
    tasks, tries, attempts = store.tasks(ids), store.tries(ids), store.attempts(ids)
    found_rows: list[dict[str, Any]] = []
    for r in runs:
        newest = {t.task_key: t for t in tasks.get(r.run_id, [])}
        repairs = [a.start for a in attempts[r.run_id] if a.number and a.start]
        failing: list[Any] = [t for t in newest.values() if t.error or mark(t.state).tone == "bad"]
        earlier = [t for t in tries[r.run_id] if mark(t.state).tone == "bad"]
        for t in [*failing, *earlier] or ([None] if mark(r.state).tone == "bad" else []):
            then = None
            if t is not None and t in earlier:
                again = newest.get(t.task_key)
                by = "a repair" if t.start and any(t.start < at for at in repairs) else "a retry"
                then = f"{by}: {mark(again.state).word}" if again else by
            found_rows.append(
                {
                    "when": (t.end if t else None) or r.end_time or r.start_time,
                    "where": f"{sides.NAMES.get(r.side, r.side)} job" + (f", task {t.task_key}" if t else ""),
                    "side": sides.NAMES.get(r.side, r.side),
                    "task": t.task_key if t else None,
                    "state": mark(t.state).text if t else run_mark(r).text,
                    "mark": mark(t.state) if t else run_mark(r),
                    "then": then,
                    "error": (t.error if t else r.state_message) or None,
                    "run": str(r.run_id),
                    "update": None,
                    "url": safe((t.url if t else None) or r.run_page_url),
                }
            )
    return found_rows
