"""The cost of the parallel period and of a month in sentences: what is known, and why the rest is not."""

from __future__ import annotations

from datetime import UTC, date, datetime

from app.performance.money import Amount
from app.performance.projection import Projection
from app.performance.projection_text import sentences
from app.performance.statistic import Estimate

SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)


def amount(usd: float, unpriced: int = 0) -> Amount:
    return Amount(nano_usd=round(usd * 1e9), records=3 + unpriced, unpriced=unpriced)


def test_nothing_is_made_up_before_both_sides_ran() -> None:
    found = dict(sentences(Projection(needed=7)))
    assert found["Parallel period so far"].startswith("none: ")
    assert found["A month of the old side"] == "unknown: 0 of 7 settled days that it needs"


def test_sums_and_intervals_are_said_with_what_they_rest_on() -> None:
    month = Estimate(120.5, 100.0, 141.0, 0.95)
    days = tuple(date(2026, 3, d) for d in range(1, 9))
    spent = {"baseline": amount(10.254), "candidate": amount(4.1, unpriced=2)}
    found = dict(sentences(Projection(SINCE, UNTIL, spent, UNTIL, days, (), 7, month, None, None)))
    assert found["Parallel period so far"] == (
        "$14.35 and 2 records without a price (old $10.25, new $4.10 and 2 records without a price), "
        "2026-03-01T00:00Z to 2026-03-20T00:00Z; usage after 2026-03-20T00:00Z may still be billed"
    )
    assert found["A month of the old side"] == "$120.50 ($100.00 to $141.00 at 95% confidence, 8 settled days)"
    assert found["A month of the new side"].startswith("unknown: 8 of 7")


def test_a_sum_without_any_price_is_unknown() -> None:
    unpriced = Amount(records=2, unpriced=2)
    found = dict(sentences(Projection(SINCE, UNTIL, {"baseline": unpriced}, UNTIL)))
    assert found["Parallel period so far"].startswith("unknown (old unknown)")
