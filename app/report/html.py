"""A report as one HTML page: no script, no address to load anything from, made to be printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from app.moments import in_zone
from app.report.content import INCIDENT_DAYS, Content, MeasureLine, PhaseLine

SHAPES = {
    "✓": (
        "pass",
        "met",
        "met earlier",
        "identical",
        "verified",
        "done",
        "equal",
        "better",
        "equal or better",
        "closed",
    ),
    "✕": ("fail", "not met", "regressed", "different", "failed", "worse", "needs human"),
    "▲": ("accepted", "cancelled", "undone", "rolled back"),
    "◐": ("in progress", "running", "submitted", "ready", "queued"),
    "○": ("open", "started early", "not started", "never compared", "not compared", "not enough pairs"),
    "■": ("old",),
    "●": ("new",),
}  # fmt: skip
"""Shape to the states that have it; `?` for any other: neither proven nor disproven."""

WORDS = {"pass": "met", "fail": "not met", "inconclusive": "unknown", "not_proven": "not proven"}

NARROWEST, WIDEST = 0.5, 2.0
"""Ratios that the chart shows at least."""


@dataclass(frozen=True)
class Bar:
    """A part of a horizontal line, in percent of its width."""

    left: float
    width: float


@dataclass(frozen=True)
class PhaseBars:
    """One phase on the time line: its plan, and what happened."""

    phase: PhaseLine
    planned: Bar | None
    actual: Bar | None


@dataclass(frozen=True)
class TimeLine:
    """Phases from `first` to `last`. today: percent from the left."""

    first: date
    last: date
    today: float
    bars: tuple[PhaseBars, ...]


@dataclass(frozen=True)
class Ratios:
    """One measure's ratios on a logarithmic scale, in percent from the left: points, margin, interval, ticks."""

    measure: MeasureLine
    points: tuple[float, ...]
    one: float
    margin: Bar
    interval: Bar | None
    ticks: tuple[tuple[float, str], ...]


def render(content: Content) -> str:
    """The page. Every text is escaped: it comes from data and people."""
    zone = ZoneInfo(content.timezone)

    def moment(value: datetime | None) -> str:
        return "" if value is None else value.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")

    return _template().render(
        report=content,
        moment=moment,
        told=lambda text: in_zone(text, zone),
        shape=_shape,
        word=_word,
        incident_days=INCIDENT_DAYS,
        time_line=time_line(content, zone),
        ratios=[ratios(m) for m in content.measures if m.points],
    )


def _word(state: str) -> str:
    return WORDS.get(state, state.replace("_", " "))


def _shape(state: str) -> str:
    word = _word(state).lower()
    return next((shape for shape, states in SHAPES.items() if word in states or state in states), "?")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def time_line(content: Content, zone: ZoneInfo) -> TimeLine | None:
    """The phases in time; None where neither a plan nor a record has a date."""
    today = content.at.astimezone(zone).date()
    spans = [(_planned(p), _actual(p, zone, today)) for p in content.phases]
    days = [day for pair in spans for span in pair if span is not None for day in span]
    if not days:
        return None
    first, last = min(*days, today), max(*days, today)
    whole = max(1, (last - first).days + 1)

    def bar(span: tuple[date, date] | None) -> Bar | None:
        if span is None:
            return None
        return Bar(100 * (span[0] - first).days / whole, 100 * ((span[1] - span[0]).days + 1) / whole)

    bars = tuple(PhaseBars(p, bar(plan), bar(actual)) for p, (plan, actual) in zip(content.phases, spans, strict=True))
    return TimeLine(first, last, 100 * ((today - first).days + 0.5) / whole, bars)


def _planned(phase: PhaseLine) -> tuple[date, date] | None:
    if phase.planned_first is None or phase.planned_last is None:
        return None
    return date.fromisoformat(phase.planned_first), date.fromisoformat(phase.planned_last)


def _actual(phase: PhaseLine, zone: ZoneInfo, today: date) -> tuple[date, date] | None:
    if phase.started is None:
        return None
    return phase.started.astimezone(zone).date(), phase.ended.astimezone(zone).date() if phase.ended else today


def ratios(measure: MeasureLine) -> Ratios:
    """Where each ratio of a measure stands; the scale shows half to double, and more where the ratios go further."""
    values = [p.ratio for p in measure.points if p.ratio > 0]
    low, high = min([NARROWEST, *values]), max([WIDEST, *values])

    def at(value: float) -> float:
        clamped = min(max(value, low), high)
        return 100 * (math.log(clamped) - math.log(low)) / (math.log(high) - math.log(low))

    def bar(start: float, end: float) -> Bar:
        return Bar(at(start), at(end) - at(start))

    interval = None if measure.low is None or measure.high is None else bar(measure.low, measure.high)
    return Ratios(
        measure,
        tuple(at(v) for v in values),
        at(1.0),
        bar(1 - measure.margin, 1 + measure.margin),
        interval,
        tuple((at(v), f"{v:g}×") for v in _ticks(low, high)),
    )


def _ticks(low: float, high: float) -> Sequence[float]:
    return [v for v in (0.1, 0.25, 0.5, 1, 2, 4, 10) if low <= v <= high]
