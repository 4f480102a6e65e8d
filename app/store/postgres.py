"""Sessions of the store on PostgreSQL: the schema that it is in, and how long what may take."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event

CONNECT_SECONDS = 5
LOCK_SECONDS = 5
STATEMENT_SECONDS = 15
IDLE_SECONDS = 60
"""Limits of a PostgreSQL session, for connecting, a lock, a statement, and an open transaction without one."""

SCHEMA = "cutover"
"""The store's own schema. A role that may CONNECT and CREATE on a database has no right on `public`, as on Lakebase."""

_SEARCH = f"""SELECT pg_catalog.set_config('search_path', CASE WHEN EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = 'audit_head'
) AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{SCHEMA}')
THEN 'public' ELSE '{SCHEMA}' END, false)"""
"""Versions before had their tables in `public`: such a store stays there."""

ANSWER_SECONDS = 20.0
"""A PostgreSQL server that says nothing for so long, not even that a limit is over, counts as away."""

_TCP = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; the last is in milliseconds."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that waits at most `answer_seconds` for an answer, and is closed when none came."""

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's; raises OperationalError when the time is up."""
        limit = self.answer_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except psycopg.OperationalError as e:
            if timeout is None and type(e).__name__ == "_WaitTimeout":
                # What a late answer belongs to could not be known.
                self.pgconn.finish()
                raise psycopg.OperationalError(f"the server does not answer for {limit:g} s") from e
            raise


def make_schema(connection: Connection) -> None:
    """Makes the schema that a session looks in, where there is none yet."""
    if connection.exec_driver_sql("SELECT pg_catalog.current_schema()").scalar_one() is None:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")


def limit(engine: Engine) -> None:
    """Puts the limits on every connection of the engine. What the URL itself sets has precedence."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        return BoundedConnection.connect(*arguments, **{"connect_timeout": CONNECT_SECONDS, **_TCP, **parameters})

    chosen = "search_path" in str(engine.url.query.get("options", ""))

    @event.listens_for(engine, "connect")
    def _session(connection: Any, _record: Any) -> None:
        # Statements, since a connection pooler may refuse such settings at the start of a session.
        limits = {
            "statement_timeout": STATEMENT_SECONDS,
            "lock_timeout": LOCK_SECONDS,
            "idle_in_transaction_session_timeout": IDLE_SECONDS,
        }
        connection.execute("; ".join(f"SET {name} = '{seconds}s'" for name, seconds in limits.items()))
        if not chosen:
            connection.execute(_SEARCH)
        connection.commit()
