"""Jobs, pipelines, tables, identity over REST: what is requested and repeated, how answers and errors are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.config.migration import Role, Roles
from databricks_client.errors import WorkspaceError
from databricks_client.rest import Patience
from databricks_client.tables import served_by
from tests.support.workspace_server import Refusal, Request, Server

JOB = 314473856953682


def job(pause: str = "UNPAUSED", **more: Any) -> dict[str, Any]:
    schedule = {
        "quartz_cron_expression": "55 0 5/6 * * ?",
        "timezone_id": "America/New_York",
        "pause_status": pause,
        **more,
    }
    return {"job_id": JOB, "settings": {"name": "00_RDS", "schedule": schedule, "max_concurrent_runs": 1}}


def test_a_missing_pause_status_counts_as_running(server: Server) -> None:
    document = job()
    del document["settings"]["schedule"]["pause_status"]
    server.on("GET", "/api/2.2/jobs/get", document)
    assert server.workspace().jobs.get(JOB).timing.paused is False


def test_reads_are_repeated_and_wait_as_long_as_the_service_asks(server: Server) -> None:
    answers = iter(
        [
            Refusal(429, "REQUEST_LIMIT_EXCEEDED", "slow down", {"Retry-After": "7"}),
            Refusal(503, "TEMPORARILY_UNAVAILABLE", "later", {"Retry-After": "3"}),
            job(),
        ]
    )

    def answer(_: Request) -> Any:
        found = next(answers)
        if isinstance(found, Refusal):
            raise found
        return found

    server.on("GET", "/api/2.2/jobs/get", answer)
    slept: list[float] = []
    assert server.workspace(slept=slept).jobs.get(JOB).name == "00_RDS"
    assert slept == [7.0, 3.0]


def test_a_job_of_several_pages_is_read_whole(server: Server) -> None:
    """Later pages hold the rest of each array and nothing of those that have ended."""
    pages = {
        None: {"tasks": [{"task_key": "a"}], "parameters": [{"name": "p", "default": "1"}], "tags": {"x": "1"}},
        "2": {"tasks": [{"task_key": "b"}], "parameters": [{"name": "q", "default": "2"}], "tags": {"x": "1"}},
        "3": {"tasks": [{"task_key": "c"}], "job_clusters": [{"job_cluster_key": "k"}]},
    }
    following = {None: "2", "2": "3"}

    def answer(request: Request) -> Any:
        token = request.one("page_token")
        more = {"next_page_token": following[token]} if token in following else {}
        return {"job_id": JOB, "settings": {"name": "00_RDS", **pages[token]}, **more}

    server.on("GET", "/api/2.2/jobs/get", answer)
    found = server.workspace().jobs.get(JOB)
    assert [t.task_key for t in found.tasks] == ["a", "b", "c"]
    assert found.parameters == (("p", "1"), ("q", "2")), "a step that sets parameters sends all that was read"
    assert found.settings["tags"] == {"x": "1"} and found.settings["job_clusters"] == [{"job_cluster_key": "k"}]


def test_a_read_gives_up_after_so_many_attempts_and_says_so_in_one_line(server: Server) -> None:
    def broken(_: Request) -> Any:
        raise Refusal(500, "INTERNAL_ERROR", "something\nbroke")

    server.on("GET", "/api/2.2/jobs/get", broken)
    with pytest.raises(WorkspaceError) as caught:
        server.workspace(Patience(attempts=3)).jobs.get(JOB)
    assert len(server.requests) == 3
    assert str(caught.value) == f"read job {JOB}: something broke"
    assert caught.value.status == 500 and caught.value.retryable and caught.value.__cause__ is not None


def test_a_wait_longer_than_patience_is_an_error_at_once(server: Server) -> None:
    def throttled(_: Request) -> Any:
        raise Refusal(429, "REQUEST_LIMIT_EXCEEDED", "slow down", {"Retry-After": "3600"})

    server.on("GET", "/api/2.2/jobs/get", throttled)
    slept: list[float] = []
    with pytest.raises(WorkspaceError) as caught:
        server.workspace(slept=slept).jobs.get(JOB)
    assert slept == [] and caught.value.retry_after == 3600 and len(server.requests) == 1


def test_a_refused_call_is_not_repeated(server: Server) -> None:
    def denied(_: Request) -> Any:
        raise Refusal(403, "PERMISSION_DENIED", "User does not have CAN_VIEW")

    server.on("GET", "/api/2.2/jobs/get", denied)
    with pytest.raises(WorkspaceError) as caught:
        server.workspace().jobs.get(JOB)
    assert len(server.requests) == 1 and caught.value.denied and not caught.value.uncertain
    assert "have the privilege granted" in str(caught.value)


def test_runs_are_listed_with_a_page_the_service_allows_and_read_in_run_duration(server: Server) -> None:
    def pages(request: Request) -> Any:
        assert int(request.one("limit") or 0) < 25
        if request.one("page_token") is None:
            run = {
                "job_id": JOB,
                "run_id": 2,
                "start_time": 1_700_000_000_000,
                "end_time": 1_700_000_100_000,
                "setup_duration": 0,
                "execution_duration": 0,
                "cleanup_duration": 0,
                "run_duration": 90_000,
                "queue_duration": 10_000,
                "trigger": "PERIODIC",
                "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "one\ntwo"},
                "tasks": [
                    {
                        "task_key": "a",
                        "run_id": 3,
                        "attempt_number": attempt,
                        "start_time": 1_700_000_000_000,
                        "end_time": 1_700_000_050_000,
                        "execution_duration": 50_000,
                        "state": {"life_cycle_state": "TERMINATED", "result_state": result},
                    }
                    for attempt, result in ((0, "FAILED"), (1, "SUCCESS"))
                ],
            }
            return {"runs": [run], "has_more": True, "next_page_token": "next"}
        running = {"job_id": JOB, "run_id": 1, "start_time": 1_690_000_000_000, "end_time": 0, "run_duration": 5}
        return {"runs": [{**running, "state": {"life_cycle_state": "RUNNING"}, "run_name": "x (generated history)"}]}

    server.on("GET", "/api/2.2/jobs/runs/list", pages)
    since = datetime(2023, 1, 1, tzinfo=UTC)
    first, second = server.workspace().jobs.runs(JOB, start_from=since)
    assert server.requests[0].one("start_time_from") == str(int(since.timestamp() * 1000))
    assert (first.run_seconds, first.queue_seconds, first.state, first.state_message) == (
        90.0,
        10.0,
        "FAILED",
        "one two",
    )
    assert [(t.task_key, t.attempt, t.state, t.seconds) for t in first.tasks] == [("a", 1, "SUCCESS", 50.0)]
    assert second.active and second.end is None and second.run_seconds is None and second.generated
    assert first.start == datetime.fromtimestamp(1_700_000_000, UTC)


def test_events_keep_their_details_and_pages_after_the_first_send_only_token_and_size(server: Server) -> None:
    def pages(request: Request) -> Any:
        token = request.one("page_token")
        if token is None:
            assert request.query["order_by"] == ["timestamp asc"]
            assert (
                request.one("filter")
                == "timestamp >= '2026-01-02T03:04:05.678Z' AND timestamp < '2026-02-01T00:00:00.000Z'"
            )
            assert "event_type" not in (request.one("filter") or "")
            details = {"flow_progress": {"status": "COMPLETED", "metrics": {"num_output_rows": 4}}}
            return {"events": [event("e1", details)], "next_page_token": "t"}
        if set(request.query) != {"page_token", "max_results"}:
            raise Refusal(400, "INVALID_PARAMETER_VALUE", "page_token excludes other fields")
        return {"events": [event("e2", {})]}

    def event(event_id: str, details: Any) -> dict[str, Any]:
        origin = {"pipeline_id": "p1", "update_id": "u1", "dataset_name": "d", "flow_name": "d"}
        return {
            "id": event_id, "event_type": "flow_progress", "level": "INFO", "message": "m", "origin": origin,
            "timestamp": "2026-01-02T03:04:05.700Z", "details": details,
        }  # fmt: skip

    server.on("GET", "/api/2.0/pipelines/p1/events", pages)
    pipelines = server.workspace().pipelines
    after = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
    first = pipelines.events_page("p1", after=after, before=datetime(2026, 2, 1, tzinfo=UTC), newest_first=False)
    assert first.events[0].details["flow_progress"]["metrics"]["num_output_rows"] == 4
    second = pipelines.events_page("p1", page_token=first.next_page_token)
    assert [e.event_id for e in second.events] == ["e2"] and second.next_page_token is None


def test_updates_are_walked_page_by_page_only_as_far_as_needed(server: Server) -> None:
    def pages(request: Request) -> Any:
        page = int(request.one("page_token") or 0)
        updates = [
            {
                "update_id": f"u{page}{i}",
                "pipeline_id": "p1",
                "state": "COMPLETED",
                "creation_time": (100 - page * 10 - i) * 1000,
            }
            for i in range(10)
        ]
        return {"updates": updates, "next_page_token": str(page + 1)}

    server.on("GET", "/api/2.0/pipelines/p1/updates", pages)
    found = server.workspace().pipelines.updates_after("p1", ["u16", "u99"])
    assert [u.update_id for u in found] == [f"u0{i}" for i in range(10)] + [f"u1{i}" for i in range(6)]
    assert len(server.requests) == 2


def test_a_pipeline_is_found_by_its_exact_name(server: Server) -> None:
    def listed(request: Request) -> Any:
        assert request.one("filter") == "name LIKE 'a_b'"
        return {"statuses": [{"pipeline_id": "1", "name": "aXb"}, {"pipeline_id": "2", "name": "a_b"}]}

    server.on("GET", "/api/2.0/pipelines", listed)
    spec = {"name": "a_b", "catalog": "c", "schema": "s", "configuration": {"k": "v"}}
    server.on("GET", "/api/2.0/pipelines/2", {"pipeline_id": "2", "name": "a_b", "state": "IDLE", "spec": spec})
    found = server.workspace().pipelines.find("a_b")
    assert (found.pipeline_id, found.configuration, found.schema) == ("2", {"k": "v"}, "s")


def test_a_job_name_that_repeats_is_refused(server: Server) -> None:
    server.on("GET", "/api/2.2/jobs/list", {"jobs": [{"job_id": i, "settings": {"name": "n"}} for i in (1, 2)]})
    with pytest.raises(WorkspaceError, match="2 jobs have this name"):
        server.workspace().jobs.find("n")
    with pytest.raises(WorkspaceError) as caught:
        server.workspace().jobs.find("N")
    assert caught.value.not_found


@pytest.mark.parametrize(
    ("definition", "table"),
    [
        ("SELECT * FROM c.s.t", "c.s.t"),
        ("select *\n from `c`.`s`.`odd ``name` ;", "c.s.odd `name"),
        ("SELECT * FROM c.s.t WHERE x", None),
        ("SELECT a FROM c.s.t", None),
        ("SELECT * FROM s.t", None),
        ("SELECT * FROM c.s.t, c.s.u", None),
        (None, None),
    ],
)
def test_a_view_serves_a_table_only_if_it_is_all_of_it(definition: str | None, table: str | None) -> None:
    assert served_by(definition) == table


def test_a_table_that_is_not_there_is_a_state_and_not_an_error(server: Server) -> None:
    def missing(_: Request) -> Any:
        raise Refusal(404, "TABLE_DOES_NOT_EXIST", "Table 'c.s.t' does not exist.")

    server.on("GET", "/api/2.1/unity-catalog/tables/c.s.t", missing)
    assert server.workspace().tables.state("c.s.t").exists is False


def test_a_tables_state_has_what_hangs_on_it(server: Server) -> None:
    server.on(
        "GET",
        "/api/2.1/unity-catalog/tables/c.s.t",
        {
            "name": "t", "full_name": "c.s.t", "table_type": "MATERIALIZED_VIEW", "pipeline_id": "p1", "owner": "o",
            "row_filter": {"function_name": "c.s.f", "input_column_names": ["a"]}, "updated_at": 1_700_000_000_000,
            "columns": [
                {"name": "a", "type_text": "decimal(10,2)", "nullable": False, "comment": "x", "position": 0},
                {"name": "b", "type_text": "string", "mask": {"function_name": "c.s.m"}, "position": 1},
            ],
            "table_constraints": [{"primary_key_constraint": {"name": "pk", "child_columns": ["a"]}}],
            "properties": {"delta.x": "1"},
        },
    )  # fmt: skip
    state = server.workspace().tables.state("c.s.t")
    assert state.is_pipeline_owned and not state.is_view and state.row_filter == "c.s.f"
    assert [(c.name, c.type, c.nullable, c.mask) for c in state.columns] == [
        ("a", "decimal(10,2)", False, None),
        ("b", "string", True, "c.s.m"),
    ]
    assert state.constraints == ("PRIMARY KEY pk (a)",)


def scim(server: Server, groups: list[str], active: bool = True) -> None:
    user = {"id": "7", "userName": "lead@example.com", "active": active, "groups": [{"display": g} for g in groups]}

    def users(request: Request) -> Any:
        assert request.one("filter") == 'userName eq "lead@example.com"'
        first = request.one("startIndex") == "1"
        return {"Resources": [user] if first else [], "totalResults": 1, "startIndex": 1, "itemsPerPage": 1}

    server.on("GET", "/api/2.0/preview/scim/v2/Users", users)


ROLES = Roles(viewer=("rds-viewers",), operator=("rds-operators",), approver=("rds-approvers",))


def test_roles_come_from_groups_and_from_groups_within_groups(server: Server) -> None:
    scim(server, ["rds-viewers"])

    def groups(request: Request) -> Any:
        if "rds-operators" in (request.one("filter") or "") and request.one("startIndex") == "1":
            members = [{"value": "50", "$ref": "Groups/50"}]
            return {"Resources": [{"id": "40", "displayName": "rds-operators", "members": members}]}
        return {"Resources": []}

    server.on("GET", "/api/2.0/preview/scim/v2/Groups", groups)
    inner = {"id": "50", "displayName": "inner", "members": [{"value": "7", "$ref": "Users/7"}]}
    server.on("GET", "/api/2.0/preview/scim/v2/Groups/50", inner)
    found = server.workspace().identity.roles_of("lead@example.com", ROLES.groups)
    assert found == {Role.VIEWER, Role.OPERATOR}


def test_an_inactive_user_has_no_role(server: Server) -> None:
    scim(server, ["rds-viewers", "rds-approvers"], active=False)
    assert server.workspace().identity.roles_of("lead@example.com", ROLES.groups) == frozenset()


def test_an_unknown_user_has_no_role(server: Server) -> None:
    server.on("GET", "/api/2.0/preview/scim/v2/Users", {"Resources": []})
    assert server.workspace().identity.roles_of("nobody@example.com", ROLES.groups) == frozenset()


def test_what_cannot_be_read_is_unknown_and_not_missing(server: Server) -> None:
    me = {"id": "1", "userName": "app", "active": True, "groups": []}
    server.on("GET", "/api/2.0/preview/scim/v2/Me", me)

    def broken(_: Request) -> Any:
        raise Refusal(500, "INTERNAL_ERROR", "no")

    server.on("GET", "/api/2.1/unity-catalog/*", broken)
    found = server.workspace(Patience(attempts=1)).tables.swap_privileges("c.s.t")
    assert found.missing == () and len(found.unknown) == 3


def test_missing_privileges_are_named_as_the_grants_that_mend_them(server: Server) -> None:
    server.on("GET", "/api/2.0/preview/scim/v2/Me", {"id": "1", "userName": "app", "groups": [{"display": "g"}]})
    for kind, name, owner in (("catalogs", "c", "boss"), ("schemas", "c.s", "boss"), ("tables", "c.s.t", "boss")):
        server.on("GET", f"/api/2.1/unity-catalog/{kind}/{name}", {"name": name, "full_name": name, "owner": owner})
    effective = "/api/2.1/unity-catalog/effective-permissions"
    server.on("GET", f"{effective}/catalog/c", held(app=["USE_CATALOG"]))
    server.on("GET", f"{effective}/schema/c.s", held(g=["USE_SCHEMA"], other=["CREATE_TABLE"]))
    server.on("GET", f"{effective}/table/c.s.t", held(g=["SELECT"]))
    tables = server.workspace().tables
    found = tables.read_privileges("c.s.t")
    assert found.missing == found.unknown == ()
    found = tables.swap_privileges("c.s.t")
    assert found.missing == (
        "GRANT MANAGE ON TABLE `c`.`s`.`t` TO `app`",
        "GRANT CREATE TABLE ON SCHEMA `c`.`s` TO `app`",
    )
    server.on("GET", f"{effective}/schema/c.s", held(g=["USE_SCHEMA"], app=["CREATE_TABLE", "MANAGE"]))
    found = tables.swap_privileges("c.s.t")
    assert found.missing == found.unknown == ()


def held(**by_principal: list[str]) -> dict[str, Any]:
    return {
        "privilege_assignments": [
            {"principal": who, "privileges": [{"privilege": p} for p in ps]} for who, ps in by_principal.items()
        ]
    }


def test_links_name_the_workspaces_own_pages(server: Server) -> None:
    links = server.workspace().links
    assert links.update("p 1", "u1") == f"{server.host}/pipelines/p%201/updates/u1"
    assert links.table("c.s.a b") == f"{server.host}/explore/data/c/s/a%20b"
    assert links.run(1, 2) == f"{server.host}/jobs/1/runs/2"
