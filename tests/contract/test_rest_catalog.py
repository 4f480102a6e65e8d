"""Unity Catalog, SQL statements, warehouses and faults on SQL, through the real SDK and connector."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service import catalog
from databricks.sdk.service import sql as warehouse

from databricks_client.endpoint import Endpoint
from scripts.local_workspace import LocalWorkspace
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
CATALOG = f"contract_catalog_{uuid.uuid4().hex[:6]}"
TABLE = f"{CATALOG}.s.t"


@pytest.fixture(scope="module")
def client(raw_workspace: LocalWorkspace) -> WorkspaceClient:
    return raw_workspace.endpoint.workspace()


@pytest.fixture(scope="module")
def table(client: WorkspaceClient, raw_workspace: LocalWorkspace) -> str:
    client.catalogs.create(CATALOG, comment="Contract")
    client.schemas.create("s", CATALOG)
    with raw_workspace.endpoint.sql() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (id BIGINT COMMENT 'Key', price DECIMAL(10,2), tags ARRAY<STRING>)")
        cursor.execute(f"INSERT INTO {TABLE} VALUES (1, 2.5, array('a')), (2, NULL, NULL)")
    return TABLE


@pytest.fixture(scope="module")
def reader(raw_workspace: LocalWorkspace, client: WorkspaceClient) -> Iterator[Endpoint]:
    """A user without any grant."""
    client.users.create(user_name="reader@example.com", display_name="Rea Der")
    body = {"user": "reader@example.com"}
    token = client.api_client.do("POST", "/emulator/tokens", body=body)["token"]
    yield Endpoint(raw_workspace.host, raw_workspace.warehouse_id, token)


def test_a_table_is_described_as_unity_catalog_does(client: WorkspaceClient, table: str):
    found = client.tables.get(table)
    assert (found.table_type, found.data_source_format.value, found.owner) == (
        catalog.TableType.MANAGED,
        "DELTA",
        "admin@example.com",
    )
    assert [(c.name, c.type_text, c.position) for c in found.columns] == [
        ("id", "bigint", 0),
        ("price", "decimal(10,2)", 1),
        ("tags", "array<string>", 2),
    ]
    assert (found.columns[0].comment, found.columns[1].type_precision) == ("Key", 10)
    assert found.pipeline_id is None
    assert client.tables.exists(table).table_exists
    assert [s.full_name for s in client.tables.list_summaries(CATALOG, table_name_pattern="t%")] == [table]
    assert [t.full_name for t in client.tables.list(CATALOG, "s", max_results=1)] == [table]


@pytest.mark.parametrize("name", ["{}.s.none", "{}.none.t", "none.s.t"])
def test_what_is_not_there_is_not_found(client: WorkspaceClient, table: str, name: str):
    with pytest.raises(NotFound):
        client.tables.get(name.format(CATALOG))


def test_grants_are_given_seen_and_taken(client: WorkspaceClient, table: str, reader: Endpoint):
    other = reader.workspace()
    with pytest.raises(PermissionDenied):
        other.tables.get(table)
    select = [catalog.Privilege.SELECT]
    use = [catalog.Privilege.USE_CATALOG, catalog.Privilege.USE_SCHEMA, catalog.Privilege.MODIFY]
    who = "reader@example.com"
    client.grants.update("TABLE", table, changes=[catalog.PermissionsChange(principal=who, add=select)])
    client.grants.update("CATALOG", CATALOG, changes=[catalog.PermissionsChange(principal=who, add=use)])
    assert other.tables.get(table).full_name == table
    direct = client.grants.get("TABLE", table, principal=who).privilege_assignments
    assert [(a.principal, a.privileges) for a in direct] == [(who, select)]
    effective = client.grants.get_effective("TABLE", table, principal=who).privilege_assignments[0].privileges
    inherited = {p.privilege: p.inherited_from_name for p in effective}
    assert inherited[catalog.Privilege.SELECT] is None
    assert inherited[catalog.Privilege.MODIFY] == CATALOG
    with pytest.raises(PermissionDenied):
        other.grants.update("TABLE", table, changes=[catalog.PermissionsChange(principal=who, add=select)])
    with reader.sql() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert cursor.fetchall()[0][0] == 2
    client.grants.update("TABLE", table, changes=[catalog.PermissionsChange(principal=who, remove=select)])
    assert not client.grants.get("TABLE", table, principal=who).privilege_assignments
    with pytest.raises(DatabricksError):
        client.grants.update("TABLE", table, changes=[catalog.PermissionsChange(principal="ghost", add=select)])


def test_statements_answer_inline(client: WorkspaceClient, raw_workspace: LocalWorkspace, table: str):
    execute = client.statement_execution.execute_statement
    parameters = [warehouse.StatementParameterListItem(name="n", value="2", type="INT")]
    text = f"SELECT id, price, tags, named_struct('Key', id + 0) AS s, :n AS n FROM {table} ORDER BY id"
    found = execute(text, raw_workspace.warehouse_id, parameters=parameters, wait_timeout="50s")
    assert found.status.state is warehouse.StatementState.SUCCEEDED
    assert [(c.name, c.type_name.value, c.type_text) for c in found.manifest.schema.columns] == [
        ("id", "LONG", "BIGINT"),
        ("price", "DECIMAL", "DECIMAL(10,2)"),
        ("tags", "ARRAY", "ARRAY<STRING>"),
        ("s", "STRUCT", "STRUCT<Key: BIGINT>"),
        ("n", "INT", "INT"),
    ]
    assert found.result.data_array == [
        ["1", "2.50", '["a"]', '{"Key": 1}', "2"],
        ["2", None, None, '{"Key": 2}', "2"],
    ]
    cut = execute(f"SELECT * FROM {table}", raw_workspace.warehouse_id, row_limit=1, wait_timeout="50s")
    assert (cut.manifest.total_row_count, cut.manifest.truncated) == (1, True)
    failed = execute("SELECT nothing", raw_workspace.warehouse_id, wait_timeout="50s").status
    assert failed.state is warehouse.StatementState.FAILED
    assert "UNRESOLVED_COLUMN" in failed.error.message
    for bad in ("1s", "60s", "soon"):
        with pytest.raises(DatabricksError):
            execute("SELECT 1", raw_workspace.warehouse_id, wait_timeout=bad)


def test_a_statement_can_be_cancelled(client: WorkspaceClient, raw_workspace: LocalWorkspace):
    started = client.statement_execution.execute_statement(
        "SELECT sum(sin(id)) FROM range(4000000000)", raw_workspace.warehouse_id, wait_timeout="0s"
    )
    time.sleep(1.5)
    client.statement_execution.cancel_execution(started.statement_id)

    def cancelled() -> bool:
        state = client.statement_execution.get_statement(started.statement_id).status.state.value
        assert state in ("RUNNING", "CANCELED")
        return state == "CANCELED"

    wait_until(cancelled, 120)


def test_the_query_history_has_what_ran(client: WorkspaceClient, raw_workspace: LocalWorkspace):
    text = "SELECT 'for the history' AS x"
    client.statement_execution.execute_statement(text, raw_workspace.warehouse_id, wait_timeout="50s")
    history = client.query_history.list(max_results=50).res
    mine = next(q for q in history if q.query_text == text)
    assert (mine.status.value, mine.user_name, mine.warehouse_id) == (
        "FINISHED",
        "admin@example.com",
        raw_workspace.warehouse_id,
    )


def test_a_stopped_warehouse_starts_when_used(client: WorkspaceClient, raw_workspace: LocalWorkspace):
    client.warehouses.stop(raw_workspace.warehouse_id)
    assert client.warehouses.get(raw_workspace.warehouse_id).state.value == "STOPPED"
    with raw_workspace.endpoint.sql() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall()[0][0] == 1
    assert client.warehouses.get(raw_workspace.warehouse_id).state.value == "RUNNING"


@pytest.fixture
def faults(client: WorkspaceClient) -> Iterator[Any]:
    """Adds a fault; all are gone afterwards."""
    yield lambda **rule: client.api_client.do("POST", "/emulator/faults", body=rule)
    client.api_client.do("DELETE", "/emulator/faults")


def test_sql_can_be_slow_and_broken_by_its_text(client: WorkspaceClient, raw_workspace: LocalWorkspace, faults: Any):
    with raw_workspace.endpoint.sql() as connection, connection.cursor() as cursor:
        faults(path="^/sql/", sql_contains="slow_one", latency_seconds=0.8)
        before = time.monotonic()
        cursor.execute("SELECT 1 AS slow_one")
        assert time.monotonic() - before >= 0.8
        cursor.execute("SELECT 1 AS quick_one")
        (rule,) = client.api_client.do("GET", "/emulator/faults")["faults"]
        assert rule["applied"] == 1


def test_the_effect_of_a_statement_lands_though_its_answer_is_lost(
    client: WorkspaceClient, raw_workspace: LocalWorkspace, table: str, faults: Any
):
    faults(path="^/sql/", sql_contains="lost_answer", drop="after")
    config = {"_retry_stop_after_attempts_count": 1, "_socket_timeout": 20}
    with pytest.raises(Exception, match=r"."), raw_workspace.endpoint.sql(**config) as connection:
        connection.cursor().execute(f"CREATE VIEW {CATALOG}.s.lost_answer AS SELECT * FROM {table}")
    client.api_client.do("DELETE", "/emulator/faults")
    assert client.tables.get(f"{CATALOG}.s.lost_answer").table_type is catalog.TableType.VIEW


def test_the_panels_client_finds_its_workspace_and_user(client: WorkspaceClient, raw_workspace: LocalWorkspace):
    assert client.current_user.me().user_name == "admin@example.com"
    assert client.get_workspace_id() > 0
    assert isinstance(client.config, Config)
    assert client.config.host == raw_workspace.host
