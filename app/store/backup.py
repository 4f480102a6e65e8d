"""Backs up a store to one portable file and restores it, also on the other kind of database."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Table, exists, func, insert, select
from sqlalchemy.exc import StatementError

from app.new_file import new_file
from app.store.backup_format import BackupError, BackupFile, BackupWriter
from app.store.base import StoreError, now, store_error
from app.store.connect import open_engine
from app.store.faults import DATABASE_ERRORS
from app.store.look import revision_of
from app.store.open import SCHEMA_VERSION
from app.store.schema import metadata

PAGE = 500


@dataclass(frozen=True)
class Copied:
    """What a backup or a restore copied. bytes: size of the file."""

    file: str
    revision: str
    tables: int
    rows: int
    bytes: int


def existing_store(url: str) -> Engine:
    """The engine of a store as it is: unlike `open_store`, its schema is not upgraded. Raises StoreError."""
    engine = open_engine(url)
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and file != ":memory:" and not Path(file).exists():
        raise StoreError(f"the store {file} does not exist: look at CUTOVER_STORE_URL")
    return engine


def revision_problem(revision: str | None) -> str | None:
    """Why this program cannot read a store of this revision; None where it can."""
    if revision == SCHEMA_VERSION:
        return None
    return f"the store's schema has revision {revision or 'none'}, this program needs {SCHEMA_VERSION}"


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one state of the store, whatever others write meanwhile. Raises StoreError."""
    try:
        with engine.connect() as c:
            if engine.dialect.name == "sqlite":
                # The driver begins a transaction before writes only.
                c.exec_driver_sql("BEGIN")
            else:
                c = c.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield c
            c.rollback()
    except DATABASE_ERRORS as e:
        raise store_error("the store cannot be read", e) from e


def backup(engine: Engine, file: Path, *, force: bool = False) -> Copied:
    """Writes the store to `file`, which only its owner may read; it appears when it is whole.

    force: replace an existing file. Raises BackupError, and StoreError where the database fails.
    """
    if file.exists() and not force:
        raise BackupError(f"{file} exists: name another file, or replace it with --force")
    if engine.dialect.name == "sqlite" and file.resolve() == Path(engine.url.database or "").resolve():
        raise BackupError(f"{file} is the store itself: name another file")
    try:
        with new_file(file, force=force) as part:
            revision, rows = _write(engine, part)
    except FileExistsError as e:
        raise BackupError(f"{file} exists: name another file, or replace it with --force") from e
    except OSError as e:
        raise BackupError(f"{file} cannot be written: {e.strerror or e}") from e
    return Copied(str(file), revision, len(metadata.tables), rows, file.stat().st_size)


def _write(engine: Engine, file: Path) -> tuple[str, int]:
    with snapshot(engine) as c, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        revision = revision_of(c)
        problem = revision_problem(revision)
        if problem or revision is None:
            raise BackupError(f"{problem}: back up with the program of that revision")
        writer = BackupWriter(archive, revision, now())
        rows = sum(writer.add(t.name, _rows(c, t)) for t in metadata.sorted_tables)
        writer.finish()
    return revision, rows


def _rows(c: Connection, table: Table) -> Iterator[Mapping[str, Any]]:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=PAGE)
    for row in c.execute(query):
        yield dict(row._mapping)


def restore(engine: Engine, file: Path) -> Copied:
    """Writes a backup into an empty store of the same revision, all of it or nothing.

    Raises BackupError where the file is damaged or of another revision, or the store has rows; StoreError where the
    database fails.
    """
    with BackupFile(file) as found:
        if found.revision != SCHEMA_VERSION:
            raise BackupError(
                f"{file} has schema revision {found.revision}, this program {SCHEMA_VERSION}: restore it with the "
                "program that made it, then upgrade"
            )
        found.check_tables()
        try:
            with engine.connect() as c:
                _begin_alone(c)
                _check_empty(c)
                rows = sum(_fill(c, t, found.rows(t)) for t in metadata.sorted_tables)
                c.commit()
        except StatementError as e:
            if getattr(e.orig, "sqlstate", None) is None and not getattr(e.orig, "sqlite_errorname", None):
                # A column of ours refused the value.
                raise found.damaged("it holds a value that the store cannot keep") from e
            raise store_error(f"{file} cannot be restored", e) from e
        except DATABASE_ERRORS as e:
            raise store_error(f"{file} cannot be restored", e) from e
    return Copied(str(file), found.revision, len(metadata.tables), rows, file.stat().st_size)


def _begin_alone(c: Connection) -> None:
    """Begins a transaction in which nobody else writes to the store."""
    if c.dialect.name == "sqlite":
        c.exec_driver_sql("BEGIN IMMEDIATE")
        return
    names = ", ".join(c.dialect.identifier_preparer.format_table(t) for t in metadata.sorted_tables)
    c.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def _check_empty(c: Connection) -> None:
    problem = revision_problem(revision_of(c))
    if problem:
        raise BackupError(f"{problem}: restore into a store of the same revision")
    for table in metadata.sorted_tables:
        if c.execute(select(exists(select(1).select_from(table)))).scalar_one():
            raise BackupError(f"the store is not empty ({table.name} has rows): restore into a new one")


def _fill(c: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    count, left = 0, iter(rows)
    while page := list(islice(left, PAGE)):
        c.execute(insert(table), page)
        count += len(page)
    column = table.autoincrement_column
    if count and column is not None and isinstance(column.type, Integer) and c.dialect.name == "postgresql":
        # Else the next record would get an id that a restored one has.
        name = c.dialect.identifier_preparer.format_table(table)
        greatest = select(func.max(column)).scalar_subquery()
        c.execute(select(func.setval(func.pg_get_serial_sequence(name, column.name), greatest)))
    return count
