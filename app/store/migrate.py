"""Brings the store's schema to a version: whole or not at all, one process at a time.

A program brings an older store up to its own version when it opens it. The way back, before an older program is
installed again, is `python -m app.store.migrate VERSION` with the newer one, while neither panel nor worker runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, MetaData, func, inspect, select, text

from app.config.base import ConfigError
from app.config.settings import Settings
from app.store.base import StoreError, store_error
from app.store.connect import open_engine
from app.store.faults import DATABASE_ERRORS
from app.store.leases import WORKER_LEASE, LeaseRepository
from app.store.schema import metadata
from databricks_client.terminal import emit

MIGRATIONS = Path(__file__).parent / "migrations"
ALONE_SECONDS = 60
"""How long one process waits for another that changes the schema."""

ADVISORY_LOCK = 0x6375746F766572
"""Key of the Postgres advisory lock that a change of the schema holds: the bytes of `cutover`."""

STATEMENT_SECONDS = 600
"""A change of a large table may need longer than any other statement."""

BASE = "base"
"""The version of a store without tables."""


def upgrade(engine: Engine) -> None:
    """Brings the schema up to this program's version. Does nothing where it is there already.

    Raises StoreError where the schema is a newer program's, or another process changes it for over ALONE_SECONDS, and
    what the database raises.
    """
    with engine.connect() as connection:
        if _version(connection) == _scripts().get_current_head():
            return
    migrate(engine, "head")


def migrate(engine: Engine, version: str) -> None:
    """Brings the schema to `version` (`head`, `base`, or a number such as `0002`), up or down, in one transaction.

    A process that dies meanwhile leaves the schema as it was. Raises as `upgrade` does, and StoreError for a version
    that this program does not know.
    """
    scripts = _scripts()
    head = scripts.get_current_head()
    known = [script.revision for script in scripts.walk_revisions(BASE, "head")]  # Newest first.
    wanted = head if version == "head" else None if version == BASE else version
    if wanted is not None and wanted not in known:
        raise StoreError(f"no version {version!r} of the schema: it is one of {', '.join(reversed(known))}, {BASE}")
    with _alone(engine), engine.connect() as connection:
        driver = connection.connection.driver_connection
        # Never back to the pool: its settings are those of a change of the schema.
        connection.detach()
        with _transaction(connection, driver):
            if engine.dialect.name == "postgresql":
                from app.store.postgres import make_schema

                make_schema(connection)
            now = _version(connection)
            config = _config()
            config.attributes["connection"] = connection
            if now is None and _is_sqlite(engine):
                _forget_unfinished(connection)
            if now == wanted:
                return
            older = now is None or (wanted is not None and known.index(wanted) < known.index(now))
            (command.upgrade if older else command.downgrade)(config, wanted or BASE)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _version(connection: Connection) -> str | None:
    """The schema's version, None where there is none. Raises StoreError where a newer program made it."""
    found = MigrationContext.configure(connection).get_current_heads()
    version = found[0] if found else None
    scripts = _scripts()
    known = {script.revision for script in scripts.walk_revisions(BASE, "head")}
    if version is not None and version not in known:
        head = scripts.get_current_head()
        raise StoreError(
            f"the store's schema has version {version}, this program knows none after {head}: install the newer "
            f"program, or take the schema back with it (`python -m app.store.migrate {head}`)"
        )
    return version


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Of the processes that open a new SQLite file one changes its schema; Postgres has a lock of its own for that."""
    lock = FileLock(f"{engine.url.database}.upgrade", timeout=ALONE_SECONDS) if _is_sqlite(engine) else nullcontext()
    try:
        with lock:
            yield
    except Timeout as e:
        raise _not_alone() from e


@contextmanager
def _transaction(connection: Connection, driver: Any) -> Iterator[None]:
    """One transaction around all statements, those that define tables too."""
    if connection.dialect.name == "sqlite":
        # The driver begins a transaction before INSERT, UPDATE and DELETE only: each CREATE TABLE would commit itself.
        # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
        driver.isolation_level = None
        # A table is changed by making it anew, whereby those that refer to it would hold it. Only outside of a
        # transaction can that be set; it is made up for below.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StoreError(f"the schema is left as it was: a record of {broken[0]} refers to one that is not there")
    else:
        driver.answer_seconds = STATEMENT_SECONDS + 10
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"))
        deadline = time.monotonic() + ALONE_SECONDS
        while not connection.execute(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))).scalar_one():
            if time.monotonic() > deadline:
                raise _not_alone()
            time.sleep(0.2)
        yield
    connection.commit()


def _not_alone() -> StoreError:
    return StoreError(f"another process changes the store's schema for over {ALONE_SECONDS} s: try again")


def _forget_unfinished(connection: Connection) -> None:
    """Drops the store's tables where they have neither version nor record: an earlier program died making them."""
    names = sorted(metadata.tables.keys() & inspect(connection).get_table_names())
    if not names:
        return
    found = MetaData()
    found.reflect(connection, only=names)
    if any(connection.execute(select(func.count()).select_from(found.tables[n])).scalar_one() for n in names):
        raise StoreError("the store has tables and records but no version of the schema: name another database")
    found.drop_all(connection)


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def main(arguments: list[str]) -> int:
    """Takes the store of the environment to the version given; exit status 0, 1 when that fails, 2 for wrong use."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        emit("usage: python -m app.store.migrate VERSION (`head`, `base`, or a number such as 0002)", error=True)
        return 2
    try:
        engine = open_engine(Settings.from_environment().store_url)
        with engine.connect() as connection:
            made = _version(connection) is not None
        worker = LeaseRepository(engine).holder(WORKER_LEASE) if made else None
        if worker is not None:
            raise StoreError(f"worker {worker.owner} uses the store: stop it first")
        migrate(engine, arguments[0])
    except (ConfigError, StoreError) as e:
        emit(f"cutover: {e}", error=True)
        return 1
    except DATABASE_ERRORS as e:
        emit(f"cutover: {store_error('the schema cannot be changed', e)}", error=True)
        return 1
    emit(f"cutover: the schema of the store has version {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
