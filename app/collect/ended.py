"""When what is read by SQL has news: once a run or update has ended, and a few times soon after.

A statement starts a stopped warehouse and keeps it from stopping. Bills and the timeline of updates change only by what
ran; they come late, so one look at the end would miss them until the next hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from app.store.collected.repository import CollectedRepository

LOOK_SECONDS = 15.0
"""How often the store is looked at, which a worker's every turn would do twice a second."""
AGAIN = timedelta(minutes=5)
TIMES = 3
"""So many times it is read again after an end, AGAIN apart."""

Mark = tuple[datetime | None, int]


class Ended:
    """Gives a mark that changes when there may be news."""

    def __init__(
        self,
        store: CollectedRepository,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._clock, self._ticks = store, clock, ticks
        self._mark: Mark = (None, 0)
        self._looked: float | None = None

    def __call__(self) -> Mark:
        """The mark now, at most LOOK_SECONDS old. Raises StoreError."""
        if self._looked is None or self._ticks() - self._looked >= LOOK_SECONDS:
            newest = self._store.newest_end()
            again = 0 if newest is None else min(TIMES, max(0, (self._clock() - newest) // AGAIN))
            self._mark, self._looked = (newest, again), self._ticks()
        return self._mark
