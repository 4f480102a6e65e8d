"""Tags of catalogs, schemas, tables and columns: set and removed by SQL, read in the information schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql.types import IntegerType, StringType, StructType

from emulator.catalog import Catalog
from emulator.information_schema import InformationSchema
from emulator.metadata import Grant
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.rows import columns_of
from emulator.sql.session import Context
from tests.support.sql_engine import ADMIN, ANALYST, Link, catalog, record, sent  # noqa: F401  (a fixture)

NAMES = {
    "table_tags": ("schema_name", "table_name", "tag_name", "tag_value"),
    "column_tags": ("table_name", "column_name", "tag_name", "tag_value"),
    "schema_tags": ("schema_name", "tag_name", "tag_value"),
    "catalog_tags": ("catalog_name", "tag_name", "tag_value"),
}


class Columns(Link):
    """A Spark whose table has the columns that a test gives it."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def table_schema(self, spark_name: str) -> StructType:
        schema = StructType()
        for name in self.names:
            schema = schema.add(name, StringType() if name == "s" else IntegerType())
        return schema


@pytest.fixture
def engine(catalog: Catalog, tmp_path: Path) -> Engine:  # noqa: F811
    """An administrator's session beside a table with columns and a view."""
    from dataclasses import replace

    schema = Columns("id", "s").table_schema("")
    catalog.put_table(replace(record("product.fde.t"), columns=columns_of(schema, [])))
    view = replace(record("product.fde.v"), table_type="VIEW", columns=columns_of(schema, []))
    catalog.put_table(view)
    return Engine(Columns("id", "s"), catalog, Context(ADMIN), tmp_path / "tables")  # type: ignore[arg-type]


def tags(engine: Engine, table: str, principal: str = ADMIN) -> list[tuple[str, ...]]:
    found = InformationSchema(engine.catalog, principal).table("product", table)
    assert found is not None
    return [tuple(row[name] for name in NAMES[table]) for row in found.to_pylist()]


def test_tags_that_are_set_are_read_and_tags_that_are_unset_are_gone(engine: Engine) -> None:
    engine.run("ALTER TABLE product.fde.t SET TAGS ('owner' = 'team a', 'pii')")
    engine.run("ALTER TABLE product.fde.t SET TAGS ('owner' = 'team b')")
    assert tags(engine, "table_tags") == [("fde", "t", "owner", "team b"), ("fde", "t", "pii", "")]
    engine.run("ALTER TABLE product.fde.t UNSET TAGS ('pii', 'never set')")
    assert tags(engine, "table_tags") == [("fde", "t", "owner", "team b")]
    assert sent(engine) == [], "the catalog keeps them, Spark knows nothing of tags"


def test_every_securable_has_tags_of_its_own(engine: Engine) -> None:
    for statement in (
        "ALTER CATALOG product SET TAGS ('a' = '1')",
        "ALTER SCHEMA product.fde SET TAGS ('b' = '2')",
        "ALTER VIEW product.fde.v SET TAGS ('c' = '3')",
        "ALTER TABLE product.fde.t ALTER COLUMN S SET TAGS ('d' = '4')",
        "SET TAG ON COLUMN product.fde.t.id e = `5`",
        "SET TAG ON TABLE product.fde.v f",
    ):
        engine.run(statement)
    assert tags(engine, "catalog_tags") == [("product", "a", "1")]
    assert tags(engine, "schema_tags") == [("fde", "b", "2")]
    assert tags(engine, "table_tags") == [("fde", "v", "c", "3"), ("fde", "v", "f", "")]
    assert sorted(tags(engine, "column_tags")) == [("t", "id", "e", "5"), ("t", "s", "d", "4")]
    engine.run("UNSET TAG ON COLUMN product.fde.t.id e")
    assert tags(engine, "column_tags") == [("t", "s", "d", "4")]


@pytest.mark.parametrize(
    ("tags_clause", "named"),
    [
        ("('a.b' = '')", "'a.b'"),
        ("(' a' = '')", "' a'"),
        ("('' = 'x')", "must not be empty"),
        (f"('{'k' * 256}' = '')", "at most 255"),
        (f"('a' = '{'v' * 1001}')", "at most 1000"),
        ("('a' = 'b ')", "blank"),
        ("(" + ", ".join(f"'k{i}'" for i in range(51)) + ")", "at most 50"),
    ],
)
def test_a_tag_that_the_service_does_not_take_is_refused(engine: Engine, tags_clause: str, named: str) -> None:
    with pytest.raises(SqlError, match=named) as caught:
        engine.run(f"ALTER TABLE product.fde.t SET TAGS {tags_clause}")
    assert caught.value.error_class == "INVALID_PARAMETER_VALUE"
    assert tags(engine, "table_tags") == []


@pytest.mark.parametrize(
    ("sql", "error_class"),
    [
        ("ALTER TABLE product.fde.nope SET TAGS ('a')", "TABLE_OR_VIEW_NOT_FOUND"),
        ("ALTER TABLE product.fde.t ALTER COLUMN nope SET TAGS ('a')", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("ALTER TABLE product.fde.v SET TAGS ('a')", "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW"),
        ("ALTER VIEW product.fde.t SET TAGS ('a')", "EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE"),
        ("SET TAG ON SCHEMA product.nope a = b", "SCHEMA_NOT_FOUND"),
        ("SET TAG ON TABLE product.fde.t", "PARSE_SYNTAX_ERROR"),
        ("ALTER TABLE product.fde.t SET TAGS ('a' = 'b') x", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_a_tag_on_what_is_not_there_or_of_another_kind_is_refused(engine: Engine, sql: str, error_class: str) -> None:
    with pytest.raises(SqlError) as caught:
        engine.run(sql)
    assert caught.value.error_class == error_class


def test_tags_take_the_privilege_to_apply_them(engine: Engine) -> None:
    engine.context.principal = ANALYST
    for level, name, privilege in (
        ("CATALOG", "product", "USE_CATALOG"),
        ("SCHEMA", "product.fde", "USE_SCHEMA"),
        ("TABLE", "product.fde.t", "SELECT"),
    ):
        engine.catalog.put_grants(level, name, [Grant(ANALYST, privilege)], ADMIN)
    with pytest.raises(SqlError) as caught:
        engine.run("ALTER TABLE product.fde.t SET TAGS ('a')")
    assert caught.value.error_class == "INSUFFICIENT_PERMISSIONS"
    engine.catalog.put_grants("TABLE", "product.fde.t", [Grant(ANALYST, "APPLY_TAG")], ADMIN)
    engine.run("ALTER TABLE product.fde.t SET TAGS ('a')")
    assert tags(engine, "table_tags", ANALYST) == [("fde", "t", "a", "")]


def test_tags_follow_a_rename_and_end_with_what_they_hang_on(engine: Engine) -> None:
    engine.run("ALTER TABLE product.fde.t SET TAGS ('a')")
    engine.run("ALTER TABLE product.fde.t ALTER COLUMN s SET TAGS ('b')")
    engine.run("ALTER TABLE product.fde.t ALTER COLUMN id SET TAGS ('c')")
    engine.run("ALTER TABLE product.fde.t RENAME TO product.fde.u")
    assert tags(engine, "table_tags") == [("fde", "u", "a", "")]
    engine.link = Columns("id", "renamed")  # type: ignore[assignment]
    engine.run("ALTER TABLE product.fde.u RENAME COLUMN s TO renamed")
    assert tags(engine, "column_tags") == [("u", "id", "c", ""), ("u", "renamed", "b", "")]
    engine.link = Columns("renamed")  # type: ignore[assignment]
    engine.run("ALTER TABLE product.fde.u DROP COLUMN id")
    assert tags(engine, "column_tags") == [("u", "renamed", "b", "")]
    engine.run("DROP TABLE product.fde.u")
    assert tags(engine, "table_tags") == tags(engine, "column_tags") == []
