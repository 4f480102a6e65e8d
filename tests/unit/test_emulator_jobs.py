"""Jobs through the real SDK: kept as given, changed field by field, refused as the service does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    InvalidParameterValue,
    NotImplemented,
    ResourceDoesNotExist,
)
from databricks.sdk.service import jobs

from emulator.workspace import Workspace
from tests.support.rest_calls import notebook, schedule, task


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


@pytest.mark.parametrize(("path", "most"), [("/api/2.2/jobs/list", 1000), ("/api/2.2/jobs/runs/list", 10_000)])
def test_an_offset_above_the_services_is_refused(client: WorkspaceClient, path: str, most: int):
    client.api_client.do("GET", path, query={"offset": most})
    for offset in (most + 1, most + 20, -1):
        with pytest.raises(InvalidParameterValue, match=f"between 0 and {most}"):
            client.api_client.do("GET", path, query={"offset": offset})


def many(count: int, path: str) -> list[jobs.Task]:
    return [task(f"t{i:03}", path) for i in range(count)]


def test_a_job_shows_its_arrays_by_a_hundred_and_the_rest_by_token(local: Workspace, client: WorkspaceClient):
    path = notebook(local, "one", "ok")
    names = [f"p{i:03}" for i in range(120)]
    parameters = [jobs.JobParameterDefinition(name=n, default="") for n in names]
    made = client.jobs.create(name="long", tasks=many(230, path), parameters=parameters)
    query: dict[str, Any] = {"job_id": made.job_id}
    pages = []
    while len(pages) < 5:
        pages.append(client.api_client.do("GET", "/api/2.2/jobs/get", query=query))
        if "next_page_token" not in pages[-1]:
            break
        query["page_token"] = pages[-1]["next_page_token"]
    assert [len(p["settings"].get("tasks", [])) for p in pages] == [100, 100, 30]
    assert [len(p["settings"].get("parameters", [])) for p in pages] == [100, 20, 0]
    assert "parameters" not in pages[2]["settings"] and [p.get("has_more") for p in pages] == [True, True, None]
    assert [p["settings"]["name"] for p in pages] == ["long"] * 3
    assert [t["task_key"] for p in pages for t in p["settings"]["tasks"]] == [f"t{i:03}" for i in range(230)]
    (listed,) = client.api_client.do("GET", "/api/2.2/jobs/list", query={"name": "long", "expand_tasks": "true"})[
        "jobs"
    ]
    assert (len(listed["settings"]["tasks"]), listed["has_more"]) == (100, True)


def test_a_run_shows_its_tasks_by_a_hundred_and_a_list_says_that_there_are_more(
    local: Workspace, client: WorkspaceClient
):
    path = notebook(local, "one", "ok")
    made = client.jobs.create(name="long run", tasks=[task("first", path), *many(100, path)])
    run_id = client.jobs.run_now(made.job_id).run_id
    client.jobs.cancel_run(run_id)
    page = client.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
    rest = client.api_client.do(
        "GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id, "page_token": page["next_page_token"]}
    )
    assert (len(page["tasks"]), len(rest["tasks"]), "next_page_token" in rest) == (100, 1, False)
    query = {"job_id": made.job_id, "expand_tasks": "true"}
    (listed,) = client.api_client.do("GET", "/api/2.2/jobs/runs/list", query=query)["runs"]
    assert (len(listed["tasks"]), listed["has_more"]) == (100, True)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"name": "ü" * 2049}, "name of a job must have at most 4096 bytes"),
        ({"description": "x" * 27_701}, "at most 27700 characters"),
        ({"tags": {str(i): "" for i in range(26)}}, "tags of a job must be at most 25"),
        (
            {"job_clusters": [{"job_cluster_key": str(i)} for i in range(101)]},
            "job_clusters of a job must be at most 100",
        ),
        (
            {"environments": [{"environment_key": str(i)} for i in range(11)]},
            "environments of a job must be at most 10",
        ),
        ({"tasks": [{"task_key": str(i), "notebook_task": {"notebook_path": "/a"}} for i in range(1001)]}, "most 1000"),
        ({"parameters": [{"name": "a b", "default": ""}]}, "Invalid job parameter 'a b'"),
    ],
)
def test_a_job_larger_than_the_service_keeps_is_refused(client: WorkspaceClient, settings: dict[str, Any], named: str):
    with pytest.raises(InvalidParameterValue, match=named):
        client.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "large", **settings})
    assert not list(client.jobs.list(name="large"))


def test_parameters_of_a_run_longer_than_the_services_are_refused(local: Workspace, client: WorkspaceClient):
    parameters = [jobs.JobParameterDefinition(name="p", default="")]
    made = client.jobs.create(name="p", tasks=[task("a", notebook(local, "one", "ok"))], parameters=parameters)
    with pytest.raises(InvalidParameterValue, match="at most 10000 bytes"):
        client.jobs.run_now(made.job_id, job_parameters={"p": "x" * 10_000})
