"""A store whose processes die at any statement, or open it all at once, stays whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, inspect

from app.store.base import now
from app.store.connect import open_engine
from app.store.leases import LeaseRepository
from app.store.migrate import BASE, migrate
from app.store.open import Store, open_store
from tests.support import pages_seed
from tests.support.databases import Postgres, content, is_whole
from tests.support.pages_open import MIGRATION

KILLED_AFTER = [*range(1, 6), *range(6, 90, 7)]
"""Statements after which the process dies: a schema takes about 75."""
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Postgres]) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    with postgres().fresh("template1") as url:
        yield url


def killed_after(url: str, statements: int, version: str = "head") -> bool:
    """Whether a process of its own was killed (-9) behind so many statements of taking the schema to `version`."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            count = 0
            engine = open_engine(url)

            @event.listens_for(engine, "after_cursor_execute")
            def _die(*_: Any) -> None:
                nonlocal count
                count += 1
                if count == statements:
                    os.kill(os.getpid(), signal.SIGKILL)

            migrate(engine, version)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_a_process_that_dies_at_any_statement_of_a_new_schema_leaves_a_store_that_opens(empty: str) -> None:
    deaths = 0
    for statements in KILLED_AFTER:
        deaths += killed_after(empty, statements)
        assert_opens_and_forget(empty)
    assert deaths > len(KILLED_AFTER) // 2


def assert_opens_and_forget(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as c:
        version = MigrationContext.configure(c).get_current_revision()
    assert (version is None) == (inspect(engine).get_table_names() in ([], ["alembic_version"])), "all or nothing"
    engine.dispose()
    store = open_store(url)
    assert is_whole(store)
    migrate(store.engine, BASE)
    store.engine.dispose()


def test_a_process_that_dies_while_it_upgrades_loses_no_record(store: Store) -> None:
    pages_seed.seed(store, MIGRATION, days=1)
    migrate(store.engine, "0001")
    before = content(store.engine)
    url = store.engine.url.render_as_string(hide_password=False)
    deaths = 0
    for statements in range(1, 30, 3):
        store.engine.dispose()
        deaths += killed_after(url, statements)
        if inspect(store.engine).has_table("store_workspace"):
            break
        assert content(store.engine) == before
    assert deaths > 2
    assert is_whole(open_store(url))


def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    code = f"from app.store.open import open_store; open_store('sqlite:///{tmp_path}/new.db').checklist.latest()"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()[-500:]


def test_a_server_tells_the_time_of_leases_whatever_a_machines_clock_says(
    postgres: Callable[[], Postgres],
) -> None:
    with postgres().fresh() as url:
        store = open_store(url)
        _a_servers_clock_decides(store)
        store.engine.dispose()


def _a_servers_clock_decides(store: Store) -> None:
    ahead = LeaseRepository(store.engine, lambda: now() + timedelta(hours=1))
    behind = LeaseRepository(store.engine, lambda: now() - timedelta(hours=1))
    name = "clocks"
    held = behind.acquire(name, "worker", 60)
    assert held is not None
    assert ahead.acquire(name, "laptop", 60) is None, "an hour ahead, and it is held all the same"
    ahead.check(held)
    holder = ahead.holder(name)
    assert holder is not None and holder.owner == "worker"
    renewed = ahead.renew(held, 60)
    assert abs(renewed.expires_at - now() - timedelta(seconds=60)) < timedelta(seconds=30)
    behind.release(held)
    assert ahead.acquire(name, "laptop", 60) is not None
