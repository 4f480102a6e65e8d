"""Durations over time for charts: few columns of many records, read whole."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from app.store.base import Repository
from app.store.collected.tables import flows_table, runs_table, tasks_table, updates_table


class TaskPoint(NamedTuple):
    """Duration of one task in one run. seconds: None where it did not run or has not ended."""

    run_id: int
    task: str
    run_start: datetime
    state: str
    seconds: float | None
    tries: int
    generated: bool


class FlowPoint(NamedTuple):
    """Duration of one dataset in one update. rows: written; None where the event log does not say."""

    update_id: str
    dataset: str
    update_start: datetime
    status: str
    seconds: float | None
    rows: int | None
    generated: bool


class Series(Repository):
    """The part of the collected records that draws durations over time."""

    def task_points(self, side: str, since: datetime) -> list[TaskPoint]:
        """Every task of the runs of a side that started since then, oldest run first."""
        r, t = runs_table.c, tasks_table.c
        query = (
            select(t.run_id, t.task_key, r.start_time, t.state, t.seconds, t.tries, r.generated)
            .select_from(tasks_table.join(runs_table, r.run_id == t.run_id))
            .where(r.side == side, r.start_time >= since)
            .order_by(r.start_time, t.run_id, t.start)
        )
        return [TaskPoint._make(row) for row in self._all(query)]

    def flow_points(self, environment: str, since: datetime) -> list[FlowPoint]:
        """Every dataset of the updates of an environment requested since then, oldest update first."""
        f, u = flows_table.c, updates_table.c
        query = (
            select(f.update_id, f.dataset, u.start_time, f.status, f.seconds, f.rows, u.generated)
            .select_from(flows_table.join(updates_table, u.update_id == f.update_id))
            .where(u.environment == environment, u.start_time >= since, u.validate_only.is_(False))
            .order_by(u.start_time, f.update_id)
        )
        return [FlowPoint._make(row) for row in self._all(query)]
