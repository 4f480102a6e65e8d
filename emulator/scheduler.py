"""Fires the jobs' schedules: a thread that sleeps until the next moment any unpaused schedule names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from emulator.quartz import Cron, CronError
from emulator.rest.errors import ServiceError
from emulator.state import Job

if TYPE_CHECKING:
    from emulator.workspace import Workspace

log = logging.getLogger("emulator.scheduler")
LONGEST_SLEEP = 30.0


def next_fire(job: Job, after: datetime) -> datetime | None:
    """When the job's schedule fires next, in UTC; None without a schedule or while it is paused."""
    schedule = job.settings.get("schedule")
    if not schedule or schedule.get("pause_status") == "PAUSED":
        return None
    try:
        return Cron.parse(schedule["quartz_cron_expression"]).next_after(after, ZoneInfo(schedule["timezone_id"]))
    except (CronError, KeyError, ValueError):
        return None


class Scheduler:
    """Triggers runs with trigger PERIODIC. What was missed while the workspace was down is not made up for."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
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
        looked = datetime.now(UTC)
        while not self._stop.is_set():
            self._changed.clear()
            due = [m for job in self.workspace.state.jobs() if (m := next_fire(job, looked)) is not None]
            now = datetime.now(UTC)
            pause = min([LONGEST_SLEEP, *((m - now).total_seconds() for m in due)])
            if pause > 0:
                self._changed.wait(pause)
                if self._stop.is_set():
                    return
            now = datetime.now(UTC)
            for job in self.workspace.state.jobs():
                moment = next_fire(job, looked)
                if moment is not None and moment <= now:
                    self.fire(job)
            looked = now

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
