"""Compares two schedules by the moments at which they fire."""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from databricks_client.quartz import Cron, CronError, zone_of

HORIZON = timedelta(days=400)
"""How far ahead moments are compared: a year with both changes of the clocks, and what fires once in it."""

YEARS = 40
"""How far ahead days are compared: a fifth Monday of February is up to 40 years after the one before it (across 2100,
else 28), a 29 February up to 8."""

MOST = 20_000
"""Firings that are compared at most beyond HORIZON where the two time zones differ: 50 ms."""

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
    """Two schedules within HORIZON, by the day within YEARS.

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
    old, new = _read(baseline), _read(candidate)
    mine, theirs = _window(old, new, day)
    found = _within(mine, theirs)
    if found.agree and old != new:
        return replace(found, agree=_same_later(old, new, day))
    if any(mine) and any(theirs):
        return found
    # What fires seldom: the window in which the one that fires later does so for the first time.
    days = _days(old[0], day), _days(new[0], day)
    mean = found.baseline_per_day or _mean(old[0], days[0]), found.candidate_per_day or _mean(new[0], days[1])
    if not all(days):
        return ScheduleComparison(False, *mean, ())
    later = _within(*_window(old, new, date.fromordinal(max(days[0][0], days[1][0]))))
    return ScheduleComparison(
        old == new or (later.agree and _same_later(old, new, day)),
        *mean,
        later.offsets or ((days[1][0] - days[0][0]) * 86400,),
    )


Read = tuple[Cron, ZoneInfo]


def _window(old: Read, new: Read, day: date) -> tuple[Quarters, Quarters]:
    start = datetime.combine(day, time(), UTC) - LEAD
    shared: dict[Pattern, Pattern] = {}
    mine = _quarters(*old, start, shared)
    return mine, mine if old == new else _quarters(*new, start, shared)


def _within(mine: Quarters, theirs: Quarters) -> ScheduleComparison:
    """Two schedules within one window."""
    firings = sum(map(len, mine)), sum(map(len, theirs))
    days = (LEAD + HORIZON) / timedelta(days=1)
    return ScheduleComparison(
        agree=all(firings) and mine == theirs,
        baseline_per_day=firings[0] / days,
        candidate_per_day=firings[1] / days,
        offsets=_offsets(mine, theirs) if all(firings) else (),
    )


def _days(cron: Cron, first: date) -> list[int]:
    """The ordinals of the days within YEARS on which it fires, in order."""
    found: list[int] = []
    last = first.toordinal() + YEARS * 365.25
    for year in range(first.year, first.year + YEARS + 1):
        if cron.years is not None and year not in cron.years:
            continue
        for month in sorted(cron.months):
            start, length = date(year, month, 1).toordinal(), monthrange(year, month)[1]
            if cron.days is not None:
                rules, of_month = cron.day_rules, {n for n in cron.days if n <= length}
            else:
                # Quartz counts the days of the week from Sunday as 1; ordinal 1 was a Monday.
                rules = cron.weekday_rules
                of_month = {n for n in range(1, length + 1) if (start + n - 1) % 7 + 1 in (cron.weekdays or ())}
            of_month |= {n for r in rules if (n := r.day(year, month)) is not None}
            found += [o for n in sorted(of_month) if first.toordinal() <= (o := start + n - 1) < last]
    return found


def _mean(cron: Cron, days: Sequence[int]) -> float:
    """Mean number of firings a day within YEARS."""
    return len(days) * len(cron.hours) * len(cron.minutes) * len(cron.seconds) / (YEARS * 365.25)


def _same_later(old: Read, new: Read, day: date) -> bool:
    """Whether two schedules that agree for a year do so within YEARS: the last day of February is the 28th at first."""
    (mine, here), (theirs, there) = old, new
    days, others = _days(mine, day), _days(theirs, day)
    if _clock(mine) == _clock(theirs) and (here == there or days == others):
        return days == others
    each = max(len(_clock(mine)), len(_clock(theirs)))
    most = max(1, MOST // each)
    last = min(days[:most][-1], others[:most][-1]) - 1
    firings = [
        {m for d in of if d <= last for m in _moments(cron, zone, d)}
        for (cron, zone), of in ((old, days), (new, others))
    ]
    # At both ends of the time one of them may have another date.
    start = datetime.combine(day, time(), UTC) + timedelta(days=2)
    end = datetime.combine(date.fromordinal(last), time(), UTC) - timedelta(days=1)
    return {m for m in firings[0] if start <= m < end} == {m for m in firings[1] if start <= m < end}


def _clock(cron: Cron) -> tuple[tuple[int, int], ...]:
    """The hours and minutes at which it fires, on the days on which it does."""
    return tuple((h, m) for h in cron.hours for m in cron.minutes)


def _moments(cron: Cron, zone: ZoneInfo, day: int) -> Iterator[datetime]:
    """Its firings on one day to the minute: that their seconds agree, a year has shown."""
    at = date.fromordinal(day)
    for hour, minute in _clock(cron):
        wall = datetime(at.year, at.month, at.day, hour, minute, tzinfo=zone)
        moment = wall.astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
            yield moment


def _read(schedule: Schedule) -> Read:
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

    Kept, as most schedules that are compared share a zone. Only days beside a change of the clocks are asked quarter by
    quarter: asking for each of the year's took 40 ms, a tenth of `cutover status`.
    """
    count = (LEAD + HORIZON) // _QUARTER
    found: list[int] = []
    for first in range(0, count, _A_DAY):
        some = range(first, min(first + _A_DAY, count))
        around = [(start + (first + n) * _QUARTER).astimezone(zone) for n in (0, -_A_DAY, _A_DAY)]
        if len({m.utcoffset() for m in around}) == 1:
            begin = _local_quarter(around[0])
            found += range(begin, begin + len(some))
        else:
            found += (_local_quarter((start + n * _QUARTER).astimezone(zone)) for n in some)
    return tuple(found)


def _local_quarter(moment: datetime) -> int:
    return -1 if moment.fold else moment.toordinal() * _A_DAY + moment.hour * 4 + moment.minute // 15


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
