"""A claim that is renewed in the background: the work under it ends as soon as the claim cannot be counted on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from app.store.base import StoreError

log = logging.getLogger(__name__)

JOIN_SECONDS = 2.0
"""How long leaving waits for a renewal that is under way; one that comes later finds the claim released."""


class Heartbeat:
    """Renews a claim every `every` seconds for as long as the block lasts.

    renew: writes the renewal; raises StoreError where the store is away, which is tried again until the claim has run
        out (`within` seconds after the start of the last renewal that succeeded). Any other error is final.
    on_lost: called once, from a thread of its own, with the reason in one line, when the claim is lost. A renewal that
        does not return counts as lost when the time is up, too.
    """

    def __init__(
        self,
        claim: str,
        renew: Callable[[], object],
        *,
        every: float,
        within: float,
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._claim = claim
        self._renew = renew
        self._every = every
        self._within = within
        self._on_lost = on_lost
        self._until = time.monotonic() + within
        self._problem = "no renewal returned"
        self._ended = threading.Event()
        self._once = threading.Lock()
        self.lost: str | None = None
        """Why the claim is lost, in one line; None while it holds."""
        self._threads = [
            threading.Thread(target=target, name=f"{name} {claim}", daemon=True)
            for name, target in (("renew", self._beats), ("watch", self._watches))
        ]

    def __enter__(self) -> Heartbeat:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_SECONDS)

    def _beats(self) -> None:
        while not self._ended.wait(self._every):
            started = time.monotonic()
            try:
                self._renew()
            except StoreError as e:
                self._problem = str(e)
                log.warning("%s is not renewed: %s", self._claim, e)
            except BaseException as e:  # noqa: BLE001 (a heartbeat that ends without a word leaves the work unguarded)
                self._lose(f"{self._claim} is lost: {_in_a_line(e)}")
                return
            else:
                self._until = started + self._within

    def _watches(self) -> None:
        while not self._ended.wait(max(0.0, self._until - time.monotonic())):
            if time.monotonic() >= self._until:
                self._lose(f"{self._claim} is lost: not renewed within {self._within:g} s ({self._problem})")
                return

    def _lose(self, reason: str) -> None:
        with self._once:
            if self.lost is not None or self._ended.is_set():
                return
            self.lost = reason
        self._ended.set()
        self._on_lost(reason)


def _in_a_line(error: BaseException) -> str:
    ours = type(error).__module__.startswith("app.")
    return " ".join((str(error) if ours else f"{type(error).__name__}: {error}").split())
