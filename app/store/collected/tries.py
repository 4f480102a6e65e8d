"""Reads the tries of tasks and the attempts of runs: retries and repairs."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select, update

from app.store.base import Repository
from app.store.collected.records import AttemptRecord, TryRecord
from app.store.collected.sql import parts
from app.store.collected.tables import attempts_table, runs_table, tasks_table, tries_table


class TriesReading(Repository):
    """The part of the collected records that says how often a run and its tasks were tried."""

    def attempts(self, run_ids: Collection[int]) -> dict[int, list[AttemptRecord]]:
        """The original and the repairs of each run, oldest first; none for a run whose history was not read."""
        found: dict[int, list[AttemptRecord]] = {run_id: [] for run_id in run_ids}
        a = attempts_table.c
        for part in parts(list(run_ids)):
            for row in self._all(select(attempts_table).where(a.run_id.in_(part)).order_by(a.run_id, a.number)):
                found[row.run_id].append(AttemptRecord(**row._mapping))
        return found

    def tries(self, run_ids: Collection[int]) -> dict[int, list[TryRecord]]:
        """The tries of each run's tasks before the newest one, oldest first."""
        found: dict[int, list[TryRecord]] = {run_id: [] for run_id in run_ids}
        t = tries_table.c
        for part in parts(list(run_ids)):
            query = select(tries_table).where(t.run_id.in_(part)).order_by(t.run_id, t.task_key, t.attempt)
            for row in self._all(query):
                found[row.run_id].append(TryRecord(**row._mapping))
        return found

    def runs_without_history(self, side: str, limit: int) -> list[int]:
        """Ended runs with tasks that were tried again since their history was read, newest first."""
        r, t = runs_table.c, tasks_table.c
        tries = func.sum(t.tries)
        query = (
            select(r.run_id)
            .select_from(tasks_table.join(runs_table, r.run_id == t.run_id))
            .where(t.tries > 1, r.side == side, r.end_time.is_not(None))
            .group_by(r.run_id, r.start_time, r.tries_read)
            .having(tries > r.tries_read)
            .order_by(r.start_time.desc())
            .limit(limit)
        )
        return [int(row.run_id) for row in self._all(query)]

    def history_gone(self, run_id: int) -> None:
        """Records that the workspace no longer has a run's history: it is not read again."""
        r, t = runs_table.c, tasks_table.c
        tries = select(func.coalesce(func.sum(t.tries), 0)).where(t.run_id == run_id, t.tries > 1).scalar_subquery()
        with self._write() as c:
            c.execute(update(runs_table).where(r.run_id == run_id).values(tries_read=tries))
