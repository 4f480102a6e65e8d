"""The history on the Parity page: what somebody cancelled and what was not compared have marks and names of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.context import Context
from app.parity import streak_text
from app.parity.streak import EndedProducer, NotCompared, Streak
from app.store.parity_records import ParityState, ParityTable
from app.web.components import charts
from app.web.components.marks import verdict_mark
from app.web.components.panel import Panel
from app.web.pages.parity_history import entries, figure, title
from tests.support.drawn import drawn
from tests.support.pages_open import MIGRATION

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TABLES = [t.name for t in MIGRATION.tables]


def compared(table: str, hours: float, verdict: str, state: ParityState = ParityState.DONE) -> ParityTable:
    at = T + hours * HOUR
    return ParityTable("c1", table, state, "", 1.0, verdict, "", 1, 1, 0, 0, 0, 1.0, at, at, verdict.upper())


def test_what_somebody_cancelled_is_drawn_and_called_as_such() -> None:
    cancelled = compared("dim_fde", 2, "not_proven", ParityState.CANCELLED)
    found = [compared("dim_fde", 1, "identical"), cancelled, compared("dim_fde", 3, "not_proven", ParityState.FAILED)]
    verdicts = drawn(charts.verdicts(entries(found, TABLES, Streak()), ZoneInfo("UTC")))
    marks = {trace.name: (trace.marker.symbol, list(trace.x)) for trace in verdicts.data}
    at = {name: [datetime.fromisoformat(x).replace(tzinfo=UTC) for x in xs] for name, (_, xs) in marks.items()}
    assert at == {"identical": [T + HOUR], "cancelled": [T + 2 * HOUR], "not proven": [T + 3 * HOUR]}
    assert len({symbol for symbol, _ in marks.values()}) == 3, "told apart by shape, not by colour alone"
    assert verdict_mark(cancelled).text == "▲ cancelled"
    assert title(found, "") == "Verdict of each comparison (2 table comparisons, 1 cancelled)"


def test_pairs_that_were_not_compared_are_drawn_on_every_table() -> None:
    ended = NotCompared(
        (EndedProducer("1", T), EndedProducer("2", T + HOUR)), (EndedProducer("u1", T), EndedProducer("u2", T))
    )
    waits = NotCompared((EndedProducer("3", T + 9 * HOUR),), (EndedProducer("u3", T + 8 * HOUR),))
    shown = entries([compared("dim_fde", 5, "identical")], TABLES, Streak(1, 6, ended=ended, waiting=waits))
    lacking = [(table, when) for table, when, what, _ in shown if what == "not_compared"]
    assert sorted(lacking) == sorted((t, T + h * HOUR) for t in TABLES for h in (0, 1, 9))
    assert "runs not compared" in {t.name for t in drawn(charts.verdicts(shown, ZoneInfo("UTC"))).data}


def test_many_identical_comparisons_are_lines_that_break_at_what_else_was() -> None:
    hours = [h for h in range(400) if not 200 < h < 250]
    other = {100: "different", 99: "different", 102: "not_proven"}
    found = [compared("dim_fde", h, other.get(h, "identical")) for h in hours]
    found += [compared("income", h, "identical") for h in range(5)]
    shown = drawn(charts.verdicts(entries(found, ["dim_fde", "income"], Streak()), ZoneInfo("UTC")))
    line, alone, *rest = shown.data
    assert (line.name, line.mode, alone.name, alone.mode) == ("identical", "lines", "identical", "markers")
    assert [t.showlegend for t in (line, alone)] == [True, False] and line.legendgroup == alone.legendgroup
    at = [None if x is None else (datetime.fromisoformat(x).replace(tzinfo=UTC) - T) / HOUR for x in line.x]
    assert at == [*range(99), None, *range(103, 201), None, *range(250, 400), None, *range(5)]
    assert [y for y, x in zip(line.y, at, strict=True) if x == 3] == ["dim_fde", "income"]
    assert [h.count("identical") for h in line.hovertext] == [x is not None for x in at], "each comparison says itself"
    assert [(datetime.fromisoformat(x).replace(tzinfo=UTC) - T) / HOUR for x in alone.x] == [101]
    assert {(t.name, t.mode, len(t.x)) for t in rest} == {("different", "markers", 2), ("not proven", "markers", 1)}
    few = drawn(charts.verdicts(entries(found[:150], TABLES, Streak()), ZoneInfo("UTC")))
    assert {t.mode for t in few.data} == {"markers"}


def test_a_week_of_28_pairs_is_told_as_7_days_28_of_28() -> None:
    migration = Migration.load(DEFAULT_MIGRATION)
    week = Streak(28, 168, T - 162 * HOUR, T, tuple(T - 6 * n * HOUR for n in range(28)))
    assert streak_text.in_a_row(week, migration, "production") == "7 days, 28 of 28 clean pairs of runs in a row"
    assert streak_text.explained(week, migration, "production") == []
    here = Panel(Context(migration=migration), ZoneInfo("UTC"), T)
    shown = figure(here, "production", week)
    assert (shown.value, shown.note) == ("28 of 28", "7 days, 28 pairs, 168 table comparisons")
    almost = Streak(27, 162, T - 156 * HOUR, T, week.moments[:27])
    assert streak_text.in_a_row(almost, migration, "production") == "6.8 days, 27 of 28 clean pairs of runs in a row"
    paused = Streak(28, 168, T, T, (*week.moments[:14], *(m - 72 * HOUR for m in week.moments[14:])))
    assert streak_text.in_a_row(paused, migration, "production") == "3.5 days, 28 of 28 clean pairs of runs in a row"
    assert streak_text.explained(paused, migration, "production") == [
        "The days count from 2026-02-26T06:00Z: before it 3.2 days passed without a clean pair of runs, more than 24 h."
    ]
