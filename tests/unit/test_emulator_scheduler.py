"""Schedules: fired when due, in their time zone, and never for a moment that passed while they were paused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emulator.records import Job
from emulator.scheduler import Scheduled, Scheduler, look

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def job(id: int = 1, cron: str = "0 0 12 * * ?", zone: str = "UTC", status: str = "UNPAUSED") -> Job:
    schedule = {"quartz_cron_expression": cron, "timezone_id": zone, "pause_status": status}
    return Job(id, "a@example.com", 0, {"name": f"job {id}", "schedule": schedule})


# -- one look --------------------------------------------------------------------------------------------------------------


def test_a_job_is_due_once_its_moment_has_come():
    due, planned = look([job()], {}, NOON - timedelta(seconds=10))
    assert due == []
    due, planned = look([job()], planned, NOON - timedelta(seconds=1))
    assert due == []
    due, planned = look([job()], planned, NOON)
    assert [j.job_id for j in due] == [1]
    assert look([job()], planned, NOON + timedelta(seconds=1))[0] == []


def test_a_moment_that_was_slept_through_fires_once():
    _, planned = look([job(cron="0 0 * * * ?")], {}, NOON - timedelta(minutes=1))
    due, planned = look([job(cron="0 0 * * * ?")], planned, NOON + timedelta(hours=3))
    assert len(due) == 1
    assert planned[1].moment == NOON + timedelta(hours=4)


def test_unpausing_just_after_a_moment_does_not_fire_it():
    paused, running = job(status="PAUSED"), job()
    _, planned = look([paused], {}, NOON - timedelta(seconds=20))
    due, planned = look([running], planned, NOON + timedelta(seconds=10))
    assert due == []
    assert planned[1].moment == NOON + timedelta(days=1)


def test_a_new_job_and_a_changed_schedule_count_from_now():
    _, planned = look([job(cron="0 0 0 * * ?")], {}, NOON - timedelta(seconds=20))
    due, planned = look([job(), job(2)], planned, NOON + timedelta(seconds=5))
    assert due == []
    assert {p.moment for p in planned.values()} == {NOON + timedelta(days=1)}


@pytest.mark.parametrize(
    "settings",
    [{}, {"schedule": None}, {"schedule": {"quartz_cron_expression": "0 0 12 * * ?", "timezone_id": "America"}}],
)
def test_a_job_without_a_schedule_that_can_be_read_is_never_due(settings: dict[str, Any]):
    one = Job(1, "a@example.com", 0, settings)
    _, planned = look([one], {}, NOON)
    assert planned[1].moment is None
    assert look([one], planned, NOON + timedelta(days=400))[0] == []


# -- the thread ------------------------------------------------------------------------------------------------------------


class World:
    """Jobs, a clock that a test sets, and the runs that were triggered."""

    def __init__(self) -> None:
        self.now = NOON - timedelta(hours=1)
        self.jobs: list[Job] = []
        self.fired: list[int] = []
        self.looks = threading.Semaphore(0)
        runner = SimpleNamespace(run_now=self.run_now, run_as=lambda job: job.creator)
        state = SimpleNamespace(jobs=lambda: list(self.jobs))
        workspace = SimpleNamespace(idle_clock=False, state=state, jobs=runner)
        self.scheduler = Scheduler(cast(Scheduled, workspace), self.clock)

    def clock(self) -> datetime:
        self.looks.release()
        return self.now

    def run_now(self, job_id: int, creator: str, *, trigger: str) -> None:
        assert trigger == "PERIODIC"
        self.fired.append(job_id)

    def at(self, moment: datetime, *jobs: Job) -> None:
        """Lets it be that time, with these jobs, until the scheduler has looked."""
        self.now, self.jobs = moment, list(jobs)
        while self.looks.acquire(blocking=False):
            pass
        self.scheduler.wake()
        assert self.looks.acquire(timeout=5)
        time.sleep(0.05)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.scheduler.start()
    yield made
    made.scheduler.stop()


def until(holds: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_the_thread_fires_when_due_in_the_schedules_time_zone(world: World):
    new_york = job(2, zone="America/New_York")
    world.at(NOON - timedelta(seconds=1), job(), new_york)
    assert world.fired == []
    world.at(NOON, job(), new_york)
    assert until(lambda: world.fired == [1]), "noon in New York is four hours later"
    world.at(NOON + timedelta(hours=4), job(), new_york)
    assert until(lambda: world.fired == [1, 2])


def test_the_thread_fires_nothing_while_paused_nor_for_what_passed_meanwhile(world: World):
    world.at(NOON - timedelta(seconds=20), job(status="PAUSED"))
    world.at(NOON + timedelta(seconds=1), job(status="PAUSED"))
    world.at(NOON + timedelta(seconds=5), job())
    assert world.fired == []
    world.at(NOON + timedelta(days=1), job())
    assert until(lambda: world.fired == [1])


def test_a_slow_start_of_one_run_keeps_no_other_from_being_looked_at(world: World):
    let_go = threading.Event()
    world.scheduler.before_firing = lambda: let_go.wait(60)
    world.at(NOON - timedelta(seconds=1), job(), job(2, cron="0 5 12 * * ?", status="PAUSED"))
    world.at(NOON, job(), job(2, cron="0 5 12 * * ?", status="PAUSED"))
    world.at(NOON + timedelta(minutes=1), job(), job(2, cron="0 5 12 * * ?"))
    let_go.set()
    assert until(lambda: world.fired == [1])
    world.at(NOON + timedelta(minutes=5), job(), job(2, cron="0 5 12 * * ?"))
    assert until(lambda: world.fired == [1, 2])


def test_the_thread_wakes_by_itself_at_the_next_moment(world: World):
    started = time.monotonic()
    world.now = NOON
    world.scheduler.clock = lambda: NOON + timedelta(seconds=time.monotonic() - started)
    world.jobs = [job(cron="* * * * * ?")]
    world.scheduler.wake()
    assert until(lambda: len(world.fired) >= 2)
    assert time.monotonic() - started >= 1
