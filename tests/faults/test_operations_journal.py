"""A store that fails at any write, once, for a while or for good: all new, all old, or a person is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.access import Refused
from app.operations.definition import Kind
from app.operations.engine import LEASE
from app.operations.journal import JournalLost
from app.store.base import StoreError
from app.store.connect import open_engine
from app.store.leases import LeaseLost
from app.store.operations import Phase, State
from tests.support.operations_world import BACK, ERIN, NEW_JOB, Crash, Given, all_new, all_old

ENDED = (State.VERIFIED, State.UNDONE, State.NEEDS_HUMAN)


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


def journal_fails(g: Given, wrong: Callable[[int], bool]) -> list[int]:
    """Journal write number n (from 1) fails where `wrong(n)`; gives the numbers that were tried."""
    write, tried = g.store.operations.write, []

    def writes(*args: Any, **kwargs: Any) -> int:
        tried.append(len(tried) + 1)
        if wrong(tried[-1]):
            raise StoreError("the journal cannot be written: disk full")
        return write(*args, **kwargs)

    g.store.operations.write = writes  # type: ignore[method-assign]
    return tried


def store_fails(g: Given, wrong: Callable[[int], bool]) -> Callable[[], None]:
    """Every statement to the store, reads too, fails where `wrong(number)`; gives what mends it."""
    count = [0]

    def broken(_c: object, _cursor: object, statement: str, *_: object) -> None:
        count[0] += 1
        if wrong(count[0]):
            raise OperationalError(statement, {}, Exception("the server is gone"))

    event.listen(g.engine, "before_cursor_execute", broken)
    return lambda: event.remove(g.engine, "before_cursor_execute", broken)


def applied(g: Given, operation: str) -> str:
    """Applies; the error's name where it raises one that tells of the store."""
    try:
        return str(g.service.apply(operation, "worker").state)
    except (StoreError, LeaseLost) as e:
        return type(e).__name__


def nothing_is_absent(g: Given) -> bool:
    return "nothing" not in g.world.served().values()


def settled(g: Given, operation: str) -> bool:
    """Whether everything is on one side, with what belongs to it, and the operation says which."""
    record = g.store.operations.get(operation)
    assert record is not None and record.state in ENDED, record
    return all_new(g) if record.state is State.VERIFIED and record.kind == Kind.CUTOVER else all_old(g)


def writes_of(line: Callable[[], tuple[Given, str]]) -> int:
    ready, operation = line()
    g = ready.copy()
    tried = journal_fails(g, lambda n: False)
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    return len(tried)


@pytest.mark.parametrize("line", LINES)
def test_one_failed_journal_write_is_repeated_and_changes_nothing(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    total = writes_of(line)
    assert total > 60
    for at in range(1, total + 1):
        g = ready.copy()
        tried = journal_fails(g, lambda n, at=at: n == at)  # type: ignore[misc]
        assert applied(g, operation) == State.VERIFIED, at
        assert len(tried) == total + 1
        assert settled(g, operation), at


@pytest.mark.parametrize("line", LINES)
def test_a_journal_that_fails_for_a_while_converges(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    ends: set[str] = set()
    for at in range(1, writes_of(line) + 1, 3):
        for lasts in (4, 9):
            g = ready.copy()
            journal_fails(g, lambda n, at=at, lasts=lasts: at <= n < at + lasts)  # type: ignore[misc]
            ends.add(applied(g, operation))
            assert nothing_is_absent(g), at
            assert settled(g, operation), at
    assert State.VERIFIED in ends


@pytest.mark.parametrize("line", LINES)
def test_a_journal_that_fails_for_good_ends_with_everything_old(line: Callable[[], tuple[Given, str]]) -> None:
    ready, operation = line()
    for at in range(1, writes_of(line) + 1):
        g = ready.copy()
        journal_fails(g, lambda n, at=at: n >= at)  # type: ignore[misc]
        end = applied(g, operation)
        assert end == (State.UNDONE if line is cutover else State.VERIFIED), at
        assert nothing_is_absent(g), at
        assert settled(g, operation) and all_old(g), at
        record = g.store.operations.get(operation)
        assert record is not None
        if line is cutover:
            assert "its journal could not be written" in record.reason
        last = g.store.audit.records(subject=operation)[0]
        assert last.action == "end" and g.store.audit.verify().whole
        if "lacks" in record.reason:
            assert last.detail["not_journaled"], "what the journal lacks is in the audit log"


def test_after_a_journal_write_failed_for_good_nothing_goes_further_forward() -> None:
    ready, operation = cutover()
    for at in range(1, writes_of(cutover) + 1, 4):
        g = ready.copy()
        tried = journal_fails(g, lambda n, at=at: n >= at)  # type: ignore[misc]
        seen: list[tuple[int, str]] = []
        g.world.watch(lambda name, seen=seen, tried=tried: seen.append((len(tried), name)))  # type: ignore[misc]
        applied(g, operation)
        after = [name for n, name in seen if n > at]
        assert not [
            n
            for n in after
            if "AS SELECT * FROM `product`.`fde`.`dlt_v2" in n or (n.endswith("_old`") and "RENAME" in n)
        ]
        assert not [n for n in after if n.startswith("CREATE VIEW")], at
        assert f"unpause {g.world.jobs[NEW_JOB].name}" not in after


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("lasts", [3, 40, 10_000])
def test_a_store_that_is_gone_leaves_nothing_running_once_it_answers(
    line: Callable[[], tuple[Given, str]], lasts: int
) -> None:
    ready, operation = line()
    whole = ready.copy()
    count = [0]
    mend = store_fails(whole, lambda n: bool(count.__setitem__(0, n)))
    whole.service.apply(operation, "worker")
    mend()
    for at in range(12, count[0] + 1, 17):
        g = ready.copy()
        mend = store_fails(g, lambda n, at=at: at <= n < at + lasts)  # type: ignore[misc]
        end = applied(g, operation)
        assert nothing_is_absent(g), (at, end)
        assert len({rows.split()[0] for rows in g.world.served().values()}) == 1, (at, end)
        mend()
        g.clock.go_on(16)
        for record in g.service.left():
            g.service.bring_back(record.id, "worker")
        record = g.store.operations.get(operation)
        assert record is not None
        if record.state is State.READY:  # It had not started.
            g.service.apply(operation, "worker")
        assert settled(g, operation), (at, end)
        assert not g.service.left() and g.store.audit.verify().whole


def test_side_by_side_a_failing_journal_ends_with_everything_old(tmp_path: Any) -> None:
    for at in (20, 45, 60, 75):
        engine = open_engine(f"sqlite:///{tmp_path / f'{at}.db'}")
        g = Given(engine, parallel=6)
        operation = g.approved()
        journal_fails(g, lambda n, at=at: n >= at)  # type: ignore[misc]
        assert applied(g, operation) == State.UNDONE
        assert all_old(g), at
        engine.dispose()


def test_the_worker_undoes_a_cutover_that_died_and_resume_finds_nothing_to_do() -> None:
    g = Given()
    operation = g.approved()
    g.world.faults.die_at = g.world.faults.points + 60
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    assert [o.id for o in g.service.left()] == [operation]
    record = g.service.bring_back(operation, "worker-2")
    assert record.state is State.UNDONE and "interrupted" in record.reason and record.executor == "worker-2"
    assert all_old(g) and g.service.left() == []
    with pytest.raises(Refused, match="nothing to resume"):
        g.service.resume(operation, ERIN)
    with pytest.raises(Refused, match="not interrupted"):
        g.service.bring_back(operation, "worker-2")


def test_a_cutover_whose_end_alone_is_missing_is_verified_not_undone() -> None:
    g = Given()
    operation = g.approved()
    moving = g.store.operations.moving

    def gone(operation_id: str, before: Any, after: State, *rest: Any, **values: Any) -> bool:
        if after is State.VERIFIED:
            raise StoreError("operations cannot be written: the server is gone")
        return moving(operation_id, before, after, *rest, **values)

    g.store.operations.moving = gone  # type: ignore[method-assign]
    with pytest.raises(JournalLost):
        g.service.apply(operation, "worker")
    g.store.operations.moving = moving  # type: ignore[method-assign]
    g.clock.go_on(16)
    assert g.service.bring_back(operation, "worker").state is State.VERIFIED
    assert all_new(g)


def test_while_somebody_holds_the_lease_nothing_is_left() -> None:
    g = Given()
    operation = g.approved()
    g.store.operations.move(operation, [State.READY], State.RUNNING)
    lease = g.store.leases.acquire(LEASE, "another", 60)
    assert g.service.left() == []
    g.clock.go_on(61)
    assert lease and [o.id for o in g.service.left()] == [operation]


@pytest.mark.parametrize("kind", [Kind.PAUSE, Kind.RUN_NOW, Kind.REHEARSE])
def test_what_else_was_interrupted_ends_as_failed_and_says_what_may_have_started(kind: Kind) -> None:
    g = Given()
    made = g.service.plan(kind, {} if kind is Kind.REHEARSE else {"job": "baseline"}, ERIN)
    operation = g.service.submit(made, ERIN, made.confirmation)
    journal_fails(g, lambda n: n > 1)
    moving = g.store.operations.moving
    g.store.operations.moving = lambda i, b, a, *r, **v: moving(i, b, a, *r, **v) if a is State.RUNNING else gone()  # type: ignore[method-assign,assignment]

    def gone() -> bool:
        raise StoreError("gone")

    with pytest.raises(JournalLost):
        g.service.apply(operation, "worker")
    g.store.operations.moving = moving  # type: ignore[method-assign]
    begun = list(g.world.log)
    g.clock.go_on(16)
    record = g.service.bring_back(operation, "worker")
    assert record.state is State.FAILED and "it was interrupted; last in its journal: " in record.reason
    assert g.world.log == begun, "nothing was started anew"


def test_a_failure_that_the_store_cannot_keep_is_undone_all_the_same() -> None:
    """Whatever is raised on the way forward, the tables go back."""
    g = Given()
    operation = g.approved()
    write = g.store.operations.write

    def writes(*args: Any, **kwargs: Any) -> int:
        if kwargs["direction"] == "forward" and kwargs["phase"] is Phase.DONE and kwargs["step"] == "FlipView":
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return write(*args, **kwargs)

    g.store.operations.write = writes  # type: ignore[method-assign]
    record = g.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "UnicodeEncodeError" in record.reason
    assert all_old(g)


def test_the_pauses_between_attempts_end_with_half_the_lease() -> None:
    g = Given()
    operation = g.approved()
    journal_fails(g, lambda n: n >= 30)
    g.service.apply(operation, "worker")
    assert 7 <= g.slept <= 11, "half the lease of 15 s, and the last pause"
