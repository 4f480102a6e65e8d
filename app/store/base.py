"""Metadata, column types and error of all tables of the store, and what their repositories have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Row,
    Select,
    TypeDecorator,
    func,
    select,
)
from sqlalchemy.exc import StatementError

from app.store.faults import DATABASE_ERRORS, cause, in_a_line
from app.store.text import Unstorable
from databricks_client.redact import redact

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class StoreError(Exception):
    """The store cannot be opened, read or written; one line with the cause and the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Goes in with any zone and comes out in UTC; a naive datetime is refused, it has no moment."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def store_error(failed: str, error: BaseException) -> StoreError:
    """The one line for a failed call of the database: what failed, why, and the way out. To be raised from `error`."""
    return StoreError(in_a_line(f"{failed}: {cause(error)}"))


class Repository:
    """Reads and writes one kind of records. Where the database fails, StoreError names them and the cause.

    clock: gives this moment in UTC; tests replace it. server_time: whether the clock of a database server, where there
    is one, decides about leases.
    """

    _what: ClassVar[str]
    """What they are called in errors."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = now, *, server_time: bool = True) -> None:
        self._engine = engine
        self._clock = clock
        self._server_time = server_time

    @contextmanager
    def _read(self, what: str = "") -> Iterator[Connection]:
        try:
            with self._engine.connect() as c:
                yield c
        except DATABASE_ERRORS as e:
            raise store_error(f"{what or self._what} cannot be read", e) from e

    @contextmanager
    def _write(self, what: str = "") -> Iterator[Connection]:
        """One transaction: all of it or nothing."""
        try:
            with self._engine.begin() as c:
                yield c
        except DATABASE_ERRORS as e:
            raise store_error(f"{what or self._what} cannot be written", e) from e

    def _moment(self, c: Connection) -> datetime:
        """Now by the database server's clock, where there is one: readers may be on several machines."""
        if not self._server_time or c.dialect.name != "postgresql":
            return self._clock()
        moment: datetime = c.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def _all(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """The rows of a query; none where it looks for a key that no column can hold. values: of its parameters."""
        with self._read() as c:
            try:
                return c.execute(query, values).all()
            except StatementError as e:
                if isinstance(e.orig, Unstorable):
                    return ()
                raise

    def _one(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The row of a key; None where there is none. Raises StoreError where there are several."""
        rows = self._all(query, values)
        if len(rows) > 1:
            raise StoreError(f"{self._what} cannot be read: one key has {len(rows)} rows")
        return rows[0] if rows else None
