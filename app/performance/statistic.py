"""The statistic of run time and cost: medians, means, their intervals, 95th percentiles. Pure; no scipy at run time.

The interval of a median is that of `scipy.stats.quantile_test(...).confidence_interval`; a test compares the two. Its
ranks come from the binomial distribution with p = 1/2, in whole numbers: importing scipy.stats takes 0.9 s, for which
every command would wait. For the same reason Student's t comes from its finite series for whole degrees of freedom
(Abramowitz and Stegun, 26.7.3 and 26.7.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import cos, pi, sin, sqrt
from statistics import fmean, median, quantiles, stdev

_PARTS = 10**9
"""Parts of 1 to which a confidence is rounded."""


class Verdict(StrEnum):
    """How the new side stands to the old one in one measure; less is better.

    EQUAL: the whole interval of the ratio lies within the margin around 1. BETTER: it lies below 1, and not within the
    margin. NOT_WORSE: it ends within the margin, and begins below it. WORSE: it lies above the margin. UNDECIDED: it is
    too wide to exclude one of these. NOT_ENOUGH: fewer pairs than the migration file requires.
    """

    EQUAL = "equal"
    BETTER = "better"
    NOT_WORSE = "equal or better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    NOT_ENOUGH = "not enough pairs"


@dataclass(frozen=True)
class Interval:
    """A confidence interval of the median. coverage: the confidence that its ranks have, as a fraction.

    coverage is at least the confidence that was asked for, except where so few values cannot have it: then low and high
    are the smallest and the largest value.
    """

    low: float
    high: float
    coverage: float


@dataclass(frozen=True)
class Spread:
    """Values of one side: how many, their median and 95th percentile; None without values."""

    count: int
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval. coverage: the confidence, as a fraction."""

    value: float
    low: float
    high: float
    coverage: float

    def times(self, factor: float) -> Estimate:
        """The same in another unit. factor: above 0."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.coverage)


NO_VALUES = Spread(0, None, None)


def median_interval(values: Sequence[float], confidence: float) -> Interval:
    """The narrowest interval between two ranks, as far from either end, that has the confidence. Raises ValueError."""
    ranked = sorted(values)
    n = len(ranked)
    if not n:
        raise ValueError("there is no interval without values")
    # In whole numbers: 2 ** n exceeds a float from 1024 pairs on.
    allowed = round((1 - confidence) * _PARTS)
    rank, outside, below, term = 0, 1, 0, 1
    for k in range((n + 1) // 2):
        # The median lies below the (k + 1)-th smallest value as often as n fair coins show k heads or fewer.
        below += term
        term = term * (n - k) // (k + 1)
        if 2 * below * _PARTS > allowed * 2**n:
            break
        rank, outside = k, below
    coverage = 1 - Fraction(2 * outside, 2**n)
    return Interval(ranked[rank], ranked[n - 1 - rank], float(coverage))


def spread(values: Sequence[float]) -> Spread:
    """Median and 95th percentile, linear between the two nearest ranks."""
    if not values:
        return NO_VALUES
    p95 = quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return Spread(len(values), median(values), p95)


def verdict_of(interval: Interval, margin: float) -> Verdict:
    """The verdict that an interval of the ratio new / old allows. margin: as a fraction of 1."""
    low, high = interval.low, interval.high
    if 1 - margin <= low and high <= 1 + margin:
        return Verdict.EQUAL
    if high < 1:
        return Verdict.BETTER
    if high <= 1 + margin:
        return Verdict.NOT_WORSE
    return Verdict.WORSE if low > 1 + margin else Verdict.UNDECIDED


def mean_interval(values: Sequence[float], confidence: float) -> Estimate:
    """The mean with Student's interval. Raises ValueError for fewer than two values."""
    if len(values) < 2:
        raise ValueError("there is no interval of fewer than two values")
    ranked = sorted(values)
    mean = fmean(ranked)
    half = student_t(len(ranked) - 1, confidence) * stdev(ranked, mean) / sqrt(len(ranked))
    return Estimate(mean, mean - half, mean + half, confidence)


def student_t(freedom: int, confidence: float) -> float:
    """The t within which a value of Student's distribution lies, on either side of 0, with this confidence."""
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return sqrt(freedom) * sin(low) / cos(low)


def _within(angle: float, freedom: int) -> float:
    """The share of Student's distribution within t = sqrt(freedom) * tan(angle) on either side of 0."""
    square = cos(angle) ** 2
    odd = freedom % 2
    total, term = 0.0, cos(angle) if odd else 1.0
    for k in range(freedom // 2):
        total += term
        term *= square * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
