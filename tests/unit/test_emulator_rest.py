"""The local workspace's REST API through the real SDK, without Spark: answers, refusals, permissions, faults."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    DatabricksError,
    InternalError,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service import apps, jobs, pipelines
from databricks.sdk.service import workspace as tree
from emulator_workspace import workspace_in

from emulator.__main__ import listen
from emulator.faults import Faults, Rule
from emulator.records import Run, Update, now_ms
from emulator.rest.app import create_app
from emulator.runner.job_run import ActiveRun
from emulator.workspace import Workspace


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = workspace_in(tmp_path_factory.mktemp("rest"))
    listener = listen(0)
    workspace.host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(create_app(workspace), http="h11", lifespan="off", log_level="error", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    workspace.ensure_user("analyst@example.com", "Ada Nowak")
    workspace.ensure_group("readers", ("analyst@example.com",))
    yield workspace
    server.should_exit = True
    thread.join(5)


def client_of(workspace: Workspace, token: str) -> WorkspaceClient:
    config = Config(host=workspace.host, token=token, auth_type="pat", retry_timeout_seconds=2)
    return WorkspaceClient(config=config)


@pytest.fixture(scope="module")
def client(local: Workspace) -> WorkspaceClient:
    return client_of(local, local.admin_token)


@pytest.fixture(scope="module")
def analyst(local: Workspace) -> WorkspaceClient:
    return client_of(local, local.token_for("analyst@example.com"))


@pytest.fixture
def spark_up(local: Workspace) -> Iterator[None]:
    local.sql_ready.set()
    yield
    local.sql_ready.clear()


def notebook(local: Workspace, name: str, text: str) -> str:
    path = f"/Shared/{name}"
    local.files.import_source(path, text, "PYTHON")
    return path


def task(key: str, path: str, *after: str, **more: Any) -> jobs.Task:
    return jobs.Task(
        task_key=key,
        notebook_task=jobs.NotebookTask(notebook_path=path),
        depends_on=[jobs.TaskDependency(task_key=a) for a in after],
        **more,
    )


def schedule(status: str = "PAUSED") -> jobs.CronSchedule:
    return jobs.CronSchedule("55 0 5/6 * * ?", "America/New_York", pause_status=jobs.PauseStatus(status))


# -- jobs ------------------------------------------------------------------------------------------------------------------


def test_a_job_is_read_back_as_it_was_created(local: Workspace, client: WorkspaceClient):
    path = notebook(local, "one", "ok")
    made = client.jobs.create(name="read back", tasks=[task("a", path), task("b", path, "a")], schedule=schedule())
    found = client.jobs.get(made.job_id)
    assert found.creator_user_name == "admin@example.com"
    assert found.settings.schedule == schedule()
    assert [t.task_key for t in found.settings.tasks] == ["a", "b"]
    assert found.settings.tasks[1].depends_on[0].task_key == "a"
    assert found.settings.max_concurrent_runs == 1
    listed = list(client.jobs.list(name="READ BACK"))
    assert [j.job_id for j in listed] == [made.job_id]
    assert not listed[0].settings.tasks
    assert len(next(iter(client.jobs.list(name="read back", expand_tasks=True))).settings.tasks) == 2


def test_update_replaces_each_given_field_whole_and_leaves_the_others(local: Workspace, client: WorkspaceClient):
    path = notebook(local, "one", "ok")
    made = client.jobs.create(name="update", tasks=[task("a", path)], schedule=schedule(), tags={"x": "1"})
    new = jobs.CronSchedule("0 0 1 * * ?", "UTC", pause_status=jobs.PauseStatus.UNPAUSED)
    client.jobs.update(made.job_id, new_settings=jobs.JobSettings(schedule=new, tags={"y": "2"}))
    found = client.jobs.get(made.job_id).settings
    assert found.schedule == new
    assert found.tags == {"y": "2"}
    assert [t.task_key for t in found.tasks] == ["a"]
    client.jobs.update(made.job_id, fields_to_remove=["schedule", "tasks/a"])
    found = client.jobs.get(made.job_id).settings
    assert found.schedule is None
    assert not found.tasks
    client.jobs.reset(made.job_id, jobs.JobSettings(name="reset"))
    assert client.jobs.get(made.job_id).settings.tags is None
    client.jobs.delete(made.job_id)
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.get(made.job_id)


def test_update_merges_arrays_by_the_key_of_their_entries(local: Workspace, client: WorkspaceClient):
    one, two = notebook(local, "one", "ok"), notebook(local, "two", "ok")
    day, hour = (
        jobs.JobParameterDefinition(name="day", default="1"),
        jobs.JobParameterDefinition(name="hour", default="2"),
    )
    made = client.jobs.create(
        name="merge", tasks=[task("a", one), task("b", one, "a", max_retries=3)], parameters=[day, hour]
    )
    new = jobs.JobSettings(
        tasks=[task("c", two, "b"), task("b", two)], parameters=[jobs.JobParameterDefinition(name="day", default="5")]
    )
    client.jobs.update(made.job_id, new_settings=new)
    found = client.jobs.get(made.job_id).settings
    assert [(t.task_key, t.notebook_task.notebook_path) for t in found.tasks] == [("a", one), ("b", two), ("c", two)]
    assert (found.tasks[1].depends_on or [], found.tasks[1].max_retries) == ([], None), "an entry is replaced whole"
    assert [(p.name, p.default) for p in found.parameters] == [("day", "5"), ("hour", "2")]
    client.jobs.update(made.job_id, fields_to_remove=["tasks/c", "parameters"])
    found = client.jobs.get(made.job_id).settings
    assert ([t.task_key for t in found.tasks], found.parameters or []) == (["a", "b"], [])
    with pytest.raises(InvalidParameterValue, match="unique"):
        client.jobs.update(made.job_id, new_settings=jobs.JobSettings(tasks=[task("d", one), task("d", two)]))
    with pytest.raises(InvalidParameterValue, match="depends on 'a'"):
        client.jobs.update(
            made.job_id, new_settings=jobs.JobSettings(tasks=[task("b", one, "a")]), fields_to_remove=["tasks/a"]
        )
    assert [t.task_key for t in client.jobs.get(made.job_id).settings.tasks] == ["a", "b"]
    for field in ("schedule/pause_status", "colour"):
        with pytest.raises(InvalidParameterValue, match=field):
            client.jobs.update(made.job_id, fields_to_remove=[field])


def test_updates_at_the_same_time_lose_nothing(local: Workspace, client: WorkspaceClient):
    path = notebook(local, "one", "ok")
    made = client.jobs.create(name="together")
    with ThreadPoolExecutor(8) as pool:
        settings = [jobs.JobSettings(tasks=[task(f"t{i}", path)]) for i in range(16)]
        list(pool.map(lambda new: client.jobs.update(made.job_id, new_settings=new), settings))
    assert {t.task_key for t in client.jobs.get(made.job_id).settings.tasks} == {f"t{i}" for i in range(16)}


@pytest.mark.parametrize(
    "entry",
    [
        {"user_name": "nobody@example.com", "permission_level": "CAN_VIEW"},
        {"permission_level": "CAN_VIEW"},
        {"group_name": "readers", "permission_level": "IS_OWNER"},
    ],
)
def test_what_is_made_with_a_bad_access_list_is_not_made(
    local: Workspace, client: WorkspaceClient, entry: dict[str, str]
):
    body = {"name": "not made", "access_control_list": [entry]}
    library = {"libraries": [{"file": {"path": "/Shared/x.py"}}], "catalog": "main", "schema": "default"}
    for path, more in (("/api/2.2/jobs/create", {}), ("/api/2.0/pipelines", library)):
        with pytest.raises((InvalidParameterValue, ResourceDoesNotExist)):
            client.api_client.do("POST", path, body={**body, **more})
    assert "not made" not in {j.name for j in local.state.jobs()} | {p.name for p in local.state.pipelines()}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/n", "path": "/n"}}]}, "path"),
        ({"name": "x", "tasks": [{"task_key": "a"}]}, "exactly one kind"),
        (
            {"name": "x", "tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/n"}}] * 2},
            "more than once",
        ),
        (
            {
                "name": "x",
                "tasks": [
                    {"task_key": "a", "notebook_task": {"notebook_path": "/n"}, "depends_on": [{"task_key": "z"}]}
                ],
            },
            "'z'",
        ),
        (
            {
                "name": "x",
                "tasks": [
                    {"task_key": k, "notebook_task": {"notebook_path": "/n"}, "depends_on": [{"task_key": d}]}
                    for k, d in (("a", "b"), ("b", "a"))
                ],
            },
            "Cyclic",
        ),
        ({"name": "x", "schedule": {"quartz_cron_expression": "* * * * *", "timezone_id": "UTC"}}, "quartz"),
        ({"name": "x", "schedule": {"quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "Mars/X"}}, "timezone"),
        ({"name": "x", "schedule": {"quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "America"}}, "timezone"),
        ({"name": "x", "schedule": {"quartz_cron_expression": "0 0 0 * * ?"}}, "timezone_id"),
        ({"name": "x", "max_concurrent_runs": -1}, "max_concurrent_runs"),
        ({"name": "x", "tasks": [{"task_key": "a b", "notebook_task": {"notebook_path": "/n"}}]}, "task_key"),
    ],
)
def test_a_bad_job_is_refused_naming_what_is_bad(client: WorkspaceClient, body: dict[str, Any], words: str):
    with pytest.raises(InvalidParameterValue, match=words):
        client.api_client.do("POST", "/api/2.2/jobs/create", body=body)


def test_a_task_that_cannot_run_here_is_not_pretended(client: WorkspaceClient):
    body = {"name": "x", "tasks": [{"task_key": "a", "dbt_task": {"commands": ["dbt run"]}}]}
    with pytest.raises(NotImplemented, match="dbt_task"):
        client.api_client.do("POST", "/api/2.2/jobs/create", body=body)


def test_limits_and_parameters_of_lists_are_the_services(client: WorkspaceClient):
    for path, query in (
        ("/api/2.2/jobs/list", {"limit": 101}),
        ("/api/2.2/jobs/list", {"limit": 0}),
        ("/api/2.2/jobs/runs/list", {"limit": 25}),
        ("/api/2.2/jobs/runs/list", {"limit": -1}),
        ("/api/2.2/jobs/runs/list", {"run_type": "ODD"}),
        ("/api/2.2/jobs/runs/list", {"active_only": "true", "completed_only": "true"}),
        ("/api/2.2/jobs/list", {"colour": "red"}),
        ("/api/2.2/jobs/list", {"page_token": "%%%"}),
        ("/api/2.0/pipelines", {"max_results": 101}),
        ("/api/2.0/pipelines", {"filter": "state = 'IDLE'"}),
    ):
        with pytest.raises(InvalidParameterValue):
            client.api_client.do("GET", path, query=query)


def test_lists_page_through_everything_once(local: Workspace, client: WorkspaceClient):
    for i in range(7):
        client.jobs.create(name=f"paged {i}")
    names = [j.settings.name for j in client.jobs.list(limit=3) if j.settings.name.startswith("paged")]
    assert sorted(names) == [f"paged {i}" for i in range(7)]
    assert len(names) == len(set(names))


# -- runs ------------------------------------------------------------------------------------------------------------------


def finished(client: WorkspaceClient, run_id: int) -> jobs.Run:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        run = client.jobs.get_run(run_id)
        if run.state.life_cycle_state.value in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR"):
            return run
        time.sleep(0.02)
    raise AssertionError(f"run {run_id} did not end")


def results(run: jobs.Run) -> dict[str, str]:
    return {t.task_key: t.state.result_state.value for t in run.tasks}


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
    assert again.repair_history[-1].id == repair_id


def test_retries_are_attempts_of_their_own(local: Workspace, client: WorkspaceClient, spark_up: None):
    path = notebook(local, "bad", "fail")
    made = client.jobs.create(name="retry", tasks=[task("a", path, max_retries=2, min_retry_interval_millis=10)])
    run_id = client.jobs.run_now(made.job_id).run_id
    finished(client, run_id)
    every = client.jobs.get_run(run_id, include_history=True)
    assert [t.attempt_number for t in every.tasks] == [0, 1, 2]
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
    start = local.jobs._start

    def cancelled_before(active: ActiveRun) -> None:
        local.jobs.cancel(active.run.run_id)
        start(active)

    monkeypatch.setattr(local.jobs, "_start", cancelled_before)
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


# -- pipelines -------------------------------------------------------------------------------------------------------------


def pipeline(client: WorkspaceClient, name: str, **more: Any) -> str:
    library = pipelines.PipelineLibrary(glob=pipelines.PathPattern(include="/Shared/p/**"))
    made = client.pipelines.create(name=name, catalog="main", schema="default", libraries=[library], **more)
    return str(made.pipeline_id)


def test_a_pipeline_is_read_back_edited_and_deleted_from_the_list(client: WorkspaceClient):
    id = pipeline(client, "p1", configuration={"table_prefix": "dlt_v2_"})
    found = client.pipelines.get(id)
    assert found.state is pipelines.PipelineState.IDLE
    assert found.spec.configuration == {"table_prefix": "dlt_v2_"}
    library = pipelines.PipelineLibrary(file=pipelines.FileLibrary(path="/Shared/p/x.py"))
    client.pipelines.update(id, name="p1", catalog="main", schema="default", libraries=[library])
    assert client.pipelines.get(id).spec.configuration is None
    assert [p.pipeline_id for p in client.pipelines.list_pipelines(filter="name LIKE 'p_'")] == [id]
    with pytest.raises(ResourceConflict):
        pipeline(client, "p1")
    client.pipelines.delete(id)
    with pytest.raises(ResourceDoesNotExist):
        client.pipelines.get(id)


@pytest.mark.parametrize(
    "filter",
    [
        "event_type = 'flow_progress'",
        "level = 'INFO' OR level = 'WARN'",
        "level > 'INFO'",
        "message LIKE '%x%'",
        "timestamp > 'yesterday'",
        "level in ()",
    ],
)
def test_events_have_only_the_filters_of_the_service(client: WorkspaceClient, filter: str):
    id = pipeline(client, f"filter {filter}")
    with pytest.raises(InvalidParameterValue):
        client.api_client.do("GET", f"/api/2.0/pipelines/{id}/events", query={"filter": filter})


def test_events_page_by_token_alone(local: Workspace, client: WorkspaceClient):
    from emulator.runner.event_log import make_event

    id = pipeline(client, "events")
    known = local.state.pipeline(id)
    assert known is not None
    start = now_ms()
    for i in range(12):
        level = "ERROR" if i % 3 == 0 else "INFO"
        event = make_event(local, known, "u-9", "flow_progress", f"event {i}", {"n": i}, level=level, at=start + i)
        local.state.add_event(event)
    path = f"/api/2.0/pipelines/{id}/events"
    query: dict[str, Any] = {
        "max_results": 3,
        "filter": "level in ('ERROR', 'WARN') AND timestamp >= '2020-01-01T00:00:00Z'",
    }
    page = client.api_client.do("GET", path, query=query)
    assert [e["details"]["n"] for e in page["events"]] == [9, 6, 3]
    with pytest.raises(InvalidParameterValue, match="page_token"):
        client.api_client.do("GET", path, query={**query, "page_token": page["next_page_token"]})
    rest = client.api_client.do("GET", path, query={"max_results": 3, "page_token": page["next_page_token"]})
    assert [e["details"]["n"] for e in rest["events"]] == [0]
    assert "next_page_token" not in rest
    oldest = client.api_client.do("GET", path, query={"order_by": "timestamp asc", "filter": "update_id = 'u-9'"})
    assert [e["details"]["n"] for e in oldest["events"]] == list(range(12))
    one = oldest["events"][5]
    found = client.api_client.do("GET", path, query={"filter": f"id = '{one['id']}'"})
    assert [e["message"] for e in found["events"]] == ["event 5"]
    typed = list(client.pipelines.list_pipeline_events(id, max_results=5))
    assert len(typed) == 13


def test_a_page_token_cannot_carry_foreign_sql(client: WorkspaceClient):
    from emulator.rest.paging import encode_token

    id = pipeline(client, "token")
    forged = {"pipeline_id": id, "condition": "1) OR (1", "values": [], "ascending": False, "behind": [0, 0]}
    with pytest.raises(InvalidParameterValue, match="page token"):
        client.api_client.do("GET", f"/api/2.0/pipelines/{id}/events", query={"page_token": encode_token(forged)})


def test_a_second_update_is_refused_while_one_is_active(local: Workspace, client: WorkspaceClient):
    id = pipeline(client, "busy")
    local.state.put_update(Update("u-active", id, "API_CALL", "RUNNING", "x", now_ms(), {}))
    with pytest.raises(ResourceConflict, match="u-active"):
        client.pipelines.start_update(id)
    assert client.pipelines.get(id).state is pipelines.PipelineState.RUNNING
    local.state.put_update(Update("u-active", id, "API_CALL", "FAILED", "x", now_ms(), {}))
    assert client.pipelines.get(id).health is pipelines.GetPipelineResponseHealth.UNHEALTHY


def test_updates_come_in_pages_newest_first(local: Workspace, client: WorkspaceClient):
    id = pipeline(client, "updates")
    start = now_ms()
    for i in range(5):
        local.state.put_update(Update(f"up-{i}", id, "API_CALL", "COMPLETED", "x", start + i, {}))
    first = client.pipelines.list_updates(id, max_results=2)
    assert [u.update_id for u in first.updates] == ["up-4", "up-3"]
    second = client.pipelines.list_updates(id, max_results=2, page_token=first.next_page_token)
    assert [u.update_id for u in second.updates] == ["up-2", "up-1"]
    assert second.prev_page_token
    until = client.pipelines.list_updates(id, until_update_id="up-1")
    assert [u.update_id for u in until.updates] == ["up-1", "up-0"]
    assert client.pipelines.get_update(id, "up-3").update.state is pipelines.UpdateInfoState.COMPLETED


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"catalog": "main", "schema": "default"}, InvalidParameterValue),
        ({"name": "x", "catalog": "main", "schema": "default"}, InvalidParameterValue),
        ({"name": "x", "catalog": "main", "libraries": [{"file": {"path": "/x.py"}}]}, InvalidParameterValue),
        (
            {"name": "x", "catalog": "a", "schema": "b", "continuous": True, "libraries": [{"file": {"path": "/x"}}]},
            NotImplemented,
        ),
        ({"name": "x", "catalog": "a", "schema": "b", "libraries": [{"jar": "x.jar"}]}, NotImplemented),
        ({"name": "x", "catalog": "a", "schema": "b", "libraries": [{"file": {"path": "/x"}, "k": 1}]}, BadRequest),
    ],
)
def test_a_bad_pipeline_is_refused(client: WorkspaceClient, spec: dict[str, Any], error: type[DatabricksError]):
    with pytest.raises(error):
        client.api_client.do("POST", "/api/2.0/pipelines", body=spec)


# -- who may do what -------------------------------------------------------------------------------------------------------


def test_a_job_is_seen_run_and_managed_by_level(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient, spark_up: None
):
    path = notebook(local, "quick", "ok")
    id = client.jobs.create(name="guarded", tasks=[task("a", path)]).job_id

    def grant(level: str) -> None:
        entry = jobs.JobAccessControlRequest(group_name="readers", permission_level=jobs.JobPermissionLevel(level))
        client.jobs.update_permissions(str(id), access_control_list=[entry])

    with pytest.raises(PermissionDenied):
        analyst.jobs.get(id)
    assert id not in [j.job_id for j in analyst.jobs.list()]
    grant("CAN_VIEW")
    assert analyst.jobs.get(id).settings.name == "guarded"
    with pytest.raises(PermissionDenied):
        analyst.jobs.run_now(id)
    with pytest.raises(PermissionDenied):
        analyst.jobs.get_permissions(str(id))
    grant("CAN_MANAGE_RUN")
    run = finished(analyst, analyst.jobs.run_now(id).run_id)
    assert run.creator_user_name == "analyst@example.com"
    with pytest.raises(PermissionDenied):
        analyst.jobs.update(id, new_settings=jobs.JobSettings(name="mine"))
    grant("CAN_MANAGE")
    analyst.jobs.update(id, new_settings=jobs.JobSettings(name="mine"))
    assert analyst.jobs.get_permissions(str(id)).object_id == f"/jobs/{id}"


def test_a_pipeline_is_run_by_those_who_may(client: WorkspaceClient, analyst: WorkspaceClient):
    id = pipeline(client, "guarded pipeline")
    with pytest.raises(PermissionDenied):
        analyst.pipelines.get(id)
    entry = pipelines.PipelineAccessControlRequest(
        user_name="analyst@example.com", permission_level=pipelines.PipelinePermissionLevel.CAN_VIEW
    )
    client.pipelines.update_permissions(id, access_control_list=[entry])
    assert analyst.pipelines.get(id).name == "guarded pipeline"
    for call in (analyst.pipelines.start_update, analyst.pipelines.stop, analyst.pipelines.delete):
        with pytest.raises(PermissionDenied):
            call(id)


def test_permissions_keep_exactly_one_owner(client: WorkspaceClient):
    id = client.jobs.create(name="owned").job_id
    entry = jobs.JobAccessControlRequest(
        user_name="analyst@example.com", permission_level=jobs.JobPermissionLevel.IS_OWNER
    )
    client.jobs.set_permissions(str(id), access_control_list=[entry])
    owners = [
        a.user_name
        for a in client.jobs.get_permissions(str(id)).access_control_list
        for p in a.all_permissions
        if p.permission_level is jobs.JobPermissionLevel.IS_OWNER
    ]
    assert owners == ["analyst@example.com"]
    assert client.jobs.get(id).run_as_user_name == "analyst@example.com"
    body: dict[str, Any] = {
        "access_control_list": [{"user_name": "nobody@example.com", "permission_level": "CAN_VIEW"}]
    }
    with pytest.raises(ResourceDoesNotExist):
        client.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{id}", body=body)
    body = {"access_control_list": [{"group_name": "readers", "permission_level": "CAN_RUN"}]}
    with pytest.raises(InvalidParameterValue, match="CAN_RUN"):
        client.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{id}", body=body)


def test_an_unknown_token_is_nobody(local: Workspace):
    with pytest.raises(PermissionDenied):
        client_of(local, "dapi0").current_user.me()
    assert requests.get(f"{local.host}/api/2.2/jobs/list", timeout=5).status_code == 401


def test_a_token_works_until_it_is_deleted_or_has_expired(local: Workspace, analyst: WorkspaceClient):
    made = analyst.tokens.create(comment="short", lifetime_seconds=1)
    other = client_of(local, made.token_value)
    assert other.current_user.me().user_name == "analyst@example.com"
    time.sleep(1.1)
    with pytest.raises(PermissionDenied):
        other.current_user.me()
    kept = analyst.tokens.create(comment="kept")
    assert "kept" in [t.comment for t in analyst.tokens.list()]
    analyst.tokens.delete(kept.token_info.token_id)
    with pytest.raises(PermissionDenied):
        client_of(local, kept.token_value).current_user.me()


def test_the_administrator_alone_hands_out_tokens_and_faults(client: WorkspaceClient, analyst: WorkspaceClient):
    for method, path, body in (
        ("POST", "/emulator/tokens", {"user": "admin@example.com"}),
        ("POST", "/emulator/faults", {"status": 500}),
    ):
        with pytest.raises(PermissionDenied):
            analyst.api_client.do(method, path, body=body)
    with pytest.raises(ResourceDoesNotExist):
        client.api_client.do("POST", "/emulator/tokens", body={"user": "nobody@example.com"})


def test_users_and_groups_are_found_by_name(client: WorkspaceClient, analyst: WorkspaceClient):
    assert [u.display_name for u in client.users.list(filter='userName eq "analyst@example.com"')] == ["Ada Nowak"]
    assert list(client.users.list(filter='userName eq "x"')) == []
    group = next(iter(client.groups.list(filter='displayName eq "readers"')))
    assert [m.display for m in client.groups.get(group.id).members] == ["Ada Nowak"]
    assert [g.display for g in analyst.current_user.me().groups] == ["readers"]
    with pytest.raises(InvalidParameterValue):
        list(client.users.list(filter="colour eq red"))


def test_groups_gain_and_lose_members(client: WorkspaceClient):
    from databricks.sdk.service import iam

    user = client.users.create(user_name="new@example.com", display_name="New Person")
    group = client.groups.create(display_name="new group", members=[iam.ComplexValue(value=user.id)])
    assert [m.value for m in client.groups.get(group.id).members] == [user.id]
    client.groups.patch(
        group.id,
        operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{user.id}"]')],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    assert not client.groups.get(group.id).members
    with pytest.raises((ResourceAlreadyExists, ResourceConflict)):
        client.users.create(user_name="new@example.com")
    with pytest.raises(InvalidParameterValue, match="does not exist"):
        client.groups.create(display_name="half made", members=[iam.ComplexValue(value="5")])
    assert not list(client.groups.list(filter='displayName eq "half made"'))


def test_what_a_catalog_or_schema_cannot_keep_here_is_refused(client: WorkspaceClient):
    with pytest.raises(NotImplemented, match="a schema with storage_root"):
        client.schemas.create("s", "product", storage_root="s3://bucket")
    with pytest.raises(NotImplemented, match="a catalog with properties"):
        client.catalogs.create("c", properties={"a": "b"})


# -- the tree --------------------------------------------------------------------------------------------------------------


def test_a_notebook_goes_in_and_comes_out(client: WorkspaceClient):
    client.workspace.mkdirs("/Shared/deep/er")
    text = "# Databricks notebook source\nprint(1)\n"
    client.workspace.import_(
        "/Shared/deep/er/n",
        content=base64.b64encode(text.encode()).decode(),
        format=tree.ImportFormat.SOURCE,
        language=tree.Language.PYTHON,
    )
    assert base64.b64decode(client.workspace.export("/Shared/deep/er/n").content).decode() == text
    status = client.workspace.get_status("/Workspace/Shared/deep/er/n")
    assert (status.object_type, status.language) == (tree.ObjectType.NOTEBOOK, tree.Language.PYTHON)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.import_("/Shared/deep/er/n", content="", language=tree.Language.PYTHON)
    client.workspace.upload("/Shared/deep/er/f.txt", BytesIO("größe".encode()), format=tree.ImportFormat.AUTO)
    assert client.workspace.download("/Shared/deep/er/f.txt").read().decode() == "größe"
    assert {o.path for o in client.workspace.list("/Shared/deep", recursive=True)} == {
        "/Shared/deep/er/n",
        "/Shared/deep/er/f.txt",
    }
    with pytest.raises(BadRequest, match="not empty"):
        client.workspace.delete("/Shared/deep")
    client.workspace.delete("/Shared/deep", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.get_status("/Shared/deep")


def test_a_raw_file_is_not_overwritten_unless_told(client: WorkspaceClient):
    path = "/api/2.0/workspace-files/import-file/Shared/lock"
    client.api_client.do("POST", path, data=b"1", headers={"Content-Type": "application/octet-stream"})
    with pytest.raises((AlreadyExists, ResourceConflict)):
        client.api_client.do("POST", path, data=b"2")
    client.api_client.do("POST", path, query={"overwrite": "true"}, data=b"3")
    assert client.workspace.download("/Shared/lock").read() == b"3"


# -- what is not there -----------------------------------------------------------------------------------------------------


def test_what_the_service_has_and_this_has_not_says_so_by_name(client: WorkspaceClient):
    with pytest.raises(NotImplemented, match=r"SecretsAPI\.list_scopes"):
        list(client.secrets.list_scopes())
    with pytest.raises(NotImplemented, match=r"PipelinesAPI\.clone"):
        client.api_client.do("POST", "/api/2.0/pipelines/x/clone", body={})
    with pytest.raises(NotFound, match="No API found"):
        client.api_client.do("GET", "/api/2.0/no/such/thing")


def test_sql_says_that_it_is_still_starting(local: Workspace, client: WorkspaceClient):
    answer = requests.post(f"{local.host}/sql/1.0/warehouses/{local.warehouse_id}", data=b"", timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert client.warehouses.get(local.warehouse_id).state.value == "STARTING"


def test_an_app_is_recorded_but_never_deployed(client: WorkspaceClient):
    app = client.apps.create(apps.App(name="cutover"), no_compute=True).response
    assert app.service_principal_client_id
    with pytest.raises(NotImplemented):
        client.apps.deploy("cutover", apps.AppDeployment(source_code_path="/x"))
    client.apps.update("cutover", apps.App(name="cutover", description="panel"))
    assert client.apps.get("cutover").description == "panel"
    admin = client.current_user.me().id
    taken = client.api_client.do("PATCH", "/api/2.0/apps/cutover", body={"service_principal_id": int(admin)})
    assert taken["service_principal_id"] == app.service_principal_id, "deleting the app deletes its principal alone"
    client.apps.delete("cutover")
    with pytest.raises(ResourceDoesNotExist):
        client.apps.get("cutover")


# -- faults ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_faults(local: Workspace) -> Iterator[None]:
    yield
    local.faults.clear()


def test_a_fault_answers_instead_of_the_service(client: WorkspaceClient, no_faults: None):
    rule = {"method": "GET", "path": "jobs/get$", "status": 500, "error_code": "INTERNAL_ERROR", "count": 1}
    client.api_client.do("POST", "/emulator/faults", body=rule)
    id = client.jobs.create(name="faulty").job_id
    with pytest.raises(InternalError):
        client.jobs.get(id)
    assert client.jobs.get(id).job_id == id, "it applies as often as it was told"
    with pytest.raises(InvalidParameterValue):
        client.api_client.do("POST", "/emulator/faults", body={"colour": "red"})


def test_an_answer_can_be_lost_after_the_effect(local: Workspace, client: WorkspaceClient, no_faults: None):
    headers = {"Authorization": f"Bearer {local.admin_token}", "X-Emulator-Fault": '{"drop": "after"}'}
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{local.host}/api/2.2/jobs/create", json={"name": "lost answer"}, headers=headers, timeout=5)
    assert [j.settings.name for j in client.jobs.list(name="lost answer")] == ["lost answer"]
    headers["X-Emulator-Fault"] = '{"drop": "before"}'
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{local.host}/api/2.2/jobs/create", json={"name": "never came"}, headers=headers, timeout=5)
    assert list(client.jobs.list(name="never came")) == []


def test_a_call_can_be_slow(local: Workspace, no_faults: None):
    headers = {"Authorization": f"Bearer {local.admin_token}", "X-Emulator-Fault": '{"latency_seconds": 0.4}'}
    before = time.monotonic()
    assert requests.get(f"{local.host}/api/2.2/jobs/list", headers=headers, timeout=5).status_code == 200
    assert time.monotonic() - before >= 0.4


def test_rules_skip_count_and_look_at_sql():
    faults = Faults()
    faults.add(Rule(path="^/sql/", sql_contains="alter VIEW", skip=1, count=2, status=500))
    hits = [faults.hit("POST", "/sql/1.0/warehouses/x", sql="ALTER VIEW a AS SELECT 1") for _ in range(4)]
    assert [h is not None for h in hits] == [False, True, True, False]
    assert faults.hit("POST", "/sql/1.0/warehouses/x", sql="SELECT 1") is None
    assert faults.hit("GET", "/api/2.2/jobs/list") is None
    for bad in ({"drop": "sideways"}, {"probability": 2}, {"path": "("}, {"status": 200}, {"latency_seconds": -1}):
        with pytest.raises(ValueError, match=r"."):
            Rule.from_dict(bad)
