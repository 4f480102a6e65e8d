"""The pairs behind a figure of the Performance page, each with links to its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app.performance.assessment import Assessment, Measure, Point
from app.performance.pairs import Pair
from app.web.components.native import safe
from app.web.components.opening import close_button
from app.web.components.panel import Panel
from app.web.components.tables import Column, ColumnKind, table
from app.web.components.text import count, literal

KINDS: Mapping[str, ColumnKind] = {"s": "seconds", "USD": "usd", "DBU": "dbu"}


def measures(found: Assessment) -> dict[str, Measure]:
    """The measures of an assessment, by key."""
    return {m.key: m for m in (found.run_time, found.setup, found.queue, found.dbu, found.usd)}


def behind(here: Panel, found: Assessment, key: str) -> None:
    """Draws the pairs behind the measure `key` of the address, and how many others do not count."""
    chosen = measures(found).get(key)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            name = literal(chosen.title) if chosen else "Pairs"
            st.markdown(f"**{name}: pairs behind the figures**" if chosen else "There is no such figure.")
            close_button("behind")
        if chosen is None:
            return
        for why, n in chosen.left_out.items():
            st.caption(literal(f"{count(n, 'pair')} {why}: not counted."))
        pairs_table(here, chosen, chosen.points, key="behind_pairs")


def pairs_table(here: Panel, measure: Measure, points: Sequence[Point], *, key: str) -> None:
    """Draws pairs with the values of a measure."""
    kind = KINDS[measure.unit]
    columns = (
        Column("at", "Old side's slot", "time", help="Or when both sides were written, for a pair by a comparison"),
        Column("ratio", "New / old", "ratio", width="small"),
        Column("old", f"Old, {measure.unit}", kind),
        Column("new", f"New, {measure.unit}", kind),
        Column("old_run", "Old run", "page", address="runs?run=", help="Opens the run on the Runs page"),
        Column("new_run", "New run", "page", address="runs?run=", help="Opens the run on the Runs page"),
        Column("by", "Paired by", width="small"),
        Column("attempts", "Failed attempts", "number", width="small", help="Before the two runs; their bills count"),
        Column("old_url", "Databricks, old", "link", width="small"),
        Column("new_url", "Databricks, new", "link", width="small"),
    )
    table(
        [row(p) for p in points],
        columns,
        key=key,
        zone=here.zone,
        name=f"pairs_{measure.key}",
        empty="There is no pair.",
    )


def row(point: Point) -> dict[str, Any]:
    """One pair as a row."""
    pair = point.pair
    return {
        "at": pair.at,
        "ratio": point.ratio,
        "old": point.baseline,
        "new": point.candidate,
        "old_run": str(pair.baseline.run.run_id),
        "new_run": str(pair.candidate.run.run_id),
        "by": pair.by,
        "attempts": len(pair.baseline.attempts) + len(pair.candidate.attempts),
        "old_url": safe(pair.baseline.run.run_page_url),
        "new_url": safe(pair.candidate.run.run_page_url),
    }


def since(points: Sequence[Point], moment: datetime) -> list[Point]:
    """The points whose pair is of that moment or later."""
    return [p for p in points if p.pair.at >= moment]


def name_of(pair: Pair) -> str:
    """A pair by its runs."""
    return f"run {pair.baseline.run.run_id} and run {pair.candidate.run.run_id}"
