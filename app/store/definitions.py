"""What schedules, schemas and settings were observed when, one row for each change: the past is judged by its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Integer, Table, func, insert, select

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import CleanJson, Label

SCHEDULE, SCHEMA, SETTINGS, DRIFT = "schedule", "schema", "settings", "drift"
"""Kinds of definitions: of a job by its side, of a table by its three-level name, of a pipeline or job the settings
that differ from the required ones, and what differs from what the last verified operation left; empty where nothing
does."""

definitions_table = Table(
    "observed_definitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Label(40), nullable=False),
    Column("name", Label(400), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("value", CleanJson, nullable=False),
    Index("ix_observed_definitions_name", "kind", "name", "id"),
)


@dataclass(frozen=True)
class Definition:
    """A definition as it was first seen at `seen_at`; it held until the next one of its kind and name was seen."""

    id: int
    kind: str
    name: str
    seen_at: datetime
    value: Any


@dataclass(frozen=True)
class ScheduleState:
    """A job's schedule from `seen_at` on. active: it was not paused."""

    seen_at: datetime
    quartz: str | None
    timezone: str | None
    active: bool


class DefinitionRepository(Repository):
    """Appends definitions that changed, and reads them. All methods raise StoreError."""

    _what = "observed definitions"

    def observe(self, kind: str, values: Mapping[str, Any], at: datetime) -> None:
        """Keeps each of these values (by name) that is not the newest known one of its kind and name."""
        t = definitions_table.c
        newest = select(func.max(t.id)).where(t.kind == kind).group_by(t.name)
        with self._write() as c:
            known = {r.name: r.value for r in c.execute(select(definitions_table).where(t.id.in_(newest)))}
            new = [
                {"kind": kind, "name": name, "seen_at": at, "value": value}
                for name, value in values.items()
                if name not in known or known[name] != value
            ]
            if new:
                c.execute(insert(definitions_table), new)

    def history(self, kind: str) -> list[Definition]:
        """All definitions of a kind, in the order in which they were seen."""
        t = definitions_table.c
        return [
            Definition(**r._mapping) for r in self._all(select(definitions_table).where(t.kind == kind).order_by(t.id))
        ]

    def schedules(self) -> dict[str, list[ScheduleState]]:
        """Each side's schedule as it was observed, oldest first."""
        found: dict[str, list[ScheduleState]] = {}
        for d in self.history(SCHEDULE):
            found.setdefault(d.name, []).append(
                ScheduleState(d.seen_at, d.value["quartz"], d.value["timezone"], bool(d.value["active"]))
            )
        return found
