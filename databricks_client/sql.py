"""Statements on the SQL warehouse: values bound, connections reused, running statements cancellable."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from databricks.sql import exc

from databricks_client.connection import GivenUp
from databricks_client.errors import WorkspaceError, from_sql
from databricks_client.running import RUNNING, tagged

Row = dict[str, Any]
Parameters = Mapping[str, Any] | Sequence[Any] | None

# A warehouse forgets sessions that idle; a connection that lay longer than this is opened anew.
IDLE_SECONDS = 300.0

CANCEL_AGAIN_SECONDS = 0.3

# No page and no collection needs an answer that takes longer; comparisons have connections of their own.
QUERY_SECONDS = 300.0

CONNECTION_OPTIONS: Mapping[str, Any] = {
    "_use_arrow_native_complex_types": True,
    "session_configuration": {"TIMEZONE": "UTC"},
}


class Cancel:
    """Cancels from another thread what runs under it; once set, what starts under it fails at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._running: dict[int, Any] = {}

    @property
    def is_set(self) -> bool:
        """It was cancelled."""
        return self._set

    def set(self) -> None:
        """Cancel now: running statements are cancelled on the warehouse."""
        with self._lock:
            if self._set:
                return
            self._set = True
        threading.Thread(target=self._until_ended, name="cancel", daemon=True).start()

    def _until_ended(self) -> None:
        """Asks again until the statements have ended: before the service has answered a statement's request the
        connector knows no command that it could cancel."""
        while True:
            with self._lock:
                running = list(self._running.values())
            if not running:
                return
            for cursor in running:
                # The statement may have ended meanwhile; then there is nothing to cancel.
                with contextlib.suppress(exc.Error):
                    cursor.cancel()
            time.sleep(CANCEL_AGAIN_SECONDS)

    @contextlib.contextmanager
    def watch(self, cursor: Any) -> Iterator[None]:
        """Puts a cursor under this while its statement runs."""
        with self._lock:
            if not self._set:
                self._running[id(cursor)] = cursor
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(id(cursor), None)


class Sql:
    """A small pool of connections; each statement has one to itself, so threads never share a connection."""

    def __init__(self, connect: Callable[..., Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Any]] = []
        self._closed = False

    def query(
        self,
        text: str,
        parameters: Parameters = None,
        *,
        what: str = "query",
        cancel: Cancel | None = None,
        limit: float = QUERY_SECONDS,
    ) -> list[Row]:
        """Rows of a statement that changes nothing, as dicts; repeated once on a fresh connection after no answer.

        parameters: values for `:name` or `?` markers. limit: seconds after which the statement is cancelled on the
        warehouse and fails. Raises WorkspaceError.
        """
        under = cancel or Cancel()
        too_long = threading.Event()

        def give_up() -> None:
            too_long.set()
            under.set()

        timer = threading.Timer(limit, give_up)
        timer.daemon = True
        timer.start()
        try:
            try:
                return self._execute(text, parameters, what, under, rows=True)
            except WorkspaceError as e:
                if not e.uncertain or under.is_set:
                    raise
            self._forget()
            return self._execute(text, parameters, what, under, rows=True)
        except WorkspaceError as e:
            if too_long.is_set():
                raise WorkspaceError(
                    what, f"no result within {limit:.0f} s; it was cancelled", "see what keeps the SQL warehouse busy",
                    retryable=True,
                ) from e  # fmt: skip
            raise
        finally:
            timer.cancel()

    def run(self, text: str, *, what: str, cancel: Cancel | None = None) -> None:
        """A statement that changes something; sent once. Raises WorkspaceError (`uncertain`: read back)."""
        self._execute(text, None, what, cancel, rows=False)

    def close(self) -> None:
        """Closes all connections that are not in use; those in use close when their statement ends."""
        with self._lock:
            self._closed = True
        self._forget()

    def _execute(self, text: str, parameters: Parameters, what: str, cancel: Cancel | None, rows: bool) -> list[Row]:
        if cancel is not None and cancel.is_set:
            raise WorkspaceError(what, "cancelled before it began", error_code="OPERATION_CANCELED")
        connection = self._take(what, cancel)
        usable = False
        try:
            cursor = connection.cursor()
            try:
                watched = cancel.watch(cursor) if cancel is not None else contextlib.nullcontext()
                with RUNNING.watch(cursor.cancel), watched:
                    if cancel is not None and cancel.is_set:
                        raise WorkspaceError(what, "cancelled before it began", error_code="OPERATION_CANCELED")
                    sent = tagged(text)
                    cursor.execute(sent, parameters) if parameters else cursor.execute(sent)
                    found = [row.asDict() for row in cursor.fetchall()] if rows and cursor.description else []
                usable = True
                return found
            except WorkspaceError:
                usable = True
                raise
            except Exception as e:
                if RUNNING.ending or (cancel is not None and cancel.is_set):
                    raise WorkspaceError(what, "cancelled", error_code="OPERATION_CANCELED") from e
                error = from_sql(what, e)
                usable = not error.uncertain
                raise error from e
            finally:
                # A cursor whose statement failed may fail to close too; the failure that counts is already on its way.
                with contextlib.suppress(Exception):
                    cursor.close()
        finally:
            self._give_back(connection, usable)

    def _take(self, what: str, cancel: Cancel | None) -> Any:
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, connection = self._idle.pop()
            if self._clock() - since < IDLE_SECONDS:
                return connection
            _close(connection)
        try:
            stopped = (lambda: cancel.is_set) if cancel is not None else (lambda: False)
            return _send_once(self._connect(stopped=stopped, **CONNECTION_OPTIONS))
        except GivenUp as e:
            raise WorkspaceError(what, "cancelled before it began", error_code="OPERATION_CANCELED") from e
        except Exception as e:
            error = from_sql(what, e)
            # Nothing was sent yet, so nothing can have taken effect.
            error.uncertain = False
            error.retryable = True
            raise error from e

    def _give_back(self, connection: Any, usable: bool) -> None:
        with self._lock:
            keep = usable and not self._closed
            if keep:
                self._idle.append((self._clock(), connection))
        if not keep:
            _close(connection)

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _close(connection)


def _send_once(connection: Any) -> Any:
    """Stops the connector from sending a statement again after a lost answer: it may have taken effect.

    The connector repeats any request whose answer was lost, DDL too, and has no setting for it; its retry policy is one
    of urllib3, where `read` counts the repeats after a request was sent. Refused connections, 429 and 503 still repeat.
    """
    policy = getattr(getattr(getattr(connection, "session", None), "backend", None), "retry_policy", None)
    if policy is not None:
        policy.read = 0
    return connection


def utc(value: datetime) -> datetime:
    """A timestamp of the warehouse in UTC; sessions here are in UTC, so one without a zone is."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _close(connection: Any) -> None:
    # The session is given up: if the service no longer knows it, that is as good as closed.
    with contextlib.suppress(Exception):
        connection.close()
