"""Freshness of each product table: its last write against the slots of the schedule that writes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.config.migration import Migration, Table
from app.progress.adherence import Slot
from app.progress.serving import serving_side
from app.store.collected.records import TableRecord
from app.store.definitions import ScheduleState


@dataclass(frozen=True)
class Freshness:
    """One side's table. state: `fresh`, `stale`, `not due` or `unknown`; reason: in words, of all but a fresh one.

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
    migration: Migration,
    records: Mapping[str, TableRecord],
    slots: Mapping[str, Sequence[Slot]],
    schedules: Mapping[str, ScheduleState],
    now: datetime,
) -> list[Freshness]:
    """Old and new table of each table of the migration.

    slots: side to the slots of its job; a side without slots to judge by is left out. schedules: side to its schedule
    now. A table is stale where a slot's window was over when the table was read, and its last write was before that
    slot. `not due`: the job is paused, and no slot is missed. After a cutover the old side's is the kept table.
    """
    found = []
    for table in migration.tables:
        serving = serving_side(table, records).side
        for side, record in _of(table, records).items():
            found.append(_judged(table, side, record, slots.get(side), schedules.get(side), serving == side, now))
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
    table: Table,
    side: str,
    record: TableRecord | None,
    slots: Sequence[Slot] | None,
    schedule: ScheduleState | None,
    serves: bool,
    now: datetime,
) -> Freshness:
    name = record.name if record is not None else (table.candidate if side == "candidate" else table.baseline)
    written = None if record is None else record.updated_at
    read = None if record is None else record.rows_as_of or record.as_of
    state, reason, behind = _state(record, slots, schedule, now)
    return Freshness(table.name, name, side, state, reason, written, read, behind, serves)


def _state(
    record: TableRecord | None, slots: Sequence[Slot] | None, schedule: ScheduleState | None, now: datetime
) -> tuple[str, str, int]:
    """State, reason, and number of slots that are over and did not write the table."""
    if record is None or not record.exists:
        return "unknown", "not collected yet" if record is None else "does not exist", 0
    written, read = record.updated_at, record.rows_as_of or record.as_of
    if written is None:
        return "unknown", "its last write is not known", 0
    if schedule is None or not schedule.quartz:
        return "unknown", "its job's schedule is not observed yet", 0
    if slots is None:
        return "unknown", "its job's schedule fires too often", 0
    behind = [s for s in slots if s.due > written and s.ends <= now]
    known = [s for s in behind if s.ends <= read]
    if known:
        return "stale", f"not written for {len(known)} slot{'s' if len(known) > 1 else ''}", len(known)
    if behind:
        return "unknown", "not read since its last slot was over", 0
    return ("fresh", "", 0) if schedule.active else ("not due", "its job is paused", 0)
