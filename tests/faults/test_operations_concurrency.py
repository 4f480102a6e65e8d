"""One operation at a time, by a lease; many who press at once; six tables side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.engine import LEASE
from app.operations.requests import IN_FLIGHT_SECONDS
from app.operations.service import SUBMITTED_STATES
from app.store.connect import open_engine
from app.store.leases import LeaseLost
from app.store.operations import Phase, State
from tests.support.operations_world import BACK, ERIN, MIGRATION, Crash, Given, all_new, all_old


@contextmanager
def side_by_side(store_url: str) -> Iterator[Given]:
    """A world whose six tables are worked on at once, with a store that threads can share."""
    engine = open_engine(store_url)
    try:
        yield Given(engine, parallel=6)
    finally:
        engine.dispose()


@pytest.fixture
def parallel(store_url: str) -> Iterator[Given]:
    with side_by_side(store_url) as found:
        yield found


def die_at(g: Given, point: int) -> str:
    """Begins a cutover, kills it at this point, and starts anew; the operation."""
    operation = g.approved()
    g.world.faults.die_at = point
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    return operation


def test_one_operation_at_a_time_by_a_lease_that_expires(given: Given) -> None:
    operation = given.approved()
    given.world.faults.die_at = given.world.faults.points + 60
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    from tests.support.operations_world import Faults

    given.world.faults = Faults()
    with pytest.raises(Refused, match="another operation is being executed"):
        pause = given.service.plan(Kind.REHEARSE, {}, ERIN)
        given.service.submit(pause, ERIN, pause.confirmation) if not pause.blocking else None
        given.store.operations.move(pause.operation_id, [State.PLANNED], State.READY)
        given.service.apply(pause.operation_id, ERIN)
    with pytest.raises(Refused, match="blocked"):
        made = given.service.plan(Kind.UNPAUSE, {"job": "baseline"}, ERIN)
        given.service.submit(made, ERIN, made.confirmation)
    # An emergency waits until the lease of the dead process has run out and nothing that it sent can still arrive.
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert 14 <= given.slept <= 17 + IN_FLIGHT_SECONDS
    assert all_old(given)


def test_the_lease_is_checked_before_every_step_and_who_lost_it_writes_nothing_more(given: Given) -> None:
    operation = given.approved()

    def stolen() -> None:
        given.clock.go_on(16)
        assert given.store.leases.acquire(LEASE, "thief", 60) is not None

    given.world.after("CREATE VIEW `product`.`fde`.`iv_fde_ax_old`", stolen)
    with pytest.raises(LeaseLost):
        given.service.apply(operation, "worker")
    assert given.world.log[-1].startswith("CREATE VIEW `product`.`fde`.`iv_fde_ax_old`")
    assert given.service.operation(operation).record.state is State.RUNNING


def test_fifty_concurrent_submits_of_one_plan_make_one_execution(parallel: Given) -> None:
    made = parallel.service.plan(Kind.RUN_NOW, {"job": "candidate"}, ERIN)
    start = threading.Barrier(50)

    def press(_: int) -> str:
        service = parallel.service
        start.wait()
        operation = service.submit(made, ERIN, made.confirmation)
        try:
            return str(service.apply(operation, "worker").state)
        except Refused as e:
            return f"refused: {e}"

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(press, range(50)))
    assert found.count("verified") == 1
    assert all(f == "verified" or f.startswith("refused") for f in found)
    assert len(parallel.world.tokens) == 1
    assert len([e for e in parallel.world.log if e == "run now"]) == 1
    assert len(parallel.store.operations.find(states=SUBMITTED_STATES)) == 1
    assert len(parallel.store.audit.records(action="begin")) == 1
    assert [r.outcome for r in parallel.store.audit.records(action="submit")] == ["allowed"]
    assert parallel.store.audit.verify().whole


def test_a_cutover_with_six_tables_side_by_side_ends_all_new_and_back_all_old(parallel: Given) -> None:
    assert parallel.service.apply(parallel.approved(), "worker").state is State.VERIFIED
    assert all_new(parallel)
    assert parallel.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(parallel)


def test_a_stop_once_all_six_are_prepared_flips_none_of_them(parallel: Given) -> None:
    operation = parallel.approved()
    write = parallel.store.operations.write
    prepared: list[str] = []
    stopped = threading.Lock()

    def counting(*args: object, **kwargs: object) -> int:
        number = write(*args, **kwargs)  # type: ignore[arg-type]
        if (kwargs["step"], kwargs["phase"], kwargs["direction"]) == ("FlipView", Phase.INTENT, "forward"):
            prepared.append(str(kwargs["lane"]))
            if len(prepared) == len(MIGRATION.tables) and stopped.acquire(blocking=False):
                parallel.service.cancel(operation, ERIN, "changed my mind")
        return number

    parallel.store.operations.write = counting  # type: ignore[method-assign]
    assert parallel.service.apply(operation, "worker").state is State.UNDONE
    assert len(prepared) == len(MIGRATION.tables)
    assert not [e for e in parallel.world.log if e.startswith("ALTER VIEW") and "dlt_v2_" in e]
    assert all_old(parallel)


def test_a_crash_with_six_tables_side_by_side_converges(store_urls: Callable[[], str]) -> None:
    for at in range(20, 220, 40):
        with side_by_side(store_urls()) as g:
            die_at(g, g.world.faults.points + at + 1)
            assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
            assert all_old(g)


def test_a_crash_once_all_six_are_flipped_goes_on_to_the_end(parallel: Given, store_urls: Callable[[], str]) -> None:
    """Of the stage in which the six flip at once nothing is left to do."""
    parallel.service.apply(parallel.approved(), "worker")
    flipped = max(i for i, n in enumerate(parallel.world.faults.named) if n.startswith("after ALTER VIEW"))
    for beyond in (14, 20):
        with side_by_side(store_urls()) as g:
            operation = die_at(g, flipped + beyond)
            assert g.service.resume(operation, ERIN).state is State.VERIFIED
            assert all_new(g)
