"""Performance: run time, DBU and list-price cost, old against new, per run and as distributions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.config.migration import Evidence
from app.performance.measurements import MeasuredRun, Summary, billed_sums, measured_runs, summaries
from app.progress.evidence import Status
from app.progress.facts import DAYS, Facts
from app.progress.judge import judge
from app.web.components import asof, charts, generated, hints, panel, sentences, sides
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.tables import Column, table
from app.web.components.text import NOTHING, count, dbu, ratio, seconds, told, usd

LONGEST = f"{DAYS} days"
SPANS: dict[str, timedelta] = {"24 h": timedelta(hours=24), "7 days": timedelta(days=7), LONGEST: timedelta(DAYS)}
MEASURES = {"Run time": ("seconds", "s"), "DBU": ("dbu", "DBU"), "Cost": ("usd", "USD at list price")}
SOURCES = ("runs", "billing", "schedules")


def render() -> None:
    """The page."""
    panel.live(_head)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Measure", list(MEASURES), default="Run time", required=True, key="measure", bind="query-params", wrap=True
        )
        st.segmented_control(
            "Since",
            list(SPANS),
            default=LONGEST,
            required=True,
            key="performance_since",
            bind="query-params",
            wrap=True,
        )
        generated.switch()
    panel.live(_evidence)


def _head() -> None:
    here = panel.current()
    facts = panel.facts(here)
    measured = measured_runs(facts.snapshot.runs, facts.costs, generated=False)
    time, units, money = summaries(measured)
    state, sentence = sentences.as_fast_and_cheap(time, units)
    answer("Is the new side as fast and as cheap?", sentence, state)
    asof.bar(asof.chosen(facts.snapshot.sources, SOURCES), here.zone, here.now)
    _figures(time, units, money)
    for warning in _warnings(facts, measured):
        st.warning("▲ " + told(warning, here.zone))
    if time.ratio is not None and time.ratio > 1:
        hints.show(here, ("runtime",))


def _evidence() -> None:
    here = panel.current()
    facts = panel.facts(here)
    since = here.now - SPANS.get(st.session_state.get("performance_since") or LONGEST, SPANS[LONGEST])
    found = measured_runs(facts.snapshot.runs, facts.costs)
    within = [r for r in found if r.start >= since]
    shown = generated.visible(within)
    if not shown:
        hidden = generated.hidden(generated.counts(within), "run")
        empty(
            "There is no successful run in this period.",
            f"{hidden} Show them with the switch above."
            if hidden
            else "Run both jobs on the Operations page, or choose a longer period.",
        )
        return
    _charts(here, shown)
    _runs(here, shown)
    _prices(here, since)


def _figures(time: Summary, units: Summary, money: Summary) -> None:
    runs = f"{time.baseline_runs} old, {time.candidate_runs} new runs"
    lag = f", {money.not_final} not final" if money.not_final else ""
    figures(
        [
            Figure("Run time, new / old", ratio(time.ratio), "median over median"),
            Figure("Run time, median", f"{seconds(time.baseline)} → {seconds(time.candidate)}", runs),
            Figure(
                "DBU a run, median",
                f"{_bare(units.baseline)} → {dbu(units.candidate)}",
                f"{ratio(units.ratio)} of the old side{lag}",
            ),
            Figure(
                "Cost a run, median",
                f"{usd(money.baseline)} → {usd(money.candidate)}",
                f"list price, {ratio(money.ratio)}{lag}",
                "DBU times the list price at the time, without discounts and the cloud provider's machine costs",
            ),
        ]
    )


def _bare(value: float | None) -> str:
    return NOTHING if value is None else dbu(value).removesuffix(" DBU")


def _warnings(facts: Facts, measured: Sequence[MeasuredRun]) -> list[str]:
    found = []
    schedules = facts.snapshot.schedules
    agree = judge(Evidence(kind="schedules_agree"), facts)
    if agree.status is Status.FAIL:
        found.append(
            f"The two jobs do not start together: {agree.summary}. They read different data, "
            "so timing alone may cause a difference between them."
        )
    development = sentences.offset(schedules.get("baseline"), schedules.get("development"))
    if development:
        found.append(development)
    lagging = sum(not p.final for p in measured)
    if lagging:
        found.append(
            f"Billing arrives late: {count(lagging, 'run')} of {len(measured)} may still get records (not final)."
        )
    return found


def _charts(here: Panel, shown: Sequence[MeasuredRun]) -> None:
    chosen = st.session_state.get("measure") or "Run time"
    attribute, unit = MEASURES[chosen]
    drawn = [
        charts.Point(
            str(p.run_id),
            p.side,
            p.start,
            value,
            generated=p.generated,
            note="" if attribute == "seconds" or p.final else "not final",
        )
        for p in shown
        if (value := getattr(p, attribute)) is not None
    ]
    if not drawn:
        empty(
            f"The {chosen.lower()} of these runs is not known yet.",
            "Billing records arrive hours after a run; the worker collects them.",
        )
        return
    left, right = st.columns([3, 2])
    with left:
        title = f"{chosen} of each successful run, {unit} ({generated.counts(shown).text})"
        charts.show(charts.runs_over_time(drawn, here.zone, unit), title, key="performance_runs_chart")
    with right:
        title = f"Distribution, {unit}"
        charts.show(charts.distribution(drawn, unit), title, key="performance_box")


RUN_COLUMNS = (
    Column("side", "Side", width="small"),
    Column("run", "Run"),
    Column("start", "Start", "time"),
    Column("seconds", "Run time, s", "seconds"),
    Column("dbu", "DBU", "dbu"),
    Column("usd", "USD, list price", "usd"),
    Column("final", "Billing", width="small"),
    Column("origin", "Origin", width="small"),
    Column("url", "Databricks", "link"),
)


def _runs(here: Panel, shown: Sequence[MeasuredRun]) -> None:
    section("Each successful run")
    rows: list[dict[str, Any]] = [
        {
            "side": sides.NAMES.get(p.side, p.side),
            "run": str(p.run_id),
            "start": p.start,
            "seconds": p.seconds,
            "dbu": p.dbu,
            "usd": p.usd,
            "final": "no record yet" if p.dbu is None else "final" if p.final else "not final",
            "origin": "generated" if p.generated else "measured",
            "url": safe(p.url),
        }
        for p in shown
    ]
    table(rows, RUN_COLUMNS, key="performance_runs", zone=here.zone, name="performance_runs", empty="No runs.")


PRICE_COLUMNS = (
    Column("side", "Side", width="small"),
    Column("sku", "SKU"),
    Column("product", "Product", width="small"),
    Column("compute", "Compute"),
    Column("price", "List price, USD/DBU", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("usd", "USD, list price", "usd"),
    Column("records", "Records", "number"),
    Column("origin", "Origin", width="small"),
)


def _prices(here: Panel, since: datetime) -> None:
    with st.expander("**Source of the prices**", key="performance_prices_box"):
        st.caption(
            "DBU: sum of all record types in system.billing.usage. Price: system.billing.list_prices at each record's "
            "start; discounts are not included, nor, for classic compute, the cloud provider's machine costs. "
            "The new side counts its job's records plus those of the updates it started, once each."
        )
        rows = [
            {
                "side": sides.NAMES.get(b.side, b.side),
                "sku": b.sku,
                "product": b.product,
                "compute": b.compute,
                "price": b.list_price_usd,
                "dbu": b.dbu,
                "usd": b.usd,
                "records": b.records,
                "origin": "generated" if b.generated else "billed",
            }
            for b in billed_sums(here.store.collected.usage(since=since), generated=generated.shown())
        ]
        table(
            rows, PRICE_COLUMNS, key="performance_prices", zone=here.zone, name="prices",
            empty="There is no billing record in this period; system.billing.usage is filled hours late.",
        )  # fmt: skip
