"""The side that serves a table's public name now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.config.migration import Table
from app.moments import when
from app.progress.facts import SWAPS, Facts
from app.store.collected.records import TableRecord
from app.store.operations import OperationRecord


@dataclass(frozen=True)
class Serving:
    """side: `baseline`, `candidate` or `unknown`; how: how that side serves it, in words.

    outdated: an operation that changes which side serves has ended since the table was read: then it is unknown.
    """

    table: str
    side: str
    how: str
    as_of: datetime | None
    outdated: bool = False


def serving_sides(facts: Facts) -> tuple[Serving, ...]:
    """Which side serves each table, never by what was read before the last cutover or rollback ended."""
    return tuple(_since(facts.newest_of(SWAPS), t, facts.snapshot.tables) for t in facts.migration.tables)


def _since(last: OperationRecord | None, table: Table, records: Mapping[str, TableRecord]) -> Serving:
    found = serving_side(table, records)
    read = [r.as_of for n in (table.baseline, table.candidate, table.kept) if (r := records.get(n))]
    if last is None or last.ended_at is None or not read or min(read) >= last.ended_at:
        return found
    text = f"being read: the {last.kind} ended at {when(last.ended_at, seconds=True)}, after the last reading"
    return Serving(table.name, "unknown", text, min(read), outdated=True)


def serving_side(table: Table, records: Mapping[str, TableRecord]) -> Serving:
    """The side that consumers of `table` read, from the newest collected state of its names."""
    public, candidate, kept = (records.get(n) for n in (table.baseline, table.candidate, table.kept))
    if public is None:
        return Serving(table.name, "unknown", "not collected yet", None)
    if not public.exists:
        return Serving(
            table.name, "unknown", f"{table.baseline} does not exist: consumers cannot read it", public.as_of
        )
    if public.table_type == "VIEW":
        if public.serves == table.candidate:
            return Serving(table.name, "candidate", f"a view over {table.candidate}", public.as_of)
        if public.serves == table.kept:
            return Serving(table.name, "baseline", f"a view over {table.kept}", public.as_of)
        return Serving(table.name, "unknown", "a view over something else", public.as_of)
    if kept is not None and kept.exists and candidate is not None and not candidate.exists:
        return Serving(table.name, "candidate", f"renamed from {table.candidate}", public.as_of)
    return Serving(table.name, "baseline", "the old job's own table", public.as_of)
