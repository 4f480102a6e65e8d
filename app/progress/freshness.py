"""Freshness of each product table: its last write against the slots of the schedule that writes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.config.migration import Migration, Table
from app.progress.adherence import Slot
from app.progress.serving import serving_side
from app.store.collected.records import TableRecord


@dataclass(frozen=True)
class Freshness:
    """One side's table. state: `fresh`, `stale` or `unknown`; reason: in words, of a stale or unknown one.

    written_at: its last write as the table's history has it, of a materialized view the end of its newest update.
    behind: slots whose window has ended since, each of which should have written it. serves: consumers read it.
    """

    table: str
    name: str
    side: str
    state: str
    reason: str
    written_at: datetime | None
    as_of: datetime | None
    behind: int
    serves: bool

    def age(self, now: datetime) -> timedelta | None:
        """Time since its last write."""
        return None if self.written_at is None else max(now - self.written_at, timedelta(0))


def freshness(
    migration: Migration, records: Mapping[str, TableRecord], slots: Mapping[str, Sequence[Slot]], now: datetime
) -> list[Freshness]:
    """Old and new table of each table of the migration. slots: side to the slots of its job, `[]` with no schedule.

    A table is stale where a slot's window ended after the table was last written before that slot: a job that is
    paused has no slots, so its tables are as fresh as they can be. After a cutover the old side's is the kept table.
    """
    found = []
    for table in migration.tables:
        serving = serving_side(table, records).side
        for side, record in _of(table, records).items():
            found.append(_judged(table, side, record, slots.get(side, ()), serving == side, now))
    return found


def _of(table: Table, records: Mapping[str, TableRecord]) -> dict[str, TableRecord | None]:
    """Side to the record of the table that its job or pipeline writes."""
    kept, public, candidate = (records.get(n) for n in (table.kept, table.baseline, table.candidate))
    renamed = candidate is not None and not candidate.exists and kept is not None and kept.exists
    return {
        "baseline": kept if kept is not None and kept.exists else public,
        "candidate": public if renamed else candidate,
    }


def _judged(
    table: Table, side: str, record: TableRecord | None, slots: Sequence[Slot], serves: bool, now: datetime
) -> Freshness:
    name = record.name if record is not None else (table.candidate if side == "candidate" else table.baseline)
    if record is None or not record.exists:
        reason = "not collected yet" if record is None else "does not exist"
        as_of = None if record is None else record.as_of
        return Freshness(table.name, name, side, "unknown", reason, None, as_of, 0, serves)
    written, as_of = record.updated_at, record.rows_as_of or record.as_of
    if written is None:
        return Freshness(table.name, name, side, "unknown", "its last write is not known", None, as_of, 0, serves)
    behind = [s for s in slots if s.due > written and s.ends <= now]
    if behind:
        many = f"{len(behind)} slots" if len(behind) > 1 else "1 slot"
        return Freshness(
            table.name, name, side, "stale", f"not written for {many}", written, as_of, len(behind), serves
        )
    reason = "" if slots else "no slot was due"
    return Freshness(table.name, name, side, "fresh", reason, written, as_of, 0, serves)
