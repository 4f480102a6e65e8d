"""The last check before a request that changes something: right before its bytes are sent.

Signing in, the name lookup and the connection come before that and may take any time; a process may be stopped there
and woken much later. What a caller checked before them says nothing any more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Check = Callable[[], None]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_CHECKS: ContextVar[tuple[Check, ...]] = ContextVar("checks", default=())
_GIVEN_UP: ContextVar[Callable[[], bool]] = ContextVar("given_up", default=lambda: False)
_CHANGING: ContextVar[bool] = ContextVar("changing", default=False)


class NotSent(Exception):
    """The request was not sent, since it may not be any more: nothing can have taken effect."""


@contextlib.contextmanager
def fenced(check: Check, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Effects within the block are sent only where `check` raises nothing right before it. Raises what `check` raises.

    given_up: whether the caller no longer wants an effect that is under way; it is asked often and must not block.
    Threads need a copy of the context.
    """
    checks, ends = _CHECKS.set((*_CHECKS.get(), check)), _GIVEN_UP.set(given_up)
    try:
        yield
    finally:
        _CHECKS.reset(checks)
        _GIVEN_UP.reset(ends)


@contextlib.contextmanager
def unfenced() -> Iterator[None]:
    """For what only ends other effects: a cancellation is sent whatever holds for effects."""
    checks, ends = _CHECKS.set(()), _GIVEN_UP.set(lambda: False)
    try:
        yield
    finally:
        _CHECKS.reset(checks)
        _GIVEN_UP.reset(ends)


@contextlib.contextmanager
def sent_before(until: float) -> Iterator[None]:
    """Effects within the block are sent before the moment `until` of `time.monotonic`, or not at all."""

    def check() -> None:
        if time.monotonic() >= until:
            raise NotSent("the request was not sent: its time was over before the connection was there")

    added = _CHECKS.set((*_CHECKS.get(), check))
    try:
        yield
    finally:
        _CHECKS.reset(added)


def check_fence() -> None:
    """Raises what a check of this context raises."""
    for check in _CHECKS.get():
        check()


def given_up() -> bool:
    """Whether the caller no longer wants the effect that is under way."""
    return _GIVEN_UP.get()()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        if _CHANGING.get():
            check_fence()


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        if _CHANGING.get():
            check_fence()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class FencedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests of `requests`; those that change something are checked once the connection is there."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._fence(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        self._fence(manager)
        return manager

    @staticmethod
    def _fence(manager: Any) -> None:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As of HTTPAdapter. Raises what a check raises: then nothing was sent."""
        if request.method in _READING:
            return super().send(request, *args, **kwargs)
        check_fence()  # A kept connection is not connected again.
        changing = _CHANGING.set(True)
        try:
            return super().send(request, *args, **kwargs)
        finally:
            _CHANGING.reset(changing)


def fence(session: requests.Session) -> None:
    """Gives a session of `requests` the check, with as many connections as it had."""
    old = session.get_adapter("https://")
    size = getattr(old, "_pool_maxsize", 20)
    adapter = FencedAdapter(pool_connections=getattr(old, "_pool_connections", 20), pool_maxsize=size, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
