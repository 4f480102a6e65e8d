"""Reports that were made: when, by whom, and the state of each of their lines, for the changes since then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Row, Table, insert, select

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import CleanJson, Identity

reports_table = Table(
    "reports",
    metadata,
    Column("id", Identity(40), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Identity(320), nullable=False),
    Column("states", CleanJson, nullable=False),
    Index("ix_reports_at", "at"),
)


@dataclass(frozen=True)
class MadeReport:
    """A report that was made. states: key of each line to its title and its state."""

    id: str
    at: datetime
    by: str
    states: Mapping[str, tuple[str, str]]


class ReportRepository(Repository):
    """Keeps and reads what reports said. All methods raise StoreError where the store cannot be used."""

    _what = "the reports"

    def add(self, made: MadeReport) -> None:
        """Keeps a report."""
        with self._write() as c:
            states = {key: list(value) for key, value in made.states.items()}
            c.execute(insert(reports_table).values(id=made.id, at=made.at, by=made.by, states=states))

    def newest(self) -> MadeReport | None:
        """The report made last; None before the first."""
        newest = select(reports_table).order_by(reports_table.c.at.desc(), reports_table.c.id.desc()).limit(1)
        return _made(self._one(newest))

    def get(self, report_id: str) -> MadeReport | None:
        """One report by its id; None for an unknown one."""
        return _made(self._one(select(reports_table).where(reports_table.c.id == report_id)))


def _made(row: Row[Any] | None) -> MadeReport | None:
    if row is None:
        return None
    return MadeReport(row.id, row.at, row.by, {key: (title, state) for key, (title, state) in row.states.items()})
