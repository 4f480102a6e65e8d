"""Compares two daily Quartz schedules."""

from __future__ import annotations

from dataclasses import dataclass

from databricks_client.quartz import Cron, CronError

DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class ScheduleComparison:
    """Two daily schedules. offsets: for each baseline firing, signed seconds to the nearest candidate firing."""

    baseline_per_day: int
    candidate_per_day: int
    offsets: tuple[int, ...]

    @property
    def agree(self) -> bool:
        """Same number of firings, each at the same second."""
        return self.baseline_per_day == self.candidate_per_day and not any(self.offsets)


def fires_daily(expression: str) -> tuple[int, ...]:
    """Seconds after midnight (in the schedule's zone) at which a Quartz expression fires every day.

    Raises ValueError for an expression that differs between days, or that is not Quartz.
    """
    try:
        cron = Cron.parse(expression)
    except CronError as e:
        raise ValueError(f"{expression!r} is not a Quartz expression: {e}") from e
    return cron.daily()


def compare(baseline: str, candidate: str) -> ScheduleComparison:
    """Compares two expressions of the same time zone. Raises ValueError as `fires_daily` does."""
    old, new = fires_daily(baseline), fires_daily(candidate)

    def nearest(moment: int) -> int:
        around = ((x - moment + DAY_SECONDS // 2) % DAY_SECONDS - DAY_SECONDS // 2 for x in new)
        return min(around, key=abs)

    return ScheduleComparison(len(old), len(new), tuple(nearest(x) for x in old) if new else ())
