"""The chart of the timeline: each phase's planned and actual time, and today."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.progress.timeline import PlannedPhase, Timeline
from app.web.components.charts import hatching, layout, local, zone_title
from app.web.components.figure import Figure
from app.web.components.status import Mark, Tone
from app.web.components.text import count, plot_text, shorten

LANE = 58
"""Height of a phase in pixels: a line of text above two bars."""

_PLANNED = "#8A949E"
_ACTUAL = "#8C6BB1"
_LATE = "#C0392B"
_LEAST = 90
"""An actual time is drawn with at least this part (1 / _LEAST) of the axis: phases of minutes exist."""


def drawable(plan: Timeline) -> bool:
    """Whether there is anything to draw: a start date, or an item that was met."""
    return plan.start is not None or any(p.started for p in plan.phases)


def state_of(phase: PlannedPhase) -> Mark:
    """A phase's state in words: what is done of it, and what is late."""
    status = phase.status
    if phase.late:
        return Mark(f"{status.done} of {status.total} met, {phase.late} late", "bad")
    tone: Tone = "good" if status.state == "done" else "busy" if status.done else "quiet"
    return Mark(f"{status.done} of {status.total} met" + (", in progress" if status.current else ""), tone)


def phases(plan: Timeline, zone: ZoneInfo, now: datetime) -> Figure:
    """One lane for each phase: above, its name and state; a hollow bar, planned; a solid one, what happened.

    A bar of what happened begins when the phase's first item was met, and ends when its last was, or at `now`; what of
    it is after the planned end is hatched.
    """
    figure = Figure()
    here = local(now, zone)
    first, last = _range(plan, zone, here)
    least = (last - first) / _LEAST
    for n, phase in enumerate(plan.phases):
        lane = len(plan.phases) - n
        shown = state_of(phase)
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=lane + 0.36, yanchor="middle", showarrow=False, align="left",
            text=f"<b>{plot_text(shorten(phase.status.phase.title, 34))}</b>  {shown.shape} {plot_text(shown.word)}",
            font={"size": 12},
        )  # fmt: skip
        if phase.planned:
            start, end = _midnight(phase.planned.first), _midnight(phase.planned.last + timedelta(days=1))
            days = count((end - start).days, "day")
            text = f"{_name(phase)}<br>planned {phase.planned.first} to {phase.planned.last} ({days})"
            _bar(figure, "planned", start, end, lane + 0.08, text, _PLANNED, hollow=True)
        if phase.started:
            start = local(phase.started, zone)
            end = max(local(phase.ended, zone) if phase.ended else here, start + least)
            planned = _midnight(phase.planned.last + timedelta(days=1)) if phase.planned else end
            until = f"to {end:%Y-%m-%d %H:%M}" if phase.ended else "until now"
            text = f"{_name(phase)}<br>from {start:%Y-%m-%d %H:%M} {until}<br>{plot_text(shown.word)}"
            if start < planned:
                _bar(figure, "actual", start, min(end, planned), lane - 0.16, text, _ACTUAL)
            if planned < end:
                over = f"{text}<br>{count((end - max(start, planned)).days, 'day')} after its planned end"
                _bar(figure, "after its planned end", max(start, planned), end, lane - 0.16, over, _LATE, hatched=True)
    figure.add_vline(x=here, line={"width": 1.5, "dash": "dot", "color": _PLANNED})
    figure.add_annotation(
        x=here, y=0.42, text="today", showarrow=False, xanchor="left" if here - first < (last - first) / 2 else "right",
        font={"size": 12},
    )  # fmt: skip
    layout(figure, 44 + LANE * max(1, len(plan.phases)), barmode="overlay", showlegend=bool(figure.data))
    figure.update_xaxes(type="date", range=[first, last], title=zone_title(zone, [now, *_actual(plan)]))
    figure.update_yaxes(visible=False, range=[0.25, len(plan.phases) + 0.6], fixedrange=True)
    return figure


def _name(phase: PlannedPhase) -> str:
    return plot_text(phase.status.phase.title)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _actual(plan: Timeline) -> list[datetime]:
    return [t for p in plan.phases for t in (p.started, p.ended) if t]


def _range(plan: Timeline, zone: ZoneInfo, here: datetime) -> tuple[datetime, datetime]:
    """First and last time of the axis: of everything drawn, at least a day, with a margin."""
    times = [here, *(local(t, zone) for t in _actual(plan))]
    for phase in plan.phases:
        if phase.planned:
            times += [_midnight(phase.planned.first), _midnight(phase.planned.last + timedelta(days=1))]
    first, last = min(times), max(times)
    margin = max((last - first) / 40, timedelta(hours=12) if last - first < timedelta(days=1) else timedelta())
    return first - margin, last + margin


def _bar(
    figure: Figure,
    name: str,
    start: datetime,
    end: datetime,
    lane: float,
    text: str,
    colour: str,
    *,
    hollow: bool = False,
    hatched: bool = False,
) -> None:
    figure.add_bar(
        orientation="h",
        name=name,
        legendgroup=name,
        showlegend=all(b["name"] != name for b in figure.data),
        base=[start],
        y=[lane],
        width=0.2,
        x=[(end - start).total_seconds() * 1000],
        hovertext=[text],
        hoverinfo="text",
        marker={
            "color": "rgba(0,0,0,0)" if hollow else colour,
            "line": {"width": 1.5, "color": colour},
            "pattern": hatching("/" if hatched else ""),
        },
    )


def in_words(plan: Timeline) -> str:
    """What the chart shows, as a title: the week, the phase, and what is late."""
    current = plan.current
    where = f"in {current.status.phase.title}" if current else "all phases are done"
    if plan.start is None:
        return f"Phases: {where}, no start date set"
    late = len(plan.late)
    behind = f", {count(late, 'item')} late" if late else ", nothing late"
    week = f"week {plan.week}" if plan.week else f"starts on {plan.start}"
    return f"Phases, planned and actual: {week}, {where}{behind}"
