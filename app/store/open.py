"""Opens the store: brings its schema up to date, one process at a time, and gives its repositories."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from app.store.alerts import AlertRepository
from app.store.audit import AuditRepository
from app.store.base import store_error
from app.store.binding import BindingRepository
from app.store.checklist import ChecklistRepository
from app.store.collected.repository import CollectedRepository
from app.store.connect import open_engine
from app.store.definitions import DefinitionRepository
from app.store.faults import DATABASE_ERRORS
from app.store.incidents import IncidentRepository
from app.store.leases import LeaseRepository
from app.store.operations import OperationsRepository
from app.store.parity import ParityRepository
from app.store.progress import ProgressRepository
from app.store.reports import ReportRepository
from app.store.setup_checks import SetupCheckRepository

SCHEMA_VERSION = "0014"
"""Revision of the newest migration in `app/store/migrations`."""


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
    def binding(self) -> BindingRepository:
        """The workspace that the store belongs to."""
        return BindingRepository(self.engine)

    @cached_property
    def checklist(self) -> ChecklistRepository:
        """What people ticked and signed."""
        return ChecklistRepository(self.engine)

    @cached_property
    def progress(self) -> ProgressRepository:
        """Since when each item is met, and every change of it."""
        return ProgressRepository(self.engine)

    @cached_property
    def reports(self) -> ReportRepository:
        """What reports said, for the changes since then."""
        return ReportRepository(self.engine)

    @cached_property
    def alerts(self) -> AlertRepository:
        """What is to be sent to people, and what was."""
        return AlertRepository(self.engine)

    @cached_property
    def incidents(self) -> IncidentRepository:
        """What went wrong, and with what cause people closed it."""
        return IncidentRepository(self.engine)

    @cached_property
    def setup_checks(self) -> SetupCheckRepository:
        """Checks of the setup, requested and ended."""
        return SetupCheckRepository(self.engine)

    @cached_property
    def definitions(self) -> DefinitionRepository:
        """What schedules and schemas were observed when."""
        return DefinitionRepository(self.engine)


def open_store(url: str) -> Store:
    """The store at `url`, its schema upgraded to this version. Raises StoreError with one line."""
    engine = open_engine(url)
    try:
        if engine.dialect.name == "sqlite" and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        if not _is_current(engine):
            # Alembic takes 0.1 s to import: only where the schema is another one.
            from app.store.migrate import upgrade

            upgrade(engine)
    except (*DATABASE_ERRORS, OSError) as e:
        raise store_error(f"the store {engine.url.render_as_string()} cannot be opened", e) from e
    return Store(engine)


def _is_current(engine: Engine) -> bool:
    """Whether the schema has this program's version already."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [SCHEMA_VERSION]
