"""What the last rehearsal measured: seconds in which a table has no name, and in which both sides are served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.config.migration import Migration
from app.moments import when
from app.operations.definition import Kind
from app.operations.engine import ABSENT, ANSWERED
from app.store.operations import JournalEntry, OperationsRepository, Phase, State

NOT_MEASURED = "seconds without a name and with both sides mixed are not measured yet: a rehearsal measures them"


def notes(operations: OperationsRepository, migration: Migration) -> tuple[str, ...]:
    """What to expect of a cutover or rollback, by the newest rehearsal that was verified. Raises StoreError."""
    found = operations.find(kinds=[Kind.REHEARSE], states=[State.VERIFIED], migration=migration.name, limit=1)
    if not found:
        return (NOT_MEASURED,)
    entries = [e for e in operations.journal(found[0].id) if e.phase is Phase.DONE]
    absent = {t.name: _absent(entries, t.name) for t in migration.tables}
    mixed = _mixed(entries)
    if mixed is None or all(seconds is None for seconds in absent.values()):
        return (NOT_MEASURED,)
    listed = ", ".join(f"{t} {'not measured' if s is None else f'{s:.1f} s'}" for t, s in absent.items())
    moment = when(found[0].ended_at or found[0].created_at)
    return (
        f"expected time without a name, each way, by the rehearsal of {moment}: {listed}",
        f"expected time with both sides mixed, from the first table's flip to the last's: {mixed:.1f} s",
    )


def _absent(entries: Iterable[JournalEntry], table: str) -> float | None:
    """The longest that nothing had a table's name."""
    return max((float(e.detail[ABSENT]) for e in entries if e.lane == table and ABSENT in e.detail), default=None)


def _mixed(entries: Sequence[JournalEntry]) -> float | None:
    """The longest from the first answer to the last within a stage in which views are flipped."""
    stages: dict[str, list[datetime]] = {}
    for e in entries:
        if e.step == "FlipView" and ANSWERED in e.detail:
            stages.setdefault(e.stage, []).append(datetime.fromisoformat(str(e.detail[ANSWERED])))
    return max(((max(m) - min(m)).total_seconds() for m in stages.values()), default=None)
