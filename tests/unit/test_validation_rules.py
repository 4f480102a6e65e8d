"""Parity: which pairs of types are compared, by which common form, and what SQL makes it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest

from tests.support.validation_warehouse import DESCRIBED, SPEC, Scripted, bucket, schema_of
from validation import (
    ComparisonSpec,
    ParityReport,
    SchemaAspect,
    SideState,
    Tolerance,
    Verdict,
    compare,
)
from validation.comparison import final_sql, type_rules
from validation.drilldown import details_sql, tolerance_applies
from validation.fingerprint import fingerprint_sql, read_scan
from validation.plan import Plan, make_plan
from validation.rules import RULES, CommonForm, common_form
from validation.schema import align, parse_type
from validation.verdict import judge
from validation.views import as_html, as_text

WARN_TYPES = replace(SPEC, deciding=frozenset({SchemaAspect.COLUMNS}))
SIMPLE = (
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(18,0)",
    "decimal(38,18)", "string", "varchar(5)", "char(5)", "binary", "date", "timestamp", "timestamp_ntz", "time(6)",
    "interval year to month", "interval day to second", "interval", "variant", "void",
)  # fmt: skip
COMPARED = {
    "tinyint int": "both as BIGINT",
    "int bigint": "both as BIGINT",
    "int decimal(10,2)": "both as DECIMAL(12,2)",
    "decimal(10,2) decimal(12,5)": "both as DECIMAL(13,5)",
    "decimal(38,0) decimal(38,18)": "both as decimal text",
    "float double": "both as DOUBLE",
    "int double": "both as DOUBLE, which holds every INT",
    "smallint float": "both as DOUBLE, which holds every INT",
    "bigint double": "exact, a whole DOUBLE as BIGINT",
    "bigint float": "exact, a whole FLOAT as BIGINT",
    "decimal(18,0) double": "exact, a whole DOUBLE as BIGINT",
    "decimal(19,0) double": "rounded, the DECIMAL to the nearest DOUBLE",
    "decimal(10,2) double": "rounded, the DECIMAL to the nearest DOUBLE",
    "decimal(10,2) float": "rounded, the DECIMAL to the nearest FLOAT",
    "date timestamp": "a DATE as its midnight in UTC",
    "date timestamp_ntz": "a DATE as its midnight",
    "timestamp timestamp_ntz": "TIMESTAMP_NTZ read as UTC",
    "string bigint": "exact, a text as the number that it writes",
    "char(5) decimal(10,2)": "exact, a text as the number that it writes",
    "varchar(5) double": "rounded, a text to the nearest DOUBLE of the number that it writes",
    "string boolean": "exact, the texts true and false in any case",
    "string date": "exact, a text as the day that it writes",
    "string timestamp": "exact, a text as the time that it writes, in UTC if it names no zone",
    "string timestamp_ntz": "exact, a text as the time that it writes",
    "string binary": "exact, a text by its UTF-8 bytes",
    "time(0) time(6)": "both as time(6)",
    "interval day interval day to second": "both as seconds",
    "interval year interval month": "both as months",
}


def _form(a: str, b: str) -> CommonForm | None:
    return common_form(parse_type(a), parse_type(b))


def _pair(text: str) -> tuple[str, str]:
    """Two types of which the second has no blank, or both are intervals."""
    if text.startswith("interval"):
        at = text.index(" interval")
        return text[:at], text[at + 1 :]
    a, _, b = text.partition(" ")
    return a, b


@pytest.mark.parametrize("pair", COMPARED)
def test_each_pair_has_its_rule_in_both_orders(pair: str) -> None:
    a, b = _pair(pair)
    for found in (_form(a, b), _form(b, a)):
        assert found is not None and found.rule == COMPARED[pair]
        assert found.rounds is found.rule.startswith("rounded")
    one, other = _form(a, b), _form(b, a)
    assert one is not None and other is not None
    assert (one.left("x"), one.right("x")) == (other.right("x"), other.left("x"))


def test_a_pair_of_types_has_one_rule_at_most() -> None:
    for one, other in combinations(RULES, 2):
        for a, b in ((one.first, one.second), (one.second, one.first)):
            shared = [(x, y) for x in a & other.first for y in b & other.second]
            assert not shared, shared


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("boolean", "int"), ("date", "int"), ("timestamp", "bigint"), ("timestamp", "double"), ("binary", "bigint"),
        ("string", "time(6)"), ("string", "interval day to second"), ("interval month", "interval day"),
        ("interval", "interval day to second"), ("boolean", "double"), ("date", "decimal(10,2)"), ("variant", "string"),
        ("void", "int"),
    ],
)  # fmt: skip
def test_other_pairs_have_none(a: str, b: str) -> None:
    assert _form(a, b) is None and _form(b, a) is None


def _plan(a: str, b: str, spec: ComparisonSpec = WARN_TYPES) -> Plan:
    one, other = schema_of(("id", "int"), ("x", a)), schema_of(("id", "int"), ("x", b))
    plan = make_plan(spec, align(spec, one, other))
    assert plan is not None
    return plan


@pytest.mark.parametrize("kind", [k for k in SIMPLE if _form("string", k) is not None])
def test_no_text_is_cast_in_a_way_that_fails_a_statement_or_trims_it(kind: str) -> None:
    found = _form("string", kind)
    assert found is not None
    text = found.left("x")
    assert " CAST(x AS " not in text.replace("try_cast", "TRY") and "trim(x" not in text
    if found.read:
        assert text.startswith("coalesce(concat('=', ") and text.endswith(", concat('?', x))")
        assert found.right("y").startswith("concat('=', "), "a text that was not read meets no value"


def test_every_statement_reads_unlike_types_by_the_common_form() -> None:
    scan = read_scan([{**bucket(na=9, nb=9, even=1, affected=18), "differing": "1"}])
    for a, b in combinations(SIMPLE, 2):
        found = _form(a, b)
        if found is None:
            continue
        plan = _plan(a, b)
        for sql in (fingerprint_sql(plan, 1024), details_sql(plan, scan, 1024), final_sql(plan)):
            assert found.left("t.`x`") in sql and found.right("t.`x`") in sql, (a, b)


def test_keys_of_unlike_types_are_hashed_by_the_common_form_unless_it_merges_keys() -> None:
    keyed = replace(WARN_TYPES, keys=("x",))
    for a, b in (("bigint", "double"), ("string", "int"), ("decimal(15,2)", "double"), ("decimal(6,2)", "float")):
        plan = _plan(a, b, keyed)
        assert [c.name for c in plan.keys] == ["x"]
        found = _form(a, b)
        assert found is not None and found.right("t.`x`") in plan.keyed(1)  # type: ignore[arg-type]
    for a, b in (
        ("decimal(16,2)", "double"),
        ("double", "decimal(38,0)"),
        ("decimal(7,2)", "float"),
        ("string", "float"),
    ):
        plan = _plan(a, b, keyed)
        assert not plan.columns and f"a key of {a} beside {b} would be compared rounded" in plan.not_compared["x"]


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "applies"),
    [
        ("decimal(10,2)", "double", Tolerance(0.1), True),
        ("bigint", "double", Tolerance(0.1), True),
        ("string", "decimal(10,2)", Tolerance(relative=0.1), True),
        ("decimal(38,0)", "decimal(38,18)", Tolerance(0.1), True),
        ("string", "timestamp", Tolerance(seconds=1), True),
        ("date", "timestamp", Tolerance(seconds=1), True),
        ("string", "timestamp", Tolerance(0.1), False),
        ("string", "boolean", Tolerance(0.1, seconds=1), False),
    ],
)
def test_tolerances_apply_across_types(a: str, b: str, tolerance: Tolerance, applies: bool) -> None:
    plan = _plan(a, b, replace(WARN_TYPES, tolerance=tolerance))
    assert tolerance_applies(plan, plan.values[0]) is applies
    assert type_rules(plan)["x"].method == ("tolerance" if applies else "exact")


def test_every_form_of_a_report_says_how_unlike_types_were_compared() -> None:
    described = [dict(row) for row in DESCRIBED]
    described[1]["data_type"] = "decimal(10,2)"
    other = [dict(row) for row in described]
    other[1]["data_type"] = "double"
    warehouse = Scripted(WITH=[bucket(na=1, nb=1)])
    sides = {"`a`": described, "`b`": other}
    answer = warehouse.execute
    warehouse.execute = lambda sql, *more: (  # type: ignore[method-assign]
        next(rows for name, rows in sides.items() if name in sql)
        if sql.startswith("DESCRIBE TABLE")
        else answer(sql, *more)
    )
    report = compare(warehouse, replace(WARN_TYPES, tolerance=Tolerance(0.01)))
    rule = "rounded, the DECIMAL to the nearest DOUBLE, within 0.01"
    assert report.verdict is Verdict.IDENTICAL and f"x: {rule}" in report.notes
    assert [d.note for d in report.schema_differences] == [f"values compared: {rule}"]
    assert f"decimal(10,2) | double (reported only); values compared: {rule}" in as_text(report)
    assert f"<td>values compared: {rule}</td>" in as_html(report)
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["compared_as"]["x"] == {
        "baseline": "decimal(10,2)",
        "candidate": "double",
        "method": "tolerance",
        "rule": "rounded, the DECIMAL to the nearest DOUBLE",
        "tolerance": "0.01",
    }
    assert ParityReport.from_dict(stored) == report


def test_what_is_equal_after_rounding_says_so() -> None:
    plan = _plan("decimal(10,2)", "double")
    alignment = align(
        WARN_TYPES, schema_of(("id", "int"), ("x", "decimal(10,2)")), schema_of(("id", "int"), ("x", "double"))
    )
    verdict, reason = judge(
        alignment, plan, read_scan([bucket(na=1, nb=1)]), None, (SideState("a"), SideState("b")), None
    )
    assert verdict is Verdict.IDENTICAL and reason.endswith("all equal in 2 columns; compared after rounding: x")


def test_rules_inside_nested_types_are_named() -> None:
    plan = _plan("array<decimal(10,2)>", "array<double>")
    assert plan.rounded == ("x",)
    assert str(type_rules(plan)["x"]) == "inside rounded, the DECIMAL to the nearest DOUBLE"
    keyed = _plan("struct<f:decimal(38,2)>", "struct<f:double>", replace(WARN_TYPES, keys=("x",)))
    assert not keyed.columns
