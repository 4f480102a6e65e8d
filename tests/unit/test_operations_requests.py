"""What the steps of operations send over REST, once each, and how the engine reads back whether it took effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.operations.databricks import DatabricksWorld
from app.operations.definition import Kind
from app.operations.engine import Engine, Hold, Timing
from app.operations.performer import Performer
from app.operations.steps import (
    PauseSchedule,
    RestoreGrants,
    RevokeGrants,
    RunJob,
    SetParameters,
    StartUpdate,
    Step,
    StepFailed,
    UnpauseSchedule,
)
from app.operations.steps.base import PlannedStep
from app.operations.world import Grant
from app.store.leases import OPERATIONS_LEASE
from app.store.operations import JournalEntry, Phase
from databricks_client import tables
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import ERIN, T0, Given
from tests.support.workspace_server import Hangup, Refusal, Request, Server
from tests.support.world_contract import do

JOB = 314473856953682
UPDATE_JOB = "/api/2.2/jobs/update"
RUN_NOW = "/api/2.2/jobs/run-now"
UPDATES = "/api/2.0/pipelines/p1/updates"
TABLE = "/api/2.1/unity-catalog/tables/c.s.t"
PERMISSIONS = "/api/2.1/unity-catalog/permissions/table/c.s.t"


def world_of(server: Server) -> DatabricksWorld:
    return DatabricksWorld(server.workspace())


def perform(server: Server, step: Step) -> list[JournalEntry]:
    """Executes the step on the server as an operation does; gives its journal. Raises StepFailed."""
    given = Given()
    world = world_of(server)
    performer = Performer(
        world, given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).observation, lambda: None, given.clock
    )
    lease = given.store.leases.acquire(OPERATIONS_LEASE, "me", 60)
    assert lease is not None
    with Hold(given.store.leases, lease, 60, beat=False, clock=given.clock) as hold:
        engine = Engine(
            performer, given.store.operations, hold, "op-1", "forward",
            clock=given.clock, sleep=given._sleep, timing=Timing(0.01, 0.01),
        )  # fmt: skip
        engine.run([PlannedStep(1, "only", "", step)])
    return given.store.operations.journal("op-1")


def outcome(journal: list[JournalEntry]) -> JournalEntry:
    """The last line: what became of the step."""
    assert journal[0].phase is Phase.INTENT
    return journal[-1]


# ------------------------------------------------------------------------------------------------ schedules of jobs


def job(pause: str = "UNPAUSED", **more: Any) -> dict[str, Any]:
    schedule = {
        "quartz_cron_expression": "55 0 5/6 * * ?",
        "timezone_id": "America/New_York",
        "pause_status": pause,
        **more,
    }
    return {"job_id": JOB, "settings": {"name": "00_RDS", "schedule": schedule, "max_concurrent_runs": 1}}


class Stateful:
    """The job of the server: update replaces each top-level field whole, as the service does."""

    def __init__(self, server: Server, document: dict[str, Any], answers: bool = True) -> None:
        self.document = document
        self.answers = answers
        server.on("GET", "/api/2.2/jobs/get", lambda _: self.document)
        server.on("POST", UPDATE_JOB, self.update)

    def update(self, request: Request) -> Any:
        self.document["settings"].update(request.body["new_settings"])
        if not self.answers:
            raise Hangup
        return {}


def test_pausing_sends_the_complete_schedule_with_fields_the_sdk_does_not_know(server: Server) -> None:
    state = Stateful(server, job(field_of_tomorrow={"a": [1]}))
    assert outcome(perform(server, PauseSchedule(JOB, "00_RDS"))).phase is Phase.DONE
    assert world_of(server).job("00_RDS", JOB).paused is True
    (sent,) = server.asked("POST", UPDATE_JOB)
    assert sent.body == {
        "job_id": JOB,
        "new_settings": {
            "schedule": {
                "quartz_cron_expression": "55 0 5/6 * * ?",
                "timezone_id": "America/New_York",
                "pause_status": "PAUSED",
                "field_of_tomorrow": {"a": [1]},
            }
        },
    }
    assert state.document["settings"]["max_concurrent_runs"] == 1


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("trigger", {"file_arrival": {"url": "s3://b/p/"}, "pause_status": "PAUSED"}),
        ("continuous", {"pause_status": "PAUSED", "task_retry_mode": "ON_FAILURE"}),
        (
            "triggers",
            [
                {"periodic": {"interval": 1, "unit": "HOURS"}, "pause_status": "PAUSED"},
                {"file_arrival": {"url": "s3://b/p/"}, "pause_status": "PAUSED"},
            ],
        ),
    ],
)
def test_unpausing_sends_whichever_block_the_job_has(server: Server, kind: str, block: Any) -> None:
    Stateful(server, {"job_id": JOB, "settings": {"name": "x", kind: block}})
    assert outcome(perform(server, UnpauseSchedule(JOB, "x"))).phase is Phase.DONE
    now = world_of(server).job("x", JOB)
    assert now.block == kind and now.paused is False
    (sent,) = server.asked("POST", UPDATE_JOB)
    unpaused = {"pause_status": "UNPAUSED"}
    whole = [{**t, **unpaused} for t in block] if isinstance(block, list) else {**block, **unpaused}
    assert sent.body["new_settings"] == {kind: whole}


def test_pausing_a_job_that_nothing_starts_is_refused_before_any_write(server: Server) -> None:
    Stateful(server, {"job_id": JOB, "settings": {"name": "x"}})
    with pytest.raises(StepFailed, match="no longer has a schedule, trigger or continuous block"):
        perform(server, PauseSchedule(JOB, "x"))
    assert server.asked("POST", UPDATE_JOB) == []


def test_a_pause_whose_answer_was_lost_is_sent_once_and_read_back(server: Server) -> None:
    Stateful(server, job(), answers=False)
    done = outcome(perform(server, PauseSchedule(JOB, "00_RDS")))
    assert done.phase is Phase.DONE and "the answer was lost" in done.text
    assert len(server.asked("POST", UPDATE_JOB)) == 1
    assert world_of(server).job("00_RDS", JOB).paused is True


def test_one_call_is_sent_once_and_a_lost_answer_is_uncertain(server: Server) -> None:
    Stateful(server, job(), answers=False)
    with pytest.raises(WorkspaceError, match=f"^pause job {JOB}: no answer from the workspace") as caught:
        do(world_of(server), PauseSchedule(JOB, "00_RDS"))
    assert caught.value.uncertain and len(server.asked("POST", UPDATE_JOB)) == 1


def test_a_pause_that_did_not_take_effect_fails_though_the_service_said_yes(server: Server) -> None:
    server.on("GET", "/api/2.2/jobs/get", job())
    server.on("POST", UPDATE_JOB, {})
    with pytest.raises(StepFailed, match="the answer was success, but the effect is missing"):
        perform(server, PauseSchedule(JOB, "00_RDS"))
    assert len(server.asked("POST", UPDATE_JOB)) == 1


def test_a_pause_that_lost_a_field_of_the_schedule_fails_though_the_job_is_paused(server: Server) -> None:
    state = Stateful(server, job(field_of_tomorrow=1))

    def update(request: Request) -> Any:
        state.update(request)
        del state.document["settings"]["schedule"]["field_of_tomorrow"]
        return {}

    server.on("POST", UPDATE_JOB, update)
    with pytest.raises(StepFailed, match="the effect is missing"):
        perform(server, PauseSchedule(JOB, "00_RDS"))
    assert world_of(server).job("00_RDS", JOB).paused is True


# ----------------------------------------------------------------------------------------------- parameters of jobs

PARAMETERS = [{"name": "source_prefix", "default": "dlt_v2_"}, {"name": "report_prefix", "default": "v2_"}]


def with_parameters() -> dict[str, Any]:
    return {"job_id": JOB, "settings": {"name": "00_RDS_v2", "parameters": [dict(p) for p in PARAMETERS]}}


@pytest.mark.parametrize("answers", [True, False])
def test_a_parameter_is_sent_with_all_others_once_and_read_back(server: Server, answers: bool) -> None:
    Stateful(server, with_parameters(), answers)
    done = outcome(perform(server, SetParameters(JOB, "00_RDS_v2", (("report_prefix", ""),))))
    assert done.phase is Phase.DONE and ("the answer was lost" in done.text) is not answers
    (sent,) = server.asked("POST", UPDATE_JOB)
    assert sent.body == {
        "job_id": JOB,
        "new_settings": {"parameters": [PARAMETERS[0], {"name": "report_prefix", "default": ""}]},
    }
    assert dict(world_of(server).job("00_RDS_v2", JOB).parameters)["report_prefix"] == ""


def test_a_parameter_that_the_job_lacks_is_refused_before_any_write(server: Server) -> None:
    Stateful(server, with_parameters())
    with pytest.raises(StepFailed, match="00_RDS_v2 has no parameter prefix"):
        perform(server, SetParameters(JOB, "00_RDS_v2", (("prefix", ""),)))
    assert server.asked("POST", UPDATE_JOB) == []


def test_a_parameter_that_did_not_change_fails_though_the_service_said_yes(server: Server) -> None:
    server.on("GET", "/api/2.2/jobs/get", with_parameters())
    server.on("POST", UPDATE_JOB, {})
    with pytest.raises(StepFailed, match="the answer was success, but the effect is missing"):
        perform(server, SetParameters(JOB, "00_RDS_v2", (("report_prefix", ""),)))


# ------------------------------------------------------------------------------------------------- runs and updates


def test_an_update_is_started_once_even_when_the_answer_is_lost(server: Server) -> None:
    def lost(_: Request) -> Any:
        raise Hangup

    server.on("POST", UPDATES, lost)
    with pytest.raises(WorkspaceError) as caught:
        do(world_of(server), StartUpdate("p1", "P", full_refresh_selection=("a",)))
    assert caught.value.uncertain and len(server.requests) == 1
    assert server.requests[0].body == {"full_refresh_selection": ["a"]}


@pytest.mark.parametrize("ahead", [-86400, -10, 0, 10, 86400])
def test_an_update_whose_answer_was_lost_is_found_by_its_id_whatever_the_clocks_say(server: Server, ahead: int) -> None:
    """ahead: seconds that this clock is ahead of the service's."""
    full = {"full_refresh_selection": ["a"]}
    before = {"update_id": "u0", "state": "COMPLETED", "cause": "API_CALL", "creation_time": 1, **full}
    updates: list[dict[str, Any]] = [before]

    def start(request: Request) -> Any:
        created = round((T0 - timedelta(seconds=ahead)).timestamp() * 1000)
        updates.insert(0, {**before, "update_id": "u1", "state": "QUEUED", "creation_time": created, **request.body})
        raise Hangup

    server.on("POST", UPDATES, start)
    server.on("GET", UPDATES, lambda _: {"updates": updates})
    done = outcome(perform(server, StartUpdate("p1", "P", full_refresh_selection=("a",))))
    assert done.phase is Phase.DONE and "the answer was lost" in done.text
    assert len(server.asked("POST", UPDATES)) == 1


def test_an_update_beside_an_active_one_is_refused_and_certain(server: Server) -> None:
    def conflict(_: Request) -> Any:
        raise Refusal(409, "CONFLICT", "An active update already exists")

    server.on("POST", UPDATES, conflict)
    with pytest.raises(WorkspaceError) as caught:
        do(world_of(server), StartUpdate("p1", "P"))
    assert caught.value.status == 409 and not caught.value.uncertain
    assert server.requests[0].body == {}


def test_a_run_is_requested_again_with_the_same_token(server: Server) -> None:
    calls: list[Any] = []

    def answer(request: Request) -> Any:
        calls.append(request.body)
        if len(calls) == 1:
            raise Hangup
        return {"run_id": 77, "number_in_job": 77}

    server.on("POST", RUN_NOW, answer)
    server.on("GET", "/api/2.2/jobs/runs/get", {
        "job_id": JOB, "run_id": 77, "start_time": 1_700_000_000_000, "state": {"life_cycle_state": "PENDING"},
    })  # fmt: skip
    done = outcome(perform(server, RunJob(JOB, "00_RDS", "t" * 64)))
    assert done.phase is Phase.DONE and done.detail["run_id"] == "77"
    assert calls == [{"job_id": JOB, "idempotency_token": "t" * 64}] * 2


def test_the_token_of_a_run_is_one_that_the_service_takes(given: Given) -> None:
    """It takes 1 to 64 characters."""
    made = given.service.plan(Kind.RUN_NOW, {"job": "candidate"}, ERIN)
    tokens = [p.step.token for p in made.steps if isinstance(p.step, RunJob)]
    assert tokens == [made.operation_id] and 1 <= len(tokens[0]) <= 64


# ------------------------------------------------------------------------------------------------------------ grants


class Grants:
    """Direct grants of one table, changed by PATCH as the service does it."""

    def __init__(self, server: Server, held: dict[str, set[str]], answers: bool = True) -> None:
        self.held, self.answers = held, answers
        server.on("GET", TABLE, {"full_name": "c.s.t", "table_type": "MANAGED", "owner": "boss"})
        server.on("GET", PERMISSIONS, self.read)
        server.on("PATCH", PERMISSIONS, self.change)

    def read(self, request: Request) -> Any:
        if request.one("page_token") is None:
            return {"privilege_assignments": [], "next_page_token": "more"}  # A page may be empty and not the last.
        entries = [{"principal": who, "privileges": sorted(ps)} for who, ps in self.held.items() if ps]
        return {"privilege_assignments": entries}

    def change(self, request: Request) -> Any:
        for entry in request.body["changes"]:
            have = self.held.setdefault(entry["principal"], set())
            have.update(entry.get("add", []))
            have.difference_update(entry.get("remove", []))
        if not self.answers:
            raise Hangup
        return {}


@pytest.mark.parametrize("answers", [True, False])
def test_grants_are_given_back_in_one_call_that_names_only_the_missing_ones(server: Server, answers: bool) -> None:
    grants = Grants(server, {"analysts": {"SELECT"}, "newcomer": {"MODIFY"}}, answers)
    wanted = (
        Grant("analysts", ("SELECT",)),
        Grant("data-consumers", ("SELECT",)),
        Grant("etl", ("APPLY_TAG", "SELECT")),
    )
    assert outcome(perform(server, RestoreGrants("c.s.t", wanted))).phase is Phase.DONE
    (sent,) = server.asked("PATCH", PERMISSIONS)
    assert sent.body == {
        "changes": [
            {"principal": "data-consumers", "add": ["SELECT"]},
            {"principal": "etl", "add": ["APPLY_TAG", "SELECT"]},
        ]
    }
    assert server.workspace().tables.grants("c.s.t") == {
        *(tables.Grant(g.principal, p) for g in wanted for p in g.privileges),
        tables.Grant("newcomer", "MODIFY"),
    }
    assert grants.held["newcomer"] == {"MODIFY"}, "granted elsewhere meanwhile: it stays"
    (again,) = perform(server, RestoreGrants("c.s.t", wanted))
    assert again.phase is Phase.ALREADY and len(server.asked("PATCH", PERMISSIONS)) == 1


@pytest.mark.parametrize("answers", [True, False])
def test_grants_are_taken_away_in_one_call_that_names_only_those_that_are_there(server: Server, answers: bool) -> None:
    grants = Grants(server, {"analysts": {"SELECT"}, "intruder": {"MODIFY", "SELECT"}}, answers)
    unwanted = (Grant("intruder", ("MODIFY",)), Grant("gone", ("SELECT",)))
    assert outcome(perform(server, RevokeGrants("c.s.t", unwanted))).phase is Phase.DONE
    (sent,) = server.asked("PATCH", PERMISSIONS)
    assert sent.body == {"changes": [{"principal": "intruder", "remove": ["MODIFY"]}]}
    assert grants.held == {"analysts": {"SELECT"}, "intruder": {"SELECT"}}
    (again,) = perform(server, RevokeGrants("c.s.t", unwanted))
    assert again.phase is Phase.ALREADY and len(server.asked("PATCH", PERMISSIONS)) == 1


@pytest.mark.parametrize(
    ("held", "step"),
    [
        ({}, RestoreGrants("c.s.t", (Grant("a", ("SELECT",)),))),
        ({"a": {"SELECT"}}, RevokeGrants("c.s.t", (Grant("a", ("SELECT",)),))),
    ],
)
def test_grants_that_still_differ_after_the_change_are_an_error(
    server: Server, held: dict[str, set[str]], step: Step
) -> None:
    Grants(server, held)
    server.on("PATCH", PERMISSIONS, lambda _: {})
    with pytest.raises(StepFailed, match="SELECT to a: the answer was success, but the effect is missing"):
        perform(server, step)


def test_grants_that_are_as_wanted_need_no_call(server: Server) -> None:
    Grants(server, {"a": {"SELECT"}})
    world = world_of(server)
    assert RestoreGrants("c.s.t", (Grant("a", ("SELECT",)),)).requests(world) == ()
    assert RevokeGrants("c.s.t", (Grant("b", ("SELECT",)),)).requests(world) == ()
