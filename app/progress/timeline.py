"""The timeline: planned and actual time of each phase; late, due and next items. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.config.items import Deliverable, Phase, Step
from app.config.schedule import FIRST_RECORD, Span, span_of
from app.progress.facts import Facts, derived
from app.progress.phases import PhaseStatus, phases
from app.progress.standing import Standing

SOON = timedelta(days=7)
"""How long before its last day an item counts as due."""


class Timing(StrEnum):
    """Where an item stands in time.

    MET: it is met. LATE: it is not, and its last day has passed. DUE: its last day is within `SOON`. LATER: its last
    day is further away. UNPLANNED: it has no last day.
    """

    MET = "met"
    LATE = "late"
    DUE = "due"
    LATER = "later"
    UNPLANNED = "unplanned"


@dataclass(frozen=True)
class PlannedItem:
    """An item in time. owner: who is named for it, empty if nobody is.

    due: its last day; met_at: when it was first met, None where no record says so.
    """

    item: Deliverable
    step: Step
    phase: Phase
    standing: Standing
    owner: str
    due: date | None
    met_at: datetime | None
    timing: Timing


@dataclass(frozen=True)
class PlannedPhase:
    """A phase in time. planned: None without a start date. owner: who answers for it, empty if no owner is named.

    started: when its first item was met; ended: since when all are, None while one is open. late: items that are late.
    """

    status: PhaseStatus
    planned: Span | None
    started: datetime | None
    ended: datetime | None
    late: int
    owner: str = ""


@dataclass(frozen=True)
class Timeline:
    """The timeline on the day `today` in the migration's time zone. start: first day of week 1; None: not known."""

    today: date
    start: date | None
    phases: tuple[PlannedPhase, ...]
    items: tuple[PlannedItem, ...]

    @property
    def week(self) -> int | None:
        """The week that `today` is in, from 1; None before the start or without one."""
        if self.start is None or self.today < self.start:
            return None
        return (self.today - self.start).days // 7 + 1

    @property
    def current(self) -> PlannedPhase | None:
        """The phase that the migration is in; None when all are done."""
        return next((p for p in self.phases if p.status.current), None)

    @property
    def late(self) -> tuple[PlannedItem, ...]:
        """Items that should be met by now, the longest overdue first."""
        return tuple(sorted((i for i in self.items if i.timing is Timing.LATE), key=lambda i: i.due or self.today))

    def next(self, limit: int) -> tuple[PlannedItem, ...]:
        """The first `limit` open items that are not late, by their last day, then in the migration file's order."""
        found = [i for i in self.items if i.timing not in (Timing.MET, Timing.LATE)]
        return tuple(sorted(found, key=lambda i: i.due or date.max)[:limit])


def timeline(facts: Facts, found: Sequence[PhaseStatus]) -> Timeline:
    """The timeline of the migration at `facts.now`. found: its phases with their findings."""
    migration = facts.migration
    zone = ZoneInfo(migration.timezone)
    today = facts.now.astimezone(zone).date()
    start = _start(facts, zone)
    planned: list[PlannedPhase] = []
    items: list[PlannedItem] = []
    for status in found:
        phase = status.phase
        mine = [
            PlannedItem(
                d.deliverable,
                s.step,
                phase,
                d.standing,
                d.deliverable.owner,
                due := migration.schedule.due_of(
                    start, s.step.weeks or phase.weeks, d.deliverable.key, s.step.key, phase.key
                ),
                d.standing.record.first_met if d.standing.record else None,
                _timing(d.standing.met, due, today),
            )
            for s in status.steps
            for d in s.deliverables
        ]
        items += mine
        records = [i.standing.record for i in mine if i.standing.record]
        planned.append(
            PlannedPhase(
                status,
                span_of(start, phase.weeks) if start else None,
                min((r.first_met for r in records), default=None),
                max((r.since for r in records), default=None) if status.done == status.total else None,
                sum(i.timing is Timing.LATE for i in mine),
                migration.schedule.group_owner(phase.key),
            )
        )
    return Timeline(today, start, tuple(planned), tuple(items))


@derived
def current_timeline(facts: Facts) -> Timeline:
    """The timeline of the migration's phases with their findings now."""
    return timeline(facts, phases(facts))


def _start(facts: Facts, zone: ZoneInfo) -> date | None:
    start = facts.migration.schedule.start
    if start != FIRST_RECORD:
        return start if isinstance(start, date) else None
    first = min((r.first_met for r in facts.record.values()), default=None)
    return first.astimezone(zone).date() if first else None


def _timing(met: bool, due: date | None, today: date) -> Timing:
    if met:
        return Timing.MET
    if due is None:
        return Timing.UNPLANNED
    if due < today:
        return Timing.LATE
    return Timing.DUE if due - today < SOON else Timing.LATER
