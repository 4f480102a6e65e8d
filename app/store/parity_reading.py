"""Reads comparisons: those that are queued or running, results, history, reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Select,
    func,
    select,
)

from app.store.base import Repository
from app.store.parity_records import (
    ParityRun,
    ParityState,
    ParityTable,
    run_of,
    runs_table,
    table_of,
    tables_table,
)


class ParityReader(Repository):
    """Reads of the tables of comparisons. All methods raise StoreError where the store cannot be used."""

    _what = "comparisons"

    def run(self, parity_id: str) -> ParityRun | None:
        """One comparison."""
        found = self._one(select(runs_table).where(runs_table.c.id == parity_id))
        return None if found is None else run_of(found)

    def runs(self, *, sides: str | None = None, limit: int = 100) -> list[ParityRun]:
        """Comparisons, newest request first."""
        query = select(runs_table).order_by(runs_table.c.requested_at.desc(), runs_table.c.id.desc()).limit(limit)
        if sides is not None:
            query = query.where(runs_table.c.sides == sides)
        return [run_of(r) for r in self._all(query)]

    def ended(self, sides: str, limit: int = 2000, *, since: datetime | None = None) -> list[ParityRun]:
        """Comparisons that ended without being cancelled, newest end first; only those that ended since then."""
        r = runs_table.c
        query = select(runs_table).where(r.sides == sides, r.state.in_([ParityState.DONE, ParityState.FAILED]))
        if since is not None:
            query = query.where(r.finished_at >= since)
        return [run_of(row) for row in self._all(query.order_by(r.finished_at.desc()).limit(limit))]

    def table_results(self, parity_id: str) -> list[ParityTable]:
        """Progress and results of one comparison's tables, in its order."""
        query = _without_report().where(tables_table.c.parity_id == parity_id).order_by(tables_table.c.position)
        return [table_of(r) for r in self._all(query)]

    def active(self) -> list[ParityRun]:
        """Comparisons that wait or run, oldest first."""
        query = (
            select(runs_table)
            .where(runs_table.c.state.in_([ParityState.QUEUED, ParityState.RUNNING]))
            .order_by(runs_table.c.requested_at)
        )
        return [run_of(r) for r in self._all(query)]

    def latest(self, sides: str = "production", *, final: bool | None = None) -> dict[str, ParityTable]:
        """The newest finished result of each table. final: only those of a final (or an ordinary) comparison.

        Cancelled ones do not count: nothing was found out. Failed ones do, as not proven.
        """
        t = tables_table.c
        conditions = [t.sides == sides, t.state.in_([ParityState.DONE, ParityState.FAILED])]
        if final is not None:
            conditions.append(t.final == final)
        newest = (
            select(t.table.label("name"), func.max(t.finished_at).label("at"))
            .where(*conditions)
            .group_by(t.table)
            .subquery()
        )
        query = (
            _without_report()
            .join(newest, (t.table == newest.c.name) & (t.finished_at == newest.c.at))
            .where(*conditions)
        )
        return {r.table: table_of(r) for r in self._all(query)}

    def history(self, table: str | None = None, *, sides: str = "production", limit: int = 500) -> list[ParityTable]:
        """Finished results, newest first."""
        t = tables_table.c
        query = _without_report().where(t.sides == sides, t.finished_at.is_not(None))
        if table is not None:
            query = query.where(t.table == table)
        query = query.order_by(t.finished_at.desc(), t.position).limit(limit)
        return [table_of(r) for r in self._all(query)]

    def revision(self, sides: str) -> str:
        """A text that changes whenever `history` of this pair has another result: number of results and newest end."""
        t = tables_table.c
        what: list[Any] = [func.count().label("n"), func.max(t.finished_at).label("at")]
        found = self._one(select(*what).where(t.sides == sides, t.finished_at.is_not(None)))
        return "" if found is None else f"{found.n} {found.at}"

    def report(self, parity_id: str, table: str) -> dict[str, Any] | None:
        """One table's whole report; None where it has none."""
        t = tables_table.c
        found = self._one(select(t.report).where(t.parity_id == parity_id, t.table == table))
        return None if found is None else found[0]

    def hash_key(self, parity_id: str) -> str | None:
        """Secret of the keyed hashes in a comparison's samples; None for one of before such secrets were kept."""
        found = self._one(select(runs_table.c.hash_key).where(runs_table.c.id == parity_id))
        return None if found is None else found[0]


def _without_report() -> Select[Any]:
    return select(*(c for c in tables_table.columns if c.name not in ("report", "sides", "position")))
