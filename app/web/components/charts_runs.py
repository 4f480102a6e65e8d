"""Charts of runs and updates: last runs as dots, the grid of tasks, durations, and the tables of an update.

Data in, a Plotly figure out. `clickable` draws one whose points open what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from zlib import crc32
from zoneinfo import ZoneInfo

import streamlit as st

from app.web.components import sides
from app.web.components.charts import CONFIG, Bar, hatching, layout, local, time_axis, zone_title
from app.web.components.figure import Figure
from app.web.components.opening import opened, put
from app.web.components.status import Tone
from app.web.components.text import literal, moment, plot_text, seconds, shorten

# Legible on the light and the dark background; neither of the sides' colours.
TONES: dict[Tone, tuple[str, str]] = {
    "good": ("circle", "#2E8B57"),
    "bad": ("x", "#D1495B"),
    "warn": ("diamond", "#B8860B"),
    "busy": ("hourglass", "#8C6BB1"),
    "quiet": ("circle-open", "#8A8F94"),
    "unknown": ("circle-open-dot", "#8A8F94"),
}
_LINES = ("#009E73", "#CC79A7", "#8C6BB1", "#7A858F", "#A6761D", "#B2182B", "#5AAE61", "#999933")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "pentagon")

MANY = 1_000
"""From so many points on, a chart draws them by WebGL and without lines."""


@dataclass(frozen=True)
class Dot:
    """One run or update. opens: what a click opens, as (query parameter, id). word: its state; note: for the hover."""

    opens: tuple[str, str]
    tone: Tone
    word: str
    note: str
    generated: bool = False


@dataclass(frozen=True)
class Cell:
    """One task in one run: the newest try. tries: all of them."""

    seconds: float | None
    tone: Tone
    word: str
    tries: int


@dataclass(frozen=True)
class Node:
    """One dataset of an update. inputs: names of the nodes that it reads. figures: rows, seconds, quality, in words.

    source: it is not the pipeline's, only read by it.
    """

    name: str
    inputs: tuple[str, ...]
    tone: Tone
    word: str
    figures: str
    source: bool = False


def clickable(figure: Figure, title: str, *, key: str) -> None:
    """Draws `figure` under its title; a click on a point opens what its `customdata` names, as `parameter=id`."""
    # A chart keeps its selection: another key after each opening makes the same point clickable again.
    name = f"{key}_{crc32(repr([opened(parameter) for parameter in ('run', 'update', 'task')]).encode())}"

    def clicked() -> None:
        points = st.session_state[name].selection.points
        if points:
            parameter, _, value = str(_first(points[0]["customdata"])).partition("=")
            put(parameter, value)

    with st.container(gap=None):
        st.markdown(f"**{literal(title)}**")
        st.plotly_chart(
            figure,
            key=name,
            config=CONFIG,
            alt=title,
            width="stretch",
            on_select=clicked,
            selection_mode="points",
        )


def _first(value: object) -> object:
    return value[0] if isinstance(value, list | tuple) and value else value


def dots(lanes: Mapping[str, Sequence[Dot]]) -> Figure:
    """A row of dots for each lane, newest right: lane -> its dots, newest first. Shape and colour are the state."""
    figure = Figure()
    longest = max((len(found) for found in lanes.values()), default=0)
    words: dict[Tone, dict[str, None]] = {}
    placed: dict[Tone, list[tuple[str, int, Dot]]] = {}
    for lane, found in lanes.items():
        for n, dot in enumerate(found):
            placed.setdefault(dot.tone, []).append((lane, -n, dot))
            words.setdefault(dot.tone, {})[dot.word] = None
    for tone, (symbol, colour) in TONES.items():
        chosen = placed.get(tone, [])
        if not chosen:
            continue
        figure.add_scatter(
            name=plot_text(shorten(" or ".join(list(words[tone])[:3]), 48)),
            mode="markers",
            x=[x for _, x, _ in chosen],
            y=[plot_text(shorten(lane, 24)) for lane, _, _ in chosen],
            marker={
                "symbol": symbol,
                "size": 12,
                "color": colour,
                "opacity": [0.5 if dot.generated else 1.0 for _, _, dot in chosen],
                "line": {"width": 1.5, "color": colour},
            },
            customdata=["=".join(dot.opens) for _, _, dot in chosen],
            hovertext=[
                f"{plot_text(dot.word)}{' (generated history)' if dot.generated else ''}<br>{plot_text(dot.note)}"
                for _, _, dot in chosen
            ],
            hoverinfo="text",
        )
    layout(figure, 24 + 38 * max(1, len(lanes)), showlegend=True)
    figure.update_xaxes(visible=False, range=[-max(longest, 12) + 0.3, 0.7], fixedrange=True)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[plot_text(shorten(lane, 24)) for lane in reversed(list(lanes))],
        fixedrange=True,
        showgrid=False,
    )
    return figure


@dataclass(frozen=True)
class Duration:
    """One run or update in a chart of durations. value: seconds. series: its line; side: its colour, if it has one."""

    opens: tuple[str, str]
    series: str
    when: datetime
    value: float
    tone: Tone = "good"
    word: str = ""
    side: str | None = None


def durations(points: Sequence[Duration], zone: ZoneInfo, height: int = 240) -> Figure:
    """Seconds of each run over time, one line for each series; one that did not simply succeed has another shape."""
    figure = Figure()
    many = len(points) > MANY
    add = figure.add_scattergl if many else figure.add_scatter
    series: dict[str, list[Duration]] = {}
    for p in points:
        series.setdefault(p.series, []).append(p)
    for n, (name, found) in enumerate(series.items()):
        found.sort(key=lambda p: p.when)
        side = found[0].side
        colour = sides.colour(side) if side else _LINES[n % len(_LINES)]
        base = sides.SHAPES.get(side, "circle") if side else _SYMBOLS[n % len(_SYMBOLS)]
        odd = [p for p in found if p.tone not in ("good", "quiet")]
        for chosen, symbol, first in (
            (found, base, True),
            # Only these have shapes of their own: lists of thousands of equal shapes take longer than all else.
            (odd, [TONES[p.tone][0] for p in odd], False),
        ):
            if not chosen:
                continue
            words = list(dict.fromkeys(p.word for p in chosen))
            add(
                name=plot_text(shorten(name, 36)),
                legendgroup=name,
                showlegend=first,
                mode="lines+markers" if first and not many else "markers",
                line={"color": colour, "width": 1} if first else None,
                x=[local(p.when, zone) for p in chosen],
                y=[p.value for p in chosen],
                marker={"color": colour, "size": (6 if many else 8) + (0 if first else 3), "symbol": symbol},
                customdata=["=".join(p.opens) for p in chosen],
                text=plot_text(words[0]) if len(words) == 1 else [plot_text(p.word) for p in chosen],
                hovertemplate="%{x|%Y-%m-%d %H:%M}<br>%{y:,.4g} s<br>%{text}",
            )
    layout(figure, height, showlegend=len(series) > 1)
    time_axis(figure, zone, (p.when for p in points))
    figure.update_yaxes(title="seconds", rangemode="tozero")
    return figure


def task_grid(runs: Sequence[tuple[int, datetime]], cells: Mapping[str, Mapping[int, Cell]], zone: ZoneInfo) -> Figure:
    """Tasks by runs: colour is the duration against the task's median, the sign is the state or the number of tries.

    runs: (run id, start), oldest first. cells: task -> run id -> cell, in the order of the rows.
    """
    figure = Figure()
    ids = [run_id for run_id, _ in runs]
    labels = [when.astimezone(zone).strftime("%m-%d<br>%H:%M") for _, when in runs]
    tasks = list(cells)
    names = [plot_text(shorten(task, 24)) for task in tasks]
    ratios: list[list[float | None]] = []
    for task in tasks:
        known = [c.seconds for c in cells[task].values() if c.seconds and c.tone in ("good", "warn")]
        middle = median(known) if known else None
        row = [cells[task].get(run_id) for run_id in ids]
        ratios.append([c.seconds / middle if c and c.seconds and middle else None for c in row])
    figure.add_heatmap(
        x=list(range(len(ids))),
        y=names,
        z=ratios,
        zmin=0.5,
        zmax=2.0,
        colorscale="Purples",
        xgap=2,
        ygap=2,
        hoverinfo="skip",
        colorbar={"title": {"text": "× median", "side": "right"}, "thickness": 10, "outlinewidth": 0},
    )
    rows = list(zip(names, tasks, strict=True))
    placed = [(n, name, task, cells[task][i]) for n, i in enumerate(ids) for name, task in rows if i in cells[task]]
    figure.add_scatter(
        x=[n for n, *_ in placed],
        y=[name for _, name, *_ in placed],
        mode="markers+text",
        # The marker covers its cell, so that a click there opens the run at this task.
        marker={"size": 18, "symbol": "square", "color": "rgba(0,0,0,0)"},
        text=[_sign(cell) for *_, cell in placed],
        textfont={"color": "#3A1D5C", "size": 12},
        customdata=[f"run={ids[n]}" for n, *_ in placed],
        hovertext=[
            f"{plot_text(task)}<br>{plot_text(cell.word)}, {seconds(cell.seconds)}"
            f"{f', {cell.tries} tries' if cell.tries > 1 else ''}<br>{moment(runs[n][1], zone)}"
            for n, _, task, cell in placed
        ],
        hoverinfo="text",
        showlegend=False,
    )
    layout(figure, 72 + 26 * max(1, len(tasks)), showlegend=False)
    step = max(1, -(-len(ids) // 5))
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(0, len(ids), step)), ticktext=labels[::step], showgrid=False,
        tickangle=0, title=f"start, newest right ({zone.key})",
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    return figure


def _sign(cell: Cell) -> str:
    sign = {"bad": "✕", "busy": "◐", "quiet": "○", "unknown": "?"}.get(cell.tone, "")
    return sign + (str(cell.tries) if cell.tries > 1 else "")


def gantt(bars: Sequence[Bar], zone: ZoneInfo, now: datetime) -> Figure:
    """Bars along time, one lane each in their order, with their duration; a failed one is hatched."""
    figure = Figure()
    figure.add_bar(
        orientation="h",
        y=[plot_text(shorten(b.lane, 28)) for b in bars],
        base=[local(b.start, zone) for b in bars],
        x=[max(0.2, b.length(now).total_seconds()) * 1000 for b in bars],
        marker={
            "color": [sides.colour(b.side) for b in bars],
            "opacity": [0.5 if b.generated else 0.75 if b.tone == "busy" else 1.0 for b in bars],
            "line": {"width": 1, "color": [sides.colour(b.side) for b in bars]},
            "pattern": hatching(["x" if b.tone == "bad" else "" for b in bars]),
        },
        text=[b.duration for b in bars],
        textposition="auto",
        constraintext="none",
        textfont={"size": 11},
        cliponaxis=False,
        customdata=[b.id for b in bars],
        hovertext=[
            f"{plot_text(b.lane)}<br>{plot_text(b.state)}<br>{moment(b.start, zone)}<br>{b.duration}" for b in bars
        ],
        hoverinfo="text",
    )
    layout(figure, 40 + 24 * max(1, len(bars)), showlegend=False)
    figure.update_xaxes(type="date")
    times = [b.start for b in bars] + [b.end or now for b in bars]
    if bars:
        # The last bar's duration may stand behind it.
        end = max(times) + (max(times) - min(times)) / 6
        figure.update_xaxes(title=zone_title(zone, times), range=[local(min(times), zone), local(end, zone)])
    figure.update_yaxes(autorange="reversed")
    return figure


def numbers(items: Sequence[tuple[str, int]]) -> Figure:
    """One bar for each label with its number, largest first."""
    figure = Figure()
    figure.add_bar(
        orientation="h",
        y=[plot_text(shorten(name, 36)) for name, _ in items],
        x=[value for _, value in items],
        marker={"color": TONES["bad"][1]},
        text=[f"{value:,}" for _, value in items],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{plot_text(name)}: {value:,}" for name, value in items],
        hoverinfo="text",
    )
    layout(figure, 16 + 26 * max(1, len(items)), showlegend=False)
    figure.update_xaxes(visible=False, range=[0, 1.15 * max((value for _, value in items), default=1)])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def layers(nodes: Sequence[Node]) -> dict[str, int]:
    """Node -> its layer: 0 reads no other node, any other is one behind the last of those that it reads."""
    known = {n.name: n for n in nodes}
    found: dict[str, int] = {}

    def layer(name: str, above: tuple[str, ...]) -> int:
        if name not in found:
            # The event log of a broken update may name a circle: it ends where it closes.
            inputs = [i for i in known[name].inputs if i in known and i not in above and i != name]
            found[name] = max((layer(i, (*above, name)) + 1 for i in inputs), default=0)
        return found[name]

    for node in nodes:
        layer(node.name, ())
    return found


def tables_graph(nodes: Sequence[Node]) -> Figure:
    """The datasets of an update, one row each, sources first; lines lead from what a dataset reads to it.

    Beside each its rows, seconds and failed rows. It fits a narrow screen, where a drawing from left to right does not.
    """
    depth = layers(nodes)
    ordered = sorted(nodes, key=lambda n: (depth[n.name], not n.source, n.name))
    row = {n.name: i for i, n in enumerate(ordered)}
    figure = Figure()
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in ordered:
        for name in node.inputs:
            if name in row:
                a, b = (depth[name], row[name]), (depth[node.name], row[node.name])
                # Down beside the input, then over to the node: lines do not cross the names.
                xs += [a[0], a[0] + 0.5, b[0] - 0.5, b[0], None]
                ys += [a[1], a[1] + 0.5, b[1] - 0.2, b[1], None]
    figure.add_scatter(
        x=xs, y=ys, mode="lines", line={"color": "#8A8F94", "width": 1, "shape": "spline"}, hoverinfo="skip",
        opacity=0.6, showlegend=False,
    )  # fmt: skip
    deepest = max(depth.values(), default=0)
    for tone, (symbol, colour) in TONES.items():
        chosen = [n for n in ordered if n.tone == tone and not n.source]
        if chosen:
            figure.add_scatter(
                name=plot_text(shorten(" or ".join(dict.fromkeys(n.word for n in chosen)), 40)),
                x=[depth[n.name] for n in chosen],
                y=[row[n.name] for n in chosen],
                mode="markers",
                marker={"symbol": symbol, "size": 13, "color": colour, "line": {"width": 1.5, "color": colour}},
                hovertext=[f"{plot_text(n.name)}<br>{plot_text(n.word)}<br>{plot_text(n.figures)}" for n in chosen],
                hoverinfo="text",
            )
    outer = [n for n in ordered if n.source]
    if outer:
        figure.add_scatter(
            name="read from outside",
            x=[depth[n.name] for n in outer],
            y=[row[n.name] for n in outer],
            mode="markers",
            marker={"symbol": "square-open", "size": 9, "color": "#8A8F94", "line": {"width": 1.5}},
            hovertext=[plot_text(n.name) for n in outer],
            hoverinfo="text",
        )
    figure.add_scatter(
        x=[deepest + 0.5] * len(ordered), y=[row[n.name] for n in ordered], mode="text",
        text=[plot_text(n.figures) for n in ordered], textposition="middle right", hoverinfo="skip", showlegend=False,
        textfont={"size": 12},
    )  # fmt: skip
    layout(figure, 24 + 26 * max(1, len(ordered)), showlegend=True)
    # Names stand on the left, figures on the right; the graph between them needs little room.
    figure.update_xaxes(visible=False, range=[-0.5, (deepest + 1) * 2.6 + 1.5], fixedrange=True)
    figure.update_yaxes(
        tickmode="array", tickvals=[row[n.name] for n in ordered],
        ticktext=[plot_text(shorten(n.name.rsplit(".", 1)[-1], 26)) for n in ordered],
        range=[len(ordered) - 0.4, -0.6], showgrid=False, zeroline=False, fixedrange=True,
    )  # fmt: skip
    return figure
