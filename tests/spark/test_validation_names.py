"""One name or two: `databricks_client.names` beside Spark, and comparisons of tables that hold such columns."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from databricks_client.names import folded, named_alike
from tests.spark.validation_support import counts
from tests.support.validation_names import ONE_NAME, TWO_NAMES
from validation import ComparisonSpec, SchemaAspect, Tolerance, Verdict, compare
from validation.errors import StatementError
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


def names_of_two_columns() -> list[str]:
    """All names of `TWO_NAMES` that one table can hold."""
    names = {folded(name): name for pair in TWO_NAMES for name in pair}
    return list(names.values())


def numbered(names: list[str], differing: list[str]) -> str:
    """Columns `k` and `names`; of those that differ each has another value than its number in one row, its own."""
    return (
        "SELECT CAST(id AS INT) AS k, "
        + ", ".join(
            f"CAST(id AS INT) + {f'IF(id = {i}, 1, 0)' if n in differing else 0} AS {quote(n)}"
            for i, n in enumerate(names)
        )
        + f" FROM range({len(names)})"
    )


def test_of_columns_that_unicode_calls_alike_each_is_compared(warehouse: Any, table: Any) -> None:
    names = names_of_two_columns()
    assert len(names) > len(TWO_NAMES)
    spark = warehouse.spark
    spark.conf.set("spark.databricks.delta.properties.defaults.columnMapping.mode", "name")
    try:
        a, b = table("alike_a", numbered(names, [])), table("alike_b", numbered(names, names))
    finally:
        spark.conf.unset("spark.databricks.delta.properties.defaults.columnMapping.mode")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("k",)))
    assert report.verdict is Verdict.DIFFERENT and report.column_mismatches == dict.fromkeys(names, 1)


def test_no_option_for_one_column_concerns_the_other(warehouse: Any, view: Any) -> None:
    one, other = [a for a, _ in TOGETHER], [b for _, b in TOGETHER]
    a, b = view("opt_a", numbered(one + other, [])), view("opt_b", numbered(one + other, one + other))
    without = compare(warehouse, ComparisonSpec(a, b, ("k",), excluded_columns=frozenset(one)))
    assert without.column_mismatches == dict.fromkeys(other, 1)
    near = ComparisonSpec(a, b, ("k",), column_tolerances=dict.fromkeys(one, Tolerance(9.0)))  # type: ignore[arg-type]
    assert compare(warehouse, near).column_mismatches == dict.fromkeys(other, 1)
    # A value that differs in a key is another row, one that differs elsewhere a modified one.
    assert counts(compare(warehouse, ComparisonSpec(a, b, (*one, "k")))) == (len(one), len(one), len(other))


def test_names_that_only_warn_pair_what_spark_would_find(warehouse: Any, view: Any) -> None:
    for pairs in (ONE_NAME, TOGETHER):
        one, other = [a for a, _ in pairs], [b for _, b in pairs]
        one = [n for i, n in enumerate(one) if named_alike([n, *one[:i]]) is None]
        other = [b for a, b in pairs if a in one]
        a, b = view("warn_a", numbered(one, [])), view("warn_b", numbered(other, other))
        report = compare(warehouse, ComparisonSpec(a, b, keys=("k",), deciding=NAMES_ONLY_WARN))
        assert report.verdict is Verdict.DIFFERENT
        assert report.column_mismatches == (dict.fromkeys(one, 1) if pairs is ONE_NAME else {})


def test_columns_without_a_name_or_named_like_a_section_are_compared(warehouse: Any, view: Any) -> None:
    names = ["", " ", "# x", "# Partition Information", "a\nb", "a.b", 'q"', "it's", "`", "Type", "日本", "x" * 300]
    a, b = view("odd_a", numbered(names, [])), view("odd_b", numbered(names, names))
    report = compare(warehouse, ComparisonSpec(a, b, keys=("k",)))
    assert report.verdict is Verdict.DIFFERENT and report.column_mismatches == dict.fromkeys(names, 1)
    assert report.columns == ("k", *names)
