"""Pairs of deliveries: the same slot of both schedules, across clock changes; else the pair that was compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.performance.attribution import Bill, Delivery
from app.performance.money import Amount
from app.performance.pairs import Compared, Pair, pairs
from app.store.collected.records import ScheduleRecord
from tests.support.performance import HOUR, NOW, SCHEDULES, job_run, schedule

SLOT = datetime(2026, 3, 26, 9, 0, 55, tzinfo=UTC)
"""05:00:55 in New York, in summer time."""
MINUTE = timedelta(minutes=1)


def old(run_id: int, start: datetime = SLOT, **more: object) -> Delivery:
    return Delivery(job_run("baseline", run_id, start, **more), (), Amount(), Bill.OPEN)  # type: ignore[arg-type]


def new(run_id: int, start: datetime = SLOT, **more: object) -> Delivery:
    return Delivery(job_run("candidate", run_id, start, **more), (), Amount(), Bill.OPEN)  # type: ignore[arg-type]


def ids(found: Iterable[Pair]) -> list[tuple[int, int]]:
    return [(p.baseline.run.run_id, p.candidate.run.run_id) for p in found]


def test_scheduled_runs_of_one_slot_are_a_pair_however_late_they_started() -> None:
    found = pairs([old(1, SLOT + 5 * MINUTE), new(2, SLOT + 20 * MINUTE), new(4, SLOT + 6 * HOUR)], SCHEDULES, ())
    assert ids(found) == [(1, 2)] and found[0].by == "schedule" and found[0].at == SLOT


def test_a_slot_that_one_side_missed_has_no_pair() -> None:
    found = pairs([old(1), old(3, SLOT + 6 * HOUR), new(4, SLOT + 6 * HOUR), new(6, SLOT + 12 * HOUR)], SCHEDULES, ())
    assert ids(found) == [(3, 4)]


@pytest.mark.parametrize(
    ("day", "change"),
    [("2026-03-07", "forward"), ("2026-10-31", "back")],
)
def test_slots_stay_together_when_the_clocks_change(day: str, change: str) -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime.fromisoformat(day).replace(hour=5, second=55, tzinfo=zone)
    starts = [
        (first + timedelta(hours=6 * n)).astimezone(UTC)  # wall-clock time: 5, 11, 17, 23, 5, ...
        for n in range(8)
    ]
    gaps = {(b - a) / HOUR for a, b in pairwise(starts)}
    assert gaps == ({6.0, 5.0} if change == "forward" else {6.0, 7.0})
    deliveries = [old(n + 1, at) for n, at in enumerate(starts)] + [new(n + 101, at) for n, at in enumerate(starts)]
    found = pairs(deliveries, SCHEDULES, ())
    assert ids(found) == [(n + 1, n + 101) for n in reversed(range(8))]
    assert [p.at for p in found] == list(reversed(starts))


def test_a_new_side_in_another_zone_is_an_hour_off_after_the_change_and_still_serves_the_same_slot() -> None:
    utc = {"baseline": SCHEDULES["baseline"], "candidate": schedule("candidate", "55 0 4/6 * * ?", "UTC")}
    winter, summer = datetime(2026, 3, 5, 10, 0, 55, tzinfo=UTC), datetime(2026, 3, 20, 9, 0, 55, tzinfo=UTC)
    deliveries = [old(1, winter), new(2, winter), old(3, summer), new(4, summer + HOUR)]
    assert ids(pairs(deliveries, utc, ())) == [(3, 4), (1, 2)]


def test_the_guides_offset_of_59_minutes_serves_the_slot_before_it() -> None:
    offset = {"baseline": SCHEDULES["baseline"], "candidate": schedule("candidate", "55 59 5/6 * * ?")}
    assert ids(pairs([old(1), new(2, SLOT + 59 * MINUTE)], offset, ())) == [(1, 2)]


def test_a_time_that_the_clocks_leave_out_is_no_slot() -> None:
    night = {s: schedule(s, "0 30 2 * * ?") for s in ("baseline", "candidate")}
    at = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 03:30; 02:30 does not exist on that day
    (found,) = pairs([old(1, at), new(2, at + MINUTE)], night, ())
    assert found.at == at, "when it started, as no slot is near"


def test_a_run_long_after_a_slot_belongs_to_an_earlier_schedule() -> None:
    assert ids(pairs([old(1, SLOT + 2 * HOUR), new(2, SLOT + 5 * HOUR)], SCHEDULES, ())) == []
    assert ids(pairs([old(1, SLOT + 2 * HOUR), new(2, SLOT + 3 * HOUR)], SCHEDULES, ())) == [(1, 2)]


def test_schedules_that_cannot_be_read_pair_by_when_the_runs_started() -> None:
    broken: dict[str, ScheduleRecord] = {s: schedule(s, "not quartz") for s in ("baseline", "candidate")}
    for schedules in (broken, {}):
        found = pairs([old(1), new(2, SLOT + 30 * MINUTE), new(4, SLOT + 3 * HOUR)], schedules, ())
        assert ids(found) == [(1, 2)]
        assert ids(pairs([old(1), new(2, SLOT + 31 * MINUTE)], schedules, ())) == []


def test_with_a_dense_schedule_a_run_is_not_paired_with_the_next_slot() -> None:
    dense = {s: schedule(s, "0 0/10 * * * ?") for s in ("baseline", "candidate")}
    at = datetime(2026, 3, 26, 9, tzinfo=UTC)
    assert ids(pairs([old(1, at), new(2, at + 10 * MINUTE)], dense, ())) == []
    assert ids(pairs([old(1, at), new(2, at + 2 * MINUTE)], dense, ())) == [(1, 2)]


def test_a_delivery_by_hand_after_a_failed_scheduled_run_serves_its_slot() -> None:
    failed = job_run("candidate", 2, SLOT, result_state="FAILED")
    by_hand = replace(new(4, SLOT + 40 * MINUTE, trigger="ONE_TIME"), attempts=(failed,))
    assert ids(pairs([old(1), by_hand], SCHEDULES, ())) == [(1, 4)]
    assert ids(pairs([old(1), replace(by_hand, attempts=())], SCHEDULES, ())) == []


def test_runs_by_hand_are_a_pair_where_they_were_compared_and_each_only_once() -> None:
    hand = {"trigger": "ONE_TIME"}
    deliveries = [old(1, **hand), new(2, **hand), new(4, SLOT + HOUR, **hand), old(3, SLOT + 2 * HOUR, **hand)]
    compared = [
        Compared(1, 4, SLOT + 2 * HOUR),
        Compared(1, 2, SLOT + HOUR),
        Compared(3, 4, SLOT + 3 * HOUR),
        Compared(9, 4, SLOT),
    ]
    found = pairs(deliveries, SCHEDULES, compared)
    assert ids(found) == [(3, 4), (1, 2)] and {p.by for p in found} == {"comparison"}
    assert found == pairs(reversed(deliveries), SCHEDULES, reversed(compared))


def test_the_slot_is_stronger_than_the_comparison() -> None:
    found = pairs(
        [old(1), new(2), new(4, SLOT + HOUR, trigger="ONE_TIME")], SCHEDULES, [Compared(1, 4, SLOT + 2 * HOUR)]
    )
    assert ids(found) == [(1, 2)]


def test_generated_history_and_the_development_side_make_no_pair() -> None:
    made_up = [old(1, generated=True), new(2, generated=True)]
    development = Delivery(job_run("development", 6, SLOT), (), Amount(), Bill.OPEN)
    assert pairs([*made_up, old(3), development], SCHEDULES, [Compared(1, 2, NOW)]) == ()
