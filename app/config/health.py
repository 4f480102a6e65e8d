"""The section `health` of a migration file: what counts as on time, and which change of an expectation is an alert."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from app.config.base import Frozen, Mistake

Minutes = Annotated[float, Field(gt=0, le=43_200, strict=True)]
Times = Annotated[float, Field(ge=1, le=1000, strict=True)]
Updates = Annotated[int, Field(ge=3, le=1000, strict=True)]
Positive = Annotated[float, Field(gt=0, le=1000, strict=True)]
Change = Annotated[float, Field(gt=0, le=1, strict=True)]


class Health(Frozen):
    """Limits of the page Health, of incidents, and of the rules that count by schedule slot.

    on_time_minutes: a run that starts at most so long after its slot is on time.
    window_minutes: a run that starts later than this after its slot does not serve it; the next slot ends it too.
    fresh_intervals: evidence of runs is outdated after so many intervals of the job's schedule.
    trend_updates, trend_least: how many earlier updates an expectation's share of failed rows is compared with; with
        fewer than the second nothing is an alert.
    trend_deviations, trend_smallest: an alert is a share that is further from their median than so many median absolute
        deviations (scaled to a standard deviation), and than the smallest change, a fraction of the rows.
    """

    on_time_minutes: Minutes = 15.0
    window_minutes: Minutes = 240.0
    fresh_intervals: Times = 2.0
    trend_updates: Updates = 20
    trend_least: Updates = 5
    trend_deviations: Positive = 6.0
    trend_smallest: Change = 0.005

    @model_validator(mode="after")
    def _ordered(self) -> Health:
        if self.on_time_minutes > self.window_minutes:
            raise Mistake("on_time_minutes must not exceed window_minutes", "on_time_minutes")
        if self.trend_least > self.trend_updates:
            raise Mistake("trend_least must not exceed trend_updates", "trend_least")
        return self
