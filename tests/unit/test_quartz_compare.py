"""Two schedules compared: the guide's own parallel schedule is three runs a day and 59 minutes off."""

from __future__ import annotations

import pytest

from app.progress.quartz import compare, fires_daily


def test_the_old_job_fires_four_times_a_day() -> None:
    assert fires_daily("55 0 5/6 * * ?") == tuple(h * 3600 + 55 for h in (5, 11, 17, 23))


def test_the_guides_parallel_schedule_has_three_runs_and_is_59_minutes_late() -> None:
    found = compare("55 0 5/6 * * ?", "0 0 6,12,18 * * ?")
    assert (found.baseline_per_day, found.candidate_per_day) == (4, 3)
    assert found.offsets[:3] == (3545, 3545, 3545)
    assert not found.agree


def test_midnight_is_near_to_late_evening() -> None:
    assert compare("0 55 23 * * ?", "0 5 0 * * ?").offsets == (600,)


@pytest.mark.parametrize(
    "text", ["0 0 6 * * ?", "0 0 6 ? * *", "0 0 6 */1 1/1 ?", "0 0 6 1/1 * ? *", "0 0 6 ? * SUN-SAT"]
)
def test_every_way_to_write_every_day_is_daily(text: str) -> None:
    assert fires_daily(text) == (6 * 3600,)


@pytest.mark.parametrize("text", ["0 0 5 * * ? 2027", "0 0 5 L * ?", "0 0 5 * 1-11 ?"])
def test_what_differs_between_days_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="does not fire at the same times every day"):
        fires_daily(text)


@pytest.mark.parametrize("text", ["0 0 5 * *", "0 0 5 ? * MON", "0 0 5 1 * ?", "0 61 * * * ?", "0 0/0 * * * ?"])
def test_what_cannot_be_compared_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        fires_daily(text)
