"""The SQL engine without Spark: what of a statement reaches Spark, for whom, and what is refused before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql.types import IntegerType, StructType

from emulator import session
from emulator.catalog import Catalog
from emulator.metadata import Grant
from emulator.sql.delta_log import rows_written
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.rows import STRING, Rows
from emulator.state import State
from emulator.warehouse import SqlWorkspace
from tests.support.sql_engine import ADMIN, ANALYST, Link, record, sent

REACHING = [
    "TRUNCATE TABLE {}",
    "OPTIMIZE {}",
    "VACUUM {}",
    "REPAIR TABLE {}",
    "LOAD DATA INPATH '/x' INTO TABLE {}",
    "BEGIN TRUNCATE TABLE {}; END",
    "BEGIN DELETE FROM {}; END",
    "BEGIN SELECT * FROM {}; END",
    "SELECT ((SELECT 1) UNION SELECT x FROM {})",
    "SELECT * FROM VALUES (1) null, {}",
    "SELECT {}(1)",
    "SELECT * FROM {}(1)",
    "SELECT * FROM spark_catalog.{}(1)",
    "DESCRIBE FUNCTION {}",
    "DESCRIBE QUERY SELECT * FROM {}",
    "EXPLAIN SELECT * FROM {}",
    "CREATE TEMP VIEW v AS SELECT * FROM {}",
    "CREATE TEMP FUNCTION f() RETURN (SELECT 1 FROM {})",
    "COPY INTO {} FROM '/x'",
]


@pytest.mark.parametrize("table", ["product__fde.t", "`PRODUCT__FDE`.t", "__pipeline_p_1.t"])
@pytest.mark.parametrize("sql", REACHING)
def test_a_schema_of_spark_is_out_of_reach_by_its_own_name(engine: Engine, sql: str, table: str) -> None:
    for principal in (ANALYST, ADMIN):
        engine.context.principal = principal
        with pytest.raises(SqlError):
            engine.run(sql.format(table))
    assert sent(engine) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW FUNCTIONS IN product__fde",
        "SHOW USER FUNCTIONS FROM `product__fde`",
        "SHOW NAMESPACES",
        "DROP NAMESPACE product__fde CASCADE",
        "ANALYZE TABLES IN product__fde COMPUTE STATISTICS",
        "CREATE FLOW f AS INSERT INTO t SELECT 1",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "SHOW USERS",
    ],
)
def test_what_the_workspace_does_not_know_never_reaches_spark(engine: Engine, sql: str) -> None:
    engine.context.principal = ADMIN
    with pytest.raises(SqlError):
        engine.run(sql)
    assert sent(engine) == []


@pytest.mark.parametrize("sql", [sql for sql in REACHING if sql.startswith(("TRUNC", "OPTI", "VAC", "REP", "BEGIN"))])
def test_a_table_takes_the_same_rights_in_a_script_as_outside(engine: Engine, catalog: Catalog, sql: str) -> None:
    text = sql.format("product.fde.t")
    reads = "SELECT *" in sql
    with pytest.raises(SqlError) as caught:
        engine.run(text)
    assert caught.value.error_class in ("INSUFFICIENT_PERMISSIONS", "NOT_IMPLEMENTED")
    assert sent(engine) == []
    if caught.value.error_class == "INSUFFICIENT_PERMISSIONS":
        granted = [Grant(ANALYST, "SELECT"), *([] if reads else [Grant(ANALYST, "MODIFY")])]
        catalog.put_grants("TABLE", "product.fde.t", granted, ADMIN)
        engine.run(text)
        assert sent(engine) == [sql.format("`product__fde`.`t`")]


@pytest.mark.parametrize(
    "sql",
    [
        "SET spark.sql.variable.substitute = true",
        "SET `spark.sql.variable.substitute` = true",
        "SET spark.sql.ansi.doubleQuotedIdentifiers = true",
    ],
)
def test_a_setting_that_hides_names_cannot_be_changed(engine: Engine, sql: str) -> None:
    with pytest.raises(SqlError, match="CONFIG_NOT_AVAILABLE"):
        engine.run(sql)
    assert sent(engine) == []


def test_names_that_look_like_sparks_are_left_alone_where_they_name_no_schema(engine: Engine) -> None:
    engine.run("SELECT 1 AS product__fde, 'product__fde.t' AS x")
    assert sent(engine) == ["SELECT 1 AS product__fde, 'product__fde.t' AS x"]


class Holding(Link):
    """A session of Spark whose one table or view is there, as one left by a process that was killed.

    meanwhile: what others do while the first CREATE is carried out.
    """

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.there, self.meanwhile = True, meanwhile

    def command(self, text: str, views: Sequence[Any] = (), tag: str | None = None) -> Rows:
        self.sent.append(text)
        if text.startswith("CREATE"):
            self.meanwhile()
            self.meanwhile = lambda: None
            if self.there:
                raise AnalysisException("[TABLE_OR_VIEW_ALREADY_EXISTS] It exists.", "TABLE_OR_VIEW_ALREADY_EXISTS")
            self.there = True
        elif text.startswith("DROP"):
            self.there = False
        elif text.startswith("DESCRIBE EXTENDED"):
            return Rows.local([("col_name", STRING), ("data_type", STRING)], [("Type", "VIEW")])
        return Rows.none()

    def table_schema(self, spark_name: str) -> StructType:
        if not self.there:
            raise AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] It does not.", "TABLE_OR_VIEW_NOT_FOUND")
        return StructType().add("a", IntegerType())


def create_view(engine: Engine, meanwhile: Callable[[], object]) -> Holding:
    link = Holding(meanwhile)
    engine.link, engine.context.principal = link, ADMIN  # type: ignore[assignment]
    engine.run("CREATE VIEW product.fde.v AS SELECT 1 AS a")
    return link


def test_an_orphan_gives_way_while_other_statements_write(engine: Engine, catalog: Catalog) -> None:
    create_view(engine, lambda: catalog.begin("refresh", "product.fde.other"))
    assert catalog.find(("product", "fde", "v")) is not None


@pytest.mark.parametrize(
    "intent", [("create", "product.fde.v", {}), ("rename", "product.fde.t", {"to": "product.fde.v"})]
)
def test_what_a_living_statement_makes_is_no_orphan(
    engine: Engine, catalog: Catalog, intent: tuple[str, str, dict[str, str]]
) -> None:
    operation, name, details = intent
    with pytest.raises(SqlError, match="ALREADY_EXISTS"):
        create_view(engine, lambda: catalog.begin(operation, name, **details))
    assert not any(text.startswith("DROP") for text in sent(engine))
    assert catalog.find(("product", "fde", "v")) is None, "the record is for the other statement to put"
    assert [i.operation for i in catalog.intents()] == [operation]


@pytest.mark.parametrize("condition", ["COLUMN_ALREADY_EXISTS", "FIELD_ALREADY_EXISTS", "ROUTINE_ALREADY_EXISTS"])
def test_what_already_exists_in_a_new_table_is_named(engine: Engine, catalog: Catalog, condition: str) -> None:
    """Nothing is dropped, and the error is Spark's and the service's: not that of looking for a leftover table."""

    class Refusing(Link):
        def command(self, text: str, views: Sequence[Any] = (), tag: str | None = None) -> Rows:
            self.sent.append(text)
            if text.startswith("DESCRIBE"):
                raise AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] There is none.", "TABLE_OR_VIEW_NOT_FOUND")
            raise AnalysisException(f"[{condition}] It already exists.", condition)

        def table_schema(self, spark_name: str) -> StructType:
            raise AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] There is none.", "TABLE_OR_VIEW_NOT_FOUND")

    engine.link, engine.context.principal = Refusing(), ADMIN  # type: ignore[assignment]
    for sql in ("CREATE TABLE product.fde.n (a INT, A INT)", "CREATE VIEW product.fde.n AS SELECT 1 a, 2 A"):
        with pytest.raises(SqlError) as caught:
            engine.run(sql)
        assert caught.value.error_class == condition
    assert [text[:6] for text in sent(engine)] == ["CREATE", "CREATE"]
    assert catalog.find(("product", "fde", "n")) is None


def test_a_pattern_of_list_tables_is_text(engine: Engine, catalog: Catalog) -> None:
    for name in ("it's", "its"):
        catalog.put_table(record(f"main.default.{name}"))
    engine.context.principal = ADMIN
    listing = object.__new__(session._Catalog)
    listing._sparkSession = SimpleNamespace(engine=engine)
    assert [table.name for table in listing.listTables("main.default", "it's*")] == ["it's"]
    assert listing.listTables("main.default", "none' OR 'x") == []


def test_a_table_that_spark_lost_is_made_again_at_its_location(engine: Engine, tmp_path: Path) -> None:
    workspace = SqlWorkspace(tmp_path, lambda _: set(), remote_url="sc://127.0.0.1:1")
    workspace._restore(engine, record("product.fde.t", "/data/it\\'s\\"))
    assert sent(engine) == ["CREATE TABLE `product__fde`.`t` USING DELTA LOCATION '/data/it\\\\\\'s\\\\'"]


@pytest.mark.parametrize(
    ("commits", "rows"),
    [
        ([], 0),
        ([("WRITE", 3)], 3),
        ([("OPTIMIZE", None), ("WRITE", 3)], 3),
        ([("WRITE", 5), ("WRITE", 3)], None),
        ([("WRITE", 3), ("WRITE", 3)], 3),
        ([("WRITE", None), ("WRITE", 3)], None),
        ([("OPTIMIZE", None)], None),
    ],
)
def test_rows_of_somebody_elses_insert_are_not_counted(
    tmp_path: Path, commits: list[tuple[str, int | None]], rows: int | None
) -> None:
    log = tmp_path / "_delta_log"
    log.mkdir()
    for version, (operation, count) in enumerate([("CREATE TABLE", None), *commits]):
        metrics = {} if count is None else {"numOutputRows": str(count)}
        info = {"commitInfo": {"operation": operation, "operationMetrics": metrics}}
        (log / f"{version:020}.json").write_text(json.dumps(info, separators=(",", ":")) + "\n")
    assert rows_written(str(tmp_path), 0) == rows


PATHS = [
    "INSERT INTO {}.`/x` VALUES (1)",
    "DELETE FROM {}.`/x`",
    "UPDATE {}.`/x` SET a = 1",
    "MERGE INTO {}.`/x` USING (SELECT 1) ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE TABLE {}.`/x`",
    "OPTIMIZE {}.`/x`",
    "DESCRIBE HISTORY {}.`/x`",
    "RESTORE TABLE {}.`/x` TO VERSION AS OF 1",
    "DROP TABLE {}.`/x`",
    "SELECT * FROM {}.`/x`",
    "SELECT * FROM IDENTIFIER('{}.`/x`')",
]


@pytest.mark.parametrize(
    "format", ["delta", "parquet", "csv", "json", "text", "orc", "avro", "binaryFile", "iceberg", "xml"]
)
@pytest.mark.parametrize("sql", PATHS)
def test_a_path_is_for_admins_whatever_is_done_with_it_and_taken_for_no_table(
    engine: Engine, sql: str, format: str
) -> None:
    text = sql.format(format)
    with pytest.raises(SqlError, match="any file"):
        engine.run(text)
    assert sent(engine) == []
    engine.context.principal = ADMIN
    engine.run(text)
    assert sent(engine) == [text]


@pytest.mark.parametrize(
    ("securable", "owner_of"),
    [
        ("TABLE product.fde.t", lambda c: c.get_table("product.fde.t").owner),
        ("SCHEMA product.fde", lambda c: c.get_schema("product.fde").owner),
        ("CATALOG product", lambda c: c.get_catalog("product").owner),
    ],
)
def test_only_a_principal_that_exists_becomes_an_owner(
    engine: Engine, catalog: Catalog, tmp_path: Path, securable: str, owner_of: Callable[[Catalog], str]
) -> None:
    state = State(tmp_path / "workspace.db")
    state.create_principal("user", ANALYST, "Ada Nowak", id=1)
    state.close()
    engine.context.principal = ADMIN
    for words in ("OWNER TO", "SET OWNER TO"):
        with pytest.raises(SqlError, match="PRINCIPAL_DOES_NOT_EXIST"):
            engine.run(f"ALTER {securable} {words} `nobody@example.com`")
    assert owner_of(catalog) == ADMIN
    engine.run(f"ALTER {securable} OWNER TO `{ANALYST}`")
    assert owner_of(catalog) == ANALYST
