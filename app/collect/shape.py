"""What a pipeline or a job is defined to be: the settings that a migration compares, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databricks_client.answers import Answer
from databricks_client.jobs import Job, TaskInfo
from databricks_client.pipelines import Pipeline
from databricks_client.redact import HIDDEN, redact

Json = dict[str, Any]


def pipeline_definition(pipeline: Pipeline) -> Json:
    """The settings of a pipeline as JSON; what its definition leaves out has the service's default.

    Raises WorkspaceError where the definition is not as documented.
    """
    spec = Answer(pipeline.spec, f"read pipeline {pipeline.pipeline_id}", "spec")
    serverless = spec.flag("serverless", False)
    return {
        "edition": (spec.text_or_none("edition") or "ADVANCED").upper(),
        "continuous": spec.flag("continuous", False),
        "serverless": serverless,
        "photon": serverless or spec.flag("photon", False),
        "channel": (spec.text_or_none("channel") or "CURRENT").upper(),
        "development": spec.flag("development", False),
        "catalog": pipeline.catalog,
        "schema": pipeline.schema,
        "storage": _storage(spec.text_or_none("storage"), pipeline.pipeline_id),
        "source": _source(spec),
        "configuration": _clean(pipeline.configuration),
        **_cluster(_update_cluster(spec)),
    }


def job_definition(job: Job, pipelines: Mapping[str, str]) -> Json:
    """The settings of a job as JSON. pipelines: id to name of those of the migration; another one keeps its id.

    Notifications are names and numbers of receivers, never addresses. Raises WorkspaceError as above.
    """
    what = f"read job {job.job_id}"
    settings = Answer(job.settings, what, "settings")
    tasks = {t.name("task_key"): t for t in settings.objects("tasks")}
    return {
        "max_concurrent_runs": job.max_concurrent_runs,
        "schedule": {"quartz": job.timing.quartz, "timezone": job.timing.timezone} if job.timing.quartz else None,
        "trigger": job.timing.kind,
        "bundle": settings.part("deployment").text_or_none("kind") == "BUNDLE",
        "paused": job.timing.paused,
        "parameters": _clean(dict(job.parameters)),
        "tags": _clean(settings.texts("tags")),
        "timeout_seconds": settings.whole_or_none("timeout_seconds") or None,
        "notifications": _notifications(settings),
        "clusters": {
            c.name("job_cluster_key"): {**_cluster(c.part("new_cluster")), **_engine(c.part("new_cluster"))}
            for c in settings.objects("job_clusters")
        },
        "tasks": {t.task_key: _task(t, tasks[t.task_key], pipelines) for t in job.tasks},
    }


def _task(info: TaskInfo, task: Answer, pipelines: Mapping[str, str]) -> Json:
    found: Json = {"kind": info.kind, "depends_on": sorted(info.depends_on)}
    if info.notebook_path is not None:
        found["notebook"] = info.notebook_path
    if info.pipeline_id is not None:
        found["pipeline"] = pipelines.get(info.pipeline_id, info.pipeline_id)
        found["full_refresh"] = task.part("pipeline_task").flag("full_refresh", False)
    if (retries := task.whole_or_none("max_retries")) is not None:
        found["max_retries"] = retries
    return found


def _storage(location: str | None, pipeline_id: str) -> str | None:
    """A location that was set; the service fills in a folder of the pipeline's id where none was."""
    return None if location == f"dbfs:/pipelines/{pipeline_id}" else location or None


def _source(spec: Answer) -> list[str]:
    """Paths of notebooks, files and globs that hold the pipeline's source."""
    found = []
    for library in spec.objects("libraries"):
        for kind, key in (("notebook", "path"), ("file", "path"), ("glob", "include")):
            path = library.part(kind).text_or_none(key)
            if path:
                found.append(path)
    return sorted(found)


def _update_cluster(spec: Answer) -> Answer:
    """The cluster of updates: `default`, changed by `updates`. That of maintenance computes nothing."""
    merged: Json = {}
    for label in ("default", "updates"):
        for cluster in spec.objects("clusters"):
            if (cluster.text_or_none("label") or "default") == label:
                merged.update(cluster.raw)
    return Answer(merged, "read a pipeline's cluster", "cluster")


def _cluster(cluster: Answer) -> Json:
    scale = cluster.inner_or_none("autoscale")
    node = cluster.text_or_none("node_type_id")
    return {
        "node_type": node,
        "driver_node_type": cluster.text_or_none("driver_node_type_id") or node,
        "workers": None if scale else cluster.whole_or_none("num_workers"),
        "autoscale": f"{scale.whole('min_workers')} to {scale.whole('max_workers')}" if scale else None,
    }


def _engine(cluster: Answer) -> Json:
    return {"photon": (cluster.text_or_none("runtime_engine") or "").upper() == "PHOTON"}


def _notifications(settings: Answer) -> dict[str, int]:
    """Event to number of receivers."""
    found: dict[str, int] = {}
    for block in ("email_notifications", "webhook_notifications"):
        for event, receivers in settings.part(block).raw.items():
            if isinstance(receivers, list) and receivers:
                found[event] = found.get(event, 0) + len(receivers)
    return found


def _clean(values: Mapping[str, str]) -> dict[str, str]:
    """Values that have the name or the form of a secret are hidden whole."""
    return {k: v if redact(f"{k}={v}") == f"{k}={v}" else HIDDEN for k, v in values.items()}
