"""Jobs: definition, schedule and pause, runs and their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from databricks.sdk.service import jobs as sdk

from app.workspace.errors import WorkspaceError
from app.workspace.links import Links
from app.workspace.rest import Rest

# The service takes a limit above 0 and below 25 ("list runs").
RUNS_A_PAGE = 24

TimingKind = Literal["schedule", "trigger", "continuous", "none"]


@dataclass(frozen=True)
class Timing:
    """What starts a job by itself. `block` is the service's whole block, as it came; `none` has an empty one.

    paused: True, False, or None where nothing starts the job by itself.
    """

    kind: TimingKind
    paused: bool | None
    block: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quartz(self) -> str | None:
        """The Quartz cron expression of a schedule."""
        return self.block.get("quartz_cron_expression")

    @property
    def timezone(self) -> str | None:
        """The time zone of a schedule."""
        return self.block.get("timezone_id")


@dataclass(frozen=True)
class TaskInfo:
    """A task as the job defines it. kind: `notebook`, `pipeline`, `sql` or another `..._task` field's name without `_task`."""

    task_key: str
    kind: str
    depends_on: tuple[str, ...] = ()
    notebook_path: str | None = None
    pipeline_id: str | None = None


@dataclass(frozen=True)
class Job:
    """A job as it is defined now. `settings` is the service's whole settings object."""

    job_id: int
    name: str
    timing: Timing
    tasks: tuple[TaskInfo, ...]
    max_concurrent_runs: int
    creator: str | None
    run_as: str | None
    url: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class TaskRun:
    """One task of a run. seconds: execution only. error: the platform's message where it failed."""

    task_key: str
    task_run_id: int
    attempt: int
    state: str
    start: datetime | None
    end: datetime | None
    seconds: float | None
    error: str | None
    pipeline_id: str | None
    url: str | None


@dataclass(frozen=True)
class JobRun:
    """One run of a job.

    state: the result where it has ended (SUCCESS, FAILED, CANCELED, TIMEDOUT, ...), else the life cycle state.
    run_seconds, queue_seconds: `run_duration`, `queue_duration`; of a running run, the seconds so far are not given (None).
    """

    job_id: int
    run_id: int
    number: int | None
    trigger: str | None
    life_cycle_state: str
    result_state: str | None
    state_message: str
    start: datetime
    end: datetime | None
    run_seconds: float | None
    queue_seconds: float | None
    url: str
    name: str
    tasks: tuple[TaskRun, ...]
    generated: bool

    @property
    def active(self) -> bool:
        """It has not ended: QUEUED, PENDING, RUNNING, BLOCKED, WAITING_FOR_RETRY or TERMINATING."""
        return self.life_cycle_state not in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")

    @property
    def state(self) -> str:
        """The result where there is one, else the life cycle state."""
        return self.result_state or self.life_cycle_state


@dataclass(frozen=True)
class RunPage:
    """One page of runs, newest first, and the token of the next."""

    runs: tuple[JobRun, ...]
    next_page_token: str | None


class Jobs:
    """Jobs of the workspace. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest, links: Links) -> None:
        self._rest = rest
        self._links = links

    def find(self, name: str, job_id: int | None = None) -> Job:
        """The one job named `name`; `job_id` pins it where names repeat. Fails where there is none, or several."""
        raise NotImplementedError

    def get(self, job_id: int) -> Job:
        """The job as it is defined now."""
        raise NotImplementedError

    def timing(self, job_id: int) -> Timing:
        """What starts the job by itself, now."""
        return self.get(job_id).timing

    def set_paused(self, job_id: int, paused: bool) -> Timing:
        """Pauses or unpauses the job and gives what was read back.

        The service replaces the block whole, so the block just read is sent complete, with only `pause_status` changed.
        Fails where the job has no schedule, trigger or continuous block, or where what is read back is not what was sent.
        """
        raise NotImplementedError

    def pause_call(self, job_id: int, paused: bool) -> tuple[str, dict[str, Any]]:
        """The path and body that `set_paused` would send now, for a plan's preview."""
        raise NotImplementedError

    def run_now(self, job_id: int, idempotency_token: str) -> int:
        """Starts a run and gives its id. The token (at most 64 characters) makes the call safe to repeat."""
        raise NotImplementedError

    def run(self, run_id: int) -> JobRun:
        """One run with all its tasks."""
        raise NotImplementedError

    def active_runs(self, job_id: int) -> tuple[JobRun, ...]:
        """The job's runs that have not ended."""
        raise NotImplementedError

    def runs_page(
        self,
        job_id: int,
        *,
        start_from: datetime | None = None,
        start_to: datetime | None = None,
        page_token: str | None = None,
    ) -> RunPage:
        """One page of runs that started within [start_from, start_to], newest first, with tasks."""
        raise NotImplementedError

    def runs(self, job_id: int, *, start_from: datetime | None = None, limit: int | None = None) -> Iterator[JobRun]:
        """Runs newest first, page by page as they are taken."""
        raise NotImplementedError

    def cancel_run(self, run_id: int) -> None:
        """Asks the service to cancel a run; it ends some time later."""
        raise NotImplementedError

    def task_error(self, task_run_id: int) -> str | None:
        """The platform's error of a failed task, None where it has none."""
        raise NotImplementedError

    def may_manage(self, job_id: int) -> bool:
        """Whether the acting principal has CAN_MANAGE or owns the job (needed to pause it)."""
        raise NotImplementedError


def moment(milliseconds: int | None) -> datetime | None:
    """A moment from the service's milliseconds since 1970; 0 and None are none."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


__all__ = ["Job", "JobRun", "Jobs", "RunPage", "TaskInfo", "TaskRun", "Timing", "WorkspaceError", "moment", "sdk"]
