"""Comparisons of types that random tables do not have, or where equality follows a rule of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.spark.validation_support import counts
from validation import ComparisonSpec, SchemaAspect, Verdict, compare


def test_aliased_types_are_not_taken_for_equal(warehouse: Any, view: Any) -> None:
    a = view("al_a", "SELECT 1 AS id, true AS x")
    b = view("al_b", "SELECT 1 AS id, 1 AS x")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), deciding=frozenset()))
    assert report.verdict is Verdict.NOT_PROVEN and "x" in report.not_compared


def test_decimals_too_large_for_the_finer_scale_stay_apart(warehouse: Any, view: Any) -> None:
    a = view("dec_a", "SELECT id, CAST(v AS DECIMAL(38,0)) AS d FROM VALUES (1,'7'),(2,'1e30'),(3,'2e30') AS t(id, v)")
    b = view("dec_b", "SELECT id, CAST(v AS DECIMAL(38,18)) AS d FROM VALUES (1,'7.0'),(2,'1e19'),(3,'0') AS t(id, v)")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.column_mismatches == {"d": 2}


def test_char_padding_is_no_difference_and_varchar_blanks_are(warehouse: Any, table: Any) -> None:
    for name, size in (("ch_a", 5), ("ch_b", 8)):
        warehouse.spark.sql(f"DROP TABLE IF EXISTS {name}")
        warehouse.spark.sql(f"CREATE TABLE {name} (id INT, c CHAR({size}), v VARCHAR(5)) USING parquet")
        warehouse.spark.sql(f"INSERT INTO {name} VALUES (1, 'ab', 'ab')")
    spec = ComparisonSpec("ch_a", "ch_b", keys=("id",), deciding=frozenset({SchemaAspect.COLUMNS}))
    assert compare(warehouse, spec).verdict is Verdict.IDENTICAL
    warehouse.spark.sql("INSERT OVERWRITE ch_b VALUES (1, 'ab', 'ab ')")
    assert compare(warehouse, spec).column_mismatches == {"v": 1}
    typed = compare(warehouse, replace(spec, deciding=frozenset(SchemaAspect)))
    assert {(d.column, d.baseline, d.candidate) for d in typed.schema_differences if d.aspect == "types"} == {
        ("c", "char(5)", "char(8)")
    }


def test_collations_compare_by_bytes(warehouse: Any, view: Any) -> None:
    a = view("co_a", "SELECT 1 AS id, 'Abc' COLLATE UNICODE_CI AS s, array('A' COLLATE UNICODE_CI) AS l")
    b = view("co_b", "SELECT 1 AS id, 'aBC' COLLATE UNICODE_CI AS s, array('a' COLLATE UNICODE_CI) AS l")
    assert compare(warehouse, ComparisonSpec(a, b, keys=("id",))).column_mismatches == {"s": 1, "l": 1}
    keyed = compare(warehouse, ComparisonSpec(a, b, keys=("s",)))
    assert counts(keyed) == (1, 1, 0)


def test_a_struct_with_more_fields_than_descriptions_print(warehouse: Any, table: Any) -> None:
    fields = ", ".join(f"'f{i}', id + {i}" for i in range(40))
    a = table("wide_a", f"SELECT id, named_struct({fields}) AS s FROM range(3)")
    b = table("wide_b", f"SELECT id, named_struct({fields.replace('id + 39', 'id + 40')}) AS s FROM range(3)")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.column_mismatches == {"s": 3} and not report.not_compared


def test_a_variant_that_mixes_types_too_deep_is_not_proven(warehouse: Any, view: Any) -> None:
    deep = '[[[[[[[1,"x"]]]]]]]'
    a = view("va_a", f"SELECT 1 AS id, parse_json('{deep}') AS v")
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",)))
    assert report.verdict is Verdict.NOT_PROVEN and "VARIANT" in report.reason
    for left, right in (("1.5,2.5e0", "1.5e0,2.5e0"), ("1.5", "1.5e0")):
        a = view("va_c", f"SELECT 1 AS id, parse_json('[[[[[{left}]]]]]') AS v")
        b = view("va_d", f"SELECT 1 AS id, parse_json('[[[[[{right}]]]]]') AS v")
        assert compare(warehouse, ComparisonSpec(a, b, keys=("id",))).verdict is not Verdict.IDENTICAL
    zeros = [view(f"vz_{n}", f"SELECT 1 AS id, parse_json('{z}') AS v") for n, z in (("a", "-0.0e0"), ("b", "0.0e0"))]
    zero = compare(warehouse, ComparisonSpec(*zeros, keys=("id",)))
    assert zero.verdict is Verdict.DIFFERENT and "v: in a VARIANT -0.0 and 0.0 are two values" in zero.notes
    shallow = view("va_b", 'SELECT 1 AS id, parse_json(\'{"a":[1,"x",{"b":[1,null,"y"]}]}\') AS v')
    assert compare(warehouse, ComparisonSpec(shallow, shallow, keys=("id",))).verdict is Verdict.IDENTICAL


@pytest.fixture
def with_time(warehouse: Any) -> Iterator[None]:
    """TIME must be asked for in open-source Spark 4.2."""
    warehouse.spark.conf.set("spark.sql.timeType.enabled", "true")
    yield
    warehouse.spark.conf.unset("spark.sql.timeType.enabled")


TIMES = "SELECT * FROM VALUES (1, TIME'12:00:00.000001'), (2, NULL), (3, TIME'23:59:59.999') AS t(id, x)"
INTERVALS = "SELECT * FROM VALUES (1, make_interval(1, 2, 0, 3, 4, 5, 6.000007)), (2, NULL) AS t(id, x)"
POINTS = "SELECT id, st_setsrid(st_geomfromwkb(unhex(w)), 4326) AS x FROM VALUES (1, '{}'), (2, NULL) AS t(id, w)"
HERE, NEAR = "0101000000000000000000F03F0000000000000040", "0101000000010000000000F03F0000000000000040"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (TIMES, TIMES.replace("000001", "000002")),
        (INTERVALS, INTERVALS.replace("6.000007", "6.000008")),
        (INTERVALS, INTERVALS.replace("make_interval(1, 2, 0, 3, 4", "make_interval(1, 2, 0, 2, 28")),
        (POINTS.format(HERE), POINTS.format(NEAR)),
    ],
)
def test_times_of_day_mixed_intervals_and_shapes(
    warehouse: Any, view: Any, with_time: None, left: str, right: str
) -> None:
    for form in ("x", "array(x, NULL)", "named_struct('f', x)", "map('k', x)"):
        a, same, other = (
            view(f"ty_{n}", f"SELECT id, {form} AS x FROM ({body})")
            for n, body in (("a", left), ("b", left), ("c", right))
        )
        equal = compare(warehouse, ComparisonSpec(a, same, keys=("id",), final=True))
        assert equal.verdict is Verdict.IDENTICAL, (form, equal.reason)
        found = compare(warehouse, ComparisonSpec(a, other, keys=("id",)))
        assert counts(found) == (0, 0, 1) and found.column_mismatches == {"x": 1}, (form, found.reason)
        cell = found.samples[0].cells[0]
        assert cell.baseline != cell.candidate, form


def test_times_of_unlike_precision_are_compared_by_the_finer(warehouse: Any, view: Any, with_time: None) -> None:
    a, b = view("tp_a", TIMES), view("tp_b", f"SELECT id, CAST(x AS TIME(3)) AS x FROM ({TIMES})")
    for sides in ((a, b), (b, a)):
        found = compare(warehouse, ComparisonSpec(*sides, keys=("id",)))
        assert counts(found) == (0, 0, 1) and "x: both as time(6)" in found.notes


def test_a_shape_has_its_reference_system(warehouse: Any, view: Any) -> None:
    point = POINTS.format(HERE)
    a = view("sr_a", f"SELECT id, CAST(x AS GEOMETRY(ANY)) AS x FROM ({point})")
    b = view("sr_b", f"SELECT id, CAST(x AS GEOMETRY(ANY)) AS x FROM ({point.replace('4326', '3857')})")
    found = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert found.column_mismatches == {"x": 1}
