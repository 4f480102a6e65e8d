"""One name or two: `validation.names` beside Spark, and comparisons of tables that hold such columns."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from test_validation_names import ONE_NAME, TWO_NAMES
from validation_support import counts

from validation import ComparisonSpec, SchemaAspect, Tolerance, Verdict, compare
from validation.errors import StatementError
from validation.names import folded, named_alike
from validation.spec import DECIDING_BY_DEFAULT
from validation.sqltext import quote

NAMES_ONLY_WARN = DECIDING_BY_DEFAULT - {SchemaAspect.NAMES}
TOGETHER = [pair for pair in TWO_NAMES if named_alike(pair) is None]
"""Pairs that a struct or a view may hold too, where Spark compares letter by letter."""


def special() -> list[str]:
    """Every character that some kind of case changes, alone and around a capital sigma."""
    cased = [
        char
        for char in map(chr, range(0x110000))
        if unicodedata.category(char) not in {"Cs", "Cn"}
        and len({char, char.lower(), char.upper(), char.title(), char.casefold()}) > 1
    ]
    around = [*"_-.'\" 0$%\u00ad\u0301\u0345\u2019\u3042\u30a2\u4e00\ufe4f", *(c for c in cased if c < "\u0500")]
    return cased + [form.format(c) for c in around for form in ("a{}Σ", "{}Σ", "aΣ{}", "aΣ{}b", "Σ{}Σ")]


def test_folding_is_javas_lower_case_over_all_special_casing(warehouse: Any) -> None:
    spark = warehouse.spark
    spark.conf.set("spark.sql.icu.caseMappings.enabled", "false")  # Else `lower` is ICU's, not Java's.
    try:
        rows = spark.createDataFrame([(s,) for s in special()], "s string").selectExpr("s", "lower(s) AS l").collect()
    finally:
        spark.conf.unset("spark.sql.icu.caseMappings.enabled")
    assert len(rows) > 5000
    assert [(r.s, folded(r.s), r.l) for r in rows if folded(r.s) != r.l] == []


@pytest.mark.parametrize(("a", "b"), ONE_NAME)
def test_spark_refuses_two_columns_of_one_name(warehouse: Any, a: str, b: str) -> None:
    with pytest.raises(StatementError, match="COLUMN_ALREADY_EXISTS"):
        warehouse.execute(f"CREATE OR REPLACE TEMP VIEW one_name AS SELECT 1 AS {quote(a)}, 2 AS {quote(b)}")


def test_of_columns_that_unicode_calls_alike_each_is_compared(warehouse: Any, table: Any) -> None:
    names = list(dict.fromkeys(name for pair in TWO_NAMES for name in pair))
    names = [n for i, n in enumerate(names) if folded(n) not in {folded(m) for m in names[:i]}]
    assert len(names) > len(TWO_NAMES)

    def made(name: str, other: str = "") -> str:
        columns = ", ".join(f"CAST(id AS INT) + {int(n == other)} AS {quote(n)}" for n in names)
        return str(table(name, f"SELECT id AS `key`, {columns} FROM range(3)"))

    spark = warehouse.spark
    spark.conf.set("spark.databricks.delta.properties.defaults.columnMapping.mode", "name")
    try:
        a = made("alike_a")
        for other in names:
            report = compare(warehouse, ComparisonSpec(a, made("alike_b", other), keys=("key",)))
            assert report.verdict is Verdict.DIFFERENT and report.column_mismatches == {other: 3}, other
        assert compare(warehouse, ComparisonSpec(a, made("alike_b"), keys=("key",))).verdict is Verdict.IDENTICAL
    finally:
        spark.conf.unset("spark.databricks.delta.properties.defaults.columnMapping.mode")


@pytest.mark.parametrize(("a", "b"), TOGETHER)
def test_no_option_for_one_column_concerns_the_other(warehouse: Any, view: Any, a: str, b: str) -> None:
    x, y = quote(a), quote(b)
    one = view("opt_a", f"SELECT id, id AS {x}, id AS {y} FROM range(3)")
    two = view("opt_b", f"SELECT id, id AS {x}, id + 1 AS {y} FROM range(3)")
    without = compare(warehouse, ComparisonSpec(one, two, keys=("id",), excluded_columns=frozenset({a})))
    assert without.verdict is Verdict.DIFFERENT and without.column_mismatches == {b: 3}
    near = ComparisonSpec(one, two, ("id",), column_tolerances={a: Tolerance(9.0)})  # type: ignore[arg-type]
    assert compare(warehouse, near).verdict is Verdict.DIFFERENT
    assert counts(compare(warehouse, ComparisonSpec(one, two, keys=(a,)))) == (0, 0, 3)
    assert counts(compare(warehouse, ComparisonSpec(one, two, keys=(a, b)))) == (3, 3, 0)


@pytest.mark.parametrize(("a", "b"), [*ONE_NAME, *TWO_NAMES])
def test_names_that_only_warn_pair_what_spark_would_find(warehouse: Any, view: Any, a: str, b: str) -> None:
    one, two = view("warn_a", f"SELECT 1 AS k, 2 AS {quote(a)}"), view("warn_b", f"SELECT 1 AS k, 3 AS {quote(b)}")
    report = compare(warehouse, ComparisonSpec(one, two, keys=("k",), deciding=NAMES_ONLY_WARN))
    assert report.verdict is Verdict.DIFFERENT
    assert report.column_mismatches == ({a: 1} if (a, b) in ONE_NAME else {})


def test_columns_without_a_name_or_named_like_a_section_are_compared(warehouse: Any, view: Any) -> None:
    names = ["", " ", "# x", "# Partition Information", "a\nb", "a.b", 'q"', "it's", "`", "Type", "日本", "x" * 300]

    def made(name: str, other: str | None) -> str:
        return str(view(name, "SELECT 1 AS k, " + ", ".join(f"{int(n == other)} AS {quote(n)}" for n in names)))

    for other in names:
        report = compare(warehouse, ComparisonSpec(made("odd_a", None), made("odd_b", other), keys=("k",)))
        assert report.verdict is Verdict.DIFFERENT and report.column_mismatches == {other: 1}, repr(other)
        assert len(report.columns) == 1 + len(names)
