"""Parity: a comparison from its first statement to its report, against a warehouse that answers by script."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from tests.support.validation_warehouse import AT, DESCRIBED, SPEC, TABLE, Scripted, bucket, delta_tables, details_of
from validation import ParityReport, RecheckState, StatementError, Tolerance, Verdict, compare, estimate, recheck
from validation.drilldown import duplicates_of
from validation.state import planned_bytes
from validation.views import as_html, as_text

COMPARE = import_module("validation.comparison")  # The package has a function of this name.


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
    warehouse = Scripted(WITH=[bucket(na=1, nb=1)])
    answers = iter([DESCRIBED, DESCRIBED, DESCRIBED, wider])
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: next(answers) if sql.startswith("DESCRIBE") else real(sql, *rest)  # type: ignore[method-assign]
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.NOT_PROVEN and "other columns after" in report.reason


def test_delta_tables_are_read_at_the_version_they_have() -> None:
    warehouse = delta_tables()
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL and report.baseline.pinned and report.candidate.pinned
    scan = next(sql for sql in warehouse.asked if sql.startswith("WITH"))
    assert scan.count("FROM `a` VERSION AS OF 7 AS t") == 1
    assert scan.count("FROM `b` VERSION AS OF 7 AS t") == 1, "of equal sides one tells both"
    later = compare(delta_tables(DESCRIBE_HISTORY=[{"version": 9}]), SPEC)
    assert later.sql_hash == report.sql_hash, "what is computed is the same at another version"


def test_of_a_view_it_is_told_what_was_not_looked_at() -> None:
    for described, told in ((DESCRIBED, 2), (TABLE, 0)):
        report = compare(delta_tables(DESCRIBE_TABLE=described), SPEC)
        assert report.verdict is Verdict.IDENTICAL
        assert sum("of the tables under it is not looked at" in note for note in report.notes) == told


def test_where_no_version_can_be_read_the_current_data_are() -> None:
    warehouse = delta_tables(DESCRIBE_QUERY=StatementError("[UNSUPPORTED_FEATURE.TIME_TRAVEL] no"))
    report = compare(warehouse, SPEC)
    assert report.verdict is Verdict.IDENTICAL and not report.baseline.pinned
    assert not any("VERSION AS OF" in sql for sql in warehouse.asked if sql.startswith("WITH"))


def test_a_scan_that_is_refused_at_a_version_is_run_without() -> None:
    warehouse = delta_tables()
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
    warehouse = delta_tables()
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: before if "VERSION AS OF 3" in sql and "DESC" in sql else real(sql, *rest)  # type: ignore[method-assign]
    report = compare(warehouse, replace(SPEC, baseline_version=3))
    assert report.verdict is Verdict.DIFFERENT and "dropped (columns)" in report.reason
    gone = compare(delta_tables(DESCRIBE_QUERY=StatementError("no such version")), replace(SPEC, baseline_version=3))
    assert gone.verdict is Verdict.NOT_PROVEN and "version 3 of a cannot be read" in gone.reason


def test_a_write_meanwhile_is_noted_for_a_side_with_a_version() -> None:
    warehouse = delta_tables()
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
    report = compare(delta_tables(DESCRIBE_HISTORY=[history]), SPEC)
    report = ParityReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert recheck(delta_tables(DESCRIBE_HISTORY=[history]), report, read_again=False).state is RecheckState.HOLDS
    anew = delta_tables(DESCRIBE_HISTORY=[{**history, "timestamp": AT + timedelta(days=1)}])
    assert recheck(anew, report, read_again=False).state is RecheckState.STALE


def test_a_version_that_was_asked_for_is_not_the_one_of_a_table_made_again() -> None:
    history = [{"version": 9, "timestamp": AT + timedelta(days=9)}, {"version": 7, "timestamp": AT}]
    spec = replace(SPEC, baseline_version=7, candidate_version=7)
    report = compare(delta_tables(DESCRIBE_HISTORY=history), spec)
    assert (report.baseline.version_before, report.baseline.last_write) == ("delta:7", AT)
    assert recheck(delta_tables(DESCRIBE_HISTORY=history), report, read_again=False).state is RecheckState.HOLDS
    anew = [{"version": 7, "timestamp": AT + timedelta(days=1)}]
    for found in (anew, history[:1]):
        again = recheck(delta_tables(DESCRIBE_HISTORY=found), report, read_again=False)
        assert again.state is RecheckState.STALE


def test_fingerprints_of_sensitive_values_are_keyed_and_hold_only_with_the_key() -> None:
    secret = replace(SPEC, sensitive_columns=frozenset({"x"}), hash_key="kept")
    report = compare(delta_tables(), secret)
    assert all(f.keyed and not f.buckets for f in report.fingerprints.values())
    assert report.fingerprints["baseline"].digest != compare(delta_tables(), SPEC).fingerprints["baseline"].digest
    later = {"DESCRIBE_HISTORY": [{"version": 8}]}
    assert recheck(delta_tables(), report).state is RecheckState.HOLDS, "equal versions need no key"
    assert recheck(delta_tables(**later), report).state is RecheckState.STALE
    assert recheck(delta_tables(**later), report, hash_key="kept").state is RecheckState.HOLDS
    other = delta_tables(**later, WITH=[bucket(na=1, nb=1, a0=5, b0=5)])
    assert recheck(other, report, hash_key="kept").state is RecheckState.CHANGED
    unkept = compare(delta_tables(), replace(secret, hash_key=""))
    assert unkept.fingerprints == {} and recheck(delta_tables(), unkept).state is RecheckState.HOLDS
    assert recheck(delta_tables(**later), unkept).state is RecheckState.STALE


def test_an_exclusion_rule_that_does_not_fit_a_side_costs_only_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMPARE, "read_details", lambda *_: details_of(missing=1, balance=(1, 0, 0)))
    spec = replace(SPEC, baseline_exclusion="pname = 'test'", candidate_exclusion="pname = 'test'")
    warehouse = delta_tables(WITH=[{**bucket(na=1, nb=0, fewer=1), "differing": "5"}])
    real = warehouse.execute

    def refuses(sql: str, *rest: Any) -> Any:
        if "pname" in sql:
            raise StatementError("[UNRESOLVED_COLUMN] pname", "42703")
        return real(sql, *rest)

    warehouse.execute = refuses  # type: ignore[method-assign]
    report = compare(warehouse, spec)
    assert any("the exclusion rule could not be applied" in n and "UNRESOLVED_COLUMN" in n for n in report.notes)
    told = compare(warehouse, replace(spec, sensitive_columns=frozenset({"x"}))).notes
    assert any("the exclusion rule" in n and "may hold values" in n and "pname" not in n for n in told)
    assert (report.verdict, report.missing_rows) == (Verdict.DIFFERENT, 1)


def test_a_drill_down_that_fails_for_another_reason_is_not_blamed_on_the_exclusion_rule() -> None:
    spec = replace(SPEC, baseline_exclusion="x = 1")
    lost = StatementError("the connection was lost")
    warehouse = delta_tables(**{"WITH per_row": lost}, WITH=[{**bucket(na=1, nb=0, fewer=1), "differing": "5"}])
    report = compare(warehouse, spec)
    assert report.verdict is Verdict.NOT_PROVEN and "the connection was lost" in report.reason
    assert sum(sql.startswith("WITH per_row") for sql in warehouse.asked) == 1


def test_without_a_key_equal_rows_are_counted_as_duplicates() -> None:
    keyless = delta_tables(**{"WITH per_key": [{"n": 3, "duplicates": 2}]}, WITH=[bucket(na=3, nb=3, hashes=1)])
    assert compare(keyless, replace(SPEC, keys=())).duplicate_rows == {"baseline": 2, "candidate": 2}


def test_within_its_threshold_is_only_what_was_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMPARE, "read_details", lambda *_: details_of(missing=1, balance=(1, 0, 0)))
    unknown = {"col_name": "g", "data_type": "sketch(12)"}
    scan = [{**bucket(na=1, nb=0, fewer=1), "differing": "5"}]
    for more, within in (([], True), ([unknown], False)):
        described = [*TABLE[:2], *more, *TABLE[2:]]
        columns = described[: 2 + len(more)]
        warehouse = delta_tables(WITH=scan, DESCRIBE_TABLE=described, DESCRIBE_QUERY=columns)
        report = compare(warehouse, replace(SPEC, row_threshold=5))
        assert (report.verdict, report.within_threshold) == (Verdict.DIFFERENT, within), report.reason


def test_the_values_are_counted_and_compared_in_one_statement() -> None:
    warehouse = delta_tables(SELECT_coalesce=[{"a": 1, "b": 1, "n": 0}])
    report = compare(warehouse, replace(SPEC, final=True))
    assert report.verdict is Verdict.IDENTICAL and report.final
    (sql,) = (sql for sql in warehouse.asked if sql.startswith("SELECT coalesce"))
    assert sql.count("FROM `a` VERSION AS OF 7 AS t") == sql.count("FROM `b` VERSION AS OF 7 AS t") == 1
    for other in ({"a": 1, "b": 1, "n": 1}, {"a": 2, "b": 2, "n": 0}):
        moved = compare(delta_tables(SELECT_coalesce=[other]), replace(SPEC, final=True))
        assert moved.verdict is Verdict.NOT_PROVEN and not moved.final


def test_watermarks_are_told_of_equal_sides_too() -> None:
    times = [{**bucket(na=1, nb=1), "newest_a": 5, "newest_b": None}]
    report = compare(delta_tables(WITH=times), replace(SPEC, watermark_columns=("id",)))
    assert (report.baseline.watermark, report.candidate.watermark) == ("5", None)
    assert "Watermark" in as_html(report) and "up to 5" in as_text(report)


def test_a_tolerance_that_cannot_apply_is_noted() -> None:
    rows = [{"col_name": "id", "data_type": "int"}, {"col_name": "x", "data_type": "string"}]
    left = [*rows, {"col_name": "d", "data_type": "decimal(38,0)"}]
    right = [*rows, {"col_name": "d", "data_type": "decimal(38,18)"}]
    answers = iter([left, right] * 2)
    warehouse = Scripted(WITH=[bucket(na=1, nb=1)])
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


def test_progress_tells_each_step_in_order() -> None:
    steps: list[str] = []
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, progress=lambda p: steps.append(p.step), requested_by="lead@example.com")
    assert steps == ["schema", "state", "fingerprint", "verify", "done"]
    assert report.verdict is Verdict.IDENTICAL and report.requested_by == "lead@example.com"


def test_keys_that_are_not_the_rows_of_the_first_read_prove_nothing() -> None:
    per_key = {"WITH per_key": [{"n": 2, "duplicates": 1}]}
    report = compare(delta_tables(**per_key, WITH=[bucket(na=3, nb=3, hashes=2)]), SPEC)
    assert report.verdict is Verdict.NOT_PROVEN and "changed between two reads" in report.reason
    told = compare(delta_tables(**per_key, WITH=[bucket(na=2, nb=2, hashes=1)]), SPEC)
    assert told.verdict is Verdict.IDENTICAL and told.duplicate_rows == {"baseline": 1, "candidate": 1}


def test_keys_of_one_hash_are_duplicates_only_if_they_are_one_key() -> None:
    colliding = delta_tables(**{"WITH per_key": [{"n": 2, "duplicates": 0}]}, WITH=[bucket(na=2, nb=2, hashes=1)])
    assert compare(colliding, SPEC).duplicate_rows == {"baseline": 0, "candidate": 0}
    unique = delta_tables(WITH=[bucket(na=2, nb=2)])
    assert compare(unique, SPEC).duplicate_rows == {"baseline": 0, "candidate": 0}
    assert not any(sql.startswith("WITH per_key") for sql in unique.asked), "as many hashes as rows prove it"


def test_the_size_of_what_tells_none_is_taken_from_its_plan() -> None:
    def planned(told: Any) -> int | None:
        return planned_bytes(Scripted(EXPLAIN_COST=told), "a.b.c")

    plan = "== Optimized Logical Plan ==\nJoin, Statistics(sizeInBytes={0})\n+- Relation, Statistics(sizeInBytes=9.0 B)"
    for text, size in (("735.5 MiB", 771_227_648), ("2.0 KiB, rowCount=3", 2048), ("1.0 B", 1), ("8.0 EiB", None)):
        assert planned([{"plan": plan.format(text)}]) == size, text
    assert planned([]) is None and planned([{"plan": "Error"}]) is None and planned(StatementError("no")) is None


def test_rows_are_summed_by_buckets_of_the_size_that_is_known() -> None:
    cost = [{"plan": "Relation, Statistics(sizeInBytes=1.0 GiB)"}]
    for tables, buckets in (
        (delta_tables(DESCRIBE_DETAIL=[{"sizeInBytes": 1 << 20}]), 1 << 10),
        (delta_tables(DESCRIBE_DETAIL=[{"sizeInBytes": 1 << 33}]), 1 << 20),
        (delta_tables(EXPLAIN_COST=cost), 1 << 17),
        (delta_tables(), 1 << 15),
    ):
        assert compare(tables, SPEC).verdict is Verdict.IDENTICAL
        assert any(f"pmod(k1, {buckets}L)" in sql for sql in tables.asked)
        assert any(sql.startswith("EXPLAIN") for sql in tables.asked) is (
            not any(word == "DESCRIBE_DETAIL" for word in tables.answers)
        )


def test_the_candidates_duplicates_are_those_of_the_baseline_but_for_what_was_read_again() -> None:
    again = details_of(duplicates=(2, 5))
    assert duplicates_of(7, None) == (7, 7)
    assert duplicates_of(7, again) == (7, 10)
    assert duplicates_of(None, again) == (2, 5)


def test_an_estimate_counts_the_version_that_was_asked_for_and_can_be_cancelled() -> None:
    warehouse = delta_tables(SELECT_count=[{"n": 3}])
    found = estimate(warehouse, replace(SPEC, baseline_version=7))
    assert found.rows == 6
    counted = [sql for sql in warehouse.asked if sql.startswith("SELECT count(*)")]
    assert counted == ["SELECT count(*) AS n FROM `a` VERSION AS OF 7", "SELECT count(*) AS n FROM `b`"]
    asked: list[bool] = []
    warehouse.execute = lambda sql, parameters=None, cancelled=None: asked.append(cancelled()) or []  # type: ignore[method-assign,assignment,misc,func-returns-value]
    with suppress(Exception):
        estimate(warehouse, SPEC, lambda: True)
    assert asked and all(asked)
