"""How old the data is that a rollback would serve: as the old job's last successful run before the cutover left it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from app.durations import duration
from app.moments import when
from app.operations.definition import Kind
from app.store.operations import OperationRecord

if TYPE_CHECKING:
    from app.store.collected.repository import CollectedRepository

READ = 50
"""Newest successful runs that are looked at for one that was measured."""


@dataclass(frozen=True)
class LastRun:
    """The run of the old job that wrote its tables last, and when it ended."""

    run_id: str
    at: datetime


LastRunBefore = Callable[[datetime], LastRun | None]
"""The last successful run of the old job that ended by a moment; None where none is recorded."""


def last_run(collected: CollectedRepository, moment: datetime) -> LastRun | None:
    """See `LastRunBefore`. Generated history is left out. Raises StoreError."""
    found = collected.runs("baseline", until=moment, states=("SUCCESS",), limit=READ)
    ended = [(r.end_time, r.run_id) for r in found if not r.generated and r.end_time and r.end_time <= moment]
    return LastRun(str(max(ended)[1]), max(ended)[0]) if ended else None


def standing(cutover: OperationRecord | None, rollback: OperationRecord | None) -> OperationRecord | None:
    """The cutover that holds, by the newest verified operation of either kind; None where the old side serves."""
    if cutover is None or cutover.ended_at is None:
        return None
    if rollback is not None and rollback.ended_at is not None and rollback.ended_at > cutover.ended_at:
        return None
    return cutover


def old_from(cutover: OperationRecord | None, now: datetime) -> datetime:
    """The moment by which the old job wrote its tables last: the start of the cutover that holds, else now."""
    return now if cutover is None else cutover.started_at or cutover.created_at


def note(kind: Kind, last: LastRun | None, now: datetime) -> str:
    """A sentence for the plan of a cutover or rollback."""
    if last is None:
        return "how old the data would be after a rollback is unknown: no successful run of the old job is recorded"
    what = f"run {last.run_id} of the old job left at {when(last.at)}"
    if kind is Kind.CUTOVER:
        return f"a rollback would serve what {what}, {_old(last, now)} old now and older then: the old job is paused"
    return f"consumers go back to what {what}: the data is {_old(last, now)} old"


def _old(last: LastRun, now: datetime) -> str:
    return duration(max(0.0, (now - last.at).total_seconds()))
