"""Compare: is it as fast and as cheap? Run time, DBU and list price, old against new, per run and as distributions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from app.config.migration import Evidence
from app.performance.measurements import Point, Summary, points, summaries
from app.progress.evidence import Status
from app.progress.facts import DAYS, Facts
from app.progress.rules import judge
from app.web.components import asof, charts, hints, panel, sentences, sides
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.tables import Column, table
from app.web.components.text import NOTHING, count, dbu, literal, ratio, seconds, usd

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
            "Since", list(SPANS), default=LONGEST, required=True, key="compare_since", bind="query-params", wrap=True
        )
        st.toggle(
            "Generated history",
            value=False,
            key="compare_generated",
            help="Runs made up before the first start of a local workspace. They measure nothing and decide nothing.",
        )
    panel.live(_evidence)


def _head() -> None:
    here = panel.current()
    facts = panel.facts(here)
    measured = points(facts, generated=False)
    time, units, money = summaries(measured)
    state, sentence = sentences.as_fast_and_cheap(time, units)
    answer("Is the new side as fast and as cheap?", sentence, state)
    asof.bar(asof.chosen(facts.snapshot.sources, SOURCES), here.zone, here.now)
    _figures(time, units, money)
    for warning in _warnings(facts, measured):
        st.warning("▲ " + literal(warning))
    if time.ratio is not None and time.ratio > 1:
        hints.show(here, ("runtime",))


def _evidence() -> None:
    here = panel.current()
    facts = panel.facts(here)
    generated = bool(st.session_state.get("compare_generated", False))
    since = here.now - SPANS.get(st.session_state.get("compare_since") or LONGEST, SPANS[LONGEST])
    shown = [p for p in points(facts, generated=generated) if p.start >= since]
    if not shown:
        hidden = sum(p.generated for p in points(facts))
        empty(
            "No successful run in this time.",
            f"{count(hidden, 'generated run')} can be shown with the switch above."
            if hidden and not generated
            else "Run both jobs from the Operations page, or choose a longer time.",
        )
        return
    _charts(here, shown)
    _runs(here, shown)
    _prices(here, facts, since)


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
                "DBU times the list price that held; without discounts, and without the cloud's own bill for machines",
            ),
        ]
    )


def _bare(value: float | None) -> str:
    return NOTHING if value is None else dbu(value).removesuffix(" DBU")


def _warnings(facts: Facts, measured: Sequence[Point]) -> list[str]:
    found = []
    schedules = facts.snapshot.schedules
    agree = judge(Evidence(kind="schedules_agree"), facts)
    if agree.status is Status.FAIL:
        found.append(
            f"The two jobs do not start together: {agree.summary}. They read different data, "
            "so a difference between them may be time alone."
        )
    development = sentences.offset(schedules.get("baseline"), schedules.get("development"))
    if development:
        found.append(development)
    lagging = sum(not p.final for p in measured)
    if lagging:
        found.append(
            f"Billing is written late: {count(lagging, 'run')} of {len(measured)} may still gain records (not final)."
        )
    return found


def _charts(here: Panel, shown: Sequence[Point]) -> None:
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
            f"No {chosen.lower()} is known for these runs yet.",
            "Billing records arrive hours after a run; the worker reads them when they do.",
        )
        return
    left, right = st.columns([3, 2])
    with left:
        title = f"{chosen} of each successful run, {unit}"
        charts.show(charts.runs_over_time(drawn, here.zone, here.now, unit), title, key="compare_runs_chart")
    with right:
        title = f"Distribution, {unit}"
        charts.show(charts.distribution(drawn, unit), title, key="compare_box")


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


def _runs(here: Panel, shown: Sequence[Point]) -> None:
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
    table(rows, RUN_COLUMNS, key="compare_runs", zone=here.zone, name="compare_runs", empty="No run.")


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


def _prices(here: Panel, facts: Facts, since: Any) -> None:
    with st.expander("**Where the prices come from**", key="compare_prices_box"):
        st.caption(
            "DBU from system.billing.usage, summed over all record types; price from system.billing.list_prices as it "
            "held at each record's start. Discounts are not in it, nor, for classic compute, the cloud's own bill for "
            "machines. "
            "The new side is its job's records plus those of the updates it started, once each."
        )
        generated = bool(st.session_state.get("compare_generated", False))
        sums: dict[tuple[Any, ...], list[float]] = {}
        for u in here.store.collected.usage(since=since):
            if u.generated and not generated:
                continue
            compute = ", ".join(
                word for word, on in (("serverless", u.serverless), ("Photon", u.photon)) if on
            ) or "classic"  # fmt: skip
            key = (u.side, u.sku, u.product, compute, u.list_price_usd, u.generated)
            total = sums.setdefault(key, [0.0, 0.0, 0])
            total[0] += u.dbu
            total[1] += u.usd or 0.0
            total[2] += 1
        rows = [
            {
                "side": sides.NAMES.get(side, side),
                "sku": sku,
                "product": product,
                "compute": compute,
                "price": price,
                "dbu": total[0],
                "usd": total[1] if price is not None else None,
                "records": int(total[2]),
                "origin": "generated" if made_up else "billed",
            }
            for (side, sku, product, compute, price, made_up), total in sorted(sums.items(), key=lambda i: str(i[0]))
        ]
        table(
            rows, PRICE_COLUMNS, key="compare_prices", zone=here.zone, name="prices",
            empty="No billing record in this time; system.billing.usage is filled hours late.",
        )  # fmt: skip
