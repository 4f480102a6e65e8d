"""Money on the Performance page: where each dollar of the window went, and the prices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from app.performance.assessment import Assessment
from app.performance.ledger import Entry, ledger
from app.performance.money import Amount
from app.web.components import folded, generated, panel, sides
from app.web.components.frame import section
from app.web.components.panel import Panel
from app.web.components.tables import Column, table
from app.web.components.text import literal, moment
from app.web.pages import performance_month, performance_options

TOTAL = "Total"


def draw() -> None:
    """Draws months, cost options, and the tables of money."""
    here = panel.current()
    found = panel.facts(here).performance
    performance_month.draw(here, found)
    performance_options.draw(panel.facts(here))
    _ledger(here, found)
    _prices(here, found)


LEDGER_COLUMNS = (
    Column("side", "Side", width="small"),
    Column("what", "Where it went", width=260),
    Column("usd", "USD, list price", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("runs", "Runs", "number", width="small"),
    Column("records", "Records", "number", width="small"),
    Column("unpriced", "Without price", "number", width="small", help="Records without a list price; not in the USD"),
    Column("origin", "Origin", width="small"),
)


def _ledger(here: Panel, found: Assessment) -> None:
    section("Where the money went")
    entries = generated.visible(ledger(found.attribution))
    billed = [u.start for u in generated.visible(found.attribution.records)]
    since = min(billed, default=None)
    if since is not None:
        st.caption(
            literal(
                f"Every billing record since {moment(since, here.zone)}, once. A delivery costs all that it took: "
                "failed attempts, retries and their updates. What belongs to no run has its own line with the reason."
            )
        )
    table(
        ledger_rows(entries), LEDGER_COLUMNS, key="performance_ledger", zone=here.zone, name="costs",
        empty="There is no billing record in this window; system.billing.usage is filled hours after a run.",
    )  # fmt: skip


def ledger_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The lines of each side with a total below them."""
    found: list[dict[str, Any]] = []
    for key in dict.fromkeys((e.side, e.generated) for e in entries):
        mine = [e for e in entries if (e.side, e.generated) == key]
        found += [
            {"side": _side(e.side), "what": e.what, "runs": e.runs, **_amount(e.amount),
             "origin": _origin(e.generated)}
            for e in mine
        ]  # fmt: skip
        found.append(
            {"side": _side(key[0]), "what": TOTAL, "runs": sum(e.runs or 0 for e in mine),
             **_amount(_sum(e.amount for e in mine)), "origin": _origin(key[1])}
        )  # fmt: skip
    return found


PRICE_COLUMNS = (
    Column("side", "Side", width="small"),
    Column("sku", "SKU"),
    Column("product", "Product", width="small"),
    Column("compute", "Compute"),
    Column("price", "List price, USD/DBU", "usd"),
    Column("dbu", "DBU", "dbu"),
    Column("usd", "USD, list price", "usd"),
    Column("records", "Records", "number", width="small"),
    Column("origin", "Origin", width="small"),
)


def _prices(here: Panel, found: Assessment) -> None:
    st.caption(
        "The panel's own costs are not in these figures: its app, and its statements on the SQL warehouse. It sends "
        "them for comparisons and operations, for tables that may have changed, and for bills, lineage and the "
        "timeline of updates hourly and 4 times within 15 minutes after a run. In between the warehouse can stop."
    )
    with folded.part("**Source of the prices**", key="performance_prices_box") as box:
        if not box.open:
            return
        st.caption(
            "The same records by price. DBU: sum of all record types in system.billing.usage. Price: "
            "system.billing.list_prices at each record's start; discounts are not included, nor, for classic compute, "
            "the cloud provider's machine costs."
        )
        table(
            price_rows(found), PRICE_COLUMNS, key="performance_prices", zone=here.zone, name="prices",
            empty="There is no billing record in this period; system.billing.usage is filled hours late.",
        )  # fmt: skip


def price_rows(found: Assessment) -> list[dict[str, Any]]:
    """The price table with a total for each side, which is that of `ledger_rows`."""
    prices = generated.visible(found.attribution.prices)
    order = list(sides.COLOURS)
    prices.sort(key=lambda p: (p.generated, order.index(p.side) if p.side in order else len(order), p.sku))
    result: list[dict[str, Any]] = []
    for key in dict.fromkeys((p.side, p.generated) for p in prices):
        mine = [p for p in prices if (p.side, p.generated) == key]
        result += [
            {"side": _side(p.side), "sku": p.sku, "product": p.product, "compute": p.compute, "price": p.list_price_usd,
             **_amount(p.amount), "origin": _origin(p.generated)}
            for p in mine
        ]  # fmt: skip
        total = _amount(_sum(p.amount for p in mine))
        result.append({"side": _side(key[0]), "sku": TOTAL, **total, "origin": _origin(key[1])})
    return result


def _amount(found: Amount) -> dict[str, Any]:
    """usd: of the records that have a price."""
    priced = found.records > found.unpriced
    return {
        "usd": found.nano_usd / 1e9 if priced else None,
        "dbu": found.dbu,
        "records": found.records,
        "unpriced": found.unpriced,
    }


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


def _side(side: str) -> str:
    return sides.NAMES.get(side, side)


def _origin(made_up: bool) -> str:
    return "generated" if made_up else "billed"
