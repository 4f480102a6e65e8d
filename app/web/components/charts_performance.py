"""Charts of run time and cost: the ratios of the pairs, and both sides by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.web.components import sides
from app.web.components.charts import hatching, layout, local, time_axis
from app.web.components.figure import Figure
from app.web.components.text import moment, plot_text


@dataclass(frozen=True)
class RatioPoint:
    """New over old of one pair. id: what it opens. note: values of both sides, in words."""

    id: str
    when: datetime
    ratio: float
    note: str


@dataclass(frozen=True)
class Band:
    """What all pairs of the assessment say: median ratio, its interval, and the margin around 1 (a fraction)."""

    median: float | None
    low: float | None
    high: float | None
    margin: float


def ratios(points: Sequence[RatioPoint], band: Band, zone: ZoneInfo, height: int = 260) -> Figure:
    """The ratio of each pair over time, the interval of the median as a band, the margin around 1 as two lines."""
    figure = Figure()
    ordered = sorted(points, key=lambda p: (p.when, p.id))
    figure.add_scatter(
        name="pair, new / old",
        mode="markers",
        x=[local(p.when, zone) for p in ordered],
        y=[p.ratio for p in ordered],
        marker={"color": sides.colour("candidate"), "size": 8, "symbol": "circle"},
        customdata=[p.id for p in ordered],
        hovertext=[f"{moment(p.when, zone)}<br>{p.ratio:.2f}×<br>{plot_text(p.note)}" for p in ordered],
        hoverinfo="text",
    )
    layout(figure, height, showlegend=False)
    time_axis(figure, zone, (p.when for p in points))
    figure.add_hrect(
        y0=1 - band.margin, y1=1 + band.margin, line={"dash": "dot", "width": 1, "color": sides.NEUTRAL},
    )  # fmt: skip
    figure.add_annotation(
        x=0, xref="x domain", xanchor="left", y=1 + band.margin, yref="y", yanchor="top", showarrow=False,
        text=f"equal: within {band.margin:.0%}", font={"size": 11, "color": sides.NEUTRAL},
    )  # fmt: skip
    if band.low is not None and band.high is not None:
        figure.add_hrect(
            y0=band.low, y1=band.high, line={"width": 0}, fillcolor=sides.colour("candidate"), opacity=0.18
        )
    if band.median is not None:
        figure.add_hline(y=band.median, line={"width": 2, "color": sides.colour("candidate")})
    figure.update_yaxes(title="new / old", rangemode="tozero")
    return figure


@dataclass(frozen=True)
class DayValue:
    """One side on one local day. runs: how many runs `value` rests on."""

    side: str
    day: date
    value: float
    runs: int


def by_day(values: Sequence[DayValue], unit: str, zone: ZoneInfo, height: int = 240) -> Figure:
    """One bar for each side and day of `zone`."""
    figure = Figure()
    for side in [s for s in sides.COLOURS if any(v.side == s for v in values)]:
        chosen = sorted((v for v in values if v.side == side), key=lambda v: v.day)
        figure.add_bar(
            name=sides.name(side),
            x=[v.day.isoformat() for v in chosen],
            y=[v.value for v in chosen],
            marker={"color": sides.colour(side), "pattern": hatching("" if side == "candidate" else "/")},
            hovertext=[
                f"{sides.name(side)}, {v.day.isoformat()}<br>{v.value:,.4g} {unit}<br>{v.runs} runs" for v in chosen
            ],
            hoverinfo="text",
        )
    layout(figure, height, barmode="group")
    figure.update_xaxes(type="date", tickformat="%b %d", title=f"day ({zone.key})")
    figure.update_yaxes(title=unit, rangemode="tozero")
    return figure
