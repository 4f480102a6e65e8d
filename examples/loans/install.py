"""Puts the library's loans into the configured workspace: schemas, source data, the old job, the pipeline, the new job.

`python -m examples.loans.install [--folder /Shared/library]`. It can be repeated. Both jobs are paused: run them by
hand.
"""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import jobs, pipelines, workspace

from databricks_client.endpoint import Endpoint, EndpointError
from databricks_client.redact import redact
from databricks_client.terminal import emit

HERE = Path(__file__).resolve().parent
OLD, NEW, PIPELINE = "Library loans", "Library loans v2", "library_loans_pipeline"
CATALOG, SCHEMAS = "library", ("desk", "circulation", "scratch")
NIGHTLY = jobs.CronSchedule("0 30 2 * * ?", "Europe/Copenhagen", pause_status=jobs.PauseStatus.PAUSED)


def install(endpoint: Endpoint, folder: str = "/Shared/library") -> None:
    """Creates what is missing; renews notebook, source and data. Raises DatabricksError and the connector's errors."""
    client = endpoint.workspace()
    data(endpoint)
    files(client, folder)
    notebook = jobs.Task(task_key="loans", notebook_task=jobs.NotebookTask(notebook_path=f"{folder}/load_loans"))
    job(client, OLD, notebook)
    update = jobs.Task(task_key="pipeline", pipeline_task=jobs.PipelineTask(pipeline_id=pipeline(client, folder)))
    job(client, NEW, update)


def data(endpoint: Endpoint) -> None:
    """Catalog, schemas and source tables."""
    with endpoint.sql() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE CATALOG IF NOT EXISTS {CATALOG}")
        for schema in SCHEMAS:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{schema}")
        for statement in (HERE / "sources.sql").read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                cursor.execute(statement)


def files(client: WorkspaceClient, folder: str) -> None:
    """The old job's notebook and the pipeline's source."""
    client.workspace.mkdirs(f"{folder}/transformations")
    for name, target, format in (
        ("load_loans.sql", "load_loans", workspace.ImportFormat.SOURCE),
        ("transformations/loans.py", "transformations/loans.py", workspace.ImportFormat.RAW),
    ):
        content = base64.b64encode((HERE / name).read_bytes()).decode()
        language = workspace.Language.SQL if name.endswith(".sql") else None
        client.workspace.import_(
            f"{folder}/{target}", content=content, format=format, language=language, overwrite=True
        )


def pipeline(client: WorkspaceClient, folder: str) -> str:
    """The id of the pipeline, created when it is missing."""
    for found in client.pipelines.list_pipelines(filter=f"name LIKE '{PIPELINE}'"):
        if found.name == PIPELINE and found.pipeline_id:
            return found.pipeline_id
    library = pipelines.PipelineLibrary(glob=pipelines.PathPattern(include=f"{folder}/transformations/**"))
    made = client.pipelines.create(
        name=PIPELINE, catalog=CATALOG, schema="circulation", root_path=folder, libraries=[library], serverless=True
    )
    return str(made.pipeline_id)


def job(client: WorkspaceClient, name: str, task: jobs.Task) -> None:
    """The job, created when it is missing; its schedule is a cutover's to change."""
    if not list(client.jobs.list(name=name)):
        client.jobs.create(name=name, tasks=[task], schedule=NIGHTLY, max_concurrent_runs=1)


def main() -> int:
    """Installs into the workspace of the environment. Exit status 0 done, 1 failed, 2 no workspace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default="/Shared/library", help="workspace folder of notebook and source")
    folder = parser.parse_args().folder
    try:
        install(Endpoint.discover(), folder)
    except EndpointError as e:
        emit(f"install: {e}", error=True)
        return 2
    except DatabricksError as e:
        emit(f"install: {redact(' '.join(str(e).split()))}", error=True)
        return 1
    emit(f"installed {OLD}, {NEW} and {PIPELINE}: CUTOVER_MIGRATION=examples/loans/loans.yaml cutover doctor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
