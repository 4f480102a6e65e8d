"""Quartz cron expressions, as job schedules use them, and the moments they name in a time zone."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
LAST_YEAR = 2199


class CronError(ValueError):
    """Not a Quartz cron expression; the text says which field and why."""


@dataclass(frozen=True)
class DayRule:
    """Days of the month beyond plain numbers.

    kind: `L` (last, minus n), `W` (weekday nearest to n), `LW` (weekday nearest to the last, minus n), `dow-L` (last
    weekday w), `#` (n-th weekday w). weekday: 1 = Sunday.
    """

    kind: str
    n: int = 0
    weekday: int = 0

    def day(self, year: int, month: int) -> int | None:
        """The day of that month, None if it has none."""
        last = calendar.monthrange(year, month)[1]
        if self.kind in ("L", "LW"):
            day = last - self.n
            if day < 1:
                return None
            return day if self.kind == "L" else _nearest_weekday(year, month, day, last)
        if self.kind == "W":
            return _nearest_weekday(year, month, min(self.n, last), last)
        days = [d for d in range(1, last + 1) if _quartz_weekday(date(year, month, d)) == self.weekday]
        if self.kind == "dow-L":
            return days[-1]
        return days[self.n - 1] if self.n <= len(days) else None


@dataclass(frozen=True)
class Cron:
    """A parsed expression: seconds, minutes, hours, months and years as sorted numbers; days by number or rule.

    days: days of the month, None for `?`. weekdays: 1 = Sunday, None for `?`.
    """

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    day_rules: tuple[DayRule, ...]
    months: frozenset[int]
    weekdays: frozenset[int] | None
    weekday_rules: tuple[DayRule, ...]
    years: tuple[int, ...] | None

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Reads six or seven fields: second minute hour day-of-month month day-of-week [year]. Raises CronError.

        As `org.quartz.CronExpression` does, but where it ignores a part without a word (`5x`, the step of `MON-FRI/2`,
        the Monday of `MON,WED#3`): that is refused here, since what fires differs from what is written.
        """
        fields = text.upper().split()
        if len(fields) not in (6, 7):
            raise CronError(f"expected 6 or 7 fields, found {len(fields)}")
        second, minute, hour, day, month, weekday = fields[:6]
        if day == "?" and weekday == "?":
            raise CronError("'?' can only be specified for day-of-month or day-of-week, not for both")
        if day != "?" and weekday != "?":
            raise CronError("day-of-month and day-of-week cannot both be specified: one of them must be '?'")
        days, day_rules = _days_of_month(day)
        weekdays, weekday_rules = _days_of_week(weekday)
        years = None
        if len(fields) == 7 and fields[6] != "*":
            years = tuple(sorted(_numbers(fields[6], 1970, LAST_YEAR, "year")))
        return cls(
            text,
            tuple(sorted(_numbers(second, 0, 59, "second"))),
            tuple(sorted(_numbers(minute, 0, 59, "minute"))),
            tuple(sorted(_numbers(hour, 0, 23, "hour"))),
            days,
            day_rules,
            frozenset(_numbers(month, 1, 12, "month", MONTHS)),
            weekdays,
            weekday_rules,
            years,
        )

    def falls_on(self, day: date) -> bool:
        """Whether the expression names any moment of that day."""
        if day.month not in self.months:
            return False
        if self.years is not None and day.year not in self.years:
            return False
        if self.days is not None:
            return day.day in self.days or any(r.day(day.year, day.month) == day.day for r in self.day_rules)
        weekday = _quartz_weekday(day)
        return weekday in (self.weekdays or ()) or any(
            r.day(day.year, day.month) == day.day for r in self.weekday_rules
        )

    def moments(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Every moment later than `after`, in UTC, in order.

        A wall-clock time that does not exist in the zone (clocks go forward) is left out; one that comes twice (clocks
        go back) counts once, the first time, as the service documents for its schedules.
        """
        if after.tzinfo is None:
            raise ValueError("`after` must have a time zone")
        local = after.astimezone(zone)
        day = local.date()
        last = self.years[-1] if self.years else min(day.year + 101, LAST_YEAR)
        start_hour: int | None = local.hour
        while day.year <= last:
            if self.falls_on(day):
                first = bisect_left(self.hours, start_hour) if start_hour is not None else 0
                for hour in self.hours[max(first - 1, 0) :]:
                    for minute in self.minutes:
                        for second in self.seconds:
                            wall = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
                            moment = wall.astimezone(UTC)
                            if moment <= after or moment.astimezone(zone).replace(tzinfo=None) != wall.replace(
                                tzinfo=None
                            ):
                                continue
                            yield moment
            start_hour = None
            day += timedelta(days=1)

    def next_after(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """The first moment later than `after`, in UTC; None if there is none any more."""
        return next(self.moments(after, zone), None)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a schedule. Raises CronError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as e:
        # OSError: the name of a folder of zones, `America`, or one too long for a file.
        raise CronError(f"'{name}' is not a time zone") from e


def _quartz_weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1


def _nearest_weekday(year: int, month: int, day: int, last: int) -> int:
    """The Monday-to-Friday day nearest to that day without leaving the month."""
    weekday = date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < last else day - 2
    return day


def _days_of_month(field: str) -> tuple[frozenset[int] | None, tuple[DayRule, ...]]:
    if field == "?":
        return None, ()
    if "L" in field and "," in field:
        raise CronError(f"'L' and 'LW' cannot stand beside other days of the month, as in '{field}'")
    numbers: set[int] = set()
    rules: list[DayRule] = []
    for part in _parts(field):
        if match := re.fullmatch(r"L(?:-(\d{1,2}))?(W?)", part, re.ASCII):
            offset = int(match[1] or 0)
            if offset > 30:
                raise CronError(f"offset from the last day must be at most 30 in '{field}'")
            rules.append(DayRule("LW" if match[2] else "L", offset))
        elif match := re.fullmatch(r"(\d{1,2})W", part, re.ASCII):
            if not 1 <= int(match[1]) <= 31:
                raise CronError(f"day-of-month must be between 1 and 31 in '{part}'")
            rules.append(DayRule("W", int(match[1])))
        else:
            numbers |= _numbers(part, 1, 31, "day-of-month")
    return frozenset(numbers), tuple(rules)


def _days_of_week(field: str) -> tuple[frozenset[int] | None, tuple[DayRule, ...]]:
    if field == "?":
        return None, ()
    if "," in field and ("L" in field or "#" in field):
        raise CronError(f"'L' and '#' cannot stand beside other days of the week, as in '{field}'")
    numbers: set[int] = set()
    rules: list[DayRule] = []
    for part in _parts(field):
        if part == "L":
            numbers.add(7)
        elif match := re.fullmatch(r"([A-Z]{3}|\d)L", part, re.ASCII):
            rules.append(DayRule("dow-L", weekday=_one(match[1], 1, 7, "day-of-week", DAYS)))
        elif match := re.fullmatch(r"([A-Z]{3}|\d)#(\d)", part, re.ASCII):
            if not 1 <= int(match[2]) <= 5:
                raise CronError(f"the number after '#' must be between 1 and 5 in '{part}'")
            rules.append(DayRule("#", int(match[2]), _one(match[1], 1, 7, "day-of-week", DAYS)))
        else:
            numbers |= _numbers(part, 1, 7, "day-of-week", DAYS)
    return frozenset(numbers), tuple(rules)


def _parts(field: str) -> list[str]:
    """The parts of a list; Quartz skips empty ones."""
    found = [part for part in field.split(",") if part]
    if not found:
        raise CronError(f"'{field}' names nothing")
    return found


def _one(text: str, low: int, high: int, name: str, names: tuple[str, ...] = ()) -> int:
    if text in names:
        return names.index(text) + 1
    if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
        raise CronError(f"{name} must be between {low} and {high}, not '{text}'")
    return int(text)


def _numbers(field: str, low: int, high: int, name: str, names: tuple[str, ...] = ()) -> set[int]:
    """The numbers of a field of lists, ranges (which may wrap around) and steps."""
    found: set[int] = set()
    for part in _parts(field):
        base, slash, step_text = part.partition("/")
        first_text, dash, last_text = base.partition("-")
        step = _step(part, step_text, high, name) if slash else 1
        if slash and first_text in names:
            raise CronError(f"Quartz ignores the step after a name in '{part}': write numbers")
        if dash and (first_text in names) != (last_text in names):
            raise CronError(f"a range is of names or of numbers, not of both as in '{part}'")
        if base == "*" or (slash and not base):
            first, last, step = low, high, step or 1
        elif dash:
            first, last = _one(first_text, low, high, name, names), _one(last_text, low, high, name, names)
        else:
            first = _one(base, low, high, name, names)
            last = high if slash else first
        if last < first:
            if name == "year":
                raise CronError(f"years must ascend in '{field}'")
            last += high - low + 1
        if step == 0:
            last, step = first, 1
        found |= {low + (n - low) % (high - low + 1) for n in range(first, last + 1, step)}
    return found


def _step(part: str, text: str, high: int, name: str) -> int:
    """The number after a slash. Zero is no step: Quartz then takes the first number alone, or all of `*`."""
    if not (text.isascii() and text.isdecimal()) or int(text) > high:
        raise CronError(f"bad step '{text}' in {name} '{part}'")
    return int(text)
