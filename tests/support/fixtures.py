"""What tests of several files use: stores for the pages, filled in their ways; a local workspace that answers REST."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import uvicorn
from databricks.sdk import WorkspaceClient

from app.store.connect import open_engine
from app.store.open import Store, open_store
from app.web.components.figure import Figure
from emulator.__main__ import listen
from emulator.rest.app import create_app
from emulator.workspace import Workspace
from tests.support import pages_seed
from tests.support.databases import POSTGRES, SQLITE, Databases, Postgres, postgres_server
from tests.support.drawn import validated
from tests.support.emulator_workspace import workspace_in
from tests.support.operations_world import Given
from tests.support.pages_open import MIGRATION, MIGRATION_FILE, Fill
from tests.support.parity_running import compared as compared
from tests.support.parity_running import quick_comparisons as quick_comparisons
from tests.support.rest_calls import client_of
from tests.support.workspace_server import Server, serving


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A store's file for each way of filling it, made once: nearly every test of a page copies one."""

    @cache
    def of(runs: int = 0, **how: Any) -> Path:
        file = tmp_path_factory.mktemp("seed") / "cutover.db"
        made = pages_seed.open_test_store(f"sqlite:///{file}")
        pages_seed.seed(made, MIGRATION, **how)
        if runs:
            pages_seed.many(made, runs)
        made.engine.dispose()
        return file

    return of


PAGES = ("test_pages.py", "test_runs_page.py", "test_dialogs.py", "test_overview.py")
"""Pages only read, through the repositories whose own tests run on both databases; each test copies a seeded file."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a store runs on each database, save those of pages."""
    if "store_urls" in metafunc.fixturenames:
        page = "page_settings" in metafunc.fixturenames or metafunc.definition.path.name in PAGES
        kinds = [SQLITE] if page or metafunc.config.getoption("sqlite_only") else [SQLITE, POSTGRES]
        metafunc.parametrize("store_urls", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], Postgres]]:
    """Gives the PostgreSQL server of this test process, which starts at the first call."""
    with ExitStack() as started:

        @cache
        def server() -> Postgres:
            return started.enter_context(postgres_server())[0]

        yield server


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory, postgres: Callable[[], Postgres]) -> Databases:
    """New stores of either kind."""
    return Databases(tmp_path_factory.mktemp("template"), postgres)


@pytest.fixture
def store_urls(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Gives the address of one more empty store at each call; all on one database, each database in turn."""
    with ExitStack() as made:
        numbers = count()

        def another() -> str:
            folder = tmp_path / f"store{next(numbers)}"
            folder.mkdir()
            return made.enter_context(databases.fresh(request.param, folder))

        yield another


@pytest.fixture
def store_url(store_urls: Callable[[], str]) -> str:
    """The address of an empty store of this test, on each database in turn."""
    return store_urls()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of this test, on each database in turn."""
    found = open_store(store_url)
    yield found
    found.engine.dispose()


@pytest.fixture
def given(store_url: str) -> Iterator[Given]:
    """A world and its operations, with a store on each database in turn: SQLite's in memory, where it is quick."""
    if store_url.startswith(SQLITE):
        yield Given()
        return
    engine = open_engine(store_url)
    yield Given(engine)
    engine.dispose()


@pytest.fixture
def page_settings(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that make the pages read this test's store."""
    for name in ("DATABRICKS_HOST", "DATABRICKS_APP_NAME", "CUTOVER_PREPARATION_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    monkeypatch.setenv("CUTOVER_STORE_URL", store_url)
    monkeypatch.setenv("CUTOVER_MIGRATION", str(MIGRATION_FILE))
    monkeypatch.setenv("CUTOVER_IDENTITY", "persona")
    monkeypatch.setattr(Figure, "to_dict", validated)
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def fill(page_settings: None, store: Store, seeds: Callable[..., Path]) -> Fill:
    """Fills the store of this test as `pages_seed.seed` does. runs: so many job runs more."""
    return lambda **how: _copy(seeds(**how), Path(str(store.engine.url.database)))


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as a, closing(sqlite3.connect(target)) as b:
        a.backup(b)


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server that gives the answers that a test puts into it."""
    with serving() as found:
        yield found


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
