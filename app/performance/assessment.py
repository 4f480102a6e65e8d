"""The one assessment of run time and cost that pages, metrics, gates, commands and reports show. Pure.

Each measure rests on the pairs of `app.performance.pairs` within the window. The ratio is the median of the ratios
new / old of the pairs, not the ratio of two medians: runs of different load are only compared with their counterpart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from app.config.performance import USUAL, Performance
from app.durations import measured
from app.performance.attribution import NOTHING, Attribution, Bill, Delivery
from app.performance.pairs import Compared, Pair, pairs
from app.performance.statistic import NO_VALUES, Interval, Spread, Verdict, median_interval, spread, verdict_of
from app.store.collected.records import JobRunRecord, ScheduleRecord

NOT_MEASURED = "not measured"

MEASURES = (
    ("run_time", "Run time", "s"),
    ("setup", "Setup time", "s"),
    ("queue", "Queue time", "s"),
    ("dbu", "DBU", "DBU"),
    ("usd", "Cost at list price", "USD"),
)
"""Key, title and unit of each measure."""

_NO_SETUPS: Mapping[int, float] = {}


@dataclass(frozen=True)
class Point:
    """One pair in one measure. baseline, candidate: its values, in the measure's unit."""

    pair: Pair
    baseline: float
    candidate: float

    @property
    def ratio(self) -> float:
        """New over old."""
        return self.candidate / self.baseline


@dataclass(frozen=True)
class Measure:
    """One measure of both sides over the same pairs.

    points: newest first. baseline, candidate: medians and 95th percentiles of the sides. ratio, interval: median of the
    points' ratios, None without points. left_out: why pairs within the window do not count, each with how many.
    """

    key: str
    title: str
    unit: str
    settings: Performance
    points: tuple[Point, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    baseline: Spread = NO_VALUES
    candidate: Spread = NO_VALUES
    ratio: float | None = None
    interval: Interval | None = None
    verdict: Verdict = Verdict.NOT_ENOUGH

    @property
    def as_of(self) -> datetime | None:
        """End of the newest pair; None without one."""
        return max((max(p.pair.baseline.end, p.pair.candidate.end) for p in self.points), default=None)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Old and new run id of each pair behind the figures, newest first."""
        return tuple((p.pair.baseline.run.run_id, p.pair.candidate.run.run_id) for p in self.points)

    def at_most(self, factor: float) -> bool | None:
        """Whether the new side needs at most `factor` times as much as the old one; None where that is not decided.

        True: the whole interval ends within the margin above the factor. False: it lies above it.
        """
        if self.interval is None or self.verdict is Verdict.NOT_ENOUGH:
            return None
        limit = factor * (1 + self.settings.margin)
        if self.interval.high <= limit:
            return True
        return False if self.interval.low > limit else None

    def sentence(self) -> str:
        """The figures in one sentence, as every page and command prints them."""
        pending = "".join(f"; {n} {why}" for why, n in self.left_out.items())
        if self.verdict is Verdict.NOT_ENOUGH or self.ratio is None or self.interval is None:
            return f"{_pairs(len(self.points))} of {self.settings.minimum_pairs} needed{pending}"
        old, new = (self.shown(s.median) for s in (self.baseline, self.candidate))
        low, high = f"{self.interval.low:.2f}", f"{self.interval.high:.2f}"
        alone = len(self.points) == 1
        sure = "no interval" if alone else f"{low} to {high} at {self.interval.coverage:.0%} confidence"
        return f"{self.ratio:.2f} times the old side ({sure}, {_pairs(len(self.points))}): {new} against {old}{pending}"

    def shown(self, value: float | None) -> str:
        """A value with its unit."""
        if value is None:
            return "unknown"
        if self.unit == "USD":
            return f"${value:.4f}" if abs(value) < 0.1 else f"${value:,.2f}"
        if self.unit == "DBU":
            return f"{value:,.2f} DBU"
        return measured(value)


@dataclass(frozen=True)
class Assessment:
    """Run time and cost of both sides.

    pairs: within the window, newest first. run_time: of the successful runs without queue and setup (s); with setup in
    pairs where that of a side is not known. setup, queue: never judged (s). dbu, usd: of whole deliveries, of final
    bills only. attribution: every bill since `since`. setups, run_times: by
    run id, where they are known (s); the run time of a run that has a pair is that of the pair.
    """

    settings: Performance
    since: datetime | None
    pairs: tuple[Pair, ...]
    run_time: Measure
    setup: Measure
    queue: Measure
    dbu: Measure
    usd: Measure
    attribution: Attribution
    setups: Mapping[int, float] = field(default_factory=dict)
    run_times: Mapping[int, float] = field(default_factory=dict)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that have a verdict."""
        return (self.run_time, self.dbu, self.usd)


NOT_ASSESSED = Assessment(
    USUAL,
    None,
    (),
    run_time=Measure(*MEASURES[0], USUAL),
    setup=Measure(*MEASURES[1], USUAL),
    queue=Measure(*MEASURES[2], USUAL),
    dbu=Measure(*MEASURES[3], USUAL),
    usd=Measure(*MEASURES[4], USUAL),
    attribution=NOTHING,
)
"""Before anything was read."""


def assess(
    settings: Performance,
    attribution: Attribution,
    schedules: Mapping[str, ScheduleRecord],
    compared: Iterable[Compared],
    now: datetime,
    setups: Mapping[int, float] = _NO_SETUPS,
) -> Assessment:
    """The assessment at `now`. attribution: of all runs and bills since before the window. compared: of production.
    setups: seconds in which a run only waited for its compute, by run id, where they are known."""
    since = now - timedelta(days=settings.window_days)
    chosen = tuple(p for p in pairs(attribution.deliveries, schedules, compared) if p.at >= since)

    def run_time(pair: Pair) -> _Values:
        old, new = pair.baseline.run, pair.candidate.run
        apart = old.run_id in setups and new.run_id in setups
        waited = [setups[r.run_id] if apart else 0.0 for r in (old, new)]
        return _seconds(old, waited[0]), _seconds(new, waited[1]), NOT_MEASURED

    def setup(pair: Pair) -> _Values:
        return setups.get(pair.baseline.run.run_id), setups.get(pair.candidate.run.run_id), NOT_MEASURED

    def queue(pair: Pair) -> _Values:
        return pair.baseline.run.queue_seconds, pair.candidate.run.queue_seconds, NOT_MEASURED

    def dbu(pair: Pair) -> _Values:
        return _billed(pair, (Bill.FINAL, Bill.UNPRICED), lambda d: d.dbu)

    def usd(pair: Pair) -> _Values:
        return _billed(pair, (Bill.FINAL,), lambda d: d.usd)

    of = {m[0]: m for m in MEASURES}
    times = _measure(*of["run_time"], settings, chosen, run_time)
    return Assessment(
        settings,
        since,
        chosen,
        run_time=times,
        setup=_measure(*of["setup"], settings, chosen, setup),
        queue=_measure(*of["queue"], settings, chosen, queue),
        dbu=_measure(*of["dbu"], settings, chosen, dbu),
        usd=_measure(*of["usd"], settings, chosen, usd),
        attribution=attribution,
        setups=setups,
        run_times=_run_times(attribution, times, setups),
    )


_Values = tuple[float | None, float | None, str]
"""Of the old and of the new side, and why a pair where one is missing does not count."""


def _seconds(run: JobRunRecord, setup: float) -> float | None:
    """A repaired run took the time of its attempts, not the pauses between them."""
    whole = run.run_seconds if run.attempt_seconds is None else run.attempt_seconds
    return None if whole is None else max(0.0, whole - setup)


def _run_times(attribution: Attribution, paired: Measure, setups: Mapping[int, float]) -> dict[int, float]:
    runs = (b.run for b in attribution.bills.values())
    found = {r.run_id: s for r in runs if (s := _seconds(r, setups.get(r.run_id, 0.0))) is not None}
    for p in paired.points:
        found[p.pair.baseline.run.run_id] = p.baseline
        found[p.pair.candidate.run.run_id] = p.candidate
    return found


def _billed(pair: Pair, counted: tuple[Bill, ...], value: Callable[[Delivery], float | None]) -> _Values:
    old, new = (value(d) if d.state in counted else None for d in (pair.baseline, pair.candidate))
    return old, new, _WAITING[(pair.baseline if old is None else pair.candidate).state]


_WAITING = {
    Bill.FINAL: NOT_MEASURED,
    Bill.OPEN: "with a bill that is not final",
    Bill.MISSING: "without a bill",
    Bill.PARTIAL: "with an incomplete bill",
    Bill.UNPRICED: "without a list price",
}


def _measure(
    key: str,
    title: str,
    unit: str,
    settings: Performance,
    chosen: Iterable[Pair],
    values: Callable[[Pair], _Values],
) -> Measure:
    known: list[tuple[float, float]] = []
    points: list[Point] = []
    left_out: Counter[str] = Counter()
    for pair in chosen:
        old, new, why = values(pair)
        if old is None or new is None:
            left_out[why] += 1
            continue
        known.append((old, new))
        if old <= 0:
            left_out["without a measurable old side"] += 1
        else:
            points.append(Point(pair, old, new))
    ratios = [p.ratio for p in points]
    interval = median_interval(ratios, settings.confidence) if ratios else None
    enough = interval is not None and len(points) >= settings.minimum_pairs
    return Measure(
        key, title, unit, settings,
        points=tuple(points),
        left_out=dict(sorted(left_out.items())),
        baseline=spread([old for old, _ in known]),
        candidate=spread([new for _, new in known]),
        ratio=median(ratios) if ratios else None,
        interval=interval,
        verdict=verdict_of(interval, settings.margin) if interval is not None and enough else Verdict.NOT_ENOUGH,
    )  # fmt: skip


def _pairs(n: int) -> str:
    return "1 pair" if n == 1 else f"{n} pairs"
