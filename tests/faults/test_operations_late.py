"""Stalls before an effect and effects that land late, at every effect of a cutover and of a rollback.

A rollback takes over meanwhile. Afterwards the world is all old and stays so, or the operation says NEEDS HUMAN.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from functools import cache

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.world import Grant
from app.store.leases import LeaseLost
from app.store.operations import OperationRecord, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, Crash, Given, all_new, all_old

STALL = 16.0
"""Seconds: longer than the lease."""


@cache
def cutover() -> tuple[Given, str]:
    g = Given()
    return g, g.approved()


@cache
def rollback() -> tuple[Given, str]:
    g = Given()
    g.cut_over()
    made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
    return g, g.service.submit(made, ERIN, BACK)


LINES = (cutover, rollback)
EFFECTS: dict[Callable[[], tuple[Given, str]], int] = {}


def effects(line: Callable[[], tuple[Given, str]]) -> range:
    """Numbers of the effects of an undisturbed run."""
    if line not in EFFECTS:
        ready, operation = line()
        g = ready.copy()
        g.service.apply(operation, "worker")
        EFFECTS[line] = g.world.attempts
    assert EFFECTS[line] > 20
    return range(1, EFFECTS[line] + 1)


def old_again(g: Given) -> bool:
    """Whether all is old. A call that gave a view's owner SELECT may arrive when the table has the name again: its
    owner has that anyhow."""
    for name, found in g.world.names.items():
        kept = tuple(grant for grant in found.grants if grant != Grant(found.owner or "", ("SELECT",)))
        g.world.names[name] = replace(found, grants=kept)
    return all_old(g)


def roll_back(g: Given) -> OperationRecord:
    """By another process: nothing of the first one's context is in its way. Planned again where the world changed."""

    def there() -> OperationRecord:
        for _ in range(3):
            try:
                return g.service.rollback(ERIN, BACK)
            except Refused as e:
                if "plan again" not in str(e):
                    raise
        raise AssertionError("the world never stands still")

    return Context().run(there)


@pytest.mark.parametrize("line", LINES)
def test_who_wakes_up_after_a_takeover_sends_nothing(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    for number in effects(line):
        g = ready.copy()
        taken: list[OperationRecord] = []

        def stall(g: Given = g, taken: list[OperationRecord] = taken) -> None:
            g.clock.go_on(STALL)
            taken.append(roll_back(g))

        g.world.stalls[number] = stall
        with pytest.raises(LeaseLost):
            g.service.apply(operation, "worker")
        assert [r.state for r in taken] == [State.VERIFIED], (number, taken)
        assert old_again(g), (number, g.world.log[-1])
        assert g.store.operations.get(operation).state is not State.RUNNING  # type: ignore[union-attr]


@pytest.mark.parametrize("line", LINES)
def test_who_stalls_and_is_not_taken_over_sends_nothing_either(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    for number in effects(line)[::3]:
        g = ready.copy()
        g.world.stalls[number] = lambda g=g: g.clock.go_on(STALL)  # type: ignore[misc]
        sent = len(g.world.log)
        with pytest.raises(LeaseLost):
            g.service.apply(operation, "worker")
        assert len(g.world.log) == sent + number - 1, number
        assert roll_back(g).state is State.VERIFIED and old_again(g)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seconds", [None, 18.0, 30.0, 34.0])
def test_what_a_killed_process_had_sent_is_cancelled_or_awaited(
    line: Callable[[], tuple[Given, str]], seconds: float | None
) -> None:
    """A statement waits in its queue; a call arrives at the latest when its deadline after the lease's end is over."""
    ready, operation = line()
    for number in effects(line):
        g = ready.copy()
        g.world.postpone(number, Crash("killed"), seconds=seconds)
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        g.restart()
        if seconds is None and g.world.late[0].statement is None:
            g.world.land_late()  # No call waits for ever.
        if old_again(g) and not g.world.late and g.store.operations.get(operation).state is State.VERIFIED:  # type: ignore[union-attr]
            continue
        record = roll_back(g)
        assert record.state is State.VERIFIED, (number, record.reason)
        assert old_again(g), number
        assert g.world.land_late() == [], "nothing was left that could land"


@pytest.mark.parametrize("line", LINES)
def test_a_statement_that_cannot_be_ended_is_for_a_person(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    deaf = 0
    for number in effects(line):
        g = ready.copy()
        g.world.postpone(number, Crash("killed"), deaf=True)
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        g.restart()
        (late,) = g.world.late
        if late.statement is None:
            continue
        deaf += 1
        record = roll_back(g)
        assert record.state is State.NEEDS_HUMAN, number
        assert "NEEDS HUMAN" in record.reason and late.statement.statement_id in record.reason
        assert late.name in record.reason, "the statement's text is there"
        assert old_again(g), "what could be done was done"
        g.world.land_late()
        assert roll_back(g).state is State.VERIFIED and old_again(g), "once it has ended, the way back is open"
    assert deaf > 10


@pytest.mark.parametrize("blind", [False, True])
def test_without_the_query_history_nothing_is_verified(blind: bool) -> None:
    ready, operation = cutover()
    for number in list(effects(cutover))[3::5]:
        g = ready.copy()
        g.world.postpone(number, Crash("killed"))
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        g.restart()
        if blind:
            g.world.blind = True
        else:
            g.world.history = WorkspaceError("read the query history", "permission denied", status=403)
        statement = g.world.late[0].statement is not None
        record = roll_back(g)
        if blind and not any("statement_id" in e.detail for e in g.store.operations.journal(operation)):
            continue
        assert record.state is State.NEEDS_HUMAN, (number, statement)
        assert "history" in record.reason


def test_an_undo_ends_the_statement_that_had_no_answer() -> None:
    ready, operation = cutover()
    lost = WorkspaceError("x", "no answer from the workspace", uncertain=True)
    for number in effects(cutover):
        g = ready.copy()
        g.world.postpone(number, lost, seconds=12.0)
        record = g.service.apply(operation, "worker")
        # A statement that frees or gives a name is sent again: the operation may come to its end.
        assert record.state in (State.UNDONE, State.VERIFIED), (number, record.reason)
        assert old_again(g) if record.state is State.UNDONE else all_new(g), number
        assert not g.world.late, "nothing is left that could land after the end"


def test_going_forward_waits_for_what_was_sent_before() -> None:
    ready, operation = cutover()
    for number in list(effects(cutover))[::2]:
        for seconds in (17.0, 33.0):
            g = ready.copy()
            g.world.postpone(number, Crash("killed"), seconds=seconds)
            with pytest.raises(Crash):
                g.service.apply(operation, "worker")
            g.restart()
            record = g.service.resume(operation, ERIN)
            assert record.state is State.VERIFIED, (number, record.reason)
            assert all_new(g) and not g.world.late, number


def test_a_rollback_goes_on_though_what_it_takes_over_from_landed_after_it_was_planned() -> None:
    ready, operation = cutover()
    for number in list(effects(cutover))[1::3]:
        g = ready.copy()
        g.world.postpone(number, Crash("killed"), seconds=20.0)
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        g.restart()
        made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
        g.clock.go_on(5)
        record = g.service.apply_here(made, ERIN, BACK)
        assert record.state is State.VERIFIED and old_again(g), (number, record.reason)


def test_nobody_goes_forward_while_a_statement_may_still_land() -> None:
    ready, operation = cutover()
    number = next(n for n in effects(cutover) if n > 8)
    g = ready.copy()
    while True:
        g = ready.copy()
        g.world.postpone(number, Crash("killed"), deaf=True)
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        if g.world.late[0].statement is not None:
            break
        number += 1
    g.restart()
    with pytest.raises(Refused, match="may still take effect"):
        g.service.resume(operation, ERIN)
