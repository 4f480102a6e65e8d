"""What tests of the REST API make and read again and again."""

from __future__ import annotations

import time
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.service import jobs, pipelines

from emulator.workspace import Workspace


def client_of(workspace: Workspace, token: str) -> WorkspaceClient:
    config = Config(host=workspace.host, token=token, auth_type="pat", retry_timeout_seconds=2)
    return WorkspaceClient(config=config)


def notebook(local: Workspace, name: str, text: str) -> str:
    path = f"/Shared/{name}"
    local.files.import_source(path, text, "PYTHON")
    return path


def task(key: str, path: str, *after: str, **more: Any) -> jobs.Task:
    return jobs.Task(
        task_key=key,
        notebook_task=jobs.NotebookTask(notebook_path=path),
        depends_on=[jobs.TaskDependency(task_key=a) for a in after],
        **more,
    )


def schedule(status: str = "PAUSED") -> jobs.CronSchedule:
    return jobs.CronSchedule("55 0 5/6 * * ?", "America/New_York", pause_status=jobs.PauseStatus(status))


def finished(client: WorkspaceClient, run_id: int) -> jobs.Run:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        run = client.jobs.get_run(run_id)
        if run.state.life_cycle_state.value in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR"):
            return run
        time.sleep(0.02)
    raise AssertionError(f"run {run_id} did not end")


def results(run: jobs.Run) -> dict[str, str]:
    return {t.task_key: t.state.result_state.value for t in run.tasks}


def pipeline(client: WorkspaceClient, name: str, **more: Any) -> str:
    library = pipelines.PipelineLibrary(glob=pipelines.PathPattern(include="/Shared/p/**"))
    made = client.pipelines.create(name=name, catalog="main", schema="default", libraries=[library], **more)
    return str(made.pipeline_id)
