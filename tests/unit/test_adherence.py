"""Slots of a schedule: which had a successful run within their window, across clock changes and pauses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.health import Health
from app.progress.adherence import SlotState, TooMany, interval, slots
from app.store.collected.records import JobRunRecord
from app.store.definitions import ScheduleState

NEW_YORK = "America/New_York"
QUARTZ = "55 0 5/6 * * ?"
DAY = datetime(2026, 3, 2, 5, tzinfo=UTC)
"""Midnight in New York."""
BEFORE = DAY - timedelta(days=30)
HEALTH = Health()


def run(start: datetime, state: str | None = "SUCCESS", n: int = 1, trigger: str = "PERIODIC") -> JobRunRecord:
    end = None if state is None else start + timedelta(minutes=5)
    life = "RUNNING" if state is None else "TERMINATED"
    return JobRunRecord(
        "candidate", 1, n, n, trigger, life, state, "", start, end, None if end is None else 300.0, 0.0, ""
    )


def found(
    runs: list[JobRunRecord],
    until: datetime,
    *,
    since: datetime = DAY,
    states: list[ScheduleState] | None = None,
    read_until: datetime | None = datetime(2030, 1, 1, tzinfo=UTC),
) -> list[SlotState]:
    active = [ScheduleState(BEFORE, QUARTZ, NEW_YORK, True)] if states is None else states
    return [s.state for s in slots("candidate", active, runs, since, until, HEALTH, read_until)]


def at(day: int, hour: int, minute: int = 1) -> datetime:
    return datetime(2026, 3, day, hour, minute, 55, tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC)


def test_each_slot_is_on_time_late_failed_or_missed() -> None:
    runs = [
        run(at(2, 5), n=1),
        run(at(2, 11), "FAILED", n=2), run(at(2, 12), n=3, trigger="ONE_TIME"),
        run(at(2, 17), "TIMEDOUT", n=4),
    ]  # fmt: skip
    ended = found(runs, DAY + timedelta(days=1, hours=4))
    assert ended == [SlotState.ON_TIME, SlotState.LATE, SlotState.FAILED, SlotState.MISSED]


def test_a_run_that_starts_long_after_its_slot_is_late_and_still_later_serves_none() -> None:
    assert found([run(at(2, 5, 17))], at(2, 10)) == [SlotState.LATE]
    assert found([run(at(2, 9, 20))], at(2, 10)) == [SlotState.MISSED]


def test_four_manual_runs_in_24_minutes_serve_one_slot_at_most() -> None:
    runs = [run(at(2, 5, 1 + 8 * n), n=n, trigger="ONE_TIME") for n in range(4)]
    ended = found(runs, DAY + timedelta(days=1, hours=4))
    assert sum(s.served for s in ended) == 1 and ended.count(SlotState.MISSED) == 3


def test_a_slot_is_not_missed_before_its_window_is_over_and_runs_are_read_that_far() -> None:
    assert found([], at(2, 8)) == [SlotState.DUE]
    assert found([run(at(2, 5), None)], at(2, 8)) == [SlotState.RUNNING]
    assert found([], at(2, 10), read_until=at(2, 8)) == [SlotState.UNKNOWN]
    assert found([], at(2, 10), read_until=None) == [SlotState.UNKNOWN]


def test_a_cancelled_run_serves_no_slot() -> None:
    assert found([run(at(2, 5), "CANCELED")], at(2, 10)) == [SlotState.FAILED]


@pytest.mark.parametrize("day", [datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)])
def test_a_day_on_which_the_clocks_change_has_its_four_slots(day: datetime) -> None:
    local = day.astimezone(ZoneInfo(NEW_YORK))
    starts = [local.replace(hour=h, minute=0, second=57).astimezone(UTC) for h in (5, 11, 17, 23)]
    next_day = (local + timedelta(days=1)).astimezone(UTC)
    ended = found([run(s, n=n) for n, s in enumerate(starts)], next_day, since=day)
    assert ended == [SlotState.ON_TIME] * 4


def test_a_paused_schedule_has_no_slots_while_it_is_paused() -> None:
    states = [
        ScheduleState(BEFORE, QUARTZ, NEW_YORK, True),
        ScheduleState(at(2, 6), QUARTZ, NEW_YORK, False),
        ScheduleState(at(2, 18), QUARTZ, NEW_YORK, True),
    ]
    assert found([run(at(2, 5))], DAY + timedelta(days=1, hours=4), states=states) == [
        SlotState.ON_TIME, SlotState.MISSED,
    ]  # fmt: skip


def test_before_the_schedule_was_observed_a_run_serves_a_slot_but_none_is_missed() -> None:
    states = [ScheduleState(at(3, 0), QUARTZ, NEW_YORK, True)]
    ended = found([run(at(2, 5), n=1), run(at(2, 17), n=2)], at(3, 3), states=states)
    assert ended == [SlotState.ON_TIME, SlotState.UNKNOWN, SlotState.ON_TIME, SlotState.UNKNOWN]
    assert found([], at(3, 3), states=states) == [], "without a run nothing is known to have been scheduled"


def test_a_schedule_of_every_second_is_refused_at_once() -> None:
    states = [ScheduleState(BEFORE, "* * * * * ?", "UTC", True)]
    with pytest.raises(TooMany):
        found([], DAY + timedelta(days=20), states=states)


def test_the_interval_is_the_longest_time_between_two_firings() -> None:
    assert interval(QUARTZ, NEW_YORK, DAY) == timedelta(hours=6)
    assert interval("0 0 6,12,18 * * ?", NEW_YORK, DAY) == timedelta(hours=12)
    assert interval(None, None, DAY) is None and interval("nonsense", "UTC", DAY) is None


STATES = st.sampled_from(["SUCCESS", "FAILED", "CANCELED", None])


@given(
    st.lists(st.tuples(st.integers(0, 4 * 24 * 60), STATES), max_size=20).flatmap(
        lambda runs: st.tuples(st.just(runs), st.permutations(range(len(runs))))
    )
)
def test_the_order_in_which_runs_arrive_changes_no_slot(
    drawn: tuple[list[tuple[int, str | None]], list[int]],
) -> None:
    minutes, order = drawn
    runs = [run(DAY + timedelta(minutes=m), state, n) for n, (m, state) in enumerate(minutes)]
    until = DAY + timedelta(days=4)
    assert found([runs[i] for i in order], until) == found(runs, until)
