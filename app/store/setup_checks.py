"""Checks of the setup by the worker: what was requested, and the newest reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Integer, Row, Table, delete, insert, select, update

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import CleanJson, Identity

KEPT = 50
"""So many ended checks are kept beside the newest that passed."""

setup_checks_table = Table(
    "setup_checks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("requested_by", Identity(320), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("start_warehouse", Boolean, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("passed", Boolean),
    Column("report", CleanJson),
)


@dataclass(frozen=True)
class SetupCheck:
    """One check of the setup. ended_at, passed and report are None until it has ended."""

    number: int
    requested_by: str
    requested_at: datetime
    start_warehouse: bool
    ended_at: datetime | None = None
    passed: bool | None = None
    report: Mapping[str, Any] | None = None


class SetupCheckRepository(Repository):
    """Requests, claims and results. All methods raise StoreError."""

    _what = "the checks of the setup"

    def request(self, requested_by: str, *, start_warehouse: bool = False) -> int:
        """Requests a check by the worker and gives its number; one that waits already and does as much serves both."""
        t = setup_checks_table.c
        with self._write() as c:
            waiting = select(t.number).where(t.ended_at.is_(None))
            if start_warehouse:
                waiting = waiting.where(t.start_warehouse.is_(True))
            found = c.execute(waiting.order_by(t.number).limit(1)).scalar()
            if found is not None:
                return int(found)
            values = {
                "requested_by": requested_by,
                "requested_at": self._clock(),
                "start_warehouse": start_warehouse,
            }
            made = c.execute(insert(setup_checks_table).values(values).returning(t.number))
            return int(made.scalar_one())

    def waiting(self) -> SetupCheck | None:
        """The oldest check that has not ended; None where none waits."""
        t = setup_checks_table.c
        return _check(self._one(select(setup_checks_table).where(t.ended_at.is_(None)).order_by(t.number).limit(1)))

    def finish(self, number: int, passed: bool, report: Mapping[str, Any]) -> None:
        """Records what a check found; forgets old ones."""
        t = setup_checks_table.c
        values = {"ended_at": self._clock(), "passed": passed, "report": report}
        with self._write() as c:
            c.execute(update(setup_checks_table).where(t.number == number).values(values))
            best = select(t.number).where(t.passed.is_(True)).order_by(t.number.desc()).limit(1)
            newest = c.execute(best).scalar()
            old = (t.number <= number - KEPT) & t.ended_at.is_not(None)
            c.execute(delete(setup_checks_table).where(old & (t.number != (newest or 0))))

    def newest(self) -> SetupCheck | None:
        """The check that ended last; None before the first."""
        t = setup_checks_table.c
        ended = select(setup_checks_table).where(t.ended_at.is_not(None)).order_by(t.number.desc()).limit(1)
        return _check(self._one(ended))

    def has_passed(self) -> bool:
        """Whether any check passed."""
        t = setup_checks_table.c
        return self._one(select(t.number).where(t.passed.is_(True)).limit(1)) is not None


def _check(row: Row[Any] | None) -> SetupCheck | None:
    return None if row is None else SetupCheck(**row._mapping)
