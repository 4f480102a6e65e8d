"""The cost of the parallel period and of a month on the Performance page, with the days and runs behind both."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import streamlit as st

from app.performance.assessment import Assessment
from app.performance.money import Amount
from app.performance.projection import Projection, daily, load_projection
from app.performance.statistic import Estimate
from app.web.components import charts, charts_performance, sides
from app.web.components.charts_performance import DayValue
from app.web.components.frame import Figure, Opens, figures, section
from app.web.components.native import page_link
from app.web.components.opening import close_button, opened
from app.web.components.panel import Panel
from app.web.components.tables import Column, table
from app.web.components.text import count, literal, moment, usd

PARAMETER = "month"
"""Query parameter of what is opened behind these figures."""
SIDES = ("baseline", "candidate", "development")


@st.cache_resource(ttl=5, show_spinner=False, max_entries=4)
def _projection(_here: Panel, _found: Assessment, store_url: str, migration_digest: str) -> Projection:
    zone = ZoneInfo(_here.migration.timezone)
    return load_projection(_here.store, _found, zone, _here.now)


def draw(here: Panel, found: Assessment) -> None:
    """Draws the section. Its days are those of the migration's zone, whatever the reader's."""
    projection = _projection(here, found, here.settings.store_url, here.migration.digest)
    section("Cost of the parallel period, and of a month")
    figures(projection_figures(here, projection))
    st.caption(literal(basis(here, projection)))
    if opened(PARAMETER) == "parallel":
        _parallel(here, projection)
    elif opened(PARAMETER) == "days":
        _days(here, found, projection)
    values = _values(here, found, projection)
    if values:
        charts.show(
            charts_performance.by_day(values, "USD", ZoneInfo(here.migration.timezone)),
            "Cost of each settled day, USD at list price",
            key="performance_month_chart",
        )


def projection_figures(here: Panel, found: Projection) -> list[Figure]:
    """Parallel period so far, and a month of each side with its interval."""
    spent = [found.spent[side] for side in SIDES if side in found.spent]
    total = sum(spent, Amount())
    parts = ", ".join(f"{sides.NAMES[side]} {_usd(found.spent[side])}" for side in SIDES if side in found.spent)
    saving = found.saving
    costs_more = saving is not None and saving.value < 0
    if saving is not None and costs_more:
        saving = Estimate(-saving.value, -saving.high, -saving.low, saving.coverage)
    days = Opens(count(len(found.days), "settled day"), PARAMETER, "days")
    return [
        Figure(
            "Parallel period so far",
            _usd(total) if found.since and spent else "–",
            parts or "no run of the new side ran beside one of the old side",
            "All that was billed for both jobs and their pipelines, with or without a run, at list price",
            opens=Opens("By side", PARAMETER, "parallel"),
        ),
        Figure("Old side, a month", *_month(found.baseline, found), opens=days),
        Figure("New side, a month", *_month(found.candidate, found), opens=days),
        Figure(
            "New side costs more, a month" if costs_more else "New side saves, a month",
            *_month(saving, found),
            "From the differences of the days, not from the two months",
            opens=days,
        ),
    ]


def _month(found: Estimate | None, projection: Projection) -> tuple[str, str]:
    """Value and note of a figure."""
    if found is None:
        return "–", f"{len(projection.days)} of {count(projection.needed, 'settled day')} that it needs"
    return usd(found.value), f"{usd(found.low)} to {usd(found.high)} at {found.coverage:.0%} confidence"


def basis(here: Panel, found: Projection) -> str:
    """What the figures rest on, in one or more sentences."""
    if found.since is None or found.until is None:
        return "The parallel period starts with the first run of the new job within a day of one of the old job."
    text = f"Parallel period: {moment(found.since, here.zone)} to {moment(found.until, here.zone)}."
    if relaxed := here.migration.performance.relaxed_projection:
        text += f" ▲ This migration file relaxes what a month needs: {relaxed}."
    if found.settled_until is None:
        return text + " Billing has not been read completely yet."
    text += f" Usage after {moment(found.settled_until, here.zone)} may still be billed."
    if found.baseline is not None:
        text += f" A month is 30.4 times the mean of {count(len(found.days), 'settled day')}"
        text += f"; {count(len(found.left_out), 'day')} with a missing bill left out." if found.left_out else "."
    return text


def _usd(found: Amount) -> str:
    """What has a price, and how many records have none."""
    known = usd(found.nano_usd / 1e9) if found.records > found.unpriced else "unknown"
    return f"{known} and {count(found.unpriced, 'record')} without a price" if found.unpriced else known


PERIOD_COLUMNS = (
    Column("side", "Side", width="small"),
    Column("usd", "USD, list price", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("records", "Records", "number", width="small"),
    Column("unpriced", "Without price", "number", width="small"),
)


def _parallel(here: Panel, found: Projection) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Cost of the parallel period, by side**")
            close_button(PARAMETER)
        table(
            [
                {
                    "side": sides.NAMES.get(side, side),
                    "usd": amount.nano_usd / 1e9 if amount.records > amount.unpriced else None,
                    "dbu": amount.dbu,
                    "records": amount.records,
                    "unpriced": amount.unpriced,
                }
                for side, amount in sorted(found.spent.items(), key=lambda s: SIDES.index(s[0]))
            ],
            PERIOD_COLUMNS, key="performance_parallel", zone=here.zone, name="parallel_period",
            empty="Nothing has been billed for this period yet.",
        )  # fmt: skip
        page_link("All runs of this period", "runs", since="all")


DAY_COLUMNS = (
    Column("day", "Day"),
    Column("old", "Old, USD", "usd"),
    Column("new", "New, USD", "usd"),
    Column("difference", "New minus old, USD", "usd"),
)
RUN_COLUMNS = (
    Column("run", "Run", "page", address="runs?run="),
    Column("side", "Side", width="small"),
    Column("start", "Start", "time"),
    Column("usd", "USD, list price", "usd"),
    Column("bill", "Bill", width="small"),
)


def _days(here: Panel, found: Assessment, projection: Projection) -> None:
    zone = ZoneInfo(here.migration.timezone)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Days behind the month, and their runs**")
            close_button(PARAMETER)
        old, new = (daily(found, side, projection.days, zone) for side in SIDES[:2])
        table(
            [
                {"day": day.isoformat(), "old": a, "new": b, "difference": b - a}
                for day, a, b in reversed(list(zip(projection.days, old, new, strict=True)))
            ],
            DAY_COLUMNS, key="performance_month_days", zone=here.zone, name="days_of_the_month",
            empty="There is no whole settled day yet: bills are final a day after a run.",
        )  # fmt: skip
        wanted = set(projection.days)
        bills = [
            b
            for b in found.attribution.bills.values()
            if b.run.side in SIDES[:2] and not b.run.generated and b.run.start_time.astimezone(zone).date() in wanted
        ]
        bills.sort(key=lambda b: (b.run.start_time, b.run.run_id), reverse=True)
        table(
            [
                {
                    "run": str(b.run.run_id),
                    "side": sides.NAMES.get(b.run.side, b.run.side),
                    "start": b.run.start_time,
                    "usd": b.usd,
                    "bill": str(b.state),
                }
                for b in bills
            ],
            RUN_COLUMNS, key="performance_month_runs", zone=here.zone, name="runs_of_the_month", empty="",
        )  # fmt: skip


def _values(here: Panel, found: Assessment, projection: Projection) -> Sequence[DayValue]:
    zone = ZoneInfo(here.migration.timezone)
    runs: dict[tuple[str, str], int] = {}
    for b in found.attribution.bills.values():
        if not b.run.generated:
            key = (b.run.side, b.run.start_time.astimezone(zone).date().isoformat())
            runs[key] = runs.get(key, 0) + 1
    return [
        DayValue(side, day, value, runs.get((side, day.isoformat()), 0))
        for side in SIDES[:2]
        for day, value in zip(projection.days, daily(found, side, projection.days, zone), strict=True)
    ]
