"""Shares of counts, stated so that they claim no more than the counts do."""

from __future__ import annotations

from math import exp, lgamma, log

CONFIDENCE = 0.95
"""Of the statement "at least so much of all"."""


def floored(good: int, total: int) -> str:
    """A share as percent, rounded down: 799 of 800 are 99.8 %, never 99.9 % or 100 %."""
    tenths = 1000 * good // total
    return f"{tenths // 10}.{tenths % 10} %" if tenths % 10 else f"{tenths // 10} %"


def lower_bound(good: int, total: int, confidence: float = CONFIDENCE) -> float:
    """The share of all that `good` of `total` prove with this confidence: 3 of 3 prove 37 %, 2,995 of 2,995 99.9 %.

    One-sided exact interval of Clopper and Pearson (Biometrika 26, 1934). total: at least 1.
    """
    if good == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_least(good, total, middle) <= 1 - confidence else (low, middle)
    return low


def _at_least(good: int, total: int, share: float) -> float:
    """Probability of `good` or more successes in `total` trials that each succeed with probability `share` (0 to 1)."""
    whole = lgamma(total + 1)
    return sum(
        exp(whole - lgamma(k + 1) - lgamma(total - k + 1) + k * log(share) + (total - k) * log(1 - share))
        for k in range(good, total + 1)
    )
