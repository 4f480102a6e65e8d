"""Charts: data in, a Plotly figure out. Each side has a colour and a marker; a failure has a shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app.web.components import sides
from app.web.components.figure import Figure
from app.web.components.text import literal, moment, plot_text, seconds, shorten

CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False}


@dataclass(frozen=True)
class Bar:
    """One run in a timeline. end: None while it runs, or where it is unknown. id: what a click opens."""

    id: str
    lane: str
    side: str
    start: datetime
    end: datetime | None
    state: str
    tone: str
    generated: bool = False

    def length(self, now: datetime) -> timedelta:
        """Duration until its end, or until `now` while it runs; zero where its end is unknown."""
        return (self.end or (now if self.tone == "busy" else self.start)) - self.start

    @property
    def duration(self) -> str:
        """Duration in words."""
        if self.end is not None:
            return seconds((self.end - self.start).total_seconds())
        return "still running" if self.tone == "busy" else "end unknown"


@dataclass(frozen=True)
class Point:
    """One measured run: `value` in the unit of its chart."""

    id: str
    side: str
    when: datetime
    value: float
    failed: bool = False
    generated: bool = False
    note: str = ""


def show(figure: Figure, title: str, *, key: str) -> None:
    """Draws `figure` in the page's theme, light or dark, under a title that wraps; a chart's own title does not."""
    with st.container(gap=None):
        st.markdown(f"**{literal(title)}**")
        st.plotly_chart(figure, key=key, config=CONFIG, alt=title, width="stretch")


def show_and_pick(figure: Figure, title: str, *, key: str) -> list[Any] | None:
    """Draws `figure` as `show` does. Returns the custom data of a point that was clicked just now, else None."""
    with st.container(gap=None):
        st.markdown(f"**{literal(title)}**")
        event = st.plotly_chart(
            figure, key=key, config=CONFIG, alt=title, width="stretch", on_select="rerun", selection_mode="points"
        )
    points = event["selection"]["points"]
    return list(points[0]["customdata"]) if points else None


def layout(figure: Figure, height: int, **more: Any) -> Figure:
    """Sets height (pixels), margins and legend as every chart has them. more: other settings of the layout."""
    # On a narrow screen the legend has one line for each entry and grows upwards.
    legend = more.get("showlegend", len(figure.data) > 1)
    above = 34 + 12 * min(max(0, len(figure.data) - 2), 4) if legend else 8
    figure.update_layout(
        height=height + above,
        margin={"l": 8, "r": 8, "t": above, "b": 8},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "title": None,
            "font": {"size": 12},
        },
        hoverlabel={"align": "left"},
        bargap=0.35,
        **more,
    )
    figure.update_yaxes(automargin=True)
    figure.update_xaxes(automargin=True)
    return figure


def hatching(shape: str | list[str]) -> dict[str, Any]:
    """The pattern of a bar: white lines over its colour; an empty shape is none.

    By default Plotly draws the lines instead of the colour: white bars on a light page.
    """
    return {"shape": shape, "fgcolor": "#FFFFFF", "size": 5, "fillmode": "overlay"}


def _sides(found: Iterable[str]) -> list[str]:
    """The sides present, the old one first."""
    order = list(sides.COLOURS)
    return sorted(set(found), key=lambda side: (order.index(side) if side in order else len(order), side))


def local(when: datetime, zone: ZoneInfo) -> datetime:
    """`when` as a chart draws it in the reader's zone."""
    # Plotly's axes have no time zones: they get local wall-clock times, and the axis title names the zone.
    return when.astimezone(zone).replace(tzinfo=None)


def zone_title(zone: ZoneInfo, times: Sequence[datetime]) -> str:
    """The zone's abbreviations between the first and the last of `times`, with its name: `EDT, EST (America/New_York)`.

    Without times, or where a long range has more than two abbreviations, only the name.
    """
    if not times:
        return zone.key
    first, last = min(times), max(times)
    # A summer or winter time lasts for months: looked up every week, none is missed.
    looks = [first + timedelta(weeks=n) for n in range(int((last - first) / timedelta(weeks=1)) + 1)] + [last]
    names = list(dict.fromkeys(when.astimezone(zone).tzname() or zone.key for when in looks))
    return zone.key if names == [zone.key] or len(names) > 2 else f"{', '.join(names)} ({zone.key})"


def time_axis(figure: Figure, zone: ZoneInfo, times: Iterable[datetime]) -> None:
    """Sets a time axis of at least one hour: Plotly would spread a single point over milliseconds."""
    found = sorted(times)
    figure.update_xaxes(type="date", title=zone_title(zone, found))
    if found and (missing := timedelta(hours=1) - (found[-1] - found[0])) > timedelta(0):
        figure.update_xaxes(range=[local(found[0] - missing / 2, zone), local(found[-1] + missing / 2, zone)])


def timeline(bars: Sequence[Bar], zone: ZoneInfo, now: datetime) -> Figure:
    """Runs as bars along time, one lane for each job or pipeline. A failed run is hatched, a generated one pale."""
    figure = Figure()
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    for side in _sides(bar.side for bar in bars):
        for bad in (False, True):
            chosen = [b for b in bars if b.side == side and (b.tone == "bad") == bad]
            if not chosen:
                continue
            figure.add_bar(
                orientation="h",
                name=sides.name(side) + (", failed" if bad else ""),
                y=[plot_text(shorten(b.lane, 30)) for b in chosen],
                base=[local(b.start, zone) for b in chosen],
                x=[max(1.0, b.length(now).total_seconds()) * 1000 for b in chosen],
                marker={
                    "color": sides.colour(side),
                    "opacity": [0.45 if b.generated else 1.0 for b in chosen],
                    "line": {"width": 1, "color": sides.colour(side)},
                    "pattern": hatching("x" if bad else ""),
                },
                customdata=[b.id for b in chosen],
                hovertext=[
                    f"{plot_text(b.lane)}<br>{plot_text(b.state)}{' (generated history)' if b.generated else ''}<br>"
                    f"{moment(b.start, zone)}<br>{b.duration}"
                    for b in chosen
                ],
                hoverinfo="text",
            )
    layout(figure, 34 + 34 * max(1, len(lanes)), barmode="overlay")
    drawn = [when for b in bars for when in (b.start, b.start + b.length(now))]
    figure.update_xaxes(type="date", title=zone_title(zone, drawn), showgrid=True)
    figure.update_yaxes(
        categoryorder="array", categoryarray=[plot_text(shorten(x, 30)) for x in reversed(lanes)], title=None
    )
    return figure


def runs_over_time(points: Sequence[Point], zone: ZoneInfo, unit: str, height: int = 240) -> Figure:
    """One marker for each run, by side; a failed run is an x, a generated one hollow."""
    figure = Figure()
    for side in _sides(p.side for p in points):
        chosen = sorted((p for p in points if p.side == side), key=lambda p: p.when)
        base = sides.SHAPES.get(side, "circle")
        figure.add_scatter(
            name=sides.name(side),
            mode="lines+markers" if len(chosen) < 400 else "markers",
            line={"color": sides.colour(side), "width": 1},
            x=[local(p.when, zone) for p in chosen],
            y=[p.value for p in chosen],
            marker={
                "color": sides.colour(side),
                "size": 8,
                "symbol": ["x" if p.failed else base + ("-open" if p.generated else "") for p in chosen],
            },
            customdata=[p.id for p in chosen],
            hovertext=[
                f"{sides.name(side)}, {moment(p.when, zone)}<br>{p.value:,.4g} {unit}"
                f"{'<br>failed' if p.failed else ''}{'<br>generated history' if p.generated else ''}"
                f"{'<br>' + plot_text(p.note) if p.note else ''}"
                for p in chosen
            ],
            hoverinfo="text",
        )
    layout(figure, height)
    time_axis(figure, zone, (p.when for p in points))
    figure.update_yaxes(title=unit, rangemode="tozero")
    return figure


def distribution(points: Sequence[Point], unit: str, height: int = 240) -> Figure:
    """A box with all runs beside it, one row for each side, without failed runs: they measure nothing."""
    figure = Figure()
    for side in _sides(p.side for p in points):
        values = [p.value for p in points if p.side == side and not p.failed]
        figure.add_box(
            name=sides.name(side),
            x=values,
            orientation="h",
            boxpoints="all" if len(values) <= 300 else "outliers",
            jitter=0.5,
            pointpos=-1.6,
            marker={"color": sides.colour(side), "size": 5, "symbol": sides.SHAPES.get(side, "circle")},
            line={"color": sides.colour(side), "width": 2},
            hoverinfo="x",
        )
    layout(figure, height, showlegend=False)
    figure.update_xaxes(title=unit, rangemode="tozero")
    return figure


def single_bars(items: Sequence[tuple[str, float]], unit: str, side: str = "candidate") -> Figure:
    """One bar for each label, all of one side."""
    figure = Figure()
    figure.add_bar(
        orientation="h",
        y=[plot_text(shorten(name, 36)) for name, _ in items],
        x=[value for _, value in items],
        marker={"color": sides.colour(side)},
        text=[f"{value:,.4g}" for _, value in items],
        textposition="auto",
        textangle=0,
        hovertext=[f"{plot_text(name)}: {value:,.4g} {unit}" for name, value in items],
        hoverinfo="text",
    )
    layout(figure, 40 + 26 * max(1, len(items)), showlegend=False)
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure


VERDICTS = {
    "identical": ("identical", "circle", "#2E8B57"),
    "different": ("different", "x", "#C0392B"),
    "not_proven": ("not proven", "diamond-open", "#8A8F94"),
    "cancelled": ("cancelled", "line-ew-open", "#8A8F94"),
    "not_compared": ("runs not compared", "triangle-down-open", "#8C6BB1"),
}


Entry = tuple[str, datetime, str, str]
"""A comparison of one table: (table, when, verdict, id)."""

MANY = 300
"""Marks of a verdict from which rows of it become lines: each mark is an element of the page, a line is one."""

LONG = 3


def verdicts(entries: Sequence[Entry], zone: ZoneInfo) -> Figure:
    """Comparisons over time, one row for each table. The marker's shape is the verdict.

    In place of a verdict: `cancelled`, or `not_compared` for a pair of runs that no comparison covers. Where a verdict
    has many marks, a line joins those of a table as `unbroken` has them.
    """
    figure = Figure()
    tables = list(dict.fromkeys(e[0] for e in entries))
    for verdict, (word, symbol, colour) in VERDICTS.items():
        chosen = [e for e in entries if e[2].lower() == verdict]
        rows: list[Sequence[Entry]] = []
        if len(chosen) >= MANY:
            rows = [row for row in unbroken(entries, verdict) if len(row) > 1]
            in_rows = {e for row in rows for e in row}
            chosen = [e for e in chosen if e not in in_rows]
        points = [e for row in rows for e in (*row, None)][:-1]
        for found, look in (
            (points, {"mode": "lines", "line": {"width": 9, "color": colour}}),
            (chosen, {"mode": "markers", "marker": {
                "symbol": symbol, "size": 11, "color": colour, "line": {"width": 1.5, "color": colour}}}),
        ):  # fmt: skip
            if not found:
                continue
            figure.add_scatter(
                name=word,
                legendgroup=word,
                showlegend=found is points or not points,
                x=[None if e is None else local(e[1], zone) for e in found],
                y=[None if e is None else plot_text(shorten(e[0], 28)) for e in found],
                customdata=[None if e is None else e[3] for e in found],
                hovertext=["" if e is None else f"{plot_text(e[0])}<br>{word}<br>{moment(e[1], zone)}" for e in found],
                hoverinfo="text",
                **look,
            )
    layout(figure, 34 + 26 * max(1, len(tables)))
    time_axis(figure, zone, (e[1] for e in entries))
    figure.update_yaxes(categoryorder="array", categoryarray=[plot_text(shorten(t, 28)) for t in reversed(tables)])
    return figure


def unbroken(entries: Sequence[Entry], verdict: str) -> list[list[Entry]]:
    """The comparisons with this verdict, table by table along time; apart where another verdict or a long pause is.

    A pause is long that is LONG times the usual one of the table: a line over it would say that it was compared then.
    """
    rows: list[list[Entry]] = []
    for table in dict.fromkeys(e[0] for e in entries):
        found = sorted((e for e in entries if e[0] == table), key=lambda e: e[1])
        pauses = [(b[1] - a[1]).total_seconds() for a, b in pairwise(found)]
        longest = timedelta(seconds=LONG * median(pauses) if pauses else 0)
        last: Entry | None = None
        for entry in found:
            if entry[2].lower() == verdict:
                if last is None or last[2].lower() != verdict or entry[1] - last[1] > longest:
                    rows.append([])
                rows[-1].append(entry)
            last = entry
    return rows


# Not the colours of the sides: these lines are expectations.
_NEITHER = ("#009E73", "#CC79A7", "#8C6BB1", "#7A858F", "#A6761D", "#B2182B", "#5AAE61", "#999933")


def failed_share(series: Sequence[tuple[str, Sequence[tuple[datetime, int, int]]]], zone: ZoneInfo) -> Figure:
    """Share of rows that fail each expectation, by update: (expectation, [(when, passed, failed), ...])."""
    figure = Figure()
    symbols = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "pentagon")
    for n, (name, values) in enumerate(series):
        figure.add_scatter(
            name=plot_text(shorten(name, 36)),
            mode="lines+markers",
            x=[local(when, zone) for when, _, _ in values],
            y=[100 * failed / (passed + failed) if passed + failed else 0.0 for _, passed, failed in values],
            line={"color": _NEITHER[n % len(_NEITHER)], "width": 1.5},
            marker={"symbol": symbols[n % len(symbols)], "size": 8, "color": _NEITHER[n % len(_NEITHER)]},
            hovertext=[
                f"{plot_text(name)}<br>{moment(when, zone)}<br>{failed:,} of {passed + failed:,} rows failed"
                for when, passed, failed in values
            ],
            hoverinfo="text",
        )
    layout(figure, 240)
    time_axis(figure, zone, (when for _, values in series for when, _, _ in values))
    figure.update_yaxes(title="rows failed, %", rangemode="tozero")
    return figure


def columns_bar(columns: Sequence[tuple[str, int]]) -> Figure:
    """Number of rows that differ in each column, largest first."""
    figure = Figure()
    figure.add_bar(
        orientation="h",
        y=[plot_text(shorten(name, 40)) for name, _ in columns],
        x=[rows for _, rows in columns],
        marker={"color": "#C0392B"},
        text=[f"{rows:,}" for _, rows in columns],
        textposition="auto",
        textangle=0,
        hovertext=[f"{plot_text(name)}: {rows:,} rows" for name, rows in columns],
        hoverinfo="text",
    )
    layout(figure, 40 + 26 * max(1, len(columns)))
    figure.update_xaxes(title="rows", rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure
