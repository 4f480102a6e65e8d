"""How this project connects to a workspace: its time limits, and what went wrong in words of its own."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

log = logging.getLogger("cutover.connection")

T = TypeVar("T")

# All in seconds. A workspace that cannot be reached is reported within 10 s: METADATA + CONNECT, or CONNECT + STATE.

METADATA_SECONDS = 1.5
"""What the SDK may spend on asking a host what it is; it does without the answer."""

CONNECT_SECONDS = 6.0
"""From the first request to its answer, name lookup and TLS included, while the workspace has not yet answered once."""

STATE_SECONDS = 1.5
"""Asking whether a SQL warehouse is starting, when it did not answer within CONNECT_SECONDS."""

CALL_SECONDS = 30.0
"""One REST call with its repetitions, for people who wait; by the background worker BACKGROUND_SECONDS."""

BACKGROUND_SECONDS = 60.0

ROLE_SECONDS = 9.0
"""All calls of one role lookup: it comes before each action."""

STATEMENT_SECONDS = 60.0
"""A statement that changes something, where neither its caller nor the settings say otherwise; then it is cancelled."""

START_SECONDS = 600.0
"""How long a SQL warehouse may take to start: a classic one takes several minutes."""

BUSY_SECONDS = 120.0
"""How long a SQL warehouse is tried that takes no connection (HTTP 429 or 5xx) and is not known to be starting."""

START_PAUSE = 3.0
"""Between two attempts while a SQL warehouse starts."""

SOCKET_SECONDS = 120.0
"""Between two bytes of the SQL connection; the service answers polls within a few seconds however long a query is."""

SQL_RETRIES = {
    # The connector waits at least `_retry_delay_max` after a 503, whatever the service says, so that is at its
    # smallest; and by itself it repeats for a quarter of an hour, which no page, worker or operator wants.
    "_retry_delay_min": 0.5,
    "_retry_delay_max": 5.0,
    "_retry_stop_after_attempts_count": 3,
    "_retry_stop_after_attempts_duration": 45.0,
    "_socket_timeout": SOCKET_SECONDS,
}
"""Options of the SQL connector for the requests of a session that is open."""

SQL_OPENING = {**SQL_RETRIES, "_retry_stop_after_attempts_count": 1, "_retry_stop_after_attempts_duration": 1.0}
"""The same while it is opened: `open_session` repeats, which can say so and be interrupted."""

_SLICE = 0.2
_STARTING = {"STARTING", "STOPPED", "STOPPING"}


class NoAnswer(TimeoutError):
    """No answer came within the time limit; the attempt was abandoned."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:.0f} s")


class Unavailable(ConnectionError):
    """The SQL warehouse answered and took no connection, for as long as it was tried."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took no connection within {seconds:.0f} s (HTTP 429 or 5xx)")


class GivenUp(Exception):
    """The caller no longer wants the connection that is being opened."""


class Attempt(Generic[T]):
    """One call in a thread of its own, so that the waiting thread can be interrupted, or can abandon the call.

    The main thread can be interrupted nowhere else: a name lookup returns to Python only once it has ended.
    """

    def __init__(self, call: Callable[[], T], late: Callable[[T], object] = lambda _: None) -> None:
        """late: what is done with a result that comes after it was abandoned."""
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._abandoned = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        context = copy_context()

        def run() -> None:
            try:
                found = context.run(call)
            except BaseException as e:  # noqa: BLE001 - raised again in the waiting thread
                self._error = e
            else:
                with self._lock:
                    self._result.append(found)
                    abandoned = self._abandoned
                if abandoned:
                    late(found)
            self._done.set()

        threading.Thread(target=run, name="attempt", daemon=True).start()

    def wait(self, seconds: float, stopped: Callable[[], bool] = lambda: False) -> T:
        """The call's result, or its error raised. Raises NoAnswer after `seconds`, GivenUp once `stopped`."""
        until = time.monotonic() + seconds
        while not self._done.wait(max(0.0, min(_SLICE, until - time.monotonic()))):
            if stopped():
                raise GivenUp("the connection is no longer wanted")
            if time.monotonic() >= until:
                raise NoAnswer(seconds)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def abandon(self) -> None:
        """Closes a late result: its caller waits no longer."""
        with self._lock:
            self._abandoned = True


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, at most `seconds` from now. Raises NoAnswer; the call itself is abandoned then."""
    attempt = Attempt(call)
    try:
        return attempt.wait(seconds)
    finally:
        attempt.abandon()


def open_session(
    connect: Callable[[], Any],
    state: Callable[[], str],
    *,
    name: str = "the SQL warehouse",
    stopped: Callable[[], bool] = lambda: False,
) -> Any:
    """A new SQL connection. While the warehouse starts it is waited for, START_SECONDS at most, and the log says so.

    connect: opens it once (with SQL_OPENING). state: the warehouse's state by REST, "" where that is unknown.
    Raises what `connect` raises, NoAnswer where nothing answers, Unavailable where it takes no connection in time,
    GivenUp once `stopped`.
    """
    start = time.monotonic()
    until = start + START_SECONDS
    said = False
    while True:
        attempt = Attempt(connect, late=lambda connection: connection.close())
        try:
            try:
                opened = attempt.wait(CONNECT_SECONDS, stopped)
            except NoAnswer:
                if state() not in _STARTING:
                    raise
                said = said or _say_starting(name)
                opened = attempt.wait(max(0.1, until - time.monotonic()), stopped)
            return _for_statements(opened)
        except Exception as e:
            attempt.abandon()
            if not busy(e):
                raise
            waited = time.monotonic() - start
            if waited >= BUSY_SECONDS and (waited >= START_SECONDS or state() not in _STARTING):
                raise Unavailable(waited) from e
        except BaseException:
            attempt.abandon()
            raise
        said = said or _say_starting(name)
        pause = time.monotonic() + START_PAUSE
        while time.monotonic() < pause:
            if stopped():
                raise GivenUp("the connection is no longer wanted")
            time.sleep(_SLICE)


def _say_starting(name: str) -> bool:
    minutes = START_SECONDS / 60
    log.warning("%s takes no connection yet, it may be starting: waiting for it, %.0f min at most", name, minutes)
    return True


def _for_statements(connection: Any) -> Any:
    """Gives the connector's retry policy the limits of an open session.

    The policy is one of urllib3 that the connector keeps for the session; it has no setting that changes them.
    """
    policy = getattr(getattr(getattr(connection, "session", None), "backend", None), "retry_policy", None)
    if policy is not None:
        policy.total = policy.stop_after_attempts_count = SQL_RETRIES["_retry_stop_after_attempts_count"]
        policy.stop_after_attempts_duration = SQL_RETRIES["_retry_stop_after_attempts_duration"]
    return connection


def busy(error: BaseException) -> bool:
    """Whether a SQL connection was refused for now (HTTP 429 or 5xx), as a warehouse that starts does.

    The connector then says only that it would have to wait; where the network failed, that error is behind it.
    """
    return any(
        _status(e) in (429, 503) or (type(e).__name__ == "MaxRetryDurationError" and e.__context__ is None)
        for e in chain(error)
    )


def _status(error: BaseException) -> object:
    context = getattr(error, "context", None)
    return context.get("http-code") if isinstance(context, dict) else None


def words(error: BaseException) -> str | None:
    """What keeps a host from answering, in a few words; None where the error is about something else."""
    found = list(chain(error))
    for e in found:
        if isinstance(e, (NoAnswer, Unavailable)):
            return str(e)
        if isinstance(e, socket.gaierror) or type(e).__name__ == "NameResolutionError":
            return f"unknown host name{_host(found)}"
        if isinstance(e, ssl.SSLCertVerificationError):
            return f"TLS failed: the certificate is not trusted ({e.verify_message or e.reason or 'unknown reason'})"
        if isinstance(e, ssl.SSLError):
            return f"TLS failed: {(e.reason or str(e)).replace('_', ' ').lower()}"
        if isinstance(e, ConnectionRefusedError):
            return f"connection refused{_host(found)}"
    for e in found:
        if isinstance(e, TimeoutError) or type(e).__name__ in _TIMEOUTS:
            return "no answer in time"
        if isinstance(e, (ConnectionResetError, BrokenPipeError)):
            return "the connection was closed without an answer"
    return None


_TIMEOUTS = {"Timeout", "ConnectTimeout", "ReadTimeout", "ConnectTimeoutError", "ReadTimeoutError"}
"""Of the HTTP libraries below both clients, by name: this module needs neither."""


def _host(found: list[BaseException]) -> str:
    for e in found:
        place = getattr(e, "conn", None) or getattr(e, "pool", None)
        if (host := getattr(place, "host", None)) is not None:
            return f": {host}"
    return ""


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps, the outermost first: clients put errors into arguments and contexts too."""
    queue, seen = [error], set[int]()
    while queue:
        e = queue.pop(0)
        if id(e) in seen or len(seen) > 50:
            continue
        seen.add(id(e))
        yield e
        context = getattr(e, "context", None)
        inner = (
            getattr(e, "reason", None),
            getattr(e, "original_error", None),
            context.get("original-exception") if isinstance(context, dict) else None,
            *e.args,
            e.__cause__,
            e.__context__,
        )
        queue.extend(i for i in inner if isinstance(i, BaseException))
