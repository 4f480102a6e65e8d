"""Pipelines and their updates: kept, refused, listed, their events paged."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    InvalidParameterValue,
    NotImplemented,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service import pipelines

from emulator.records import Update, now_ms
from emulator.workspace import Workspace
from tests.support.rest_calls import pipeline


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
        event = make_event(known, "u-9", "flow_progress", f"event {i}", {"n": i}, level=level, at=start + i)
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
