"""Parity: from what was read to verdict and causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.validation_warehouse import SPEC, bucket, details_of, schema_of
from validation import SchemaDifference, SideState, Verdict
from validation.causes import causes_of
from validation.drilldown import Details
from validation.fingerprint import read_scan
from validation.plan import make_plan
from validation.schema import align
from validation.verdict import judge
from validation.warehouse import Row

SCHEMA = schema_of(("id", "int"), ("x", "string"))


def _judge(scan_rows: Sequence[Row], details: Details | None = None, **options: Any) -> tuple[Verdict, str]:
    alignment = align(SPEC, SCHEMA, options.get("candidate", SCHEMA))
    plan = make_plan(SPEC, alignment)
    states = options.get("states", (SideState("a"), SideState("b")))
    return judge(alignment, plan, read_scan(scan_rows), details, states, options.get("final"))


def test_equal_scans_are_identical() -> None:
    assert _judge([bucket(na=3, nb=3)])[0] is Verdict.IDENTICAL


def test_a_side_that_changed_proves_nothing_even_if_rows_differ() -> None:
    moved = SideState("a", version_before="delta:1", version_after="delta:2")
    for details in (None, details_of(missing=1, balance=(0, 0, 0))):
        verdict, reason = _judge([bucket(na=3, nb=3)], details, states=(moved, SideState("b")))
        assert verdict is Verdict.NOT_PROVEN and "delta:1 before, delta:2 after" in reason
    pinned = replace(moved, pinned=True)
    assert _judge([bucket(na=3, nb=3)], states=(pinned, SideState("b")))[0] is Verdict.IDENTICAL


def test_a_second_read_that_does_not_fit_the_first_proves_nothing() -> None:
    scan = [bucket(na=3, nb=2, fewer=1, differing="5", a0=7)]
    scan[0]["differing"] = "5"
    assert _judge(scan, details_of(missing=1, balance=(1, 7, 0)))[0] is Verdict.DIFFERENT
    assert _judge(scan, details_of(missing=1, balance=(1, 8, 0)))[0] is Verdict.NOT_PROVEN
    assert _judge(scan, details_of(missing=2, balance=(2, 7, 0)))[0] is Verdict.NOT_PROVEN


def test_hashes_that_contradict_values_prove_nothing() -> None:
    assert _judge([bucket(na=1, nb=1)], details_of(unexplained_equal=1))[0] is Verdict.NOT_PROVEN
    assert _judge([bucket(na=1, nb=1)], final=False)[0] is Verdict.NOT_PROVEN


def test_two_empty_sides_say_so_first() -> None:
    verdict, reason = _judge([])
    assert verdict is Verdict.IDENTICAL and reason.startswith("both sides are empty (0 rows)")


@pytest.mark.parametrize("condition", [{"where": "id > 9"}, {"candidate_where": "id > 9"}])
def test_a_filter_that_no_row_satisfies_proves_nothing_unless_that_is_accepted(condition: dict[str, str]) -> None:
    schema = schema_of(("id", "int"), ("x", "string"))
    states = (SideState("a"), SideState("b"))

    def judged(rows: list[Any], **options: Any) -> tuple[Verdict, str]:
        spec = replace(SPEC, **condition, **options)
        alignment = align(spec, schema, schema)
        return judge(alignment, make_plan(spec, alignment), read_scan(rows), None, states, None)

    verdict, reason = judged([])
    assert verdict is Verdict.NOT_PROVEN and reason.startswith("no row of either side satisfies the filter")
    verdict, reason = judged([], allow_empty=True)
    assert verdict is Verdict.IDENTICAL and reason.startswith("both sides are empty (0 rows)")
    assert judged([bucket(na=1, nb=1)])[0] is Verdict.IDENTICAL


def test_where_something_may_be_hidden_neither_equality_nor_difference_is_proven() -> None:
    masked = (SideState("a"), SideState("b", hidden="row filter and column mask"))
    verdict, reason = _judge([bucket(na=1, nb=1)], states=masked)
    assert verdict is Verdict.NOT_PROVEN and "candidate b has a row filter and column mask" in reason
    scan, details = [{**bucket(na=1, nb=0, fewer=1), "differing": "5"}], details_of(missing=1, balance=(1, 0, 0))
    assert _judge(scan, details)[0] is Verdict.DIFFERENT
    verdict, reason = _judge(scan, details, states=masked)
    assert verdict is Verdict.NOT_PROVEN
    assert reason.startswith("1 missing rows among those that may be read, but the candidate b has a row filter")


def test_what_was_not_compared_is_not_called_equal() -> None:
    other = schema_of(("id", "int"), ("x", "interval day to second"))
    verdict, reason = _judge([bucket(na=1, nb=1)], candidate=other)
    assert verdict is Verdict.DIFFERENT
    assert reason.endswith("the rows are equal in the columns that were compared (not compared: x)")
    doubtful = _judge([{**bucket(na=1, nb=1), "doubt": 1}], candidate=schema_of(("id", "bigint"), ("x", "string")))
    assert "1 rows hold a VARIANT that cannot be compared exactly" in doubtful[1]


def test_values_in_doubt_prove_nothing() -> None:
    assert _judge([{**bucket(na=1, nb=1), "doubt": 1}])[0] is Verdict.NOT_PROVEN


def test_equal_rows_under_another_schema_are_different() -> None:
    verdict, reason = _judge([bucket(na=1, nb=1)], candidate=schema_of(("id", "bigint"), ("x", "string")))
    assert verdict is Verdict.DIFFERENT and "id (types)" in reason and "rows are equal" in reason


def test_a_column_without_an_exact_form_is_never_identical() -> None:
    schema = schema_of(("id", "int"), ("x", "sketch(12)"))
    alignment = align(SPEC, schema, schema)
    plan = make_plan(SPEC, alignment)
    states = (SideState("a"), SideState("b"))
    verdict, reason = judge(alignment, plan, read_scan([bucket(na=1, nb=1)]), None, states, None)
    assert verdict is Verdict.NOT_PROVEN and "x: sketch(12)" in reason


def test_causes_are_grouped_with_hints() -> None:
    details = details_of(
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
        reasons={"late/modified": 4, "excluded/missing": 3, "copies/extra": 2},
    )
    found = {c.name: c for c in causes_of(details, (SchemaDifference("types", "n", "int", "bigint", True),))}
    assert found["time_zone"].rows == 25 and found["time_zone"].columns == ("ts", "other_ts")
    assert found["time_zone"].title == "Times shifted by +4 h or +5 h"
    assert "+4 h or +5 h" in found["time_zone"].hint
    assert found["date_shift"].columns == ("d",) and "-1 day" in found["date_shift"].hint
    assert found["type"].columns == ("n",)
    assert found["timing"].rows == 4 and found["exclusion"].rows == 3
    assert found["duplicates_candidate"].rows == 2 and "extra_rows" not in found
    assert found["missing_rows"].rows == 7
    assert all(c.hint and c.title for c in found.values())


def test_no_row_is_explained_twice() -> None:
    details = details_of(
        missing=10, extra=5, reasons={"late/missing": 4, "excluded/missing": 2, "copies/missing": 1, "late/extra": 5}
    )
    assert {c.name: c.rows for c in causes_of(details, ())} == {
        "timing": 9,
        "exclusion": 2,
        "duplicates_baseline": 1,
        "missing_rows": 3,
    }


def test_a_late_row_has_its_other_reason_where_the_watermark_itself_is_shifted() -> None:
    details = details_of(
        missing=6,
        extra=9,
        modified=40,
        columns={"at": {"offset": 40}},
        offsets={"at": {7200: 40}},
        reasons={
            "late/modified": 4,
            "late+excluded/extra": 5,
            "late+copies/missing": 2,
            "late/extra": 3,
            "excluded/extra": 1,
        },
    )
    timed = {c.name: c.rows for c in causes_of(details, (), ("other",))}
    assert timed == {"timing": 14, "exclusion": 1, "missing_rows": 4, "time_zone": 40}
    shifted = {c.name: c.rows for c in causes_of(details, (), ("at",))}
    assert shifted == {"exclusion": 6, "duplicates_baseline": 2, "missing_rows": 4, "extra_rows": 3, "time_zone": 40}


def test_a_watermark_in_another_time_zone_makes_no_row_late() -> None:
    details = details_of(
        modified=9, columns={"at": {"offset": 9}}, offsets={"at": {7200: 9}}, reasons={"late/modified": 9}
    )
    assert {c.name for c in causes_of(details, (), ("AT",))} == {"time_zone"}
    assert {c.name for c in causes_of(details, (), ("other",))} == {"time_zone", "timing"}
    one = details_of(
        extra=500, modified=1, columns={"at": {"offset": 1}}, offsets={"at": {3600: 1}},
        reasons={"late/extra": 500, "late/modified": 1},
    )  # fmt: skip
    assert {c.name: c.rows for c in causes_of(one, (), ("at",))} == {"timing": 501, "time_zone": 1}
    next_day = details_of(
        modified=9, columns={"day": {"offset": 9}}, offsets={"day": {86400: 9}}, reasons={"late/modified": 9}
    )
    assert {c.name for c in causes_of(next_day, (), ("day",))} == {"timing", "date_shift"}


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
    details = details_of(
        modified=rows + values, columns={"ts": {"offset": rows, "value": values}}, offsets={"ts": offsets}
    )
    found = {c.name: c.rows for c in causes_of(details, ())}
    assert found.get("time_zone", 0) == zone and sum(found.values()) == rows + values
