"""Jobs API 2.1 and 2.2: jobs, runs, outputs, cancel and repair."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from databricks.sdk.service import jobs as sdk
from databricks.sdk.service.jobs import JobsAPI

from emulator import access
from emulator.records import Job, Json, Run, TaskRun
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, route
from emulator.rest.paging import (
    ELEMENTS_A_PAGE,
    decode_token,
    encode_token,
    invalid,
    is_pair,
    offset_of,
    page_of_arrays,
)
from emulator.rest.permissions import apply_access_list
from emulator.rest.schema import fields_of_dataclass
from emulator.runner.job_run import DEFAULT_MESSAGE, latest_attempts
from emulator.shared.quartz import CronError, zone_of

API = "/api/2.1|2.2/jobs"
JOBS_LIMIT, RUNS_LIMIT = 100, 24
JOBS_OFFSET, RUNS_OFFSET = 1000, 10_000
JOB_ARRAYS = ("tasks", "job_clusters", "environments", "parameters")
RUN_ARRAYS = ("tasks", "job_clusters", "job_parameters", "repair_history")
PARAMETER_BYTES = 10_000
"""Of the JSON of a run's parameters."""
# The field that identifies an entry of a job's arrays when an update merges them.
KEYS = {
    "tasks": "task_key",
    "job_clusters": "job_cluster_key",
    "environments": "environment_key",
    "environment_variables": "environment_variables_key",
    "parameters": "name",
}
STATE_V2 = {
    "QUEUED": "QUEUED",
    "BLOCKED": "BLOCKED",
    "PENDING": "PENDING",
    "RUNNING": "RUNNING",
    "WAITING_FOR_RETRY": "WAITING",
    "TERMINATING": "TERMINATING",
}
SDK_ONLY = {"dbt_commands", "jar_params", "python_params", "python_named_params", "spark_submit_params", "sql_params"}


def limit_of(call: Call, default: int, most: int) -> int:
    limit = call.int("limit", default)
    if limit is None or not 1 <= limit <= most:
        raise bad(f"Invalid limit {limit}. Limit must be between 1 and {most}.")
    return limit


def the_job(call: Call, level: str) -> Job:
    job_id = call.need_int("job_id")
    job = call.workspace.state.job(job_id)
    if job is None:
        raise bad(f"Job {job_id} does not exist.")
    access.demand(call.workspace.state, call.principal, "jobs", str(job_id), level)
    return job


def the_run(call: Call, level: str) -> Run:
    run_id = call.need_int("run_id")
    run = call.workspace.state.run(run_id)
    if run is None:
        raise bad(f"Run {run_id} does not exist.")
    demand_run(call, run, level)
    return run


def demand_run(call: Call, run: Run, level: str) -> None:
    if call.workspace.state.job(run.job_id) is None:
        if not call.principal.admin and run.creator != call.user:
            raise ServiceError("PERMISSION_DENIED", f"User {call.user} does not have permissions on run {run.run_id}.")
        return
    access.demand(call.workspace.state, call.principal, "jobs", str(run.job_id), level)


# -- documents -----------------------------------------------------------------------------------------------------


def job_document(call: Call, job: Job, *, tasks: bool, full: bool, start: int = 0) -> Json:
    """A job with one page of its arrays. start: how many of each array's elements earlier pages showed."""
    settings, more = page_of_arrays(job.settings, JOB_ARRAYS, start)
    if not tasks:
        for key in JOB_ARRAYS:
            settings.pop(key, None)
    common = {
        "job_id": job.job_id,
        "creator_user_name": job.creator,
        "created_time": job.created_ms,
        "settings": settings,
    }
    if full:
        if more:
            common |= {"has_more": True, "next_page_token": encode_token(start + ELEMENTS_A_PAGE)}
        return sdk.Job.from_dict({**common, "run_as_user_name": call.workspace.jobs.run_as(job)}).as_dict()
    if tasks:
        common["has_more"] = more
    return sdk.BaseJob.from_dict(common).as_dict()


def state_of(item: Run | TaskRun) -> tuple[Json, Json]:
    """The old `state` and the new `status` of a run or task run."""
    state: Json = {"life_cycle_state": item.life_cycle_state, "state_message": item.state_message}
    if item.result_state is not None:
        state["result_state"] = item.result_state
    state["user_cancelled_or_timedout"] = item.result_state in ("CANCELED", "TIMEDOUT")
    if item.active:
        status: Json = {"state": STATE_V2[item.life_cycle_state]}
        if item.life_cycle_state == "QUEUED":
            state["queue_reason"] = item.state_message
            status["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": item.state_message}
    else:
        code = item.termination_code or "INTERNAL_ERROR"
        kind = "SUCCESS" if code in ("SUCCESS", "SUCCESS_WITH_FAILURES") else "CLIENT_ERROR"
        if code in ("INTERNAL_ERROR", "DRIVER_ERROR"):
            kind = "INTERNAL_ERROR"
        status = {
            "state": "TERMINATED",
            "termination_details": {"code": code, "type": kind, "message": item.state_message},
        }
    return state, status


def page_url(call: Call, job_id: int, run_id: int) -> str:
    return f"{call.workspace.host}/?o=0#job/{job_id}/run/{run_id}"


def task_document(call: Call, run: Run, task: TaskRun) -> Json:
    state, status = state_of(task)
    end = task.end_ms
    definition = {k: v for k, v in task.definition.items() if k not in ("health", "access_control_list")}
    if definition.get("condition_task") and "outcome" in task.output:
        definition["condition_task"] = {**definition["condition_task"], "outcome": task.output["outcome"]}
    clusters = {c["job_cluster_key"]: c for c in run.settings.get("job_clusters") or []}
    document: Json = {
        **definition,
        "run_id": task.run_id,
        "attempt_number": task.attempt,
        "start_time": task.start_ms,
        "end_time": end,
        "setup_duration": task.setup_ms,
        "execution_duration": task.execution_ms,
        "cleanup_duration": 0,
        "queue_duration": task.queue_ms,
        "run_duration": (end - task.start_ms) if end and task.start_ms else 0,
        "run_page_url": page_url(call, run.job_id, task.run_id),
        "state": state,
        "status": status,
    }
    if definition.get("job_cluster_key") in clusters and task.start_ms:
        document["cluster_instance"] = {"cluster_id": f"job-{run.run_id}-{definition['job_cluster_key']}"}
    return {k: v for k, v in sdk.RunTask.from_dict(document).as_dict().items() if v is not None}


def run_document(
    call: Call,
    run: Run,
    tasks: Sequence[TaskRun] | None,
    kind: Any = sdk.BaseRun,
    start: int = 0,
    history: bool = False,
) -> Json:
    """A run as the API gives it, with one page of its arrays; tasks None leaves them out.

    A run of many tasks has its phases' durations as 0. start: how many of each array's elements earlier pages showed.
    history: with `repair_history`, which only `runs/get` gives, and only on request.
    """
    state, status = state_of(run)
    ended = run.end_ms or 0
    document: Json = {
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "original_attempt_run_id": run.run_id,
        "number_in_job": run.run_id,
        "creator_user_name": run.creator,
        "run_name": run.run_name,
        "run_type": "JOB_RUN",
        "run_page_url": page_url(call, run.job_id, run.run_id),
        "trigger": run.trigger,
        "start_time": run.start_ms,
        "end_time": ended,
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
        "queue_duration": run.queue_ms,
        "run_duration": max(ended - run.start_ms - run.queue_ms, 0) if ended else 0,
        "state": state,
        "status": status,
        "job_parameters": [
            {"name": p["name"], "default": p.get("default", ""), "value": run.job_parameters.get(p["name"], "")}
            for p in run.settings.get("parameters") or []
        ],
        "overriding_parameters": run.overriding or None,
        "description": "(generated) history from before the workspace's first start" if run.generated else None,
    }
    if run.trigger == "PERIODIC" and run.settings.get("schedule"):
        document["schedule"] = run.settings["schedule"]
    if history:
        document["repair_history"] = [original_of(run), *run.repairs]
    if tasks is not None:
        document |= {"tasks": tasks, "job_clusters": run.settings.get("job_clusters")}
    document, more = page_of_arrays(document, RUN_ARRAYS, start)
    if "tasks" in document:
        document["tasks"] = [task_document(call, run, t) for t in document["tasks"]]
    if kind is sdk.Run and more:
        document["next_page_token"] = encode_token(start + ELEMENTS_A_PAGE)
    elif kind is sdk.BaseRun and tasks is not None:
        document["has_more"] = more
    if run.settings.get("git_source"):
        document["git_source"] = run.settings["git_source"]
    return {k: v for k, v in kind.from_dict(document).as_dict().items() if v is not None and v != []}


def original_of(run: Run) -> Json:
    """The entry of a run's history that stands for its original execution; it is there without a repair too."""
    if run.repairs:
        return {"type": "ORIGINAL", "start_time": run.start_ms, **run.repairs[0].get("original", {})}
    state, status = state_of(run)
    return {"type": "ORIGINAL", "start_time": run.start_ms, "end_time": run.end_ms, "state": state, "status": status}


# -- jobs ----------------------------------------------------------------------------------------------------------


@route("GET", f"{API}/list", JobsAPI.list)
def list_jobs(call: Call) -> Json:
    limit = limit_of(call, 20, JOBS_LIMIT)
    name = call.text("name")
    jobs = [
        j
        for j in call.workspace.state.jobs()
        if (not name or j.name.casefold() == name.casefold())
        and access.allowed(call.workspace.state, call.principal, "jobs", str(j.job_id), "CAN_VIEW")
    ]
    start = offset_of(call, JOBS_OFFSET)
    page = jobs[start : start + limit]
    more = len(jobs) > start + limit
    expand = call.bool("expand_tasks")
    answer: Json = {"jobs": [job_document(call, j, tasks=expand, full=False) for j in page], "has_more": more}
    if more:
        answer["next_page_token"] = encode_token(start + limit)
    if start:
        answer["prev_page_token"] = encode_token(max(start - limit, 0))
    if not page:
        answer.pop("jobs")
    return answer


@route("GET", f"{API}/get", JobsAPI.get, query=("include_trigger_state",))
def get_job(call: Call) -> Json:
    return job_document(call, the_job(call, "CAN_VIEW"), tasks=True, full=True, start=offset_of(call))


@route("POST", f"{API}/create", JobsAPI.create)
def create_job(call: Call) -> Json:
    check_settings(call, call.body)
    with call.workspace.state.transaction():
        job = call.workspace.jobs.create(call.body, call.user)
        if call.body.get("access_control_list"):
            apply_access_list(call, "jobs", str(job.job_id), call.body["access_control_list"], replace=True)
    return sdk.CreateResponse(job_id=job.job_id).as_dict()


def check_settings(call: Call, settings: Mapping[str, Any]) -> None:
    """Refuses an unknown time zone, and a `run_as` of another principal unless the caller is an administrator."""
    schedule = settings.get("schedule")
    if schedule:
        try:
            zone_of(schedule["timezone_id"])
        except CronError as e:
            raise bad(f"Invalid timezone_id: {e}") from e
    run_as = settings.get("run_as") or {}
    name = run_as.get("user_name") or run_as.get("service_principal_name")
    if not name or name == call.user:
        return
    if call.workspace.state.principal_named(name) is None:
        raise bad(f"run_as: there is no user or service principal '{name}'.")
    if not call.principal.admin:
        raise ServiceError("PERMISSION_DENIED", f"User {call.user} may not let a job run as {name}.")


@route("POST", f"{API}/update", JobsAPI.update)
def update_job(call: Call) -> Json:
    """Replaces each given top-level field whole, merges arrays by key; removes what fields_to_remove names."""
    new = call.body.get("new_settings") or {}
    with call.workspace.state.transaction():
        job = the_job(call, "CAN_MANAGE")
        check_settings(call, new)
        settings = merged(job.settings, new)
        for field in call.body.get("fields_to_remove") or []:
            remove(settings, field)
        call.workspace.jobs.replace_settings(job, settings)
    return {}


def merged(settings: Json, new: Mapping[str, Any]) -> Json:
    """A job's settings with new ones over them, by the documentation of `new_settings`: a field is replaced whole; of
    an array, entries of a known key are replaced, others added, and the rest kept."""
    result = dict(settings)
    for field, value in new.items():
        if value is None:
            continue
        key = KEYS.get(field)
        if key is None:
            result[field] = value
            continue
        given = {item[key]: item for item in value}
        if len(given) < len(value):
            raise bad(f"new_settings.{field}: each {key} must be unique")
        kept = [given.pop(item[key], item) for item in settings.get(field) or []]
        result[field] = [*kept, *given.values()]
    return result


def remove(settings: Json, field: str) -> None:
    """Takes a top-level field, a task or a job cluster out of settings."""
    top, _, rest = field.partition("/")
    if top not in fields_of_dataclass(sdk.JobSettings):
        raise bad(f"Unknown field '{field}' in fields_to_remove")
    if not rest:
        settings.pop(top, None)
    elif top in ("tasks", "job_clusters"):
        settings[top] = [item for item in settings.get(top) or [] if item[KEYS[top]] != rest]
    else:
        raise bad(f"Only tasks/KEY and job_clusters/KEY may be removed one by one, not '{field}'")


@route("POST", f"{API}/reset", JobsAPI.reset)
def reset_job(call: Call) -> Json:
    job = the_job(call, "CAN_MANAGE")
    settings = call.need("new_settings")
    check_settings(call, settings)
    call.workspace.jobs.replace_settings(job, settings)
    return {}


@route("POST", f"{API}/delete", JobsAPI.delete)
def delete_job(call: Call) -> Json:
    call.workspace.jobs.delete(the_job(call, "CAN_MANAGE").job_id)
    return {}


# -- runs ----------------------------------------------------------------------------------------------------------


@route("POST", f"{API}/run-now", JobsAPI.run_now)
def run_now(call: Call) -> Json:
    job = the_job(call, "CAN_MANAGE_RUN")
    for field in SDK_ONLY & set(call.body):
        raise not_implemented(f"run-now with {field}")
    token = call.text("idempotency_token")
    if len(token) > 64:
        raise bad("idempotency_token must have at most 64 characters.")
    for field in ("job_parameters", "notebook_params"):
        size = len(json.dumps({field: call.body.get(field) or {}}, ensure_ascii=False, separators=(",", ":")).encode())
        if size > PARAMETER_BYTES:
            raise bad(f"The JSON of {field} must have at most {PARAMETER_BYTES} bytes, has {size}.")
    queue = call.body.get("queue")
    pipeline_params = call.body.get("pipeline_params")
    run = call.workspace.jobs.run_now(
        job.job_id,
        call.user,
        idempotency_token=token or None,
        job_parameters=call.body.get("job_parameters"),
        notebook_params=call.body.get("notebook_params"),
        pipeline_params=pipeline_params,
        only=call.body.get("only") or (),
        queue=bool(queue["enabled"]) if queue else None,
    )
    return sdk.RunNowResponse(run_id=run.run_id, number_in_job=run.run_id).as_dict()


@route("GET", f"{API}/runs/list", JobsAPI.list_runs)
def list_runs(call: Call) -> Json:
    state = call.workspace.state
    limit = call.int("limit", 20)
    if limit is None or not 0 <= limit <= RUNS_LIMIT:
        raise bad(f"Invalid limit {limit}. Limit must be greater than 0 and less than {RUNS_LIMIT + 1}.")
    limit = limit or RUNS_LIMIT
    active, completed = call.bool("active_only"), call.bool("completed_only")
    if active and completed:
        raise bad("active_only and completed_only cannot both be true.")
    job_id = call.int("job_id")
    if job_id is not None and state.job(job_id) is not None:
        access.demand(call.workspace.state, call.principal, "jobs", str(job_id), "CAN_VIEW")
    if call.text("run_type") not in ("", "JOB_RUN"):
        return {"has_more": False}
    before, after = position_of(call.text("page_token"))
    continued = before is not None or after is not None
    found: list[Run] = []
    visible: dict[int, bool] = {}
    skip = 0 if continued else offset_of(call, RUNS_OFFSET)
    while len(found) < limit + 1 + skip:
        batch = state.runs(
            job_id=job_id,
            active=True if active else False if completed else None,
            start_from_ms=call.int("start_time_from"),
            start_to_ms=call.int("start_time_to"),
            before=before,
            after=after,
            limit=limit + 1 + skip,
        )
        for run in batch:
            if run.job_id not in visible:
                known = state.job(run.job_id) is not None
                visible[run.job_id] = (
                    access.allowed(call.workspace.state, call.principal, "jobs", str(run.job_id), "CAN_VIEW")
                    if known
                    else call.principal.admin
                )
        seen = [r for r in batch if visible[r.job_id]]
        found = seen + found if after is not None else found + seen
        if len(batch) < limit + 1 + skip:
            break
        if after is not None:
            after = (batch[0].start_ms, batch[0].run_id)
        else:
            before = (batch[-1].start_ms, batch[-1].run_id)
    found = found[skip:]
    backwards = after is not None
    more = len(found) > limit
    page = found[-limit:] if backwards else found[:limit]
    expand = call.bool("expand_tasks")
    answer: Json = {
        "has_more": more or backwards,
        "runs": [run_document(call, r, state.tasks(r.run_id) if expand else None) for r in page],
    }
    if page and (more or backwards):
        answer["next_page_token"] = encode_token({"before": [page[-1].start_ms, page[-1].run_id]})
    if page and continued and (not backwards or more):
        answer["prev_page_token"] = encode_token({"after": [page[0].start_ms, page[0].run_id]})
    if not page:
        answer.pop("runs")
    return answer


def position_of(token: str) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The run that a page of runs lies before, and the one that it lies after (each by start and id, newest first)."""
    if not token:
        return None, None
    found = decode_token(token)
    direction = next(iter(found)) if isinstance(found, dict) and len(found) == 1 else ""
    if direction not in ("before", "after") or not is_pair(found[direction]):
        raise invalid(token)
    start_ms, run_id = found[direction]
    return ((start_ms, run_id), None) if direction == "before" else (None, (start_ms, run_id))


@route("GET", f"{API}/runs/get", JobsAPI.get_run)
def get_run(call: Call) -> Json:
    run_id = call.need_int("run_id")
    state = call.workspace.state
    run = state.run(run_id)
    if run is None:
        task = state.task(run_id)
        parent = state.run(task.parent_run_id) if task else None
        if task is None or parent is None:
            raise bad(f"Run {run_id} does not exist.")
        demand_run(call, parent, "CAN_VIEW")
        return task_run_document(call, parent, task)
    demand_run(call, run, "CAN_VIEW")
    tasks = state.tasks(run_id)
    history = call.bool("include_history")
    if not history:
        tasks = list(latest_attempts(tasks).values())
    return run_document(call, run, tasks, sdk.Run, offset_of(call), history)


def task_run_document(call: Call, run: Run, task: TaskRun) -> Json:
    """A task run requested by its own id: shaped as a run with that one task."""
    whole = run_document(call, run, [task], sdk.Run)
    whole.pop("next_page_token", None)
    one = task_document(call, run, task)
    for key in (
        "run_id",
        "start_time",
        "end_time",
        "state",
        "status",
        "run_page_url",
        "run_duration",
        "setup_duration",
        "execution_duration",
        "attempt_number",
    ):
        if key in one:
            whole[key] = one[key]
    whole["run_name"] = task.task_key
    return whole


@route("GET", f"{API}/runs/get-output", JobsAPI.get_run_output)
def get_run_output(call: Call) -> Json:
    run_id = call.need_int("run_id")
    state = call.workspace.state
    task = state.task(run_id)
    if task is None:
        run = state.run(run_id)
        if run is None:
            raise bad(f"Run {run_id} does not exist.")
        demand_run(call, run, "CAN_VIEW")
        tasks = latest_attempts(state.tasks(run_id))
        if len(tasks) != 1:
            raise bad(
                "Retrieving the output of runs with multiple tasks is not supported. "
                "Please retrieve the output of each individual task run instead."
            )
        task = next(iter(tasks.values()))
    else:
        run = state.run(task.parent_run_id)
        if run is None:
            raise bad(f"Run {run_id} does not exist.")
        demand_run(call, run, "CAN_VIEW")
    output: Json = {"metadata": task_run_document(call, run, task)}
    for key in ("error", "error_trace", "notebook_output", "run_job_output", "info"):
        if task.output.get(key) is not None:
            output[key] = task.output[key]
    if task.definition.get("notebook_task") and not task.active:
        output.setdefault("notebook_output", {})
    if task.output.get("logs") and task.definition.get("spark_python_task"):
        output["logs"], output["logs_truncated"] = task.output["logs"], False
    if task.result_state == "FAILED" and "error" not in output:
        output["error"] = task.state_message or DEFAULT_MESSAGE
    return sdk.RunOutput.from_dict(output).as_dict()


@route("POST", f"{API}/runs/cancel", JobsAPI.cancel_run)
def cancel_run(call: Call) -> Json:
    run_id = call.need_int("run_id")
    task = call.workspace.state.task(run_id)
    if task is not None and call.workspace.state.run(run_id) is None:
        raise bad(f"Run {run_id} is a task run; cancel its job run {task.parent_run_id}.")
    call.workspace.jobs.cancel(the_run(call, "CAN_MANAGE_RUN").run_id)
    return {}


@route("POST", f"{API}/runs/cancel-all", JobsAPI.cancel_all_runs)
def cancel_all(call: Call) -> Json:
    job_id = call.int("job_id")
    if call.bool("all_queued_runs") and job_id is None:
        runs = [r for r in call.workspace.state.runs(active=True) if r.life_cycle_state == "QUEUED"]
        runs = [
            r
            for r in runs
            if access.allowed(call.workspace.state, call.principal, "jobs", str(r.job_id), "CAN_MANAGE_RUN")
        ]
    else:
        runs = call.workspace.state.runs(job_id=the_job(call, "CAN_MANAGE_RUN").job_id, active=True)
        if call.bool("all_queued_runs"):
            runs = [r for r in runs if r.life_cycle_state == "QUEUED"]
    for run in sorted(runs, key=lambda r: r.life_cycle_state != "QUEUED"):
        call.workspace.jobs.cancel(run.run_id)
    return {}


@route("POST", f"{API}/runs/delete", JobsAPI.delete_run)
def delete_run(call: Call) -> Json:
    run = the_run(call, "CAN_MANAGE_RUN")
    if run.active:
        raise ServiceError("INVALID_STATE", f"Run {run.run_id} is active and cannot be deleted.")
    call.workspace.state.delete_run(run.run_id)
    return {}


@route("POST", f"{API}/runs/repair", JobsAPI.repair_run)
def repair_run(call: Call) -> Json:
    run = the_run(call, "CAN_MANAGE_RUN")
    for field in (SDK_ONLY | {"notebook_params", "pipeline_params"}) & set(call.body):
        raise not_implemented(f"repair with {field}")
    latest = call.int("latest_repair_id")
    if run.repairs and latest != run.repairs[-1]["id"]:
        raise bad(f"latest_repair_id must be {run.repairs[-1]['id']}, the run's latest repair.")
    repair_id = call.workspace.jobs.repair(
        run.run_id,
        call.body.get("rerun_tasks"),
        all_failed=call.bool("rerun_all_failed_tasks"),
        dependents=call.bool("rerun_dependent_tasks"),
        job_parameters=call.body.get("job_parameters"),
    )
    return sdk.RepairRunResponse(repair_id=repair_id).as_dict()
