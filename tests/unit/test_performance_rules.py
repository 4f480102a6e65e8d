"""Gate, metric, page, command and report rest on one assessment: they cannot disagree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.config.migration import DEFAULT_MIGRATION, Evidence, Migration
from app.config.performance import USUAL, Performance
from app.performance import load
from app.performance.assessment import Assessment
from app.performance.load import load_assessment
from app.performance.plain import assessment_json
from app.performance.statistic import Verdict
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts, load_facts
from app.progress.judge import judge
from app.progress.phases import gates, metrics
from app.store.open import Store
from app.store.parity_records import ParityState, Producer
from tests.support.performance import EVERYTHING, HOUR, NOW, assessed, job_run, pipeline_update, schedule, side_by_side

MIGRATION = Migration.load(DEFAULT_MIGRATION)


def facts_with(store: Store, performance: Assessment) -> Facts:
    return replace(load_facts(store, MIGRATION, NOW), performance=performance)


def found(store: Store, kind: str, performance: Assessment, **params: Any) -> Finding:
    return judge(Evidence(kind=kind, params=params), facts_with(store, performance))


def priced(old: float, new: float, settings: Performance = USUAL, pairs: int = 12) -> Assessment:
    runs, usage = side_by_side([100.0] * pairs, [100.0] * pairs, dbu=(old, new))
    return assessed(runs, usage, settings=settings)


def timed(old: list[float], new: list[float], settings: Performance = USUAL) -> Assessment:
    return assessed(side_by_side(old, new)[0], settings=settings)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([99.0] * 12, Status.PASS),
        ([80.0] * 12, Status.PASS),
        ([104.9] * 12, Status.PASS),
        ([106.0] * 12, Status.FAIL),
        ([60.0] * 6 + [140.0] * 6, Status.INCONCLUSIVE),
        ([50.0] * 11, Status.INCONCLUSIVE),
    ],
)
def test_run_time_passes_within_the_margin_and_is_open_where_the_interval_is_wide(
    store: Store, new: list[float], expected: Status
) -> None:
    finding = found(store, "runtime_at_most", timed([100.0] * len(new), new), factor=1.0)
    assert finding.status is expected, finding.summary
    if expected is not Status.INCONCLUSIVE:
        assert len(finding.references) == 24, "the runs behind the figure"


def test_a_factor_moves_the_limit(store: Store) -> None:
    slower = timed([100.0] * 12, [150.0] * 12)
    assert found(store, "runtime_at_most", slower, factor=1.0).status is Status.FAIL
    assert found(store, "runtime_at_most", slower, factor=2.0).status is Status.PASS


def test_cost_is_judged_in_money_and_shows_dbu(store: Store) -> None:
    finding = found(store, "cost_at_most", priced(10.0, 12.0), factor=1.0)
    assert finding.status is Status.FAIL and finding.source == "system.billing.usage"
    assert "1.20 times the old side" in finding.summary and "in DBU 1.20 times" in finding.summary
    assert "$2.40 against $2.00" in finding.summary


def test_measured_means_enough_pairs(store: Store) -> None:
    few, enough = priced(10.0, 4.0, pairs=11), priced(10.0, 4.0)
    for kind in ("runtime_measured", "cost_measured"):
        assert found(store, kind, few).status is Status.INCONCLUSIVE
        assert found(store, kind, enough).status is Status.PASS


def test_a_finding_says_what_the_file_relaxes(store: Store) -> None:
    relaxed = found(store, "runtime_at_most", timed([240.2], [240.65], Performance(minimum_pairs=1)), factor=1.0)
    assert relaxed.passed and "(relaxed: 1 pair instead of 12)" in relaxed.summary
    assert "relaxed" not in found(store, "runtime_at_most", timed([1.0] * 12, [1.0] * 12), factor=1.0).summary


def test_nothing_was_read_and_nothing_is_judged(store: Store) -> None:
    facts = load_facts(store, MIGRATION, NOW)
    for kind in ("runtime_measured", "cost_measured"):
        assert judge(Evidence(kind=kind), facts).status is Status.INCONCLUSIVE
    assert facts.performance.run_time.sentence() == "0 pairs of 12 needed"


def test_gate_metric_and_json_have_the_same_answer(store: Store) -> None:
    for new in ([99.0] * 12, [106.0] * 12, [60.0] * 6 + [140.0] * 6, [50.0] * 11):
        facts = facts_with(store, timed([100.0] * len(new), new))
        kinds = ("runtime_at_most",)
        answers = {
            (g.finding.status, g.finding.summary)
            for g in gates(replace(facts, now=NOW - 40 * HOUR))
            if g.gate.evidence.kind in kinds
        } | {(m.finding.status, m.finding.summary) for m in metrics(facts) if m.metric.evidence.kind in kinds}
        ((status, summary),) = answers
        told = assessment_json(facts.performance)["measures"][0]
        assert told["summary"] in summary
        good = told["verdict"] in (Verdict.EQUAL, Verdict.BETTER, Verdict.NOT_WORSE)
        assert (status is Status.PASS) == good and (status is Status.FAIL) == (told["verdict"] == Verdict.WORSE)


def test_a_number_of_runs_in_the_file_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"minimum_pairs\); remove it"):
        Evidence(kind="runtime_at_most", params={"factor": 1.0, "runs": 4})


# -- from the store --------------------------------------------------------------------------------------------------------


def test_the_store_gives_what_the_pure_functions_give(store: Store) -> None:
    runs, usage = side_by_side([100.0] * 12, [90.0] * 12)
    updates = [pipeline_update("u", runs[1].start_time, runs[1].run_id)]
    c = store.collected
    c.put_runs(list(reversed(runs)))
    c.put_usage(usage)
    c.put_updates(updates)
    c.put_schedules([schedule(s) for s in ("baseline", "candidate")])
    for source in ("billing", *(f"runs:{s}" for s in EVERYTHING.runs), *(f"updates:{e}" for e in EVERYTHING.updates)):
        c.source_succeeded(source, NOW, 300)
    read = load_assessment(store, USUAL, NOW)
    pure = assessed(runs, usage, updates)
    assert read.measures == pure.measures and read.attribution.bills == pure.attribution.bills
    assert read.usd.left_out == {"with an incomplete bill": 1}
    c.source_succeeded("billing", NOW, 300, "billing before 2026-01-01 is not read yet")
    assert not load_assessment(store, USUAL, NOW).usd.points, "older bills are still to come"


def test_runs_by_hand_are_a_pair_also_where_the_comparison_did_not_know_the_run_of_the_update(
    store: Store,
) -> None:
    c, at = store.collected, NOW - 3 * HOUR
    c.put_runs([job_run("baseline", 1, at, trigger="ONE_TIME"), job_run("candidate", 2, at, trigger="ONE_TIME")])
    c.put_updates([pipeline_update("u", at, 2)])
    parity_id = store.parity.request(["dim_fde"], "engineer@example.com")
    store.parity.claim("worker")
    sides = Producer("run", "1", 1, at + HOUR), Producer("update", "u", None, at + HOUR)
    store.parity.set_producers(parity_id, *sides, None)
    store.parity.finish(parity_id, ParityState.DONE)
    (pair,) = load_assessment(store, USUAL, NOW).pairs
    assert (pair.by, pair.candidate.run.run_id) == ("comparison", 2)


def test_the_failed_attempts_before_the_window_belong_to_its_first_delivery(store: Store) -> None:
    settings = Performance(window_days=3, minimum_pairs=1)
    start = NOW - 80 * HOUR
    c = store.collected
    runs = [
        job_run("baseline", 1, start - 24 * HOUR),
        job_run("baseline", 2, start, result_state="FAILED"),
        job_run("baseline", 3, start + 12 * HOUR),
    ]
    c.put_runs(runs)
    found = load_assessment(store, settings, NOW)
    (delivery,) = [d for d in found.attribution.deliveries if d.run.run_id == 3]
    assert [r.run_id for r in delivery.attempts] == [2]
    assert [d.run.run_id for d in found.attribution.deliveries] == [3], "what the first took is not known"


def test_of_many_runs_the_newest_count_and_what_the_oldest_of_them_took_is_not_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, usage = side_by_side([100.0] * 12, [90.0] * 12)
    c = store.collected
    c.put_runs(runs)
    c.put_usage(usage)
    c.put_schedules([schedule(s) for s in ("baseline", "candidate")])
    monkeypatch.setattr(load, "MOST_RUNS", 5)
    found = load_assessment(store, USUAL, NOW)
    assert len(found.attribution.bills) == 10 and len(found.pairs) == 4
    assert not found.attribution.lines, "bills of older runs are not read either"
