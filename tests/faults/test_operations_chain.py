"""One process dies in each state between two effects, and the next one resumes: there and back (tests/processes does the
same with real processes on a local workspace)."""

from __future__ import annotations

from collections.abc import Callable

from app.operations.definition import Kind
from app.store.operations import OperationRecord, State
from tests.support.operations_world import BACK, ERIN, MIGRATION, NEW, NEW_JOB, OLD_JOB, Crash, Given

FORWARD, BACKWARD = 13, 10
"""States that a cutover of these tables passes through, and its rollback."""

MOST = 100
"""Deaths of a chain at most, before it counts as one that does not come to its end."""


def state(g: Given) -> tuple[object, ...]:
    """What tells one step boundary from another."""
    names = sorted((r.name, r.kind, r.over or "", r.grants) for r in g.world.names.values() if r.kind != "absent")
    return (*names, *g.world.jobs.items())


def to_its_end(g: Given, begin: Callable[[], OperationRecord], kind: Kind) -> tuple[OperationRecord, int]:
    """Runs an operation in processes that die in each new state; its record, and how many died."""
    met = {state(g)}
    run = begin

    def die_in_a_new_state() -> None:
        if (now := state(g)) not in met:
            met.add(now)
            g.world.faults.dead = True
            raise Crash("after an effect")

    for died in range(MOST):
        g.world.after("", die_in_a_new_state)
        try:
            record = run()
        except Crash:
            g.world.undisturbed()
            g.restart()
            operation = g.store.operations.find(kinds=[kind])[0].id
            run = lambda: g.service.resume(operation, ERIN)  # noqa: B023,E731 (called before it changes)
        else:
            g.world.undisturbed()
            return record, died
    raise AssertionError("it does not come to its end")


def test_a_process_dies_in_every_state_of_a_cutover_and_of_its_rollback() -> None:
    """Two tables: one is swapped by a view, the other by renaming."""
    two = MIGRATION.model_copy(update={"tables": MIGRATION.tables[:2]})
    by_view, by_renaming = (t.name for t in two.tables)
    g = Given(rename=(by_renaming,), migration=two)
    operation = g.approve_anew()
    record, died = to_its_end(g, lambda: g.service.apply(operation, "worker"), Kind.CUTOVER)
    assert record.state is State.VERIFIED, record.reason
    assert g.world.served() == {t: NEW[t] for t in (by_view, by_renaming)} and died == FORWARD
    assert (g.world.jobs[OLD_JOB].paused, g.world.jobs[NEW_JOB].paused) == (True, False)
    g.clock.go_on(60)
    record, died = to_its_end(g, lambda: g.service.rollback(ERIN, BACK), Kind.ROLLBACK)
    assert record.state is State.VERIFIED, record.reason
    assert g.world.as_at_start() and died == BACKWARD
    assert (g.world.jobs[OLD_JOB].paused, g.world.jobs[NEW_JOB].paused) == (False, True)
