"""The SQL warehouse as the real connector sees it: results, types, parameters, errors, cancelling, rights, listings."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from databricks import sql
from databricks.sdk import WorkspaceClient
from databricks.sql.exc import DatabaseError, RequestError, ServerOperationError

from databricks_client.endpoint import Endpoint
from scripts.local_workspace import LocalWorkspace
from validation import ComparisonSpec, Verdict, compare
from validation.connector import DatabricksWarehouse

pytestmark = pytest.mark.timeout(300)
CATALOG = "sql_contract"


@pytest.fixture(scope="module")
def client(raw_workspace: LocalWorkspace) -> WorkspaceClient:
    return raw_workspace.endpoint.workspace()


@pytest.fixture(scope="module")
def connection(raw_workspace: LocalWorkspace) -> Iterator[sql.client.Connection]:
    with raw_workspace.endpoint.sql() as found:
        yield found


@pytest.fixture(scope="module")
def home(connection: sql.client.Connection) -> str:
    """A schema with table `t` (1 'a', 2 NULL) and view `v` over it."""
    run(connection, f"CREATE CATALOG IF NOT EXISTS {CATALOG}")
    run(connection, f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.s")
    run(connection, f"CREATE OR REPLACE TABLE {CATALOG}.s.t (id INT COMMENT 'Key', name STRING)")
    run(connection, f"INSERT INTO {CATALOG}.s.t VALUES (1, 'a'), (2, NULL)")
    run(connection, f"CREATE OR REPLACE VIEW {CATALOG}.s.v AS SELECT id FROM {CATALOG}.s.t")
    return f"{CATALOG}.s"


@pytest.fixture(scope="module")
def reader(raw_workspace: LocalWorkspace, client: WorkspaceClient) -> Endpoint:
    """A user without any grant."""
    client.users.create(user_name="sql.reader@example.com", display_name="Rhea Reader")
    token = client.api_client.do("POST", "/emulator/tokens", body={"user": "sql.reader@example.com"})["token"]
    return Endpoint(raw_workspace.host, raw_workspace.warehouse_id, token)


def run(connection: sql.client.Connection, text: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return [tuple(row) for row in cursor.fetchall()]


def refused(connection: sql.client.Connection, text: str, parameters: Any = None) -> str:
    with pytest.raises(ServerOperationError) as caught:
        run(connection, text, parameters)
    return str(caught.value)


# ---- results and types

TYPES: list[tuple[str, str, Any]] = [
    ("true", "boolean", True),
    ("1Y", "tinyint", 1),
    ("-2S", "smallint", -2),
    ("3", "int", 3),
    ("9223372036854775807", "bigint", 9223372036854775807),
    ("CAST(1.5 AS FLOAT)", "float", 1.5),
    ("1.25D", "double", 1.25),
    ("CAST('12345678901234567890.1234567890' AS DECIMAL(38,10))", "decimal", Decimal("12345678901234567890.1234567890")),
    ("'Ünïcode ''q'' ☃'", "string", "Ünïcode 'q' ☃"),
    ("X'00FF'", "binary", b"\x00\xff"),
    ("DATE'0001-01-01'", "date", dt.date(1, 1, 1)),
    ("TIMESTAMP'2024-01-02 03:04:05.123456'", "timestamp", dt.datetime(2024, 1, 2, 3, 4, 5, 123456, dt.UTC)),
    ("TIMESTAMP_NTZ'2024-01-02 03:04:05'", "timestamp", dt.datetime(2024, 1, 2, 3, 4, 5)),
    ("INTERVAL '1-2' YEAR TO MONTH", "interval_year_month", "1-2"),
    ("INTERVAL '-1 02:03:04.5' DAY TO SECOND", "interval_day_time", "-1 02:03:04.500000000"),
    ("NULL", "null", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "kind", "value"), TYPES, ids=[kind + str(i) for i, (_, kind, _) in enumerate(TYPES)]
)
def test_every_type_arrives_with_its_value_and_its_null(
    connection: sql.client.Connection, expression: str, kind: str, value: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression} AS x, IF(rand() < 0, {expression}, NULL) AS n")
        row = cursor.fetchone()
        assert cursor.description[0][1] == kind
    assert row is not None
    assert row.n is None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        assert row.x.utcoffset() == dt.timedelta(0)
    assert row.x == value


def test_nested_values_arrive_as_arrow(connection: sql.client.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array(1, NULL) a, map('k', array(1.5D)) m, named_struct('x', 1, 'y', named_struct('z', NULL)) s"
        )
        table = cursor.fetchall_arrow()
    assert table.to_pylist() == [{"a": [1, None], "m": [("k", [1.5])], "s": {"x": 1, "y": {"z": None}}}]


def test_a_variant_arrives_as_its_json(connection: sql.client.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("""SELECT parse_json('{"a":[1,null,"é"]}') v, array(parse_json('1')) nested""")
        assert cursor.description[0][1] == "variant"
        row = cursor.fetchone()
    assert row is not None
    assert json.loads(row.v) == {"a": [1, None, "é"]}
    assert json.loads(row.nested) == [1]


def test_nested_values_arrive_as_json_for_a_client_that_asks_for_it(raw_workspace: LocalWorkspace) -> None:
    with raw_workspace.endpoint.sql(_use_arrow_native_complex_types=False) as connection:
        rows = run(connection, "SELECT array(1, NULL), map('k', DATE'2024-01-02'), named_struct('x', 1.5BD)")
    assert [json.loads(value) for value in rows[0]] == [[1, None], {"k": "2024-01-02"}, {"x": 1.5}]


def test_results_come_as_columns_for_a_client_without_arrow(
    raw_workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import databricks.sql.backend.thrift_backend as backend
    import databricks.sql.result_set as result_set
    import databricks.sql.utils as utils

    for module in (backend, result_set, utils):
        if hasattr(module, "pyarrow"):
            monkeypatch.setattr(module, "pyarrow", None)
    with raw_workspace.endpoint.sql() as connection:
        rows = run(
            connection,
            "SELECT true, 1, 2L, 1.5D, 1.50BD, 'x', X'01', DATE'2024-01-02', array(1), NULL, INTERVAL '1-2' YEAR TO MONTH"
            " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        )
    filled = next(row for row in rows if row[0] is not None)
    empty = next(row for row in rows if row[0] is None)
    assert filled[:8] == (True, 1, 2, 1.5, Decimal("1.50"), "x", b"\x01", dt.date(2024, 1, 2))
    assert filled[8:] == ("[1]", None, "1-2")
    assert empty == (None,) * 11


def test_a_big_result_is_fetched_piece_by_piece(connection: sql.client.Connection) -> None:
    seen = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, repeat('x', 100) AS s FROM range(250000)")
        while rows := cursor.fetchmany_arrow(20_000).num_rows:
            assert rows <= 20_000
            seen += rows
    assert seen == 250_000


def test_an_empty_result_has_its_columns_and_ddl_has_none(connection: sql.client.Connection, home: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {home}.t WHERE false")
        assert [(d[0], d[1]) for d in cursor.description] == [("id", "int"), ("name", "string")]
        assert cursor.fetchall() == []
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {home}.t (x INT)")
        assert cursor.fetchall() == []


def test_dml_says_how_many_rows_it_changed(connection: sql.client.Connection, home: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE TABLE {home}.dml (a INT)")
        cursor.execute(f"INSERT INTO {home}.dml VALUES (1), (2), (3)")
        assert cursor.rowcount == 3
        cursor.execute(f"UPDATE {home}.dml SET a = 9 WHERE a > 1")
        assert cursor.rowcount == 2
        cursor.execute(f"DELETE FROM {home}.dml WHERE a = 1")
        assert cursor.rowcount == 1
        cursor.execute(
            f"MERGE INTO {home}.dml t USING (SELECT 9 a UNION ALL SELECT 5) s ON t.a = s.a AND s.a = 5 "
            "WHEN NOT MATCHED THEN INSERT *"
        )
        assert cursor.rowcount == 2


# ---- parameters


def test_parameters_are_bound_with_their_types(connection: sql.client.Connection) -> None:
    values = {
        "i": 5,
        "s": "it's \\ :x ? ☃",
        "d": Decimal("1.50"),
        "b": True,
        "f": 1.25,
        "n": None,
        "day": dt.date(2024, 1, 2),
        "at": dt.datetime(2024, 1, 2, 3, 4, 5, 6),
        "list": [1, 2],
        "map": {"a": 1},
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f":{name} AS {name}" for name in values) + ", ':i' AS text", values)
        found = cursor.fetchall_arrow().to_pylist()[0]
    assert found.pop("text") == ":i"
    assert found.pop("map") == [("a", 1)]
    assert found.pop("at").replace(tzinfo=None) == values["at"]
    assert found == {name: value for name, value in values.items() if name not in ("map", "at")}
    assert run(connection, "SELECT ? + ?, '?'", [1, 2]) == [(3, "?")]


def test_a_parameter_can_name_a_table_and_a_missing_one_is_refused(
    connection: sql.client.Connection, home: str
) -> None:
    assert run(connection, "SELECT count(*) FROM IDENTIFIER(:t)", {"t": f"{home}.t"}) == [(2,)]
    assert "UNBOUND_SQL_PARAMETER" in refused(connection, "SELECT :missing", {"other": 1})


# ---- errors


@pytest.mark.parametrize(
    ("text", "error_class", "state"),
    [
        ("SELEC 1", "PARSE_SYNTAX_ERROR", "42601"),
        ("SELECT * FROM sql_contract.s.nope", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ("SELECT * FROM sql_contract.nope.t", "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ("CREATE TABLE sql_contract.nope.t (a INT)", "SCHEMA_NOT_FOUND", "42704"),
        ("SELECT * FROM nope.s.t", "NO_SUCH_CATALOG_EXCEPTION", "42704"),
        ("USE CATALOG nope", "NO_SUCH_CATALOG_EXCEPTION", "42704"),
        ("SELECT nope FROM sql_contract.s.t", "UNRESOLVED_COLUMN.WITH_SUGGESTION", "42703"),
        ("SELECT 1/0", "DIVIDE_BY_ZERO", "22012"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT", "22018"),
        ("CREATE TABLE sql_contract.s.t (a INT)", "TABLE_OR_VIEW_ALREADY_EXISTS", "42P07"),
        ("CREATE VIEW sql_contract.s.t AS SELECT 1", "TABLE_OR_VIEW_ALREADY_EXISTS", "42P07"),
        ("CREATE TABLE sql_contract.s.twice (a INT, A INT)", "COLUMN_ALREADY_EXISTS", "42711"),
        ("CREATE TABLE sql_contract.s.twice AS SELECT 1 AS a, 2 AS a", "COLUMN_ALREADY_EXISTS", "42711"),
        ("CREATE VIEW sql_contract.s.twice AS SELECT 1 AS a, 2 AS A", "COLUMN_ALREADY_EXISTS", "42711"),
        ("ANALYZE TABLE sql_contract.s.t COMPUTE STATISTICS", "NOT_IMPLEMENTED", "0A000"),
        ("CREATE TABLE sql_contract.s.twice DEEP CLONE sql_contract.s.t", "NOT_IMPLEMENTED", "0A000"),
        ("CREATE OR REPLACE VIEW sql_contract.s.t AS SELECT 1", "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE", "42809"),
        ("CREATE OR REPLACE TABLE sql_contract.s.v (a INT)", "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE", "42809"),
        ("DROP TABLE sql_contract.s.v", "WRONG_COMMAND_FOR_OBJECT_TYPE", "42809"),
        ("DROP SCHEMA sql_contract.s", "SCHEMA_NOT_EMPTY", "2BP01"),
        ("SELECT * FROM sql_contract.s.v VERSION AS OF 0", "UNSUPPORTED_FEATURE.TIME_TRAVEL", "0A000"),
        ("SET nope = 1", "CONFIG_NOT_AVAILABLE", "42K0I"),
    ],
)
def test_an_error_carries_class_and_sqlstate(
    connection: sql.client.Connection, home: str, text: str, error_class: str, state: str
) -> None:
    message = refused(connection, text)
    assert message.startswith(f"[{error_class}]")
    assert f"SQLSTATE: {state}" in message
    assert "__s" not in message
    assert "spark_catalog" not in message


def test_a_connection_works_on_after_an_error(connection: sql.client.Connection) -> None:
    refused(connection, "SELECT 1/0")
    assert run(connection, "SELECT 1") == [(1,)]


def test_a_wrong_token_and_an_unknown_warehouse_are_refused_at_once(raw_workspace: LocalWorkspace) -> None:
    started = time.monotonic()
    with pytest.raises(RequestError, match="Invalid access token"):
        Endpoint(raw_workspace.host, raw_workspace.warehouse_id, "wrong").sql()
    with pytest.raises(RequestError, match="does not exist"):
        Endpoint(raw_workspace.host, "0123456789abcdef", raw_workspace.token).sql()
    assert time.monotonic() - started < 300, "the connector goes on trying for minutes where trying again may help"


# ---- cancelling, sessions, concurrency


def test_cancelling_stops_the_query_and_frees_the_warehouse(raw_workspace: LocalWorkspace) -> None:
    outcome: list[BaseException | str] = []
    with raw_workspace.endpoint.sql() as connection:
        cursor = connection.cursor()

        def work() -> None:
            try:
                cursor.execute("SELECT count(*) FROM range(1000000000000) WHERE hash(id) % 7 = hash(id * 3) % 11")
                outcome.append("finished")
            except DatabaseError as e:
                outcome.append(e)

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(3)
        cursor.cancel()
        thread.join(60)
        assert not thread.is_alive(), "the query would run for hours"
        assert isinstance(outcome[0], DatabaseError)
        assert "OPERATION_CANCELED" in str(outcome[0])
        # Another query is not starved by one that goes on in secret.
        assert run(connection, "SELECT count(*) FROM range(1000)") == [(1000,)]


def active_stages(connection: sql.client.Connection) -> list[dict[str, Any]]:
    """What runs in Spark now, from its own list."""
    ((_, port),) = run(connection, "SET spark.ui.port")
    base = f"http://127.0.0.1:{port}/api/v1/applications"
    with urllib.request.urlopen(base, timeout=120) as answer:
        application = json.load(answer)[0]["id"]
    with urllib.request.urlopen(f"{base}/{application}/stages?status=active", timeout=120) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_a_small_statement_ends_while_heavy_ones_of_other_connections_run(
    raw_workspace: LocalWorkspace, client: WorkspaceClient, connection: sql.client.Connection, home: str
) -> None:
    """Each heavy statement has more long tasks than there are processors. They are cancelled by their ids."""

    def work(number: int) -> None:
        with suppress(DatabaseError), raw_workspace.endpoint.sql() as own, own.cursor() as cursor:
            cursor.execute(f"SELECT sum(hash(id) % 7) AS heavy_{number} FROM range(0, 1000000000000, 1, 8)")

    def heavy(status: str) -> list[str]:
        query = {"filter_by.statuses": status, "max_results": 100}
        found = client.api_client.do("GET", "/api/2.0/sql/history/queries", query=query).get("res", [])
        return [q["query_id"] for q in found if "heavy_" in q["query_text"] and "range(" in q["query_text"]]

    active_stages(connection)  # The list's own first answer takes long, more so beside the heavy ones.
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 60
        while len(heavy("RUNNING")) < 2 and time.monotonic() < end:
            time.sleep(0.2)
        # Several stages one after the other, so that it needs its turn several times.
        text = f"SELECT a.name, count(*) FROM {home}.t a JOIN {home}.t b ON a.id = b.id GROUP BY a.name ORDER BY 1"
        assert len(run(connection, text)) == 2
        still = heavy("RUNNING")
        assert len(still) == 2, "the heavy ones would run for hours"
        pools = [stage["schedulingPool"] for stage in active_stages(connection) if stage["numTasks"] == 8]
        assert len(pools) == 2 and all(pool.startswith("connection-") for pool in pools)
    finally:
        for query_id in heavy("RUNNING"):
            client.statement_execution.cancel_execution(query_id)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert set(still) <= set(heavy("CANCELED")) and heavy("RUNNING") == []


def test_a_table_with_row_tracking_takes_rows(connection: sql.client.Connection, home: str) -> None:
    properties = "'delta.enableRowTracking' = 'true'"
    run(connection, f"CREATE OR REPLACE TABLE {home}.tracked (id INT) TBLPROPERTIES ({properties})")
    run(connection, f"INSERT INTO {home}.tracked VALUES (10), (20)")
    assert run(connection, f"SELECT count(DISTINCT _metadata.row_id) FROM {home}.tracked") == [(2,)]


def test_tags_are_kept_beside_spark(connection: sql.client.Connection, home: str) -> None:
    run(connection, f"ALTER TABLE {home}.t SET TAGS ('pii' = 'no')")
    run(connection, f"ALTER VIEW {home}.v SET TAGS ('pii' = 'none')")
    query = f"SELECT table_name, tag_name, tag_value FROM {CATALOG}.information_schema.table_tags ORDER BY 1"
    assert run(connection, query) == [("t", "pii", "no"), ("v", "pii", "none")]
    run(connection, f"ALTER TABLE {home}.t UNSET TAGS ('pii')")
    assert run(connection, query) == [("v", "pii", "none")]


def test_no_file_of_the_workspace_is_readable_to_others(
    raw_workspace: LocalWorkspace, connection: sql.client.Connection, home: str
) -> None:
    if not raw_workspace.owner:
        pytest.skip("a developer's workspace may be older")
    run(connection, f"CREATE OR REPLACE TABLE {home}.private AS SELECT 1 AS a")
    data = raw_workspace.data
    open_to_others = [
        str(path.relative_to(data))
        for path in (data, *data.rglob("*"))
        if not path.is_symlink() and path.exists() and path.stat().st_mode & (0o077 if path.is_dir() else 0o066)
    ]
    # The tests' own lock is no file of the workspace.
    assert [name for name in open_to_others if name != "tests.lock"] == []


def test_an_asynchronous_statement_is_polled_for_its_result(connection: sql.client.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute_async("SELECT sum(id) FROM range(100)")
        while cursor.is_query_pending():
            time.sleep(0.1)
        cursor.get_async_execution_result()
        assert cursor.fetchall()[0][0] == 4950


def test_a_session_keeps_its_catalog_schema_settings_and_temporary_views(
    raw_workspace: LocalWorkspace, home: str
) -> None:
    with raw_workspace.endpoint.sql(catalog=CATALOG, schema="s") as connection:
        assert run(connection, "SELECT current_catalog(), current_schema()") == [(CATALOG, "s")]
        assert run(connection, "SELECT count(*) FROM t") == [(2,)]
        run(connection, "CREATE TEMP VIEW t AS SELECT 7 AS seven")
        assert run(connection, "SELECT * FROM t") == [(7,)]
        run(connection, "USE SCHEMA default")
        assert run(connection, "SELECT t.id FROM s.t AS t ORDER BY 1") == [(1,), (2,)]
        run(connection, "SET TIMEZONE = America/New_York")
        assert run(connection, "SELECT hour(TIMESTAMP'2024-01-01 12:00:00Z')") == [(7,)]
        assert run(connection, "SET ansi_mode") == [("ansi_mode", "true")]
    with raw_workspace.endpoint.sql(session_configuration={"timezone": "Asia/Tokyo"}) as connection:
        assert run(connection, "SELECT current_timezone()") == [("Asia/Tokyo",)]
    with raw_workspace.endpoint.sql() as connection:
        assert run(connection, "SELECT current_timezone()") == [("UTC",)]
        assert "TABLE_OR_VIEW_NOT_FOUND" in refused(connection, "SELECT * FROM t")


def test_eight_connections_read_and_write_at_once(raw_workspace: LocalWorkspace, connection: Any, home: str) -> None:
    run(connection, f"CREATE OR REPLACE TABLE {home}.crowd (who INT)")
    failures: list[str] = []

    def work(number: int) -> None:
        try:
            with raw_workspace.endpoint.sql() as mine:
                run(mine, f"INSERT INTO {home}.crowd VALUES (?)", [number])
                for _ in range(3):
                    if run(mine, f"SELECT count(*) FROM {home}.crowd WHERE who = ?", [number]) != [(1,)]:
                        failures.append(f"{number} does not see its row")
        except (DatabaseError, RequestError) as e:
            failures.append(repr(e))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    assert failures == []
    assert run(connection, f"SELECT count(*) FROM {home}.crowd") == [(8,)]


# ---- Delta and Unity Catalog


def test_time_travel_history_and_restore_work(connection: sql.client.Connection, home: str) -> None:
    table = f"{home}.travel"
    run(connection, f"CREATE OR REPLACE TABLE {table} AS SELECT 1 AS a")
    run(connection, f"INSERT INTO {table} VALUES (2)")
    history = run(connection, f"SELECT count(*) FROM {table} VERSION AS OF 0")
    assert history == [(1,)]
    assert run(connection, f"SELECT count(*) FROM {table}@v1") == [(2,)]
    with connection.cursor() as cursor:
        cursor.execute(f"DESCRIBE HISTORY {table}")
        versions = [(row.version, row.operation) for row in cursor.fetchall()]
        assert versions == [(1, "WRITE"), (0, "CREATE OR REPLACE TABLE AS SELECT")] or versions[0] == (1, "WRITE")
        cursor.execute(f"DESCRIBE DETAIL {table}")
        assert cursor.fetchone().name == table
    run(connection, f"RESTORE TABLE {table} TO VERSION AS OF 0")
    assert run(connection, f"SELECT count(*) FROM {table}") == [(1,)]
    run(connection, f"OPTIMIZE {table} ZORDER BY (a)")


def test_the_history_of_a_table_names_who_wrote_it(connection: sql.client.Connection, home: str) -> None:
    table = f"{home}.signed"
    run(connection, f"CREATE OR REPLACE TABLE {table} AS SELECT 1 AS a")
    (me,) = run(connection, "SELECT current_user()")[0]
    run(connection, f"UPDATE {table} SET a = 2")
    run(connection, "SET spark.databricks.delta.commitInfo.userMetadata = mine")
    run(connection, f"DELETE FROM {table}")
    run(connection, "RESET")
    run(connection, f"INSERT INTO {table} VALUES (3)")
    with connection.cursor() as cursor:
        cursor.execute(f"DESCRIBE HISTORY {table} LIMIT 4")
        found = [(r.operation, r.userName, r.userMetadata, r.job) for r in cursor.fetchall()]
    assert [o for o, *_ in found[:3]] == ["WRITE", "DELETE", "UPDATE"]
    assert {user for _, user, *_ in found} == {me}
    assert [m for _, _, m, _ in found[:3]] == [None, "mine", None] and {j for *_, j in found} == {None}


def test_the_warehouse_counts_the_sessions_that_are_open(raw_workspace: LocalWorkspace) -> None:
    client = raw_workspace.endpoint.workspace()
    made = client.warehouses.create(name="counted", cluster_size="2X-Small").response.id
    assert made is not None
    beside = dataclasses.replace(raw_workspace.endpoint, warehouse_id=made)
    try:
        with beside.sql() as one, beside.sql() as other:
            assert run(one, "SELECT 1") == run(other, "SELECT 1") == [(1,)]
            assert client.warehouses.get(made).num_active_sessions == 2
        assert client.warehouses.get(made).num_active_sessions == 0
    finally:
        client.warehouses.delete(made)


def test_describe_and_show_speak_of_three_level_names(connection: sql.client.Connection, home: str) -> None:
    detailed = dict(row[:2] for row in run(connection, f"DESCRIBE EXTENDED {home}.t"))
    assert (detailed["Catalog"], detailed["Database"], detailed["Table"]) == (CATALOG, "s", "t")
    assert detailed["Type"] == "MANAGED"
    assert ("s", "t", False) in run(connection, f"SHOW TABLES IN {home}")
    assert run(connection, f"SHOW TABLES IN {home} LIKE 'nothing*'") == []
    text = run(connection, f"SHOW CREATE TABLE {home}.t")[0][0]
    assert text.startswith(f"CREATE TABLE {CATALOG}.s.t")
    assert "LOCATION" not in text
    assert f"`{CATALOG}`.`s`.`v`" in run(connection, f"SHOW CREATE TABLE {home}.v")[0][0]


def test_what_show_create_tells_makes_the_same_table_again(connection: sql.client.Connection, home: str) -> None:
    name = f"{home}.`made-again`"
    columns = """`a b` INT NOT NULL COMMENT 'it\\'s \\\\ "so"', `c``d` DECIMAL(12,2), `select` ARRAY<STRING>, n STRUCT<at: DATE, `X y`: ARRAY<STRUCT<`select`: INT>> COMMENT 'it''s'>"""
    properties = """'delta.columnMapping.mode' = 'name', 'x.y' = 'it\\'s'"""
    run(
        connection,
        f"CREATE OR REPLACE TABLE {name} ({columns}) CLUSTER BY (`c``d`, n.at) COMMENT 'a \\'table\\'' TBLPROPERTIES ({properties})",
    )
    told = run(connection, f"SHOW CREATE TABLE {name}")[0][0]
    described = run(connection, f"DESCRIBE TABLE {name}")
    run(connection, f"DROP TABLE {name}")
    run(connection, told)
    assert run(connection, f"DESCRIBE TABLE {name}") == described
    assert run(connection, f"SHOW CREATE TABLE {name}")[0][0] == told
    run(connection, f"DROP TABLE {name}")


def test_names_with_a_dash_or_unicode_work_and_blanks_are_refused(connection: sql.client.Connection, home: str) -> None:
    run(connection, f"CREATE OR REPLACE TABLE {home}.`täble-1` AS SELECT 1 AS col")
    assert run(connection, f"SELECT `täble-1`.col FROM {home}.`täble-1`") == [(1,)]
    assert ("s", "täble-1", False) in run(connection, f"SHOW TABLES IN {home}")
    assert "not a valid name" in refused(connection, f"CREATE TABLE {home}.`a b` (x INT)")
    run(connection, f"DROP TABLE {home}.`täble-1`")


def test_information_schema_is_answered_from_the_catalog(connection: sql.client.Connection, home: str) -> None:
    assert run(
        connection,
        f"SELECT table_name, table_type FROM {CATALOG}.information_schema.tables "
        "WHERE table_schema = 's' AND table_name IN ('t', 'v') ORDER BY 1",
    ) == [("t", "MANAGED"), ("v", "VIEW")]
    assert run(
        connection,
        "SELECT columns.column_name, c.full_data_type FROM system.information_schema.columns "
        "JOIN system.information_schema.columns c USING (table_catalog, table_schema, table_name, ordinal_position) "
        f"WHERE table_catalog = '{CATALOG}' AND table_name = 't' ORDER BY ordinal_position",
    ) == [("id", "int"), ("name", "string")]


def test_a_rename_keeps_grants_and_a_replaced_view_loses_them(connection: sql.client.Connection, home: str) -> None:
    run(connection, f"CREATE OR REPLACE TABLE {home}.old AS SELECT 1 AS a")
    run(connection, f"GRANT SELECT ON TABLE {home}.old TO `account users`")
    run(connection, f"ALTER TABLE {home}.old RENAME TO {home}.new")
    assert run(connection, f"SHOW GRANTS ON TABLE {home}.new") == [("account users", "SELECT", "TABLE", f"{home}.new")]
    assert "TABLE_OR_VIEW_NOT_FOUND" in refused(connection, f"SELECT * FROM {home}.old")
    run(connection, f"CREATE VIEW {home}.old AS SELECT * FROM {home}.new")
    run(connection, f"GRANT SELECT ON VIEW {home}.old TO `account users`")
    run(connection, f"ALTER VIEW {home}.old AS SELECT a FROM {home}.new")
    assert run(connection, f"SHOW GRANTS ON TABLE {home}.old") == [("account users", "SELECT", "TABLE", f"{home}.old")]
    run(connection, f"CREATE OR REPLACE VIEW {home}.old AS SELECT a FROM {home}.new")
    assert run(connection, f"SHOW GRANTS ON TABLE {home}.old") == []
    run(connection, f"DROP VIEW {home}.old")
    run(connection, f"ALTER TABLE {home}.new RENAME TO {home}.old")
    assert run(connection, f"SELECT * FROM {home}.old") == [(1,)]
    run(connection, f"DROP TABLE {home}.old")


def test_rights_are_asked_for_one_after_the_other(
    connection: sql.client.Connection, home: str, reader: Endpoint
) -> None:
    user = "sql.reader@example.com"
    with reader.sql() as theirs:
        for privilege, securable, wanted in (
            ("USE CATALOG", f"CATALOG {CATALOG}", "USE CATALOG on Catalog 'sql_contract'"),
            ("USE SCHEMA", f"SCHEMA {home}", "USE SCHEMA on Schema 'sql_contract.s'"),
            ("SELECT", f"VIEW {home}.v", "SELECT on Table 'sql_contract.s.v'"),
        ):
            message = refused(theirs, f"SELECT * FROM {home}.v")
            assert message.startswith("[INSUFFICIENT_PERMISSIONS]")
            assert "SQLSTATE: 42501" in message
            assert wanted in message
            run(connection, f"GRANT {privilege} ON {securable} TO `{user}`")
        # The view reads its table with its owner's rights; the table itself stays closed.
        assert run(theirs, f"SELECT * FROM {home}.v ORDER BY 1") == [(1,), (2,)]
        assert "SELECT on Table 'sql_contract.s.t'" in refused(theirs, f"SELECT * FROM {home}.t")
        for text, wanted in (
            (f"INSERT INTO {home}.t VALUES (1, 'x')", "MODIFY"),
            (f"CREATE TABLE {home}.mine (a INT)", "CREATE TABLE"),
            (f"DROP VIEW {home}.v", "MANAGE"),
            (f"GRANT SELECT ON TABLE {home}.t TO `{user}`", "MANAGE"),
            ("CREATE CATALOG theirs", "CREATE CATALOG"),
        ):
            assert f"does not have {wanted} on" in refused(theirs, text), text
        assert "is not an owner of View" in refused(theirs, f"ALTER VIEW {home}.v AS SELECT 1 AS id")
        names = run(theirs, f"SELECT table_name FROM {CATALOG}.information_schema.tables WHERE table_schema = 's'")
        assert names == [("v",)]


def test_the_connectors_listings_show_catalogs_schemas_tables_and_columns(
    connection: sql.client.Connection, home: str
) -> None:
    run(connection, f"CREATE TABLE IF NOT EXISTS {home}.typed (s STRUCT<Key: INT, `a-b`: DECIMAL(8,3)>, c VARCHAR(5))")
    with connection.cursor() as cursor:
        cursor.catalogs()
        assert CATALOG in [row[0] for row in cursor.fetchall()]
        cursor.schemas(catalog_name=CATALOG, schema_name="s%")
        assert [tuple(row) for row in cursor.fetchall()] == [("s", CATALOG)]
        cursor.tables(catalog_name=CATALOG, schema_name="s", table_name="_")
        assert [tuple(row)[2:4] for row in cursor.fetchall()] == [("t", "TABLE"), ("v", "VIEW")]
        cursor.columns(catalog_name=CATALOG, schema_name="s", table_name="t")
        rows = cursor.fetchall()
        assert [(r.COLUMN_NAME, r.TYPE_NAME, r.REMARKS) for r in rows] == [("id", "INT", "Key"), ("name", "STRING", "")]
        cursor.columns(catalog_name=CATALOG, schema_name="s", table_name="typed")
        assert [(r.COLUMN_NAME, r.TYPE_NAME) for r in cursor.fetchall()] == [
            ("s", "STRUCT<Key: INT, `a-b`: DECIMAL(8,3)>"),
            ("c", "VARCHAR(5)"),
        ]


def test_a_description_as_json_names_the_fields_of_structs(connection: sql.client.Connection, home: str) -> None:
    struct = "STRUCT<`a:int,b`: INT, `c>``d`: ARRAY<STRUCT<`e,f`: DECIMAL(5,2), `g h`: STRING>>>"
    run(
        connection,
        f"CREATE OR REPLACE TABLE {home}.odd (id INT NOT NULL COMMENT 'Key', s {struct}) "
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
    )
    run(connection, f"CREATE OR REPLACE VIEW {home}.odd_v AS SELECT * FROM {home}.odd")
    for name, kind in (("odd", "MANAGED"), ("odd_v", "VIEW")):
        told = json.loads(run(connection, f"DESCRIBE TABLE EXTENDED {home}.{name} AS JSON")[0][0])
        assert (told["catalog_name"], told["schema_name"], told["table_name"]) == (CATALOG, "s", name)
        assert told["type"] == kind
        key, s = told["columns"]
        assert (key["name"], key["type"]) == ("id", {"name": "int"})
        first, second = s["type"]["fields"]
        assert (first["name"], second["name"]) == ("a:int,b", "c>`d")
        inner = second["type"]["element_type"]["fields"]
        assert [f["name"] for f in inner] == ["e,f", "g h"]
        assert inner[0]["type"] == {"name": "decimal", "precision": 5, "scale": 2}
    with pytest.raises(ServerOperationError, match="DESCRIBE_JSON_NOT_EXTENDED"):
        run(connection, f"DESCRIBE TABLE {home}.odd AS JSON")


def test_tables_with_oddly_named_fields_and_greek_names_are_compared(raw_workspace: LocalWorkspace, home: str) -> None:
    names = ("a:int,b", "c,d", "e>f", "g`h", "i.j k", "l\nm", "日本", "n" * 200)
    fields = ", ".join(f"'{n}', id + {{0}}".replace("\n", "\\n") for n in names)
    with DatabricksWarehouse.open(raw_workspace.endpoint) as warehouse:

        def made(name: str, more: int) -> str:
            struct = f"named_struct({fields.format(more)})"
            warehouse.execute(
                f"CREATE OR REPLACE TABLE {home}.`{name}` TBLPROPERTIES ('delta.columnMapping.mode' = 'name') "
                f"AS SELECT id, {struct} AS s, map('k', array({struct})) AS m FROM range(3)"
            )
            warehouse.execute(f"CREATE OR REPLACE VIEW {home}.`{name}_v` AS SELECT * FROM {home}.`{name}`")
            return f"{home}.`{name}`"

        one, two, three = made("οδος_id", 0), made("ΟΔΟΣ_2", 0), made("οδοσ_id", 1)
        for other, verdict in (
            (two, Verdict.IDENTICAL),
            (three, Verdict.DIFFERENT),
            (f"{home}.`ΟΔΟΣ_2_v`", Verdict.IDENTICAL),
        ):
            report = compare(warehouse, ComparisonSpec(one, other, keys=("id",)))
            assert report.verdict is verdict, report.reason
        # Two names to Spark, so two tables; and of one name in two cases one.
        assert compare(warehouse, ComparisonSpec(f"{home}.`ΟΔΟΣ_ID`", three)).verdict is Verdict.IDENTICAL
