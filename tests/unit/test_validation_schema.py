"""Parity: types and their common form, columns of tables and views, differences of schemas."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.validation_warehouse import DESCRIBED, SPEC, TABLE, Scripted, schema_of
from validation import ComparisonSpec, SchemaAspect, SpecError, StatementError
from validation.normalize import NoExactForm, normal_form
from validation.schema import (
    Column,
    ColumnPair,
    TableSchema,
    align,
    columns_of_json,
    ddl_columns,
    parse_type,
    read_schema,
    schema_at,
    schema_of_description,
)


@pytest.mark.parametrize(
    "text",
    [
        "int",
        "decimal(10,2)",
        "char(5)",
        "varchar(7)",
        "timestamp_ntz",
        "interval year to month",
        "interval day to second",
        "string collate UNICODE_CI",
        "array<string collate UTF8_LCASE>",
        "array<struct<x:int,y:array<map<string,decimal(38,0)>>>>",
        "map<string,struct<a:int,b:variant>>",
        "struct<>",
        "variant",
    ],
)
def test_types_parse_and_print(text: str) -> None:
    assert str(parse_type(text)) == text


def test_type_aliases_and_extras_parse() -> None:
    assert str(parse_type("STRUCT<a: INT NOT NULL COMMENT 'x, y', `b c`: STRING>")) == "struct<a:int,b c:string>"
    assert parse_type("timestamp_ltz") == parse_type("TIMESTAMP")
    assert parse_type("string collate UTF8_BINARY") == parse_type("string")
    assert parse_type("decimal") == parse_type("decimal(10,0)")
    assert str(parse_type("struct<a:int,... 5 more fields>")) == "struct<a:int,... 5 more fields>"


def _pair(a: str, b: str) -> ColumnPair:
    return ColumnPair(Column("c", parse_type(a)), Column("c", parse_type(b)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("boolean", "int"),
        ("date", "int"),
        ("timestamp", "bigint"),
        ("sketch(12)", "sketch(12)"),
        ("geometry(4326)", "geography(4326)"),
        ("interval", "interval day to second"),
        ("time(6)", "string"),
        ("interval month", "interval day"),
        ("array<int>", "string"),
        ("struct<a:int>", "struct<A:int>"),
        ("array<boolean>", "array<int>"),
        ("struct<a:int,... 5 more fields>", "struct<a:int,... 5 more fields>"),
    ],
)
def test_types_without_an_exact_common_form_are_not_compared(a: str, b: str) -> None:
    with pytest.raises(NoExactForm):
        normal_form(_pair(a, b))


def test_values_widen_only_without_loss() -> None:
    assert normal_form(_pair("int", "bigint")).baseline("x") == "CAST(x AS BIGINT)"
    assert normal_form(_pair("decimal(10,2)", "decimal(12,5)")).baseline("x") == "CAST(x AS DECIMAL(13,5))"
    assert normal_form(_pair("int", "decimal(10,2)")).baseline("x") == "CAST(x AS DECIMAL(12,2))"
    assert "try_cast" in normal_form(_pair("decimal(38,0)", "decimal(38,18)")).baseline("x")
    assert normal_form(_pair("string", "string")).baseline("x") == "x"
    assert "UTF8_BINARY" in normal_form(_pair("string collate UNICODE_CI", "string")).baseline("x")
    assert normal_form(_pair("char(3)", "char(5)")).baseline("x") == "rtrim(x)"


def _aspects(spec: ComparisonSpec, a: TableSchema, b: TableSchema) -> dict[str, bool]:
    return {f"{d.aspect}:{d.column}": d.decides for d in align(spec, a, b).differences}


def test_every_schema_difference_is_named_and_weighed() -> None:
    a = schema_of(("id", "int"), ("Name", "string"), ("x", "int"), ("only_a", "int"))
    b = schema_of(("x", "bigint"), ("id", "int"), ("name", "string"), ("only_b", "date"))
    found = _aspects(SPEC, a, b)
    assert found == {
        "names:Name": True,
        "columns:only_a": True,
        "columns:only_b": True,
        "order:id": True,
        "types:x": True,
    }
    lenient = replace(SPEC, deciding=frozenset())
    assert set(_aspects(lenient, a, b).values()) == {False}


def test_nullability_and_comments_are_reported_and_do_not_decide() -> None:
    a = TableSchema((Column("id", parse_type("int"), False, "the key"),))
    b = TableSchema((Column("id", parse_type("int"), True, ""),))
    assert _aspects(SPEC, a, b) == {"nullability:id": False, "comments:id": False}
    assert _aspects(replace(SPEC, deciding=frozenset(SchemaAspect)), a, b) == {
        "nullability:id": True,
        "comments:id": True,
    }
    unknown = TableSchema((Column("id", parse_type("int"), None, ""),))
    assert _aspects(SPEC, a, unknown) == {"comments:id": False}


def test_mapped_and_excluded_columns_are_no_differences() -> None:
    spec = replace(SPEC, column_mapping={"old": "new"}, excluded_columns=frozenset({"loaded_at"}))  # type: ignore[arg-type]
    a = schema_of(("id", "int"), ("old", "string"), ("loaded_at", "timestamp"))
    b = schema_of(("id", "int"), ("new", "string"))
    alignment = align(spec, a, b)
    assert alignment.differences == ()
    assert [(p.baseline.name, p.candidate.name) for p in alignment.pairs] == [("id", "id"), ("old", "new")]


def test_a_column_mapped_onto_a_name_that_the_baseline_has_too_takes_it() -> None:
    spec = replace(SPEC, column_mapping={"old": "x"})  # type: ignore[arg-type]
    alignment = align(
        spec, schema_of(("id", "int"), ("x", "int"), ("old", "int")), schema_of(("id", "int"), ("x", "int"))
    )
    assert [(p.baseline.name, p.candidate.name) for p in alignment.pairs] == [("id", "id"), ("old", "x")]
    assert [(d.aspect, d.column) for d in alignment.differences] == [("columns", "x")]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"excluded_columns": frozenset({"laoded"})}, "excluded column laoded"),
        ({"column_mapping": {"od": "nwe"}}, "mapping of od to nwe"),
    ],
)
def test_names_that_no_table_has_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        align(replace(SPEC, **values), schema_of(("id", "int")), schema_of(("id", "int")))


def test_the_case_of_a_name_to_leave_out_or_to_map_does_not_matter() -> None:
    spec = replace(SPEC, excluded_columns=frozenset({"LOADED"}), column_mapping={"OLD": "new"})  # type: ignore[arg-type]
    a, b = schema_of(("id", "int"), ("loaded", "int"), ("old", "int")), schema_of(("id", "int"), ("new", "int"))
    assert align(spec, a, b).differences == ()


def test_a_description_gives_columns_type_and_definition() -> None:
    rows = [
        {"col_name": "id", "data_type": "int", "comment": "k"},
        {"col_name": "#x", "data_type": "string", "comment": None},
        {"col_name": "# Partitioning", "data_type": "", "comment": ""},
        {"col_name": "id", "data_type": "int", "comment": ""},
        {"col_name": "Type", "data_type": "VIEW", "comment": ""},
        {"col_name": "View Text", "data_type": "SELECT 1", "comment": ""},
        {"col_name": "Statistics", "data_type": "120 bytes", "comment": ""},
    ]
    schema = schema_of_description(rows)
    assert [c.name for c in schema.columns] == ["id", "#x"]
    assert schema.columns[0].comment == "k"
    assert (schema.table_type, schema.bytes) == ("VIEW", 120)
    assert schema.definition and schema_of_description(rows[:5]).definition == ""


def test_a_partition_column_called_like_a_detail_is_none() -> None:
    rows = [
        {"col_name": "Provider", "data_type": "string", "comment": None},
        {"col_name": "# Partition Information", "data_type": "", "comment": ""},
        {"col_name": "# col_name", "data_type": "data_type", "comment": "comment"},
        {"col_name": "Provider", "data_type": "string", "comment": None},
        {"col_name": "", "data_type": "", "comment": ""},
        {"col_name": "# Detailed Table Information", "data_type": "", "comment": ""},
        {"col_name": "Provider", "data_type": "delta", "comment": ""},
    ]
    schema = schema_of_description(rows)
    assert [c.name for c in schema.columns] == ["Provider"] and schema.provider == "delta"


def test_not_null_is_read_from_ddl_only_when_the_columns_agree() -> None:
    ddl = """CREATE TABLE a.t (
      id INT NOT NULL COMMENT 'NOT NULL, really',
      `b c` STRUCT<x: INT NOT NULL, y: STRING>,
      d DECIMAL(10,2) COMMENT 'is NOT NULL')
    USING delta"""
    found = ddl_columns(ddl, ["id", "b c", "d"])
    assert found is not None and [required for _, required in found] == [True, False, False]
    assert str(found[0][0]) == "int"
    assert ddl_columns(ddl, ["id", "d"]) is None
    assert ddl_columns("CREATE VIEW v AS SELECT 1", ["a"]) is None


def test_char_and_varchar_are_seen_at_every_depth_and_for_names_of_any_length() -> None:
    described = [
        {"col_name": "id", "data_type": "int"},
        {"col_name": "c", "data_type": "string"},
        {"col_name": "s", "data_type": "array<struct<v:string>>"},
        *TABLE[2:],
    ]
    ddl = "CREATE TABLE s.t (id INT, c VARCHAR(10) COMMENT 'x', s ARRAY<STRUCT<v: CHAR(3)>>) USING delta"
    told = [
        {"column_name": "c", "is_nullable": "YES", "full_data_type": "varchar(10)"},
        {"column_name": "s", "is_nullable": "YES", "full_data_type": "array<struct<v:char(3)>>"},
    ]
    wanted = ["int", "varchar(10)", "array<struct<v:char(3)>>"]
    by_ddl = Scripted(DESCRIBE_TABLE=described, SHOW_CREATE=[{"createtab_stmt": ddl}])
    by_catalog = Scripted(DESCRIBE_TABLE=described, SELECT_column=told)
    for warehouse, name in ((by_ddl, "s.t"), (by_ddl, "c.s.t"), (by_catalog, "c.s.t")):
        assert [str(c.type) for c in read_schema(warehouse, name).columns] == wanted, name


def test_a_column_that_is_mapped_is_left_out_by_either_of_its_names() -> None:
    a, b = schema_of(("id", "int"), ("loaded", "int")), schema_of(("id", "int"), ("load_ts", "int"))
    for name in ("loaded", "LOAD_TS"):
        spec = replace(SPEC, column_mapping={"loaded": "load_ts"}, excluded_columns=frozenset({name}))  # type: ignore[arg-type]
        assert align(spec, a, b).differences == ()


def test_the_case_of_a_name_that_is_mapped_onto_does_not_decide() -> None:
    spec = replace(SPEC, column_mapping={"amount": "AMT"})  # type: ignore[arg-type]
    found = align(spec, schema_of(("id", "int"), ("amount", "int")), schema_of(("id", "int"), ("amt", "int")))
    assert found.differences == () and len(found.pairs) == 2


def test_the_information_schema_completes_what_a_description_leaves_out() -> None:
    columns = [
        {"column_name": "ID", "is_nullable": "NO", "full_data_type": "bigint"},
        {"column_name": "x", "is_nullable": "YES", "full_data_type": "char(5)"},
    ]
    described = [*DESCRIBED]
    described[4] = {**described[4], "data_type": "MANAGED"}
    found = read_schema(Scripted(DESCRIBE_TABLE=described, column_name=columns), "c.s.t")
    assert [(c.name, str(c.type), c.nullable) for c in found.columns] == [("id", "int", False), ("x", "char(5)", True)]
    without = read_schema(Scripted(DESCRIBE_TABLE=described), "c.s.t")
    assert [c.nullable for c in without.columns] == [None, None]


def test_a_description_tells_row_filters_and_column_masks() -> None:
    rows = [
        *DESCRIBED[:4],
        {"col_name": "Row Filter", "data_type": "main.default.mine", "comment": "region"},
        {"col_name": "# Column Masks", "data_type": "", "comment": ""},
        {"col_name": "x", "data_type": "main.default.hide", "comment": ""},
    ]
    assert schema_of_description(rows).hidden == ("row filter", "column mask")
    columns = [{"col_name": "Row Filter", "data_type": "int", "comment": None}, *DESCRIBED]
    assert schema_of_description(columns).hidden == ()


def test_char_columns_are_char_at_a_version_too() -> None:
    today = schema_of(("c", "char(5)"), ("s", "struct<v:varchar(3)>"), ("w", "int"))
    rows = [("c", "string"), ("s", "struct<v:string>"), ("w", "bigint")]
    warehouse = Scripted(DESCRIBE_QUERY=[{"col_name": n, "data_type": t} for n, t in rows])
    found = schema_at(warehouse, "t", today, 3)
    assert [str(c.type) for c in found.columns] == ["char(5)", "struct<v:varchar(3)>", "bigint"]


ODD_FIELDS = ("a:int,b", "c,d", "e>f", "g`h", "i.j k", "", "x\ny")
ODD_TEXT = "struct<a:int,b:int,c,d:int,e>f:int,g`h:int,i.j k:int,:int,x\ny:int>"


def odd_description(kind: str) -> list[dict[str, Any]]:
    column = {"col_name": "s", "data_type": kind, "comment": None}
    return [DESCRIBED[0], column, *TABLE[2:]]


def odd_json(**table: Any) -> list[dict[str, Any]]:
    fields = [{"name": n, "type": {"name": "int"}, "nullable": True} for n in ODD_FIELDS]
    struct = {"name": "struct", "fields": fields}
    columns = [{"name": "id", "type": {"name": "int"}}, {"name": "s", "type": struct}]
    return [{"json_metadata": json.dumps({"columns": columns, **table})}]


def test_fields_of_a_struct_have_the_names_that_the_description_as_json_quotes() -> None:
    wanted = replace(parse_type("struct<a:int>"), field_names=ODD_FIELDS, children=(parse_type("int"),) * 7)
    for outer in ("{}", "array<{}>", "map<string,{}>"):
        text, rows = outer.format(ODD_TEXT), odd_json()
        if outer != "{}":
            told = json.loads(rows[0]["json_metadata"])
            inner, string = told["columns"][1]["type"], {"name": "string", "collation": "UTF8_BINARY"}
            told["columns"][1]["type"] = (
                {"name": "array", "element_type": inner}
                if outer.startswith("array")
                else {"name": "map", "key_type": string, "value_type": inner}
            )
            rows = [{"json_metadata": json.dumps(told)}]
        warehouse = Scripted(DESCRIBE_TABLE=odd_description(text))
        warehouse.answers = {"DESCRIBE TABLE EXTENDED `a`.`b`.`c` AS JSON": rows, **warehouse.answers}
        found = read_schema(warehouse, "a.b.c").columns[1].type
        assert str(found) == text
        assert (found if outer == "{}" else found.children[-1]) == wanted
        normal_form(ColumnPair(Column("s", found), Column("s", found)))


def test_fields_of_a_struct_have_the_names_that_ddl_quotes_where_no_json_is_served() -> None:
    fields = ", ".join("`" + n.replace("`", "``") + "`: INT" for n in ODD_FIELDS if n)
    text = ODD_TEXT.replace(",:int", "")
    ddl = f"CREATE TABLE a.b.`c(d` (\n  id INT,\n  s STRUCT<{fields}>)\nUSING delta"
    warehouse = Scripted(
        SHOW_CREATE=[{"createtab_stmt": ddl}],
        DESCRIBE_TABLE=odd_description(text),
        DESCRIBE_QUERY=odd_description(text)[:2],
    )
    refused = StatementError("[PARSE_SYNTAX_ERROR] near 'AS'", "42601")
    warehouse.answers = {"DESCRIBE TABLE EXTENDED `a`.`b`.`c(d` AS JSON": refused, **warehouse.answers}
    found = read_schema(warehouse, "a.b.`c(d`")
    assert found.columns[1].type.field_names == tuple(n for n in ODD_FIELDS if n)
    assert schema_at(warehouse, "a.b.`c(d`", found, 3).columns == found.columns


def test_a_description_as_json_that_says_something_else_counts_for_nothing() -> None:
    for rows in ([], [{"j": "no JSON"}], [{"j": "[]"}], [{"j": '{"columns": [{"name": "s"}]}'}], odd_json()):
        warehouse = Scripted(DESCRIBE_TABLE=odd_description("struct<a:int,b:int>"))
        warehouse.answers = {"DESCRIBE TABLE EXTENDED `c` AS JSON": rows, **warehouse.answers}
        assert read_schema(warehouse, "c").columns[1].type == parse_type("struct<a:int,b:int>")


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"name": "decimal", "precision": 12, "scale": 2}, "decimal(12,2)"),
        ({"name": "varchar", "length": 5}, "varchar(5)"),
        ({"name": "string", "collation": "UNICODE_CI"}, "string collate UNICODE_CI"),
        ({"name": "timestamp_ltz"}, "timestamp"),
        ({"name": "interval", "start_unit": "day", "end_unit": "second"}, "interval day to second"),
        ({"name": "interval", "start_unit": "month", "end_unit": "month"}, "interval month"),
        ({"name": "array", "element_type": {"name": "bigint"}}, "array<bigint>"),
        ({"name": "struct", "fields": []}, "struct<>"),
    ],
)
def test_types_in_json_are_those_of_a_description(told: dict[str, Any], kind: str) -> None:
    assert columns_of_json(json.dumps({"columns": [{"name": "c", "type": told}]})) == {"c": parse_type(kind)}


def test_a_struct_with_fields_that_a_query_cannot_tell_apart_has_no_exact_form() -> None:
    for names in (("a", "A"), ("s", "ſ"), ("a", "a")):
        kind = replace(parse_type("struct<a:int,b:int>"), field_names=names)
        with pytest.raises(NoExactForm, match="between which a query cannot choose"):
            normal_form(ColumnPair(Column("s", kind), Column("s", kind)))


def test_a_column_without_a_name_ends_no_description() -> None:
    rows = [*DESCRIBED[:2], {"col_name": "", "data_type": "int"}, {"col_name": "z", "data_type": "int"}, *DESCRIBED[2:]]
    found = schema_of_description(rows)
    assert [c.name for c in found.columns] == ["id", "x", "", "z"] and found.table_type == "VIEW"
