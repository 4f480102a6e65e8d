"""The one assessment: verdicts by interval and margin, the same in rules, pages and commands, whatever arrived first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config.performance import USUAL, Performance
from app.performance.assessment import Assessment, Measure
from app.performance.attribution import Read
from app.performance.statistic import Interval, Verdict, median_interval, spread, verdict_of
from app.store.collected.records import JobRunRecord, UpdateRecord, UsageRecord
from tests.support.performance import (
    DLT_PRICE,
    EVERYTHING,
    HOUR,
    NOW,
    assessed,
    bill,
    job_run,
    pipeline_update,
    side_by_side,
    slots,
)

ONE = Performance(minimum_pairs=1)


def of_times(old: Sequence[float], new: Sequence[float], chosen: Performance = USUAL) -> Measure:
    runs, _ = side_by_side(old, new)
    return assessed(runs, settings=chosen).run_time


# -- the statistic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
def test_the_interval_of_a_median_is_scipys(confidence: float) -> None:
    from scipy import stats  # Takes 0.8 s, and every process collects this file.

    for n in range(1, 150):
        ranks = np.arange(1.0, n + 1)
        theirs = stats.quantile_test(ranks, q=np.median(ranks), p=0.5).confidence_interval(confidence)
        ours = median_interval(list(ranks), confidence)
        if np.isnan(theirs.low):
            assert (ours.low, ours.high) == (1, n) and ours.coverage < confidence, n
        else:
            assert (ours.low, ours.high) == (theirs.low, theirs.high) and ours.coverage >= confidence, n


def test_the_interval_of_many_pairs_is_found_without_floats_that_overflow() -> None:
    found = median_interval([float(n) for n in range(3000)], 0.95)
    assert 1400 < found.low < 1500 < found.high < 1600


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.96, 1.04, Verdict.EQUAL),
        (0.95, 1.05, Verdict.EQUAL),
        (0.60, 0.97, Verdict.BETTER),
        (0.60, 1.04, Verdict.NOT_WORSE),
        (0.90, 1.06, Verdict.UNDECIDED),
        (1.01, 1.20, Verdict.UNDECIDED),
        (1.06, 1.20, Verdict.WORSE),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(low: float, high: float, verdict: Verdict) -> None:
    assert verdict_of(Interval(low, high, 0.95), 0.05) is verdict


def test_the_95th_percentile_lies_between_the_nearest_ranks() -> None:
    assert spread([float(n) for n in range(101)]).p95 == 95.0
    assert spread([7.0]).p95 == 7.0 and spread([]).p95 is None


# -- run time --------------------------------------------------------------------------------------------------------------


def test_99_seconds_against_100_is_equal() -> None:
    assert of_times([100.0] * 12, [99.0] * 12).verdict is Verdict.EQUAL
    assert of_times([240.2], [240.65], ONE).verdict is Verdict.EQUAL


def test_an_old_run_without_a_counterpart_does_not_shift_the_ratio() -> None:
    runs, _ = side_by_side([240.0], [240.0])
    lone = job_run("baseline", 99, slots(2)[1], 82.0)
    found = assessed([lone, *runs], settings=ONE)
    assert found.run_time.ratio == 1.0 and found.run_time.verdict is Verdict.EQUAL
    assert found.run_time.runs == ((1, 2),) and found.run_time.baseline.median == 240.0


def test_a_run_under_load_is_compared_with_its_counterpart_under_load() -> None:
    old, new = [71.0] * 6 + [240.0] * 6, [72.0] * 6 + [241.0] * 6
    assert of_times(old, new).verdict is Verdict.EQUAL


def test_too_few_pairs_give_no_verdict_and_say_how_many_are_needed() -> None:
    found = of_times([100.0] * 11, [50.0] * 11)
    assert found.verdict is Verdict.NOT_ENOUGH and found.at_most(1.0) is None
    assert found.sentence().startswith("11 pairs of 12 needed") and found.ratio == 0.5


def test_ratios_that_differ_widely_are_undecided() -> None:
    new = [60.0] * 6 + [140.0] * 6
    found = of_times([100.0] * 12, new)
    assert found.verdict is Verdict.UNDECIDED and found.at_most(1.0) is None


def test_a_slower_new_side_is_worse_and_a_faster_one_better() -> None:
    assert of_times([100.0] * 12, [120.0 + n for n in range(12)]).verdict is Verdict.WORSE
    assert of_times([100.0] * 12, [80.0 + n for n in range(12)]).verdict is Verdict.BETTER


def test_pairs_older_than_the_window_do_not_count() -> None:
    runs, _ = side_by_side([100.0] * 12, [100.0] * 12)
    assert len(assessed(runs).pairs) == 12
    assert len(assessed(runs, settings=Performance(window_days=3)).pairs) < 6


def test_failed_active_and_generated_runs_are_not_measured() -> None:
    runs, _ = side_by_side([100.0] * 3, [100.0] * 3)
    spoiled = [replace(r, result_state="FAILED") if r.run_id == 2 else r for r in runs]
    spoiled = [replace(r, generated=True) if r.run_id == 4 else r for r in spoiled]
    found = assessed(spoiled, settings=ONE)
    assert found.run_time.runs == ((5, 6),)


# -- cost ------------------------------------------------------------------------------------------------------------------


def with_pipeline(pairs: int, old: float, job: float, dlt: float) -> Assessment:
    """Runs of both sides; old: DBU of job compute; job, dlt: DBU of the new side at the prices of either product."""
    runs, usage = side_by_side([100.0] * pairs, [100.0] * pairs, dbu=(old, job))
    updates = [pipeline_update(f"u{r.run_id}", r.start_time, r.run_id) for r in runs if r.side == "candidate"]
    usage += [
        bill(f"d{u.update_id}", dlt, DLT_PRICE, "candidate", update_id=u.update_id, start=u.start_time) for u in updates
    ]
    return assessed(runs, usage, updates)


def test_fewer_dbu_at_a_higher_price_cost_more() -> None:
    found = with_pipeline(12, 100.0, 33.5, 52.5)
    assert found.dbu.ratio == pytest.approx(0.86) and found.dbu.verdict is Verdict.BETTER
    assert found.usd.ratio == pytest.approx(1.28) and found.usd.verdict is Verdict.WORSE
    assert found.usd.at_most(1.0) is False


def test_failing_once_per_run_costs_what_it_costs() -> None:
    """36 DBU each time: 72 a delivery against the old side's 40, not "0.90 times"."""
    at = slots(25)
    runs: list[JobRunRecord] = []
    usage: list[UsageRecord] = []
    for n, start in enumerate(at[:24]):
        bad = n % 2 == 1
        runs.append(job_run("candidate", 1000 + n, start, result_state="FAILED" if bad else "SUCCESS"))
        usage.append(bill(f"c{n}", 36.0, side="candidate", job_run_id=1000 + n, start=start))
        runs.append(job_run("baseline", n + 1, start))
        usage.append(bill(f"b{n}", 40.0, job_run_id=n + 1, start=start))
    found = assessed(runs, usage)
    assert len(found.usd.points) == 12 and found.usd.ratio == pytest.approx(1.8)
    assert found.dbu.candidate.median == 72.0 and found.usd.verdict is Verdict.WORSE


def test_without_a_bill_the_cost_is_unknown() -> None:
    runs, usage = side_by_side([100.0] * 12, [100.0] * 12)
    found = assessed(runs, [u for u in usage if u.side == "baseline"])
    assert found.usd.verdict is Verdict.NOT_ENOUGH and found.usd.left_out == {"without a bill": 12}
    assert found.usd.ratio is None and found.run_time.verdict is Verdict.EQUAL


def test_bills_that_may_still_grow_are_left_out() -> None:
    """A fifth of the new side's bill has arrived: no "0.20 times"."""
    runs, usage = side_by_side([100.0] * 12, [100.0] * 12, dbu=(10.0, 2.0))
    early = replace(EVERYTHING, billing=NOW - 60 * HOUR)
    found = assessed(runs, usage, read=early)
    assert 0 < len(found.usd.points) < 12 and found.usd.verdict is Verdict.NOT_ENOUGH
    assert found.usd.left_out == {"with a bill that is not final": 12 - len(found.usd.points)}
    half = assessed(
        runs, usage, [pipeline_update(f"u{r.run_id}", r.start_time, r.run_id) for r in runs if r.side == "candidate"]
    )
    assert half.usd.left_out == {"with an incomplete bill": 12}


def test_without_a_price_the_dbu_are_judged_alone() -> None:
    runs, usage = side_by_side([100.0] * 12, [100.0] * 12)
    found = assessed(runs, [replace(u, usd=None, list_price_usd=None) for u in usage])
    assert found.usd.left_out == {"without a list price": 12} and found.dbu.ratio == pytest.approx(0.4)


# -- one answer ------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(50, 200), min_size=1, max_size=20),
    st.floats(0.5, 2.5),
    st.sampled_from([1.0, 2.0]),
    st.integers(1, 15),
)
@settings(max_examples=60, deadline=None)
def test_at_most_never_contradicts_the_verdict(new: list[float], scale: float, factor: float, minimum: int) -> None:
    found = of_times([100.0] * len(new), [n * scale for n in new], Performance(minimum_pairs=minimum))
    decided = found.at_most(1.0)
    good = found.verdict in (Verdict.EQUAL, Verdict.BETTER, Verdict.NOT_WORSE)
    assert (decided is True) == good and (decided is False) == (found.verdict is Verdict.WORSE)
    if decided:
        assert found.at_most(factor) is True


# -- the order of arrival --------------------------------------------------------------------------------------------------

History = tuple[list[JobRunRecord], list[UsageRecord], list[UpdateRecord]]


def history(seed: int) -> History:
    """Some days of both sides with failures, retries, corrections, manual updates and maintenance."""
    chance = random.Random(seed)
    runs: list[JobRunRecord] = []
    usage: list[UsageRecord] = []
    updates: list[UpdateRecord] = []

    def billed(run: JobRunRecord, **more: Any) -> None:
        for k in range(chance.randint(1, 3)):
            usage.append(
                bill(f"{run.run_id}-{k}-{len(usage)}", chance.uniform(0.1, 3), chance.choice((0.2, 0.25)), run.side,
                     job_run_id=run.run_id, start=run.start_time + k * HOUR / 400, **more)
            )  # fmt: skip
        if chance.random() < 0.3:
            last = usage[-1]
            usage.append(replace(last, record_type="RETRACTION", dbu=-last.dbu, usd=-(last.usd or 0)))
            usage.append(replace(last, record_type="RESTATEMENT", dbu=last.dbu / 2, usd=(last.usd or 0) / 2))

    for n, at in enumerate(slots(12)):
        for side in ("baseline", "candidate"):
            state = "FAILED" if chance.random() < 0.25 else "SUCCESS"
            run = job_run(side, 2 * n + (side == "candidate") + 1, at, chance.uniform(60, 200), result_state=state)
            runs.append(run)
            billed(run)
            if side == "candidate":
                update = pipeline_update(f"u{n}", at, run.run_id, state="COMPLETED" if state == "SUCCESS" else "FAILED")
                updates.append(update)
                usage.append(bill(f"d{n}", chance.uniform(1, 4), DLT_PRICE, side, update_id=update.update_id, start=at))
                if state == "FAILED":
                    again = f"u{n}-again"
                    updates.append(
                        pipeline_update(again, at + HOUR / 10, None, cause="RETRY_ON_FAILURE", state="FAILED")
                    )
                    usage.append(bill(f"a{n}", 1.0, DLT_PRICE, side, update_id=again, start=at + HOUR / 10))
    updates.append(pipeline_update("by hand", slots(3)[2] + HOUR, None, cause="USER_ACTION"))
    usage.append(bill("by hand", 1.0, DLT_PRICE, "candidate", update_id="by hand"))
    usage.append(bill("maintenance", 1.0, DLT_PRICE, "candidate", pipeline_id="p", maintenance_id="m"))
    return runs, usage, updates


def figures(found: Assessment) -> dict[str, Any]:
    """What pages show: measures, lines, prices and each delivery."""
    return {
        "measures": [
            (m.runs, m.ratio, m.interval, m.verdict, m.left_out, m.baseline, m.candidate) for m in found.measures
        ],
        "lines": found.attribution.lines,
        "prices": found.attribution.prices,
        "deliveries": [(d.run.run_id, d.amount, d.state) for d in found.attribution.deliveries],
    }


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_arrival_changes_no_figure(seed: int, order: random.Random) -> None:
    runs, usage, updates = history(seed)
    whole = figures(assessed(runs, usage, updates, settings=ONE))
    for records in (runs, usage, updates):
        order.shuffle(records)  # type: ignore[arg-type]
    assert figures(assessed(runs, usage, updates, settings=ONE)) == whole


@given(st.integers(0, 10_000), st.integers(0, 11), st.floats(0, 100), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_final_figure_never_changes_again(seed: int, known: int, hours: float, order: random.Random) -> None:
    """Sources are read up to different times, and of bills any part has arrived; what is final then stays as it is."""
    runs, usage, updates = history(seed)
    whole = {d.run.run_id: d.amount for d in assessed(runs, usage, updates).attribution.deliveries}
    until = slots(12)[known] + HOUR
    read = Read(
        until + hours * HOUR,
        {"baseline": until, "candidate": until + HOUR},
        {"production": until - HOUR * order.randint(0, 8)},
    )
    updates_until = read.updates["production"]
    assert read.billing is not None and updates_until is not None
    # Bills of what ended a day before are there; what the sources have not reached may be there or not.
    settled = read.billing - 24 * HOUR
    some = assessed(
        [r for r in runs if r.start_time < until or order.random() < 0.5],
        [u for u in usage if u.start <= settled or order.random() < 0.5],
        [u for u in updates if u.start_time <= updates_until or order.random() < 0.5],
        read=read,
    )
    for d in some.attribution.deliveries:
        if d.state.value == "final":
            assert d.amount == whole[d.run.run_id]


def test_the_history_of_the_property_tests_has_what_it_is_for() -> None:
    found = assessed(*history(3), settings=ONE)
    assert any(d.attempts for d in found.attribution.deliveries) and len(found.usd.points) >= 3
    assert {n.reason.name for n in found.attribution.lines} >= {"MANUAL", "MAINTENANCE"}
