"""`system.lakeflow`: jobs, tasks, pipelines and the timelines of their runs, as the system tables have them.

Columns as in Databricks' reference of the jobs system tables. A run or update has a row for each clock hour that it
touches; only its last row bears a result. Jobs and pipelines appear as they are now: of their changes only the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from emulator.billing import ACCOUNT_ID, hours, moment
from emulator.records import Job, Json, Pipeline, Run, TaskRun, Update

_TIME = pa.timestamp("us", tz="UTC")
_TAGS = pa.map_(pa.string(), pa.string())
_LIST = pa.list_(pa.string())
_RULES = pa.list_(
    pa.struct([pa.field("metric", pa.string()), pa.field("op", pa.string()), pa.field("value", pa.int64())])
)
_CRON = pa.struct([pa.field("quartz_cron_expression", pa.string()), pa.field("timezone_id", pa.string())])


def _struct(**fields: Any) -> Any:
    return pa.struct([pa.field(n, t) for n, t in fields.items()])


_TEXT, _COUNT, _FLAG = pa.string(), pa.int64(), pa.bool_()
_COMPUTE = _struct(type=_TEXT, cluster_id=_TEXT, warehouse_id=_TEXT)
_OWN = {"account_id": _TEXT, "workspace_id": _TEXT}

SCHEMAS: dict[str, Any] = {
    name: pa.schema([pa.field(n, t) for n, t in (_OWN | fields).items()])
    for name, fields in {
        "jobs": {
            "job_id": _TEXT,
            "name": _TEXT,
            "description": _TEXT,
            "creator_id": _TEXT,
            "tags": _TAGS,
            "change_time": _TIME,
            "delete_time": _TIME,
            "run_as": _TEXT,
            "trigger": _struct(schedule=_CRON),
            "trigger_type": _TEXT,
            "run_as_user_name": _TEXT,
            "creator_user_name": _TEXT,
            "paused": _FLAG,
            "timeout_seconds": _COUNT,
            "health_rules": _RULES,
            "deployment": _struct(kind=_TEXT, metadata_file_path=_TEXT),
            "create_time": _TIME,
        },
        "job_tasks": {
            "job_id": _TEXT,
            "task_key": _TEXT,
            "depends_on_keys": _LIST,
            "change_time": _TIME,
            "delete_time": _TIME,
            "timeout_seconds": _COUNT,
            "health_rules": _RULES,
        },
        "job_run_timeline": {
            "job_id": _TEXT,
            "run_id": _TEXT,
            "period_start_time": _TIME,
            "period_end_time": _TIME,
            "trigger_type": _TEXT,
            "run_type": _TEXT,
            "run_name": _TEXT,
            "compute_ids": _LIST,
            "result_state": _TEXT,
            "termination_code": _TEXT,
            "job_parameters": _TAGS,
            "source_task_run_id": _TEXT,
            "root_task_run_id": _TEXT,
            "compute": pa.list_(_COMPUTE),
            "termination_type": _TEXT,
            "setup_duration_seconds": _COUNT,
            "queue_duration_seconds": _COUNT,
            "run_duration_seconds": _COUNT,
            "cleanup_duration_seconds": _COUNT,
            "execution_duration_seconds": _COUNT,
        },
        "job_task_run_timeline": {
            "job_id": _TEXT,
            "run_id": _TEXT,
            "job_run_id": _TEXT,
            "parent_run_id": _TEXT,
            "period_start_time": _TIME,
            "period_end_time": _TIME,
            "task_key": _TEXT,
            "compute_ids": _LIST,
            "result_state": _TEXT,
            "termination_code": _TEXT,
            "compute": pa.list_(_COMPUTE),
            "termination_type": _TEXT,
            "task_parameters": _TAGS,
            "setup_duration_seconds": _COUNT,
            "cleanup_duration_seconds": _COUNT,
            "execution_duration_seconds": _COUNT,
        },
        "pipelines": {
            "pipeline_id": _TEXT,
            "pipeline_type": _TEXT,
            "name": _TEXT,
            "created_by": _TEXT,
            "run_as": _TEXT,
            "tags": _TAGS,
            "settings": _struct(
                photon=_FLAG, development=_FLAG, continuous=_FLAG, serverless=_FLAG, edition=_TEXT, channel=_TEXT
            ),
            "configuration": _TAGS,
            "change_time": _TIME,
            "delete_time": _TIME,
            "create_time": _TIME,
        },
        "pipeline_update_timeline": {
            "pipeline_id": _TEXT,
            "update_id": _TEXT,
            "update_type": _TEXT,
            "request_id": _TEXT,
            "run_as_user_name": _TEXT,
            "trigger_type": _TEXT,
            "trigger_details": _struct(
                job_task=_struct(job_id=_TEXT, job_run_id=_TEXT, job_task_run_id=_TEXT, performance_target=_TEXT)
            ),
            "result_state": _TEXT,
            "compute": _struct(type=_TEXT, cluster_id=_TEXT),
            "period_start_time": _TIME,
            "period_end_time": _TIME,
            "refresh_selection": _LIST,
            "full_refresh_selection": _LIST,
            "reset_checkpoint_selection": _LIST,
        },
    }.items()
}
"""Schema of each table by its name in `system.lakeflow`."""

RESULTS = {
    "SUCCESS": "SUCCEEDED",
    "SUCCESS_WITH_FAILURES": "SUCCEEDED",
    "FAILED": "FAILED",
    "CANCELED": "CANCELLED",
    "UPSTREAM_CANCELED": "SKIPPED",
    "UPSTREAM_FAILED": "SKIPPED",
    "EXCLUDED": "SKIPPED",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "SKIPPED",
    "TIMEDOUT": "TIMED_OUT",
}
TRIGGERS = {"PERIODIC": "CRON", "ONE_TIME": "ONETIME", "RETRY": "ONETIME_RETRY"}


def table(name: str, rows: Iterable[Mapping[str, Any]]) -> Any:
    """Rows of one of SCHEMAS' tables as Arrow."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def job_row(job: Job, workspace_id: int, run_as: str) -> Json:
    schedule = job.settings.get("schedule")
    return {
        **_own(workspace_id),
        "job_id": str(job.job_id),
        "name": job.name,
        "description": job.settings.get("description"),
        "tags": list((job.settings.get("tags") or {}).items()),
        "change_time": moment(job.created_ms),
        "trigger": {"schedule": schedule} if schedule else None,
        "trigger_type": "CRON" if schedule else "ONETIME",
        "run_as_user_name": run_as,
        "creator_user_name": job.creator,
        "paused": (schedule or {}).get("pause_status") == "PAUSED",
        "timeout_seconds": job.settings.get("timeout_seconds"),
        "create_time": moment(job.created_ms),
    }


def task_rows(job: Job, workspace_id: int) -> list[Json]:
    return [
        {
            **_own(workspace_id),
            "job_id": str(job.job_id),
            "task_key": task["task_key"],
            "depends_on_keys": [d["task_key"] for d in task.get("depends_on") or []],
            "change_time": moment(job.created_ms),
            "timeout_seconds": task.get("timeout_seconds"),
        }
        for task in job.settings.get("tasks") or []
    ]


def pipeline_row(pipeline: Pipeline, workspace_id: int, run_as: str) -> Json:
    spec = pipeline.spec
    flags = {k: bool(spec.get(k)) for k in ("photon", "development", "continuous", "serverless")}
    return {
        **_own(workspace_id),
        "pipeline_id": pipeline.pipeline_id,
        "pipeline_type": "ETL_PIPELINE",
        "name": pipeline.name,
        "created_by": pipeline.creator,
        "run_as": run_as,
        "tags": list((spec.get("tags") or {}).items()),
        "settings": {**flags, "edition": spec.get("edition"), "channel": spec.get("channel")},
        "configuration": [(k, str(v)) for k, v in (spec.get("configuration") or {}).items()],
        "change_time": moment(pipeline.modified_ms),
        "create_time": moment(pipeline.created_ms),
    }


def run_rows(run: Run, tasks: Iterable[TaskRun], workspace_id: int, now_ms: int) -> list[Json]:
    """A job run's rows of `job_run_timeline`."""
    ids = sorted({i for t in tasks if (i := _cluster(run, t))})
    common = {
        **_own(workspace_id),
        "job_id": str(run.job_id),
        "run_id": str(run.run_id),
        "trigger_type": TRIGGERS.get(run.trigger, run.trigger),
        "run_type": "JOB_RUN",
        "run_name": run.run_name,
        "job_parameters": list(run.job_parameters.items()),
    }
    end = run.end_ms or now_ms
    last = {
        **_ending(run),
        # A run of many tasks reports no phases of its own.
        "setup_duration_seconds": 0,
        "cleanup_duration_seconds": 0,
        "execution_duration_seconds": 0,
        "queue_duration_seconds": run.queue_ms // 1000,
        "run_duration_seconds": max(end - run.start_ms - run.queue_ms, 0) // 1000,
    }
    return _periods(common, run.start_ms, end, {"compute_ids": ids, "compute": _machines(ids)}, last, bool(run.end_ms))


def task_run_rows(run: Run, task: TaskRun, workspace_id: int, now_ms: int) -> list[Json]:
    """One attempt's rows of `job_task_run_timeline`; none for an attempt that never started."""
    if not task.start_ms:
        return []
    cluster = _cluster(run, task)
    ids = [cluster] if cluster else []
    common = {
        **_own(workspace_id),
        "job_id": str(run.job_id),
        "run_id": str(task.run_id),
        "job_run_id": str(run.run_id),
        "parent_run_id": str(run.run_id),
        "task_key": task.task_key,
    }
    last = {
        **_ending(task),
        "setup_duration_seconds": task.setup_ms // 1000,
        "cleanup_duration_seconds": 0,
        "execution_duration_seconds": task.execution_ms // 1000,
    }
    compute = {"compute_ids": ids, "compute": _machines(ids)}
    return _periods(common, task.start_ms, task.end_ms or now_ms, compute, last, bool(task.end_ms))


def update_rows(update: Update, workspace_id: int, now_ms: int) -> list[Json]:
    """An update's rows of `pipeline_update_timeline`; its time counts from its creation."""
    request = update.request
    by_job = update.job_run_id is not None
    kind = "VALIDATE" if request.get("validate_only") else "FULL_REFRESH" if request.get("full_refresh") else "REFRESH"
    common = {
        **_own(workspace_id),
        "pipeline_id": update.pipeline_id,
        "update_id": update.update_id,
        "update_type": kind,
        "request_id": update.update_id,
        "run_as_user_name": update.creator,
        "trigger_type": update.cause,
        "trigger_details": {
            "job_task": {
                "job_id": str(update.job_id),
                "job_run_id": str(update.job_run_id),
                "job_task_run_id": str(update.job_task_run_id),
            }
        }
        if by_job
        else None,
        "refresh_selection": request.get("refresh_selection") or [],
        "full_refresh_selection": request.get("full_refresh_selection") or [],
        "reset_checkpoint_selection": [],
    }
    compute = {"compute": {"type": "CLUSTER", "cluster_id": update.cluster_id} if update.cluster_id else None}
    last = {"result_state": None if update.active else update.state}
    return _periods(common, update.created_ms, update.end_ms or now_ms, compute, last, bool(update.end_ms))


def _own(workspace_id: int) -> Json:
    return {"account_id": ACCOUNT_ID, "workspace_id": str(workspace_id)}


def _cluster(run: Run, task: TaskRun) -> str | None:
    key = task.definition.get("job_cluster_key")
    return f"job-{run.run_id}-{key}" if key and task.start_ms else None


def _machines(ids: Iterable[str]) -> list[Json]:
    return [{"type": "CLUSTER", "cluster_id": i} for i in ids]


def _ending(item: Run | TaskRun) -> Json:
    if item.active:
        return {}
    code = item.termination_code
    ends = {"SUCCESS": "SUCCESS", "INTERNAL_ERROR": "INTERNAL_ERROR", "DRIVER_ERROR": "INTERNAL_ERROR"}
    return {
        "result_state": RESULTS.get(item.result_state or "", "ERROR"),
        "termination_code": code,
        "termination_type": ends.get(code or "", "CLIENT_ERROR"),
    }


def _periods(common: Json, start: int, end: int, compute: Json, last: Json, ended: bool) -> list[Json]:
    # What ended in the moment it began still has its row.
    spans = list(hours(start, end)) or [(start, end)]
    rows = [{**common, **compute, "period_start_time": moment(a), "period_end_time": moment(b)} for a, b in spans]
    if ended:
        rows[-1] |= last
    return rows
