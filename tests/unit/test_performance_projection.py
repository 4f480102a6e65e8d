"""Cost of the parallel period and of a month: from whole, settled days of the migration's zone, by hand-computed sums."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.config.performance import Performance
from app.performance.load import load_assessment
from app.performance.projection import DAYS_A_MONTH, load_projection
from app.performance.statistic import mean_interval, student_t
from app.store.open import Store
from tests.support.performance import HOUR, bill, job_run

ZONE = ZoneInfo("America/New_York")
FIRST = datetime(2026, 3, 1, 10, 0, 55, tzinfo=UTC)
"""05:00:55 in New York, a week before its clocks go forward."""
SETTINGS = Performance(minimum_days=3)
NOW = FIRST + timedelta(days=6)


def given(store: Store, days: int, old: list[float], new: list[float]) -> None:
    """A run of each side a day, which cost so many US dollars."""
    runs, usage = [], []
    for n in range(days):
        for side, usd, run_id in (("baseline", old[n], 2 * n), ("candidate", new[n], 2 * n + 1)):
            at = FIRST + timedelta(days=n)
            runs.append(job_run(side, run_id + 1, at))
            usage.append(bill(f"b{run_id + 1}", usd, 1.0, side=side, job_run_id=run_id + 1, start=at))
    store.collected.put_runs(runs)
    store.collected.put_usage(usage)
    for source in ("billing", "runs:baseline", "runs:candidate", "updates:production"):
        store.collected.source_succeeded(source, NOW, 300)


def test_a_month_is_the_mean_of_whole_settled_days(store: Store) -> None:
    given(store, 6, [10.0, 12.0, 14.0, 12.0, 99.0, 1.0], [6.0, 6.0, 8.0, 6.0, 1.0, 1.0])
    found = load_projection(store, load_assessment(store, SETTINGS, NOW), ZONE, NOW)
    # The period starts at 05:00:55 of the first day, which is not whole; the sixth is not settled.
    assert found.days == (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5))
    assert found.since == FIRST and found.until == NOW and found.settled_until == NOW - 24 * HOUR
    assert found.spent["baseline"].usd == 148.0 and found.spent["candidate"].usd == 28.0
    assert found.baseline is not None and found.candidate is not None and found.saving is not None
    assert found.baseline.value == pytest.approx((12 + 14 + 12 + 99) / 4 * DAYS_A_MONTH)
    assert found.candidate.value == pytest.approx((6 + 8 + 6 + 1) / 4 * DAYS_A_MONTH)
    assert found.saving.value == pytest.approx((6 + 6 + 6 + 98) / 4 * DAYS_A_MONTH)
    assert found.saving.low < found.saving.value < found.saving.high


def test_it_needs_as_many_days_as_the_migration_file_says(store: Store) -> None:
    given(store, 6, [10.0] * 6, [6.0] * 6)
    assessment = load_assessment(store, Performance(minimum_days=5), NOW)
    found = load_projection(store, assessment, ZONE, NOW)
    assert len(found.days) == 4 and found.baseline is found.candidate is found.saving is None and found.needed == 5


def test_a_day_whose_bill_is_missing_or_has_no_price_is_left_out_and_said(store: Store) -> None:
    given(store, 6, [10.0] * 6, [6.0] * 6)
    store.collected.put_runs([job_run("candidate", 90, FIRST + timedelta(days=2, hours=6))])
    store.collected.put_usage([bill("x", 1.0, None, side="baseline", start=FIRST + timedelta(days=3))])
    found = load_projection(store, load_assessment(store, SETTINGS, NOW), ZONE, NOW)
    assert found.left_out == (date(2026, 3, 3), date(2026, 3, 4))
    assert found.spent["baseline"].usd is None and found.spent["baseline"].unpriced == 1


def test_days_are_those_of_the_zone_also_when_its_clocks_go_forward(store: Store) -> None:
    late = datetime(2026, 3, 9, 3, 30, tzinfo=UTC)
    """23:30 on 8 March in New York, the day of 23 hours; in UTC it is the 9th."""
    store.collected.put_runs(
        [
            job_run(s, n, late + timedelta(days=d))
            for d in (-2, 0, 1)
            for n, s in ((d + 10, "baseline"), (d + 20, "candidate"))
        ]
    )
    store.collected.put_usage(
        [bill(f"{s}{d}", 5.0, 1.0, side=s, job_run_id=n, start=late + timedelta(days=d))
         for d in (-2, 0, 1) for n, s in ((d + 10, "baseline"), (d + 20, "candidate"))]
    )  # fmt: skip
    now = late + timedelta(days=2)
    for source in ("billing", "runs:baseline", "runs:candidate", "updates:production"):
        store.collected.source_succeeded(source, now, 300)
    found = load_projection(store, load_assessment(store, Performance(minimum_days=2), now), ZONE, now)
    assert found.days == (date(2026, 3, 7), date(2026, 3, 8))
    assert found.baseline is not None and found.baseline.value == pytest.approx(2.5 * DAYS_A_MONTH)


def test_the_parallel_period_starts_with_the_first_new_run_beside_an_old_one_and_ends_with_either_side(
    store: Store,
) -> None:
    c = store.collected
    lone = FIRST - timedelta(days=10)
    c.put_runs([job_run("candidate", 1, lone), job_run("baseline", 2, FIRST), job_run("candidate", 3, FIRST + HOUR)])
    now = FIRST + timedelta(days=9)
    c.put_runs([job_run("baseline", 4, FIRST + timedelta(days=5)), job_run("candidate", 5, now - HOUR)])
    c.put_usage([bill(f"b{n}", 1.0, 1.0, start=FIRST + timedelta(days=n, hours=2)) for n in (-1, 0, 4, 6)])
    found = load_projection(store, load_assessment(store, SETTINGS, now), ZONE, now)
    assert (found.since, found.until) == (FIRST + HOUR, FIRST + timedelta(days=6))
    assert found.spent["baseline"].usd == 2.0
    assert found.baseline is None, "billing was never read"


def test_one_side_alone_has_no_parallel_period(store: Store) -> None:
    store.collected.put_runs([job_run("candidate", 1, FIRST)])
    found = load_projection(store, load_assessment(store, SETTINGS, NOW), ZONE, NOW)
    assert found.since is None and not found.spent


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 11, 27, 28, 111])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_students_t_is_scipys(freedom: int, confidence: float) -> None:
    from scipy import stats  # Takes 0.8 s, and every process collects this file.

    assert student_t(freedom, confidence) == pytest.approx(stats.t.ppf(0.5 + confidence / 2, freedom), rel=1e-12)


def test_the_interval_of_a_mean_is_scipys() -> None:
    from scipy import stats  # Takes 0.8 s, and every process collects this file.

    values = [10.0, 12.0, 14.0, 12.0, 99.0]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values, 0.95)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    with pytest.raises(ValueError, match="fewer than two"):
        mean_interval([1.0], 0.95)
