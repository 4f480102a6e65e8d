"""Parity: what is compared, and the statement that reads both sides once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from validation_warehouse import SPEC, schema_of

from validation import ComparisonSpec, SideState, SpecError, Verdict
from validation.fingerprint import fine_buckets, fingerprint_sql, read_duplicates, read_scan
from validation.plan import Watermark, make_plan
from validation.schema import align
from validation.verdict import judge


def test_a_key_that_neither_side_has_is_wrong_use() -> None:
    schema = schema_of(("id", "int"))
    for spec in (
        replace(SPEC, keys=("nope",)),
        replace(SPEC, watermark_columns=("nope",)),
        replace(SPEC, sensitive_columns=frozenset({"nope"})),
    ):
        with pytest.raises(SpecError, match="nope"):
            make_plan(spec, align(spec, schema, schema))


def test_a_key_that_one_side_lacks_leaves_the_rows_uncompared() -> None:
    a, b = schema_of(("id", "int"), ("x", "int")), schema_of(("x", "int"))
    alignment = align(SPEC, a, b)
    assert make_plan(SPEC, alignment) is None
    verdict, reason = judge(alignment, None, None, None, (SideState("a"), SideState("b")), None)
    assert verdict is Verdict.DIFFERENT and "id (columns)" in reason


def test_the_fingerprint_reads_each_side_once_and_writes_nothing() -> None:
    schema = schema_of(("id", "int"), *((f"c{i}", "string") for i in range(130)))
    plan = make_plan(SPEC, align(SPEC, schema, schema))
    assert plan is not None
    sql = fingerprint_sql(plan, fine_buckets(None))
    assert sql.count("FROM `a` AS t") == 1 and sql.count("FROM `b` AS t") == 1
    assert sql.count("t.`c129` IS NULL") == 4, "twice a side, so that Spark compiles each group of columns by itself"
    for word in ("CREATE", "CACHE", "INSERT", "TEMP"):
        assert word not in sql.upper().replace("CREATED", "")


def test_the_null_flags_of_a_long_key_fit_bigints() -> None:
    keys = tuple(f"c{i}" for i in range(70))
    schema = schema_of(*((k, "string") for k in keys))
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
    schema = schema_of(("we`ird", "int"))
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
    assert scan.identical and scan.rows == (0, 0) and read_duplicates(scan, []) == 0
    assert scan.unique
    assert scan.fingerprints[0].digest == scan.fingerprints[1].digest


def test_a_time_beyond_python_is_still_told() -> None:
    assert Watermark("timestamp", "", "").text(10**18) == f"{10**18} microseconds since 1970-01-01"
    assert Watermark("date", "", "").text(10**7) == f"{10**7} days since 1970-01-01"
    assert Watermark("date", "", "").text(1) == "1970-01-02"
