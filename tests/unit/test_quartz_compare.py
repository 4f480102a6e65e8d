"""Two schedules compared: the guide's own parallel schedule is three runs a day and 59 minutes off."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from app.progress.quartz import Schedule, ScheduleComparison, _compare, compare

OLD = "55 0 5/6 * * ?"
NEW_YORK = "America/New_York"
SINCE = datetime(2026, 3, 2, 12, tzinfo=UTC)


def compared(old: str, new: str, old_zone: str = NEW_YORK, new_zone: str = NEW_YORK) -> ScheduleComparison:
    return compare(Schedule(old, old_zone), Schedule(new, new_zone), SINCE)


def test_the_guides_parallel_schedule_has_three_runs_and_is_59_minutes_late() -> None:
    found = compared(OLD, "0 0 6,12,18 * * ?")
    assert (round(found.baseline_per_day), round(found.candidate_per_day), found.agree) == (4, 3, False)
    assert found.furthest == 5 * 3600 + 55, "nothing starts after the run at 23:00:55 until the morning"
    assert found.nearest == 3545


def test_what_fires_on_leap_days_is_compared_on_the_next_one() -> None:
    assert set(compared("0 0 5 29 2 ?", "0 30 5 29 2 ?").offsets) == {1800}
    assert set(compared("0 0 5 29 2 ?", "0 0 6 * * ?").offsets) == {3600}
    assert compared("0 0 5 29 2 ?", "0 0 5 29 2 ?").baseline_per_day == pytest.approx(1 / 1461, rel=0.05)
    # 2100 is no leap year: eight years pass.
    late = compare(Schedule("0 0 5 29 2 ?", "UTC"), Schedule("0 0 5 29 2 ?", "UTC"), datetime(2096, 3, 1, tzinfo=UTC))
    assert late.agree and late.furthest == 0


def test_what_never_fires_has_no_distance() -> None:
    assert compared("0 0 5 30 2 ?", "0 0 5 * * ?").offsets == ()
    assert compared("0 0 5 30 2 ?", "0 0 5 * * ?").candidate_per_day == pytest.approx(1, rel=0.01)


def test_schedules_of_two_zones_are_compared_beyond_a_year_by_their_moments() -> None:
    assert compared("0 0 23 L * ?", "0 0 2 1 * ?", "UTC", "Etc/GMT-3").agree
    assert not compared("0 0 23 28 2 ?", "0 0 2 1 3 ?", "UTC", "Etc/GMT-3").agree, "in leap years the 29th lies between"


def test_midnight_is_near_to_late_evening() -> None:
    assert set(compared("0 55 23 * * ?", "0 5 0 * * ?").offsets) == {600}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OLD, OLD),
        (OLD, "55 0 5,11,17,23 ? * SUN-SAT"),
        (OLD, "55 0 23-17/6 * * ? *"),
        ("0 0 6 * * ?", "0 0 6 1/1 */1 ? 2020-2090"),
        ("0 0 22-4 * * ?", "0 0 22,23,0,1,2,3,4 ? * *"),
        ("0 0 5 ? * MON", "0 0 5 ? * 2"),
        ("0 0 5 L-3W * ?", "0 0 5 L-3W * ?"),
        ("0 0 5 29 2 ?", "0 0 5 29 2 ?"),
        ("0 0 5 29 2 ?", "0 0 5 29 FEB ? *"),
        ("0 0 5 29 2 ?", "0 0 5 29 2 ? 2028-2199"),
        ("0 0 5 ? 2 SUN#5", "0 0 5 ? FEB 1#5"),
    ],
)
def test_what_fires_at_the_same_moments_agrees_however_it_is_written(old: str, new: str) -> None:
    assert compared(old, new).agree


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0 0 5 * * ?", "0 0 5 * 1-11 ?"),
        ("0 0 5 * * ?", "0 0 5 ? * MON-SAT"),
        ("0 0 5 ? * MON", "0 0 5 ? * TUE"),
        ("0 0 5 * * ?", "1 0 5 * * ?"),
        ("0 0 5 L * ?", "0 0 5 L-3W * ?"),
        ("0 0 5 1 1 ? 2020", "0 0 5 1 1 ? 2020"),
        ("0 0 5 28 2 ?", "0 0 5 L 2 ?"),
        ("0 0 5 15 6 ?", "0 0 5 15W 6 ?"),
        ("0 0 5 * * ?", "0 0 5 * * ? 2026-2030"),
        ("0 0 5 29 2 ?", "0 0 6 29 2 ?"),
        ("0 0 5 29 2 ?", "0 0 5 29 2 ? 2028-2040"),
        ("0 0 5 30 2 ?", "0 0 5 30 2 ?"),
    ],
)
def test_what_fires_at_other_moments_or_never_does_not_agree(old: str, new: str) -> None:
    assert not compared(old, new).agree


@pytest.mark.parametrize(
    ("zone", "same"),
    [("US/Eastern", True), ("America/Detroit", True), ("Etc/GMT+5", False), ("UTC", False), ("Asia/Kathmandu", False)],
)
def test_zones_are_compared_by_their_clocks_and_not_by_name(zone: str, same: bool) -> None:
    assert compared(OLD, OLD, NEW_YORK, zone).agree is same


def test_one_schedule_in_two_zones_is_one_schedule() -> None:
    assert compared("0 0 9 * * ?", "0 15 3 * * ?", "Asia/Kathmandu", "UTC").furthest == 0
    assert compared("0 0 9 * * ?", "0 15 3 * * ?", "Asia/Kathmandu", "UTC").agree
    late = compared("0 0 9 * * ?", "0 0 14 * * ?", NEW_YORK, "UTC")
    assert (late.agree, late.furthest) == (False, 3600), "from 8 March to November New York is an hour nearer to UTC"


@pytest.mark.parametrize(
    ("text", "zone"),
    [("0 0 5 * *", NEW_YORK), ("0 61 * * * ?", NEW_YORK), ("0 0 5 * * ?", "Mars/Olympus"), ("0 0 5 * * ?", "")],
)
def test_what_cannot_be_compared_is_refused(text: str, zone: str) -> None:
    with pytest.raises(ValueError, match="is no Quartz schedule"):
        compared(OLD, text, NEW_YORK, zone)


def test_the_distance_to_what_fires_far_more_often_is_the_one_to_its_nearest_firing() -> None:
    assert set(compared("7 3 5 1 * ?", "0/10 * * * * ?").offsets) == {3}
    assert set(compared("0/30 0 5 1 * ?", "10 0 5 1 * ?").offsets) == {10, -20}


@pytest.mark.parametrize("text", ["0/10 * * * * ?", "* * * * * ?"])
def test_a_schedule_that_fires_all_the_time_is_compared_at_once(text: str) -> None:
    _compare.cache_clear()
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        found = compared(text, text, NEW_YORK, "UTC")
    finally:
        sys.setprofile(None)
    assert found.offsets
    assert calls < 5_000_000, "it fires up to 35 million times: no call for each of them"
