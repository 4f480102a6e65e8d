"""What a chart draws where its data are few or not whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.progress.freshness import Freshness
from app.web.components.charts import (
    Bar,
    Point,
    columns_bar,
    failed_share,
    runs_over_time,
    single_bars,
    timeline,
    verdicts,
    zone_title,
)
from app.web.components.charts_health import table_ages
from app.web.components.charts_performance import DayValue, by_day
from app.web.components.charts_runs import gantt
from tests.support.drawn import drawn

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = ZoneInfo("Asia/Tokyo")


def bar(tone: str, end: datetime | None = None) -> Bar:
    return Bar("1", "lane", "candidate", NOW - timedelta(hours=2), end, "state", tone)


def test_a_run_without_an_end_reaches_to_now_only_while_it_runs() -> None:
    assert (bar("busy").length(NOW), bar("busy").duration) == (timedelta(hours=2), "still running")
    assert (bar("good").length(NOW), bar("good").duration) == (timedelta(0), "end unknown")
    ended = bar("good", NOW - timedelta(hours=2) + timedelta(seconds=90))
    assert (ended.length(NOW), ended.duration) == (timedelta(seconds=90), "1 min 30 s")
    bars = drawn(timeline([bar("good"), bar("busy"), ended], HERE, NOW)).data[0]
    assert list(bars.x) == [1000.0, 7_200_000.0, 90_000.0], "milliseconds; one second at least, to be seen"


def test_a_single_moment_stands_within_an_hour_of_the_readers_clock() -> None:
    one = drawn(runs_over_time([Point("1", "baseline", NOW, 5.0)], HERE, "s")).layout.xaxis.range
    assert one == ("2026-03-02T20:30:00", "2026-03-02T21:30:00")
    points = [Point("1", "baseline", NOW, 5.0), Point("2", "baseline", NOW - timedelta(hours=6), 5.0)]
    assert drawn(runs_over_time(points, HERE, "s")).layout.xaxis.range is None


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("zone", "times", "title"),
    [
        (NEW_YORK, (datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC)), "EDT (America/New_York)"),
        (NEW_YORK, (datetime(2026, 12, 1, tzinfo=UTC),), "EST (America/New_York)"),
        # 2026-11-01 06:00 UTC: 02:00 EDT becomes 01:00 EST.
        (NEW_YORK, (datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)), "EDT, EST (America/New_York)"),
        (NEW_YORK, (datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)), "EDT, EST (America/New_York)"),
        (ZoneInfo("UTC"), (datetime(2026, 7, 1, tzinfo=UTC),), "UTC"),
        (NEW_YORK, (), "America/New_York"),
    ],
)  # fmt: skip
def test_an_axis_names_the_zone_as_it_holds_for_its_dates(
    zone: ZoneInfo, times: Sequence[datetime], title: str
) -> None:
    assert zone_title(zone, times) == title


def test_every_chart_over_time_names_the_zone_of_its_data() -> None:
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    ended = Bar("1", "lane", "candidate", summer, summer + timedelta(minutes=5), "SUCCESS", "good")
    for figure in (
        timeline([ended], NEW_YORK, NOW + timedelta(days=300)),
        runs_over_time([Point("1", "baseline", summer, 5.0)], NEW_YORK, "s"),
        verdicts([("t", summer, "identical", "p-1")], NEW_YORK),
        failed_share([("e", [(summer, 1, 0)])], NEW_YORK),
    ):
        assert drawn(figure).layout.xaxis.title.text == "EDT (America/New_York)"


def test_a_failed_bar_keeps_the_colour_of_its_side_under_white_lines() -> None:
    run = Bar("1", "lane", "candidate", NOW, NOW + timedelta(minutes=5), "FAILED", "bad")
    day = [DayValue("baseline", date(2026, 3, 2), 1.0, 1)]
    stale = Freshness("t", "c.s.t", "candidate", "stale", "late", NOW - timedelta(hours=7), NOW, 1, True)
    figures = [
        timeline([run], HERE, NOW),
        gantt([run], HERE, NOW),
        by_day(day, "s", HERE),
        table_ages([stale], {}, NOW),
    ]
    for figure in map(drawn, figures):
        bars = [b for b in figure.data if b.type == "bar"]
        assert bars and all(b.marker.pattern.fillmode == "overlay" for b in bars), "the default draws white on white"


def test_the_number_in_a_bar_is_never_turned_however_short_the_bar() -> None:
    for figure in (columns_bar([("status", 40), ("name", 1)]), single_bars([("a", 9.0), ("b", 0.1)], "seconds")):
        assert drawn(figure).data[0].textangle == 0


@pytest.mark.parametrize(("hours", "title", "length"), [(1.0, "minutes", 60.0), (5.0, "hours", 5.0)])
def test_young_tables_are_drawn_in_minutes(hours: float, title: str, length: float) -> None:
    table = Freshness("t", "c.s.t", "candidate", "fresh", "", NOW - timedelta(hours=hours), NOW, 0, False)
    figure = drawn(table_ages([table], {}, NOW))
    assert figure.layout.xaxis.title.text == f"{title} since the last write" and list(figure.data[0].x) == [length]
