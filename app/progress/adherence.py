"""Adherence: whether each slot of a job's schedule had a successful run within its window. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise

from app.config.health import Health
from app.store.collected.records import JobRunRecord
from app.store.definitions import ScheduleState
from databricks_client.quartz import Cron, CronError, zone_of

EARLY = timedelta(minutes=1)
"""How long before its slot a run may start by the platform's clock."""

MOST_SLOTS = 5000
"""Slots that are judged at most; a schedule that fires every few seconds has no slots worth a run each."""


class SlotState(StrEnum):
    """What became of a slot.

    ON_TIME: its first success started in time and nothing failed before it. LATE: a later start succeeded. FAILED: what
    ran in its window failed or was cancelled. MISSED: nothing started. RUNNING, DUE: not decided yet. UNKNOWN: nothing
    is known to have run, but runs were not read, or the schedule not observed, for that time.
    """

    ON_TIME = "on time"
    LATE = "late"
    FAILED = "failed"
    MISSED = "missed"
    RUNNING = "running"
    DUE = "due"
    UNKNOWN = "unknown"

    @property
    def served(self) -> bool:
        """Whether a successful run served the slot."""
        return self in (SlotState.ON_TIME, SlotState.LATE)

    @property
    def broken(self) -> bool:
        """Whether it is decided that no successful run served the slot."""
        return self in (SlotState.FAILED, SlotState.MISSED)


@dataclass(frozen=True)
class Slot:
    """One firing of a schedule. due: in UTC. ends: when its window ends. run: what decided its state, if anything.

    tries: ended runs in its window. observed: whether the schedule was seen active at that time, rather than assumed.
    """

    side: str
    due: datetime
    ends: datetime
    state: SlotState
    run: JobRunRecord | None = None
    tries: int = 0
    observed: bool = True

    @property
    def delay(self) -> timedelta | None:
        """How long after the slot its run started, None without one."""
        return None if self.run is None else max(self.run.start_time - self.due, timedelta(0))


class TooMany(ValueError):
    """The schedule fires too often to be judged slot by slot."""


def slots(
    side: str,
    states: Sequence[ScheduleState],
    runs: Sequence[JobRunRecord],
    since: datetime,
    now: datetime,
    health: Health,
    read_until: datetime | None,
) -> list[Slot]:
    """The slots of a side's schedule that were due within [since, now), oldest first.

    states: its schedule as it was observed. Before the first observation the first one is assumed, not earlier than the
    first of `runs`; a slot that only an assumption names is never missed. runs: ended and running runs of the side in
    any order, generated ones left out by the caller. read_until: when they were last read completely. Raises TooMany.
    """
    mine = sorted((r for r in runs if r.side == side), key=lambda r: (r.start_time, r.run_id))
    ordered = sorted(states, key=lambda s: s.seen_at)
    due = list(islice(_due(ordered, mine[0].start_time - EARLY if mine else now, since, now), MOST_SLOTS + 1))
    if len(due) > MOST_SLOTS:
        raise TooMany(f"the schedule of the {side} job fires more than {MOST_SLOTS:,} times in that time")
    ends = [min(a[0] + timedelta(minutes=health.window_minutes), b[0] - EARLY) for a, b in pairwise(due)]
    if due:
        ends.append(due[-1][0] + timedelta(minutes=health.window_minutes))
    found: list[Slot] = []
    position = 0
    for (at, observed), end in zip(due, ends, strict=True):
        while position < len(mine) and mine[position].start_time < at - EARLY:
            position += 1
        stop = position
        while stop < len(mine) and mine[stop].start_time < end:
            stop += 1
        found.append(_judged(side, at, end, mine[position:stop], now, health, read_until, observed))
        position = stop
    return found


def interval(quartz: str | None, zone: str | None, now: datetime) -> timedelta | None:
    """The longest time between two of the next eight firings of a schedule; None where there is none."""
    if not quartz:
        return None
    try:
        times = list(islice(Cron.parse(quartz).moments(now, zone_of(zone or "UTC")), 9))
    except CronError:
        return None
    return max((b - a for a, b in pairwise(times)), default=None)


def _due(
    states: Sequence[ScheduleState], first_run: datetime, since: datetime, now: datetime
) -> Iterator[tuple[datetime, bool]]:
    """Each firing within [since, now) and whether the schedule was observed then."""
    if not states:
        return
    spans = [(min(first_run, states[0].seen_at), states[0].seen_at, states[0], False)]
    ends = [s.seen_at for s in states[1:]] + [now]
    spans += [(s.seen_at, end, s, True) for s, end in zip(states, ends, strict=True)]
    for start, end, state, observed in spans:
        if not state.active or not state.quartz:
            continue
        try:
            cron, zone = Cron.parse(state.quartz), zone_of(state.timezone or "UTC")
        except CronError:
            continue
        begin = max(start, since)
        for at in cron.moments(begin - timedelta(microseconds=1), zone):
            if at >= min(end, now):
                break
            yield at, observed


def _judged(
    side: str,
    at: datetime,
    end: datetime,
    runs: Sequence[JobRunRecord],
    now: datetime,
    health: Health,
    read_until: datetime | None,
    observed: bool,
) -> Slot:
    ended = [r for r in runs if not r.active]
    good = next((r for r in ended if r.state == "SUCCESS"), None)
    if good is not None:
        punctual = good is runs[0] and good.start_time - at <= timedelta(minutes=health.on_time_minutes)
        return Slot(side, at, end, SlotState.ON_TIME if punctual else SlotState.LATE, good, len(ended), observed)
    if len(ended) < len(runs):
        active = next(r for r in runs if r.active)
        return Slot(side, at, end, SlotState.RUNNING, active, len(ended), observed)
    if ended:
        return Slot(side, at, end, SlotState.FAILED, ended[-1], len(ended), observed)
    if now < end:
        return Slot(side, at, end, SlotState.DUE, None, 0, observed)
    known = observed and read_until is not None and read_until >= end
    return Slot(side, at, end, SlotState.MISSED if known else SlotState.UNKNOWN, None, 0, observed)
