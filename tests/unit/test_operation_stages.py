"""How far an operation is, and what its stages are expected to take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.operations.definition import Kind
from app.operations.service import OperationView
from app.operations.stages import Expected, expected, newest, stages, step_elapsed
from app.store.operations import Phase, State
from tests.support.operations_world import ERIN, MIGRATION, Crash, Given


def seen(given: Given, operation: str) -> OperationView:
    return given.service.operation(operation)


def of(given: Given, found: OperationView, wanted: Expected | None = None, *, moving: bool = False) -> dict[str, str]:
    at = stages(found.plan.steps, found.journal, given.clock(), wanted or Expected(), moving=moving)
    return {s.stage: f"{s.progress} {s.done}/{s.steps} {s.elapsed} {s.expected}" for s in at}


def test_before_it_starts_every_stage_waits_and_nothing_is_known(given: Given) -> None:
    operation = given.approved()
    found = of(given, seen(given, operation))
    assert set(found) >= {"save", "pause", "prepare", "exchange", "flip", "verify", "outcome"}
    assert found["flip"] == "waiting 0/6 None None" and all(v.startswith("waiting") for v in found.values())
    assert expected(given.store.operations, MIGRATION, Kind.CUTOVER) == Expected()


def test_stages_that_are_over_keep_their_time_and_the_current_one_goes_on(given: Given) -> None:
    operation = given.approved()
    given.world.before("ALTER VIEW", lambda: given.clock.go_on(0.1))
    given.world.crash_after("AS SELECT * FROM `product`.`fde`.`dlt_v2_iv_fde_ax`")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    found = seen(given, operation)
    given.clock.go_on(100)
    still, going = of(given, found), of(given, found, moving=True)
    assert still["prepare"].startswith("done") and still["exchange"] == going["exchange"]
    current = next(stage for stage, text in going.items() if text.startswith("current"))
    assert current == "flip" and going["verify"].startswith("waiting 0/")
    elapsed = [float(text[current].split()[2]) for text in (still, going)]
    assert elapsed[1] - elapsed[0] >= 100, "only what is executed takes more time"


def test_a_failed_step_shows_in_its_stage(given: Given) -> None:
    operation = given.approved()
    given.world.ignore("unpause 00_RDS_v2")
    assert given.service.apply(operation, "worker").state is State.UNDONE
    found = of(given, seen(given, operation))
    assert found["unpause"].startswith("failed 0/1") and found["outcome"].startswith("waiting")


def test_the_newest_operation_of_the_kind_says_what_to_expect_and_a_rehearsal_the_rest(given: Given) -> None:
    given.world.before("RENAME TO", lambda: given.clock.go_on(0.1))
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    assert given.service.apply_here(made, ERIN, made.confirmation).state is State.VERIFIED
    rehearsed = expected(given.store.operations, MIGRATION, Kind.CUTOVER)
    assert (
        rehearsed.stages["exchange"] > 0
        and "exchange 1" not in rehearsed.stages
        and "parameters" not in rehearsed.stages
    )
    assert rehearsed.steps.keys() >= {("FlipView", "dim_fde"), ("RenameTable", "dim_fde")}
    given.world.undisturbed()
    given.world.before("AS SELECT", lambda: given.clock.go_on(0.3))
    given.cut_over()
    after = expected(given.store.operations, MIGRATION, Kind.CUTOVER)
    assert after.stages["flip"] > rehearsed.stages["flip"] and after.stages["exchange"] < rehearsed.stages["exchange"]
    assert "parameters" in after.stages
    assert "names back" in expected(given.store.operations, MIGRATION, Kind.ROLLBACK).stages, "by the rehearsal"
    assert expected(given.store.operations, MIGRATION, Kind.PAUSE) == Expected()


def test_a_step_has_the_time_that_it_took_or_has_taken(given: Given) -> None:
    operation = given.approved()
    given.world.crash_before("pause 00_RDS")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    lines = newest(seen(given, operation).journal)
    under_way = next(e for e in lines.values() if e.phase is Phase.INTENT)
    later = under_way.at + timedelta(seconds=7)
    assert step_elapsed(under_way, later) == 7.0
    assert step_elapsed(under_way, under_way.at - timedelta(seconds=7)) == 0.0, "a clock that is behind"
    assert step_elapsed(None, later) is None
    done = next(e for e in lines.values() if e.phase is Phase.DONE)
    assert step_elapsed(done, later) == done.detail["seconds"]
