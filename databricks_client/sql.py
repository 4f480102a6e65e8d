"""Statements on the SQL warehouse: executes and cancels one, and keeps a pool of connections."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databricks_client.connection import GivenUp
from databricks_client.errors import WorkspaceError, from_sql
from databricks_client.running import RUNNING, tagged

Row = dict[str, Any]
Parameters = Mapping[str, Any] | Sequence[Any] | None

# A warehouse forgets sessions that idle; a connection that lay longer than this is opened anew.
IDLE_SECONDS = 300.0

POLL_SECONDS = 0.2
"""Between two looks whether to cancel, and between two cancel requests for a statement that has not ended."""

# No page and no collection needs an answer that takes longer; comparisons have connections of their own.
QUERY_SECONDS = 300.0

CONNECTION_OPTIONS: Mapping[str, Any] = {
    "_use_arrow_native_complex_types": True,
    "session_configuration": {"TIMEZONE": "UTC"},
}
"""Of every session: some casts and differences of times depend on its time zone."""


def never() -> bool:
    """The cancel flag of a caller who does not cancel."""
    return False


@dataclass(frozen=True)
class Outcome:
    """How a statement ended. error: what the connector raised. cancelled: the caller requested its cancellation.

    A cancelled statement may have succeeded before the request reached the warehouse: then there is no error.
    """

    rows: list[Row]
    error: Exception | None = None
    cancelled: bool = False


def execute(
    connection: Any,
    text: str,
    parameters: Parameters = None,
    *,
    cancelled: Callable[[], bool] = never,
) -> Outcome:
    """Executes one statement, tagged with its owner, in a thread of its own: so it can be cancelled meanwhile.

    cancelled: called every POLL_SECONDS; once true, the statement is cancelled on the warehouse. What `cancelled`
    raises, and an interrupt of the waiting thread, cancel the statement too and are raised once it has ended. Raises
    what the connector raises where it gives no cursor.
    """
    cursor = connection.cursor()
    sent = tagged(text)
    found: list[Row] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            with RUNNING.watch(cursor.cancel):
                cursor.execute(sent, parameters or None)
                if cursor.description:
                    found.extend(row.asDict() for row in cursor.fetchall())
        except BaseException as e:  # noqa: BLE001 - handed to the waiting caller, below
            raised.append(e)

    thread = threading.Thread(target=run, name="warehouse-statement", daemon=True)
    thread.start()
    stopped = False
    interrupt: BaseException | None = None
    while thread.is_alive():
        try:
            thread.join(POLL_SECONDS)
            if not stopped and interrupt is None and thread.is_alive():
                stopped = cancelled()
        except BaseException as e:  # Raised below, once nothing runs on the warehouse.
            if stopped or interrupt is not None:
                raise  # The second request to end: the service does not answer.
            interrupt = e
        if (stopped or interrupt is not None) and thread.is_alive():
            # Repeated until it ends: before the service has answered there is no command to cancel.
            _quietly(cursor.cancel)
    # A cursor whose statement failed may fail to close too; what was read stays good.
    _quietly(cursor.close)
    if interrupt is not None:
        raise interrupt
    error = raised[0] if raised else None
    if error is not None and not isinstance(error, Exception):
        raise error
    return Outcome(found, error, stopped)


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
        cancelled: Callable[[], bool] = never,
        limit: float = QUERY_SECONDS,
    ) -> list[Row]:
        """Rows of a statement that changes nothing, as dicts; repeated once on a fresh connection after no answer.

        parameters: values for `:name` or `?` markers. cancelled: as of `execute`. limit: seconds after which the
        statement is cancelled on the warehouse and fails. Raises WorkspaceError.
        """
        until = time.monotonic() + limit

        def given_up() -> bool:
            return time.monotonic() >= until or cancelled()

        try:
            try:
                return self._execute(text, parameters, what, given_up)
            except WorkspaceError as e:
                if not e.uncertain or given_up():
                    raise
            self._forget()
            return self._execute(text, parameters, what, given_up)
        except WorkspaceError as e:
            if time.monotonic() >= until:
                raise WorkspaceError(
                    what, f"no result within {limit:.0f} s; it was cancelled", "see what keeps the SQL warehouse busy",
                    retryable=True,
                ) from e  # fmt: skip
            raise

    def close(self) -> None:
        """Closes all connections that are not in use; those in use close when their statement ends."""
        with self._lock:
            self._closed = True
        self._forget()

    def _execute(self, text: str, parameters: Parameters, what: str, cancelled: Callable[[], bool]) -> list[Row]:
        from databricks.sql.exc import Error

        if cancelled():
            raise _not_started(what)
        connection = self._take(what, cancelled)
        usable = False
        try:
            if cancelled():
                usable = True
                raise _not_started(what)
            try:
                outcome = execute(connection, text, parameters, cancelled=cancelled)
            except Error as e:
                raise from_sql(what, e) from e
            if outcome.error is None:
                usable = True
                return outcome.rows
            if RUNNING.ending or outcome.cancelled:
                raise WorkspaceError(what, "cancelled", error_code="OPERATION_CANCELED") from outcome.error
            error = from_sql(what, outcome.error)
            usable = not error.uncertain
            raise error from outcome.error
        finally:
            self._give_back(connection, usable)

    def _take(self, what: str, cancelled: Callable[[], bool]) -> Any:
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, connection = self._idle.pop()
            if self._clock() - since < IDLE_SECONDS:
                return connection
            close(connection)
        try:
            return _send_once(self._connect(stopped=cancelled, **CONNECTION_OPTIONS))
        except GivenUp as e:
            raise _not_started(what) from e
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
            close(connection)

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            close(connection)


def _send_once(connection: Any) -> Any:
    """Stops the connector from sending a statement again after a lost answer: it may have taken effect.

    The connector repeats any request whose answer was lost, DDL too, and has no setting for it; its retry policy is one
    of urllib3, where `read` counts the repeats after a request was sent. Refused connections, 429 and 503 still repeat.
    """
    policy = getattr(getattr(getattr(connection, "session", None), "backend", None), "retry_policy", None)
    if policy is not None:
        policy.read = 0
    return connection


def close(connection: Any) -> None:
    """Closes a connection; a session that the service no longer knows counts as closed."""
    _quietly(connection.close)


def _not_started(what: str) -> WorkspaceError:
    return WorkspaceError(what, "cancelled before it began", error_code="OPERATION_CANCELED")


def _quietly(end: Callable[[], object]) -> None:
    """Ends what the service may have ended already, or may no longer answer for."""
    with contextlib.suppress(Exception):
        end()
