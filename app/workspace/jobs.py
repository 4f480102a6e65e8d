"""Jobs: definition, schedule and pause, runs and their tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from databricks.sdk.service import jobs as sdk

from app.workspace.errors import WorkspaceError, one_line
from app.workspace.links import Links
from app.workspace.rest import Rest

# The service takes a limit above 0 and below 25 ("list runs").
RUNS_A_PAGE = 24

# A job's arrays that the service pages by 100 elements ("get a job").
PAGED_ARRAYS = ("tasks", "job_clusters", "environments", "parameters")

# Repeats of a run_now that got no definite answer: its token makes that safe.
RUN_NOW_ATTEMPTS = 3

TimingKind = Literal["schedule", "trigger", "continuous", "triggers", "none"]


@dataclass(frozen=True)
class Timing:
    """What starts a job by itself. `block` is the service's whole block, as it came; `none` has an empty one.

    For `triggers` (several at once) the block is `{"triggers": [...]}`, and it is paused if every one of them is.
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
    """A task as the job defines it. kind: `notebook`, `pipeline`, or another `..._task` field without `_task`."""

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

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Name and default of every job parameter, in the job's order."""
        return tuple((str(p["name"]), str(p.get("default", ""))) for p in self.settings.get("parameters") or ())


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
    run_seconds, queue_seconds: `run_duration`, `queue_duration`; None while it runs.
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
        return self.life_cycle_state not in ENDED_LIFE_CYCLES

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

    def __init__(self, rest: Rest, links: Links, sleep: Callable[[float], None] = time.sleep) -> None:
        self._rest = rest
        self._links = links
        self._sleep = sleep

    def find(self, name: str, job_id: int | None = None) -> Job:
        """The one job named `name`; `job_id` pins it where names repeat. Fails where there is none, or several."""
        if job_id is not None:
            return self.get(job_id)
        what = f"find job {name}"
        found = self._rest.read(what, lambda: list(self._rest.client.jobs.list(name=name, limit=100)))
        # The service compares names without regard to case.
        ids = [j.job_id for j in found if j.job_id is not None and j.settings and j.settings.name == name]
        if not ids:
            raise WorkspaceError(
                what,
                "no job of this name can be seen",
                "create it, or give the acting principal CAN_VIEW on it",
                status=404,
                error_code="RESOURCE_DOES_NOT_EXIST",
            )
        if len(ids) > 1:
            raise WorkspaceError(
                what, f"{len(ids)} jobs have this name ({_listed(ids)})", "name one by `id` in the migration file"
            )
        return self.get(ids[0])

    def get(self, job_id: int) -> Job:
        """The job as it is defined now."""
        # Raw, because the SDK's objects drop fields that they do not know, and blocks are sent back whole.
        raw = self._rest.get(f"read job {job_id}", "/api/2.2/jobs/get", {"job_id": job_id})
        settings = {"tasks": [], **raw.get("settings", {})}
        token = raw.get("next_page_token")
        while token:
            page = self._rest.get(f"read job {job_id}", "/api/2.2/jobs/get", {"job_id": job_id, "page_token": token})
            for name in PAGED_ARRAYS:
                settings[name] = [*settings.get(name, []), *page.get("settings", {}).get(name, [])]
            token = page.get("next_page_token")
        return Job(
            job_id=int(raw["job_id"]),
            name=settings.get("name", ""),
            timing=timing_of(settings),
            tasks=tuple(_task_info(t) for t in settings["tasks"]),
            max_concurrent_runs=int(settings.get("max_concurrent_runs", 1)),
            creator=raw.get("creator_user_name"),
            run_as=raw.get("run_as_user_name"),
            url=self._links.job(job_id),
            settings=settings,
        )

    def timing(self, job_id: int) -> Timing:
        """What starts the job by itself, now."""
        return self.get(job_id).timing

    def set_paused(self, job_id: int, paused: bool) -> Timing:
        """Pauses or unpauses the job and gives what was read back.

        The service replaces the block whole, so the block just read is sent complete with only `pause_status` changed.
        Fails where nothing starts the job by itself, or where what is read back is not what was sent. An answer that
        was lost is not repeated but read back.
        """
        word = "pause" if paused else "unpause"
        what = f"{word} job {job_id}"
        path, body = self.pause_call(job_id, paused)
        lost: WorkspaceError | None = None
        try:
            self._rest.post(what, path, body)
        except WorkspaceError as e:
            if not e.uncertain:
                raise
            lost = e
        sent = timing_of(body["new_settings"])
        now = self.timing(job_id)
        if now == sent:
            return now
        if lost is not None:
            raise lost
        raise WorkspaceError(
            what,
            f"the job now has {now.kind} {dict(now.block)}, sent was {sent.kind} {dict(sent.block)}",
            "someone else changes this job: settle with them, then try again",
        )

    def pause_call(self, job_id: int, paused: bool) -> tuple[str, dict[str, Any]]:
        """The path and body that `set_paused` would send now, for a plan's preview."""
        timing = self.timing(job_id)
        status = "PAUSED" if paused else "UNPAUSED"
        if timing.kind == "none":
            raise WorkspaceError(
                f"{'pause' if paused else 'unpause'} job {job_id}",
                "the job has no schedule, trigger or continuous block",
                "nothing starts it by itself; give it a schedule first",
            )
        if timing.kind == "triggers":
            block: Any = [{**t, "pause_status": status} for t in timing.block["triggers"]]
        else:
            block = {**timing.block, "pause_status": status}
        return "/api/2.2/jobs/update", {"job_id": job_id, "new_settings": {timing.kind: block}}

    def set_parameters(self, job_id: int, values: Mapping[str, str]) -> None:
        """Sets defaults of job parameters, and reads them back.

        All parameters just read are sent, so that none is lost whether the service replaces the list or merges it.
        Fails, before any write, for a name that the job lacks. An answer that was lost is not repeated but read back.
        """
        what = f"set parameters of job {job_id}"
        found = self.get(job_id)
        lacking = [name for name in values if name not in dict(found.parameters)]
        if lacking:
            raise WorkspaceError(
                what,
                f"{found.name} has no parameter {', '.join(lacking)}",
                "add it to the job's parameters",
                status=400,
            )
        sent = [{**p, "default": values.get(p["name"], p.get("default", ""))} for p in found.settings["parameters"]]
        lost: WorkspaceError | None = None
        try:
            self._rest.post(what, "/api/2.2/jobs/update", {"job_id": job_id, "new_settings": {"parameters": sent}})
        except WorkspaceError as e:
            if not e.uncertain:
                raise
            lost = e
        now = dict(self.get(job_id).parameters)
        wrong = [f"{name} is {now.get(name)!r}" for name, value in values.items() if now.get(name) != value]
        if wrong and lost is not None:
            raise lost
        if wrong:
            cause = f"read back, {', '.join(wrong)}"
            raise WorkspaceError(what, cause, "someone else changes this job: settle with them, then try again")

    def run_now(self, job_id: int, idempotency_token: str) -> int:
        """Starts a run and gives its id. The token (1 to 64 characters) makes the call safe to repeat, so it is."""
        what = f"run job {job_id} now"
        if not 1 <= len(idempotency_token) <= 64:
            raise ValueError("an idempotency token has 1 to 64 characters")
        body = {"job_id": job_id, "idempotency_token": idempotency_token}
        attempt = 1
        while True:
            try:
                answer = self._rest.post(what, "/api/2.2/jobs/run-now", body)
                return int(answer["run_id"])
            except WorkspaceError as e:
                if not e.retryable or attempt == RUN_NOW_ATTEMPTS:
                    raise
                self._sleep(min(e.retry_after or attempt, 10.0))
                attempt += 1

    def run(self, run_id: int) -> JobRun:
        """One run with all its tasks."""
        what = f"read run {run_id}"
        client = self._rest.client.jobs
        # The SDK's get_run gathers all pages of tasks.
        found = self._rest.read(what, lambda: client.get_run(run_id))
        return self._run(found)

    def active_runs(self, job_id: int) -> tuple[JobRun, ...]:
        """The job's runs that have not ended."""
        what = f"list active runs of job {job_id}"
        client = self._rest.client.jobs
        found = self._rest.read(
            what, lambda: list(client.list_runs(job_id=job_id, active_only=True, limit=RUNS_A_PAGE))
        )
        return tuple(self._run(r) for r in found)

    def runs_page(
        self,
        job_id: int,
        *,
        start_from: datetime | None = None,
        start_to: datetime | None = None,
        page_token: str | None = None,
    ) -> RunPage:
        """One page of runs that started within [start_from, start_to], newest first, with tasks."""
        what = f"list runs of job {job_id}"
        query: dict[str, Any] = {"job_id": job_id, "limit": RUNS_A_PAGE, "expand_tasks": True}
        if start_from is not None:
            query["start_time_from"] = milliseconds(start_from)
        if start_to is not None:
            query["start_time_to"] = milliseconds(start_to)
        if page_token is not None:
            query["page_token"] = page_token
        # The SDK's list_runs walks all pages at once; a page at a time lets a long history be taken in parts.
        answer = sdk.ListRunsResponse.from_dict(self._rest.get(what, "/api/2.2/jobs/runs/list", query))
        runs = [self.run(r.run_id) if r.has_more and r.run_id is not None else self._run(r) for r in answer.runs or []]
        return RunPage(tuple(runs), answer.next_page_token or None)

    def runs(self, job_id: int, *, start_from: datetime | None = None, limit: int | None = None) -> Iterator[JobRun]:
        """Runs newest first, page by page as they are taken."""
        token: str | None = None
        given = 0
        while True:
            page = self.runs_page(job_id, start_from=start_from, page_token=token)
            for run in page.runs:
                if limit is not None and given >= limit:
                    return
                yield run
                given += 1
            token = page.next_page_token
            if token is None:
                return

    def cancel_run(self, run_id: int) -> None:
        """Asks the service to cancel a run; it ends some time later."""
        self._rest.post(f"cancel run {run_id}", "/api/2.2/jobs/runs/cancel", {"run_id": run_id})

    def task_error(self, task_run_id: int) -> str | None:
        """The platform's error of a failed task, None where it has none."""
        what = f"read the output of task run {task_run_id}"
        output = self._rest.read(what, lambda: self._rest.client.jobs.get_run_output(task_run_id))
        return output.error or None

    def may_manage(self, job_id: int) -> bool:
        """Whether the acting principal has CAN_MANAGE or owns the job (needed to pause it).

        The service shows a job's permissions only to who may manage it, so being shown them is the proof.
        """
        try:
            self._rest.get(f"read permissions of job {job_id}", f"/api/2.0/permissions/jobs/{job_id}")
        except WorkspaceError as e:
            if e.denied:
                return False
            raise
        return True

    def _run(self, run: sdk.BaseRun | sdk.Run) -> JobRun:
        state = run.state or sdk.RunState()
        job_id, run_id = run.job_id or 0, run.run_id or 0
        life_cycle = state.life_cycle_state.value if state.life_cycle_state else _life_cycle(run.status)
        ended = life_cycle in ENDED_LIFE_CYCLES
        start = moment(run.start_time)
        name = run.run_name or ""
        newest: dict[str, sdk.RunTask] = {}
        for task in run.tasks or []:
            before = newest.get(task.task_key)
            if before is None or (task.attempt_number or 0) >= (before.attempt_number or 0):
                newest[task.task_key] = task
        return JobRun(
            job_id=job_id,
            run_id=run_id,
            number=run.number_in_job,
            trigger=run.trigger.value if run.trigger else None,
            life_cycle_state=life_cycle,
            result_state=state.result_state.value if state.result_state else None,
            state_message=one_line(state.state_message or ""),
            start=start or datetime.fromtimestamp(0, UTC),
            end=moment(run.end_time) if ended else None,
            run_seconds=_run_seconds(run) if ended else None,
            queue_seconds=_seconds(run.queue_duration),
            url=run.run_page_url or self._links.run(job_id, run_id),
            name=name,
            tasks=tuple(_task_run(t) for t in newest.values()),
            generated=GENERATED in name or GENERATED in (run.description or ""),
        )


# How a local workspace marks history that it made up, in names, descriptions and messages.
GENERATED = "(generated"

ENDED_LIFE_CYCLES = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})


def timing_of(settings: Mapping[str, Any]) -> Timing:
    """What starts a job with these settings by itself. A missing `pause_status` means UNPAUSED, as in the service."""
    kinds: tuple[TimingKind, ...] = ("schedule", "trigger", "continuous")
    for kind in kinds:
        block = settings.get(kind)
        if block:
            return Timing(kind, block.get("pause_status") == "PAUSED", dict(block))
    several = settings.get("triggers")
    if several:
        paused = all(t.get("pause_status") == "PAUSED" for t in several)
        return Timing("triggers", paused, {"triggers": list(several)})
    return Timing("none", None)


def moment(ms: int | None) -> datetime | None:
    """A moment from the service's milliseconds since 1970; 0 and None are none."""
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, as the service takes them."""
    return round(at.timestamp() * 1000)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _run_seconds(run: sdk.BaseRun | sdk.Run | sdk.RunTask) -> float | None:
    """Seconds of a run. Multi-task runs report setup, execution and cleanup as 0 and have `run_duration` instead;
    single-task runs may have it the other way round."""
    if run.run_duration:
        return run.run_duration / 1000
    parts = [run.setup_duration, run.execution_duration, run.cleanup_duration]
    if any(parts):
        return sum(p or 0 for p in parts) / 1000
    if run.start_time and run.end_time:
        return max(0, run.end_time - run.start_time) / 1000
    return None


def _life_cycle(status: sdk.RunStatus | None) -> str:
    """The life cycle from the newer `status` block, for answers without `state`."""
    return status.state.value if status and status.state else "PENDING"


def _task_info(task: Mapping[str, Any]) -> TaskInfo:
    field_name = next((k for k in task if k.endswith("_task")), "")
    return TaskInfo(
        task_key=task.get("task_key", ""),
        kind=field_name.removesuffix("_task") or "unknown",
        depends_on=tuple(d["task_key"] for d in task.get("depends_on", [])),
        notebook_path=task.get("notebook_task", {}).get("notebook_path"),
        pipeline_id=task.get("pipeline_task", {}).get("pipeline_id"),
    )


def _task_run(task: sdk.RunTask) -> TaskRun:
    state = task.state or sdk.RunState()
    life_cycle = state.life_cycle_state.value if state.life_cycle_state else _life_cycle(task.status)
    result = state.result_state.value if state.result_state else None
    failed = result not in (None, "SUCCESS", "EXCLUDED", "DISABLED")
    return TaskRun(
        task_key=task.task_key,
        task_run_id=task.run_id or 0,
        attempt=task.attempt_number or 0,
        state=result or life_cycle,
        start=moment(task.start_time),
        end=moment(task.end_time) if life_cycle in ENDED_LIFE_CYCLES else None,
        seconds=_run_seconds(task) if life_cycle in ENDED_LIFE_CYCLES else None,
        error=one_line(state.state_message) if failed and state.state_message else None,
        pipeline_id=task.pipeline_task.pipeline_id if task.pipeline_task else None,
        url=task.run_page_url,
    )


def _listed(ids: list[int]) -> str:
    return ", ".join(str(i) for i in ids[:5]) + (", …" if len(ids) > 5 else "")
