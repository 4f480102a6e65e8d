"""Runs of jobs: order, retries, limits, cancelling, parameters, what a stop leaves behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    InvalidParameterValue,
)
from databricks.sdk.service import jobs

from emulator.records import Run, Update, now_ms
from emulator.runner.job_run import ActiveRun
from emulator.workspace import Workspace
from tests.support.emulator_workspace import workspace_in
from tests.support.rest_calls import finished, notebook, pipeline, results, task


def test_tasks_run_by_their_dependencies_and_the_run_tells(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "quick", "ok 0.2")
    made = client.jobs.create(name="graph", tasks=[task("a", path), task("b", path, "a"), task("c", path, "a")])
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert run.state.result_state is jobs.RunResultState.SUCCESS
    assert run.status.termination_details.code is jobs.TerminationCodeCode.SUCCESS
    tasks = {t.task_key: t for t in run.tasks}
    assert tasks["b"].start_time >= tasks["a"].end_time
    assert abs(tasks["b"].start_time - tasks["c"].start_time) < 150, "b and c run side by side"
    assert (run.setup_duration, run.execution_duration, run.cleanup_duration) == (0, 0, 0)
    assert run.run_duration == run.end_time - run.start_time
    output = client.jobs.get_run_output(tasks["a"].run_id)
    assert output.notebook_output.result == "done"
    with pytest.raises(InvalidParameterValue, match="multiple tasks"):
        client.jobs.get_run_output(run.run_id)


def test_a_failure_skips_what_depends_on_it(local: Workspace, client: WorkspaceClient, spark_up: None):
    good, bad = notebook(local, "quick", "ok"), notebook(local, "bad", "fail")
    always = {"run_if": jobs.RunIf.ALL_DONE}
    failed = {"run_if": jobs.RunIf.AT_LEAST_ONE_FAILED}
    made = client.jobs.create(
        name="failing",
        tasks=[
            task("a", bad),
            task("b", good, "a"),
            task("c", good, "b"),
            task("always", good, "c", **always),
            task("failed", good, "a", **failed),
        ],
    )
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert results(run) == {
        "a": "FAILED",
        "b": "UPSTREAM_FAILED",
        "c": "UPSTREAM_FAILED",
        "always": "SUCCESS",
        "failed": "SUCCESS",
    }
    assert run.state.result_state is jobs.RunResultState.SUCCESS_WITH_FAILURES
    output = client.jobs.get_run_output(next(t.run_id for t in run.tasks if t.task_key == "a"))
    assert (output.error, output.error_trace) == ("ValueError: no", "Traceback")


def test_a_run_whose_leaf_fails_has_failed_and_can_be_repaired(
    local: Workspace, client: WorkspaceClient, spark_up: None
):
    path = notebook(local, "broken", "fail")
    good = notebook(local, "quick", "ok")
    made = client.jobs.create(name="repair", tasks=[task("a", good), task("b", path, "a"), task("c", good, "b")])
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert run.state.result_state is jobs.RunResultState.FAILED
    assert "Task b failed" in run.state.state_message
    notebook(local, "broken", "ok")
    repair_id = client.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True).response.repair_id
    again = finished(client, run.run_id)
    assert again.state.result_state is jobs.RunResultState.SUCCESS
    assert results(again) == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}
    assert [t.attempt_number for t in again.tasks] == [0, 1, 1]
    assert not again.repair_history, "the service gives it on request alone"
    assert not next(iter(client.jobs.list_runs(job_id=made.job_id, expand_tasks=True))).repair_history
    original, repair = client.jobs.get_run(run.run_id, include_history=True).repair_history
    assert (original.type, original.end_time) == (jobs.RepairHistoryItemType.ORIGINAL, run.end_time)
    assert original.state.result_state is jobs.RunResultState.FAILED
    assert (repair.id, repair.type) == (repair_id, jobs.RepairHistoryItemType.REPAIR)
    assert repair.state.result_state is jobs.RunResultState.SUCCESS


def test_retries_are_attempts_of_their_own(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "bad", "fail")
    made = client.jobs.create(name="retry", tasks=[task("a", path, max_retries=2, min_retry_interval_millis=10)])
    run_id = client.jobs.run_now(made.job_id).run_id
    finished(client, run_id)
    every = client.jobs.get_run(run_id, include_history=True)
    assert [t.attempt_number for t in every.tasks] == [0, 1, 2]
    assert [h.type for h in every.repair_history] == [jobs.RepairHistoryItemType.ORIGINAL]
    assert len({t.run_id for t in every.tasks}) == 3


def test_a_timeout_ends_the_task(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "slow", "ok 30")
    made = client.jobs.create(name="timeout", tasks=[task("a", path, timeout_seconds=1)])
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert results(run) == {"a": "TIMEDOUT"}
    assert run.state.result_state is jobs.RunResultState.FAILED


def test_cancel_ends_a_run_and_starts_nothing_more(local: Workspace, client: WorkspaceClient, spark_up: None):
    slow, quick = notebook(local, "slow", "ok 30"), notebook(local, "quick", "ok")
    made = client.jobs.create(name="cancel", tasks=[task("a", slow), task("b", quick, "a")])
    run_id = client.jobs.run_now(made.job_id).run_id
    time.sleep(0.2)
    client.jobs.cancel_run(run_id)
    run = finished(client, run_id)
    assert run.state.result_state is jobs.RunResultState.CANCELED
    assert results(run) == {"a": "CANCELED", "b": "CANCELED"}
    assert run.status.termination_details.code is jobs.TerminationCodeCode.USER_CANCELED


def test_a_cancel_at_the_very_start_of_a_run_is_kept(
    local: Workspace, client: WorkspaceClient, spark_up: None, monkeypatch: pytest.MonkeyPatch
):
    made = client.jobs.create(name="early", tasks=[task("a", notebook(local, "slow", "ok 30"))])
    start = local.jobs.start_run

    def cancelled_before(active: ActiveRun) -> None:
        local.jobs.cancel(active.run.run_id)
        start(active)

    monkeypatch.setattr(local.jobs, "start_run", cancelled_before)
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert run.state.result_state is jobs.RunResultState.CANCELED


def test_a_cancel_at_the_very_end_of_a_run_changes_nothing(local: Workspace, client: WorkspaceClient, spark_up: None):
    made = client.jobs.create(name="late", tasks=[task("a", notebook(local, "quick", "ok"))])
    run_id = finished(client, client.jobs.run_now(made.job_id).run_id).run_id
    ended = local.state.run(run_id)
    ActiveRun(local.jobs, ended, None).cancel("CANCELED", "Run cancelled.", "USER_CANCELED")
    assert local.state.run(run_id) == ended


def test_more_runs_than_allowed_wait_or_are_skipped(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "half", "ok 0.4")
    made = client.jobs.create(name="queue", tasks=[task("a", path)], queue=jobs.QueueSettings(enabled=True))
    first, second = (client.jobs.run_now(made.job_id).run_id for _ in range(2))
    waiting = client.jobs.get_run(second)
    assert waiting.state.life_cycle_state is jobs.RunLifeCycleState.QUEUED
    assert waiting.status.queue_details.code is jobs.QueueDetailsCodeCode.MAX_CONCURRENT_RUNS_REACHED
    ended, later = finished(client, first), finished(client, second)
    assert later.tasks[0].start_time >= ended.end_time
    assert later.queue_duration >= 200
    client.jobs.update(made.job_id, new_settings=jobs.JobSettings(queue=jobs.QueueSettings(enabled=False)))
    running = client.jobs.run_now(made.job_id).run_id
    skipped = client.jobs.get_run(client.jobs.run_now(made.job_id).run_id)
    assert skipped.state.life_cycle_state is jobs.RunLifeCycleState.SKIPPED
    assert skipped.state.result_state is jobs.RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED
    finished(client, running)


def test_the_limit_of_runs_may_change_while_some_wait(local: Workspace, client: WorkspaceClient, spark_up: None):
    queue = jobs.QueueSettings(enabled=True)
    made = client.jobs.create(name="wide", tasks=[task("a", notebook(local, "slow", "ok 30"))], queue=queue)
    runs = [client.jobs.run_now(made.job_id).run_id for _ in range(3)]
    client.jobs.update(made.job_id, new_settings=jobs.JobSettings(max_concurrent_runs=2))
    states = [client.jobs.get_run(r).state.life_cycle_state for r in runs]
    assert [s is jobs.RunLifeCycleState.QUEUED for s in states] == [False, False, True]
    client.jobs.update(made.job_id, new_settings=jobs.JobSettings(max_concurrent_runs=0))
    skipped = client.jobs.get_run(client.jobs.run_now(made.job_id).run_id)
    assert skipped.state.life_cycle_state is jobs.RunLifeCycleState.SKIPPED
    client.jobs.cancel_all_runs(job_id=made.job_id)
    for run in runs:
        assert finished(client, run).state.result_state is jobs.RunResultState.CANCELED


def test_one_idempotency_token_is_one_run(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "half", "ok 0.3")
    made = client.jobs.create(name="once", tasks=[task("a", path)], max_concurrent_runs=100)
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda _: client.jobs.run_now(made.job_id, idempotency_token="t-1").run_id, range(50)))
    assert len(set(ids)) == 1
    finished(client, ids[0])
    assert client.jobs.run_now(made.job_id, idempotency_token="t-1").run_id == ids[0]
    assert len(list(client.jobs.list_runs(job_id=made.job_id))) == 1


def test_parameters_reach_the_notebook(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "quick", "ok")
    made = client.jobs.create(
        name="parameters",
        parameters=[jobs.JobParameterDefinition(name="day", default="monday")],
        tasks=[
            jobs.Task(
                task_key="a",
                notebook_task=jobs.NotebookTask(
                    notebook_path=path,
                    base_parameters={"run": "{{job.run_id}}", "d": "{{job.parameters.day}}", "odd": "{{no.such}}"},
                ),
            )
        ],
    )
    run = finished(client, client.jobs.run_now(made.job_id, job_parameters={"day": "friday"}).run_id)
    seen = [r for r in local.processes.requests if r["context"]["run_id"] == run.run_id]  # type: ignore[attr-defined]
    assert seen[0]["parameters"] == {"run": str(run.run_id), "d": "friday", "odd": "{{no.such}}", "day": "friday"}
    assert [(p.name, p.value) for p in run.job_parameters] == [("day", "friday")]


def test_only_some_tasks(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "quick", "ok")
    made = client.jobs.create(name="only", tasks=[task("a", path), task("b", path, "a")])
    run = finished(client, client.jobs.run_now(made.job_id, only=["b"]).run_id)
    assert results(run) == {"b": "SUCCESS"}
    with pytest.raises(InvalidParameterValue, match="zz"):
        client.jobs.run_now(made.job_id, only=["zz"])


def test_conditions_choose_a_branch(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "quick", "ok")
    check = jobs.Task(
        task_key="check",
        condition_task=jobs.ConditionTask(op=jobs.ConditionTaskOp.GREATER_THAN, left="12", right="9"),
    )
    branch = [
        jobs.Task(
            task_key=f"is_{outcome}",
            notebook_task=jobs.NotebookTask(notebook_path=path),
            depends_on=[jobs.TaskDependency(task_key="check", outcome=outcome)],
        )
        for outcome in ("true", "false")
    ]
    made = client.jobs.create(name="condition", tasks=[check, *branch])
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert results(run) == {"check": "SUCCESS", "is_true": "SUCCESS", "is_false": "EXCLUDED"}
    assert run.state.result_state is jobs.RunResultState.SUCCESS


def test_a_missing_notebook_fails_the_task_by_name(local: Workspace, client: WorkspaceClient, spark_up: None):
    made = client.jobs.create(name="missing", tasks=[task("a", "/Shared/not there")])
    run = finished(client, client.jobs.run_now(made.job_id).run_id)
    assert run.tasks[0].status.termination_details.code is jobs.TerminationCodeCode.RESOURCE_NOT_FOUND
    assert "/Shared/not there" in client.jobs.get_run_output(run.tasks[0].run_id).error


def test_a_run_reads_only_what_who_it_acts_as_may_read(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient, spark_up: None
):
    path = "/Users/admin@example.com/private"
    local.files.import_source(path, "ok", "PYTHON")

    def ran(settings: dict[str, Any]) -> jobs.RunTask:
        made = analyst.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "reads", **settings})
        return finished(client, analyst.jobs.run_now(made["job_id"]).run_id).tasks[0]

    notebook_task = {"tasks": [{"task_key": "a", "notebook_task": {"notebook_path": path}}]}
    file_task = {"tasks": [{"task_key": "a", "spark_python_task": {"python_file": path}}]}
    for settings in (notebook_task, file_task):
        ended = ran(settings)
        assert ended.status.termination_details.code is jobs.TerminationCodeCode.UNAUTHORIZED_ERROR
        assert "analyst@example.com, lacks the required permissions" in client.jobs.get_run_output(ended.run_id).error
    assert all(r["path"] != path for r in local.processes.requests)  # type: ignore[attr-defined]
    item = str(local.files.get(path).object_id)
    local.state.set_permissions("notebooks", item, {("user", "analyst@example.com"): "CAN_READ"})
    assert ran(notebook_task).state.result_state is jobs.RunResultState.SUCCESS


def test_a_notebook_of_a_git_source_is_found_in_the_repository(
    local: Workspace, client: WorkspaceClient, spark_up: None
):
    local.files.import_source("/Repos/dbx_git/dbx/snappt/python/n", "ok", "PYTHON")
    made = client.jobs.create(
        name="git",
        git_source=jobs.GitSource("https://example.com/org/dbx", jobs.GitProvider.GIT_HUB, git_branch="main"),
        tasks=[
            jobs.Task(
                task_key="a",
                notebook_task=jobs.NotebookTask(notebook_path="snappt/python/n", source=jobs.Source.GIT),
            )
        ],
    )
    assert results(finished(client, client.jobs.run_now(made.job_id).run_id)) == {"a": "SUCCESS"}


def test_runs_are_listed_newest_first_and_by_filter(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "quick", "ok")
    made = client.jobs.create(name="listed", tasks=[task("a", path)])
    ids = [finished(client, client.jobs.run_now(made.job_id).run_id).run_id for _ in range(5)]
    found = list(client.jobs.list_runs(job_id=made.job_id, limit=2))
    assert [r.run_id for r in found] == ids[::-1]
    assert list(client.jobs.list_runs(job_id=made.job_id, active_only=True)) == []
    middle = client.jobs.get_run(ids[2]).start_time
    later = list(client.jobs.list_runs(job_id=made.job_id, start_time_from=middle))
    assert [r.run_id for r in later] == ids[:1:-1]
    assert next(iter(client.jobs.list_runs(job_id=made.job_id, expand_tasks=True))).tasks[0].task_key == "a"


def test_a_page_of_runs_has_twenty_unless_told_and_24_at_most(local: Workspace, client: WorkspaceClient):
    made = client.jobs.create(name="many runs")
    ended = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "termination_code": "SUCCESS"}
    runs = [Run(10**15 + i, made.job_id, "x", "r", "ONE_TIME", i, {}, i + 1, i + 2, **ended) for i in range(30)]
    local.state.put_runs(runs)

    def first_page(**query: int) -> int:
        query |= {"job_id": made.job_id}
        return len(client.api_client.do("GET", "/api/2.2/jobs/runs/list", query=query)["runs"])

    assert (first_page(), first_page(limit=24), first_page(limit=0)) == (20, 24, 24)


def test_runs_that_a_stop_interrupted_are_ended_at_the_next_start(tmp_path: Path):
    first = workspace_in(tmp_path)
    first.sql_ready.set()
    path = notebook(first, "slow", "ok 30")
    made = first.jobs.create({"name": "x", "tasks": [task("a", path).as_dict()]}, "admin@example.com")
    run = first.jobs.run_now(made.job_id, "admin@example.com")
    first.state.put_update(Update("u-1", "p-1", "API_CALL", "RUNNING", "x", now_ms(), {}))
    time.sleep(0.1)
    second = Workspace(tmp_path)
    second.state.end_interrupted()
    ended = second.state.run(run.run_id)
    assert ended is not None
    assert (ended.life_cycle_state, ended.result_state) == ("INTERNAL_ERROR", "FAILED")
    assert "restarted" in ended.state_message
    assert [t.life_cycle_state for t in second.state.tasks(run.run_id)] == ["INTERNAL_ERROR"]
    assert second.state.update("u-1").state == "FAILED"  # type: ignore[union-attr]
    assert second.admin_token == first.admin_token
    first.jobs.cancel(run.run_id)
    first.jobs.wait(run.run_id, 10)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"job_cluster_key": "nowhere"}, "'nowhere' is not defined in field 'job_clusters'"),
        ({"timeout_seconds": -1}, "timeout_seconds of task 'a' must not be negative"),
        ({"max_retries": -2}, "max_retries of task 'a' must be -1"),
    ],
)
def test_a_task_that_names_what_is_not_there_is_refused(client: WorkspaceClient, wrong: dict[str, Any], says: str):
    with pytest.raises(InvalidParameterValue, match=says):
        client.jobs.create(name="wrong", tasks=[task("a", "/Shared/one", **wrong)])


def test_a_run_needs_the_right_to_start_what_its_task_names(local: Workspace, client: WorkspaceClient, spark_up: None):
    inner = client.jobs.create(name="inner", tasks=[task("a", notebook(local, "quick", "ok"))])
    outer = client.jobs.create(
        name="outer",
        tasks=[jobs.Task(task_key="other", run_job_task=jobs.RunJobTask(job_id=inner.job_id))],
        run_as=jobs.JobRunAs(user_name="analyst@example.com"),
    )
    refused = finished(client, client.jobs.run_now(outer.job_id).run_id)
    assert refused.state.result_state is jobs.RunResultState.FAILED
    assert "PERMISSION_DENIED" in client.jobs.get_run_output(refused.tasks[0].run_id).error
    assert list(client.jobs.list_runs(job_id=inner.job_id)) == []
    may = jobs.JobAccessControlRequest(
        user_name="analyst@example.com", permission_level=jobs.JobPermissionLevel.CAN_MANAGE_RUN
    )
    client.jobs.update_permissions(str(inner.job_id), access_control_list=[may])
    allowed = finished(client, client.jobs.run_now(outer.job_id).run_id)
    assert allowed.state.result_state is jobs.RunResultState.SUCCESS


def test_an_update_that_a_kill_ended_says_so_in_its_event_log(local: Workspace, client: WorkspaceClient):
    id = pipeline(client, "interrupted")
    local.state.put_update(Update("abcdef-1", id, "API_CALL", "RUNNING", "x", now_ms(), {}))
    local.pipelines.tell_interrupted(local.state.end_interrupted()[1])
    newest = next(iter(client.pipelines.list_pipeline_events(id, filter="level in ('ERROR')")))
    assert (newest.event_type, newest.message) == ("update_progress", "Update abcdef has FAILED.")
    assert newest.error.fatal and "stopped while" in newest.error.exceptions[0].message
