"""Opens the store: brings its schema up to date, one process at a time, and gives its repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.store.audit import AuditRepository
from app.store.base import StoreError, open_engine
from app.store.checklist import ChecklistRepository
from app.store.collected.repository import CollectedRepository
from app.store.leases import LeaseRepository
from app.store.operations import OperationsRepository
from app.store.parity import ParityRepository

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_SECONDS = 60
ADVISORY_LOCK = 0x6375746F766572
"""Key of the Postgres advisory lock that upgrades hold: the bytes of `cutover`."""


class Store:
    """The open store: one engine, a repository for each kind of record."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @cached_property
    def collected(self) -> CollectedRepository:
        """What the worker read from the workspace."""
        return CollectedRepository(self.engine)

    @cached_property
    def parity(self) -> ParityRepository:
        """Comparisons: requested, running, done."""
        return ParityRepository(self.engine)

    @cached_property
    def operations(self) -> OperationsRepository:
        """Plans, approvals, the journal."""
        return OperationsRepository(self.engine)

    @cached_property
    def audit(self) -> AuditRepository:
        """The hash-chained record of actions and refusals."""
        return AuditRepository(self.engine)

    @cached_property
    def leases(self) -> LeaseRepository:
        """Who may act now."""
        return LeaseRepository(self.engine)

    @cached_property
    def checklist(self) -> ChecklistRepository:
        """What people ticked and signed."""
        return ChecklistRepository(self.engine)


def open_store(url: str) -> Store:
    """The store at `url`, its schema upgraded to this version. Raises StoreError with one line."""
    engine = open_engine(url)
    try:
        if engine.dialect.name == "sqlite" and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        _upgrade(engine)
    except Timeout as e:
        raise StoreError(f"the store is being upgraded by another process for over {LOCK_SECONDS} s; try again") from e
    except (SQLAlchemyError, OSError) as e:
        cause = " ".join(str(getattr(e, "orig", None) or e).split())
        raise StoreError(f"the store {engine.url.render_as_string()} cannot be opened: {cause}") from e
    return Store(engine)


def _upgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with _alone(engine), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Holds the upgrade lock: a file beside a SQLite store, an advisory lock in Postgres."""
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.upgrade", timeout=LOCK_SECONDS):
            yield
        return
    connection: Connection
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
