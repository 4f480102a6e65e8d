"""History of comparisons: each table's verdicts along time, the row of clean pairs of runs, and what ended it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from app.parity import streak_text
from app.parity.streak import NotCompared, Streak
from app.store.parity_records import ParityState, ParityTable
from app.web.components import charts, panel
from app.web.components.figure import Figure as DrawnFigure
from app.web.components.frame import Figure, section
from app.web.components.marks import verdict_mark
from app.web.components.opening import put
from app.web.components.panel import Panel
from app.web.components.tables import Column, table, to_csv
from app.web.components.text import count, told

MOST = 2_000
"""Newest table comparisons that the page reads: 83 days of four a day."""


def figure(here: Panel, pair: str, streak: Streak) -> Figure:
    """How many clean pairs of runs there are in a row, of how many a gate wants, and over how many days."""
    value = streak_text.of_wanted(streak, streak_text.pairs_wanted(here.migration, pair))
    return Figure("Clean pairs of runs in a row", value, _note(here, pair, streak))


def _note(here: Panel, pair: str, streak: Streak) -> str:
    if not streak.runs:
        return note_of_none(streak)
    days = streak.days(streak_text.longest_pause(here.migration, pair)).days
    parts = [streak_text.days_word(days)] if days else []
    parts += [count(streak.runs, "pair"), count(streak.tables, "table comparison")]
    return ", ".join(parts + (["the newest pair is not compared yet"] if streak.waiting else []))


def note_of_none(streak: Streak) -> str:
    """Why there is no row, in a few words."""
    if streak.ended is None:
        return "no pair of known runs compared yet"
    return "the newest were not compared" if isinstance(streak.ended, NotCompared) else "the last pair was not clean"


def _open_report(text: str) -> None:
    """Opens a table with one of its comparisons, from the text of the history's column."""
    name, _, parity_id = text.rpartition(" ")
    put("table", name)
    put("report", parity_id)


HISTORY_COLUMNS = (
    Column("at", "Finished", "time"),
    Column("verdict", "Verdict"),
    Column("report", "Comparison", "open", help="Opens this comparison of this table", opens=_open_report),
    Column("old", "Old rows", "number"),
    Column("new", "New rows", "number"),
    Column("missing", "Missing rows", "number"),
    Column("extra", "Extra rows", "number"),
    Column("modified", "Modified rows", "number"),
    Column("depth", "Method"),
    Column("seconds", "Seconds", "seconds"),
)
HISTORY_EXPORT = (HISTORY_COLUMNS[0], Column("table", "Table"), *HISTORY_COLUMNS[1:])
"""The name of the table is in the text of the drawn comparison."""


# By the revision of the results: thousands of them are read and drawn once, not by each look of each reader.
@st.cache_resource(show_spinner=False, max_entries=8)
def _read(_here: Panel, store_url: str, pair: str, revision: str, most: int) -> list[ParityTable]:
    return _here.store.parity.history(sides=pair, limit=most)


def _found(here: Panel, pair: str) -> tuple[list[ParityTable], tuple[str, str, str, int]]:
    """The newest results, and what they are of: store, pair, revision, limit."""
    of = (here.settings.store_url, pair, here.store.parity.revision(pair), MOST)
    return _read(here, *of), of


@st.cache_resource(show_spinner=False, max_entries=8)
def _drawn(
    _found: list[ParityTable],
    _streak: Streak,
    tables: tuple[str, ...],
    zone: str,
    of: tuple[str, str, str, int],
    streak: str,
) -> DrawnFigure:
    return charts.verdicts(entries(_found, tables, _streak), ZoneInfo(zone))


def draw_chart(here: Panel, pair: str) -> None:
    """The verdicts along time, with the sentences about the row of clean ones; nothing before the first comparison."""
    found, of = _found(here, pair)
    if not found:
        return
    section("Verdicts over time")
    order = tuple(t.name for t in here.migration.tables)
    streak = panel.facts(here).streaks[pair]
    charts.show(
        _drawn(found, streak, order, here.zone.key, of, repr(streak)),
        title(found, streak_text.in_a_row(streak, here.migration, pair) if streak.runs else ""),
        key="parity_history_chart",
    )
    for sentence in streak_text.explained(streak, here.migration, pair):
        st.caption(told(sentence, here.zone))
    if len(found) == MOST:
        st.caption(f"The newest {MOST:,} table comparisons; older ones are left out here and below.")


def draw(here: Panel, pair: str) -> None:
    """Every comparison as a row."""
    found, _ = _found(here, pair)
    if not found:
        return
    section("History")
    rows = [
        {
            "at": h.finished_at,
            "table": h.table,
            "verdict": verdict_mark(h).text,
            "old": h.baseline_rows,
            "new": h.candidate_rows,
            "missing": h.missing_rows,
            "extra": h.extra_rows,
            "modified": h.modified_rows,
            "depth": "every value" if h.final else "hashes",
            "seconds": h.seconds,
            "report": f"{h.table} {h.parity_id}",
        }
        for h in found
    ]
    table(
        rows, HISTORY_COLUMNS, key="parity_history", zone=here.zone, name="parity_history", empty="No comparison yet.",
        export=lambda: to_csv(rows, HISTORY_EXPORT),
    )  # fmt: skip


def title(found: Sequence[ParityTable], row: str) -> str:
    """What the chart shows: how many completed, how many were cancelled, and the streak of clean ones."""
    cancelled = sum(h.state is ParityState.CANCELLED for h in found)
    counted = count(len(found) - cancelled, "table comparison") + (f", {cancelled:,} cancelled" if cancelled else "")
    return f"Verdict of each comparison ({counted})" + (f": {row}" if row else "")


def entries(
    found: Sequence[ParityTable], tables: Sequence[str], streak: Streak
) -> list[tuple[str, datetime, str, str]]:
    """The chart's marks, table by table: (table, when, verdict or what else was, id of the comparison).

    A cancelled comparison found nothing out, so it has a mark of its own, and so has, on every table, each pair of runs
    that no comparison covers: those that ended the row, and the one that waits.
    """
    marks = [
        (h.table, h.finished_at, "cancelled" if h.state is ParityState.CANCELLED else h.verdict or "", h.parity_id)
        for h in found
        if h.finished_at
    ]
    left_out = [e for e in (streak.ended, streak.waiting) if isinstance(e, NotCompared)]
    marks += [(name, pair.at, "not_compared", "") for e in left_out for pair in e.pairs for name in tables]
    order = {name: n for n, name in enumerate(tables)}
    return sorted(marks, key=lambda m: (order.get(m[0], len(order)), m[1]))
