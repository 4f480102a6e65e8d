"""Connections to the store's database: their settings, and how long each may keep its caller waiting.

Every action goes through the store, the emergency rollback too. A server's own limits end what waits inside it; the
client's limit ends what a frozen server or network would keep waiting.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.store.base import StoreError

SQLITE_SECONDS = 10
"""How long SQLite waits for another writer."""

POOL_SECONDS = 10
TOKEN_SECONDS = 10.0


def open_engine(url: str) -> Engine:
    """An engine for `url`. SQLite: WAL, foreign keys, commits reach the disk. Nothing is connected to yet.

    Raises StoreError when the URL is not one, or names a driver that is not there.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as e:
        raise StoreError("CUTOVER_STORE_URL is not a database URL (for example sqlite:////path/cutover.db)") from e
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _server(parsed)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={SQLITE_SECONDS * 1000}",
            "journal_mode=WAL",
            "foreign_keys=ON",
            "synchronous=FULL",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _server(url: URL) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_size=5, pool_timeout=POOL_SECONDS)
    except (ArgumentError, ImportError) as e:
        raise StoreError(
            f"CUTOVER_STORE_URL begins with {url.drivername}://, for which there is no driver here: "
            "write postgresql+psycopg://... or sqlite:///..."
        ) from e
    # In this order: of the listeners to a connection's making, the one that makes it is the last that is called.
    if url.password is None and os.environ.get("DATABRICKS_CLIENT_ID"):
        _sign_in_with_token(engine)
    if engine.dialect.name == "postgresql" and engine.dialect.driver == "psycopg":
        # Imports psycopg, 0.05 s that a store in SQLite does without.
        from app.store.postgres import limit

        limit(engine)
    return engine


def _sign_in_with_token(engine: Engine) -> None:
    """Databricks' Postgres takes an OAuth token for a password, good for an hour: each connection gets a new one."""
    token = Within(_token_source(), TOKEN_SECONDS)

    @event.listens_for(engine, "do_connect")
    def _password(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        try:
            parameters["password"] = token()
        except Exception as e:
            cause = " ".join(f"{type(e).__name__}: {e}".split())[:300]
            raise StoreError(
                f"the workspace gives no token for the store's database ({cause}): look at DATABRICKS_HOST, "
                "DATABRICKS_CLIENT_ID and its secret, or put a password into CUTOVER_STORE_URL"
            ) from e


def _token_source() -> Callable[[], str]:
    config: Any = None

    def token() -> str:
        nonlocal config
        if config is None:
            from databricks.sdk.core import Config

            config = Config(http_timeout_seconds=TOKEN_SECONDS / 2, retry_timeout_seconds=int(TOKEN_SECONDS / 2))
        return str(config.oauth_token().access_token)

    return token


class Within:
    """Calls what has no time limit of its own. After `seconds` TimeoutError; the next call waits for the same one."""

    def __init__(self, call: Callable[[], str], seconds: float) -> None:
        self._call = call
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def __call__(self) -> str:
        """What the call gives. Raises what it raises, and TimeoutError."""
        with self._lock:
            running = self._running
            if running is None or not running.is_alive():
                running = self._running = _Running(self._call)
                running.start()
        running.join(self._seconds)
        if running.is_alive():
            raise TimeoutError(f"no answer for {self._seconds:g} s")
        if running.error is not None:
            raise running.error
        return running.result


class _Running(threading.Thread):
    def __init__(self, call: Callable[[], str]) -> None:
        super().__init__(name="token", daemon=True)
        self._call = call
        self.result = ""
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as e:  # noqa: BLE001 (raised again by who waits)
            self.error = e
