"""A plan says what the last rehearsal measured: seconds without a name, and with both sides mixed."""

from __future__ import annotations

from app.operations import expected
from app.operations.definition import Kind
from app.store.operations import State
from tests.support.operations_world import ERIN, MIGRATION, Given


def rehearsed(g: Given) -> None:
    made = g.service.plan(Kind.REHEARSE, {"rows": 10}, ERIN)
    g.service.submit(made, ERIN, made.confirmation)
    assert g.service.apply(made.operation_id, "worker").state is State.VERIFIED


def test_without_a_rehearsal_nothing_is_measured_yet(given: Given) -> None:
    assert expected.NOT_MEASURED in given.service.plan(Kind.CUTOVER, {}, ERIN).notes


def test_a_rehearsal_measures_each_table_and_the_plan_says_so(given: Given) -> None:
    given.world.after("ALTER VIEW", lambda: given.clock.go_on(0.1))
    rehearsed(given)
    given.world.undisturbed()
    notes = given.service.plan(Kind.CUTOVER, {}, ERIN).notes
    assert expected.NOT_MEASURED not in notes
    (absent,) = (n for n in notes if n.startswith("expected time without a name"))
    assert all(f"{t.name} " in absent for t in MIGRATION.tables) and "not measured" not in absent
    (mixed,) = (n for n in notes if n.startswith("expected time with both sides mixed"))
    assert mixed.endswith(": 0.5 s"), "six flips, a tenth of a second apart"
    assert given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).notes == ()
