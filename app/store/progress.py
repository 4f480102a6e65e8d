"""The record of progress: for each item since when it is met, and every change of it.

One row an item, which the worker renews, and an append-only list of transitions. A row counts only for the rule that it
was made by: `rule` is a digest of what the item needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Index, Integer, Row, Table, delete, insert, select

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import CleanJson, FreeText, Identity

items = Table(
    "progress_items",
    metadata,
    Column("key", Identity(220), primary_key=True),
    Column("rule", Identity(64), nullable=False),
    Column("first_met", UtcDateTime, nullable=False),
    Column("last_met", UtcDateTime, nullable=False),
    Column("regressed_at", UtcDateTime),
    Column("met_again", UtcDateTime),
    Column("cause", FreeText, nullable=False),
    Column("evidence_ids", CleanJson, nullable=False),
)

transitions = Table(
    "progress_transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", Identity(220), nullable=False),
    Column("change", Identity(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("cause", FreeText, nullable=False),
    Column("evidence_ids", CleanJson, nullable=False),
    Index("ix_progress_transitions_key", "key", "id"),
    Index("ix_progress_transitions_at", "at"),
)


class Change(StrEnum):
    """What became of an item."""

    MET = "met"
    REGRESSED = "regressed"
    MET_AGAIN = "met again"


@dataclass(frozen=True)
class ItemRecord:
    """An item that was met at least once.

    key: of a deliverable, metric or sign-off; of a gate, `gate:` and its key. rule: digest of what it needed.
    first_met: when it first was. last_met: until when that is known to be true. regressed_at: since when evidence
    disproves it, None while it is met. met_again: when it was met after its last regression, None without one.
    cause: of the last change, in words; references: ids of the runs, comparisons and operations behind it.
    """

    key: str
    rule: str
    first_met: datetime
    last_met: datetime
    regressed_at: datetime | None = None
    met_again: datetime | None = None
    cause: str = ""
    references: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether it is met as far as is recorded."""
        return self.regressed_at is None

    @property
    def since(self) -> datetime:
        """Since when it is met, or disproved."""
        return self.regressed_at or self.met_again or self.first_met


@dataclass(frozen=True)
class Transition:
    """One change of one item. at: when it happened by its evidence; recorded_at: when the worker saw it."""

    key: str
    change: Change
    at: datetime
    recorded_at: datetime
    cause: str = ""
    references: tuple[str, ...] = ()


class ProgressRepository(Repository):
    """Reads and writes the record of progress."""

    _what = "the record of progress"

    def records(self) -> dict[str, ItemRecord]:
        """The record of every item that was met once, by key."""
        return {row.key: _record(row) for row in self._all(select(items))}

    def write(self, changes: Sequence[tuple[ItemRecord | None, ItemRecord, Transition | None]]) -> int:
        """Replaces records and appends their transitions, in one transaction; returns how many were written.

        changes: each the record that was read (None: there was none), the new one, and the transition between them. An
        item that another process changed since it was read is left out: that process has seen the same evidence.
        """
        with self._write() as c:
            keys = [new.key for _, new, _ in changes]
            rows = c.execute(select(items).where(items.c.key.in_(keys)).with_for_update())
            there = {row.key: _record(row) for row in rows}
            mine = [(new, change) for before, new, change in changes if there.get(new.key) == before]
            if mine:
                c.execute(delete(items).where(items.c.key.in_([new.key for new, _ in mine])))
                c.execute(insert(items), [_values(asdict(new)) for new, _ in mine])
            if made := [_values(asdict(change)) for _, change in mine if change is not None]:
                c.execute(insert(transitions), made)
        return len(mine)

    def transitions(self, key: str | None = None, since: datetime | None = None, limit: int = 500) -> list[Transition]:
        """Transitions, newest first; of one item, and those that happened since a time, where given."""
        query = select(transitions).order_by(transitions.c.id.desc()).limit(limit)
        if key is not None:
            query = query.where(transitions.c.key == key)
        if since is not None:
            query = query.where(transitions.c.at >= since)
        return [
            Transition(r.key, Change(r.change), r.at, r.recorded_at, r.cause, tuple(r.evidence_ids))
            for r in self._all(query)
        ]


def _record(row: Row[Any]) -> ItemRecord:
    values = dict(row._mapping)
    ids = tuple(values.pop("evidence_ids"))
    return ItemRecord(**values, references=ids)


def _values(fields: Mapping[str, object]) -> dict[str, object]:
    values = {k: v for k, v in fields.items() if k != "references"}
    references = fields["references"]
    return values | {"evidence_ids": list(references) if isinstance(references, tuple) else []}
