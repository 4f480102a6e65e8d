"""The cutover window at the service: outside it nothing starts but the way back."""

from __future__ import annotations

import pytest

from app.access import Refused
from app.config.window import Window
from app.operations.definition import Kind
from app.operations.service import OperationsService
from app.store.operations import State
from tests.support.operations_world import BACK, CUT, ERIN, LARS, MIGRATION, T0, Given, all_new, all_old

TODAY = "monday"  # T0 is Monday 2026-01-12 06:00 UTC.
DAY = 24 * 3600


def service(given: Given, opens: str, closes: str) -> OperationsService:
    hours = {"days": [TODAY], "opens": opens, "closes": closes}
    window = Window.model_validate({"timezone": "UTC", "hours": [hours]})
    return given.service_with(MIGRATION.model_copy(update={"cutover_window": window}))


def submitted(found: OperationsService) -> str:
    made = found.plan(Kind.CUTOVER, {}, ERIN)
    operation = found.submit(made, ERIN, CUT)
    found.approve(operation, LARS)
    return operation


def test_a_cutover_starts_in_its_window(given: Given) -> None:
    found = service(given, "05:00", "07:00")
    assert f"{T0:%A}".lower() == TODAY
    operation = submitted(found)
    assert "open until 2026-01-12T07:00Z" in found.operation(operation).plan.notes[0]
    assert [o.id for o in found.ready()] == [operation]
    assert found.apply(operation, "worker").state is State.VERIFIED and all_new(given)


def test_outside_its_window_it_waits_and_says_when_it_opens(given: Given) -> None:
    found = service(given, "08:00", "09:00")
    operation = submitted(found)
    assert "closed; it opens next at 2026-01-12T08:00Z" in found.operation(operation).plan.notes[0]
    for executor in ("worker", ERIN):
        with pytest.raises(Refused, match=r"is closed: monday 08:00-09:00 .UTC.; it opens next at 2026-01-12T08"):
            found.apply(operation, executor)
    assert found.ready() == [] and given.world.log == []
    assert found.operation(operation).record.state is State.READY
    given.clock.go_on(2 * 3600)
    assert [o.id for o in found.ready()] == [operation]
    assert found.apply(operation, "worker").state is State.VERIFIED and all_new(given)


def test_a_rollback_and_light_operations_need_no_window(given: Given) -> None:
    given.cut_over()
    found = service(given, "08:00", "09:00")
    assert found.rollback(ERIN, BACK).state is State.VERIFIED and all_old(given)
    paused = found.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    operation = found.submit(paused, ERIN, paused.confirmation)
    assert [o.kind for o in found.ready()] == ["pause"]
    assert found.apply(operation, "worker").state is State.VERIFIED


def test_an_interrupted_cutover_goes_forward_in_the_window_alone(given: Given) -> None:
    from tests.support.operations_world import Crash

    found = service(given, "05:00", "07:00")
    operation = submitted(found)
    given.world.crash_after("pause 00_RDS")
    with pytest.raises(Crash):
        found.apply(operation, "worker")
    given.world.undisturbed()
    given.clock.go_on(3600)
    ended = found.resume(operation, ERIN)
    assert ended.state is State.UNDONE and "the cutover window is closed" in ended.reason
    assert all_old(given)
