"""Parity: what is compared, and the statement that reads both sides once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.support.validation_warehouse import SPEC, bucket, schema_of
from validation import ComparisonSpec, SideState, SpecError, Verdict
from validation.drilldown import Limits, chosen_buckets
from validation.fingerprint import COARSE, LISTED, Scan, fine_buckets, fingerprint_sql, read_duplicates, read_scan
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


def test_coarse_buckets_are_the_same_however_many_fine_ones_there_are() -> None:
    sizes = [fine_buckets(size) for size in (None, 0, 10**6, 10**9, 10**10, 10**12)]
    assert sizes == [1 << n for n in (15, 10, 10, 16, 20, 22)]
    assert all(n & (n - 1) == 0 and n % COARSE == 0 for n in sizes), "or a report could not be checked again"


def scan_of(*, buckets: int, rows: int, fewer: int = 0, more: int = 0, even: int = 0) -> Scan:
    differing = fewer + more + even
    found = read_scan(
        [{**bucket(na=rows, nb=rows, fewer=fewer, more=more, even=even, buckets=buckets), "differing": "1"}]
    )
    return replace(found, differing=tuple(range(min(differing, LISTED))), affected=2 * rows * differing // buckets)


def test_rows_are_read_again_by_bucket_unless_most_would_be() -> None:
    assert chosen_buckets(scan_of(buckets=1000, rows=1000, even=500)) == tuple(range(500))
    assert chosen_buckets(scan_of(buckets=1000, rows=1000, even=501)) is None
    many = scan_of(buckets=1 << 20, rows=10 << 20, even=LISTED)
    assert chosen_buckets(many) == tuple(range(LISTED))
    assert chosen_buckets(replace(many, even=LISTED + 1)) is None


@pytest.mark.parametrize("rows", [300, 1_000, 10_000, 100_000])
@pytest.mark.parametrize("only_a", [0, 5, 0.01, 0.2])
@pytest.mark.parametrize("only_b", [0, 5, 0.1, 0.7])
@pytest.mark.parametrize("even", [0, 5, 0.05, 0.9])
def test_samples_that_come_back_are_few_whatever_differs(rows: int, only_a: float, only_b: float, even: float) -> None:
    """So many keys of each class, or such a share of all, in 1,024 buckets; a bucket shows the class it has most of."""
    r, size = random.Random(rows), 4
    keys = [n if isinstance(n, int) else int(n * rows) for n in (only_a, only_b, even)]
    filled = {r.randrange(1024) for _ in range(rows)}
    balance: Counter[int] = Counter()
    for n, sign in zip(keys, (-1, 1, 0), strict=True):
        for _ in range(n):
            balance[r.randrange(1024)] += sign
    shown = {sign: sum((b > 0) - (b < 0) == sign for b in balance.values()) for sign in (-1, 1, 0)}
    buckets = len(filled | set(balance))
    limits = Limits.of(scan_of(buckets=buckets, rows=rows, fewer=shown[-1], more=shown[1], even=shown[0]), size)
    for n, every in zip(keys, (limits.only_a, limits.only_b, limits.even), strict=True):
        assert n / every <= 12 * 5 * size, (keys, shown, limits)
        if n <= size and sum(keys) <= 512:
            assert every == 1, "what is rare comes back whole"


def test_no_result_row_means_two_empty_tables() -> None:
    scan = read_scan([])
    assert scan.identical and scan.rows == (0, 0) and read_duplicates(scan, []) == 0
    assert scan.unique
    assert scan.fingerprints[0].digest == scan.fingerprints[1].digest


def test_a_time_beyond_python_is_still_told() -> None:
    assert Watermark("timestamp", "", "").text(10**18) == f"{10**18} microseconds since 1970-01-01"
    assert Watermark("date", "", "").text(10**7) == f"{10**7} days since 1970-01-01"
    assert Watermark("date", "", "").text(1) == "1970-01-02"
