"""The cutover that holds now: verified, not rolled back, and nothing newer under way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.config.migration import Table
from app.moments import when
from app.progress.evidence import Finding, Status, unknown
from app.progress.facts import Facts
from app.progress.serving import serving_side
from app.store.collected.records import TableRecord
from app.store.operations import OperationRecord, State

SOURCE = "operations"


def standing_cutover(facts: Facts) -> OperationRecord | Finding:
    """The cutover, ended; or why there is none that holds. One that was undone left all as it was before it."""
    cutover, newest = facts.verified.get("cutover"), facts.started.get("cutover")
    if newest is not None and newest.state in (State.RUNNING, State.NEEDS_HUMAN):
        return _midway("cutover", newest)
    if cutover is None or cutover.ended_at is None:
        if newest is not None and newest.state is State.UNDONE:
            text = f"The newest cutover failed and was undone: {newest.reason}"
            return Finding(Status.FAIL, text, newest.ended_at, SOURCE, (newest.id,))
        return unknown("No cutover has been verified yet", SOURCE)
    back = facts.started.get("rollback")
    if back is not None and back.state in (State.RUNNING, State.NEEDS_HUMAN):
        return _midway("rollback", back)
    undone = facts.verified.get("rollback")
    if undone is not None and (undone.ended_at or facts.now) > cutover.ended_at:
        text = f"Rolled back by {undone.requested_by} at {when(undone.ended_at)}"
        return Finding(Status.FAIL, text, undone.ended_at, SOURCE, (undone.id,))
    return cutover


def _midway(word: str, operation: OperationRecord) -> Finding:
    state = "is running" if operation.state is State.RUNNING else f"needs a person: {operation.reason}"
    return Finding(Status.INCONCLUSIVE, f"A {word} {state}", operation.started_at, SOURCE, (operation.id,))


def serves_all(facts: Facts) -> Finding | None:
    """None where the new side serves every table; else what does not, or what was not read since the last operation."""
    tables = facts.snapshot.tables
    names = [n for t in facts.migration.tables for n in (t.baseline, t.candidate, t.kept)]
    if lacking := unread_tables(facts, names):
        return lacking
    other = [t.name for t in facts.migration.tables if not _new_side(t, tables)]
    if other:
        text = f"The new side does not serve {', '.join(other)}"
        return Finding(Status.FAIL, text, tables_as_of(facts, names), "tables")
    return None


def _new_side(table: Table, records: Mapping[str, TableRecord]) -> bool:
    """Whether the new side serves it, after a cutover that holds: a table that was renamed has no other trace once the
    old one is deleted."""
    public, candidate = records[table.baseline], records[table.candidate]
    renamed = public.exists and public.table_type != "VIEW" and not candidate.exists
    return renamed or serving_side(table, records).side == "candidate"


def unread_tables(facts: Facts, names: list[str]) -> Finding | None:
    """INCONCLUSIVE where a table was not collected, or not since the newest operation ended; else None."""
    missing = [n for n in names if n not in facts.snapshot.tables]
    if missing:
        return unknown(f"Not collected yet: {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}", "tables")
    as_of, ended = tables_as_of(facts, names), last_end(facts)
    if as_of is not None and ended is not None and as_of < ended:
        return unknown(
            f"The tables have not been read since the operation that ended at {when(ended)}", "tables", as_of
        )
    return None


def tables_as_of(facts: Facts, names: list[str]) -> datetime | None:
    """When the one that was read first was read."""
    return min((facts.snapshot.tables[n].as_of for n in names if n in facts.snapshot.tables), default=None)


def last_end(facts: Facts) -> datetime | None:
    """When the newest cutover or rollback ended."""
    found = (facts.started.get(kind) for kind in ("cutover", "rollback"))
    return max((o.ended_at for o in found if o is not None and o.ended_at is not None), default=None)
