"""A process that lives and does not get on: its lease is taken by an operator with a reason, and it is fenced."""

from __future__ import annotations

import threading
from contextvars import Context
from datetime import timedelta

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.engine import LEASE, PROGRESS_SECONDS, Hold
from app.store.leases import LeaseLost
from app.store.operations import OperationRecord, Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, LARS, SOFIA, Clock, Given, all_old


def hanging(given: Given, number: int, take_over: str) -> list[OperationRecord]:
    """A cutover that hangs before an effect while another process rolls back; gives what that came to."""
    operation = given.approved()
    taken: list[OperationRecord] = []
    given.world.stalls[number] = lambda: taken.append(
        Context().run(lambda: given.service.rollback(ERIN, BACK, take_over))
    )
    with pytest.raises(LeaseLost):
        given.service.apply(operation, "worker")
    return taken


@pytest.mark.parametrize("number", [2, 9, 20, 27])
def test_an_operator_takes_over_from_a_process_that_hangs(given: Given, number: int) -> None:
    (record,) = hanging(given, number, "the worker hangs since 9:00")
    assert record.state is State.VERIFIED and all_old(given)
    (audited,) = [r for r in given.store.audit.records(limit=100) if r.action == "take over"]
    assert (audited.actor, audited.outcome, audited.reason) == (
        ERIN.user_name, "allowed", "the worker hangs since 9:00",
    )  # fmt: skip
    assert audited.detail["token"] == 1 and audited.detail["holder"]
    assert given.store.audit.verify().whole


def test_the_old_holder_counts_on_its_lease_no_longer_when_the_way_back_begins(given: Given) -> None:
    (record,) = hanging(given, 9, "it hangs")
    notes = [e for e in given.store.operations.journal(record.id) if e.phase is Phase.NOTE]
    assert any("until the process that held the lease before has noticed" in e.text for e in notes)
    first = next(e for e in given.store.operations.journal(record.id) if e.phase is Phase.INTENT)
    assert first.at >= notes[0].at + timedelta(seconds=10)


def test_without_a_reason_a_living_process_is_waited_for_and_then_left_alone(given: Given) -> None:
    assert given.store.leases.acquire(LEASE, "somebody", 1000) is not None
    given.world.names.update(given.world.names)
    given.service_with().plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    cut = given.approved()
    assert given.store.operations.move(cut, [State.READY], State.RUNNING, started_at=given.clock())
    with pytest.raises(Refused, match="another operation is being executed by somebody"):
        given.service.rollback(ERIN, BACK)


def test_only_an_operator_takes_over_and_only_by_a_rollback(given: Given) -> None:
    cut = given.approved()
    given.service.apply(cut, "worker")
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    holder = given.store.leases.acquire(LEASE, "somebody", 1000)
    assert holder is not None
    with pytest.raises(Refused):
        given.service.apply_here(made, SOFIA, BACK, "it hangs")
    pause = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    with pytest.raises(Refused, match="only a rollback takes over"):
        given.service.apply_here(pause, ERIN, pause.confirmation, "it hangs")
    given.store.leases.check(holder)
    assert LARS.user_name  # An approver is an operator too.


def test_the_lease_is_not_renewed_without_progress(given: Given) -> None:
    lease = given.store.leases.acquire(LEASE, "me", 15)
    assert lease is not None
    clock = Clock()
    with Hold(given.store.leases, lease, 15, beat=False, clock=given.clock, ticks=clock.ticks) as hold:
        clock.go_on(PROGRESS_SECONDS - 1)
        hold.renew()
        hold.progress()
        clock.go_on(PROGRESS_SECONDS - 1)
        hold.renew()
        clock.go_on(2)
        with pytest.raises(LeaseLost, match="made no progress"):
            hold.renew()
        hold.expect(3600)
        clock.go_on(3600)
        hold.renew()


def test_a_lease_lasts_no_longer_than_either_clock_says(given: Given) -> None:
    lease = given.store.leases.acquire(LEASE, "me", 15)
    assert lease is not None
    clock = Clock()
    with Hold(given.store.leases, lease, 15, beat=False, clock=given.clock, ticks=clock.ticks) as hold:
        hold.check_send()
        clock.go_on(13.5)  # The wall clock was set back meanwhile.
        with pytest.raises(LeaseLost, match="nothing more is sent"):
            hold.check_send()
        hold.renew()
        hold.check_send()
        given.clock.go_on(13.5)  # The machine slept, and the other clock with it.
        with pytest.raises(LeaseLost, match="nothing more is sent"):
            hold.check_send()


def test_a_stop_is_heard_while_a_statement_hangs(given: Given) -> None:
    operation = given.approved()
    asked = threading.Event()

    def hang() -> None:
        given.service.cancel(operation, ERIN, "enough")
        asked.set()
        raise WorkspaceError("alter", "its execution was given up", error_code="OPERATION_CANCELED", uncertain=True)

    given.world.before("ALTER VIEW", hang, once=True)
    hold = Hold.progress

    def seen(self: Hold) -> None:
        hold(self)
        self.stop_seen = self.stop_seen or asked.is_set()

    Hold.progress = seen  # type: ignore[method-assign]
    try:
        record = given.service.apply(operation, "worker")
    finally:
        Hold.progress = hold  # type: ignore[method-assign]
    assert record.state is State.UNDONE and "a stop was requested" in record.reason
    assert all_old(given)


def test_a_rollback_on_a_stopped_warehouse_starts_it_and_waits(given: Given) -> None:
    given.cut_over()
    given.world.warehouse, given.world.start_seconds = "STOPPED", 300.0
    said: list[str] = []
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN, said.append)
    assert any("waiting until it runs" in line for line in said)
    given.world.warehouse = "STOPPED"
    record = given.service.apply_here(made, ERIN, BACK)
    assert record.state is State.VERIFIED and all_old(given)
    notes = [e for e in given.store.operations.journal(record.id) if e.step == "StartWarehouse"]
    assert notes and notes[0].phase is Phase.NOTE
