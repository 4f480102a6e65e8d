"""Retries and repairs are collected: a repaired run is no plain success, whenever the repair was made."""

from __future__ import annotations

import uuid
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import jobs as sdk

from app.collect.context import CollectContext
from app.collect.runs import read_runs
from app.config.migration import JobRef
from app.store.collected.records import JobRunRecord, TaskRunRecord, TryRecord
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from emulator.workspace import Workspace as LocalWorkspace
from tests.support.collecting import HOUR, MIGRATION, MS, Fake, T, calls, run, update
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.rest_calls import finished, notebook
from tests.support.rest_calls import task as rest_task
from tests.support.workspace_server import Server

GET = "/api/2.2/jobs/runs/get"
LIST = "/api/2.2/jobs/runs/list"
MINUTE = 60_000


def state(result: str | None) -> dict[str, Any]:
    if result is None:
        return sdk.RunState(life_cycle_state=sdk.RunLifeCycleState.RUNNING).as_dict()
    return sdk.RunState(
        life_cycle_state=sdk.RunLifeCycleState.TERMINATED, result_state=sdk.RunResultState(result)
    ).as_dict()


def task(key: str, run_id: int, attempt: int, result: str | None, start: int, minutes: int = 1) -> dict[str, Any]:
    return sdk.RunTask(
        task_key=key, run_id=run_id, attempt_number=attempt, start_time=start, end_time=start + minutes * MINUTE,
        run_duration=minutes * MINUTE, pipeline_task=sdk.PipelineTask("p"),
    ).as_dict() | {"state": state(result)}  # fmt: skip


def failed(fake: Fake, run_id: int = 1) -> None:
    start = MS + run_id * 1000
    tasks = [task("a", run_id * 10, 0, "SUCCESS", start), task("b", run_id * 10 + 1, 0, "FAILED", start + MINUTE)]
    fake.run(run_id, start=start, end_time=start + 2 * MINUTE, state=state("FAILED"), tasks=tasks)


def repaired(fake: Fake, run_id: int = 1, result: str | None = "SUCCESS") -> None:
    """Half an hour later task b runs again, for three minutes."""
    start, again = MS + run_id * 1000, MS + run_id * 1000 + 30 * MINUTE
    end = 0 if result is None else again + 3 * MINUTE
    history = [
        sdk.RepairHistoryItem(start_time=start, end_time=start + 2 * MINUTE, type=sdk.RepairHistoryItemType.ORIGINAL),
        sdk.RepairHistoryItem(id=77, start_time=again, end_time=end, type=sdk.RepairHistoryItemType.REPAIR),
    ]
    states = ["FAILED", result]
    tasks = [
        task("a", run_id * 10, 0, "SUCCESS", start),
        task("b", run_id * 10 + 1, 0, "FAILED", start + MINUTE),
        task("b", run_id * 10 + 2, 1, result, again, 3),
    ]
    fake.run(
        run_id, start=start, end_time=end, state=state(result), tasks=tasks,
        repair_history=[h.as_dict() | {"state": state(s)} for h, s in zip(history, states, strict=True)],
    )  # fmt: skip


def read(store: Store, run_id: int = 1) -> JobRunRecord:
    found = store.collected.run(run_id)
    assert found is not None
    return found


def test_a_run_repaired_after_a_newer_run_started_does_not_stay_failed(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    failed(fake, 1)
    fake.run(2, start=MS + 10 * MINUTE)
    read_runs(collecting, "baseline")
    assert read(store).state == "FAILED"
    repaired(fake, 1)
    read_runs(collecting, "baseline")
    found = read(store)
    assert (found.state, found.repairs, found.first_result, found.first_try) == ("SUCCESS", 1, "FAILED", False)
    assert found.attempt_seconds == 5 * 60, "two minutes and three, without the half hour between them"


def test_the_attempts_of_a_run_and_the_tries_of_its_tasks_are_kept(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    repaired(fake)
    read_runs(collecting, "baseline")
    original, repair = store.collected.attempts([1])[1]
    assert (original.number, original.state, original.seconds, original.repair_id) == (0, "FAILED", 120.0, None)
    assert (repair.number, repair.state, repair.seconds, repair.repair_id) == (1, "SUCCESS", 180.0, 77)
    a, b = store.collected.tasks([1])[1]
    assert (a.tries, b.tries, b.task_run_id, b.state, b.seconds, b.error) == (1, 2, 12, "SUCCESS", 180.0, None)
    (first,) = store.collected.tries([1])[1]
    assert (first.task_key, first.task_run_id, first.attempt, first.state) == ("b", 11, 0, "FAILED")


def test_a_history_is_read_once_for_each_change(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    repaired(fake)
    assert calls(server, GET, lambda: [read_runs(collecting, "baseline") for _ in range(5)]) == 1


def test_a_run_under_repair_is_seen_and_read_when_the_repair_ends(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    fake.run(1, tasks=[task("b", 11, 0, "SUCCESS", MS)])
    fake.run(2, start=MS + 10 * MINUTE)
    read_runs(collecting, "baseline")
    repaired(fake, 1, None)
    read_runs(collecting, "baseline")
    assert read(store).active
    repaired(fake, 1)
    read_runs(collecting, "baseline")
    assert (read(store).state, read(store).repairs, read(store).active) == ("SUCCESS", 1, False)


def test_each_run_that_failed_is_looked_at_in_turn_one_call_a_turn(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    for run_id in range(1, 6):
        failed(fake, run_id)
    read_runs(collecting, "baseline")
    for run_id in range(1, 6):
        repaired(fake, run_id)
    fake.run(9, start=MS + 60 * MINUTE)
    server.requests.clear()
    for _ in range(5):
        read_runs(collecting, "baseline")
    assert len(server.asked("GET", GET)) == 5
    assert [read(store, n).repairs for n in range(1, 6)] == [1] * 5


def test_a_failed_run_that_was_deleted_holds_up_nothing(fake: Fake, store: Store, collecting: CollectContext) -> None:
    failed(fake, 1)
    failed(fake, 2)
    read_runs(collecting, "baseline")
    fake.runs = [r for r in fake.runs if r["run_id"] != 2]
    repaired(fake, 1)
    for _ in range(3):
        assert read_runs(collecting, "baseline") is None
    assert (read(store, 1).repairs, read(store, 2).state) == (1, "FAILED")


def test_retries_without_a_repair_are_tries_and_no_repair(fake: Fake, store: Store, collecting: CollectContext) -> None:
    tasks = [task("a", 10, 0, "FAILED", MS), task("a", 11, 1, "FAILED", MS + MINUTE), task("a", 12, 2, "SUCCESS", MS)]
    fake.run(1, tasks=tasks)
    read_runs(collecting, "baseline")
    assert (read(store).repairs, read(store).first_result, read(store).first_try) == (0, None, True)
    assert store.collected.tasks([1])[1][0].tries == 3
    assert [t.attempt for t in store.collected.tries([1])[1]] == [0, 1]


def test_an_original_without_a_state_is_judged_by_its_tasks(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    repaired(fake)
    fake.runs[0]["repair_history"][0].pop("state")
    read_runs(collecting, "baseline")
    assert read(store).first_result == "FAILED"
    assert store.collected.attempts([1])[1][0].state is None


def test_a_run_with_a_status_and_no_state_has_its_result(fake: Fake, store: Store, collecting: CollectContext) -> None:
    fake.run(1)
    status = sdk.RunStatus(
        state=sdk.RunLifecycleStateV2State.TERMINATED,
        termination_details=sdk.TerminationDetails(code=sdk.TerminationCodeCode.RUN_EXECUTION_ERROR, message="broke"),
    )
    found = collecting.workspace.jobs
    fake.runs[0]["status"] = status.as_dict()
    del fake.runs[0]["state"]
    one = found.run(1)
    assert (one.state, one.state_message) == ("FAILED", "broke")


def test_what_is_known_of_repairs_is_not_forgotten_when_a_list_shows_the_run_again(store: Store) -> None:
    c = store.collected
    c.put_runs([run(1, repairs=2, first_result="FAILED", attempt_seconds=5.0, tries_read=4)])
    c.put_runs([run(1)])
    found = read(store)
    assert (found.repairs, found.first_result, found.attempt_seconds, found.tries_read) == (2, "FAILED", 5.0, 4)


def test_an_error_stays_with_its_try_and_not_with_the_task(store: Store) -> None:
    c = store.collected
    c.put_runs([run(1)], [TaskRunRecord(1, "a", 11, "FAILED", T, T, 1.0, "boom")])
    c.put_runs([run(1)], [TaskRunRecord(1, "a", 12, "SUCCESS", T, T, 1.0, None, tries=2)])
    assert c.tasks([1])[1][0].error is None


def test_an_update_of_an_earlier_try_belongs_to_its_run(store: Store) -> None:
    c = store.collected
    now = TaskRunRecord(7, "dlt", 71, "SUCCESS", T + 5 * HOUR, T + 6 * HOUR, 1.0, None, "p", tries=2)
    c.put_runs([run(7)], [now], tries=[TryRecord(70, 7, "dlt", 0, "FAILED", T, T + HOUR, 1.0, None, "p")])
    c.put_updates([update("u", T + HOUR / 2)])
    assert c.updates_without_run(T) == [("u", 7)]
    assert c.run_of_task([70, 71]) == {70: 7, 71: 7}


def test_a_run_that_a_real_client_repairs_is_collected_with_its_history(
    local: LocalWorkspace, client: WorkspaceClient, spark_up: None, store: Store
) -> None:
    """The answers of the local workspace, which are built of the SDK's own classes, through the collector."""
    broken = notebook(local, "repair_me", "fail")
    # The workspace is that of all tests of this process: each has a job of its own.
    name = f"old {uuid.uuid4()}"
    made = client.jobs.create(
        name=name, tasks=[rest_task("a", notebook(local, "fine", "ok")), rest_task("b", broken, "a")]
    )
    assert made.job_id is not None
    first, second = (finished(client, client.jobs.run_now(made.job_id).run_id) for _ in range(2))
    workspace = Workspace(Endpoint(local.host, "w", local.admin_token))
    migration = MIGRATION.model_copy(update={"baseline_job": JobRef(name=name)})
    collecting = CollectContext(store.collected, workspace, migration)
    read_runs(collecting, "baseline")
    assert [read(store, r.run_id).state for r in (first, second)] == ["FAILED", "FAILED"]
    notebook(local, "repair_me", "ok")
    client.jobs.repair_run(first.run_id, rerun_all_failed_tasks=True)
    finished(client, first.run_id)
    for _ in range(2):
        read_runs(collecting, "baseline")
    found = read(store, first.run_id)
    assert found.outcome == "SUCCESS after 1 repair" and found.first_result == "FAILED"
    assert [(a.number, a.state) for a in store.collected.attempts([found.run_id])[found.run_id]] == [
        (0, "FAILED"), (1, "SUCCESS")]  # fmt: skip
    tasks = {t.task_key: t for t in store.collected.tasks([found.run_id])[found.run_id]}
    assert (tasks["a"].tries, tasks["b"].tries, tasks["b"].state) == (1, 2, "SUCCESS")
    assert [t.task_key for t in store.collected.tries([found.run_id])[found.run_id]] == ["b"]
    assert read(store, second.run_id).repairs == 0
