"""The charts of Overview: the timeline, verdicts by comparison, ratios with their intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.config.schedule import Span
from app.performance.assessment import NOT_ASSESSED
from app.progress.phases import phases as phases_of
from app.progress.timeline import PlannedPhase, Timeline, timeline
from app.store.parity_records import ParityState
from app.web.components import charts_overview, charts_timeline
from tests.support.drawn import drawn
from tests.support.performance import NOW as MEASURED_NOW
from tests.support.performance import assessed, side_by_side
from tests.support.progress_facts import NOW, compared, facts

HERE = ZoneInfo("America/New_York")
FIRST, LAST = date(2026, 2, 2), date(2026, 2, 8)


def phase(started: datetime | None = None, ended: datetime | None = None, planned: bool = True) -> PlannedPhase:
    """The first phase, planned for a week of February."""
    found = timeline(facts(), phases_of(facts())).phases[0]
    return replace(found, planned=Span(FIRST, LAST) if planned else None, started=started, ended=ended)


def plan(*phases: PlannedPhase, start: date | None = FIRST) -> Timeline:
    return Timeline(NOW.date(), start, phases, ())


def bars(plan: Timeline) -> dict[str, tuple[datetime, timedelta]]:
    """Name of each bar to its start and length."""
    found = drawn(charts_timeline.phases(plan, HERE, NOW)).data
    return {b.name: (datetime.fromisoformat(b.base[0]), timedelta(milliseconds=b.x[0])) for b in found}


def test_a_planned_bar_reaches_from_the_first_day_to_the_end_of_the_last() -> None:
    assert bars(plan(phase()))["planned"] == (datetime(2026, 2, 2), timedelta(days=7))


def test_what_happened_after_the_planned_end_is_a_bar_of_its_own() -> None:
    started, ended = datetime(2026, 2, 4, 17, tzinfo=UTC), datetime(2026, 2, 11, 5, tzinfo=UTC)
    found = bars(plan(phase(started, ended)))
    assert found["actual"] == (datetime(2026, 2, 4, 12), timedelta(days=4, hours=12))
    assert found["after its planned end"] == (datetime(2026, 2, 9), timedelta(days=2))


def test_a_phase_in_time_has_no_bar_after_its_planned_end() -> None:
    found = bars(plan(phase(datetime(2026, 2, 3, 17, tzinfo=UTC), datetime(2026, 2, 6, 17, tzinfo=UTC))))
    assert set(found) == {"planned", "actual"}


def test_an_open_phase_reaches_to_now() -> None:
    started = datetime(2026, 2, 10, 12, tzinfo=UTC)
    found = bars(plan(phase(started)))
    assert set(found) == {"planned", "after its planned end"}
    assert found["after its planned end"][1] == NOW - started


def test_a_phase_of_minutes_is_still_drawn_wide_enough_to_be_seen() -> None:
    at = datetime(2026, 2, 3, 17, tzinfo=UTC)
    assert bars(plan(phase(at, at + timedelta(minutes=1))))["actual"][1] > timedelta(hours=3)


def test_without_a_start_date_only_what_happened_is_drawn() -> None:
    nothing = plan(phase(planned=False), start=None)
    assert not charts_timeline.drawable(nothing)
    happened = plan(phase(NOW - timedelta(days=3), planned=False), start=None)
    assert charts_timeline.drawable(happened) and set(bars(happened)) == {"actual"}
    assert "no start date set" in charts_timeline.in_words(happened)


def test_the_title_of_the_plan_names_week_phase_and_late_items() -> None:
    assert charts_timeline.in_words(plan(phase())) == (
        "Phases, planned and actual: week 5, in Phase 0: Preparation, nothing late"
    )
    assert "starts on 2026-03-09" in charts_timeline.in_words(plan(phase(), start=date(2026, 3, 9)))


def results(*hours: float, table: str = "dim_fde", verdict: str = "identical") -> list[Any]:
    """Results of one table, one comparison for each age in hours; its id is that age."""
    return [replace(compared(table, h, verdict), parity_id=f"c{h}") for h in hours]


def test_the_newest_comparison_is_at_the_right_and_the_oldest_are_left_out() -> None:
    grid = charts_overview.grid_of(results(1, 2, 3, 4), ["dim_fde", "iv_fde_ax"], 3)
    assert [parity_id for parity_id, _ in grid.comparisons] == ["c3", "c2", "c1"]
    assert set(grid.cells) == {("dim_fde", "c3"), ("dim_fde", "c2"), ("dim_fde", "c1")}
    figure = drawn(charts_overview.verdict_grid(grid, ["■", "●"], HERE))
    assert [list(t.customdata[n]) for t in figure.data for n in (0,)] == [["dim_fde", "c1"]]
    assert list(figure.data[0].x) == [2, 1, 0]
    assert list(figure.layout.yaxis.ticktext) == ["■ dim_fde", "● iv_fde_ax"]


def test_each_verdict_has_a_shape_of_its_own() -> None:
    cancelled = replace(results(4)[0], state=ParityState.CANCELLED, verdict=None)
    failed = replace(results(5)[0], state=ParityState.FAILED, verdict=None)
    found = [*results(1), *results(2, verdict="different"), *results(3, verdict="not_proven"), cancelled, failed]
    figure = drawn(charts_overview.verdict_grid(charts_overview.grid_of(found, ["dim_fde"], 9), ["■"], HERE))
    shapes = {t.name: (t.marker.symbol, len(t.x)) for t in figure.data}
    assert {name: n for name, (_, n) in shapes.items()} == {
        "identical": 1, "different": 1, "not proven": 2, "cancelled": 1,
    }  # fmt: skip
    assert len({symbol for symbol, _ in shapes.values()}) == 4


def test_tables_that_left_the_migration_are_not_in_the_grid() -> None:
    grid = charts_overview.grid_of([*results(1), *results(1, table="gone")], ["dim_fde"], 5)
    assert {t for t, _ in grid.cells} == {"dim_fde"}


def test_a_ratio_has_its_interval_and_its_verdict_in_words() -> None:
    runs, usage = side_by_side([100.0] * 14, [50.0] * 14)
    measures = assessed(runs, usage, now=MEASURED_NOW).measures
    figure = drawn(charts_overview.ratios(measures))
    point = figure.data[0]
    assert (point.x[0], point.marker.symbol) == (0.5, "circle")
    assert point.error_x.array[0] == measures[0].interval.high - 0.5
    words = [a.text for a in figure.layout.annotations]
    assert words[0] == "<b>Run time</b>  ✓ better: 0.50×, 14 pairs"


def test_too_few_pairs_are_shown_hollow_and_none_leaves_a_lane_with_the_reason() -> None:
    runs, usage = side_by_side([100.0] * 2, [50.0] * 2)
    few = drawn(charts_overview.ratios(assessed(runs, usage, now=MEASURED_NOW).measures))
    assert few.data[0].marker.symbol == "diamond-open"
    nothing = drawn(charts_overview.ratios(NOT_ASSESSED.measures))
    assert not nothing.data
    assert [a.text.partition("?")[2] for a in nothing.layout.annotations] == [" no pair of runs yet"] * 3
