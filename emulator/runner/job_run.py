"""One active run of a job: tasks by their dependencies, in parallel, each attempt a real execution."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from emulator.access import demand, demand_source
from emulator.files import FileError
from emulator.records import Job, Json, Run, TaskRun, WorkspaceObject, new_number, now_ms
from emulator.rest.errors import ServiceError
from emulator.runner.host import Host
from emulator.runner.pipelines import PipelineRunner
from emulator.runner.zygote import Execution, ProcessDied

log = logging.getLogger("emulator.jobs")

DEFAULT_MESSAGE = "Workload failed, see run output for details"
# Result states that count as "failed" for what depends on a task.
FAILED = ("FAILED", "TIMEDOUT", "UPSTREAM_FAILED")
CANCELLED = ("CANCELED", "UPSTREAM_CANCELED")


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended. result: a RunResultState; code: a TerminationCode."""

    result: str
    code: str
    message: str = ""
    output: Json = field(default_factory=dict)
    setup_ms: int = 0
    execution_ms: int | None = None


SUCCESS = Outcome("SUCCESS", "SUCCESS")


def run_if_holds(run_if: str, results: Sequence[str]) -> bool:
    """Whether a task may run, given the results of what it depends on (all ended). Excluded ones do not count."""
    counted = [r for r in results if r not in ("EXCLUDED", "DISABLED")]
    succeeded = [r == "SUCCESS" for r in counted]
    failed = [r in FAILED for r in counted]
    if run_if == "ALL_DONE":
        return True
    if results and not counted:
        return False
    return {
        "ALL_SUCCESS": all(succeeded),
        "AT_LEAST_ONE_SUCCESS": any(succeeded) or not results,
        "NONE_FAILED": not any(failed) and not any(r in CANCELLED for r in counted),
        "AT_LEAST_ONE_FAILED": any(failed),
        "ALL_FAILED": bool(counted) and all(failed),
    }[run_if]


def latest_attempts(tasks: Sequence[TaskRun]) -> dict[str, TaskRun]:
    """Task key to its newest attempt, in the order of the tasks."""
    latest: dict[str, TaskRun] = {}
    for task in tasks:
        if task.task_key not in latest or latest[task.task_key].attempt <= task.attempt:
            latest[task.task_key] = task
    return latest


class JobHost(Host, Protocol):
    """The workspace, as jobs see it: their tasks start updates too."""

    @property
    def pipelines(self) -> PipelineRunner: ...


class Jobs(Protocol):
    """The workspace's jobs, as one of their runs sees them: its tasks run other jobs."""

    workspace: JobHost

    def run_as(self, job: Job) -> str: ...

    def run_now(
        self,
        job_id: int,
        creator: str,
        *,
        trigger: str = ...,
        job_parameters: Mapping[str, str] | None = ...,
        notebook_params: Mapping[str, str] | None = ...,
    ) -> Run: ...

    def cancel(self, run_id: int) -> None: ...

    def wait(self, run_id: int) -> Run: ...


class ActiveRun:
    """One active run."""

    def __init__(self, runner: Jobs, run: Run, tasks: Sequence[TaskRun] | None) -> None:
        self.runner, self.workspace, self.state = runner, runner.workspace, runner.workspace.state
        self.run = run
        self.repaired = tasks
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.ending: tuple[str, str, str] | None = None
        self.stoppers: dict[int, Callable[[], None]] = {}
        self.done: dict[str, TaskRun] = {}

    # -- the run -------------------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Runs every task whose time has come until none is left, then ends the run."""
        tasks = latest_attempts(self.state.tasks(self.run.run_id))
        again = {t.run_id for t in self.repaired} if self.repaired is not None else None
        waiting = {k: t for k, t in tasks.items() if again is None or t.run_id in again}
        self.done = {k: t for k, t in tasks.items() if k not in waiting}
        self.run = self.state.put_run(replace(self.run, life_cycle_state="RUNNING"))
        timeout = int(self.run.settings.get("timeout_seconds") or 0)
        deadline = time.monotonic() + timeout if timeout else None
        running: set[str] = set()
        with self.changed:
            while waiting or running:
                if deadline is not None and time.monotonic() >= deadline and self.ending is None:
                    self.cancel("TIMEDOUT", f"Run timed out after {timeout} seconds.", "RUN_EXECUTION_ERROR")
                settled = False
                for key in list(waiting):
                    task = waiting[key]
                    if self.ending is not None:
                        result, message, code = self.ending
                        self.done[key] = self.end_task(task, Outcome(result, code, message))
                        del waiting[key]
                        continue
                    verdict = self.may_start(task)
                    if verdict is None:
                        continue
                    del waiting[key]
                    if isinstance(verdict, bool):
                        running.add(key)
                        name = f"task-{key}"
                        threading.Thread(target=self.attempt, args=[task, running], name=name, daemon=True).start()
                    else:
                        self.done[key] = self.end_task(task, verdict)
                        settled = True
                if running and not settled:
                    left = None if deadline is None or self.ending else max(deadline - time.monotonic(), 0.01)
                    self.changed.wait(left)
        self.conclude()

    def may_start(self, task: TaskRun) -> Literal[True] | Outcome | None:
        """True: now. None: not yet. An Outcome: never, and why."""
        dependencies = task.definition.get("depends_on") or []
        ended = [self.done.get(d["task_key"]) for d in dependencies]
        if any(t is None for t in ended):
            return None
        results = [self.result_for(d, t) for d, t in zip(dependencies, ended, strict=True) if t is not None]
        run_if = task.definition.get("run_if") or "ALL_SUCCESS"
        if run_if_holds(run_if, results):
            return True
        names = ", ".join(d["task_key"] for d in dependencies)
        if any(r in FAILED for r in results) and run_if in ("ALL_SUCCESS", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS"):
            return Outcome("UPSTREAM_FAILED", "RUN_EXECUTION_ERROR", f"Upstream task {names} failed.")
        if any(r in CANCELLED for r in results):
            return Outcome("UPSTREAM_CANCELED", "CANCELED", f"Upstream task {names} was canceled.")
        return Outcome("EXCLUDED", "SUCCESS", f"The condition {run_if} of this task does not hold.")

    @staticmethod
    def result_for(dependency: Mapping[str, Any], task: TaskRun) -> str:
        """The result of a dependency; a condition task's branch that was not taken counts as excluded."""
        wanted = dependency.get("outcome")
        if wanted is not None and task.result_state == "SUCCESS" and task.output.get("outcome") != wanted:
            return "EXCLUDED"
        return task.result_state or "FAILED"

    def conclude(self) -> None:
        """Ends the run by the results of its leaves."""
        if self.ending is not None:
            result, message, code = self.ending
            life = "INTERNAL_ERROR" if code == "INTERNAL_ERROR" else "TERMINATED"
            self.end(life, result, message, code)
            return
        needed = {d["task_key"] for t in self.done.values() for d in t.definition.get("depends_on") or []}
        leaves = [t for k, t in self.done.items() if k not in needed]
        failed = [t for t in self.done.values() if t.result_state in ("FAILED", "TIMEDOUT")]
        bad_leaves = [t for t in leaves if t.result_state in (*FAILED, *CANCELLED)]
        if bad_leaves:
            first = (failed or bad_leaves)[0]
            what = "timed out" if first.result_state == "TIMEDOUT" else "failed"
            message = f"Task {first.task_key} {what} with message: {first.state_message or DEFAULT_MESSAGE}."
            if any(t.result_state == "UPSTREAM_FAILED" for t in self.done.values()):
                message += " This caused all downstream tasks to get skipped."
            only_cancelled = not failed and all(t.result_state in CANCELLED for t in bad_leaves)
            result = "CANCELED" if only_cancelled else "FAILED"
            self.end("TERMINATED", result, message, "CANCELED" if only_cancelled else "RUN_EXECUTION_ERROR")
        elif failed:
            self.end("TERMINATED", "SUCCESS_WITH_FAILURES", "", "SUCCESS_WITH_FAILURES")
        else:
            self.end("TERMINATED", "SUCCESS", "", "SUCCESS")

    def end(self, life: str, result: str, message: str, code: str) -> None:
        at = now_ms()
        run = self.state.run(self.run.run_id) or self.run
        repairs = tuple(
            {**r, "end_time": at, "state": {"life_cycle_state": life, "result_state": result}}
            if "end_time" not in r
            else r
            for r in run.repairs
        )
        left = [
            replace(
                t, end_ms=at, life_cycle_state=life, result_state=result, state_message=message, termination_code=code
            )
            for t in self.state.tasks(run.run_id)
            if t.active
        ]
        ended = replace(
            run,
            end_ms=at,
            life_cycle_state=life,
            result_state=result,
            state_message=message,
            termination_code=code,
            repairs=repairs,
        )
        with self.lock:
            self.state.put_runs([ended], left)
            self.run = ended

    def cancel(self, result: str, message: str, code: str) -> None:
        """Ends everything that runs; nothing more is started. Nothing for a run that has ended."""
        with self.changed:
            if self.ending is not None or not self.run.active:
                return
            self.ending = (result, message, code)
            stoppers = list(self.stoppers.values())
            self.state.put_run(replace(self.run, life_cycle_state="TERMINATING"))
            self.changed.notify_all()
        for stop in stoppers:
            stop()

    # -- a task --------------------------------------------------------------------------------------------------------

    def attempt(self, task: TaskRun, running: set[str]) -> None:
        """Attempts one task until it succeeds or has no retry left, then wakes the run."""
        try:
            while True:
                task = self.state.put_task(
                    replace(task, life_cycle_state="RUNNING", start_ms=now_ms(), state_message="In run")
                )
                outcome = self.perform(task)
                task = self.end_task(task, outcome)
                if not self.may_retry(task, outcome):
                    break
                interval = int(task.definition.get("min_retry_interval_millis") or 0)
                task = TaskRun(
                    run_id=new_number(),
                    parent_run_id=self.run.run_id,
                    task_key=task.task_key,
                    definition=task.definition,
                    attempt=task.attempt + 1,
                    life_cycle_state="WAITING_FOR_RETRY",
                )
                self.state.put_task(task)
                with self.changed:
                    self.changed.wait_for(lambda: self.ending is not None, interval / 1000)
                if self.ending is not None:
                    task = self.end_task(task, Outcome("CANCELED", self.ending[2], self.ending[1]))
                    break
        except Exception as e:
            log.exception("task %s of run %s broke", task.task_key, self.run.run_id)
            task = self.end_task(task, Outcome("FAILED", "INTERNAL_ERROR", f"{type(e).__name__}: {e}"))
        with self.changed:
            self.done[task.task_key] = task
            running.discard(task.task_key)
            self.changed.notify_all()

    def may_retry(self, task: TaskRun, outcome: Outcome) -> bool:
        if self.ending is not None or outcome.result not in ("FAILED", "TIMEDOUT"):
            return False
        if outcome.result == "TIMEDOUT" and not task.definition.get("retry_on_timeout"):
            return False
        allowed = int(task.definition.get("max_retries") or 0)
        return allowed < 0 or task.attempt < allowed

    def end_task(self, task: TaskRun, outcome: Outcome) -> TaskRun:
        at = now_ms()
        started = task.start_ms or at
        skipped = outcome.result in ("UPSTREAM_FAILED", "UPSTREAM_CANCELED", "EXCLUDED") and not task.start_ms
        execution = outcome.execution_ms if outcome.execution_ms is not None else at - started - outcome.setup_ms
        return self.state.put_task(
            replace(
                task,
                start_ms=started,
                end_ms=at,
                life_cycle_state="SKIPPED" if skipped else "TERMINATED",
                result_state=outcome.result,
                state_message=outcome.message,
                termination_code=outcome.code,
                setup_ms=outcome.setup_ms,
                execution_ms=max(execution, 0) if task.start_ms else 0,
                output=outcome.output,
            )
        )

    def perform(self, task: TaskRun) -> Outcome:
        """Carries one attempt out, within its timeout."""
        timeout = int(task.definition.get("timeout_seconds") or 0)
        timed_out = threading.Event()
        timer: threading.Timer | None = None
        if timeout:

            def expire() -> None:
                timed_out.set()
                stop = self.stoppers.get(task.run_id)
                if stop:
                    stop()

            timer = threading.Timer(timeout, expire)
            timer.daemon = True
            timer.start()
        try:
            outcome = self.perform_kind(task)
        except (ServiceError, FileError) as e:
            code = getattr(e, "code", "")
            if "NOT_EXIST" in code or "NOT_FOUND" in code:
                reason = "RESOURCE_NOT_FOUND"
            else:
                reason = "UNAUTHORIZED_ERROR" if code == "PERMISSION_DENIED" else "INVALID_RUN_CONFIGURATION"
            outcome = Outcome("FAILED", reason, str(e), {"error": f"{code}: {e}"})
        finally:
            if timer is not None:
                timer.cancel()
            self.stoppers.pop(task.run_id, None)
        if self.ending is not None and outcome.result != "SUCCESS":
            result, message, code = self.ending
            return replace(outcome, result=result, message=message, code=code, output={"error": message})
        if timed_out.is_set() and outcome.result != "SUCCESS":
            return replace(
                outcome, result="TIMEDOUT", message=f"Run timed out after {timeout} seconds", code="RUN_EXECUTION_ERROR"
            )
        return outcome

    def stoppable(self, task: TaskRun, stop: Callable[[], None]) -> None:
        """Registers how to stop a running attempt; stops it at once if the run is ending already."""
        with self.lock:
            self.stoppers[task.run_id] = stop
            ending = self.ending is not None
        if ending:
            stop()

    def perform_kind(self, task: TaskRun) -> Outcome:
        definition = self.resolved(task)
        if definition.get("notebook_task"):
            return self.notebook(task, definition["notebook_task"])
        if definition.get("spark_python_task"):
            return self.python_file(task, definition["spark_python_task"])
        if definition.get("pipeline_task"):
            return self.pipeline(task, definition["pipeline_task"])
        if definition.get("condition_task"):
            return condition(definition["condition_task"])
        return self.other_job(task, definition["run_job_task"])

    def resolved(self, task: TaskRun) -> Json:
        """The task's definition with its `{{...}}` references replaced."""
        at = datetime.fromtimestamp(self.run.start_ms / 1000, UTC)
        known = {
            "job.id": str(self.run.job_id),
            "job_id": str(self.run.job_id),
            "job.name": self.run.run_name,
            "job.run_id": str(self.run.run_id),
            "run_id": str(self.run.run_id),
            "job.trigger.type": self.run.trigger.lower(),
            "job.start_time.iso_date": at.date().isoformat(),
            "job.start_time.iso_datetime": at.isoformat(),
            "job.start_time.timestamp_ms": str(self.run.start_ms),
            "start_date": at.date().isoformat(),
            "start_time": str(self.run.start_ms),
            "task.name": task.task_key,
            "task_key": task.task_key,
            "task.run_id": str(task.run_id),
            "task.execution_count": str(task.attempt + 1),
            "parent_run_id": str(self.run.run_id),
            **{f"job.parameters.{k}": v for k, v in self.run.job_parameters.items()},
        }

        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            found = re.fullmatch(r"tasks\.([\w-]+)\.values\.(\w+)", name)
            if found:
                record = self.state.record("task_value", f"{self.run.run_id}/{found[1]}/{found[2]}")
                if record is not None:
                    return str(record["value"])
            found = re.fullmatch(r"tasks\.([\w-]+)\.(run_id|result_state|execution_count)", name)
            if found and found[1] in self.done:
                upstream = self.done[found[1]]
                return {
                    "run_id": str(upstream.run_id),
                    "result_state": str(upstream.result_state).lower(),
                    "execution_count": str(upstream.attempt + 1),
                }[found[2]]
            return known.get(name, match.group())

        def walk(item: Any) -> Any:
            if isinstance(item, str):
                return re.sub(r"\{\{\s*([\w.-]+)\s*\}\}", value, item)
            if isinstance(item, dict):
                return {k: walk(v) for k, v in item.items()}
            if isinstance(item, list):
                return [walk(v) for v in item]
            return item

        resolved = walk(task.definition)
        self.state.put_task(replace(task, definition=resolved, life_cycle_state="RUNNING"))
        return dict(resolved)

    def run_as(self) -> str:
        """Who the run acts as."""
        job = self.state.job(self.run.job_id)
        return self.runner.run_as(job) if job else self.run.creator

    def demand(self, object_type: str, object_id: str, needed: str) -> None:
        """Raises PERMISSION_DENIED unless who the run acts as has at least this level on what exists."""
        exists = (
            self.state.pipeline(object_id) if object_type == "pipelines" else self.state.job(int(object_id))
        ) is not None
        if not exists:
            return  # The call itself says so, in the service's words.
        name = self.run_as()
        principal = self.state.principal_named(name)
        if principal is None:
            raise ServiceError("PERMISSION_DENIED", f"The run acts as {name}, who is not in this workspace.")
        demand(self.state, principal, object_type, object_id, needed)

    def find_source(self, path: str, from_git: bool) -> WorkspaceObject:
        """The notebook or file of a task, which who the run acts as may read.

        A path of a job's git source is looked for in the workspace's repositories; git knows no permissions of the
        workspace. Raises ServiceError or FileError.
        """
        files = self.workspace.files
        if path.startswith("/"):
            item = files.get(path)
            demand_source(self.state, self.run_as(), item.path)
            return item
        url = str((self.run.settings.get("git_source") or {}).get("git_url", ""))
        wanted = url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
        repositories = [
            child.path
            for owner in files.children("/Repos")
            if owner.object_type == "DIRECTORY"
            for child in files.children(owner.path)
        ]
        repositories.sort(key=lambda p: (p.rsplit("/", 1)[-1] != wanted, p))
        for repository in repositories:
            found = files.find(f"{repository}/{path}")
            if found is not None:
                return found
        kind = "git source" if from_git else "workspace"
        raise ServiceError(
            "RESOURCE_DOES_NOT_EXIST",
            f'Unable to access the notebook "{path}" in the {kind}. Either it does not exist, or you lack access.',
        )

    def notebook(self, task: TaskRun, definition: Json) -> Outcome:
        path = definition["notebook_path"]
        item = self.find_source(path, definition.get("source") == "GIT")
        if item.object_type != "NOTEBOOK":
            raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"{item.path} is not a notebook.")
        parameters = {
            **(definition.get("base_parameters") or {}),
            **(self.run.overriding.get("notebook_params") or {}),
            **self.run.job_parameters,
        }
        return self.in_process(task, item, parameters, [])

    def python_file(self, task: TaskRun, definition: Json) -> Outcome:
        item = self.find_source(definition["python_file"], definition.get("source") == "GIT")
        arguments = [str(p) for p in definition.get("parameters") or []]
        return self.in_process(task, item, self.run.job_parameters, arguments)

    def in_process(
        self, task: TaskRun, item: WorkspaceObject, parameters: Mapping[str, str], arguments: list[str]
    ) -> Outcome:
        """Runs a notebook or file in a process of its own."""
        workspace = self.workspace
        workspace.wait_for_sql()
        principal = self.run_as()
        started = time.monotonic()
        execution = workspace.processes.run(
            {
                "kind": "notebook",
                "remote": workspace.sql.remote_url,
                "catalog_db": str(workspace.sql.catalog_db),
                "workspace_db": str(self.state.path),
                "principal": principal,
                "groups": sorted(workspace.groups_of(principal)),
                "path": item.path,
                "content": item.content.decode(),
                "language": item.language or "PYTHON",
                "is_notebook": item.object_type == "NOTEBOOK",
                "parameters": {k: str(v) for k, v in parameters.items()},
                "context": {
                    "job_id": self.run.job_id,
                    "run_id": self.run.run_id,
                    "task_run_id": task.run_id,
                    "task_key": task.task_key,
                    "dbfs": str(workspace.data / "dbfs"),
                    "arguments": arguments,
                },
            }
        )
        setup = 0

        def on_message(message: Json) -> None:
            nonlocal setup
            if message["type"] == "ready":
                setup = int((time.monotonic() - started) * 1000)

        try:
            answer = self.execution_answer(task, execution, on_message)
        except ProcessDied as e:
            return Outcome("FAILED", "DRIVER_ERROR", f"The runner's process ended: {e}", {"error": str(e)}, setup)
        for reads, writes in answer.get("lineage", []):
            workspace.note_notebook(item, self.run, task.run_id, principal, reads, writes)
        if answer["ok"]:
            output: Json = {"logs": answer.get("logs", "")}
            if answer.get("result") is not None:
                output["notebook_output"] = {"result": answer["result"], "truncated": answer["truncated"]}
            return Outcome("SUCCESS", "SUCCESS", "", output, setup)
        return Outcome(
            "FAILED",
            "RUN_EXECUTION_ERROR",
            DEFAULT_MESSAGE,
            {"error": answer["error"], "error_trace": answer.get("error_trace", ""), "logs": answer.get("logs", "")},
            setup,
        )

    def execution_answer(
        self, task: TaskRun, execution: Execution, on_message: Callable[[Json], None] | None = None
    ) -> Json:
        """Waits for a process, which a cancel or timeout ends."""
        self.stoppable(task, execution.cancel)
        try:
            return execution.wait(on_message)
        finally:
            self.workspace.processes.done(execution)

    def pipeline(self, task: TaskRun, definition: Json) -> Outcome:
        """Starts an update of the pipeline and waits for its end."""
        runner = self.workspace.pipelines
        self.demand("pipelines", str(definition["pipeline_id"]), "CAN_RUN")
        request = {
            k: definition[k]
            for k in ("full_refresh", "full_refresh_selection", "refresh_selection")
            if definition.get(k) is not None
        }
        given = self.run.overriding.get("pipeline_params") or {}
        request.update({k: v for k, v in given.items() if v is not None})
        update = runner.start(
            definition["pipeline_id"],
            self.run.creator,
            cause="JOB_TASK",
            request=request,
            job=(self.run.job_id, self.run.run_id, task.run_id),
        )
        self.stoppable(task, lambda: runner.stop(update.pipeline_id))
        ended = runner.wait(update.update_id)
        if ended.state == "COMPLETED":
            return Outcome("SUCCESS", "SUCCESS", "", {"info": f"update {update.update_id}"})
        if ended.state == "CANCELED":
            message = f"Update {update.update_id} was canceled."
            return Outcome("CANCELED", "CANCELED", message, {"error": message})
        error = runner.error_of(update.update_id)
        message = f"Update {update.update_id} FAILED"
        return Outcome(
            "FAILED", "RUN_EXECUTION_ERROR", DEFAULT_MESSAGE, {"error": f"{message}: {error}" if error else message}
        )

    def other_job(self, task: TaskRun, definition: Json) -> Outcome:
        """Runs another job and takes its result."""
        runner = self.runner
        self.demand("jobs", str(definition["job_id"]), "CAN_MANAGE_RUN")
        started = runner.run_now(
            int(definition["job_id"]),
            self.run.creator,
            trigger="RUN_JOB_TASK",
            job_parameters=definition.get("job_parameters"),
            notebook_params=definition.get("notebook_params"),
        )
        self.stoppable(task, lambda: runner.cancel(started.run_id))
        ended = runner.wait(started.run_id)
        output: Json = {"run_job_output": {"run_id": started.run_id}}
        if ended.result_state in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
            return replace(SUCCESS, output=output)
        return Outcome(
            "CANCELED" if ended.result_state == "CANCELED" else "FAILED",
            "RUN_EXECUTION_ERROR",
            f"Job run {started.run_id} failed: {ended.state_message}",
            {**output, "error": ended.state_message},
        )


def condition(definition: Mapping[str, Any]) -> Outcome:
    """A condition task: compares two texts, as numbers where both are."""
    left, right, op = str(definition["left"]), str(definition["right"]), definition["op"]
    if op == "EQUAL_TO":
        holds = left == right
    elif op == "NOT_EQUAL":
        holds = left != right
    else:
        try:
            a, b = float(left), float(right)
        except ValueError:
            return Outcome("FAILED", "RUN_EXECUTION_ERROR", f"{op} needs two numbers, not '{left}' and '{right}'")
        holds = {
            "GREATER_THAN": a > b,
            "GREATER_THAN_OR_EQUAL": a >= b,
            "LESS_THAN": a < b,
            "LESS_THAN_OR_EQUAL": a <= b,
        }[op]
    return replace(SUCCESS, output={"outcome": "true" if holds else "false"})
