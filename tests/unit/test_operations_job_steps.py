"""What pausing, unpausing and setting parameters send, and what is taken for done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.operations.model import Model
from app.operations.requests import Call
from app.operations.steps import PauseSchedule, SetParameters, StepFailed, UnpauseSchedule
from app.operations.world import JobState

SCHEDULE = {"quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "UTC"}
TRIGGERS = [{"periodic": {"interval": 6, "unit": "HOURS"}}, {"file_arrival": {"url": "/x"}}]


def seen(settings: Any = SCHEDULE, block: str = "schedule", paused: bool | None = False, **changes: Any) -> Model:
    job = JobState(7, "j", paused, block, json.dumps(settings), "", (("a", "1"), ("b", "2")))
    return Model({}, {7: replace(job, **changes)})


def body(step: Any, world: Model) -> Any:
    (call,) = step.requests(world)
    assert isinstance(call, Call) and call.body is not None
    return call.body["new_settings"]


@pytest.mark.parametrize(("step", "status"), [(PauseSchedule(7, "j"), "PAUSED"), (UnpauseSchedule(7, "j"), "UNPAUSED")])
def test_all_else_of_a_schedule_is_sent_back_as_it_was(step: Any, status: str) -> None:
    assert body(step, seen()) == {"schedule": {**SCHEDULE, "pause_status": status}}
    wanted = [{**t, "pause_status": status} for t in TRIGGERS]
    assert body(step, seen(TRIGGERS, "triggers")) == {"triggers": wanted}


def test_a_schedule_that_arrived_otherwise_does_not_read_back_well() -> None:
    step = PauseSchedule(7, "j")
    sent = step.requests(seen())
    assert step.is_so(seen(paused=True), sent)
    lost = {"quartz_cron_expression": "0 0 7 * * ?"}
    assert not step.is_so(seen(lost, paused=True), sent)
    assert not step.is_so(seen(), sent)


def test_a_job_that_nothing_starts_is_neither_paused_nor_unpaused() -> None:
    for step in (PauseSchedule(7, "j"), UnpauseSchedule(7, "j")):
        with pytest.raises(StepFailed, match="no longer has a schedule"):
            step.is_done(seen(None, "", paused=None))


def test_parameters_that_are_not_named_keep_their_values() -> None:
    step = SetParameters(7, "j", (("b", "3"),))
    assert not step.is_done(seen())
    assert body(step, seen()) == {"parameters": [{"name": "a", "default": "1"}, {"name": "b", "default": "3"}]}
    assert step.is_done(seen(parameters=(("a", "1"), ("b", "3"))))


def test_a_parameter_that_the_job_lacks_is_not_invented() -> None:
    step = SetParameters(7, "j", (("c", "3"),))
    for look in (step.is_done, step.requests):
        with pytest.raises(StepFailed, match="j has no parameter c"):
            look(seen())
