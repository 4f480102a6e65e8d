"""The charts of Overview beside the plan: verdicts of tables by comparison, ratios of run time and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.performance.assessment import Measure
from app.performance.statistic import Verdict
from app.store.parity_records import ParityState, ParityTable
from app.web.components.charts import VERDICTS, layout, zone_title
from app.web.components.figure import Figure
from app.web.components.status import Mark
from app.web.components.text import count, moment, plot_text, shorten

LANE = 62
_GREEN, _RED, _GREY = "#2E8B57", "#C0392B", "#8A949E"


@dataclass(frozen=True)
class Grid:
    """Verdicts by table and comparison. comparisons: id and end, the newest last; cells: table and id to result."""

    tables: tuple[str, ...]
    comparisons: tuple[tuple[str, datetime], ...]
    cells: dict[tuple[str, str], ParityTable]


def grid_of(found: Sequence[ParityTable], tables: Sequence[str], limit: int) -> Grid:
    """The newest `limit` comparisons of these tables. found: finished results, newest first."""
    ends: dict[str, datetime] = {}
    for result in found:
        if result.finished_at is not None:
            ends[result.parity_id] = max(result.finished_at, ends.get(result.parity_id, result.finished_at))
    newest = sorted(ends.items(), key=lambda e: (e[1], e[0]))[-limit:]
    chosen = {parity_id for parity_id, _ in newest}
    cells = {(r.table, r.parity_id): r for r in found if r.parity_id in chosen and r.table in tables}
    return Grid(tuple(tables), tuple(newest), cells)


def verdict_grid(grid: Grid, marks: Sequence[str], zone: ZoneInfo) -> Figure:
    """Tables below each other, comparisons beside each other, the newest at right. The marker's shape is the verdict.

    marks: of each table, what stands before its name. A point's custom data are its table and comparison.
    """
    figure = Figure()
    column = {parity_id: n for n, (parity_id, _) in enumerate(grid.comparisons)}
    row = {name: n for n, name in enumerate(grid.tables)}
    by_verdict: dict[str, list[tuple[str, str]]] = {}
    for cell, result in grid.cells.items():
        verdict = "cancelled" if result.state is ParityState.CANCELLED else (result.verdict or "not_proven").lower()
        by_verdict.setdefault(verdict, []).append(cell)
    for verdict, (word, symbol, colour) in VERDICTS.items():
        cells = by_verdict.get(verdict)
        if not cells:
            continue
        figure.add_scatter(
            name=word,
            mode="markers",
            x=[column[i] for _, i in cells],
            y=[row[t] for t, _ in cells],
            marker={"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=[[t, i] for t, i in cells],
            hovertext=[
                f"{plot_text(t)}<br>{word}<br>{moment(grid.cells[t, i].finished_at, zone, seconds=False)}"
                for t, i in cells
            ],
            hoverinfo="text",
        )
    layout(figure, 40 + 28 * max(1, len(grid.tables)), clickmode="event", showlegend=True)
    ticks = _ticks(len(grid.comparisons))
    figure.update_xaxes(
        tickvals=ticks, ticktext=[f"{grid.comparisons[n][1].astimezone(zone):%m-%d<br>%H:%M}" for n in ticks],
        range=[-0.6, max(len(grid.comparisons), 6) - 0.4], fixedrange=True,
        title=zone_title(zone, [at for _, at in grid.comparisons]), zeroline=False, showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(grid.tables))),
        ticktext=[f"{m} {plot_text(shorten(t, 24))}" for m, t in zip(marks, grid.tables, strict=True)],
        range=[len(grid.tables) - 0.4, -0.6], fixedrange=True, zeroline=False,
    )  # fmt: skip
    return figure


def _ticks(columns: int) -> list[int]:
    """At most four columns with a time below, the newest always."""
    step = max(1, -(-columns // 4))
    return sorted(range(columns - 1, -1, -step))


def verdict_of(measure: Measure) -> Mark:
    """A measure's verdict as a mark; too few pairs are unknown, not good."""
    word = str(measure.verdict)
    match measure.verdict:
        case Verdict.BETTER | Verdict.EQUAL | Verdict.NOT_WORSE:
            return Mark(word, "good")
        case Verdict.WORSE:
            return Mark(word, "bad")
        case _:
            return Mark(word, "unknown")


def ratios(measures: Sequence[Measure]) -> Figure:
    """New over old of each measure with its interval; a line at 1, in grey the margin within which both are equal.

    Line and margin are drawn lane by lane: over the whole height they would cross the words of a lane.

    Measures without a pair keep their lane, with the reason.
    """
    figure = Figure()
    colours = {"good": _GREEN, "bad": _RED, "unknown": _GREY}
    symbols = {"good": "circle", "bad": "x", "unknown": "diamond-open"}
    highest = max([1.3, *(m.interval.high * 1.08 for m in measures if m.interval)])
    lowest = min([0.7, *(m.interval.low * 0.92 for m in measures if m.interval)])
    margin = max((m.settings.margin for m in measures), default=0.0)
    for n, measure in enumerate(measures):
        lane = len(measures) - n
        shown = verdict_of(measure)
        low, high = lane - 0.3, lane + 0.14
        figure.add_shape(
            type="rect", x0=1 - margin, x1=1 + margin, y0=low, y1=high, xref="x", yref="y", fillcolor=_GREY,
            opacity=0.22, line={"width": 0}, layer="below",
        )  # fmt: skip
        figure.add_shape(
            type="line", x0=1, x1=1, y0=low, y1=high, xref="x", yref="y", line={"width": 1.5, "color": _GREY}
        )
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=lane + 0.3, yanchor="middle", showarrow=False, align="left",
            text=f"<b>{plot_text(measure.title)}</b>  {shown.shape} {plot_text(_words(measure, shown))}",
            font={"size": 12},
        )  # fmt: skip
        if measure.ratio is None or measure.interval is None:
            continue
        colour = colours[shown.tone]
        figure.add_scatter(
            x=[measure.ratio], y=[lane - 0.08], mode="markers", name=measure.title, hoverinfo="text",
            marker={"symbol": symbols[shown.tone], "size": 13, "color": colour, "line": {"width": 2, "color": colour}},
            error_x={
                "type": "data", "symmetric": False, "array": [measure.interval.high - measure.ratio],
                "arrayminus": [measure.ratio - measure.interval.low], "color": colour, "thickness": 2.5, "width": 7,
            },
            hovertext=[plot_text(f"{measure.title}: {measure.sentence()}")],
        )  # fmt: skip
    layout(figure, 44 + LANE * max(1, len(measures)), showlegend=False)
    figure.update_xaxes(range=[lowest, highest], title="new side / old side", zeroline=False)
    figure.update_yaxes(visible=False, range=[0.5, len(measures) + 0.6], fixedrange=True)
    return figure


def _words(measure: Measure, shown: Mark) -> str:
    if measure.ratio is None:
        return "no pair of runs yet" if not measure.left_out else "no pair of runs counts yet"
    pairs = count(len(measure.points), "pair")
    return f"{shown.word}: {measure.ratio:.2f}×, {pairs}"
