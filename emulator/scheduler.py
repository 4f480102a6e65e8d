"""Fires the jobs' schedules: a thread that sleeps until the next moment any unpaused schedule names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from emulator.records import Job, Json
from emulator.rest.errors import ServiceError
from emulator.shared.quartz import Cron, CronError, zone_of
from emulator.state import State

log = logging.getLogger("emulator.scheduler")
LONGEST_SLEEP = 30.0


def next_fire(job: Job, after: datetime) -> datetime | None:
    """When the job's schedule fires next, in UTC; None without a schedule or while it is paused."""
    schedule = job.settings.get("schedule")
    if not schedule or schedule.get("pause_status") == "PAUSED":
        return None
    try:
        return Cron.parse(schedule["quartz_cron_expression"]).next_after(after, zone_of(schedule["timezone_id"]))
    except (CronError, KeyError):
        return None


@dataclass(frozen=True)
class Planned:
    """When a job fires next by the schedule that it had when this was worked out; moment: UTC, None for never."""

    schedule: Json | None
    moment: datetime | None


def look(jobs: Iterable[Job], planned: Mapping[int, Planned], now: datetime) -> tuple[list[Job], dict[int, Planned]]:
    """The jobs whose moment has come, and when each job fires next.

    A schedule that is new, changed or no longer paused counts from now on: what it named before was never due.
    """
    due: list[Job] = []
    coming: dict[int, Planned] = {}
    for job in jobs:
        schedule, known = job.settings.get("schedule"), planned.get(job.job_id)
        if known is not None and known.schedule == schedule:
            if known.moment is None or known.moment > now:
                coming[job.job_id] = known
                continue
            due.append(job)
        coming[job.job_id] = Planned(schedule, next_fire(job, now))
    return due, coming


class Jobs(Protocol):
    """Triggers runs."""

    def run_as(self, job: Job) -> str: ...

    def run_now(self, job_id: int, creator: str, *, trigger: str) -> object: ...


class Scheduled(Protocol):
    """The workspace whose schedules fire. idle_clock: they do not, by themselves."""

    idle_clock: bool

    @property
    def state(self) -> State: ...

    @property
    def jobs(self) -> Jobs: ...


class Scheduler:
    """Triggers runs with trigger PERIODIC. What was missed while the workspace was down is not made up for.

    clock: returns the time, in UTC.
    """

    def __init__(self, workspace: Scheduled, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.workspace = workspace
        self.clock = clock
        self.before_firing: Callable[[], object] = lambda: None
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts firing; nothing fires if the workspace was started with an idle clock."""
        if self.workspace.idle_clock or self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A schedule has changed: look again."""
        self._changed.set()

    def stop(self) -> None:
        self._stop.set()
        self._changed.set()

    def _run(self) -> None:
        planned: dict[int, Planned] = {}
        while not self._stop.is_set():
            self._changed.clear()
            jobs = self.workspace.state.jobs()
            # Read after the jobs: a schedule that changes in between is seen at the next look, and counts from then.
            now = self.clock()
            due, planned = look(jobs, planned, now)
            if due:
                # Beside this thread: a schedule that is changed meanwhile must be seen when it is.
                threading.Thread(target=self._fire_all, args=[due], name="scheduled", daemon=True).start()
            waits = [(p.moment - now).total_seconds() for p in planned.values() if p.moment is not None]
            self._changed.wait(min([LONGEST_SLEEP, *waits]))

    def _fire_all(self, due: list[Job]) -> None:
        for job in due:
            if not self._stop.is_set():
                self.fire(job)

    def fire(self, job: Job) -> None:
        """Triggers one scheduled run, after what is to happen before each."""
        try:
            self.before_firing()
        except Exception:
            log.exception("before the scheduled run of job %s", job.job_id)
        try:
            self.workspace.jobs.run_now(job.job_id, self.workspace.jobs.run_as(job), trigger="PERIODIC")
        except ServiceError as e:
            log.warning("schedule of job %s could not fire: %s", job.job_id, e)
