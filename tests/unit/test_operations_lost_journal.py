"""A journal whose store does not answer: given up once for all threads, and silent only while the lease lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.operations.engine import LEASE, Hold
from app.operations.journal import Journal, JournalLost
from app.store.base import StoreError
from app.store.leases import LeaseLost
from tests.support.operations_world import Given

SECONDS = 15


@pytest.fixture
def hold(given: Given) -> Iterator[Hold]:
    lease = given.store.leases.acquire(LEASE, "this process", SECONDS)
    assert lease is not None
    clock = given.clock
    with Hold(given.store.leases, lease, SECONDS, beat=False, clock=clock, ticks=clock.ticks) as found:
        yield found


@pytest.fixture
def journal(given: Given, hold: Hold) -> Callable[..., Journal]:
    def make(**options: bool) -> Journal:
        sleep = given.world.pause
        return Journal(given.store.operations, hold, "op-1", "back", clock=given.clock, sleep=sleep, **options)

    return make


def test_what_one_thread_gave_up_the_next_one_does_not_try_for_seconds(
    given: Given, hold: Hold, journal: Callable[..., Journal]
) -> None:
    attempts: list[str] = []

    def away(operation: str) -> list[object]:
        attempts.append(operation)
        raise StoreError("the journal: no answer")

    given.store.operations.journal = away  # type: ignore[method-assign, assignment]
    lost = journal()
    with pytest.raises(JournalLost):
        lost.entries()
    assert len(attempts) > 2 and given.slept >= 5
    before, slept = len(attempts), given.slept
    hold.renew()
    with pytest.raises(JournalLost):
        lost.entries()
    assert (len(attempts), given.slept) == (before + 1, slept)


@pytest.mark.parametrize("look", ["check", "keep", "check_alone"])
def test_a_silent_journal_goes_on_only_while_the_lease_lasts(
    given: Given, journal: Callable[..., Journal], look: str
) -> None:
    silent = journal(silent=True)
    getattr(silent, look)()
    given.clock.go_on(SECONDS)
    with pytest.raises(LeaseLost, match="may have expired"):
        getattr(silent, look)()
