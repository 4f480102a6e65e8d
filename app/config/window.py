"""When a cutover may start: days and hours of a time zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from app.config.base import Frozen

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_WEEK = 7


def _time(value: object) -> object:
    # YAML reads 20:00 without quotes as a number of minutes.
    if isinstance(value, str) and _TIME.fullmatch(value):
        return value
    raise ValueError(f'{value!r} is no time of day: write it in quotes as "20:00"')


def zone_named(value: str) -> str:
    """The name of a time zone. Raises ValueError for another text."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError) as e:
        raise ValueError(f"{value!r} is no time zone: write one as Europe/Berlin or UTC") from e
    return value


class Hours(Frozen):
    """From `opens` to `closes` (HH:MM) on each of `days`; `closes` at or before `opens` is on the next day."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    opens: str
    closes: str

    _check = field_validator("opens", "closes", mode="before")(_time)

    @field_validator("days")
    @classmethod
    def _check_days(cls, value: tuple[Day, ...]) -> tuple[Day, ...]:
        if doubled := [d for d in value if value.count(d) > 1]:
            raise ValueError(f"{doubled[0]} appears twice")
        return value

    def of(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Start and end in UTC of the hours that open on this day, whichever day of the week it is."""
        opens, closes = time.fromisoformat(self.opens), time.fromisoformat(self.closes)
        last = day if closes > opens else day + timedelta(days=1)
        start, end = (datetime.combine(d, t, tzinfo=zone) for d, t in ((day, opens), (last, closes)))
        return start.astimezone(UTC), end.astimezone(UTC)


class Window(Frozen):
    """The hours in which a cutover may start, in a time zone. A rollback needs none."""

    timezone: str
    hours: Annotated[tuple[Hours, ...], Field(min_length=1)]

    _check = field_validator("timezone")(zone_named)

    @property
    def text(self) -> str:
        """The window in words, e.g. `monday, tuesday 20:00-23:00 (America/New_York)`."""
        found = (f"{', '.join(h.days)} {h.opens}-{h.closes}" for h in self.hours)
        return f"{'; '.join(found)} ({self.timezone})"

    def closes_at(self, moment: datetime) -> datetime | None:
        """When the window that is open at a moment closes; None where it is closed."""
        return max((end for start, end in self._around(moment) if start <= moment < end), default=None)

    def opens_at(self, moment: datetime) -> datetime:
        """When it opens next after a moment."""
        return min(start for start, _ in self._around(moment) if start > moment)

    def _around(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.timezone)
        today = moment.astimezone(zone).date()
        for offset in range(-2, _WEEK + 2):
            day = today + timedelta(days=offset)
            for hours in self.hours:
                if DAYS[day.weekday()] in hours.days:
                    yield hours.of(day, zone)
