"""One local workspace with one Spark for all tests that need them, started when the first one asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import RunResultState

from app.config import DEFAULT_MIGRATION, Migration
from emulator.process import LocalWorkspace
from validation.endpoint import Endpoint

ENTRIES = 400
RUNNING = os.environ.get("CUTOVER_TEST_DATA", "")
"""The data folder of a workspace that runs already, for a developer who repeats one test."""


@pytest.fixture(scope="session", autouse=True)
def launched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """Launched before the first test, if any needs it: it prepares itself while those run that do not."""
    found = LocalWorkspace(tmp_path_factory.mktemp("workspace"), ENTRIES)
    if not RUNNING and any("raw_workspace" in getattr(i, "fixturenames", ()) for i in request.session.items):
        found.launch()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def raw_workspace(launched: LocalWorkspace) -> LocalWorkspace:
    """The workspace as soon as REST and SQL answer; its data may still be in preparation."""
    if RUNNING:
        there = Endpoint.discover(Path(RUNNING))
        printed = {"DATABRICKS_HOST": there.host, "DATABRICKS_TOKEN": there.token or ""}
        return LocalWorkspace(Path(RUNNING), ENTRIES, printed=printed | {"DATABRICKS_WAREHOUSE_ID": there.warehouse_id})
    launched.wait_ready()
    return launched


@pytest.fixture(scope="session")
def workspace(raw_workspace: LocalWorkspace) -> LocalWorkspace:
    """The workspace with the bundled migration's data and first runs."""
    raw_workspace.wait_prepared()
    return raw_workspace


@pytest.fixture(scope="session")
def both_sides(workspace: LocalWorkspace) -> LocalWorkspace:
    """The workspace once the new job has run too: the production pipeline and the notebooks that stay."""
    client, migration = workspace.endpoint.workspace(), Migration.load(DEFAULT_MIGRATION)
    if not all(client.tables.exists(t.candidate).table_exists for t in migration.tables):
        job = next(j.job_id for j in client.jobs.list(name=migration.candidate_job.name))
        assert job is not None
        run = client.jobs.run_now(job).result()
        assert run.state and run.state.result_state is RunResultState.SUCCESS, run.state
    return workspace


@pytest.fixture(scope="session")
def spark_remote(raw_workspace: LocalWorkspace) -> str:
    """Spark Connect address of the tests' one Spark server (two-level names; for tests of SQL text and of the pipeline)."""
    return str(raw_workspace.status()["spark_remote"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, then those that need Spark, the browser last; each test may run 10 minutes at most."""
    order = {"unit": 0, "spark": 1, "contract": 2, "browser": 3}
    items.sort(key=lambda item: order.get(item.path.parent.name, 0))
