"""What tests of several files use: stores for the pages, filled in their ways; a local workspace that answers REST."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pages_seed
import pytest
import streamlit as st
import uvicorn
from databricks.sdk import WorkspaceClient
from emulator_workspace import workspace_in
from pages_open import MIGRATION, MIGRATION_FILE, Fill
from parity_running import compared as compared
from parity_running import quick_comparisons as quick_comparisons
from rest_calls import client_of

from app.store.open import Store, open_store
from emulator.__main__ import listen
from emulator.rest.app import create_app
from emulator.workspace import Workspace


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A store's file for each way of filling it, made once: nearly every test copies one."""

    @cache
    def of(empty: bool = False, runs: int = 0, **how: Any) -> Path:
        file = tmp_path_factory.mktemp("seed") / "cutover.db"
        made = pages_seed.open_test_store(f"sqlite:///{file}")
        if not empty:
            pages_seed.seed(made, MIGRATION, **how)
        if runs:
            pages_seed.many(made, runs)
        made.engine.dispose()
        return file

    return of


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Callable[..., Path]) -> Iterator[Store]:
    """An empty store of this test, and the settings that make the pages read it."""
    url = f"sqlite:///{tmp_path / 'cutover.db'}"
    _copy(seeds(empty=True), tmp_path / "cutover.db")
    for name in ("DATABRICKS_HOST", "DATABRICKS_APP_NAME", "CUTOVER_PREPARATION_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    monkeypatch.setenv("CUTOVER_STORE_URL", url)
    monkeypatch.setenv("CUTOVER_MIGRATION", str(MIGRATION_FILE))
    monkeypatch.setenv("CUTOVER_IDENTITY", "persona")
    st.cache_resource.clear()
    st.cache_data.clear()
    found = open_store(url)
    yield found
    found.engine.dispose()


@pytest.fixture
def fill(store: Store, seeds: Callable[..., Path], tmp_path: Path) -> Fill:
    """Fills the store of this test as `pages_seed.seed` does. runs: so many job runs more."""
    return lambda **how: _copy(seeds(**how), tmp_path / "cutover.db")


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as a, closing(sqlite3.connect(target)) as b:
        a.backup(b)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A local workspace that answers REST, without Spark; Ada Nowak is in it, who may look."""
    workspace = workspace_in(tmp_path_factory.mktemp("rest"))
    listener = listen(0)
    workspace.host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(create_app(workspace), http="h11", lifespan="off", log_level="error", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    workspace.ensure_user("analyst@example.com", "Ada Nowak")
    workspace.ensure_group("readers", ("analyst@example.com",))
    yield workspace
    server.should_exit = True
    thread.join(5)


@pytest.fixture(scope="module")
def client(local: Workspace) -> WorkspaceClient:
    return client_of(local, local.admin_token)


@pytest.fixture(scope="module")
def analyst(local: Workspace) -> WorkspaceClient:
    return client_of(local, local.token_for("analyst@example.com"))


@pytest.fixture
def spark_up(local: Workspace) -> Iterator[None]:
    local.sql_ready.set()
    yield
    local.sql_ready.clear()
