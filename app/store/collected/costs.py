"""Reads what run time and cost rest on: billing records, times of tasks, and from when they are needed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, func, select

from app.store.base import Repository, UtcDateTime
from app.store.collected.records import UsageRecord
from app.store.collected.sql import between, parts
from app.store.collected.tables import flows_table, runs_table, tasks_table, usage_table


class CostsReading(Repository):
    """What the repository of collected records reads of run time and costs. Searches for runs leave out generated ones.

    All methods raise StoreError when the store cannot be read.
    """

    def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        side: str | None = None,
        limit: int = 10_000,
    ) -> list[UsageRecord]:
        """Billing records whose usage started within [since, until), newest first."""
        t = usage_table.c
        # Rows in the order of the record's fields: naming each value doubles the time of thousands of rows.
        query = between(select(*(t[f.name] for f in fields(UsageRecord))), t.start, since, until)
        if side is not None:
            query = query.where(t.side == side)
        query = query.order_by(t.start.desc(), t.record_id).limit(limit)
        return [UsageRecord(*list(r)) for r in self._all(query)]

    def billed(self, since: datetime, until: datetime) -> dict[str, tuple[int, int, int, int]]:
        """What was billed for usage that started within [since, until), by side: billionths of a DBU, of a US dollar,
        records, records without a price."""
        u = usage_table.c
        query = select(
            u.side,
            func.sum(_nano(u.dbu)).label("nano_dbu"),
            func.sum(_nano(func.coalesce(u.usd, 0.0))).label("nano_usd"),
            func.count().label("records"),
            func.sum(case((u.usd.is_(None), 1), else_=0)).label("unpriced"),
        ).where(u.generated.is_(False))
        rows = self._all(between(query, u.start, since, until).group_by(u.side))
        return {r.side: (int(r.nano_dbu), int(r.nano_usd), int(r.records), int(r.unpriced)) for r in rows}

    def delivered_from(self, side: str, moment: datetime) -> datetime | None:
        """From when runs of a side show all that its first success after `moment` took: the start of its newest success
        before, else of its oldest run; None without a run."""
        t = runs_table.c
        before = self._run_start(func.max, side, t.result_state == "SUCCESS", t.start_time < moment)
        return before or self._run_start(func.min, side)

    def first_run(self, side: str, since: datetime | None = None) -> datetime | None:
        """Start of a side's first run, or of its first since then; None without one."""
        return self._run_start(func.min, side, *(() if since is None else (runs_table.c.start_time >= since,)))

    def last_run(self, side: str) -> datetime | None:
        """Start of a side's newest run; None without one."""
        return self._run_start(func.max, side)

    def task_times(self, run_ids: Collection[int]) -> dict[int, list[tuple[datetime, datetime, float, str | None]]]:
        """Start, end, seconds of execution and pipeline of each task of a run that ran; without runs of which a task's
        times are not known."""
        t = tasks_table.c
        found: dict[int, list[tuple[datetime, datetime, float, str | None]]] = {}
        unknown = set()
        for part in parts(list(run_ids)):
            query = select(t.run_id, t.start, t.end, t.seconds, t.pipeline_id).where(
                t.run_id.in_(part), t.start.is_not(None)
            )
            for r in self._all(query):
                if r.end is None or r.seconds is None:
                    unknown.add(r.run_id)
                else:
                    found.setdefault(r.run_id, []).append((r.start, r.end, r.seconds, r.pipeline_id))
        return {run_id: times for run_id, times in found.items() if run_id not in unknown}

    def first_tables(self, update_ids: Collection[str]) -> dict[str, datetime]:
        """When the first table of each update began, where the event log says so."""
        f = flows_table.c
        found: dict[str, datetime] = {}
        for part in parts(list(update_ids)):
            query = (
                select(f.update_id, func.min(f.start, type_=UtcDateTime).label("at"))
                .where(f.update_id.in_(part), f.start.is_not(None))
                .group_by(f.update_id)
            )
            found.update((r.update_id, r.at) for r in self._all(query))
        return found

    def _run_start(self, which: Any, side: str, *conditions: ColumnElement[bool]) -> datetime | None:
        t = runs_table.c
        query: Select[Any] = select(which(t.start_time, type_=UtcDateTime).label("at")).where(
            t.side == side, t.generated.is_(False), *conditions
        )
        found = self._one(query)
        at: datetime | None = None if found is None else found.at
        return at


def _nano(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Whole billionths: sums of them do not depend on the order of the rows."""
    return cast(func.round(column * 1e9), BigInteger)
