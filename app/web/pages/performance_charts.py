"""Charts and lists of the Performance page: ratios of the pairs, every run, every day. "Since" filters only these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.performance.assessment import Assessment
from app.performance.attribution import Bill, RunBill
from app.performance.days import Day, by_day
from app.performance.load import MOST_RUNS
from app.web.components import charts, charts_performance, folded, generated, panel, sides
from app.web.components.charts_performance import Band, DayValue, RatioPoint
from app.web.components.frame import empty, section
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.runs_scope import run_mark
from app.web.components.tables import Column, table
from app.web.components.text import count, literal, moment
from app.web.pages import performance_pairs

SIDES = ("baseline", "candidate")
WINDOW = "all"
SPANS: dict[str, timedelta | None] = {"24 h": timedelta(hours=24), "7 days": timedelta(days=7), WINDOW: None}
VIEWS = ("By run", "By day")
MOST_POINTS = 3000
"""Most markers of one chart; the tables' CSV has all runs."""


@dataclass(frozen=True)
class Shown:
    """One choice of "Measure". key: of the assessment's measure. of_run: its value for one run. judged: has ratios."""

    key: str
    unit: str
    of_run: Callable[[Assessment, RunBill], float | None]
    of_day: Callable[[Day], float | None]
    each_day: str
    judged: bool = True


MEASURES: Mapping[str, Shown] = {
    "Run time": Shown(
        "run_time", "s", lambda a, b: a.run_times.get(b.run.run_id), lambda d: d.run_seconds, "Median run time by day"
    ),
    "Cost": Shown("usd", "USD", lambda a, b: b.usd, lambda d: d.amount.usd, "Cost at list price by day, all runs"),
    "DBU": Shown("dbu", "DBU", lambda a, b: b.dbu, lambda d: d.amount.dbu, "DBU by day, all runs"),
    "Setup": Shown("setup", "s", lambda a, b: a.setups.get(b.run.run_id), lambda d: None, "", judged=False),
    "Queue": Shown("queue", "s", lambda a, b: b.run.queue_seconds, lambda d: None, "", judged=False),
}


def controls() -> None:
    """Draws the choice of measure, period and view."""
    for label, options, default, key in (
        ("Measure", list(MEASURES), "Run time", "measure"),
        ("Charts since", list(SPANS), WINDOW, "performance_since"),
        ("View", list(VIEWS), VIEWS[0], "performance_view"),
    ):
        st.segmented_control(
            label, options, default=default, required=True, key=key, bind="query-params", wrap=True,
            help="Filters the charts and lists below; figures and verdicts rest on all pairs of the window."
            if key == "performance_since" else None,
        )  # fmt: skip


def draw() -> None:
    """Draws charts and lists."""
    here = panel.current()
    found = panel.facts(here).performance
    shown = MEASURES[_label()]
    window = here.now - timedelta(days=found.settings.window_days)
    span = SPANS.get(st.session_state.get("performance_since") or WINDOW)
    since = window if span is None else max(window, here.now - span)
    bills = _bills(found, since)
    if (limited := _limited(here, found, window)) is not None:
        st.caption(literal(limited))
    if shown.judged:
        _ratios(here, found, shown, since)
    if not bills.visible:
        hidden = generated.hidden(bills.counts, "run")
        empty(
            "No run of either side was measured in this period.",
            f"{hidden} Show them with the switch above."
            if hidden
            else "Run both jobs on the Operations page, or choose a longer period.",
        )
    elif (st.session_state.get("performance_view") or VIEWS[0]) == VIEWS[0] or not shown.judged:
        _by_run(here, found, shown, bills)
    else:
        _by_day(here, found, shown, bills)


@dataclass(frozen=True)
class Bills:
    """Ended runs of both jobs within a period, newest first. visible: those that the switch shows."""

    visible: Sequence[RunBill]
    counts: generated.Counts


def _bills(found: Assessment, since: datetime) -> Bills:
    within = [
        b
        for b in found.attribution.bills.values()
        if b.run.side in SIDES and b.run.start_time >= since and not b.run.active
    ]
    within.sort(key=lambda b: (b.run.start_time, b.run.run_id), reverse=True)
    every = generated.shown()
    visible = [b for b in within if every or not b.run.generated]
    return Bills(visible, generated.counts(b.run for b in within))


def _limited(here: Panel, found: Assessment, window: datetime) -> str | None:
    """Which runs of the window are not read, where a side has more than are read; None where all are."""
    read = [b.run for b in found.attribution.bills.values() if b.run.side in SIDES and b.run.start_time >= window]
    if all(sum(r.side == side for r in read) < MOST_RUNS for side in SIDES):
        return None
    total = generated.Counts(*here.store.collected.run_counts(window))
    oldest = moment(min(r.start_time for r in read), here.zone)
    return (
        f"Only the newest runs of a side count: {len(read):,} of {total.of('run')}. Those before {oldest} are left out."
    )


def _ratios(here: Panel, found: Assessment, shown: Shown, since: datetime) -> None:
    measure = performance_pairs.measures(found)[shown.key]
    points = performance_pairs.since(measure.points, since)
    section(f"{measure.title}: ratio of each pair")
    if not points:
        reasons = "".join(f" {count(n, 'pair')} {why}." for why, n in measure.left_out.items())
        empty(
            f"There is no pair with a known {measure.title.lower()} in this period.{reasons}",
            "A pair is a run of the old job and a run of the new job at the same scheduled time, or of one comparison."
            " Bills are final a day after a run.",
        )
        return
    drawn = points[:MOST_POINTS]
    interval = measure.interval if len(measure.points) > 1 else None
    band = Band(
        measure.ratio, interval.low if interval else None, interval.high if interval else None, measure.settings.margin
    )
    ratios = [
        RatioPoint(
            str(p.pair.baseline.run.run_id),
            p.pair.at,
            p.ratio,
            f"{measure.shown(p.baseline)} → {measure.shown(p.candidate)}, {performance_pairs.name_of(p.pair)}",
        )
        for p in drawn
    ]
    title = f"{measure.title}, new / old, of {_of(len(drawn), len(points), 'pair')}"
    if interval:
        line = f"; line: median {measure.ratio:.2f}×" if measure.ratio is not None else ""
        title += f"{line}; band: its {interval.coverage:.0%} interval, of all {len(measure.points):,} pairs"
    charts.show(charts_performance.ratios(ratios, band, here.zone), title, key="performance_ratios")
    with folded.part("**Pairs in this chart**", key="performance_pairs_box") as box:
        if box.open:
            performance_pairs.pairs_table(here, measure, points, key="performance_pairs")


def _of(drawn: int, total: int, unit: str) -> str:
    return count(total, unit) if drawn == total else f"the newest {drawn:,} of {count(total, unit)}"


def _by_run(here: Panel, found: Assessment, shown: Shown, bills: Bills) -> None:
    section("Each run")
    points = [
        charts.Point(
            str(b.run.run_id),
            b.run.side,
            b.run.start_time,
            value,
            failed=b.run.result_state != "SUCCESS",
            generated=b.run.generated,
            note=f"run {b.run.run_id}" + ("" if shown.unit == "s" or b.state is Bill.FINAL else f", bill {b.state}"),
        )
        for b in bills.visible
        if (value := shown.of_run(found, b)) is not None
    ]
    drawn = points[:MOST_POINTS]
    known = generated.Counts(sum(not p.generated for p in points), sum(p.generated for p in points))
    if drawn:
        left, right = st.columns([3, 2])
        with left:
            title = f"{_label()} of {known.of('run')}, {shown.unit}"
            if len(drawn) < len(points):
                title += f"; the newest {len(drawn):,} are drawn"
            charts.show(charts.runs_over_time(drawn, here.zone, shown.unit), title, key="performance_runs_chart")
        with right:
            title = f"Distribution of the successful ones, {shown.unit}"
            charts.show(charts.distribution(drawn, shown.unit), title, key="performance_box")
    else:
        later = "Billing records arrive hours after a run." if shown.judged else "The tasks of a run tell it."
        empty(f"The {_label().lower()} of these runs is not known yet.", later)
    table(
        [_run_row(found, b) for b in bills.visible],
        RUN_COLUMNS, key="performance_runs", zone=here.zone, name="performance_runs", empty="There is no run.",
    )  # fmt: skip
    hidden = generated.hidden(bills.counts, "run")
    if hidden:
        st.caption(literal(hidden))


def _label() -> str:
    chosen = str(st.session_state.get("measure"))
    return chosen if chosen in MEASURES else "Run time"


RUN_COLUMNS = (
    Column("run", "Run", "page", address="runs?run=", help="Opens the run on the Runs page"),
    Column("side", "Side", width="small"),
    Column("state", "State", width=150),
    Column("start", "Start", "time"),
    Column("seconds", "Run time, s", "seconds", help="Without queue and, where it is known, without setup"),
    Column("setup", "Setup, s", "seconds", help="Time in which the run only waited for its compute"),
    Column("queue", "Queue, s", "seconds"),
    Column("usd", "USD, list price", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("bill", "Bill", width="small"),
    Column("origin", "Origin", width="small"),
    Column("url", "Databricks", "link", width="small"),
)


def _run_row(found: Assessment, b: RunBill) -> dict[str, Any]:
    return {
        "run": str(b.run.run_id),
        "side": sides.NAMES.get(b.run.side, b.run.side),
        "state": run_mark(b.run).text,
        "start": b.run.start_time,
        "seconds": found.run_times.get(b.run.run_id),
        "setup": found.setups.get(b.run.run_id),
        "queue": b.run.queue_seconds,
        "usd": b.usd,
        "dbu": b.dbu,
        "bill": str(b.state),
        "origin": "generated" if b.run.generated else "measured",
        "url": safe(b.run.run_page_url),
    }


DAY_COLUMNS = (
    Column("day", "Day"),
    Column("side", "Side", width="small"),
    Column("runs", "Runs", "number", width="small"),
    Column("successful", "Successful", "number", width="small"),
    Column("seconds", "Run time, median, s", "seconds"),
    Column("usd", "USD, list price", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("incomplete", "Bills not final", "number", width="small"),
)


def _by_day(here: Panel, found: Assessment, shown: Shown, bills: Bills) -> None:
    section("Each day")
    days = by_day(bills.visible, here.zone, found.run_times)
    values = [DayValue(d.side, d.day, v, d.runs) for d in days if (v := shown.of_day(d)) is not None]
    if values:
        title = f"{shown.each_day}, {shown.unit} ({generated.counts(b.run for b in bills.visible).of('run')})"
        charts.show(charts_performance.by_day(values, shown.unit, here.zone), title, key="performance_days_chart")
    table(
        [
            {
                "day": d.day.isoformat(),
                "side": sides.NAMES.get(d.side, d.side),
                "runs": d.runs,
                "successful": d.successful,
                "seconds": d.run_seconds,
                "usd": d.amount.usd,
                "dbu": d.amount.dbu,
                "incomplete": d.incomplete,
            }
            for d in days
        ],
        DAY_COLUMNS, key="performance_days", zone=here.zone, name="performance_days", empty="There is no run.",
    )  # fmt: skip
