"""Statements that this process runs on SQL warehouses: tagged with their owner, cancelled all at once when it ends."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from databricks_client.connection import within

CANCEL_AGAIN_SECONDS = 0.3

_WORK: ContextVar[str] = ContextVar("work", default="")
_STATEMENT: ContextVar[str] = ContextVar("statement", default="")
_UNSAFE = re.compile(r"[^\w.:-]")
_TAG = re.compile(
    r"/\* cutover process=([\w.:-]+)(?: (comparison|operation)=([\w.:-]+))?"
    r"(?: statement=([\w.:-]+))? \*/"
)


@dataclass(frozen=True)
class Tag:
    """Who sent a statement. process: `host:pid:random`. kind: `comparison`, `operation` or "", and its id.

    statement: what the journal calls it, `LEASE_TOKEN.RANDOM`; empty for what changes nothing.
    """

    process: str
    kind: str = ""
    id: str = ""
    statement: str = ""

    @property
    def token(self) -> int | None:
        """The fencing token of the lease that it was sent under; None where it has none."""
        number = self.statement.split(".", 1)[0]
        return int(number) if number.isdigit() else None

    def same_process(self, owner: str) -> bool:
        """Whether `owner`, which begins with `host:pid` too, is that process."""
        return self.process.rsplit(":", 1)[0] == _UNSAFE.sub("_", owner).rsplit(":", 1)[0]

    @property
    def gone(self) -> bool:
        """Whether the process is known to have ended: one of this machine whose id no process has now."""
        host, _, pid = self.process.rsplit(":", 1)[0].rpartition(":")
        if host != _host() or not pid.isdigit():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def _host() -> str:
    return _UNSAFE.sub("_", socket.gethostname())


_RANDOM = uuid.uuid4().hex[:8]


def process() -> str:
    """This process as it stands in its statements."""
    return f"{_host()}:{os.getpid()}:{_RANDOM}"


@contextlib.contextmanager
def working_on(kind: str, identifier: str) -> Iterator[None]:
    """Statements within the block are sent for this comparison or operation. Threads need a copy of the context."""
    before = _WORK.set(f" {kind}={_UNSAFE.sub('_', identifier)}")
    try:
        yield
    finally:
        _WORK.reset(before)


@contextlib.contextmanager
def sending(statement: str) -> Iterator[None]:
    """Statements within the block carry this name, so that the query history says which of them has come."""
    before = _STATEMENT.set(f" statement={_UNSAFE.sub('_', statement)}")
    try:
        yield
    finally:
        _STATEMENT.reset(before)


def new_statement(token: int) -> str:
    """A name for one statement that is sent under the lease with this fencing token."""
    return f"{token}.{uuid.uuid4().hex[:12]}"


def tagged(sql: str) -> str:
    """The statement with its owner in a leading comment, which the query history keeps as part of the text."""
    return f"/* cutover process={process()}{_WORK.get()}{_STATEMENT.get()} */ {sql}"


def tag_of(sql: str) -> Tag | None:
    """Who sent a statement; None for one that is not this project's."""
    found = _TAG.match(sql)
    return None if found is None else Tag(found[1], found[2] or "", found[3] or "", found[4] or "")


class Running:
    """What runs on warehouses now. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._cancels: dict[int, Callable[[], object]] = {}
        self._ending = False

    @property
    def ending(self) -> bool:
        """Whether all was cancelled because this process ends: nothing new should start."""
        return self._ending

    @contextlib.contextmanager
    def watch(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Keeps a statement's cancel call while the block executes it; calls it where the block is interrupted."""
        key = id(cancel)
        with self._lock:
            self._cancels[key] = cancel
        try:
            yield
        except Exception:
            raise
        except BaseException:
            # The waiting thread was interrupted; the statement was not.
            with contextlib.suppress(Exception):
                within(1.0, cancel)
            raise
        finally:
            with self._lock:
                self._cancels.pop(key, None)
                self._lock.notify_all()

    def cancel_all(self, seconds: float) -> bool:
        """Cancels all that runs and waits for its end, `seconds` at most. Whether nothing runs any more.

        Repeated until each has ended: before the service has answered the request there is no command to cancel.
        """
        self._ending = True
        until = time.monotonic() + seconds
        calls: dict[int, threading.Thread] = {}
        while True:
            with self._lock:
                if not self._cancels:
                    return True
                left = until - time.monotonic()
                if left <= 0:
                    return False
                waiting = dict(self._cancels)
            for key, cancel in waiting.items():
                if key not in calls or not calls[key].is_alive():
                    calls[key] = threading.Thread(target=_quietly, args=(cancel,), name="cancel", daemon=True)
                    calls[key].start()
            with self._lock:
                self._lock.wait_for(lambda: not self._cancels, min(CANCEL_AGAIN_SECONDS, left))


def _quietly(cancel: Callable[[], object]) -> None:
    # It may have ended meanwhile, or the service may be away: the next attempt or the deadline decides.
    with contextlib.suppress(Exception):
        cancel()


RUNNING = Running()
"""Of this process."""
