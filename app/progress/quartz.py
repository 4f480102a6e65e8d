"""Firing times of a schedule within a day: the part of Quartz cron that comparing two daily schedules needs."""

from __future__ import annotations

from dataclasses import dataclass

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


def _field(text: str, low: int, high: int) -> tuple[int, ...]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text) if step_text else 1
        if step < 1:
            raise ValueError(f"step {step} in {text!r}")
        if span in ("*", ""):
            first, last = low, high
        elif "-" in span:
            first, last = (int(x) for x in span.split("-", 1))
        else:
            first = int(span)
            # Quartz: `5/6` starts at 5 and continues to the end of the range; a bare `5` is that value alone.
            last = high if step_text else first
        if not low <= first <= last <= high:
            raise ValueError(f"{text!r} is not within {low} to {high}")
        values.update(range(first, last + 1, step))
    return tuple(sorted(values))


def fires_daily(expression: str) -> tuple[int, ...]:
    """Seconds after midnight (in the schedule's zone) at which a Quartz expression fires every day.

    Raises ValueError for an expression that differs between days, or that is not Quartz.
    """
    parts = expression.split()
    if len(parts) not in (6, 7):
        raise ValueError(f"{expression!r} has {len(parts)} fields; Quartz has 6 or 7, seconds first")
    if any(p not in ("*", "?", "*/1", "1/1") for p in parts[3:]):
        raise ValueError(f"{expression!r} does not fire at the same times every day")
    seconds, minutes, hours = _field(parts[0], 0, 59), _field(parts[1], 0, 59), _field(parts[2], 0, 23)
    return tuple(h * 3600 + m * 60 + s for h in hours for m in minutes for s in seconds)


def compare(baseline: str, candidate: str) -> ScheduleComparison:
    """Compares two expressions of the same time zone. Raises ValueError as `fires_daily` does."""
    old, new = fires_daily(baseline), fires_daily(candidate)

    def nearest(moment: int) -> int:
        around = ((x - moment + DAY_SECONDS // 2) % DAY_SECONDS - DAY_SECONDS // 2 for x in new)
        return min(around, key=abs)

    return ScheduleComparison(len(old), len(new), tuple(nearest(x) for x in old) if new else ())
