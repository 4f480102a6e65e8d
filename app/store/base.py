"""Engine, metadata and column types that all tables of the store share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Row,
    Select,
    TypeDecorator,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from validation.redact import redact

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


Json = JSON(none_as_null=True)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def cause(error: SQLAlchemyError) -> str:
    """What the database itself said, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


class Repository:
    """Reads and writes one kind of records. Where the database fails, StoreError names them and the cause.

    clock: gives this moment in UTC; tests replace it.
    """

    _what: ClassVar[str]
    """What they are called in errors."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def _read(self, what: str = "") -> Iterator[Connection]:
        try:
            with self._engine.connect() as c:
                yield c
        except SQLAlchemyError as e:
            raise StoreError(f"{what or self._what} cannot be read: {cause(e)}") from e

    @contextmanager
    def _write(self, what: str = "") -> Iterator[Connection]:
        """One transaction: all of it or nothing."""
        try:
            with self._engine.begin() as c:
                yield c
        except SQLAlchemyError as e:
            raise StoreError(f"{what or self._what} cannot be written: {cause(e)}") from e

    def _moment(self, c: Connection) -> datetime:
        """Now by the database server's clock, where there is one: those who ask may be on several machines."""
        if c.dialect.name != "postgresql":
            return self._clock()
        told: datetime = c.execute(select(func.clock_timestamp())).scalar_one()
        return told.astimezone(UTC)

    def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._read() as c:
            return c.execute(query).all()

    def _one(self, query: Select[Any]) -> Row[Any] | None:
        with self._read() as c:
            return c.execute(query).one_or_none()


def _sign_in_with_token(engine: Engine) -> None:
    """Databricks' Postgres takes an OAuth token for a password, good for an hour: each connection gets a new one."""
    from databricks.sdk.core import Config

    config = Config()

    @event.listens_for(engine, "do_connect")
    def _password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["password"] = config.oauth_token().access_token


def open_engine(url: str) -> Engine:
    """An engine for `url`. SQLite: WAL, foreign keys, waits up to 30 s for another writer, commits reach the disk.

    Raises StoreError when the URL is not one.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as e:
        raise StoreError("CUTOVER_STORE_URL is not a database URL (for example sqlite:////path/cutover.db)") from e
    if parsed.get_backend_name() != "sqlite":
        try:
            server = create_engine(parsed, pool_pre_ping=True, pool_size=5)
        except (ArgumentError, ImportError) as e:
            raise StoreError(
                f"CUTOVER_STORE_URL begins with {parsed.drivername}://, for which there is no driver here: "
                "write postgresql+psycopg://... or sqlite:///..."
            ) from e
        if parsed.password is None and os.environ.get("DATABRICKS_CLIENT_ID"):
            _sign_in_with_token(server)
        return server
    engine = create_engine(parsed, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
