"""Looks at a store without opening it: neither made nor brought to this program's schema."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from app.store.base import store_error
from app.store.connect import open_engine
from app.store.faults import DATABASE_ERRORS
from app.store.open import SCHEMA_VERSION


@dataclass(frozen=True)
class StoreLook:
    """A store as it is. kind: `SQLite` or `PostgreSQL`; place: its address without a password.

    revision: of its schema, None where it has none yet. problem: why nothing can be written; empty where it can.
    """

    kind: str
    place: str
    revision: str | None
    problem: str

    @property
    def current(self) -> bool:
        """Whether this program reads and writes it as it is."""
        return self.revision == SCHEMA_VERSION

    @property
    def newer(self) -> bool:
        """Whether a newer program made its schema."""
        return self.revision is not None and self.revision > SCHEMA_VERSION


def look(url: str) -> StoreLook:
    """The store at `url`. Raises StoreError where the database does not answer."""
    engine = open_engine(url)
    place = engine.url.render_as_string()
    try:
        if engine.dialect.name == "sqlite":
            file = Path(engine.url.database or "")
            if not file.exists():
                return StoreLook("SQLite", place, None, _no_folder(file))
            with engine.connect() as c:
                revision = revision_of(c)
                c.rollback()
                return StoreLook("SQLite", place, revision, _refused(c))
        with engine.connect() as c:
            revision = revision_of(c)
            c.rollback()
            return StoreLook("PostgreSQL", place, revision, _missing_rights(c, revision))
    except DATABASE_ERRORS as e:
        raise store_error(f"the store {place} cannot be read", e) from e
    finally:
        engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema; None where there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _no_folder(file: Path) -> str:
    """Why the file cannot be made."""
    folder = next((p for p in file.absolute().parents if p.exists()), Path("/"))
    usable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    return "" if usable else f"folder {folder} cannot be written"


def _refused(connection: Connection) -> str:
    """Why SQLite takes no write; the transaction writes nothing."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except DATABASE_ERRORS as e:
        return " ".join(str(getattr(e, "orig", e)).split())
    connection.exec_driver_sql("ROLLBACK")
    return ""


_RIGHTS = text("""SELECT pg_is_in_recovery() AS replica, current_setting('transaction_read_only') AS read_only,
    has_database_privilege(current_database(), 'CREATE') AS may_create""")


def _missing_rights(connection: Connection, revision: str | None) -> str:
    found = connection.execute(_RIGHTS).one()
    if found.replica or found.read_only == "on":
        return "the server takes no writes now (a replica, or read-only)"
    if revision is None:
        return "" if found.may_create else "the role may not CREATE in the database"
    may = connection.execute(text("SELECT has_table_privilege('audit_log', 'INSERT')")).scalar_one()
    return "" if may else "the role may not write its tables"
