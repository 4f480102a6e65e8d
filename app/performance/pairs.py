"""Pairs of an old and a new delivery: by scheduled time, else by the comparison that took them as one pair. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from app.performance.attribution import Delivery
from app.store.collected.records import ScheduleRecord
from databricks_client.quartz import Cron, CronError, zone_of

LATEST_START = timedelta(hours=1)
"""A scheduled run that started longer than this after a slot of the schedule as it is now belongs to another one."""

EARLIEST_START = timedelta(seconds=60)
"""Clocks of scheduler and service differ by less."""

FARTHEST = timedelta(hours=2)
"""Between the slots of one pair. The guide's schedule of the new side starts 59 minutes after the old one."""

UNSCHEDULED = timedelta(minutes=30)
"""Between the starts of one pair, where the old side has no schedule that can be read."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Compared:
    """The job runs that a comparison took as one pair. written: when both sides had been written."""

    baseline_run: int
    candidate_run: int
    written: datetime


@dataclass(frozen=True)
class Pair:
    """An old and a new delivery of the same data. at: the old side's slot, else when both sides had been written."""

    baseline: Delivery
    candidate: Delivery
    by: Literal["schedule", "comparison"]
    at: datetime


def pairs(
    deliveries: Iterable[Delivery], schedules: Mapping[str, ScheduleRecord], compared: Iterable[Compared]
) -> tuple[Pair, ...]:
    """Pairs of measured deliveries, newest first; each delivery in at most one. Generated history makes no pair.

    Of several that fit, the closest slots decide, then the comparison whose sides were written first.
    """
    sides: dict[str, list[Delivery]] = {"baseline": [], "candidate": []}
    for d in deliveries:
        if d.side in sides and not d.run.generated:
            sides[d.side].append(d)
    found: list[Pair] = []
    used: set[int] = set()

    def take(old: Delivery, new: Delivery, by: Literal["schedule", "comparison"], at: datetime) -> None:
        if old.run.run_id not in used and new.run.run_id not in used:
            used.update((old.run.run_id, new.run.run_id))
            found.append(Pair(old, new, by, at))

    for _, at, _, _, old, new in sorted(_by_slot(sides, schedules), key=lambda edge: edge[:4]):
        take(old, new, "schedule", at)
    by_run = {d.run.run_id: d for side in sides.values() for d in side}
    for c in sorted(compared, key=lambda c: (c.written, c.baseline_run, c.candidate_run)):
        if c.baseline_run in by_run and c.candidate_run in by_run:
            take(by_run[c.baseline_run], by_run[c.candidate_run], "comparison", c.written)
    return tuple(sorted(found, key=lambda p: (p.at, p.baseline.run.run_id), reverse=True))


_Edge = tuple[timedelta, datetime, int, int, Delivery, Delivery]


def _by_slot(sides: Mapping[str, Sequence[Delivery]], schedules: Mapping[str, ScheduleRecord]) -> Iterable[_Edge]:
    slots = {side: _Slots.of(schedules.get(side)) for side in sides}
    farthest = min(FARTHEST, slots["baseline"].half_gap)
    new = sorted(
        ((slot, d) for d in sides["candidate"] if (slot := slots["candidate"].slot_of(d)) is not None),
        key=lambda e: (e[0], e[1].run.run_id),
    )
    moments = [slot for slot, _ in new]
    for old in sides["baseline"]:
        at = slots["baseline"].slot_of(old)
        if at is None:
            continue
        for slot, other in new[bisect_right(moments, at - farthest) : bisect_right(moments, at + farthest)]:
            yield abs(slot - at), at, old.run.run_id, other.run.run_id, old, other


@dataclass(frozen=True)
class _Slots:
    """The slots of one side's schedule as it is now; cron is None where it has none that can be read."""

    cron: Cron | None
    zone: ZoneInfo | None

    @classmethod
    def of(cls, schedule: ScheduleRecord | None) -> _Slots:
        if schedule is None or schedule.quartz is None or schedule.timezone is None:
            return cls(None, None)
        try:
            return cls(Cron.parse(schedule.quartz), zone_of(schedule.timezone))
        except CronError:
            return cls(None, None)

    @property
    def half_gap(self) -> timedelta:
        """Half of the shortest time between two slots of a day."""
        if self.cron is None:
            return UNSCHEDULED
        seconds = _seconds(self.cron)
        around = [*seconds, seconds[0] + 24 * 3600]
        return timedelta(seconds=min(b - a for a, b in pairwise(around)) / 2)

    def slot_of(self, delivery: Delivery) -> datetime | None:
        """The slot that a delivery served, that of its newest scheduled run; None where no run was scheduled."""
        run = next((r for r in (delivery.run, *reversed(delivery.attempts)) if r.trigger == "PERIODIC"), None)
        if run is None:
            return None
        slot = self._before(run.start_time + EARLIEST_START)
        return slot if slot is not None and run.start_time - slot <= LATEST_START else run.start_time

    def _before(self, moment: datetime) -> datetime | None:
        """The newest slot at or before a moment of that day or the day before, in UTC."""
        if self.cron is None or self.zone is None:
            return None
        local = moment.astimezone(self.zone)
        seconds = _seconds(self.cron)
        of_day = (local.hour * 60 + local.minute) * 60 + local.second
        for day, last in ((local.date(), bisect_right(seconds, of_day)), (local.date() - DAY, len(seconds))):
            if not self.cron.falls_on(day) or not last:
                continue
            hour, rest = divmod(seconds[last - 1], 3600)
            wall = datetime(day.year, day.month, day.day, hour, rest // 60, rest % 60, tzinfo=self.zone)
            slot = wall.astimezone(UTC)
            # A time that the clock leaves out has no slot.
            if slot <= moment and slot.astimezone(self.zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                return slot
        return None


@lru_cache(maxsize=8)
def _seconds(cron: Cron) -> tuple[int, ...]:
    """The seconds after midnight at which it fires, on the days on which it does."""
    return tuple((h * 60 + m) * 60 + s for h in cron.hours for m in cron.minutes for s in cron.seconds)
