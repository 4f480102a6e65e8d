"""Runs each source at its interval, concurrently: a failing source backs off and delays no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from app.collect.context import Stopping
from app.collect.sources import Source
from app.store.base import StoreError, now
from app.store.collected.repository import CollectedRepository
from databricks_client.errors import WorkspaceError, one_line

log = logging.getLogger(__name__)

FIRST_PAUSE = 15.0
LONGEST_PAUSE = 60.0
# A service that throttles or fails gets longer pauses.
LONGEST_BURDENED = 600.0
LONGEST_RETRY_AFTER = 900.0
"""Limit of an honoured Retry-After, in seconds: a service, or a proxy before it, may send hours by mistake."""


def pause_after(interval: float, failures: int, retry_after: float | None = None, burdened: bool = False) -> float:
    """Seconds until the next turn: the interval; after failures a pause that doubles with each in a row.

    It stays short, because a missing object or service may appear any time, unless the service is `burdened`. It is
    never shorter than the service's Retry-After, up to LONGEST_RETRY_AFTER.
    """
    if not failures:
        return interval
    longest = LONGEST_BURDENED if burdened else LONGEST_PAUSE
    pause = min(longest, min(interval, FIRST_PAUSE) * 2.0 ** min(failures, 20))
    return max(pause, min(retry_after or 0.0, LONGEST_RETRY_AFTER))


class Collector:
    """Runs sources in threads, at most one thread for each source.

    There is no limit across sources: a warehouse that hangs must not delay what is read over REST.
    The worker calls `tick` repeatedly; it starts the due sources and never waits for one.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        collected: CollectedRepository,
        clock: Callable[[], datetime] = now,
        stop: threading.Event | None = None,
        awaited: Callable[[], bool] = lambda: False,
    ) -> None:
        """awaited: whether the workspace is still being prepared; failures meanwhile are stored but not logged."""
        self._sources = list(sources)
        self._store = collected
        self._clock = clock
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._due: dict[str, datetime] = {}
        self._running: dict[str, threading.Thread] = {}
        self._waiting_for: dict[int, set[str]] = {}
        self._seen_request = 0
        self._awaited = awaited
        self._logged: dict[str, str] = {}
        self._marks: dict[str, object] = {}
        self._failing: set[str] = set()

    def tick(self) -> None:
        """Starts the due sources. News makes a source due, unless it waits after a failure.

        A refresh request makes all due, and is served once every quick source has had a turn that started after it.
        """
        self._take_requests()
        at = self._clock()
        for source in self._sources:
            mark = source.news() if source.news is not None else None
            with self._lock:
                idle = source.name not in self._running
                due = self._due.get(source.name)
                news = mark != self._marks.get(source.name) and source.name not in self._failing
                if not idle or (due is not None and due > at and not news):
                    continue
                self._marks[source.name] = mark
                served = [n for n, left in self._waiting_for.items() if source.name in left]
                thread = threading.Thread(
                    target=self._turn, args=(source, served), name=f"collect {source.name}", daemon=True
                )
                self._running[source.name] = thread
            thread.start()

    def collect_now(self) -> None:
        """Makes every source due."""
        with self._lock:
            self._due.clear()

    def idle(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds until no source runs; returns whether none does."""
        with self._lock:
            threads = list(self._running.values())
        share = timeout / max(1, len(threads))
        for thread in threads:
            thread.join(share)
        return not any(t.is_alive() for t in threads)

    def once(self) -> dict[str, str]:
        """Runs one turn of every source, one after the other; returns the error of each failed source."""
        failed = {}
        for source in self._sources:
            error = self._read(source)
            if error is not None:
                failed[source.name] = error
        return failed

    def _take_requests(self) -> None:
        number = self._store.pending_refresh()
        with self._lock:
            if number is None or number <= self._seen_request:
                return
            self._seen_request = number
            self._waiting_for[number] = {s.name for s in self._sources if s.quick}
            self._due.clear()

    def _turn(self, source: Source, served: list[int]) -> None:
        try:
            self._read(source)
        finally:
            self._end_turn(source, served)

    def _end_turn(self, source: Source, served: list[int]) -> None:
        finished: list[int] = []
        with self._lock:
            self._running.pop(source.name, None)
            for number in served:
                left = self._waiting_for.get(number, set())
                left.discard(source.name)
                if not left and number in self._waiting_for:
                    del self._waiting_for[number]
                    finished.append(number)
            # A request that arrived during this turn needs another turn.
            if any(source.name in left for left in self._waiting_for.values()):
                self._due.pop(source.name, None)
        for number in finished:
            try:
                self._store.finish_refresh(number)
            except StoreError as e:
                log.error("%s", e)

    def _read(self, source: Source) -> str | None:
        """Runs one turn and records its outcome; returns the error of a failed one."""
        started = self._clock()
        try:
            backlog = source.read()
            self._store.source_succeeded(source.name, started, source.interval, backlog)
        except Stopping:
            return "stopped"
        except WorkspaceError as e:
            burdened = e.status is not None and (e.status == 429 or e.status >= 500)
            return self._failed(source, started, str(e), e.retry_after, burdened)
        except StoreError as e:
            return self._failed(source, started, str(e))
        except Exception as e:
            log.exception("source %s", source.name)
            return self._failed(source, started, one_line(f"{type(e).__name__}: {e}"))
        self._failing.discard(source.name)
        if self._logged.pop(source.name, None) is not None:
            log.info("source %s: recovered", source.name)
        with self._lock:
            # Older history is not read yet: the next part soon, not after the whole interval.
            self._due[source.name] = _later(self._clock(), 1.0 if backlog else source.interval)
        return None

    def _failed(
        self,
        source: Source,
        started: datetime,
        error: str,
        retry_after: float | None = None,
        burdened: bool = False,
    ) -> str:
        def next_attempt(failures: int) -> datetime:
            return _later(self._clock(), pause_after(source.interval, failures, retry_after, burdened))

        failures = 1
        self._failing.add(source.name)
        try:
            failures = self._store.source_failed(source.name, started, source.interval, error, next_attempt)
        except StoreError as e:
            log.error("%s", e)
        if self._logged.get(source.name) != error and not self._awaited():
            self._logged[source.name] = error
            log.warning("source %s: %s", source.name, error)
        with self._lock:
            self._due[source.name] = next_attempt(failures)
        return error


def _later(start: datetime, seconds: float) -> datetime:
    return start + timedelta(seconds=seconds)
