"""A run of a job as the Jobs API answers it: its tasks with their tries, and its attempts: the original and repairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from databricks_client.answers import Answer
from databricks_client.errors import one_line
from databricks_client.links import Links

# How a local workspace marks history that it made up, in names, descriptions and messages.
GENERATED = "(generated"

ENDED_LIFE_CYCLES = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})

# `termination_details.code` of a `status` block, where an answer has no `state` block with a result.
_RESULTS = {
    "SUCCESS": "SUCCESS",
    "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES",
    "CANCELED": "CANCELED",
    "USER_CANCELED": "CANCELED",
    "SKIPPED": "SKIPPED",
}


@dataclass(frozen=True)
class TaskRun:
    """One try of a task of a run. attempt: 0 for the first try; retries and repairs count on.

    seconds: execution only. error: the platform's message where it failed.
    """

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
class RunAttempt:
    """The original execution of a run (number 0) or one repair of it (1, 2, ...).

    state: its result, else its life cycle state; None where the service does not give one. seconds: start to end.
    """

    number: int
    repair_id: int | None
    state: str | None
    start: datetime | None
    end: datetime | None

    @property
    def seconds(self) -> float | None:
        """Seconds from its start to its end; None where one of them is unknown."""
        if self.start is None or self.end is None:
            return None
        return max(0.0, (self.end - self.start).total_seconds())


@dataclass(frozen=True)
class JobRun:
    """One run of a job.

    state: the result where it has ended (SUCCESS, FAILED, CANCELED, TIMEDOUT, ...), else the life cycle state.
    run_seconds, queue_seconds: `run_duration`, `queue_duration`; None while it runs. tasks: the newest try of each.
    earlier: the tries before those, oldest first, as far as the answer has them. attempts: the original and the
    repairs, oldest first; None unless the history was requested.
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
    earlier: tuple[TaskRun, ...] = ()
    attempts: tuple[RunAttempt, ...] | None = None

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


def job_run(run: Answer, tasks: Sequence[Answer], links: Links, history: Sequence[Answer] | None = None) -> JobRun:
    """A run from its answer. tasks: of all pages. history: the entries of `repair_history`, None if not requested.

    Raises WorkspaceError where the answer is not as documented.
    """
    state = _RunState(run)
    job_id, run_id = run.whole("job_id", 1), run.whole("run_id", 1)
    name = run.text_or_none("run_name") or ""
    newest: dict[str, TaskRun] = {}
    earlier: list[TaskRun] = []
    for task in sorted(map(_task_run, tasks), key=_order):
        if task.task_key in newest:
            earlier.append(newest[task.task_key])
        newest[task.task_key] = task
    order = list(dict.fromkeys(t.name("task_key") for t in tasks))
    end, seconds = run.moment_or_none("end_time"), _run_seconds(run)
    return JobRun(
        job_id=job_id,
        run_id=run_id,
        number=run.whole_or_none("number_in_job"),
        trigger=run.word_or_none("trigger"),
        life_cycle_state=state.life_cycle,
        result_state=state.result,
        state_message=one_line(state.message),
        start=run.moment("start_time"),
        end=end if state.ended else None,
        run_seconds=seconds if state.ended else None,
        queue_seconds=run.seconds_or_none("queue_duration"),
        url=run.text_or_none("run_page_url") or links.run(job_id, run_id),
        name=name,
        tasks=tuple(newest[key] for key in order),
        generated=GENERATED in name or GENERATED in (run.text_or_none("description") or ""),
        earlier=tuple(earlier),
        attempts=None if history is None else _attempts(history),
    )


def _order(task: TaskRun) -> tuple[int, bool, float]:
    """Tries of a task in the order in which they were made; one that has not started is the newest of its number."""
    return task.attempt, task.start is None, task.start.timestamp() if task.start else 0.0


def _attempts(history: Sequence[Answer]) -> tuple[RunAttempt, ...]:
    """The entries of `repair_history`: the first is the original, each later one a repair."""
    found = []
    for entry in history:
        known = "state" in entry.raw or "status" in entry.raw
        state = _RunState(entry) if known else None
        found.append(
            (
                entry.word("type") == "REPAIR",
                entry.moment_or_none("start_time"),
                RunAttempt(
                    number=0,
                    repair_id=entry.whole_or_none("id"),
                    state=None if state is None else state.result or state.life_cycle,
                    start=entry.moment_or_none("start_time"),
                    end=entry.moment_or_none("end_time"),
                ),
            )
        )
    found.sort(key=lambda f: (f[0], f[1] is not None, f[1].timestamp() if f[1] else 0.0))
    return tuple(
        RunAttempt(number, attempt.repair_id, attempt.state, attempt.start, attempt.end)
        for number, (_, _, attempt) in enumerate(found)
    )


class _RunState:
    """Where a run or task run is: from its `state` block, or from the newer `status` block where there is no other."""

    def __init__(self, run: Answer) -> None:
        state = run.inner_or_none("state")
        status = run.inner_or_none("status")
        if state is None and status is None:
            run.fail("state", "is missing")
        life_cycle = state.word_or_none("life_cycle_state") if state else None
        if life_cycle is None:
            if status is None:
                run.fail("state.life_cycle_state", "is missing")
            life_cycle = status.word("state")
        self.life_cycle: str = life_cycle
        self.ended = life_cycle in ENDED_LIFE_CYCLES
        self.result = state.word_or_none("result_state") if state else None
        self.message = (state.text_or_none("state_message") if state else None) or ""
        if state is None and status is not None and self.ended:
            details = status.part("termination_details")
            code = details.word_or_none("code")
            self.result = None if code is None else _RESULTS.get(code, "FAILED")
            self.message = details.text_or_none("message") or ""


def _run_seconds(run: Answer) -> float | None:
    """Seconds of a run. Multi-task runs report setup, execution and cleanup as 0 and have `run_duration` instead;
    single-task runs may have it the other way round."""
    whole = run.seconds_or_none("run_duration")
    parts = [run.seconds_or_none(f"{part}_duration") or 0.0 for part in ("setup", "execution", "cleanup")]
    start, end = run.moment_or_none("start_time"), run.moment_or_none("end_time")
    if whole:
        return whole
    if any(parts):
        return sum(parts)
    if start and end:
        return max(0.0, (end - start).total_seconds())
    return None


def _task_run(task: Answer) -> TaskRun:
    state = _RunState(task)
    failed = state.result not in (None, "SUCCESS", "EXCLUDED", "DISABLED")
    end, seconds = task.moment_or_none("end_time"), _run_seconds(task)
    pipeline = task.inner_or_none("pipeline_task")
    return TaskRun(
        task_key=task.name("task_key"),
        task_run_id=task.whole("run_id", 1),
        attempt=task.whole_or_none("attempt_number") or 0,
        state=state.result or state.life_cycle,
        start=task.moment_or_none("start_time"),
        end=end if state.ended else None,
        seconds=seconds if state.ended else None,
        error=one_line(state.message) if failed and state.message else None,
        pipeline_id=pipeline.name("pipeline_id") if pipeline else None,
        url=task.text_or_none("run_page_url"),
    )
