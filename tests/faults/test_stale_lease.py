"""A lease that runs out within a transaction: its row is locked, so no stale holder's line or state is committed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from app.store.base import now
from app.store.leases import Lease, LeaseLost, LeaseRepository
from app.store.open import Store
from app.store.operations import OperationsRepository, Phase, State
from tests.support.operations_world import T0, an_operation

SOON = 0.4
"""Seconds after which the holder's lease has run out."""


class Stall:
    """A clock that stands still once it is used: the process is stopped between the check and the commit."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.awake = threading.Event()
        self.armed = False

    def __call__(self) -> datetime:
        if self.armed:
            self.stopped.set()
            assert self.awake.wait(30)
        return now()


def journal_line(operations: OperationsRepository, lease: Lease) -> object:
    return operations.write(
        lease, "op-1", direction="forward", number=1, stage="s", lane="", step="X", phase=Phase.INTENT, text="x"
    )


def state(operations: OperationsRepository, lease: Lease) -> object:
    # The clock is used by the check of the lease itself here: after its lock.
    return operations.move("op-1", [State.RUNNING], State.VERIFIED, lease=lease, reason="late")


@pytest.mark.parametrize("write", [journal_line, state])
def test_no_lease_is_taken_over_between_the_check_and_the_commit(
    store: Store, write: Callable[[OperationsRepository, Lease], object]
) -> None:
    store.operations.add(an_operation("op-1", State.RUNNING, T0))
    stall = Stall()
    # The lease's own clock stalls for the state, whose columns need no moment.
    checked = LeaseRepository(store.engine, stall if write is state else now, server_time=False)
    operations = OperationsRepository(store.engine, stall, checked)
    leases = LeaseRepository(store.engine, now, server_time=False)
    lease = leases.acquire("operations", "first", SOON)
    assert lease is not None
    events: list[str] = []

    def held() -> None:
        try:
            write(operations, lease)
            events.append("committed")
        except LeaseLost:
            events.append("refused")

    def another() -> None:
        while leases.acquire("operations", "second", 60) is None:
            threading.Event().wait(0.05)
        events.append("taken over")

    stall.armed = True
    threads = [threading.Thread(target=held, daemon=True), threading.Thread(target=another, daemon=True)]
    threads[0].start()
    assert stall.stopped.wait(30)
    threads[1].start()
    threads[1].join(SOON * 4)
    before = list(events)
    stall.awake.set()
    for thread in threads:
        thread.join(30)
    assert before == [], "the lease was taken over within the transaction"
    # Which of the two threads says first what it did shows nothing: `before` has the order.
    assert sorted(events) in (["committed", "taken over"], ["refused", "taken over"])
    with pytest.raises(LeaseLost):
        write(OperationsRepository(store.engine, now, leases), lease)
    record = store.operations.get("op-1")
    assert record is not None
    lines = store.operations.journal("op-1")
    wrote = "committed" in events
    assert (record.state is State.VERIFIED or len(lines) == 1) is wrote


def test_a_stale_token_writes_neither_line_nor_state(store: Store) -> None:
    store.operations.add(an_operation("op-1", State.RUNNING, T0))
    stale = store.leases.acquire("operations", "first", 0.0)
    assert stale is not None
    current = store.leases.acquire("operations", "second", 60)
    assert current is not None and current.token == stale.token + 1
    for write in (journal_line, state):
        with pytest.raises(LeaseLost, match="is now held by second"):
            write(store.operations, stale)
    assert store.operations.journal("op-1") == []
    assert state(store.operations, current) is True
