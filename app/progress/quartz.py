"""Compares two schedules by the moments at which they fire."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from databricks_client.quartz import Cron, CronError, zone_of

HORIZON = timedelta(days=400)
"""How far ahead moments are compared: a year with both changes of the clocks, and what fires once in it."""

LEAD = timedelta(days=7)
"""How far back they are compared too: the firing nearest to a coming one may be a past one."""

SAMPLED = 1000
"""First firings that distances are measured from."""

Pattern = tuple[tuple[int, int], ...]
"""(minute, second) of each firing in a quarter of an hour, counted from its beginning."""

Quarters = list[Pattern]

# The clocks of every zone differ from UTC by whole quarters of an hour, and change at one.
_QUARTER = timedelta(minutes=15)
_NOTHING: Pattern = ()
_A_DAY = 96
"""Quarters of an hour in a day."""


class Schedule(NamedTuple):
    """A Quartz expression in a time zone, by its name; two names may stand for one zone (`US/Eastern`)."""

    quartz: str
    timezone: str


@dataclass(frozen=True)
class ScheduleComparison:
    """Two schedules within HORIZON.

    agree: both fire, and at the same moments. ..._per_day: mean number of firings. offsets: signed seconds from each of
    the first baseline firings to the nearest candidate firing; empty where either never fires.
    """

    agree: bool
    baseline_per_day: float
    candidate_per_day: float
    offsets: tuple[int, ...]

    @property
    def furthest(self) -> int:
        """Seconds by which the first firings differ most; 0 where there are none."""
        return max((abs(o) for o in self.offsets), default=0)

    @property
    def nearest(self) -> int | None:
        """Seconds by which the first firings differ least; None where there are none."""
        return min((abs(o) for o in self.offsets), default=None)


def compare(baseline: Schedule, candidate: Schedule, since: datetime) -> ScheduleComparison:
    """Compares two schedules from the day of `since` on. Raises ValueError for what is no schedule of Quartz."""
    return _compare(baseline, candidate, since.astimezone(UTC).date())


@lru_cache(maxsize=256)
def _compare(baseline: Schedule, candidate: Schedule, day: date) -> ScheduleComparison:
    start = datetime.combine(day, time(), UTC) - LEAD
    (old, old_zone), (new, new_zone) = _read(baseline), _read(candidate)
    shared: dict[Pattern, Pattern] = {}
    mine = _quarters(old, old_zone, start, shared)
    theirs = mine if baseline == candidate else _quarters(new, new_zone, start, shared)
    firings = sum(map(len, mine)), sum(map(len, theirs))
    days = (LEAD + HORIZON) / timedelta(days=1)
    return ScheduleComparison(
        agree=all(firings) and mine == theirs,
        baseline_per_day=firings[0] / days,
        candidate_per_day=firings[1] / days,
        offsets=_offsets(mine, theirs) if all(firings) else (),
    )


def _read(schedule: Schedule) -> tuple[Cron, ZoneInfo]:
    try:
        return Cron.parse(schedule.quartz), zone_of(schedule.timezone)
    except CronError as e:
        raise ValueError(f"{schedule.quartz!r} in {schedule.timezone!r} is no Quartz schedule: {e}") from e


def _quarters(cron: Cron, zone: ZoneInfo, start: datetime, shared: dict[Pattern, Pattern]) -> Quarters:
    """The firings in each quarter of an hour of UTC from `start` on.

    A schedule may fire 35 million times, but its quarters have five patterns at most. shared: equal patterns of both
    schedules as one object, which makes comparing them cheap.
    """
    patterns = [
        tuple((m - low, s) for m in cron.minutes if low <= m < low + 15 for s in cron.seconds)
        for low in (0, 15, 30, 45)
    ]
    patterns = [shared.setdefault(p, p) for p in patterns]
    of_day = [patterns[q % 4] if q // 4 in cron.hours else _NOTHING for q in range(_A_DAY)]
    days = dict[int, bool]()
    found = []
    for local in _local_quarters(zone, start):
        day, quarter = divmod(local, _A_DAY)
        pattern = of_day[quarter] if local >= 0 else _NOTHING
        if pattern and day not in days:
            days[day] = cron.falls_on(date.fromordinal(day))
        found.append(pattern if pattern and days[day] else _NOTHING)
    return found


@lru_cache(maxsize=4)
def _local_quarters(zone: ZoneInfo, start: datetime) -> tuple[int, ...]:
    """The quarters of an hour of UTC from `start` on by the zone's clocks: ordinal of the day times 96 and the quarter
    of the day. -1 in an hour that comes a second time: it counts once, the first time.

    Kept, as most schedules that are compared share a zone: it takes 40 ms, a tenth of `cutover status`.
    """
    moments = ((start + n * _QUARTER).astimezone(zone) for n in range((LEAD + HORIZON) // _QUARTER))
    return tuple(-1 if m.fold else m.toordinal() * _A_DAY + m.hour * 4 + m.minute // 15 for m in moments)


def _offsets(mine: Quarters, theirs: Quarters) -> tuple[int, ...]:
    filled = [n for n, pattern in enumerate(theirs) if pattern]
    offsets = []
    for at, n in islice(_seconds(mine, LEAD // _QUARTER), SAMPLED):
        i = bisect_left(filled, n)
        near = [_at(k, *e) for k in filled[max(i - 1, 0) : i + 2] for e in (theirs[k] if k == n else _ends(theirs[k]))]
        offsets.append(min((other - at for other in near), key=abs))
    return tuple(offsets)


def _seconds(quarters: Quarters, first: int) -> Iterator[tuple[int, int]]:
    """(seconds since the first quarter, number of the quarter) of each firing from the quarter `first` on."""
    for n in range(first, len(quarters)):
        yield from ((_at(n, *entry), n) for entry in quarters[n])


def _at(quarter: int, minute: int, second: int) -> int:
    return quarter * 900 + minute * 60 + second


def _ends(pattern: Pattern) -> tuple[tuple[int, int], tuple[int, int]]:
    return pattern[0], pattern[-1]
