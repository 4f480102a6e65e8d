"""Charts of the page Health: slots of the schedules, age of the tables, expectations over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.durations import duration
from app.progress.adherence import Slot, SlotState
from app.progress.freshness import Freshness
from app.progress.quality_trend import Trend
from app.web.components import sides
from app.web.components.charts import hatching, layout, local, time_axis
from app.web.components.figure import Figure
from app.web.components.text import moment, percent, plot_text, shorten

GOOD, WARN, BAD, QUIET = "#2E8B57", "#B8860B", "#C0392B", "#7A858F"
STATES: Mapping[SlotState, tuple[str, str]] = {
    SlotState.ON_TIME: ("square", GOOD),
    SlotState.LATE: ("diamond", WARN),
    SlotState.FAILED: ("x", BAD),
    SlotState.MISSED: ("circle-open", BAD),
    SlotState.RUNNING: ("triangle-right", "#8C6BB1"),
    SlotState.DUE: ("triangle-right-open", "#8C6BB1"),
    SlotState.UNKNOWN: ("line-ew-open", QUIET),
}
"""Each state's marker and colour: its shape tells it apart without the colour."""

YOUNG = timedelta(hours=2)
"""Ages below are drawn in minutes."""

MOST_ROWS = 12
"""Times of day of one side that are drawn as rows of their own; with more of them a day is one bar."""

MOST_TRENDS = 8
_SERIES = (
    ("#009E73", "circle"), ("#CC79A7", "square"), ("#8C6BB1", "diamond"), ("#A6761D", "triangle-up"),
    ("#1B9E9E", "cross"), ("#7A858F", "star"), ("#666600", "pentagon"), ("#B2567A", "hexagon"),
)  # fmt: skip


def slot_grid(slots: Mapping[str, Sequence[Slot]], zone: ZoneInfo) -> Figure:
    """One marker for each slot: days along the axis, a row for each time of day and side. Its shape is its state."""
    figure = Figure()
    everything = [s for of_side in slots.values() for s in of_side]
    rows = _rows(slots, zone)
    if any(sum(1 for r in rows if r[0] == side) > MOST_ROWS for side in slots):
        return _slot_bars(everything, zone)
    for state, (symbol, colour) in STATES.items():
        chosen = [s for s in everything if s.state is state]
        if not chosen:
            continue
        figure.add_scatter(
            name=str(state),
            mode="markers",
            x=[local(s.due, zone).date() for s in chosen],
            y=[_row_of(s, zone) for s in chosen],
            marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 1.5, "color": colour}},
            customdata=[["" if s.run is None else str(s.run.run_id)] for s in chosen],
            hovertext=[_slot_text(s, zone) for s in chosen],
            hoverinfo="text",
        )
    layout(figure, 60 + 24 * max(1, len(rows)), showlegend=True)
    figure.update_xaxes(type="date", title=f"Day ({zone.key})")
    figure.update_yaxes(categoryorder="array", categoryarray=[f"{t} {sides.NAMES[s]}" for s, t in reversed(rows)])
    return figure


def _rows(slots: Mapping[str, Sequence[Slot]], zone: ZoneInfo) -> list[tuple[str, str]]:
    """Side and time of day of each row, the old side first."""
    return [
        (side, time)
        for side in sides.NAMES
        for time in sorted({f"{local(s.due, zone):%H:%M}" for s in slots.get(side, ())})
    ]


def _row_of(slot: Slot, zone: ZoneInfo) -> str:
    return f"{local(slot.due, zone):%H:%M} {sides.NAMES[slot.side]}"


def _slot_text(slot: Slot, zone: ZoneInfo) -> str:
    lines = [f"{sides.name(slot.side)}, slot {moment(slot.due, zone)}", f"<b>{slot.state}</b>"]
    if slot.run is not None:
        lines.append(
            f"run {slot.run.run_id}: {plot_text(slot.run.outcome)}{', generated' if slot.run.generated else ''}"
        )
        if slot.delay is not None:
            lines.append(f"started {duration(slot.delay)} after the slot")
    if slot.tries > 1:
        lines.append(f"{slot.tries} runs in its window")
    return "<br>".join(lines)


def _slot_bars(slots: Sequence[Slot], zone: ZoneInfo) -> Figure:
    """Number of slots of each day by state, a bar for each side."""
    figure = Figure()
    for state, (_, colour) in STATES.items():
        count: dict[tuple[str, str], int] = {}
        for s in slots:
            if s.state is state:
                key = (f"{local(s.due, zone):%Y-%m-%d}", sides.NAMES[s.side])
                count[key] = count.get(key, 0) + 1
        if count:
            days, whose = zip(*count, strict=True)
            figure.add_bar(name=str(state), x=[days, whose], y=list(count.values()), marker={"color": colour})
    layout(figure, 260, barmode="stack", showlegend=True)
    figure.update_yaxes(title="slots")
    return figure


def table_ages(tables: Sequence[Freshness], slots: Mapping[str, Sequence[Slot]], now: datetime) -> Figure:
    """Time since each table was last written, both sides, in minutes where all are young; a stale one is hatched.

    The dashed line of a side is its newest slot that is over: a longer bar was not written for it.
    """
    figure = Figure()
    names = list(dict.fromkeys(t.table for t in tables))
    oldest = max((t.age(now) or timedelta(0) for t in tables), default=timedelta(0))
    unit, of_unit = ("minutes", 60) if oldest < YOUNG else ("hours", 3600)
    # The first bars of a group are its lowest.
    for side in ("candidate", "baseline"):
        chosen = [t for t in tables if t.side == side and t.written_at is not None]
        if not chosen:
            continue
        patterns = ["x" if t.state == "stale" else "" for t in chosen]
        ages = [(t.age(now) or timedelta(0)).total_seconds() for t in chosen]
        figure.add_bar(
            orientation="h",
            name=sides.name(side),
            y=[plot_text(shorten(t.table, 30)) for t in chosen],
            x=[age / of_unit for age in ages],
            marker={
                "color": sides.colour(side),
                "pattern": hatching(patterns),
            },
            hovertext=[
                f"{plot_text(t.name)}<br><b>{t.state}</b>{': ' + plot_text(t.reason) if t.reason else ''}<br>"
                f"written {duration(age)} ago{'<br>serves consumers' if t.serves else ''}"
                for t, age in zip(chosen, ages, strict=True)
            ],
            hoverinfo="text",
        )  # fmt: skip
        over = [s.due for s in slots.get(side, ()) if s.ends <= now]
        if over:
            figure.add_vline(
                x=(now - max(over)).total_seconds() / of_unit,
                line={"dash": "dash", "width": 2, "color": sides.colour(side)},
            )
    layout(figure, 40 + 44 * max(1, len(names)), barmode="group", showlegend=True)
    figure.update_layout(legend={"traceorder": "reversed"})
    figure.update_xaxes(title=f"{unit} since the last write", rangemode="tozero")
    figure.update_yaxes(categoryorder="array", categoryarray=[plot_text(shorten(n, 30)) for n in reversed(names)])
    return figure


def pass_rates(trends: Sequence[Trend], zone: ZoneInfo) -> Figure:
    """Share of rows that passed, one line for each of `trends`; an alert is a large red triangle."""
    figure = Figure()
    points = [p for t in trends for p in t.points]
    for (colour, symbol), trend in zip(_SERIES, trends, strict=False):
        figure.add_scatter(
            name=plot_text(shorten(f"{trend.name} ({trend.dataset})", 44)),
            mode="lines+markers",
            cliponaxis=False,
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "symbol": symbol, "size": 6},
            x=[local(p.at, zone) for p in trend.points],
            y=[100 * (1 - p.share) for p in trend.points],
            hovertext=[
                f"{plot_text(trend.name)} on {plot_text(trend.dataset)}<br>{moment(p.at, zone)}<br>"
                f"{p.failed:,} of {p.rows:,} rows failed ({percent(p.share)}){'<br>generated' if p.generated else ''}"
                for p in trend.points
            ],
            hoverinfo="text",
        )
    alerts = [(t, p) for t in trends for p in t.alerts]
    if alerts:
        figure.add_scatter(
            name="alert",
            mode="markers",
            cliponaxis=False,
            marker={"symbol": "triangle-up-open", "size": 16, "color": BAD, "line": {"width": 3, "color": BAD}},
            x=[local(p.at, zone) for _, p in alerts],
            y=[100 * (1 - p.share) for _, p in alerts],
            hovertext=[
                f"<b>sudden change</b><br>{plot_text(t.name)} on {plot_text(t.dataset)}<br>{moment(p.at, zone)}<br>"
                f"{percent(p.share)} of the rows failed, usual is {percent(p.usual)}"
                for t, p in alerts
            ],
            hoverinfo="text",
        )
    layout(figure, 260, showlegend=True)
    time_axis(figure, zone, (p.at for p in points))
    lowest = min((100 * (1 - p.share) for p in points), default=100.0)
    pad = max(0.2, (100 - lowest) * 0.08)
    figure.update_yaxes(title="rows that passed, %", range=[lowest - pad, 100])
    return figure
