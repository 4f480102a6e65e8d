"""Which update last wrote a table and when, read from the workspace; what may not be read, and what does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from databricks_client.errors import WorkspaceError
from tests.support.validation_warehouse import DESCRIBED, SPEC, Scripted, bucket, delta_tables
from tests.support.workspace_server import Refusal, Request, Server, serving
from validation import ComparisonSpec, SideUnreadable, Verdict, compare
from validation.state import TableUpdate
from validation.updates import readable_updates, table_updates

WROTE = datetime(2026, 1, 31, 6, 5, tzinfo=UTC)
EVENTS = "/api/2.0/pipelines/p1/events"


@pytest.fixture
def server() -> Iterator[Server]:
    """A workspace whose table `c.s.new` is of pipeline p1, with update u1 that has ended and whose log has two pages."""
    with serving() as found:
        table = {"full_name": "c.s.new", "table_type": "MATERIALIZED_VIEW", "pipeline_id": "p1"}
        found.on("GET", "/api/2.1/unity-catalog/tables/c.s.new", table)
        old = {"full_name": "c.s.old", "table_type": "MANAGED"}
        found.on("GET", "/api/2.1/unity-catalog/tables/c.s.old", old)
        _updates(found, "COMPLETED")
        found.on("GET", EVENTS, _events)
        yield found


def _updates(server: Server, *states: str, validating: int = 0) -> None:
    """Updates of p1, newest first; the newest `validating` of them only validate. The oldest is u1."""
    updates = [
        {
            "update_id": f"u{len(states) - n}",
            "pipeline_id": "p1",
            "state": state,
            "creation_time": 1_000,
            "validate_only": n < validating,
        }
        for n, state in enumerate(states)
    ]
    server.on("GET", "/api/2.0/pipelines/p1/updates", {"updates": updates})


def _events(request: Request) -> Any:
    def event(minutes: int, kind: str, progress: Any, dataset: str = "") -> Any:
        at = (WROTE + timedelta(minutes=minutes)).isoformat()
        origin = {"dataset_name": dataset}
        return {"id": f"e{minutes}", "event_type": kind, "timestamp": at, "origin": origin, "details": {kind: progress}}

    if request.one("page_token") is None:
        assert request.one("filter") == "update_id = 'u1'" and request.query["order_by"] == ["timestamp desc"]
        ended = event(9, "update_progress", {"state": "COMPLETED"})
        return {"events": [ended, event(5, "flow_progress", {"status": "COMPLETED"}, "c.s.x")], "next_page_token": "t"}
    if set(request.query) != {"page_token", "max_results"}:
        raise Refusal(400, "INVALID_PARAMETER_VALUE", "page_token excludes other fields")
    return {"events": [event(0, "flow_progress", {"status": "COMPLETED"}, "c.s.new")]}


def test_an_update_that_has_ended_tells_when_its_table_was_written_and_is_asked_once(server: Server) -> None:
    update_of = table_updates(server.workspace())
    assert update_of("c.s.new") == update_of("c.s.new") == TableUpdate("u1", "COMPLETED", WROTE)
    assert len(server.asked("GET", EVENTS)) == 2 and update_of("c.s.old") is None


def test_one_that_runs_has_written_nothing_yet_that_counts(server: Server) -> None:
    _updates(server, "RUNNING")
    assert table_updates(server.workspace())("c.s.new") == TableUpdate("u1", "RUNNING")
    assert not server.asked("GET", EVENTS)


@pytest.mark.parametrize("status", [400, 403])
def test_an_event_log_that_may_not_be_read_leaves_the_time_unknown(server: Server, status: int) -> None:
    def refuse(request: Request) -> Any:
        raise Refusal(status, "PERMISSION_DENIED", "no")

    server.on("GET", EVENTS, refuse)
    assert table_updates(server.workspace())("c.s.new") == TableUpdate("u1", "COMPLETED")


def test_an_event_log_that_does_not_answer_is_an_error(server: Server) -> None:
    def fail(request: Request) -> Any:
        raise Refusal(501, "NOT_IMPLEMENTED", "down")

    server.on("GET", EVENTS, fail)
    with pytest.raises(WorkspaceError, match="list events"):
        table_updates(server.workspace())("c.s.new")


def test_a_report_of_the_worker_notes_sides_that_were_written_far_apart(server: Server) -> None:
    committed = {"version": 7, "timestamp": WROTE - timedelta(hours=3)}
    view = [{"col_name": "id", "data_type": "int"}, {"col_name": "x", "data_type": "string"}]
    view += [{"col_name": "", "data_type": ""}, {"col_name": "# Detailed Table Information", "data_type": ""}]
    view += [{"col_name": "Type", "data_type": "MATERIALIZED_VIEW"}]
    described = {"DESCRIBE_TABLE_EXTENDED_`c`.`s`.`new`": view, "DESCRIBE_HISTORY": [committed]}
    warehouse = delta_tables(**described)
    spec = ComparisonSpec("c.s.old", "c.s.new", keys=("id",), skew_warning=1800.0)
    report = compare(warehouse, spec, update_of=table_updates(server.workspace()))
    assert (report.candidate.last_write, report.candidate.produced_by) == (WROTE, "update u1")
    assert any("written 3.0 h apart" in n for n in report.notes), report


def test_the_newest_update_counts_whatever_became_of_it(server: Server) -> None:
    update_of = table_updates(server.workspace())
    _updates(server, "COMPLETED", "RUNNING", "COMPLETED", validating=1)
    assert update_of("c.s.new") == TableUpdate("u2", "RUNNING")
    _updates(server, "COMPLETED", "COMPLETED", validating=1)
    assert update_of("c.s.new") == TableUpdate("u1", "COMPLETED", WROTE)
    _updates(server)
    assert update_of("c.s.new") is None


def test_a_name_that_is_not_of_three_levels_belongs_to_no_pipeline(server: Server) -> None:
    update_of = table_updates(server.workspace())
    assert update_of("new") is update_of("c.s.`new.er`") is None
    assert not server.requests


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_catalog_that_may_not_be_read_is_no_update(server: Server, status: int) -> None:
    def refuse(request: Request) -> Any:
        raise Refusal(status, "PERMISSION_DENIED", "no")

    server.on("GET", "/api/2.1/unity-catalog/tables/c.s.new", refuse)
    assert readable_updates(server.workspace())("c.s.new") is None
    assert readable_updates(server.workspace())("c.s.old") is None
    if status != 404:
        with pytest.raises(WorkspaceError, match="read table"):
            table_updates(server.workspace())("c.s.new")


@pytest.mark.parametrize("path", ["/api/2.1/unity-catalog/tables/c.s.new", "/api/2.0/pipelines/p1/updates", EVENTS])
def test_a_workspace_that_does_not_answer_proves_nothing(server: Server, path: str) -> None:
    def fail(request: Request) -> Any:
        raise Refusal(501, "NOT_IMPLEMENTED", "down")

    server.on("GET", path, fail)
    update_of = readable_updates(server.workspace())
    with pytest.raises(SideUnreadable, match=r"which update last wrote c\.s\.new"):
        update_of("c.s.new")
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    report = compare(warehouse, replace(SPEC, baseline="c.s.new"), update_of=update_of)
    assert report.verdict is Verdict.NOT_PROVEN and "which update last wrote c.s.new" in report.reason


def test_a_readable_update_is_that_of_the_pipeline(server: Server) -> None:
    assert readable_updates(server.workspace())("c.s.new") == TableUpdate("u1", "COMPLETED", WROTE)
