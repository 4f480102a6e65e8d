"""What an earlier process sent is cancelled and awaited, and what cannot be proven to have ended is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.operations.definition import Kind
from app.operations.engine import LEASE, Hold
from app.operations.requests import IN_FLIGHT_SECONDS
from app.operations.settle import SETTLE_SECONDS, Settling
from app.store.leases import LeaseLost
from databricks_client.errors import WorkspaceError
from databricks_client.running import Tag
from databricks_client.statement_execution import Sent
from tests.support.operations_world import ERIN, FakeWorld, Given


class History(FakeWorld):
    """A query history. ends: whether what is cancelled ends; problem: why it cannot be read."""

    def __init__(self, *shown: Sent) -> None:
        super().__init__()
        self.shown = list(shown)
        self.cancelled: list[str] = []
        self.ends = True
        self.problem: WorkspaceError | None = None

    def open_statements(self) -> Sequence[Sent]:
        if self.problem is not None:
            raise self.problem
        return tuple(self.shown)

    def cancel_statement(self, statement_id: str) -> None:
        self.cancelled.append(statement_id)
        if self.ends:
            self.shown = [s for s in self.shown if s.statement_id != statement_id]


class Settled:
    """Settling under a lease that is held. earlier: whether a process had it before, without giving it back."""

    def __init__(self, given: Given, world: FakeWorld, *, earlier: bool = False) -> None:
        self.given = given
        self.said: list[str] = []
        if earlier:
            assert given.store.leases.acquire(LEASE, "dead:1:x", 15) is not None
            given.clock.go_on(16)
        lease = given.store.leases.acquire(LEASE, "me:2:y", 15)
        assert lease is not None
        self.hold = Hold(given.store.leases, lease, 15, beat=False, clock=given.clock, ticks=given.clock.ticks)
        self.settling = Settling(
            world, given.store.operations, self.hold, clock=given.clock, sleep=given.clock.go_on, say=self.said.append
        )


def sent(operation: str, statement: str = "s-1") -> Sent:
    return Sent(statement, Tag("dead:1:x", "operation", operation, "7.abc"), "RUNNING", "ALTER VIEW x")


def operation(given: Given) -> str:
    return given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).operation_id


def test_a_statement_that_has_not_ended_is_cancelled_and_awaited(given: Given) -> None:
    world = History(sent(operation(given)))
    s = Settled(given, world)
    found = s.settling.end_statements()
    assert (found.found, found.unproven, world.cancelled) == (True, (), ["s-1"])
    assert s.said == [
        "cancelling 1 statements that an earlier process sent: s-1 (RUNNING): ALTER VIEW x",
    ]


def test_nothing_is_cancelled_or_said_where_all_has_ended(given: Given) -> None:
    s = Settled(given, History())
    found = s.settling.end_statements()
    assert (found.found, found.unproven, s.said) == (False, (), [])


def test_statements_of_another_store_are_left_alone(given: Given) -> None:
    world = History(sent("op-of-another-store"))
    found = Settled(given, world).settling.end_statements()
    assert (found.found, world.cancelled) == (False, [])


def test_a_statement_that_does_not_end_is_unproven(given: Given) -> None:
    world = History(sent(operation(given)))
    world.ends = False
    start = given.clock()
    found = Settled(given, world).settling.end_statements()
    (reason,) = found.unproven
    assert found.found and "s-1" in reason and "has not ended though it was cancelled" in reason
    assert SETTLE_SECONDS <= (given.clock() - start).total_seconds() <= SETTLE_SECONDS + 1
    assert len(world.cancelled) > 1  # Asked again: an answer may have been lost.


def test_a_history_that_cannot_be_read_proves_nothing(given: Given) -> None:
    world = History()
    world.problem = WorkspaceError("list queries", "permission denied", status=403)
    found = Settled(given, world).settling.end_statements()
    assert found.unproven == ("the query history cannot be read: permission denied",)


def test_the_lease_is_kept_while_a_statement_is_awaited(given: Given) -> None:
    world = History(sent(operation(given)))
    world.ends = False
    s = Settled(given, world)
    s.settling.end_statements(seconds=60)
    s.hold.check()


def test_a_lost_lease_ends_the_wait(given: Given) -> None:
    world = History(sent(operation(given)))
    world.ends = False
    s = Settled(given, world)
    given.clock.go_on(16)
    assert given.store.leases.acquire(LEASE, "other:3:z", 15) is not None
    with pytest.raises(LeaseLost):
        s.settling.end_statements()


def test_calls_of_an_earlier_holder_have_arrived_before_it_goes_on(given: Given) -> None:
    s = Settled(given, History(), earlier=True)
    began = s.hold.tick()
    assert not s.settling.quiet(began)
    s.settling.wait_for_calls()
    assert s.hold.tick() - s.hold.earlier >= IN_FLIGHT_SECONDS and s.settling.quiet(s.hold.tick())
    assert len(s.said) == 1 and "no request that was sent before can arrive any more" in s.said[0]


def test_nothing_is_waited_for_where_nobody_was_before(given: Given) -> None:
    s = Settled(given, History())
    before = s.hold.tick()
    s.settling.wait_for_calls()
    s.settling.wait_for_earlier_holder()
    assert (s.hold.tick(), s.said) == (before, [])
