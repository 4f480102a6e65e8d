"""Parity without Spark: specification, SQL text, types, schema differences, report, views, command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databricks.sdk.errors import InternalError, PermissionDenied
from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.pipelines import ListUpdatesResponse, Origin, PipelineEvent, UpdateInfo, UpdateInfoState
from databricks.sql.exc import OperationalError

from validation import (
    Cancelled,
    Cause,
    Cell,
    ComparisonSpec,
    Fingerprint,
    ParityReport,
    Recheck,
    RecheckState,
    Sample,
    SampleKind,
    SchemaAspect,
    SchemaDifference,
    SideState,
    SpecError,
    StatementError,
    TableUpdate,
    Timing,
    Tolerance,
    Verdict,
    compare,
    recheck,
)
from validation.__main__ import main
from validation.causes import causes_of
from validation.connector import DatabricksWarehouse
from validation.drilldown import Details
from validation.fingerprint import fine_buckets, fingerprint_sql, read_scan
from validation.normalize import NoExactForm, normal_form
from validation.plan import Watermark, make_plan
from validation.schema import (
    Column,
    ColumnPair,
    TableSchema,
    align,
    parse_type,
    read_schema,
    required_columns,
    schema_at,
    schema_of_description,
)
from validation.sqltext import check_predicate, quote, quote_table, split_name
from validation.state import identifies_data
from validation.updates import pipeline_updates
from validation.verdict import judge
from validation.views import as_csv, as_html, as_text
from validation.warehouse import Parameters, Row, never

# ---------------------------------------------------------------------------------------------------- names and filters


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.b.c", ("a", "b", "c")),
        ("t", ("t",)),
        ("`a.b`.`c``d`.e", ("a.b", "c`d", "e")),
        ("my table", ("my table",)),
    ],
)
def test_table_names_split_and_quote(name: str, parts: tuple[str, ...]) -> None:
    assert split_name(name) == parts
    assert split_name(quote_table(name)) == parts


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "a.b.c.d", "`a", "a b`.c`"])
def test_what_is_no_table_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError):
        split_name(name)


def test_quoting_cannot_be_left() -> None:
    assert quote("a`; DROP TABLE x; --") == "`a``; DROP TABLE x; --`"


@pytest.mark.parametrize(
    "sql",
    [
        "1=1) OR (1=1",
        "a = 1; DROP TABLE x",
        "a = 1 -- b",
        "a /* b",
        "a = 'x",
        "(a",
        "",
        "  ",
        r"a = r'\') OR (1=1 --'",
        r"a = R'\') OR (1=1",
        r"a = t.r'\') OR (1=1",
        r'a = r"\") OR (1=1',
        r"a = r'x''\') OR (1=1",
        r"a = 1 AND \'b' = 'x'",
        r'a = "\") OR (1=1) OR (b = "',
        "a = $$'$$) OR (1=1) OR (b = $$'$$",
        "x[0) OR (1]",
        "a = `x`) OR (`y` = 1",
        "ér'x' = 1",
        "a = 1\0",
    ],
)
def test_a_filter_that_is_not_one_condition_is_refused(sql: str) -> None:
    with pytest.raises(SpecError):
        check_predicate(sql, "where")


@pytest.mark.parametrize(
    "sql",
    [
        "a = ';--'",
        "a = 'it\\'s (' AND `b;` > 0",
        "array_contains(x, 'a') OR (y[0] = 1)",
        r"a RLIKE r'\(\d' AND b = 'x'",
        "a = 'it''s (' AND b > DATE'2026-01-01'",
        r"a = for'\' ('",
        'a = "it\'s ("',
        "v:a.b[0] > 1 AND m['k']\n= 2",
    ],
)
def test_one_condition_is_accepted_whatever_its_texts_hold(sql: str) -> None:
    assert check_predicate(f" {sql} ", "where") == sql


# ------------------------------------------------------------------------------------------------------- specification


@pytest.mark.parametrize(
    "values",
    [
        {"keys": ("id", "ID")},
        {"keys": ("",)},
        {"keys": ("id",), "excluded_columns": {"id"}},
        {"tolerance": {"absolute": -1.0}, "keys": ("id",)},
        {"column_tolerances": {"n": {"relative": float("nan")}}, "keys": ("id",)},
        {"tolerance": {"percent": 1.0}, "keys": ("id",)},
        {"tolerance": {"absolute": 0.1}},
        {"row_threshold": -1},
        {"sample_size": 5000},
        {"where": "a; b"},
        {"column_mapping": {"a": "x", "b": "x"}},
        {"baseline_version": -1},
        {"deciding": {"colour"}},
        {"sensitive_columns": "email"},
        {"no_such_option": 1},
    ],
)
def test_bad_specifications_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        ComparisonSpec.from_dict({"baseline": "a", "candidate": "b", **values})


def test_a_specification_survives_json() -> None:
    spec = ComparisonSpec(
        "c.s.a",
        "c.s.b",
        keys=("id",),
        excluded_columns=frozenset({"x"}),
        column_mapping={"a": "b"},  # type: ignore[arg-type]
        where="a > 1",
        deciding=frozenset({SchemaAspect.TYPES}),
        sensitive_columns=frozenset({"email"}),
        tolerance=Tolerance(relative=0.01),
        column_tolerances={"at": Tolerance(seconds=2)},  # type: ignore[arg-type]
        hash_key="secret",
    )
    values = json.loads(json.dumps(spec.to_dict()))
    assert "secret" not in json.dumps(values)
    assert ComparisonSpec.from_dict(values) == replace(spec, hash_key="")


# --------------------------------------------------------------------------------------------------------------- types


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
        ("bigint", "double"),
        ("decimal(10,2)", "double"),
        ("geometry(4326)", "geometry(4326)"),
        ("interval", "interval"),
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


# -------------------------------------------------------------------------------------------------------------- schemas


def _schema(*columns: tuple[str, str], **options: Any) -> TableSchema:
    return TableSchema(tuple(Column(n, parse_type(t)) for n, t in columns), **options)


def _aspects(spec: ComparisonSpec, a: TableSchema, b: TableSchema) -> dict[str, bool]:
    return {f"{d.aspect}:{d.column}": d.decides for d in align(spec, a, b).differences}


SPEC = ComparisonSpec("a", "b", keys=("id",))


def test_every_schema_difference_is_named_and_weighed() -> None:
    a = _schema(("id", "int"), ("Name", "string"), ("x", "int"), ("only_a", "int"))
    b = _schema(("x", "bigint"), ("id", "int"), ("name", "string"), ("only_b", "date"))
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
    a = _schema(("id", "int"), ("old", "string"), ("loaded_at", "timestamp"))
    b = _schema(("id", "int"), ("new", "string"))
    alignment = align(spec, a, b)
    assert alignment.differences == ()
    assert [(p.baseline.name, p.candidate.name) for p in alignment.pairs] == [("id", "id"), ("old", "new")]


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


def test_not_null_is_read_from_ddl_only_when_the_columns_agree() -> None:
    ddl = """CREATE TABLE a.t (
      id INT NOT NULL COMMENT 'NOT NULL, really',
      `b c` STRUCT<x: INT NOT NULL, y: STRING>,
      d DECIMAL(10,2) COMMENT 'is NOT NULL')
    USING delta"""
    assert required_columns(ddl, ["id", "b c", "d"]) == {"id"}
    assert required_columns(ddl, ["id", "d"]) is None
    assert required_columns("CREATE VIEW v AS SELECT 1", ["a"]) is None


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


# ----------------------------------------------------------------------------------------------------------- statements


def test_a_key_that_neither_side_has_is_wrong_use() -> None:
    schema = _schema(("id", "int"))
    for spec in (
        replace(SPEC, keys=("nope",)),
        replace(SPEC, watermark_columns=("nope",)),
        replace(SPEC, sensitive_columns=frozenset({"nope"})),
    ):
        with pytest.raises(SpecError, match="nope"):
            make_plan(spec, align(spec, schema, schema))


def test_a_key_that_one_side_lacks_leaves_the_rows_uncompared() -> None:
    a, b = _schema(("id", "int"), ("x", "int")), _schema(("x", "int"))
    alignment = align(SPEC, a, b)
    assert make_plan(SPEC, alignment) is None
    verdict, reason = judge(alignment, None, None, None, (SideState("a"), SideState("b")), None)
    assert verdict is Verdict.DIFFERENT and "id (columns)" in reason


def test_the_fingerprint_reads_each_side_once_and_writes_nothing() -> None:
    schema = _schema(("id", "int"), *((f"c{i}", "string") for i in range(130)))
    plan = make_plan(SPEC, align(SPEC, schema, schema))
    assert plan is not None
    sql = fingerprint_sql(plan, fine_buckets(None))
    assert sql.count("FROM `a` AS t") == 1 and sql.count("FROM `b` AS t") == 1
    assert sql.count("t.`c129` IS NULL") == 4, "twice a side, so that Spark compiles each group of columns by itself"
    for word in ("CREATE", "CACHE", "INSERT", "TEMP"):
        assert word not in sql.upper().replace("CREATED", "")


def test_the_null_flags_of_a_long_key_fit_bigints() -> None:
    keys = tuple(f"c{i}" for i in range(70))
    schema = _schema(*((k, "string") for k in keys))
    spec = replace(SPEC, keys=keys)
    plan = make_plan(spec, align(spec, schema, schema))
    assert plan is not None
    sql = fingerprint_sql(plan, fine_buckets(None))
    assert "4611686018427387904L" in sql, "the 63rd NULL flag"
    assert "9223372036854775808L" not in sql, "no flag beyond a BIGINT"


def test_filters_versions_and_names_reach_the_statement_quoted() -> None:
    spec = ComparisonSpec(
        "c.s.`a b`", "c.s.b", keys=("we`ird",), where="x > 1", candidate_where="y > 1", baseline_version=7
    )
    schema = _schema(("we`ird", "int"))
    plan = make_plan(spec, align(spec, schema, schema))
    assert plan is not None
    sql = fingerprint_sql(plan, 1024)
    assert "FROM `c`.`s`.`a b` VERSION AS OF 7 AS t WHERE (x > 1)" in sql
    assert "FROM `c`.`s`.`b` AS t WHERE (y > 1)" in sql
    assert "t.`we``ird`" in sql


def test_buckets_grow_with_rows_and_stay_powers_of_two() -> None:
    sizes = [fine_buckets(n) for n in (0, 1000, 20_000, 1_000_000, 44_000_000, 10**12)]
    assert sizes == sorted(sizes) and sizes[0] == 1024 and sizes[-1] == 1 << 20
    assert all(s & (s - 1) == 0 for s in sizes)


def test_no_result_row_means_two_empty_tables() -> None:
    scan = read_scan([])
    assert scan.identical and scan.rows == (0, 0) and scan.duplicates == (0, 0)
    assert scan.fingerprints[0].digest == scan.fingerprints[1].digest


# -------------------------------------------------------------------------------------------------------------- verdict

SCHEMA = _schema(("id", "int"), ("x", "string"))


def _bucket(**values: int) -> dict[str, Any]:
    names = ["na", "nb", "dup_a", "dup_b", "keys_a", "keys_b", "keys_even", "keys_uneven"]
    names += [f"{s}{i}" for s in "ab" for i in range(2)]
    return {"bucket": 0, "differing": "", **dict.fromkeys(names, 0), **values}


def _details(**values: Any) -> Details:
    base: dict[str, Any] = {
        "missing": 0,
        "extra": 0,
        "modified": 0,
        "tolerated": 0,
        "unexplained_equal": 0,
        "columns": {},
        "offsets": {},
        "flags": {},
        "balance": (0, 0, 0),
        "samples": (),
    }
    return Details(**{**base, **values})


def _judge(scan_rows: Sequence[Row], details: Details | None = None, **options: Any) -> tuple[Verdict, str]:
    alignment = align(SPEC, SCHEMA, options.get("candidate", SCHEMA))
    plan = make_plan(SPEC, alignment)
    states = options.get("states", (SideState("a"), SideState("b")))
    return judge(alignment, plan, read_scan(scan_rows), details, states, options.get("final"))


def test_equal_scans_are_identical() -> None:
    assert _judge([_bucket(na=3, nb=3)])[0] is Verdict.IDENTICAL


def test_a_side_that_changed_proves_nothing_even_if_rows_differ() -> None:
    moved = SideState("a", version_before="delta:1", version_after="delta:2")
    for details in (None, _details(missing=1, balance=(0, 0, 0))):
        verdict, reason = _judge([_bucket(na=3, nb=3)], details, states=(moved, SideState("b")))
        assert verdict is Verdict.NOT_PROVEN and "delta:1 before, delta:2 after" in reason
    pinned = replace(moved, pinned=True)
    assert _judge([_bucket(na=3, nb=3)], states=(pinned, SideState("b")))[0] is Verdict.IDENTICAL


def test_a_second_read_that_does_not_fit_the_first_proves_nothing() -> None:
    scan = [_bucket(na=3, nb=2, keys_a=1, differing="5", a0=7)]
    scan[0]["differing"] = "5"
    assert _judge(scan, _details(missing=1, balance=(1, 7, 0)))[0] is Verdict.DIFFERENT
    assert _judge(scan, _details(missing=1, balance=(1, 8, 0)))[0] is Verdict.NOT_PROVEN
    assert _judge(scan, _details(missing=2, balance=(2, 7, 0)))[0] is Verdict.NOT_PROVEN


def test_hashes_that_contradict_values_prove_nothing() -> None:
    assert _judge([_bucket(na=1, nb=1)], _details(unexplained_equal=1))[0] is Verdict.NOT_PROVEN
    assert _judge([_bucket(na=1, nb=1)], final=False)[0] is Verdict.NOT_PROVEN


def test_two_empty_sides_say_so_first() -> None:
    verdict, reason = _judge([])
    assert verdict is Verdict.IDENTICAL and reason.startswith("both sides are empty (0 rows)")


def test_what_may_be_hidden_is_not_proven_equal_and_a_difference_stays_one() -> None:
    masked = (SideState("a"), SideState("b", hidden="row filter and column mask"))
    verdict, reason = _judge([_bucket(na=1, nb=1)], states=masked)
    assert verdict is Verdict.NOT_PROVEN and "candidate b has a row filter and column mask" in reason
    differing = _judge([{**_bucket(na=1, nb=0, keys_a=1), "differing": "5"}], _details(missing=1, balance=(1, 0, 0)))
    assert differing[0] is Verdict.DIFFERENT


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


def test_values_in_doubt_prove_nothing() -> None:
    assert _judge([{**_bucket(na=1, nb=1), "doubt": 1}])[0] is Verdict.NOT_PROVEN


def test_equal_rows_under_another_schema_are_different() -> None:
    verdict, reason = _judge([_bucket(na=1, nb=1)], candidate=_schema(("id", "bigint"), ("x", "string")))
    assert verdict is Verdict.DIFFERENT and "id (types)" in reason and "rows are equal" in reason


def test_a_column_without_an_exact_form_is_never_identical() -> None:
    schema = _schema(("id", "int"), ("x", "geometry(4326)"))
    alignment = align(SPEC, schema, schema)
    plan = make_plan(SPEC, alignment)
    states = (SideState("a"), SideState("b"))
    verdict, reason = judge(alignment, plan, read_scan([_bucket(na=1, nb=1)]), None, states, None)
    assert verdict is Verdict.NOT_PROVEN and "x: geometry(4326)" in reason


# ---------------------------------------------------------------------------------------------------------------- causes


def test_causes_are_grouped_with_hints() -> None:
    details = _details(
        missing=10,
        extra=2,
        modified=30,
        columns={
            "ts": {"offset": 20},
            "other_ts": {"offset": 5},
            "n": {"value": 4},
            "d": {"offset": 3},
            "s": {"case": 1},
        },
        offsets={"ts": {14400: 20}, "other_ts": {14400: 2, 18000: 3}, "d": {-86400: 3}},
        flags={"late": 4, "excluded": 3, "copies_candidate": 2},
    )
    found = {c.name: c for c in causes_of(details, (SchemaDifference("types", "n", "int", "bigint", True),))}
    assert found["time_zone"].rows == 25 and found["time_zone"].columns == ("ts", "other_ts")
    assert found["time_zone"].title == "Times shifted by +4 h or +5 h"
    assert "+4 h or +5 h" in found["time_zone"].hint
    assert found["date_shift"].columns == ("d",) and "-1 day" in found["date_shift"].hint
    assert found["type"].columns == ("n",)
    assert found["timing"].rows == 4 and found["exclusion"].rows == 3
    assert found["duplicates_candidate"].rows == 2 and "extra_rows" not in found
    assert found["missing_rows"].rows == 10
    assert all(c.hint and c.title for c in found.values())


@pytest.mark.parametrize(
    ("offsets", "values", "zone"),
    [
        ({3600: 99}, 1, 99),
        ({3600: 99}, 20, 0),
        ({-3600: 50, -7200: 50}, 0, 100),
        ({3600: 50, -3600: 50}, 0, 0),
        ({900: 40, 1800: 40, 2700: 40}, 0, 0),
        ({-19800: 7}, 0, 7),
    ],
)
def test_only_a_shared_offset_is_a_time_zone(offsets: dict[int, int], values: int, zone: int) -> None:
    rows = sum(offsets.values())
    details = _details(
        modified=rows + values, columns={"ts": {"offset": rows, "value": values}}, offsets={"ts": offsets}
    )
    found = {c.name: c.rows for c in causes_of(details, ())}
    assert found.get("time_zone", 0) == zone and sum(found.values()) == rows + values


# ---------------------------------------------------------------------------------------------------------------- report


def _report() -> ParityReport:
    return ParityReport(
        verdict=Verdict.DIFFERENT,
        reason="1 missing rows",
        baseline=SideState(
            "c.s.a", "MANAGED", "delta:1", "delta:1", rows=3, last_write=datetime(2026, 1, 1, tzinfo=UTC)
        ),
        candidate=SideState("c.s.b", "VIEW", rows=2),
        keys=("id",),
        columns=("id", "x"),
        missing_rows=1,
        extra_rows=0,
        modified_rows=1,
        duplicate_rows={"baseline": 0, "candidate": 1},
        column_mismatches={"x": 1},
        schema_differences=(SchemaDifference("comments", "x", "", "<b>", False),),
        causes=(Cause("case", "Text equal but for case", 1, ("x",), "Look."),),
        samples=(
            Sample(SampleKind.MISSING, {"id": "1"}, (Cell("x", "=cmd()", None),)),
            Sample(SampleKind.MODIFIED, {"id": None}, (Cell("x", "<script>", "b", False, "case"),)),
        ),
        notes=("a note",),
        fingerprints={"baseline": Fingerprint({"0": (3, 1, 2, 3, 4)}, "ab"), "candidate": Fingerprint({}, "cd")},
        started_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        seconds=1.5,
        timings=(Timing("schema", 0.1),),
        requested_by="engineer@example.com",
        missed_difference_probability=2.0**-62,
        spec=ComparisonSpec("c.s.a", "c.s.b", keys=("id",)).to_dict(),
    )


def test_a_report_survives_json() -> None:
    report = _report()
    text = json.dumps(report.to_dict())
    assert ParityReport.from_dict(json.loads(text)) == report
    assert {
        "verdict",
        "reason",
        "baseline_rows",
        "candidate_rows",
        "missing_rows",
        "extra_rows",
        "modified_rows",
        "duplicate_rows",
        "column_mismatches",
        "schema_differences",
        "causes",
        "samples",
        "seconds",
    } <= set(json.loads(text))


@pytest.mark.parametrize("broken", [{"verdict": "perhaps"}, {"surprise": 1}, {"baseline": "c.s.a"}])
def test_what_is_no_report_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ParityReport.from_dict({**_report().to_dict(), **broken})


def test_views_escape_what_tables_hold() -> None:
    page = as_html(_report())
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "=cmd()" in as_csv(_report()) and ",=cmd()" not in as_csv(_report())
    whole = replace(_report(), not_compared={"g": "geometry has no exact normal form"}, within_tolerance_rows=4)
    for view in (as_html(whole), as_text(whole)):
        assert "geometry has no exact normal form" in view
    assert "equal within the tolerance 4" in as_text(whole)
    for part in ("Compared columns (2): id, x", "<td>schema</td><td>0.10</td>", "Equal within tolerance"):
        assert part in as_html(whole)
    text = as_text(_report())
    assert text.startswith("DIFFERENT: 1 missing rows") and "id=NULL" in text


def test_timing_has_its_own_label_and_still_is_different() -> None:
    report = replace(_report(), explained_by_time=True)
    assert report.label == "DIFFERENT, all explained by time" and report.verdict is Verdict.DIFFERENT


# ---------------------------------------------------------------------------------------------- compare and command line


class Scripted:
    """A warehouse that answers by the first text that a statement contains, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        self.asked.append(sql)
        for word, answer in self.answers.items():
            if sql.startswith(word.replace("_", " ")) or word in sql[:40]:
                if isinstance(answer, Exception):
                    raise answer
                return list(answer)
        raise StatementError(f"not scripted: {sql[:40]}", "42000")


AT = datetime(2026, 1, 1, tzinfo=UTC)


def done(update_id: str) -> TableUpdate:
    return TableUpdate(update_id, "COMPLETED")


DESCRIBED = [
    {"col_name": "id", "data_type": "int", "comment": None},
    {"col_name": "x", "data_type": "string", "comment": None},
    {"col_name": "", "data_type": "", "comment": ""},
    {"col_name": "# Detailed Table Information", "data_type": "", "comment": ""},
    {"col_name": "Type", "data_type": "VIEW", "comment": ""},
    {"col_name": "View Text", "data_type": "SELECT 1", "comment": ""},
]


def test_a_missing_table_is_not_proven_with_the_reason() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=StatementError("[TABLE_OR_VIEW_NOT_FOUND] no such table", "42P01"))
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.NOT_PROVEN and "TABLE_OR_VIEW_NOT_FOUND" in report.reason
    assert report.missing_rows is None and report.baseline_rows is None


def test_a_failed_scan_is_not_proven() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=StatementError("out of memory"))
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.NOT_PROVEN and "out of memory" in report.reason


def test_an_error_tells_no_value_where_columns_are_sensitive() -> None:
    text = "[CAST_INVALID_INPUT] The value '555-0101' cannot be cast. SQLSTATE: 22018"
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=StatementError(text, "22018"))
    report = compare(warehouse, replace(SPEC, sensitive_columns=frozenset({"x"})))
    assert report.verdict is Verdict.NOT_PROVEN and "CAST_INVALID_INPUT, SQLSTATE 22018" in report.reason
    assert "555-0101" not in json.dumps(report.to_dict())
    assert "555-0101" in compare(warehouse, SPEC).reason
    assert StatementError("odd").kind == "of an unknown class"


def test_a_view_whose_columns_change_while_it_is_read_is_not_proven() -> None:
    wider = [*DESCRIBED[:2], {"col_name": "y", "data_type": "int", "comment": None}, *DESCRIBED[2:]]
    warehouse = Scripted(WITH=[_bucket(na=1, nb=1)])
    answers = iter([DESCRIBED, DESCRIBED, DESCRIBED, wider])
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: next(answers) if sql.startswith("DESCRIBE") else real(sql, *rest)  # type: ignore[method-assign]
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.NOT_PROVEN and "other columns after" in report.reason


TABLE = [*DESCRIBED[:4], {"col_name": "Type", "data_type": "MANAGED"}, {"col_name": "Provider", "data_type": "delta"}]


def _delta(**answers: Any) -> Scripted:
    """Two Delta tables at version 7."""
    common = {"DESCRIBE_TABLE": TABLE, "DESCRIBE_HISTORY": [{"version": 7}], "SELECT_(SELECT": [{"a": 1, "b": 1}]}
    return Scripted(**{**common, "DESCRIBE_QUERY": DESCRIBED[:2], "WITH": [_bucket(na=1, nb=1)], **answers})


def test_delta_tables_are_read_at_the_version_they_have() -> None:
    warehouse = _delta()
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL and report.baseline.pinned and report.candidate.pinned
    (scan,) = (sql for sql in warehouse.asked if sql.startswith("WITH"))
    assert "FROM `a` VERSION AS OF 7 AS t" in scan and "FROM `b` VERSION AS OF 7 AS t" in scan
    later = compare(_delta(DESCRIBE_HISTORY=[{"version": 9}]), SPEC)
    assert later.sql_hash == report.sql_hash, "what is computed is the same at another version"


def test_where_no_version_can_be_read_the_current_data_are() -> None:
    warehouse = _delta(DESCRIBE_QUERY=StatementError("[UNSUPPORTED_FEATURE.TIME_TRAVEL] no"))
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL and not report.baseline.pinned
    assert not any("VERSION AS OF" in sql for sql in warehouse.asked if sql.startswith("WITH"))


def test_a_scan_that_is_refused_at_a_version_is_run_without() -> None:
    warehouse = _delta()
    real = warehouse.execute

    def refuse(sql: str, *rest: Any) -> Any:
        if sql.startswith("WITH") and "VERSION AS OF" in sql:
            raise StatementError("[UNSUPPORTED_FEATURE.TIME_TRAVEL] Time travel on the relation is not supported")
        return real(sql, *rest)

    warehouse.execute = refuse  # type: ignore[method-assign]
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL and not report.candidate.pinned
    assert any("without fixed versions" in n for n in report.notes)


def test_a_version_is_compared_with_the_columns_that_it_had() -> None:
    before = [{"col_name": "id", "data_type": "int"}, {"col_name": "x", "data_type": "string"}]
    before.append({"col_name": "dropped", "data_type": "int"})
    warehouse = _delta()
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: before if "VERSION AS OF 3" in sql and "DESC" in sql else real(sql, *rest)  # type: ignore[method-assign]
    report = compare(warehouse, replace(SPEC, baseline_version=3))
    assert report.verdict is Verdict.DIFFERENT and "dropped (columns)" in report.reason
    gone = compare(_delta(DESCRIBE_QUERY=StatementError("no such version")), replace(SPEC, baseline_version=3))
    assert gone.verdict is Verdict.NOT_PROVEN and "version 3 of a cannot be read" in gone.reason


def test_char_columns_are_char_at_a_version_too() -> None:
    today = _schema(("c", "char(5)"), ("s", "struct<v:varchar(3)>"), ("w", "int"))
    rows = [("c", "string"), ("s", "struct<v:string>"), ("w", "bigint")]
    warehouse = Scripted(DESCRIBE_QUERY=[{"col_name": n, "data_type": t} for n, t in rows])
    found = schema_at(warehouse, "t", today, 3)
    assert [str(c.type) for c in found.columns] == ["char(5)", "struct<v:varchar(3)>", "bigint"]


def test_a_write_meanwhile_is_noted_for_a_side_with_a_version() -> None:
    warehouse = _delta()
    real = warehouse.execute
    versions = iter([7, 7, 8, 7])
    warehouse.execute = lambda sql, *rest: (  # type: ignore[method-assign]
        [{"version": next(versions)}] if sql.startswith("DESCRIBE HISTORY") else real(sql, *rest)
    )
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL
    assert any("a was written while it was compared (now delta:8)" in n for n in report.notes)


def test_a_table_made_again_is_not_the_one_reported_though_its_version_is() -> None:
    history = {"version": 0, "timestamp": AT}
    report = compare(_delta(DESCRIBE_HISTORY=[history]), SPEC)
    report = ParityReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert recheck(_delta(DESCRIBE_HISTORY=[history]), report, read_again=False).state is RecheckState.HOLDS
    anew = _delta(DESCRIBE_HISTORY=[{**history, "timestamp": AT + timedelta(days=1)}])
    assert recheck(anew, report, read_again=False).state is RecheckState.STALE


def test_the_values_are_counted_and_compared_in_one_statement() -> None:
    warehouse = _delta(SELECT_coalesce=[{"a": 1, "b": 1, "n": 0}])
    report = compare(warehouse, replace(SPEC, final=True))
    assert report.verdict is Verdict.IDENTICAL and report.final
    (sql,) = (sql for sql in warehouse.asked if sql.startswith("SELECT coalesce"))
    assert sql.count("FROM `a` VERSION AS OF 7 AS t") == sql.count("FROM `b` VERSION AS OF 7 AS t") == 1
    for other in ({"a": 1, "b": 1, "n": 1}, {"a": 2, "b": 2, "n": 0}):
        moved = compare(_delta(SELECT_coalesce=[other]), replace(SPEC, final=True))
        assert moved.verdict is Verdict.NOT_PROVEN and not moved.final


def test_watermarks_are_told_of_equal_sides_too() -> None:
    times = [{**_bucket(na=1, nb=1), "newest_a": 5, "newest_b": None}]
    report = compare(_delta(WITH=times), replace(SPEC, watermark_columns=("id",)))
    assert (report.baseline.watermark, report.candidate.watermark) == ("5", None)
    assert "Watermark" in as_html(report) and "up to 5" in as_text(report)


def test_a_time_beyond_python_is_still_told() -> None:
    assert Watermark("timestamp", "", "").text(10**18) == f"{10**18} microseconds since 1970-01-01"
    assert Watermark("date", "", "").text(10**7) == f"{10**7} days since 1970-01-01"
    assert Watermark("date", "", "").text(1) == "1970-01-02"


def test_a_tolerance_that_cannot_apply_is_noted() -> None:
    rows = [{"col_name": "id", "data_type": "int"}, {"col_name": "x", "data_type": "string"}]
    left = [*rows, {"col_name": "d", "data_type": "decimal(38,0)"}]
    right = [*rows, {"col_name": "d", "data_type": "decimal(38,18)"}]
    answers = iter([left, right] * 2)
    warehouse = Scripted(WITH=[_bucket(na=1, nb=1)])
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: next(answers) if "TABLE EXTENDED" in sql else real(sql, *rest)  # type: ignore[method-assign]
    near = Tolerance(absolute=1.0)
    report = compare(warehouse, replace(SPEC, tolerance=near, column_tolerances={"x": near, "id": near}))
    assert any("d: compared exactly" in n for n in report.notes)
    assert any("x: compared exactly, no tolerance applies to string" in n for n in report.notes)
    assert any("id: compared exactly, no tolerance applies to a key" in n for n in report.notes)


def test_cancelling_before_a_step_is_not_proven_and_asks_no_more() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED)
    report = compare(warehouse, SPEC, cancelled=lambda: len(warehouse.asked) >= 2)
    assert report.verdict is Verdict.NOT_PROVEN and "cancelled" in report.reason
    assert len(warehouse.asked) == 2


def test_a_new_update_between_reads_is_not_proven() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    updates = iter([done("u1"), done("u1"), done("u1"), done("u2")])
    report = compare(warehouse, SPEC, update_of=lambda name: next(updates))
    assert report.verdict is Verdict.NOT_PROVEN and "update:u1 before, update:u2 after" in report.reason


@pytest.mark.parametrize("states", [("RUNNING", "RUNNING"), ("RUNNING", "COMPLETED"), ("QUEUED", "QUEUED")])
def test_an_update_that_has_not_ended_proves_nothing(states: tuple[str, str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    updates = iter([TableUpdate("u1", states[0]), done("u0"), TableUpdate("u1", states[1]), done("u0")])
    report = compare(warehouse, SPEC, update_of=lambda name: next(updates))
    assert report.verdict is Verdict.NOT_PROVEN
    assert report.baseline.writer == f"update u1, {states[0].lower()}" and report.candidate.writer is None
    assert "update:u1" in report.reason if states[1] == "COMPLETED" else "is being written by update" in report.reason


def test_an_update_that_failed_is_another_state_than_the_same_one_completed() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, update_of=lambda name: TableUpdate("u1", "FAILED", AT))
    assert report.verdict is Verdict.IDENTICAL and report.baseline.last_write == AT
    assert report.baseline.version_before == report.baseline.version_after == "update:u1 (failed)"


def test_updates_that_ended_hours_apart_are_noted() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    ends = {"a": AT, "b": AT + timedelta(hours=3)}
    report = compare(warehouse, SPEC, update_of=lambda name: TableUpdate("u1", "COMPLETED", ends[name]))
    assert any("3.0 h apart" in n for n in report.notes)


def test_a_report_holds_only_while_its_updates_stand() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, update_of=lambda name: done("u1"))

    def again(update: TableUpdate) -> Recheck:
        return recheck(warehouse, report, update_of=lambda name: update, read_again=False)

    assert again(done("u1")).state is RecheckState.HOLDS
    assert again(done("u2")).state is RecheckState.STALE
    assert again(TableUpdate("u2", "FAILED")).state is RecheckState.STALE
    running = recheck(warehouse, report, update_of=lambda name: TableUpdate("u2", "RUNNING"))
    assert running.state is RecheckState.STALE and "is being written by update u2, running" in running.reason


def test_the_last_change_of_a_definition_does_not_identify_data() -> None:
    assert not identifies_data("altered:2026-01-01T00:00:00+00:00") and identifies_data("update:u1")


class Workspace:
    """The two calls of the workspace that `pipeline_updates` makes; `failure` is raised by the first."""

    def __init__(self, *updates: UpdateInfo, failure: Exception | None = None) -> None:
        self.updates, self.failure = updates, failure
        self.tables = self.pipelines = self

    def get(self, name: str) -> Any:
        if self.failure is not None:
            raise self.failure
        return TableInfo(pipeline_id="p1" if name == "c.s.t" else None)

    def list_updates(self, pipeline_id: str, **options: Any) -> Any:
        return ListUpdatesResponse(updates=list(self.updates))

    def list_pipeline_events(self, pipeline_id: str, **options: Any) -> Any:
        origin = Origin(update_id="u1")
        yield PipelineEvent(
            origin=Origin(update_id="u0"), event_type="update_progress", timestamp="2026-01-03T00:00:00Z"
        )
        yield PipelineEvent(origin=origin, event_type="flow_progress", timestamp="2026-01-02T00:00:00Z")
        yield PipelineEvent(origin=origin, event_type="update_progress", timestamp="2026-01-01T00:00:00.000Z")


def test_the_newest_update_counts_whatever_became_of_it() -> None:
    completed = UpdateInfo(update_id="u1", state=UpdateInfoState.COMPLETED)
    running = UpdateInfo(update_id="u2", state=UpdateInfoState.RUNNING)
    validation = UpdateInfo(update_id="u3", state=UpdateInfoState.COMPLETED, validate_only=True)

    def newest(*updates: UpdateInfo) -> TableUpdate | None:
        return pipeline_updates(Workspace(*updates))("c.s.t")  # type: ignore[arg-type]

    assert newest(validation, running, completed) == TableUpdate("u2", "RUNNING")
    assert newest(validation, completed) == TableUpdate("u1", "COMPLETED", AT)
    assert newest() is None
    assert pipeline_updates(Workspace(completed))("c.s.other") is None  # type: ignore[arg-type]
    assert pipeline_updates(Workspace(completed))("other") is None  # type: ignore[arg-type]


def test_a_catalog_that_may_not_be_read_is_no_update_and_one_that_does_not_answer_proves_nothing() -> None:
    assert pipeline_updates(Workspace(failure=PermissionDenied("no")))("c.s.t") is None  # type: ignore[arg-type]
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    spec = replace(SPEC, baseline="c.s.t")
    for failure in (TimeoutError("Timed out after 0:01:00"), InternalError("down")):
        report = compare(warehouse, spec, update_of=pipeline_updates(Workspace(failure=failure)))  # type: ignore[arg-type]
        assert report.verdict is Verdict.NOT_PROVEN and "which update last wrote c.s.t" in report.reason


def test_progress_tells_each_step_in_order() -> None:
    steps: list[str] = []
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, progress=lambda p: steps.append(p.step), requested_by="lead@example.com")
    assert steps == ["schema", "state", "fingerprint", "state", "done"]
    assert report.verdict is Verdict.IDENTICAL and report.requested_by == "lead@example.com"


def test_the_command_says_identical_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    assert main(["a", "b", "--key", "id", "--json"], warehouse) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "identical"


def test_the_command_says_different_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    other = [*DESCRIBED]
    other[1] = {**other[1], "data_type": "int"}
    warehouse = Scripted(DESCRIBE_TABLE_EXTENDED_=DESCRIBED, WITH=[_bucket(na=1, nb=1)])
    answers = iter([DESCRIBED, other] * 2)
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: next(answers) if sql.startswith("DESCRIBE") else real(sql, *rest)  # type: ignore[method-assign]
    assert main(["a", "b", "--key", "id"], warehouse) == 1
    assert capsys.readouterr().out.startswith("DIFFERENT")


def test_the_command_says_not_proven_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b", "--json"], Scripted()) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "not_proven"


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        ["a", "b", "--nope"],
        ["a", "b", "--key", "id", "--key", "id"],
        ["a", "b", "--map", "x"],
        ["a", "b", "--decide", "colour"],
        ["a", "b", "--where", "1=1; x"],
        ["a", "b", "--absolute", "0.1"],
        ["a.b.c.d", "b"],
        ["a", "b", "--key", "nope"],
        ["a", "b", "--json", "--csv"],
    ],
)
def test_wrong_use_is_2_with_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(arguments, Scripted(DESCRIBE_TABLE=DESCRIBED))
    except SystemExit as e:
        status = int(str(e.code))
    shown = capsys.readouterr()
    assert status == 2 and shown.out == ""
    assert shown.err.strip().splitlines()[-1].startswith("python -m validation: ")


@pytest.mark.parametrize("sensitive", [False, True])
def test_what_nobody_foresaw_is_3_with_one_line(sensitive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=RuntimeError("two\nlines of 555-0101"))
    arguments = ["a", "b", "--key", "id", *(["--sensitive", "x"] if sensitive else [])]
    assert main(arguments, warehouse) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1 and "RuntimeError" in shown.err
    assert ("555-0101" in shown.err) is not sensitive


class Session:
    """A connection of the connector and its cursor in one: what fails is named, a statement runs until cancelled."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.cancelled = failing, 0

    def _end(self, what: str) -> None:
        if what in self.failing:
            raise OperationalError(f"{what} failed")

    def cursor(self) -> Session:
        self._end("cursor")
        return self

    def execute(self, sql: str, parameters: Any) -> None:
        while sql == "slow" and not self.cancelled:
            time.sleep(0.01)

    def fetchall(self) -> list[Any]:
        return []

    def cancel(self) -> None:
        self.cancelled += 1
        self._end("cancel")

    def close(self) -> None:
        self._end("close")


def test_a_connection_that_will_not_end_spoils_nothing() -> None:
    with DatabricksWarehouse(Session("close", "cancel")) as warehouse:
        assert warehouse.execute("quick") == []
        with pytest.raises(Cancelled):
            warehouse.execute("slow", None, lambda: True)
    with pytest.raises(StatementError, match="cursor failed"):
        DatabricksWarehouse(Session("cursor")).execute("quick")


def test_statements_run_in_utc() -> None:
    asked: dict[str, Any] = {}
    endpoint = type("Endpoint", (), {"host": "h", "sql": lambda self, **options: asked.update(options)})()
    DatabricksWarehouse.open(endpoint)
    assert asked["session_configuration"] == {"TIMEZONE": "UTC"}


def test_no_workspace_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    assert main(["a", "b"]) == 2
    assert "make run" in capsys.readouterr().err
