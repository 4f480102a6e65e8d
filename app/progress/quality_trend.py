"""Expectations over time: the share of failed rows update by update, with an alert where it changes suddenly. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from app.config.health import Health
from app.store.collected.records import ExpectationRecord, UpdateRecord

TO_STANDARD_DEVIATION = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution (Rousseeuw and Croux, 1993)."""

WARM_UP = timedelta(days=7)
"""How much earlier than a window its updates are read, so that the alerts at its beginning have updates before them."""


@dataclass(frozen=True)
class TrendPoint:
    """One expectation in one update. failed and rows: counts, rows of at least 1. usual: median share of the updates
    before it, None where they are too few. alert: whether its share is suddenly another.
    """

    update_id: str
    at: datetime
    failed: int
    rows: int
    usual: float | None = None
    alert: bool = False
    generated: bool = False

    @property
    def share(self) -> float:
        """Fraction of the rows that failed."""
        return self.failed / self.rows


@dataclass(frozen=True)
class Trend:
    """One expectation over time, oldest first; at least one point."""

    dataset: str
    name: str
    action: str | None
    points: tuple[TrendPoint, ...]

    @property
    def alerts(self) -> tuple[TrendPoint, ...]:
        """Updates in which its share was suddenly another."""
        return tuple(p for p in self.points if p.alert)


def trends(
    expectations: Iterable[ExpectationRecord], updates: Mapping[str, UpdateRecord], health: Health
) -> list[Trend]:
    """The trend of each expectation over these updates, by dataset and name; the order of the records does not matter.

    Only completed updates count: one that failed may have checked a part of the rows. An expectation that checked no
    row in an update has no share there. Generated points are compared with generated ones only.
    """
    series: dict[tuple[str, str], list[tuple[UpdateRecord, ExpectationRecord]]] = {}
    for e in expectations:
        update = updates.get(e.update_id)
        if update is not None and update.state == "COMPLETED" and not update.validate_only and e.passed + e.failed > 0:
            series.setdefault((e.dataset, e.name), []).append((update, e))
    found = []
    for (dataset, name), entries in sorted(series.items()):
        entries.sort(key=lambda x: (x[0].start_time, x[0].update_id))
        shares: dict[bool, list[float]] = {True: [], False: []}
        points = []
        for update, e in entries:
            rows = e.passed + e.failed
            before = shares[update.generated]
            usual, alert = judged(e.failed / rows, before, health)
            at = update.end_time or update.start_time
            points.append(TrendPoint(update.update_id, at, e.failed, rows, usual, alert, update.generated))
            before.append(e.failed / rows)
        found.append(Trend(dataset, name, entries[-1][1].action, tuple(points)))
    return found


def since_then(found: Iterable[Trend], since: datetime) -> list[Trend]:
    """The trends without the points before `since`; those that have none left are left out."""
    cut = [replace(t, points=tuple(p for p in t.points if p.at >= since)) for t in found]
    return [t for t in cut if t.points]


def judged(share: float, before: Sequence[float], health: Health) -> tuple[float | None, bool]:
    """The median of the last `trend_updates` shares before, and whether `share` is an alert against them.

    It is one where it is further from the median than `trend_deviations` scaled median absolute deviations, and than
    `trend_smallest`: shares that never vary have no deviation, and a handful of rows is no sudden change.
    """
    window = before[-health.trend_updates :]
    if len(window) < health.trend_least:
        return None, False
    usual = median(window)
    deviation = TO_STANDARD_DEVIATION * median(abs(s - usual) for s in window)
    return usual, abs(share - usual) > max(health.trend_deviations * deviation, health.trend_smallest)
