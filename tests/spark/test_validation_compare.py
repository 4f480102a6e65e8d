"""Whole comparisons on Spark and Delta: what tables, views, permissions, tolerances, causes and privacy must lead to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.spark.validation_support import SCHEMA, SparkWarehouse, counts
from validation import (
    ComparisonSpec,
    ParityReport,
    RecheckState,
    SampleKind,
    SchemaAspect,
    SideUnreadable,
    SpecError,
    StatementError,
    Tolerance,
    Verdict,
    compare,
    estimate,
    recheck,
    reveal,
)
from validation.__main__ import main
from validation.drilldown import details_sql, read_details
from validation.fingerprint import fingerprint_sql, read_scan
from validation.plan import make_plan
from validation.row_reveal import Revealed
from validation.schema import align, read_schema


def causes(report: ParityReport) -> dict[str, int]:
    return {c.name: c.rows for c in report.causes}


ROWS = "SELECT CAST(id AS INT) AS id, concat('n', id) AS name FROM range(20)"


def test_equal_tables_are_identical_and_pinned_to_their_versions(warehouse: Any, table: Any) -> None:
    a, b = table("eq_a", ROWS), table("eq_b", ROWS + " ORDER BY id DESC")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), final=True))
    assert report.verdict is Verdict.IDENTICAL and counts(report) == (0, 0, 0)
    assert report.baseline.version_before and report.baseline.version_before.startswith("delta:")
    assert report.baseline.version_before == report.baseline.version_after
    assert report.baseline.last_write is not None
    assert report.final and report.missed_difference_probability == 0.0
    assert report.fingerprints["baseline"] == report.fingerprints["candidate"]
    without = compare(warehouse, ComparisonSpec(a, b))
    assert without.verdict is Verdict.IDENTICAL and without.missed_difference_probability == 2.0**-62


def test_comparing_writes_nothing(warehouse: Any, table: Any) -> None:
    a, b = table("w_a", ROWS), table("w_b", ROWS + " WHERE id <> 3")
    warehouse.statements.clear()
    compare(warehouse, ComparisonSpec(a, b, keys=("id",), final=True))
    assert {s.split()[0] for s in warehouse.statements} == {"DESCRIBE", "SHOW", "WITH"}
    assert not any("CACHE" in s for s in warehouse.statements)


def test_a_table_against_itself_is_identical_and_says_that_this_proves_little(warehouse: Any, table: Any) -> None:
    a = table("self_a", ROWS)
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",)))
    assert report.verdict is Verdict.IDENTICAL and any("itself" in n for n in report.notes)


def test_empty_tables(warehouse: Any, table: Any) -> None:
    empty, full = table("empty_a", ROWS + " WHERE false"), table("empty_b", ROWS)
    both = compare(warehouse, ComparisonSpec(empty, empty, keys=("id",)))
    assert both.verdict is Verdict.IDENTICAL and both.reason.startswith("both sides are empty (0 rows)")
    report = compare(warehouse, ComparisonSpec(empty, full, keys=("id",)))
    assert report.verdict is Verdict.DIFFERENT and counts(report) == (0, 20, 0)
    assert "the baseline is empty" in report.notes
    assert counts(compare(warehouse, ComparisonSpec(full, empty))) == (20, 0, 0)


def test_a_missing_table_is_not_proven(warehouse: Any, table: Any) -> None:
    report = compare(warehouse, ComparisonSpec(table("here", ROWS), f"{SCHEMA}.not_here", keys=("id",)))
    assert report.verdict is Verdict.NOT_PROVEN and "not_here" in report.reason and "\n" not in report.reason
    with pytest.raises(SideUnreadable):
        estimate(warehouse, ComparisonSpec(f"{SCHEMA}.not_here", f"{SCHEMA}.not_here"))


def test_a_view_is_compared_like_a_table(warehouse: Any, table: Any) -> None:
    a = table("v_a", ROWS)
    warehouse.spark.sql(f"CREATE OR REPLACE VIEW {SCHEMA}.v_view AS SELECT * FROM {a}")
    report = compare(warehouse, ComparisonSpec(a, f"{SCHEMA}.v_view", keys=("id",)))
    assert report.verdict is Verdict.IDENTICAL and report.candidate.table_type == "VIEW"


class Unversioned:
    """A warehouse that reads no version of a table, as some services do for some tables."""

    def __init__(self, warehouse: SparkWarehouse) -> None:
        self.warehouse = warehouse

    def execute(self, sql: str, *rest: Any) -> Any:
        if "VERSION AS OF" in sql:
            raise StatementError("[UNSUPPORTED_FEATURE.TIME_TRAVEL] not supported")
        return self.warehouse.execute(sql, *rest)


def test_a_write_while_reading_does_not_touch_the_versions_that_are_read(warehouse: Any, table: Any) -> None:
    a, b = table("c_a", ROWS), table("c_b", ROWS)

    def write() -> None:
        warehouse.spark.sql(f"INSERT INTO {b} VALUES (99, 'late')")

    warehouse.before["WITH spread"] = write
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), final=True))
    assert report.verdict is Verdict.IDENTICAL and report.candidate.pinned and report.final
    assert any("was written while it was compared" in n for n in report.notes)
    assert recheck(warehouse, report, read_again=False).state is RecheckState.STALE
    warehouse.before["WITH spread"] = write
    unpinned = compare(Unversioned(warehouse), ComparisonSpec(a, a.replace("c_a", "c_b"), keys=("id",)))
    assert unpinned.verdict is Verdict.NOT_PROVEN and "changed while it was read" in unpinned.reason
    assert b in unpinned.reason and not unpinned.candidate.pinned


def test_a_column_added_between_schema_and_version_is_compared(warehouse: Any, table: Any) -> None:
    a, b = table("ac_a", ROWS), table("ac_b", ROWS)
    warehouse.before["DESCRIBE HISTORY"] = lambda: warehouse.spark.sql(f"ALTER TABLE {a} ADD COLUMN late INT")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.verdict is Verdict.DIFFERENT and "late (columns)" in report.reason
    table("ac_a", ROWS)
    warehouse.before["DESCRIBE HISTORY"] = lambda: warehouse.spark.sql(f"ALTER TABLE {a} ADD COLUMN late INT")
    unpinned = compare(Unversioned(warehouse), ComparisonSpec(a, b, keys=("id",)))
    assert unpinned.verdict is Verdict.NOT_PROVEN and "other columns after" in unpinned.reason


def test_a_version_has_the_columns_of_its_time(warehouse: Any, table: Any) -> None:
    table("dc_a", "(id INT, a STRING, b STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    warehouse.spark.sql("INSERT INTO dc_a VALUES (1, 'x', 'y')")
    was = int(warehouse.spark.sql("DESCRIBE HISTORY dc_a LIMIT 1").collect()[0]["version"])
    warehouse.spark.sql("ALTER TABLE dc_a DROP COLUMN b")
    b = table("dc_b", "SELECT 1 AS id, 'x' AS a")
    today = compare(warehouse, ComparisonSpec(f"{SCHEMA}.dc_a", b, keys=("id",)))
    assert today.verdict is Verdict.IDENTICAL
    then = compare(warehouse, ComparisonSpec(f"{SCHEMA}.dc_a", b, keys=("id",), baseline_version=was))
    assert then.verdict is Verdict.DIFFERENT and "b (columns)" in then.reason
    gone = compare(warehouse, ComparisonSpec(f"{SCHEMA}.dc_a", b, keys=("id",), baseline_version=99))
    assert gone.verdict is Verdict.NOT_PROVEN and "version 99" in gone.reason


def test_a_view_that_changes_between_the_two_reads_is_not_proven(warehouse: Any, table: Any) -> None:
    a, b = table("cv_a", ROWS), table("cv_b", ROWS + " WHERE id <> 4")
    warehouse.spark.sql(f"CREATE OR REPLACE VIEW {SCHEMA}.cv_view AS SELECT * FROM {b}")
    warehouse.before["row_number()"] = lambda: warehouse.spark.sql(f"INSERT INTO {b} VALUES (4, 'other')")
    report = compare(warehouse, ComparisonSpec(a, f"{SCHEMA}.cv_view", keys=("id",)))
    assert report.verdict is Verdict.NOT_PROVEN and "between two reads" in report.reason


def test_a_pinned_version_is_read_whatever_is_written_since(warehouse: Any, table: Any) -> None:
    a, b = table("p_a", ROWS), table("p_b", ROWS)
    warehouse.spark.sql(f"INSERT INTO {b} VALUES (99, 'late')")
    now = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert counts(now) == (0, 1, 0)
    version = int(str(now.candidate.version_before).removeprefix("delta:"))
    then = compare(warehouse, ComparisonSpec(a, b, keys=("id",), candidate_version=version - 1))
    assert then.verdict is Verdict.IDENTICAL and then.candidate.pinned


def test_cancelling_stops_the_statement_and_is_not_proven(warehouse: Any, view: Any) -> None:
    sleeps = "reflect('java.lang.Thread', 'sleep', 20L) IS NULL OR id >= 0"
    slow = view("slow", f"SELECT id FROM range(0, 2000, 1, 1) WHERE {sleeps}")
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 12

    report = compare(warehouse, ComparisonSpec(slow, slow, keys=("id",)), cancelled=cancelled)
    assert report.verdict is Verdict.NOT_PROVEN and "cancelled" in report.reason
    assert report.seconds < 20, "2,000 rows would have taken 40 s for each side"


def test_multisets_with_and_without_a_key(warehouse: Any, view: Any) -> None:
    a = view("m_a", "SELECT * FROM VALUES (1,'x'),(1,'x'),(1,'x'),(2,'y'),(NULL,'z'),(NULL,'z'),(3,'q') AS t(id, v)")
    b = view("m_b", "SELECT * FROM VALUES (1,'x'),(2,'y'),(2,'w'),(NULL,'z'),(NULL,'other'),(4,'q') AS t(id, v)")
    keyed = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert counts(keyed) == (3, 2, 1)
    assert keyed.duplicate_rows == {"baseline": 3, "candidate": 2} and keyed.column_mismatches == {"v": 1}
    bare = compare(warehouse, ComparisonSpec(a, b))
    assert counts(bare) == (4, 3, 0) and bare.column_mismatches == {}
    assert causes(keyed)["duplicates_baseline"] == 2


def test_types_decide_though_rows_agree_and_can_be_set_to_warn(warehouse: Any, view: Any) -> None:
    a = view("t_a", "SELECT 1 AS id, CAST(1.50 AS DECIMAL(10,2)) AS d")
    b = view("t_b", "SELECT 1L AS id, CAST(1.5 AS DECIMAL(10,1)) AS d")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.verdict is Verdict.DIFFERENT and counts(report) == (0, 0, 0)
    assert {d.column for d in report.schema_differences if d.aspect == "types"} == {"id", "d"}
    lenient = ComparisonSpec(a, b, keys=("id",), deciding=frozenset({SchemaAspect.COLUMNS}))
    assert compare(warehouse, lenient).verdict is Verdict.IDENTICAL


def test_400_columns_are_compared_in_one_pass(warehouse: Any, table: Any) -> None:
    columns = ", ".join(f"concat('v', id, '_{i}') AS c{i}" for i in range(400))
    a = table("cols_a", f"SELECT id, {columns} FROM range(50)")
    b = table("cols_b", f"SELECT * EXCEPT (c399), IF(id = 7, 'x', c399) AS c399 FROM {a}")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.column_mismatches == {"c399": 1} and counts(report) == (0, 0, 1)


def test_columns_mapped_excluded_and_missing(warehouse: Any, view: Any) -> None:
    a = view("cm_a", "SELECT 1 AS id, 'x' AS old_name, current_timestamp() AS loaded_at, 1 AS only_a")
    b = view("cm_b", "SELECT 1 AS id, 'x' AS new_name, current_timestamp() + INTERVAL 1 HOUR AS loaded_at, 2 AS only_b")
    spec = ComparisonSpec(
        a,
        b,
        keys=("id",),
        column_mapping={"old_name": "new_name"},  # type: ignore[arg-type]
        excluded_columns=frozenset({"loaded_at", "only_a", "only_b"}),
    )
    assert compare(warehouse, spec).verdict is Verdict.IDENTICAL
    strict = compare(warehouse, replace(spec, excluded_columns=frozenset({"loaded_at"})))
    assert strict.verdict is Verdict.DIFFERENT and counts(strict) == (0, 0, 0)
    assert {d.column for d in strict.schema_differences} == {"only_a", "only_b"}


def test_columns_named_like_ours_do_no_harm(warehouse: Any, view: Any) -> None:
    a = view("ours_a", "SELECT 1 AS k1, 2 AS h1, 3 AS side, 4 AS t, 'x' AS r, 5 AS wm, 6 AS `a.b``c`, 7 AS code")
    b = view("ours_b", "SELECT 1 AS k1, 2 AS h1, 4 AS side, 4 AS t, 'y' AS r, 5 AS wm, 7 AS `a.b``c`, 7 AS code")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("k1", "t")))
    assert report.column_mismatches == {"side": 1, "r": 1, "a.b`c": 1}


def test_a_key_column_that_one_side_lacks(warehouse: Any, view: Any) -> None:
    a, b = view("kl_a", "SELECT 1 AS id, 2 AS x"), view("kl_b", "SELECT 2 AS x")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.verdict is Verdict.DIFFERENT and report.missing_rows is None
    with pytest.raises(SpecError):
        compare(warehouse, ComparisonSpec(a, b, keys=("nope",)))


def test_a_filter_narrows_both_sides(warehouse: Any, table: Any) -> None:
    a, b = table("f_a", ROWS), table("f_b", ROWS + " WHERE id < 18")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), where="id < 10"))
    assert report.verdict is Verdict.IDENTICAL and report.baseline_rows == 10
    other = compare(warehouse, ComparisonSpec(a, b, keys=("id",), where="id < 10", candidate_where="id < 9"))
    assert counts(other) == (1, 0, 0)
    bad = compare(warehouse, ComparisonSpec(a, b, keys=("id",), where="no_such_column = 1"))
    assert bad.verdict is Verdict.NOT_PROVEN and "no_such_column" in bad.reason


NUMBERS = "SELECT * FROM VALUES (1, {0}, {1}, {2}), (2, 5.0D, 7L, TIMESTAMP'2026-01-01 00:00:00') AS t(id, x, n, at)"


def test_tolerances_settle_what_the_exact_comparison_found(warehouse: Any, view: Any) -> None:
    a = view("tol_a", NUMBERS.format("100.0D", "10L", "TIMESTAMP'2026-01-01 00:00:00'"))
    b = view("tol_b", NUMBERS.format("100.4D", "11L", "TIMESTAMP'2026-01-01 00:00:02.5'"))
    spec = ComparisonSpec(a, b, keys=("id",))
    assert compare(warehouse, spec).column_mismatches == {"x": 1, "n": 1, "at": 1}
    loose = compare(warehouse, replace(spec, tolerance=Tolerance(absolute=1.0, seconds=3.0)))
    assert loose.verdict is Verdict.IDENTICAL and loose.within_tolerance_rows == 1 and counts(loose) == (0, 0, 0)
    relative = compare(warehouse, replace(spec, tolerance=Tolerance(relative=0.005, seconds=3.0)))
    assert relative.verdict is Verdict.DIFFERENT and relative.column_mismatches == {"n": 1}
    named = compare(warehouse, replace(spec, column_tolerances={"X": Tolerance(absolute=1.0)}))
    assert named.column_mismatches == {"n": 1, "at": 1}
    each = {"x": Tolerance(relative=0.005), "n": Tolerance(absolute=0.5), "at": Tolerance(seconds=3.0)}
    assert compare(warehouse, replace(spec, column_tolerances=each)).column_mismatches == {"n": 1}


def test_rows_of_a_repeated_key_meet_where_all_but_the_tolerated_is_equal(warehouse: Any, view: Any) -> None:
    a = view("tk_a", "SELECT * FROM VALUES (1, 'x', 1.0D), (1, 'y', 5.0D) AS t(id, name, n)")
    b = view("tk_b", "SELECT * FROM VALUES (1, 'y', 5.05D), (1, 'z', 1.0D) AS t(id, name, n)")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), tolerance=Tolerance(absolute=0.1)))
    assert counts(report) == (0, 0, 1) and report.within_tolerance_rows == 1
    assert report.column_mismatches == {"name": 1}


def test_the_distance_of_two_floats_is_not_rounded_to_a_float(warehouse: Any, view: Any) -> None:
    a, b = (view(f"fl_{n}", f"SELECT 1 AS id, float('{x}') AS n") for n, x in (("a", "16777216"), ("b", "0.5")))
    spec = ComparisonSpec(a, b, keys=("id",), tolerance=Tolerance(absolute=16777215.6))
    assert compare(warehouse, spec).verdict is Verdict.IDENTICAL
    assert compare(warehouse, replace(spec, tolerance=Tolerance(absolute=16777215.4))).verdict is Verdict.DIFFERENT


def test_a_watermark_in_another_time_zone_explains_nothing_by_time(warehouse: Any, view: Any) -> None:
    rows = ", ".join(f"({i}, TIMESTAMP'2026-01-01 10:{i:02}:00')" for i in range(9))
    a = view("wz_a", f"SELECT * FROM VALUES {rows} AS t(id, at)")
    b = view("wz_b", f"SELECT id, at + INTERVAL 2 HOURS AS at FROM {a}")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), watermark_columns=("at",)))
    assert causes(report) == {"time_zone": 9} and report.label == "DIFFERENT"


def test_a_tolerance_does_not_reach_infinity_or_null(warehouse: Any, view: Any) -> None:
    a = view("inf_a", "SELECT * FROM VALUES (1, double('Infinity')), (2, NULL), (3, double('NaN')) AS t(id, x)")
    b = view("inf_b", "SELECT * FROM VALUES (1, 5.0D), (2, 0.0D), (3, double('NaN')) AS t(id, x)")
    spec = ComparisonSpec(a, b, keys=("id",), tolerance=Tolerance(absolute=1e300, relative=10.0))
    assert compare(warehouse, spec).column_mismatches == {"x": 2}


def test_a_threshold_is_told_and_changes_no_verdict(warehouse: Any, table: Any) -> None:
    a, b = table("th_a", ROWS), table("th_b", ROWS + " WHERE id <> 1")
    for rows, within in ((0, False), (1, True)):
        report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), row_threshold=rows))
        assert report.verdict is Verdict.DIFFERENT and report.within_threshold is within


def test_rows_later_than_the_other_side_are_timing(warehouse: Any, view: Any) -> None:
    rows = "SELECT id, TIMESTAMP'2026-01-01 00:00:00' + make_dt_interval(0, id) AS at, {} AS v FROM range({})"
    a, b = view("tm_a", rows.format("'x'", 10)), view("tm_b", rows.format("IF(id > 9, 'new', 'x')", 13))
    spec = ComparisonSpec(a, b, keys=("id",), watermark_columns=("at",))
    report = compare(warehouse, spec)
    assert report.verdict is Verdict.DIFFERENT and report.explained_by_time
    assert report.label == "DIFFERENT, all explained by time" and causes(report)["timing"] == 3
    assert report.baseline.watermark == "2026-01-01T09:00:00+00:00"
    mixed = compare(warehouse, replace(spec, baseline=view("tm_c", rows.format("IF(id = 3, 'y', 'x')", 10))))
    assert not mixed.explained_by_time and causes(mixed)["timing"] == 3 and counts(mixed) == (0, 3, 1)


def test_of_a_shifted_watermark_rows_are_excluded_and_not_late(warehouse: Any, view: Any) -> None:
    rows = """SELECT id, TIMESTAMP'2026-01-01 00:00:00' + make_dt_interval(0, id + {}) AS at,
      IF(id > 9, 'demo', 'x') AS v FROM range({})"""
    a, b = view("sw_a", rows.format(0, 10)), view("sw_b", rows.format(2, 13))
    spec = ComparisonSpec(a, b, keys=("id",), watermark_columns=("at",), candidate_exclusion="v = 'demo'")
    report = compare(warehouse, spec)
    assert counts(report) == (0, 3, 10) and causes(report) == {"exclusion": 3, "time_zone": 10}
    without = compare(warehouse, replace(spec, candidate_exclusion=None))
    assert causes(without) == {"extra_rows": 3, "time_zone": 10}


def test_a_row_is_as_late_as_the_latest_of_its_watermarks(warehouse: Any, view: Any) -> None:
    """Row 2 was begun early and changed late, row 3 has no time of a change: both sides differ by the later read only."""
    body = """SELECT id, TIMESTAMP'2026-01-01 00:00:00' + make_dt_interval(id) AS begun,
      IF(id = 3, NULL, TIMESTAMP'2026-01-01 06:00:00' + make_dt_interval(id + IF(id = 2, {late}, 0))) AS changed,
      IF(id = 2, {late}, 0) AS v FROM range(9)"""
    a, b = view("tw_a", body.format(late=0)), view("tw_b", body.format(late=20))
    spec = ComparisonSpec(a, b, keys=("id",), watermark_columns=("begun", "changed"))
    report = compare(warehouse, spec)
    assert counts(report) == (0, 0, 1) and report.explained_by_time
    assert report.baseline.watermark == "2026-01-09T06:00:00+00:00"
    assert report.candidate.watermark == "2026-01-23T06:00:00+00:00"
    assert not compare(warehouse, replace(spec, watermark_columns=("begun",))).explained_by_time
    unlike = compare(warehouse, replace(spec, watermark_columns=("begun", "v")))
    assert not unlike.explained_by_time and any("no watermark by begun, v" in n for n in unlike.notes)


def test_causes_of_values(warehouse: Any, view: Any) -> None:
    a = view(
        "ca_a",
        "SELECT * FROM VALUES (1, 'Abc', '', ' x', 1.005D, TIMESTAMP'2026-03-01 12:00:00.123456', 'p'),"
        " (2, NULL, 'k', 'k', 2.0D, TIMESTAMP'2026-08-01 12:00:00', 'p') AS t(id, c, e, s, r, at, o)",
    )
    b = view(
        "ca_b",
        "SELECT * FROM VALUES (1, 'aBC', NULL, 'x', 1.01D, TIMESTAMP'2026-03-01 07:00:00.123456', 'q'),"
        " (2, 'v', 'k', 'k', 2.0D, TIMESTAMP'2026-08-01 08:00:00', 'p') AS t(id, c, e, s, r, at, o)",
    )
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert causes(report) == {
        "time_zone": 2,
        "case": 1,
        "null_baseline": 1,
        "null_or_empty": 1,
        "space": 1,
        "rounding": 1,
        "value": 1,
    }
    zone = next(c for c in report.causes if c.name == "time_zone")
    assert zone.title == "Times shifted by -5 h or -4 h" and zone.columns == ("at",)
    at = next(c for s in report.samples for c in s.cells if c.column == "at")
    assert at.difference == "offset"


def test_offsets_that_vary_are_no_time_zone(warehouse: Any, view: Any) -> None:
    a = view("tz_a", "SELECT id, TIMESTAMP'2026-03-01 12:00:00' AS at, DATE'2026-03-01' AS d FROM range(40)")
    b = view(
        "tz_b",
        "SELECT id, at + make_dt_interval(0, 0, 15 * CAST(id AS INT) + 15) AS at, date_add(d, IF(id < 39, 1, 5)) AS d"
        " FROM tz_a",
    )
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert causes(report) == {"value": 41, "date_shift": 39}


def test_rounding_is_at_most_half_a_unit_of_what_is_shown(warehouse: Any, view: Any) -> None:
    pairs = [
        ("1.005", "1.01", True),
        ("100.4", "100", True),
        ("33.333333", "33.33", True),
        ("10000000.00", "10000009.00", False),
        ("1.00", "2.00", False),
        ("0.3", "0", False),
        ("0.004", "0", True),
        ("5.61", "5.62", False),
    ]
    for kind in ("DOUBLE", "DECIMAL(20,6)"):
        sides = [
            view(
                f"rd_{n}",
                "SELECT * FROM VALUES "
                + ", ".join(f"({i}, CAST('{p[j]}' AS {kind}))" for i, p in enumerate(pairs))
                + " AS t(id, x)",
            )
            for j, n in enumerate("ab")
        ]
        found = compare(warehouse, ComparisonSpec(*sides, keys=("id",)))
        kinds = {s.key["id"]: s.cells[0].difference for s in found.samples}
        assert kinds == {str(i): "rounding" if p[2] else "value" for i, p in enumerate(pairs)}, kind
    a = view("rf_a", "SELECT * FROM VALUES (1, double('Infinity')), (2, double('NaN')), (3, 0.1D + 0.2D) AS t(id, x)")
    b = view("rf_b", "SELECT * FROM VALUES (1, 1.0D), (2, 1.0D), (3, 0.3D) AS t(id, x)")
    found = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert [s.cells[0].difference for s in found.samples] == ["value", "value", "rounding"]


def test_a_tolerance_of_decimals_is_exact_to_the_last_digit(warehouse: Any, view: Any) -> None:
    cases = [
        ("0.0000000001", "0.0000000002", Tolerance(relative=0.01), False),
        ("0.0000000014", "0.0000000000", Tolerance(absolute=1.2e-9), False),
        ("0.0000000014", "0.0000000000", Tolerance(absolute=1.4e-9), True),
        (
            "1234567890123456789012345678.0000000001",
            "1234567890123456789012345678.0000000002",
            Tolerance(absolute=1e-10),
            False,
        ),
        ("9999999999999999999999999999.1", "9999999999999999999999999999.2", Tolerance(absolute=0.11), True),
        ("12345678901234567890.00", "12345678901234567890.01", Tolerance(absolute=0.01), True),
        ("0", "9999999999999999999999999999.9999999999", Tolerance(absolute=1.0), False),
    ]
    for x, y, tolerance, tolerated in cases:
        a, b = (view(f"dt_{n}", f"SELECT 1 AS id, CAST('{v}' AS DECIMAL(38,10)) AS x") for n, v in (("a", x), ("b", y)))
        report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), tolerance=tolerance))
        assert (report.verdict is Verdict.IDENTICAL) is tolerated, (x, y, tolerance)


def test_rows_of_a_key_meet_by_what_must_be_equal(warehouse: Any, view: Any) -> None:
    a = view("pt_a", "SELECT * FROM VALUES (1, 1.000D, 'b'), (1, 1.001D, 'a') AS t(id, x, v)")
    b = view("pt_b", "SELECT * FROM VALUES (1, 1.000D, 'a'), (1, 1.001D, 'b') AS t(id, x, v)")
    for options in ({"tolerance": Tolerance(absolute=0.01)}, {"column_tolerances": {"x": Tolerance(absolute=0.01)}}):
        report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), final=True, **options))  # type: ignore[arg-type]
        assert report.verdict is Verdict.IDENTICAL and report.within_tolerance_rows == 2
        assert not report.final and any("deterministic comparison did not run" in n for n in report.notes)


def test_a_view_is_compared_value_by_value_in_one_state(warehouse: Any, table: Any) -> None:
    a, b = table("fv_a", ROWS), table("fv_b", ROWS)
    for name in "ab":
        warehouse.spark.sql(f"CREATE OR REPLACE VIEW {SCHEMA}.fv_{name}_view AS SELECT * FROM {SCHEMA}.fv_{name}")

    def both() -> None:
        for side in (a, b):
            warehouse.spark.sql(f"INSERT INTO {side} VALUES (99, 'late')")

    spec = ComparisonSpec(f"{SCHEMA}.fv_a_view", f"{SCHEMA}.fv_b_view", keys=("id",), final=True)
    assert compare(warehouse, spec).final
    warehouse.before["SELECT coalesce(sum(na)"] = lambda: warehouse.spark.sql(f"INSERT INTO {b} VALUES (99, 'late')")
    assert compare(warehouse, spec).verdict is Verdict.NOT_PROVEN
    table("fv_b", ROWS)
    warehouse.before["SELECT coalesce(sum(na)"] = both
    moved = compare(warehouse, spec)
    assert moved.verdict is Verdict.NOT_PROVEN and "between two reads" in moved.reason


def test_rows_that_an_exclusion_rule_explains(warehouse: Any, view: Any) -> None:
    a = view("ex_a", "SELECT * FROM VALUES (1, 'Test Property'), (2, 'Real') AS t(id, name)")
    b = view("ex_b", "SELECT * FROM VALUES (2, 'Real') AS t(id, name)")
    spec = ComparisonSpec(a, b, keys=("id",), baseline_exclusion="name RLIKE '(?i)test'")
    assert causes(compare(warehouse, spec)) == {"exclusion": 1}, "a row is explained once"
    kept = [view(f"ex_{n}", f"SELECT 1 AS id, 'Test Property' AS name, '{n}' AS v") for n in ("c", "d")]
    both = ComparisonSpec(
        *kept, keys=("id",), baseline_exclusion="name LIKE 'Test%'", candidate_exclusion="name LIKE 'Test%'"
    )
    assert "exclusion" not in causes(compare(warehouse, both))


def test_sensitive_values_never_leave_in_clear(warehouse: Any, view: Any) -> None:
    a = view(
        "se_a",
        "SELECT * FROM VALUES ('k1@x.org', 'secret-one', 1), ('k3@x.org', 'secret-three', 1) AS t(mail, note, n)",
    )
    b = view("se_b", "SELECT * FROM VALUES ('k1@x.org', 'SECRET-ONE', 2) AS t(mail, note, n)")
    spec = ComparisonSpec(a, b, keys=("mail",), sensitive_columns=frozenset({"mail", "note"}))
    seen: list[Any] = []
    execute = warehouse.execute
    spy = type("Spy", (), {"execute": lambda self, *x: seen.append(execute(*x)) or seen[-1]})()
    report = compare(spy, spec)
    received = json.dumps(seen, default=str).lower() + json.dumps(report.to_dict()).lower()
    assert "secret-" not in received and "x.org" not in received
    modified = next(s for s in report.samples if s.kind is SampleKind.MODIFIED)
    note, n = modified.cells
    assert note.masked and note.baseline != note.candidate and note.difference == "case"
    assert (n.baseline, n.candidate, n.masked) == ("1", "2", False)
    again = compare(warehouse, spec)
    assert {c.baseline for s in again.samples for c in s.cells if c.masked}.isdisjoint(
        {c.baseline for s in report.samples for c in s.cells if c.masked} - {None}
    ), "each comparison draws its own key"


def test_hashes_of_long_sensitive_values_cover_all_of_them(warehouse: Any, view: Any) -> None:
    body = "SELECT 1 AS id, concat(repeat('x', 600), '{0}') AS s, CAST(concat(repeat('y', 600), '{0}') AS BINARY) AS y"
    a, b = view("lo_a", body.format(1)), view("lo_b", body.format(2))
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), sensitive_columns=frozenset({"s", "y"})))
    (sample,) = report.samples
    assert len(sample.cells) == 2 and all(c.masked and c.baseline != c.candidate for c in sample.cells)


def test_a_refused_cast_tells_no_sensitive_value(warehouse: Any, view: Any) -> None:
    a = view("rc_a", "SELECT 1 AS id, '555-0101' AS phone")
    spec = ComparisonSpec(a, a, keys=("id",), where="CAST(phone AS BIGINT) > 0")
    assert "555-0101" in compare(warehouse, spec).reason
    report = compare(warehouse, replace(spec, sensitive_columns=frozenset({"phone"})))
    assert report.verdict is Verdict.NOT_PROVEN and "CAST_INVALID_INPUT" in report.reason
    assert "555-0101" not in json.dumps(report.to_dict())


def test_a_raw_string_in_a_filter_is_what_spark_takes_it_for(warehouse: Any, view: Any) -> None:
    a = view("rs_a", r"SELECT 1 AS id, r'\' AS v UNION ALL SELECT 2, 'x'")
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",), where=r"v = r'\'"))
    assert report.verdict is Verdict.IDENTICAL and report.baseline_rows == 1


def test_a_time_beyond_the_years_of_python_is_a_watermark_too(warehouse: Any, view: Any) -> None:
    a = view("wm_a", "SELECT 1 AS id, timestamp_micros(400000000000000000) AS at")
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",), watermark_columns=("at",)))
    assert report.verdict is Verdict.IDENTICAL
    assert report.baseline.watermark == "400000000000000000 microseconds since 1970-01-01"


def test_watermarks_of_equal_sides_are_kept(warehouse: Any, table: Any) -> None:
    a = table("we_a", ROWS)
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",), watermark_columns=("id",)))
    assert (report.baseline.watermark, report.candidate.watermark) == ("19", "19")


def test_samples_stand_key_by_key_and_are_bounded(warehouse: Any, table: Any) -> None:
    a = table("sa_a", "SELECT id, 'v' || id AS v, id AS w FROM range(5000)")
    b = table("sa_b", f"SELECT id, IF(id % 2 = 0, 'x', v) AS v, IF(id = 4998, -1, w) AS w FROM {a} WHERE id % 10 <> 5")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",), sample_size=7))
    assert counts(report) == (500, 0, 2500) and report.column_mismatches == {"v": 2500, "w": 1}
    assert sum(s.kind is SampleKind.MISSING for s in report.samples) == 7
    modified = [s for s in report.samples if s.kind is SampleKind.MODIFIED]
    assert len(modified) == 7
    for s in modified:
        cell = next(c for c in s.cells if c.column == "v")
        assert (cell.baseline, cell.candidate) == (f"v{s.key['id']}", "x")
    assert compare(warehouse, ComparisonSpec(a, b, keys=("id",), sample_size=0)).samples == ()


def test_samples_that_come_back_are_few_even_if_every_row_differs(warehouse: Any, table: Any) -> None:
    a = table("fe_a", "SELECT id, id AS v FROM range(20000)")
    every = table("fe_b", "SELECT IF(id < 20000, id, -id) AS id, -id AS v FROM range(22000)")
    moved = table(
        "fe_c",
        "SELECT IF(id % 100 = 3, -id, id) AS id, id AS v FROM (SELECT id FROM range(20000) "
        "UNION ALL SELECT id + 20000 FROM range(8000))",
    )
    for b, spread in ((every, (0, 2000, 19999)), (moved, (200, 8200, 0))):
        spec = ComparisonSpec(a, b, keys=("id",), sample_size=10)
        plan = make_plan(spec, align(spec, read_schema(warehouse, a), read_schema(warehouse, b)))
        assert plan is not None
        scan = read_scan(warehouse.execute(fingerprint_sql(plan, 256)))
        rows = warehouse.execute(details_sql(plan, scan, 256))
        brought = sum(len(json.loads(row["samples"] or "[]")) for row in rows)
        assert 30 <= brought <= 2000, brought
        details = read_details(plan, rows)
        assert (details.missing, details.extra, details.modified) == spread
        assert {s.kind for s in details.samples} == {k for k, n in zip(SampleKind, spread, strict=True) if n}


def test_of_long_texts_a_sample_shows_where_they_differ(warehouse: Any, view: Any) -> None:
    body = (
        "SELECT 1 AS id, concat(repeat('x', 700), '{0}', repeat('y', {1})) AS s, array(repeat('z', 5000), '{0}') AS l"
    )
    a, b = view("lt_a", body.format("old", 900)), view("lt_b", body.format("new", 900))
    (sample,) = compare(warehouse, ComparisonSpec(a, b, keys=("id",))).samples
    text, listed = sample.cells
    assert text.baseline is not None and text.candidate is not None
    assert (
        "xoldy" in text.baseline and "xnewy" in text.candidate and max(map(len, (text.baseline, text.candidate))) <= 502
    )
    assert text.baseline.startswith("…") and text.baseline.endswith("…")
    assert listed.baseline == listed.candidate and str(listed.baseline).endswith("…"), "beyond what is read of a value"


def test_one_heavy_key_is_settled_and_sampled(warehouse: Any, table: Any) -> None:
    a = table("hk_a", "SELECT CAST(NULL AS INT) AS id, id % 100 AS v FROM range(5000)")
    b = table("hk_b", "SELECT CAST(NULL AS INT) AS id, IF(id = 50, 1000, id % 100) AS v FROM range(5003)")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert counts(report) == (0, 3, 1) and report.duplicate_rows == {"baseline": 4999, "candidate": 5002}
    assert len(report.samples) == 4


def test_reports_recheck(warehouse: Any, table: Any) -> None:
    a, b = table("re_a", ROWS), table("re_b", ROWS)
    report = ParityReport.from_dict(
        json.loads(json.dumps(compare(warehouse, ComparisonSpec(a, b, keys=("id",))).to_dict()))
    )
    assert recheck(warehouse, report).state is RecheckState.HOLDS
    warehouse.spark.sql(f"INSERT INTO {b} VALUES (50, 'x')")
    assert recheck(warehouse, report, read_again=False).state is RecheckState.STALE
    changed = recheck(warehouse, report)
    assert changed.state is RecheckState.CHANGED and "candidate" in changed.reason
    warehouse.spark.sql(f"DELETE FROM {b} WHERE id = 50")
    assert recheck(warehouse, report).state is RecheckState.HOLDS
    warehouse.spark.sql(f"ALTER TABLE {b} ADD COLUMN extra INT")
    assert recheck(warehouse, report).state is RecheckState.CHANGED
    warehouse.spark.sql(f"DROP TABLE {b}")
    assert recheck(warehouse, report).state is RecheckState.STALE


def test_an_estimate_needs_no_scan(warehouse: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = table("es_a", ROWS), table("es_b", ROWS)
    found = estimate(warehouse, ComparisonSpec(a, b))
    assert found.rows == 40 and found.bytes and found.bytes > 0
    assert main([a, b, "--estimate"], warehouse) == 0
    assert f"{a}: 20 rows, {found.baseline.bytes:,} bytes" in capsys.readouterr().out
    assert main([a, "not_here", "--estimate"], warehouse) == 3


def test_comments_are_reported_and_do_not_decide(warehouse: Any, table: Any) -> None:
    table("nn_a", "(id INT NOT NULL COMMENT 'the key', v STRING)")
    table("nn_b", "(id INT, v STRING)")
    report = compare(warehouse, ComparisonSpec("nn_a", "nn_b", keys=("id",)))
    assert report.verdict is Verdict.IDENTICAL
    assert {(d.aspect, d.column, d.decides) for d in report.schema_differences} == {
        ("comments", "id", False),
    }


def test_the_command_line_end_to_end(warehouse: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = table("cli_a", ROWS), table("cli_b", ROWS + " WHERE id > 1")
    assert main([a, b, "--key", "id", "--json"], warehouse) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["missing_rows"], found["baseline_rows"]) == ("different", 2, 20)
    assert main([a, b, "--key", "id", "--where", "id > 1", "--final"], warehouse) == 0
    assert "every value" in capsys.readouterr().out
    assert main([a, f"{SCHEMA}.gone"], warehouse) == 3


def test_the_sql_of_a_statement_that_fails_midway_is_not_proven(warehouse: Any, view: Any) -> None:
    a = view("bad_a", "SELECT id, IF(id = 900, raise_error('broken row'), 'x') AS v FROM range(1000)")
    report = compare(warehouse, ComparisonSpec(a, a, keys=("id",)))
    assert report.verdict is Verdict.NOT_PROVEN and "broken row" in report.reason


def test_a_sampled_row_can_be_revealed_with_the_key_of_its_comparison(warehouse: Any, view: Any) -> None:
    a = view("rv_a", "SELECT * FROM VALUES ('k1@x.org', 'one'), (NULL, 'two') AS t(mail, note)")
    b = view("rv_b", "SELECT * FROM VALUES ('k1@x.org', 'eins'), (NULL, 'two') AS t(mail, note)")
    spec = ComparisonSpec(a, b, keys=("mail",), sensitive_columns=frozenset({"mail", "note"}), hash_key="kept")
    (sample,) = compare(warehouse, spec).samples
    assert reveal(warehouse, spec, sample) == {
        "baseline": Revealed({"mail": "k1@x.org", "note": "one"}, 1, True),
        "candidate": Revealed({"mail": "k1@x.org", "note": "eins"}, 1, True),
    }
    none = Revealed(None, 0, False)
    assert reveal(warehouse, replace(spec, hash_key="other"), sample) == {"baseline": none, "candidate": none}
    with pytest.raises(SpecError, match="hash key was not kept"):
        reveal(warehouse, replace(spec, hash_key=""), sample)
    with pytest.raises(SpecError, match="locates no row"):
        reveal(warehouse, spec, replace(sample, locator="1' OR 1=1"))


def test_of_a_repeated_key_the_sampled_pair_is_revealed_and_no_other(warehouse: Any, view: Any) -> None:
    """Whatever types it has: a sample names its rows by their hashes."""
    columns = (
        "CAST(NULL AS STRING) AS mail, concat('{0}', id) AS note, CAST(id AS DECIMAL(9, 2)) AS pay, id / 3 AS share, "
        "array(concat('{0}', id), NULL) AS tags, named_struct('n', id) AS nested, CAST('{0}' AS BINARY) AS raw, "
        "timestamp_micros(id) AS at, IF(id % 2 = 0, NULL, 'odd') AS odd, repeat('{0}', 600) AS long"
    )
    a = view("rp_a", f"SELECT {columns.format('a')}, CAST(id AS INT) AS wide FROM range(12)")
    b = view("rp_b", f"SELECT {columns.format('b')}, CAST(id AS INT) AS wide FROM range(9)")
    plain = ComparisonSpec(a, b, keys=("mail",), hash_key="kept", sample_size=30)
    secret = frozenset({"mail", "note", "tags", "raw", "pay", "nested", "at", "odd"})
    for spec in (plain, replace(plain, sensitive_columns=secret)):
        samples = compare(warehouse, spec).samples
        kinds = [s.kind for s in samples]
        assert (kinds.count(SampleKind.MODIFIED), kinds.count(SampleKind.MISSING)) == (9, 3)
        shown = [reveal(warehouse, spec, s) for s in samples if s.kind is SampleKind.MISSING or s is samples[-1]]
        for side, same_key in (("baseline", 12), ("candidate", 9)):
            assert {f[side].same_key for f in shown} == {same_key}
        assert all(f["baseline"].exact for f in shown), "as it was sampled, so another one for each sample"
        missing = [f for f in shown if f["candidate"].row is None]
        assert len({str(f["baseline"].row) for f in missing}) == len(missing) == 3
        assert all(f["candidate"].exact for f in shown if f["candidate"].row is not None)
        gone = replace(samples[0], rows=("no such row", None))
        other = reveal(warehouse, spec, gone)["baseline"]
        assert not other.exact and other.row is not None and other == reveal(warehouse, spec, gone)["baseline"]


def test_a_filter_that_no_row_satisfies_is_not_proven(warehouse: Any, table: Any) -> None:
    a, empty = table("nf_a", ROWS), table("nf_b", ROWS + " WHERE false")
    spec = ComparisonSpec(a, a, keys=("id",), where="id > 1000")
    report = compare(warehouse, spec)
    assert report.verdict is Verdict.NOT_PROVEN and report.reason.startswith("no row of either side satisfies")
    assert "both sides are empty under this filter" in report.notes
    assert compare(warehouse, replace(spec, allow_empty=True)).verdict is Verdict.IDENTICAL
    assert compare(warehouse, replace(spec, candidate_where="id > 3")).verdict is Verdict.DIFFERENT
    only_candidate = ComparisonSpec(empty, a, keys=("id",), candidate_where="id > 1000")
    assert compare(warehouse, only_candidate).verdict is Verdict.NOT_PROVEN
    assert main([a, a, "--where", "id > 1000", "--quiet"], warehouse) == 3
    assert main([a, a, "--where", "id > 1000", "--allow-empty", "--quiet"], warehouse) == 0


def test_of_a_side_that_was_not_reached_nothing_is_claimed(warehouse: Any, table: Any) -> None:
    a = table("reach_a", ROWS)
    for names in ((a, f"{SCHEMA}.nowhere"), (f"{SCHEMA}.nowhere", a)):
        report = compare(warehouse, ComparisonSpec(*names, keys=("id",)))
        assert report.verdict is Verdict.NOT_PROVEN and "nowhere" in report.reason and report.notes == ()


FAR = "timestamp_micros(IF(id = {0}, -9223372036854775808, 9223372036854775807))"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (FAR.format(0), FAR.format(1)),
        (f"CAST({FAR.format(0)} AS TIMESTAMP_NTZ)", f"CAST({FAR.format(1)} AS TIMESTAMP_NTZ)"),
        (FAR.format(0), f"CAST({FAR.format(1)} AS TIMESTAMP_NTZ)"),
        ("date_from_unix_date(-2147483648)", "date_from_unix_date(2147483647)"),
        ("date_from_unix_date(2147483647)", f"CAST({FAR.format(0)} AS TIMESTAMP_NTZ)"),
        ("array(date_from_unix_date(2147483647))", f"array(CAST({FAR.format(0)} AS TIMESTAMP_NTZ))"),
        (
            "make_dt_interval(IF(id = 0, -106751991, 106751991))",
            "CAST(make_dt_interval(IF(id = 0, 106751991, -106751991)) AS INTERVAL DAY TO HOUR)",
        ),
        ("make_ym_interval(178956970, 7)", "make_ym_interval(-178956970, -8)"),
        ("make_interval(178956970, 7, 0, 2147483647, 0, 0, 0)", "make_interval(-178956970, -7)"),
    ],
)
def test_times_as_far_apart_as_they_can_be_are_compared(warehouse: Any, view: Any, a: str, b: str) -> None:
    one, two = (
        view("far_a", f"SELECT id, {a} AS ts FROM range(2)"),
        view("far_b", f"SELECT id, {b} AS ts FROM range(2)"),
    )
    deciding = frozenset({SchemaAspect.COLUMNS})
    spec = ComparisonSpec(one, two, keys=("id",), tolerance=Tolerance(seconds=60), deciding=deciding)
    report = compare(warehouse, spec)
    assert report.verdict is Verdict.DIFFERENT and counts(report) == (0, 0, 2), report.reason
    assert causes(report) == {"value": 2} or causes(report) == {"type": 2}
    late = compare(warehouse, replace(spec, candidate=one, watermark_columns=("ts",), final=True))
    assert late.verdict is Verdict.IDENTICAL


def test_a_mapped_column_may_go_by_its_name_in_the_candidate(warehouse: Any, view: Any) -> None:
    a = view("map_a", "SELECT id AS c, CAST(id AS DOUBLE) AS v, 'c' AS s FROM range(3)")
    b = view("map_b", "SELECT id AS z, CAST(id AS DOUBLE) + 0.5D AS w, 'c' AS s FROM range(3)")
    arguments = [a, b, "--map", "c=z", "--map", "v=w", "--key", "z", "--tolerate", "w", "--absolute", "1", "--quiet"]
    assert main([*arguments, "--where", "s = 'c'", "--watermark", "z", "--sensitive", "w"], warehouse) == 0
    assert main([*arguments, "--where", "c > 0"], warehouse) == 2
    assert main([a, b, "--map", "c=z", "--map", "v=w", "--key", "Z", "--quiet"], warehouse) == 1
