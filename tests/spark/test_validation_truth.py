"""Ground truth: no wrong verdict, no wrong count and no wrong column on random tables against a brute-force comparison.

`CUTOVER_PARITY_CASES` sets the number of batched cases (many small tables as partitions of one statement, with the very
SQL of a comparison), `CUTOVER_PARITY_SINGLE` that of whole comparisons, `CUTOVER_PARITY_SEED` the seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from validation_support import SparkWarehouse
from validation_truth import Row, Shape, Truth, mutate, random_rows, random_shape, select, truth

from validation import ComparisonSpec, Verdict, compare
from validation.drilldown import details_sql, read_details
from validation.fingerprint import fine_buckets, fingerprint_sql, read_scan
from validation.plan import make_plan
from validation.report import SideState
from validation.schema import align, read_schema
from validation.verdict import judge

CASES = int(os.environ.get("CUTOVER_PARITY_CASES", "1000"))
SINGLE = int(os.environ.get("CUTOVER_PARITY_SINGLE", "40"))
SEED = int(os.environ.get("CUTOVER_PARITY_SEED", "20260101"))
BATCH = 200


@pytest.fixture(scope="module")
def warehouse(spark_remote: str) -> Iterator[SparkWarehouse]:
    """A Spark session of its own, with one shuffle partition: the tables are tiny."""
    spark = SparkSession.builder.remote(spark_remote).create()
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    yield SparkWarehouse(spark)
    spark.stop()


def _check(
    found: tuple[Verdict, int, int, int, tuple[int, int], dict[str, int], tuple[int, int]], shape: Shape, t: Truth
) -> list[str]:
    """What is wrong in `found`, as text."""
    verdict, missing, extra, modified, duplicates, columns, rows = found
    wrong = []
    expected = Verdict.IDENTICAL if t.equal and not shape.differs else Verdict.DIFFERENT
    for what, got, want in (
        ("verdict", verdict, expected),
        ("rows", rows, t.rows),
        ("missing", missing, t.missing),
        ("extra", extra, t.extra),
        ("modified", modified, t.modified),
        ("duplicates", duplicates, t.duplicates),
    ):
        if got != want:
            wrong.append(f"{what}: {got}, truth {want}")
    if t.columns is not None and columns != t.columns:
        wrong.append(f"columns: {columns}, truth {t.columns}")
    return wrong


@pytest.mark.parametrize("batch", range(-(-CASES // BATCH)))
def test_many_small_tables_at_once_agree_with_brute_force(warehouse: SparkWarehouse, batch: int) -> None:
    r = random.Random(SEED * 1000 + batch)
    shape = random_shape(r, change_schema=batch % 4 == 3)
    cases: dict[str, tuple[list[Row], list[Row]]] = {}
    for i in range(min(BATCH, CASES - batch * BATCH)):
        baseline = random_rows(r, shape)
        cases[f"case{i}"] = (baseline, mutate(r, shape, baseline))
    for side, columns, name in ((0, shape.columns, "truth_a"), (1, shape.candidate, "truth_b")):
        rows = [(case, row) for case, both in cases.items() for row in both[side]]
        warehouse.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select(shape, columns, rows)}")
    spec = ComparisonSpec("truth_a", "truth_b", keys=shape.keys)
    alignment = align(spec, read_schema(warehouse, "truth_a"), read_schema(warehouse, "truth_b"))
    plan = make_plan(spec, alignment, partition_by=("case_id",))
    assert plan is not None and plan.columns and not plan.not_compared
    buckets = fine_buckets(0)
    scanned = warehouse.execute(fingerprint_sql(plan, buckets))
    whole = read_scan(scanned)
    detailed = [] if whole.identical else warehouse.execute(details_sql(plan, whole, buckets))

    wrong: list[str] = []
    for case, (baseline, candidate) in cases.items():
        scan = read_scan([row for row in scanned if row["p0"] == case])
        of_case = [row for row in detailed if row["p0"] == case]
        details = read_details(plan, of_case) if of_case or not scan.identical else None
        states = (SideState("a"), SideState("b"))
        verdict, reason = judge(alignment, plan, scan, details, states, None)
        columns = {n: sum(kinds.values()) for n, kinds in details.columns.items()} if details else {}
        counts = (details.missing, details.extra, details.modified) if details else (0, 0, 0)
        duplicates = scan.duplicates if shape.keys else (0, 0)
        found = (verdict, *counts, duplicates, columns, scan.rows)
        for problem in _check(found, shape, truth(shape, baseline, candidate)):
            wrong.append(f"{case}: {problem} ({reason})\n  {shape}\n  {baseline}\n  {candidate}")
    assert not wrong, f"{len(wrong)} wrong answers, the first: {wrong[0]}"


# Whole comparisons run interpreted: compiling a plan for eight rows takes longer than running it. The batches compile.
INTERPRETED = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture
def interpreted(warehouse: SparkWarehouse) -> Iterator[SparkWarehouse]:
    for name, value in INTERPRETED.items():
        warehouse.spark.conf.set(name, value)
    yield warehouse
    for name in INTERPRETED:
        warehouse.spark.conf.unset(name)


@pytest.mark.parametrize("part", range(10))
def test_whole_comparisons_agree_with_brute_force(interpreted: SparkWarehouse, part: int) -> None:
    warehouse = interpreted
    wrong: list[str] = []
    for i in range(part, SINGLE, 10):
        r = random.Random(SEED * 7919 + i)
        shape = random_shape(r, change_schema=i % 5 == 0)
        baseline = random_rows(r, shape)
        candidate = mutate(r, shape, baseline)
        for columns, rows, name in ((shape.columns, baseline, "one_a"), (shape.candidate, candidate, "one_b")):
            body = select(shape, columns, [("x", row) for row in rows])
            warehouse.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {body}")
        report = compare(
            warehouse,
            ComparisonSpec(
                "one_a", "one_b", keys=shape.keys, excluded_columns=frozenset({"case_id"}), final=i % 3 == 0
            ),
        )
        found = (
            report.verdict,
            report.missing_rows,
            report.extra_rows,
            report.modified_rows,
            (report.duplicate_rows["baseline"], report.duplicate_rows["candidate"]),
            report.column_mismatches,
            (report.baseline_rows, report.candidate_rows),
        )
        t = truth(shape, baseline, candidate)
        problems = _check(found, shape, t)  # type: ignore[arg-type]
        kinds = [s.kind.value for s in report.samples]
        for kind, n in (("missing", t.missing), ("extra", t.extra), ("modified", t.modified)):
            if kinds.count(kind) != n:
                problems.append(f"{kinds.count(kind)} samples of {n} {kind} rows")
        wrong += [f"case {i}: {p} ({report.reason})\n  {shape}\n  {baseline}\n  {candidate}" for p in problems]
    assert not wrong, f"{len(wrong)} wrong answers, the first: {wrong[0]}"
