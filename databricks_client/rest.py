"""REST calls: reads are repeated a few times, honouring Retry-After; writes are sent once, the caller reads back."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock
from databricks.sdk.errors.base import DatabricksError

from databricks_client.answers import Answer, parse
from databricks_client.connection import CALL_SECONDS, CONNECT_SECONDS, within
from databricks_client.errors import WorkspaceError, from_rest
from databricks_client.fencing import NotSent, fence, sent_before

T = TypeVar("T")

JITTER = random.Random()  # noqa: S311 (no secret)
"""A generator of its own: a seed that another sets for the process's must not make clients retry in step."""

_UNTIL: ContextVar[float] = ContextVar("until", default=float("inf"))
"""The moment at which calls are given up, whatever their own limit is."""


class NoRepeat(Clock):
    """A clock that makes the SDK give its errors at once.

    The SDK repeats any call, writes too, after a lost connection; here `Rest` decides what may be repeated. The SDK
    sleeps only between two attempts, inside the handler of the error, so raising that error there ends its loop.
    """

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        error = sys.exception()
        if error is None:
            time.sleep(seconds)
            return
        raise error


@dataclass(frozen=True)
class Patience:
    """How reads are repeated: at most `attempts` in all, pauses doubling from `first` seconds, none above `longest`.

    A Retry-After of the service replaces the pause; one longer than `longest` is not waited for.
    """

    attempts: int = 4
    first: float = 0.5
    longest: float = 20.0

    def pause(self, attempt: int, error: WorkspaceError) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1), or None to give up."""
        if not error.retryable or attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest else None
        pause = min(self.longest, self.first * 2.0 ** (attempt - 1))
        return pause * JITTER.uniform(0.75, 1.25)


class Rest:
    """The SDK's client, with this project's errors and repetition. All methods raise WorkspaceError."""

    def __init__(
        self,
        client: WorkspaceClient,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """call_seconds: how long one call may take with its repetitions; the first, CONNECT_SECONDS at most."""
        self.client = client
        self._patience = patience or Patience()
        self._sleep = sleep
        self._call_seconds = call_seconds
        self._answered = False
        session = getattr(getattr(client.api_client, "_api_client", None), "_session", None)
        if session is not None:  # A double of the client in tests sends nothing.
            fence(session)

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """All calls of this thread within the block together may take `seconds` at most."""
        before = _UNTIL.set(min(_UNTIL.get(), time.monotonic() + seconds))
        try:
            yield
        finally:
            _UNTIL.reset(before)

    def _until(self, start: float) -> float:
        """The moment at which a call that was made at `start` is given up."""
        limit = self._call_seconds if self._answered else min(CONNECT_SECONDS, self._call_seconds)
        return min(_UNTIL.get(), start + limit)

    def _once(self, call: Callable[[], T], start: float) -> T:
        try:
            found = within(max(0.1, self._until(start) - time.monotonic()), call)
        except (DatabricksError, WorkspaceError):  # The latter from what could not be read of an answer.
            self._answered = True
            raise
        self._answered = True
        return found

    def read(self, what: str, call: Callable[[], T]) -> T:
        """The result of `call`, which changes nothing; repeated after throttling, unavailability or no answer."""
        attempt, start = 1, time.monotonic()
        while True:
            try:
                return self._once(call, start)
            except Exception as e:
                error = from_rest(what, e)
                pause = self._patience.pause(attempt, error)
                # A host that has never answered is not tried again: its address or the way to it is wrong.
                if pause is None or not self._answered or time.monotonic() + pause >= self._until(start):
                    raise error from e
                self._sleep(pause)
                attempt += 1

    def write(self, what: str, call: Callable[[], T]) -> T:
        """The result of `call`, sent once. An error with `uncertain` may have taken effect: the caller reads back.

        A call that is given up before it was sent is not sent later. Raises what a fence raises (see `fencing`).
        """
        start = time.monotonic()
        try:
            with sent_before(self._until(start)):
                return self._once(call, start)
        except NotSent:
            raise
        except Exception as e:
            raise from_rest(what, e) from e

    def get(self, what: str, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """The object that a GET answers; an answer that is none is an error, repeated only where it may be a slip."""

        def call() -> Answer:
            # Raw: the SDK's own reading makes an empty answer and `null` an object without fields.
            answer = self.client.api_client.do("GET", path, query=dict(query or {}), headers=self._headers(), raw=True)
            with contextlib.closing(answer["contents"]) as contents:
                return parse(what, contents.read())

        return self.read(what, call)

    def pages(self, what: str, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Answer]:
        """Every page of a list, each fetched when it is needed; at least one.

        A page token that comes a second time is an error: the list would never end.
        """
        parameters = dict(query or {})
        seen: set[str] = set()
        while True:
            page = self.get(what, path, parameters)
            yield page
            token = next_page_token(page)
            if token is None:
                return
            if token in seen:
                page.fail("next_page_token", "is one that came before, so the list would never end")
            seen.add(token)
            parameters["page_token"] = token

    def send(self, what: str, method: str, path: str, body: dict[str, Any]) -> Answer:
        """A call that changes something; sent once. Errors in reading its answer are `uncertain`."""
        answer = self.write(what, lambda: self.client.api_client.do(method, path, body=body))
        return Answer(answer, what, written=True)

    def _headers(self) -> dict[str, str]:
        # As the SDK's typed calls do: a host that serves several workspaces needs to know which.
        workspace_id = self.client.config.workspace_id
        return {"Accept": "application/json"} | ({"X-Databricks-Workspace-Id": workspace_id} if workspace_id else {})


def next_page_token(page: Answer) -> str | None:
    """The token of the next page, None on the last one."""
    return page.text_or_none("next_page_token") or None
