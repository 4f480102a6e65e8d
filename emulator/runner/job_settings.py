"""Settings of a job: what the service refuses, what it adds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulator.records import Json
from emulator.rest.errors import bad, not_implemented
from emulator.shared.quartz import Cron, CronError

RUNNABLE = ("notebook_task", "pipeline_task", "spark_python_task", "condition_task", "run_job_task")
KINDS = (
    *RUNNABLE,
    "ai_runtime_task",
    "alert_task",
    "clean_rooms_notebook_task",
    "dashboard_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "dbt_task",
    "for_each_task",
    "gen_ai_compute_task",
    "power_bi_task",
    "python_operator_task",
    "python_wheel_task",
    "spark_jar_task",
    "spark_submit_task",
    "sql_task",
)


MOST = {"tasks": 1000, "job_clusters": 100, "environments": 10, "tags": 25}
"""Elements of a job's lists and tags."""

NAME_BYTES = 4096
DESCRIPTION_CHARACTERS = 27_700


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises INVALID_PARAMETER_VALUE where the service refuses a job's settings, NOT_IMPLEMENTED for a task that this
    workspace cannot run."""
    for field, most in MOST.items():
        count = len(settings.get(field) or ())
        if count > most:
            raise bad(f"The number of {field} of a job must be at most {most}, is {count}")
    if len(str(settings.get("name") or "").encode()) > NAME_BYTES:
        raise bad(f"The name of a job must have at most {NAME_BYTES} bytes in UTF-8")
    if len(str(settings.get("description") or "")) > DESCRIPTION_CHARACTERS:
        raise bad(f"The description of a job must have at most {DESCRIPTION_CHARACTERS} characters")
    for parameter in settings.get("parameters") or []:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", parameter.get("name") or ""):
            raise bad(f"Invalid job parameter '{parameter.get('name')}': only letters, digits, '_', '-' and '.'")
    tasks = settings.get("tasks") or []
    keys = [t.get("task_key", "") for t in tasks]
    for key in keys:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", key):
            raise bad(f"Invalid task_key '{key}': only letters, digits, '-' and '_', at most 100 characters")
    if len(set(keys)) != len(keys):
        twice = next(k for k in keys if keys.count(k) > 1)
        raise bad(f"Task keys must be unique, '{twice}' is used more than once")
    for task in tasks:
        kinds = [k for k in KINDS if task.get(k) is not None]
        if len(kinds) != 1:
            raise bad(f"Task '{task['task_key']}' must have exactly one kind of task, not {len(kinds)}")
        if kinds[0] not in RUNNABLE:
            raise not_implemented(f"jobs with a {kinds[0]}", f"task '{task['task_key']}'")
        for dependency in task.get("depends_on") or []:
            if dependency["task_key"] not in keys:
                raise bad(f"Task '{task['task_key']}' depends on '{dependency['task_key']}', which is not a task")
    _refuse_cycles(tasks)
    clusters = [c.get("job_cluster_key", "") for c in settings.get("job_clusters") or []]
    for task in tasks:
        if task.get("job_cluster_key") not in (None, *clusters):
            raise bad(f"Job cluster '{task['job_cluster_key']}' is not defined in field 'job_clusters'.")
    for what, holder in (("job", settings), *((f"task '{t['task_key']}'", t) for t in tasks)):
        if int(holder.get("timeout_seconds") or 0) < 0:
            raise bad(f"timeout_seconds of {what} must not be negative, is {holder['timeout_seconds']}")
        if int(holder.get("max_retries") or 0) < -1:
            raise bad(f"max_retries of {what} must be -1 (without end) or more, is {holder['max_retries']}")
    if sum(settings.get(k) is not None for k in ("schedule", "trigger", "continuous")) > 1:
        raise bad("Only one of schedule, trigger and continuous can be set")
    for unsupported in ("trigger", "continuous", "triggers"):
        if settings.get(unsupported) is not None:
            raise not_implemented(f"jobs with a {unsupported} block", "only schedules fire here")
    if settings.get("schedule"):
        check_schedule(settings["schedule"])
    concurrent = settings.get("max_concurrent_runs")
    if concurrent is not None and not 0 <= int(concurrent) <= 1000:
        raise bad(f"max_concurrent_runs must be between 0 and 1000, not {concurrent}")


def check_schedule(schedule: Mapping[str, Any]) -> None:
    """Raises INVALID_PARAMETER_VALUE for a bad Quartz expression or time zone."""
    try:
        Cron.parse(schedule["quartz_cron_expression"])
    except CronError as e:
        raise bad(f"Invalid quartz_cron_expression: '{schedule['quartz_cron_expression']}': {e}") from e
    try:
        ZoneInfo(schedule["timezone_id"])
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise bad(f"Invalid timezone_id: '{schedule['timezone_id']}'") from e


def _refuse_cycles(tasks: Sequence[Mapping[str, Any]]) -> None:
    waiting = {t["task_key"]: {d["task_key"] for d in t.get("depends_on") or []} for t in tasks}
    while waiting:
        free = [key for key, needs in waiting.items() if not needs & set(waiting)]
        if not free:
            raise bad(f"Cyclic dependency between tasks: {', '.join(sorted(waiting))}")
        for key in free:
            del waiting[key]


def with_defaults(settings: Mapping[str, Any]) -> Json:
    """Settings as the service stores them: what is not set gets the service's default."""
    stored: Json = {
        "name": "Untitled",
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
        "format": "MULTI_TASK",
        "queue": {"enabled": True},
        **{k: v for k, v in settings.items() if v is not None},
    }
    stored.pop("access_control_list", None)
    if stored.get("schedule"):
        stored["schedule"] = {"pause_status": "UNPAUSED", **stored["schedule"]}
    stored["tasks"] = [
        {
            "run_if": "ALL_SUCCESS",
            "timeout_seconds": 0,
            "email_notifications": {},
            "webhook_notifications": {},
            **task,
        }
        for task in stored.get("tasks") or []
    ]
    return stored
