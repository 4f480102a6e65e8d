"""Jobs and their runs: created, triggered, queued, cancelled, repaired, waited for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emulator.access import first_owner, owner_of
from emulator.records import Job, Json, Run, TaskRun, new_number, now_ms, run_as_of
from emulator.rest.errors import ServiceError, bad
from emulator.runner.job_run import ActiveRun, JobHost, latest_attempts
from emulator.runner.job_settings import check_settings, with_defaults

log = logging.getLogger("emulator.jobs")

QUEUE_LIMIT = 100


class JobRunner:
    """Creates jobs and runs them. Raises `emulator.rest.errors.ServiceError` where the service refuses."""

    def __init__(self, workspace: JobHost) -> None:
        self.workspace = workspace
        self.on_finished: list[Callable[[Run], None]] = []
        self._lock = threading.RLock()
        self._active: dict[int, ActiveRun] = {}
        self._ended = threading.Condition()

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def create(self, settings: Mapping[str, Any], creator: str, *, job_id: int | None = None) -> Job:
        """A new job from `JobSettings.as_dict()`; the creator becomes its owner. job_id: for a job whose id is
        given."""
        check_settings(settings)
        job = Job(job_id or new_number(), creator, now_ms(), with_defaults(settings))
        with self.workspace.state.transaction():
            self.workspace.state.put_job(job)
            first_owner(self.workspace.state, "jobs", str(job.job_id), creator)
        self.workspace.scheduler.wake()
        return job

    def replace_settings(self, job: Job, settings: Mapping[str, Any]) -> Job:
        """The job with all its settings replaced."""
        check_settings(settings)
        changed = replace(job, settings=with_defaults(settings))
        self.workspace.state.put_job(changed)
        self.workspace.scheduler.wake()
        self._next_queued(job.job_id)  # More of them may run at once now.
        return changed

    def delete(self, job_id: int) -> None:
        """Deletes a job and cancels its active runs; its runs stay readable, as on the service."""
        for run in self.workspace.state.runs(job_id=job_id, active=True):
            self.cancel(run.run_id)
        self.workspace.state.delete_job(job_id)
        self.workspace.state.set_permissions("jobs", str(job_id), {})

    def run_as(self, job: Job) -> str:
        """Who the job's runs act as: its `run_as`, else its owner, else who made it."""
        return run_as_of(job.settings) or owner_of(self.workspace.state, "jobs", str(job.job_id)) or job.creator

    # -- runs ----------------------------------------------------------------------------------------------------------

    def run_now(
        self,
        job_id: int,
        creator: str,
        *,
        trigger: str = "ONE_TIME",
        idempotency_token: str | None = None,
        job_parameters: Mapping[str, str] | None = None,
        notebook_params: Mapping[str, str] | None = None,
        pipeline_params: Mapping[str, Any] | None = None,
        only: Sequence[str] = (),
        queue: bool | None = None,
    ) -> Run:
        """Triggers a run and returns at once. With the token of an earlier call, that call's run."""
        state = self.workspace.state
        with self._lock, state.transaction():
            job = state.job(job_id)
            if job is None:
                raise bad(f"Job {job_id} does not exist.")
            if idempotency_token:
                earlier = state.run_of_token(job_id, idempotency_token)
                if earlier is not None:
                    return earlier
            tasks = job.settings["tasks"]
            if not tasks:
                raise bad(f"Job {job_id} has no tasks to run.")
            unknown = set(only) - {t["task_key"] for t in tasks}
            if unknown:
                raise bad(f"Task {sorted(unknown)[0]} of `only` is not a task of job {job_id}.")
            parameters = {p["name"]: p.get("default", "") for p in job.settings.get("parameters") or []}
            if job_parameters and notebook_params:
                raise bad("job_parameters and notebook_params cannot both be given.")
            overriding: Json = {}
            if notebook_params:
                overriding["notebook_params"] = dict(notebook_params)
            if pipeline_params:
                overriding["pipeline_params"] = dict(pipeline_params)
            run = Run(
                run_id=new_number(),
                job_id=job_id,
                creator=creator,
                run_name=job.name,
                trigger=trigger,
                number_in_job=state.next_run_number(job_id),
                settings=job.settings,
                start_ms=now_ms(),
                job_parameters={**parameters, **(job_parameters or {})},
                overriding=overriding,
                only=tuple(only),
                idempotency_token=idempotency_token,
            )
            active = state.runs(job_id=job_id, active=True)
            limit = int(job.settings.get("max_concurrent_runs", 1))
            may_queue = queue if queue is not None else bool((job.settings.get("queue") or {}).get("enabled"))
            if len(active) < limit:
                run = replace(run, life_cycle_state="PENDING")
            elif may_queue and limit > 0 and len(active) < limit + QUEUE_LIMIT:  # With a limit of 0 all are skipped.
                run = replace(
                    run, life_cycle_state="QUEUED", state_message="Queued due to reaching maximum concurrent runs."
                )
            else:
                message = f"Skipping this run because the limit of {limit} maximum concurrent runs has been reached."
                run = replace(
                    run,
                    life_cycle_state="SKIPPED",
                    result_state="MAXIMUM_CONCURRENT_RUNS_REACHED",
                    end_ms=run.start_ms,
                    state_message=message,
                    termination_code="MAX_CONCURRENT_RUNS_EXCEEDED",
                )
            chosen = [t for t in tasks if not only or t["task_key"] in only]
            life = run.life_cycle_state if run.active else "SKIPPED"
            attempts = [
                TaskRun(
                    run_id=new_number(),
                    parent_run_id=run.run_id,
                    task_key=t["task_key"],
                    definition=self._chosen(t, only),
                    life_cycle_state="BLOCKED" if life != "SKIPPED" else life,
                    result_state=run.result_state,
                    state_message=run.state_message,
                    termination_code=run.termination_code,
                )
                for t in chosen
            ]
            state.put_runs([run], attempts)
            starting = [self._made_active(run)] if run.life_cycle_state == "PENDING" else []
        for ready in starting:
            self.start_run(ready)
        return run

    @staticmethod
    def _chosen(task: Json, only: Sequence[str]) -> Json:
        if not only:
            return task
        kept = [d for d in task.get("depends_on") or [] if d["task_key"] in only]
        return {**task, "depends_on": kept}

    def _made_active(self, run: Run, tasks: Sequence[TaskRun] | None = None) -> ActiveRun:
        """Within the lock that made the run PENDING, so that a cancel finds it from then on."""
        active = self._active[run.run_id] = ActiveRun(self, run, tasks)
        return active

    def start_run(self, active: ActiveRun) -> None:
        """Executes a run in a thread of its own."""
        name = f"run-{active.run.run_id}"
        threading.Thread(target=self._execute, args=[active], name=name, daemon=True).start()

    def _execute(self, active: ActiveRun) -> None:
        run = active.run
        try:
            active.execute()
        except Exception as e:
            log.exception("run %s broke", run.run_id)
            active.end("INTERNAL_ERROR", "FAILED", f"{type(e).__name__}: {e}", "INTERNAL_ERROR")
        with self._lock:
            self._active.pop(run.run_id, None)
        self._finished(run.run_id)

    def _finished(self, run_id: int) -> None:
        run = self.workspace.state.run(run_id)
        if run is not None and not self.workspace.stopping.is_set():
            for listener in self.on_finished:
                try:
                    listener(run)
                except Exception:
                    log.exception("after run %s", run_id)
            self._next_queued(run.job_id)
        with self._ended:
            self._ended.notify_all()

    def _next_queued(self, job_id: int) -> None:
        with self._lock, self.workspace.state.transaction():
            job = self.workspace.state.job(job_id)
            active = self.workspace.state.runs(job_id=job_id, active=True)
            queued = [r for r in active if r.life_cycle_state == "QUEUED"]
            limit = int(job.settings.get("max_concurrent_runs", 1)) if job else 1
            free = limit - (len(active) - len(queued))
            starting = []
            for run in queued[::-1][: max(free, 0)]:
                run = replace(run, life_cycle_state="PENDING", state_message="", queue_ms=now_ms() - run.start_ms)
                self.workspace.state.put_run(run)
                starting.append(self._made_active(run))
        for ready in starting:
            self.start_run(ready)

    def wait(self, run_id: int, timeout: float | None = None) -> Run:
        """The run once it has ended. Raises TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            run = self.workspace.state.run(run_id)
            if run is None:
                raise bad(f"Run {run_id} does not exist.")
            if not run.active and run_id not in self._active:
                return run
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"run {run_id} is still {run.life_cycle_state} after {timeout} s")
            with self._ended:
                self._ended.wait(0.2)

    def cancel(self, run_id: int) -> None:
        """Ends a run: kills its processes and interrupts their Spark operations. Nothing for an ended run."""
        with self._lock:
            active = self._active.get(run_id)
            run = self.workspace.state.run(run_id)
            if active is None and run is not None and run.life_cycle_state == "QUEUED":
                at = now_ms()
                ended: Json = {
                    "end_ms": at,
                    "life_cycle_state": "TERMINATED",
                    "result_state": "CANCELED",
                    "state_message": "Run cancelled.",
                    "termination_code": "USER_CANCELED",
                }
                tasks = [replace(t, **ended) for t in self.workspace.state.tasks(run_id) if t.active]
                self.workspace.state.put_runs([replace(run, queue_ms=at - run.start_ms, **ended)], tasks)
                return
        if active is not None:
            active.cancel("CANCELED", "Run cancelled.", "USER_CANCELED")

    def repair(
        self,
        run_id: int,
        tasks: Sequence[str] | None,
        *,
        all_failed: bool = False,
        dependents: bool = False,
        job_parameters: Mapping[str, str] | None = None,
    ) -> int:
        """Runs tasks of an ended run again, as new attempts of the same run; returns the repair's id."""
        state = self.workspace.state
        with self._lock, state.transaction():
            run = state.run(run_id)
            if run is None:
                raise bad(f"Run {run_id} does not exist.")
            if run.active or run_id in self._active:
                raise ServiceError("INVALID_STATE", f"Run {run_id} is still active and cannot be repaired.")
            latest = latest_attempts(state.tasks(run_id))
            unsuccessful = {k for k, t in latest.items() if t.result_state != "SUCCESS"}
            chosen = unsuccessful if all_failed else set(tasks or ())
            unknown = chosen - set(latest)
            if unknown:
                raise bad(f"Task {sorted(unknown)[0]} is not a task of run {run_id}.")
            if dependents:
                grown = True
                while grown:
                    more = {
                        k
                        for k, t in latest.items()
                        if {d["task_key"] for d in t.definition.get("depends_on") or []} & chosen
                    }
                    grown = not more <= chosen
                    chosen |= more
            if not chosen:
                raise bad(f"Run {run_id} has no tasks to run again.")
            job = state.job(run.job_id)
            definitions = {t["task_key"]: t for t in (job.settings if job else run.settings)["tasks"]}
            repair_id = new_number()
            attempts = [
                TaskRun(
                    run_id=new_number(),
                    parent_run_id=run_id,
                    task_key=k,
                    definition=definitions.get(k, t.definition),
                    attempt=t.attempt + 1,
                    life_cycle_state="BLOCKED",
                )
                for k, t in latest.items()
                if k in chosen
            ]
            entry = {
                "id": repair_id,
                "type": "REPAIR",
                "start_time": now_ms(),
                "task_run_ids": [t.run_id for t in attempts],
            }
            if not run.repairs:
                ended = {"life_cycle_state": run.life_cycle_state, "result_state": run.result_state}
                entry["original"] = {"end_time": run.end_ms, "state": ended}
            run = replace(
                run,
                life_cycle_state="PENDING",
                result_state=None,
                state_message="",
                termination_code=None,
                end_ms=0,
                job_parameters={**run.job_parameters, **(job_parameters or {})},
                repairs=(*run.repairs, entry),
            )
            state.put_runs([run], attempts)
            active = self._made_active(run, attempts)
        self.start_run(active)
        return repair_id

    def stop(self) -> None:
        """Cancels everything because the workspace stops."""
        for active in list(self._active.values()):
            active.cancel("FAILED", "The workspace stopped while this run was active.", "INTERNAL_ERROR")
