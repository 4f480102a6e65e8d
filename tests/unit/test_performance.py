"""Medians and sums of baseline and candidate: only successful, measured runs with final billing count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.performance.measurements import billed_sums, newest_dbu, newest_run_times
from app.store.collected.records import JobRunRecord, RunCost, UsageRecord

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RUN = JobRunRecord(
    side="baseline", job_id=1, run_id=1, number=1, trigger="PERIODIC", life_cycle_state="TERMINATED",
    result_state="SUCCESS", state_message="", start_time=NOW, end_time=NOW + timedelta(seconds=100), run_seconds=100.0,
    queue_seconds=0.0, run_page_url="",
)  # fmt: skip
COST = RunCost("baseline", 1, NOW, NOW, 4.0, 2.0, 1, True, False)
USAGE = UsageRecord(
    record_id="r1", record_type="ORIGINAL", side="baseline", job_id=1, job_run_id=1, pipeline_id=None, update_id=None,
    sku="JOBS", dbu=2.0, list_price_usd=0.5, usd=1.0, start=NOW, end=NOW, product="JOBS",
)  # fmt: skip


def test_failed_active_and_generated_runs_have_no_run_time() -> None:
    runs = [
        replace(RUN, run_id=2, generated=True, run_seconds=1.0),
        replace(RUN, run_id=3, result_state="FAILED", run_seconds=2.0),
        replace(RUN, run_id=4, life_cycle_state="RUNNING", result_state=None, run_seconds=None),
        replace(RUN, run_id=5, side="development", run_seconds=3.0),
        RUN,
        replace(RUN, run_id=6, side="candidate", run_seconds=40.0, end_time=NOW),
    ]
    found = newest_run_times(runs, 5)
    assert [v for v, _ in found.baseline] == [100.0]
    assert found.medians == (100.0, 40.0) and found.as_of == NOW


def test_the_newest_runs_within_the_limit_give_the_median() -> None:
    runs = [replace(RUN, run_id=n, run_seconds=float(n)) for n in (5, 1, 3, 100)]
    runs += [replace(r, side="candidate", run_id=r.run_id + 1000) for r in runs]
    assert newest_run_times(runs, 3).medians == (3.0, 3.0)


def test_a_run_whose_billing_may_grow_is_counted_as_not_final_and_left_out() -> None:
    runs = [RUN, replace(RUN, run_id=2), replace(RUN, run_id=3, result_state="FAILED")]
    costs = [
        replace(COST, run_id=2, dbu=9.0, final=False),
        replace(COST, run_id=3, dbu=8.0),
        replace(COST, generated=True, dbu=7.0),
        COST,
    ]
    found = newest_dbu(runs, costs, 5)
    assert [v for v, _ in found.baseline] == [4.0] and found.candidate == () and found.not_final == 1


def test_billing_is_summed_by_side_sku_compute_and_price() -> None:
    usage = [
        USAGE,
        replace(USAGE, record_id="r2", dbu=3.0, usd=1.5),
        replace(USAGE, record_id="r3", photon=True, serverless=True),
        replace(USAGE, record_id="r4", list_price_usd=None, usd=None),
        replace(USAGE, record_id="r5", generated=True),
    ]
    found = {(b.compute, b.list_price_usd): (b.dbu, b.usd, b.records) for b in billed_sums(usage, generated=False)}
    assert found == {
        ("classic", 0.5): (5.0, 2.5, 2),
        ("serverless, Photon", 0.5): (2.0, 1.0, 1),
        ("classic", None): (2.0, None, 1),
    }
    assert sum(b.records for b in billed_sums(usage, generated=True)) == 5
