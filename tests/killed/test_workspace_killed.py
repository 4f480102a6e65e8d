"""kill -9 of the whole local workspace: what was acknowledged is there after the next start, and nothing runs on."""

from __future__ import annotations

import base64
import socket
import time
from urllib.parse import urlsplit

import pytest
from databricks.sdk.service import jobs
from databricks.sdk.service.workspace import ImportFormat, Language

from app.config.migration import DEFAULT_MIGRATION, Migration
from scripts.local_workspace import LocalWorkspace

MIGRATION = Migration.load(DEFAULT_MIGRATION)
TABLE = "team_sandbox.data_engineering.kept_over_a_kill"
NOTEBOOK = "/Shared/sleeps"


def sql(local: LocalWorkspace, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last statement."""
    with local.endpoint.sql() as connection, connection.cursor() as cursor:
        for text in statements:
            cursor.execute(text)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def open_port(address: str) -> bool:
    try:
        socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("alone")
def test_what_was_acknowledged_survives_a_kill_9(workspace: LocalWorkspace) -> None:
    client = workspace.endpoint.workspace()
    rows = {t.baseline: sql(workspace, f"SELECT count(*) FROM {t.baseline}") for t in MIGRATION.tables}
    sql(
        workspace,
        f"CREATE OR REPLACE TABLE {TABLE} (n INT) COMMENT 'kept'",
        f"INSERT INTO {TABLE} VALUES (1), (2)",
        f"INSERT INTO {TABLE} VALUES (3)",
        f"GRANT SELECT ON TABLE {TABLE} TO `data-consumers`",
    )
    grants = sql(workspace, f"SHOW GRANTS ON TABLE {TABLE}")
    source = base64.b64encode(b"# Databricks notebook source\nimport time\ntime.sleep(600)\n").decode()
    client.workspace.import_(
        NOTEBOOK, content=source, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True
    )
    task = jobs.Task(task_key="sleep", notebook_task=jobs.NotebookTask(NOTEBOOK))
    job_id = client.jobs.create(name="sleeps", tasks=[task]).job_id
    assert job_id is not None
    run_id = client.jobs.run_now(job_id).run_id
    deadline = time.monotonic() + 60
    while client.jobs.get_run(run_id).state.life_cycle_state is not jobs.RunLifeCycleState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    spark = str(workspace.status()["spark_remote"])
    assert open_port(spark)

    workspace.kill()
    deadline = time.monotonic() + 30
    while open_port(spark):
        assert time.monotonic() < deadline, "Spark outlives its workspace"
        time.sleep(0.2)
    workspace.start()
    workspace.wait_prepared()

    client = workspace.endpoint.workspace()
    ended = client.jobs.get_run(run_id)
    assert ended.state.life_cycle_state is jobs.RunLifeCycleState.INTERNAL_ERROR
    assert not list(client.jobs.list_runs(active_only=True))
    assert [t.task_key for t in client.jobs.get(job_id).settings.tasks] == ["sleep"]
    assert sql(workspace, f"SELECT n FROM {TABLE} ORDER BY n") == [(1,), (2,), (3,)]
    assert sql(workspace, f"SELECT n FROM {TABLE} VERSION AS OF 1 ORDER BY n") == [(1,), (2,)]
    assert client.tables.get(TABLE).comment == "kept"
    assert sql(workspace, f"SHOW GRANTS ON TABLE {TABLE}") == grants
    assert {t.baseline: sql(workspace, f"SELECT count(*) FROM {t.baseline}") for t in MIGRATION.tables} == rows

    client.jobs.delete(job_id)
    client.workspace.delete(NOTEBOOK)
    sql(workspace, f"DROP TABLE {TABLE}")
