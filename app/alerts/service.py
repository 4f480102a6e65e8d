"""Fills the outbox with what happened, and sends what is due: in the worker, of which there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.alerts.base import NotTaken
from app.alerts.channels import Sender
from app.alerts.events import events
from app.config.migration import Migration
from app.store.alerts import Outgoing
from app.store.base import now as current_time

if TYPE_CHECKING:
    from app.store.open import Store

log = logging.getLogger("cutover.alerts")

LOOK_BACK = timedelta(days=7)
"""How far back each look reads: what happened while no worker ran is sent once one does."""

FIRST, LONGEST = timedelta(seconds=5), timedelta(hours=1)
"""Pause after the first failed try, doubled with each, and the longest one, also where a receiver asks for more."""

GIVEN_UP = timedelta(days=3)
"""Age from which an alert that no try delivered is given up."""

OPERATIONS = 200
"""Newest operations that are looked at."""


class Alerts:
    """Alerts of one migration over its channels (by key). clock: gives this moment; ended: whether to stop soon."""

    def __init__(
        self,
        store: Store,
        migration: Migration,
        senders: Mapping[str, Sender],
        clock: Callable[[], datetime] = current_time,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store, self._migration, self._senders = store, migration, senders
        self._clock, self._ended = clock, ended

    def gather(self) -> int:
        """Puts what happened since each channel began into its outbox; returns how much is new. Raises StoreError."""
        new = 0
        for channel in self._senders:
            since = max(self._store.alerts.begin(channel), self._clock() - LOOK_BACK)
            operations = self._store.operations.find(migration=self._migration.name, limit=OPERATIONS)
            found = events(self._store.incidents.since(since), operations, since)
            named = [(key, {**content, "migration": self._migration.name}) for key, content in found]
            new += self._store.alerts.put(channel, named)
        return new

    def deliver(self) -> int:
        """Sends what is due; returns how many alerts were taken. Raises StoreError.

        An alert is marked as taken once its receiver has answered: one whose answer was lost is sent again, with the
        same id.
        """
        taken = 0
        for channel, to in self._senders.items():
            for alert in self._store.alerts.due(channel, self._clock()):
                if self._ended():
                    return taken
                try:
                    doubt = to.send(alert.key, alert.content)
                except NotTaken as e:
                    self._failed(alert, e)
                    break  # Its receiver has trouble: the others of this channel wait for their turn.
                if doubt:
                    log.warning("alert %s over %s: %s", alert.key, alert.channel, doubt)
                self._store.alerts.taken(alert.id, doubt)
                taken += 1
        return taken

    def _failed(self, alert: Outgoing, problem: NotTaken) -> None:
        now = self._clock()
        pause = min(FIRST * 2 ** min(alert.tries, 20), LONGEST)
        if problem.retry_after is not None:
            pause = min(max(pause, timedelta(seconds=min(problem.retry_after, 86_400.0))), LONGEST)
        given_up = now - alert.created_at >= GIVEN_UP
        self._store.alerts.failed(alert.id, str(problem), None if given_up else now + pause)
        what = "given up" if given_up else f"next try in {pause.total_seconds():.0f} s"
        log.warning("alert %s over %s: %s; %s", alert.key, alert.channel, problem, what)
