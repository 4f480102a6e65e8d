"""The evidence that all sessions share: read again before it is too old while somebody looks, so that no page waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.progress.entries import entries
from app.progress.facts import Facts
from app.progress.headline import answer
from app.progress.phases import metrics
from app.progress.timeline import current_timeline

log = logging.getLogger("cutover.pages")

OLDEST = 5.0
"""Seconds after which evidence is not shown any more."""

AHEAD = 3.0
"""Age in seconds at which it is read again in the background."""

LOOKS = 60.0
"""Seconds after the last look for which it is kept ready: longer than a page waits to refresh itself."""

background = threading.Event()
"""Set where evidence is kept ready in the background: in the panel's process, not in a test of one page."""


_actions = 0
"""Actions of this process so far: evidence that was read before the last one is not shown."""


def forget() -> None:
    """Lets the next look read the evidence, so that a page shows an action at once."""
    global _actions
    _actions += 1


@dataclass
class Evidence:
    """What was read last of one store and migration file."""

    facts: Facts | None = None
    read_at: float = 0.0
    actions: int = 0
    looked_at: float = 0.0
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self, read: Callable[[], Facts]) -> Facts:
        """The evidence, at most `OLDEST` seconds old; reads it where there is none. Raises what `read` raises."""
        self.looked_at = time.monotonic()
        with self.lock:
            found = self.facts
            if found is None or self.actions != _actions or time.monotonic() - self.read_at >= OLDEST:
                found = self._read(read)
        if background.is_set() and (self.thread is None or not self.thread.is_alive()):
            self.thread = threading.Thread(target=self._keep, args=(read,), name="evidence", daemon=True)
            self.thread.start()
        return found

    def _read(self, read: Callable[[], Facts]) -> Facts:
        began, actions = time.monotonic(), _actions
        found = read()
        # What pages show of it, so that none of them computes it.
        entries(found), metrics(found), current_timeline(found), answer(found)
        self.facts, self.read_at, self.actions = found, began, actions
        return found

    def _keep(self, read: Callable[[], Facts]) -> None:
        while time.monotonic() - self.looked_at < LOOKS:
            time.sleep(max(0.1, AHEAD - (time.monotonic() - self.read_at)))
            try:
                self._read(read)
            except Exception as e:  # noqa: BLE001 (the next page reads it itself and shows what is wrong)
                log.warning("evidence: %s: %s", type(e).__name__, e)
                return
