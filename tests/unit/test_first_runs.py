"""The first runs after a cutover: which they are, and what each did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.operations.definition import Kind
from app.progress.facts import load_facts
from app.progress.first_runs import first_runs, load_first_runs
from app.report.content import gather
from app.report.html import render
from app.store.collected.records import ExpectationRecord, FlowRecord
from app.store.open import Store
from tests.support.drift_records import MIGRATION, NEW, swap
from tests.support.health_records import job_run, pipeline_update, read_all

T = datetime(2026, 3, 2, 12, tzinfo=UTC)
TABLES = [t.candidate for t in MIGRATION.tables]


def at(hours: float) -> datetime:
    return T + timedelta(hours=hours)


def flow(update: str, table: str, rows: int | None = 10, status: str = "COMPLETED") -> FlowRecord:
    return FlowRecord(update, table, status, rows, 1.0, T, T)


RUNS = [job_run("candidate", n, at(h)) for n, h in ((1, -1), (2, 1), (3, 7), (4, 13), (5, 19))]
UPDATES = [replace(pipeline_update(f"u{n}", at(h)), job_run_id=n) for n, h in ((2, 1), (3, 7))]
FLOWS = {"u2": [flow("u2", t) for t in TABLES], "u3": [flow("u3", TABLES[0], None, "FAILED")]}
CHECKS = [ExpectationRecord("u2", TABLES[0], "not null", "drop", 95, 5, T)]


def test_three_runs_after_the_cutover_are_reported_with_what_they_did() -> None:
    found = first_runs(T, RUNS, UPDATES, FLOWS, CHECKS, TABLES)
    assert [(r.number, r.run_id, r.update_id) for r in found] == [(1, 2, "u2"), (2, 3, "u3"), (3, 4, None)]
    first, second, third = found
    assert (first.rows, first.failed, first.checked, first.refreshed, first.tables) == (60, 5, 100, 6, 6)
    assert (first.good, second.good, third.good) == (True, False, None)
    assert "60 rows; 5 of 100 checked rows failed; 6 of 6 tables refreshed, 1" in first.text
    assert "rows not reported; nothing checked; 0 of 6 tables refreshed" in second.text
    assert third.text.endswith("its update is not collected yet")


def test_a_failed_run_is_bad_and_a_running_one_is_open() -> None:
    failed = replace(RUNS[1], result_state="FAILED")
    running = replace(RUNS[2], life_cycle_state="RUNNING", result_state=None, end_time=None)
    found = first_runs(T, [failed, running], UPDATES, FLOWS, CHECKS, TABLES)
    assert [r.good for r in found] == [False, None]
    assert (found[1].text, found[1].after) == ("Running", None)


def test_generated_runs_and_runs_of_before_are_none_of_them() -> None:
    assert first_runs(T, [RUNS[0], replace(RUNS[1], generated=True)], UPDATES, FLOWS, CHECKS, TABLES) == ()


def test_without_a_cutover_that_holds_nothing_is_reported_and_with_one_the_report_has_them(store: Store) -> None:
    now = datetime.now(UTC)
    read_all(store, now)
    assert load_first_runs(store, load_facts(store, MIGRATION, now)) is None
    store.operations.add(swap(Kind.CUTOVER, NEW, now - timedelta(hours=8)))
    start = now - timedelta(hours=2)
    store.collected.put_runs([job_run("candidate", 2, start)])
    store.collected.put_updates([replace(pipeline_update("u2", start), job_run_id=2)])
    store.collected.put_flows(FLOWS["u2"], CHECKS)
    facts = load_facts(store, MIGRATION, now)
    (one,) = load_first_runs(store, facts) or ()
    assert (one.run_id, one.good) == (2, True)
    content = gather(store, facts, "r-1", "ann@example.com")
    assert [line.text for line in content.group("first-runs")] == [one.text]
    assert "First runs after the cutover" in render(content)
    store.operations.add(swap(Kind.ROLLBACK, None, now - timedelta(hours=1), 2))
    assert load_first_runs(store, load_facts(store, MIGRATION, now)) is None
