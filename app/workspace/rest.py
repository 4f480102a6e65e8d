"""REST calls: reads are repeated a few times, honouring Retry-After; writes are sent once, the caller reads back."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock

from app.workspace.errors import WorkspaceError, from_rest

T = TypeVar("T")


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
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)


class Rest:
    """The SDK's client, with this project's errors and repetition. All methods raise WorkspaceError."""

    def __init__(
        self, client: WorkspaceClient, patience: Patience | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client = client
        self._patience = patience or Patience()
        self._sleep = sleep

    def read(self, what: str, call: Callable[[], T]) -> T:
        """The result of `call`, which changes nothing; repeated after throttling, unavailability or no answer."""
        attempt = 1
        while True:
            try:
                return call()
            except Exception as e:
                error = from_rest(what, e)
                pause = self._patience.pause(attempt, error)
                if pause is None:
                    raise error from e
                self._sleep(pause)
                attempt += 1

    def write(self, what: str, call: Callable[[], T]) -> T:
        """The result of `call`, sent once. An error with `uncertain` may have taken effect: the caller reads back."""
        try:
            return call()
        except Exception as e:
            raise from_rest(what, e) from e

    def get(self, what: str, path: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        """A raw GET, for what the SDK's typed calls drop."""
        answer = self.read(what, lambda: self.client.api_client.do("GET", path, query=query))
        return answer if isinstance(answer, dict) else {}

    def post(self, what: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A raw POST that changes something; sent once."""
        answer = self.write(what, lambda: self.client.api_client.do("POST", path, body=body))
        return answer if isinstance(answer, dict) else {}
