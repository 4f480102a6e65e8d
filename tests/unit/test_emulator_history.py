"""The query history through the real SDK and SQL connector, in front of a SQL half that holds statements until told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound
from databricks.sdk.service import sql
from databricks.sql.exc import Error

from databricks_client.endpoint import Endpoint
from emulator.query_history import query_tags, statement_type, system_table
from emulator.workspace import Workspace
from tests.support.holding import Holding

STATEMENTS = "/api/2.0/sql/statements"
HISTORY = "/api/2.0/sql/history/queries"


@pytest.fixture
def half(local: Workspace, spark_up: None) -> Iterator[Holding]:
    made = local.__dict__["sql"] = Holding(local.sql.catalog)
    yield made
    made.release_all.set()


@pytest.fixture
def connection(local: Workspace, half: Holding) -> Iterator[Any]:
    with Endpoint(local.host, local.warehouse_id, local.admin_token).sql() as found:
        yield found
        half.release_all.set()


def entries(client: WorkspaceClient, text: str, **query: Any) -> list[dict[str, Any]]:
    found = client.api_client.do("GET", HISTORY, query={"max_results": 1000, **query})
    return [q for q in found.get("res", []) if text in q["query_text"]]


def until(holds: Callable[[], Any]) -> Any:
    """What the condition gives once it holds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come to hold")


def running(client: WorkspaceClient, text: str) -> dict[str, Any]:
    return until(lambda: [q for q in entries(client, text) if q["status"] == "RUNNING"])[0]


def in_background(connection: Any, text: str) -> threading.Thread:
    def work() -> None:
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(text)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_statement_by_thrift_appears_once_under_the_drivers_id(client: WorkspaceClient, connection: Any):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS thrift_once")
        (entry,) = entries(client, "thrift_once")
        assert entry["query_id"] == cursor.query_id
        assert (entry["status"], entry["statement_type"], entry["user_name"]) == (
            "FINISHED",
            "SELECT",
            "admin@example.com",
        )
        cursor.fetchall()
    (entry,) = entries(client, "thrift_once")
    assert (entry["status"], entry["is_final"], entry["rows_produced"]) == ("FINISHED", True, 2)
    assert entry["query_end_time_ms"] >= entry["execution_end_time_ms"] >= entry["query_start_time_ms"]


def test_a_statement_is_running_while_it_runs_and_finished_though_its_rows_were_not_taken(
    client: WorkspaceClient, connection: Any, half: Holding
):
    thread = in_background(connection, "SELECT 1 AS hold_thrift -- HOLD")
    entry = running(client, "hold_thrift")
    assert not entry["is_final"] and "execution_end_time_ms" not in entry and entry["duration"] >= 0
    half.release_all.set()
    thread.join(20)
    assert [q["status"] for q in entries(client, "hold_thrift")] == ["FINISHED"]


@pytest.mark.parametrize("by", ["thrift", "rest"])
def test_a_statement_that_fails_says_why(client: WorkspaceClient, local: Workspace, connection: Any, by: str):
    text = f"SELECT 1 AS broken_{by} -- FAIL"
    if by == "thrift":
        with pytest.raises(Error), connection.cursor() as cursor:
            cursor.execute(text)
    else:
        client.statement_execution.execute_statement(text, local.warehouse_id)
    (entry,) = entries(client, f"broken_{by}")
    assert (entry["status"], entry["is_final"]) == ("FAILED", True)
    assert "DIVIDE_BY_ZERO" in entry["error_message"]


def test_a_statement_whose_rows_cannot_be_made_has_failed(client: WorkspaceClient, connection: Any):
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS breaks_late -- BREAK")
        cursor.fetchall()
    (entry,) = entries(client, "breaks_late")
    assert entry["status"] == "FAILED" and "DIVIDE_BY_ZERO" in entry["error_message"]


def test_a_statement_of_thrift_is_cancelled_by_its_id(client: WorkspaceClient, connection: Any, half: Holding):
    thread = in_background(connection, "SELECT 1 AS stop_thrift -- HOLD")
    id_ = running(client, "stop_thrift")["query_id"]
    client.statement_execution.cancel_execution(id_)
    thread.join(20)
    assert not thread.is_alive(), "the driver hears of it"
    (entry,) = until(lambda: entries(client, "stop_thrift", **{"filter_by.statuses": "CANCELED"}))
    assert entry["query_id"] == id_ and entry["is_final"]
    assert half.cancelled, "Spark was told"
    assert client.statement_execution.get_statement(id_).status.state is sql.StatementState.CANCELED
    client.statement_execution.cancel_execution(id_)  # What is over stays as it is.
    assert entries(client, "stop_thrift") == [entry]


def test_a_statement_of_rest_is_cancelled_and_stays_so(client: WorkspaceClient, local: Workspace, half: Holding):
    made = client.statement_execution.execute_statement(
        "SELECT 1 AS stop_rest -- HOLD", local.warehouse_id, wait_timeout="0s"
    )
    assert running(client, "stop_rest")["query_id"] == made.statement_id
    client.statement_execution.cancel_execution(made.statement_id)
    state = lambda: client.statement_execution.get_statement(made.statement_id).status.state  # noqa: E731
    until(lambda: state() is sql.StatementState.CANCELED)
    assert made.statement_id in half.cancelled
    half.release_all.set()
    (entry,) = entries(client, "stop_rest")
    assert (entry["status"], entry["is_final"]) == ("CANCELED", True)


def test_a_statement_that_ignores_its_cancellation_is_not_said_to_be_cancelled(
    client: WorkspaceClient, local: Workspace, half: Holding
):
    made = client.statement_execution.execute_statement(
        "SELECT 1 AS ignores -- HOLD DEAF", local.warehouse_id, wait_timeout="0s"
    )
    running(client, "ignores")
    client.statement_execution.cancel_execution(made.statement_id)
    until(lambda: made.statement_id in half.cancelled)
    state = lambda: client.statement_execution.get_statement(made.statement_id).status.state  # noqa: E731
    assert state() is sql.StatementState.RUNNING and running(client, "ignores")
    half.release_all.set()
    until(lambda: state() is sql.StatementState.SUCCEEDED)
    assert entries(client, "ignores")[0]["status"] == "FINISHED"


def test_a_stopped_warehouse_is_started_and_refuses_or_holds_back_sql_until_it_runs(
    client: WorkspaceClient, local: Workspace, half: Holding
):
    local.warehouse_start_seconds = 3600.0
    held = client.statement_execution.execute_statement(
        "SELECT 1 AS held -- HOLD", local.warehouse_id, wait_timeout="0s"
    )
    running(client, "held")
    client.warehouses.stop(local.warehouse_id)
    until(lambda: entries(client, "held")[0]["status"] == "CANCELED")
    state = lambda: client.warehouses.get(local.warehouse_id).state  # noqa: E731
    assert state() is sql.State.STOPPED and not client.warehouses.get(local.warehouse_id).num_clusters
    client.warehouses.start(local.warehouse_id)
    assert state() is sql.State.STARTING
    waits = client.statement_execution.execute_statement("SELECT 1 AS waits", local.warehouse_id, wait_timeout="0s")
    assert client.statement_execution.get_statement(waits.statement_id).status.state is sql.StatementState.PENDING
    thrift = requests.post(
        f"{local.host}/sql/1.0/warehouses/{local.warehouse_id}",
        headers={"Authorization": f"Bearer {local.admin_token}"},
        timeout=20,
    )
    assert (thrift.status_code, thrift.headers["retry-after"]) == (503, "1")
    assert held.statement_id != waits.statement_id
    local._starting[local.warehouse_id] = 0.0
    assert state() is sql.State.RUNNING
    until(
        lambda: (
            client.statement_execution.get_statement(waits.statement_id).status.state is sql.StatementState.SUCCEEDED
        )
    )


def test_a_statement_of_rest_appears_once_with_its_rows(client: WorkspaceClient, local: Workspace, half: Holding):
    made = client.statement_execution.execute_statement("SELECT 1 AS rest_once", local.warehouse_id)
    (entry,) = entries(client, "rest_once")
    assert (entry["query_id"], entry["status"], entry["rows_produced"]) == (made.statement_id, "FINISHED", 2)


def test_nobody_cancels_or_sees_the_statement_of_another(
    client: WorkspaceClient, analyst: WorkspaceClient, connection: Any, half: Holding
):
    in_background(connection, "SELECT 1 AS not_yours -- HOLD")
    id_ = running(client, "not_yours")["query_id"]
    for call in (analyst.statement_execution.cancel_execution, analyst.statement_execution.get_statement):
        with pytest.raises(NotFound):
            call(id_)
    assert entries(analyst, "not_yours") == []
    assert [q["status"] for q in entries(client, "not_yours")] == ["RUNNING"]
    with pytest.raises(NotFound):
        client.statement_execution.cancel_execution("00000000-0000-0000-0000-000000000000")


def test_the_history_is_filtered_as_the_service_does(client: WorkspaceClient, local: Workspace, half: Holding):
    good = client.statement_execution.execute_statement("SELECT 1 AS filtered_good", local.warehouse_id).statement_id
    bad = client.statement_execution.execute_statement("SELECT 1 AS filtered_bad -- FAIL", local.warehouse_id)
    me = int(client.current_user.me().id or 0)

    def ids(**filter_by: Any) -> set[str]:
        found = client.query_history.list(filter_by=sql.QueryFilter(**filter_by), max_results=1000)
        return {q.query_id or "" for q in found.res or [] if "filtered_" in (q.query_text or "")}

    assert ids(statuses=[sql.QueryStatus.FINISHED]) == {good}
    assert ids(statuses=[sql.QueryStatus.FINISHED, sql.QueryStatus.FAILED]) == {good, bad.statement_id}
    assert ids(statement_ids=[bad.statement_id]) == {bad.statement_id}
    assert ids(warehouse_ids=["other"]) == set()
    assert ids(warehouse_ids=["other", local.warehouse_id], user_ids=[me], statuses=[sql.QueryStatus.FAILED]) == {
        bad.statement_id
    }
    assert ids(user_ids=[me + 1]) == set()
    now = int(time.time() * 1000)
    assert ids(query_start_time_range=sql.TimeRange(start_time_ms=now + 60_000)) == set()
    assert ids(query_start_time_range=sql.TimeRange(start_time_ms=now - 60_000, end_time_ms=now + 1)) == {
        good,
        bad.statement_id,
    }


@pytest.mark.parametrize(
    "query",
    [
        {"filter_by.colour": "red"},
        {"filter_by.statuses": "SLEEPING"},
        {"filter_by.user_ids": "me"},
        {"filter_by.query_start_time_range.start_time_ms": "yesterday"},
        {
            "filter_by.query_start_time_range.start_time_ms": "0",
            "filter_by.query_start_time_range.end_time_ms": str(31 * 24 * 3600 * 1000),
        },
        {"max_results": 1001},
        {"page_token": "%%%"},
    ],
)
def test_a_wrong_filter_of_the_history_is_refused(client: WorkspaceClient, query: dict[str, Any]):
    with pytest.raises(InvalidParameterValue):
        client.api_client.do("GET", HISTORY, query=query)


def test_metrics_come_only_when_asked_for(client: WorkspaceClient, local: Workspace, half: Holding):
    client.statement_execution.execute_statement("SELECT 1 AS measured", local.warehouse_id)
    assert "metrics" not in entries(client, "measured")[0]
    metrics = entries(client, "measured", include_metrics="true")[0]["metrics"]
    assert metrics["rows_produced_count"] == 2 and metrics["total_time_ms"] >= 0


def test_the_history_pages_through_everything_once_though_it_grows(
    client: WorkspaceClient, local: Workspace, half: Holding
):
    for i in range(5):
        client.statement_execution.execute_statement(f"SELECT {i} AS paged", local.warehouse_id)
    query: dict[str, Any] = {"max_results": 2, "filter_by.statuses": "FINISHED"}
    seen: list[str] = []
    for _ in range(200):
        page = client.api_client.do("GET", HISTORY, query=query)
        seen += [q["query_text"] for q in page["res"] if "AS paged" in q["query_text"]]
        if len(seen) == 2:
            client.statement_execution.execute_statement("SELECT 9 AS later", local.warehouse_id)
        if not page["has_next_page"]:
            break
        query["page_token"] = page["next_page_token"]
    assert seen == [f"SELECT {i} AS paged" for i in (4, 3, 2, 1, 0)]


def test_tags_of_a_query_are_in_the_history(client: WorkspaceClient, local: Workspace, half: Holding):
    endpoint = Endpoint(local.host, local.warehouse_id, local.admin_token)
    with endpoint.sql() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS tagged", query_tags={"comparison": "a:b,c\\d", "plain": None})
    (entry,) = entries(client, "tagged")
    assert entry["query_tags"] == [{"key": "comparison", "value": "a:b,c\\d"}, {"key": "plain"}]
    assert query_tags("") == {}


def test_what_ran_when_the_process_died_has_failed_after_the_next_start(
    client: WorkspaceClient, local: Workspace, connection: Any, half: Holding, tmp_path: Path
):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS was_finished")
    in_background(connection, "SELECT 1 AS was_running -- HOLD")
    entry = running(client, "was_running")
    for part in local.data.glob("workspace.db*"):  # As a kill leaves them.
        (tmp_path / part.name).write_bytes(part.read_bytes())
    second = Workspace(tmp_path)
    assert second.state.query(entry["query_id"])["status"] == "RUNNING"  # type: ignore[index]
    second.state.end_interrupted()
    after = second.state.query(entry["query_id"])
    assert after is not None
    assert (after["status"], after["is_final"]) == ("FAILED", True)
    assert "restarted" in after["error_message"] and after["query_end_time_ms"] >= after["query_start_time_ms"]
    found = second.state.queries(among={}, times=(0, 2**62), before=None, limit=1000)
    assert {q["status"] for _, q in found if "was_" in q["query_text"]} == {"FAILED", "FINISHED"}
    second.queries.cancel(entry["query_id"])  # Of a process that is gone: nothing to end.


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/* x */ select 1", "SELECT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"),
        ("insert into t values (1)", "INSERT"),
        ("CREATE OR REFRESH MATERIALIZED VIEW v AS SELECT 1", "CREATE"),
        ("SELEC 1", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_the_type_of_a_statement_is_the_services(text: str, kind: str):
    assert statement_type(text) == kind


def test_the_system_table_has_what_ended_as_the_service_shows_it(
    local: Workspace, half: Holding, connection: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("/* who */ SELECT 1")
        cursor.fetchall()
        with suppress(Error):
            cursor.execute("SELECT FAIL")
    rows = system_table(local.state, 7).to_pylist()
    found = {r["statement_text"]: r for r in rows}
    done, failed = found["/* who */ SELECT 1"], found["SELECT FAIL"]
    assert (done["workspace_id"], done["execution_status"], done["statement_type"]) == ("7", "FINISHED", "SELECT")
    assert done["executed_by"] and done["start_time"] <= done["end_time"] and done["produced_rows"] == 2
    assert failed["execution_status"] == "FAILED" and "Division by zero" in failed["error_message"]
