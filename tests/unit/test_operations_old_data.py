"""How old the data is that a rollback would serve: the plan says it, or that it is unknown."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app.operations.definition import Kind
from app.operations.old_data import LastRun, last_run, old_from, standing
from app.store.collected.records import JobRunRecord
from app.store.open import Store
from app.store.operations import State
from tests.support.operations_world import BACK, ERIN, T0, Given

RUN = LastRun("71", T0 - timedelta(hours=3))


def the_note(given: Given, kind: Kind, last: LastRun | None = RUN) -> tuple[str, datetime]:
    """What a plan says of it, and by which moment it looked for the run."""
    asked: list[datetime] = []

    def run(moment: datetime) -> LastRun | None:
        asked.append(moment)
        return last

    made = given.service_with(last_run=run).plan(kind, {}, ERIN)
    (found,) = (n for n in made.notes if "run 71" in n or "how old the data" in n)
    (moment,) = asked
    return found, moment


def test_a_cutover_says_what_its_way_back_would_serve(given: Given) -> None:
    assert the_note(given, Kind.CUTOVER)[0] == (
        "a rollback would serve what run 71 of the old job left at 2026-01-12T03:00Z, 3 h old now and older then: "
        "the old job is paused"
    )
    assert "unknown: no successful run" in the_note(given, Kind.CUTOVER, None)[0]


def test_a_rollback_says_how_old_the_data_is_that_consumers_go_back_to(given: Given) -> None:
    given.cut_over()
    given.clock.go_on(4 * 24 * 3600)
    text, moment = the_note(given, Kind.ROLLBACK)
    assert text == "consumers go back to what run 71 of the old job left at 2026-01-12T03:00Z: the data is 4.1 days old"
    assert moment == T0, "what ended after the cutover began wrote other tables"
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert the_note(given, Kind.CUTOVER)[1] == given.clock(), "the old job writes its own tables again"


@pytest.mark.parametrize("kind", [Kind.REHEARSE, Kind.PAUSE])
def test_other_plans_say_nothing_of_it(given: Given, kind: Kind) -> None:
    made = given.service.plan(kind, {"job": "baseline"} if kind is Kind.PAUSE else {}, ERIN)
    assert not [n for n in made.notes if "of the old job" in n]


def a_run(number: int, hours: float, state: str = "SUCCESS", generated: bool = False) -> JobRunRecord:
    start = T0 + timedelta(hours=hours)
    return JobRunRecord(
        "baseline", 1, number, None, None, "TERMINATED", state, "", start, start + timedelta(hours=1), 3600.0, 0.0, "",
        generated=generated,
    )  # fmt: skip


def test_the_last_run_that_succeeded_and_had_ended_counts_and_generated_history_does_not(store: Store) -> None:
    assert last_run(store.collected, T0) is None
    store.collected.put_runs(
        [a_run(1, -9), a_run(2, -6), a_run(3, -4, "FAILED"), a_run(4, -3, generated=True), a_run(5, -0.5)]
    )
    assert last_run(store.collected, T0) == LastRun("2", T0 - timedelta(hours=5))
    assert last_run(store.collected, T0 + timedelta(hours=1)) == LastRun("5", T0 + timedelta(hours=0.5))


def test_a_cutover_holds_until_it_is_rolled_back(given: Given) -> None:
    given.cut_over()
    cutover = given.store.operations.last("cutover", "00_rds")
    assert cutover is not None and standing(cutover, None) is cutover and standing(None, None) is None
    assert old_from(cutover, given.clock()) == cutover.started_at
    given.clock.go_on(60)
    given.service.rollback(ERIN, BACK)
    assert standing(cutover, given.store.operations.last("rollback", "00_rds")) is None
