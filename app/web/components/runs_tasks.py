"""Tasks of the runs: the grid of tasks by run with durations and tries, and the duration of each task over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median

import streamlit as st

from app.store.collected.records import JobRunRecord
from app.store.collected.series import TaskPoint
from app.web.components import charts_runs, generated, sides
from app.web.components.charts_runs import Cell, Duration
from app.web.components.opening import choice, close_button, opened
from app.web.components.runs_scope import Scope
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, table
from app.web.components.text import code, count, literal

COLUMNS = 24
"""Runs in the grid: more would be narrower than a sign."""

LINES = 8
"""Tasks that have a line: more colours cannot be told apart."""


def choose() -> None:
    """Draws the choice of a side, outside of the live part."""
    choice("Side", {"baseline": "Old job", "candidate": "New job", "development": "Development job"}, "side",
           default="candidate")  # fmt: skip


def draw(found: Scope) -> None:
    """Draws the view Tasks of the chosen side."""
    here = found.here
    side = st.session_state.get("choice_side") or "candidate"
    runs = found.of(side)
    if not runs:
        nothing = f"No run of the {sides.NAMES.get(side, side)} job in this period."
        st.caption(literal(f"{nothing} {found.hidden or ''}"))
        return
    shown = generated.shown()
    points = [p for p in here.store.collected.task_points(side, found.since) if shown or not p.generated]
    if not points:
        st.caption("No task of these runs has been collected yet.")
        return
    by_task = _by_task(points)
    _grid(found, runs, by_task)
    chosen = opened("task")
    if chosen:
        _task(found, runs, by_task.get(chosen, []), chosen)
    _durations(found, by_task)
    _table(found, by_task)


def _grid(found: Scope, runs: Sequence[JobRunRecord], points: Mapping[str, Sequence[TaskPoint]]) -> None:
    shown = list(reversed(runs[:COLUMNS]))
    ids = {r.run_id for r in shown}
    cells: dict[str, dict[int, Cell]] = {}
    for task, of in points.items():
        for p in of:
            if p.run_id in ids:
                state = _mark(p)
                cells.setdefault(task, {})[p.run_id] = Cell(p.seconds, state.tone, state.word, p.tries)
    left_out = f"newest {len(shown)} of {count(len(runs), 'run')}" if len(runs) > len(shown) else count(
        len(shown), "run")  # fmt: skip
    title = (
        f"Tasks by run: duration against the task's median ({left_out}). ✕ failed, a number counts tries; "
        "a cell opens its run"
    )
    figure = charts_runs.task_grid([(r.run_id, r.start_time) for r in shown], cells, found.here.zone)
    charts_runs.clickable(figure, title, key="runs_grid")


@lru_cache(maxsize=256)
def _marked(state: str, tries: int) -> Mark:
    """State of a task. One that succeeded in a later try is no plain success."""
    plain = mark(state)
    return Mark(f"{plain.word} in try {tries}", "warn") if tries > 1 and plain.tone == "good" else plain


def _mark(point: TaskPoint) -> Mark:
    return _marked(point.state, point.tries)


def _by_task(points: Sequence[TaskPoint]) -> dict[str, list[TaskPoint]]:
    """Points of each task, oldest first; the tasks in the order of the newest run."""
    order = list(dict.fromkeys(p.task for p in reversed(points)))[::-1]
    found: dict[str, list[TaskPoint]] = {task: [] for task in order}
    for p in points:
        found[p.task].append(p)
    return found


def _duration(point: TaskPoint) -> Duration:
    state = _mark(point)
    return Duration(
        ("run", str(point.run_id)), point.task, point.run_start, point.seconds or 0.0, state.tone, state.word
    )


def _durations(found: Scope, points: Mapping[str, Sequence[TaskPoint]]) -> None:
    measured = {task: [p for p in of if p.seconds is not None] for task, of in points.items()}
    last = {task: of[-1].seconds or 0.0 for task, of in measured.items() if of}
    longest = sorted(last, key=lambda task: -last[task])[:LINES]
    drawn = [_duration(p) for task in longest for p in measured[task]]
    if drawn:
        rest = f"; the {LINES} longest of {len(last)} tasks" if len(last) > LINES else ""
        title = f"Duration of each task over time{rest}"
        charts_runs.clickable(charts_runs.durations(drawn, found.here.zone, 280), title, key="runs_task_durations")


def _task(found: Scope, runs: Sequence[JobRunRecord], points: Sequence[TaskPoint], name: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Task** {code(name)}")
            close_button("task")
        if not points:
            st.markdown("No run of this period has such a task.")
            return
        drawn = [_duration(p) for p in points if p.seconds is not None]
        again = sum(p.tries > 1 for p in points)
        bad = sum(_mark(p).tone == "bad" for p in points)
        st.caption(literal(
            f"{count(len(points), 'run')}: {bad} failed, {again} needed more than one try"
        ))  # fmt: skip
        if drawn:
            charts_runs.clickable(
                charts_runs.durations(drawn, found.here.zone, 200), f"Duration of {name} over time", key="runs_task_one"
            )
        tries = _tries(found, runs, name)
        table(tries, TRY_COLUMNS, key="task_tries", zone=found.here.zone, name=f"task_{name}_tries",
              empty="No try of it before the newest one has been collected.")  # fmt: skip


TRY_COLUMNS = (
    Column("run", "Run", "open"),
    Column("try", "Try", "number"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Seconds", "seconds"),
    Column("error", "Error"),
)


def _tries(found: Scope, runs: Sequence[JobRunRecord], name: str) -> list[dict[str, object]]:
    """Rows of the tries of a task before its newest, newest first."""
    tries = found.here.store.collected.tries([r.run_id for r in runs])
    rows = [t for of in tries.values() for t in of if t.task_key == name]
    rows.sort(key=lambda t: (t.start is not None, t.start.timestamp() if t.start else 0.0), reverse=True)
    return [
        {
            "run": str(t.run_id),
            "try": t.attempt + 1,
            "state": mark(t.state).text,
            "start": t.start,
            "seconds": t.seconds,
            "error": t.error,
        }
        for t in rows
    ]


TASK_COLUMNS = (
    Column("task", "Task", "open", help="Opens its durations and tries"),
    Column("runs", "Runs", "number"),
    Column("failed", "Failed", "number"),
    Column("again", "More than one try", "number"),
    Column("median", "Median, s", "seconds"),
    Column("last", "Newest, s", "seconds"),
)


def _table(found: Scope, points: Mapping[str, Sequence[TaskPoint]]) -> None:
    rows = []
    for task, of in points.items():
        known = [p.seconds for p in of if p.seconds is not None and _mark(p).tone in ("good", "warn")]
        rows.append(
            {
                "task": task,
                "runs": len(of),
                "failed": sum(_mark(p).tone == "bad" for p in of),
                "again": sum(p.tries > 1 for p in of),
                "median": median(known) if known else None,
                "last": of[-1].seconds,
            }
        )
    table(rows, TASK_COLUMNS, key="runs_tasks", zone=found.here.zone, name="tasks", empty="No task has been collected.")
