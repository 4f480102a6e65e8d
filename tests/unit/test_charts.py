"""What a chart draws where its data are few or not whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.web.components.charts import Bar, Point, runs_over_time, timeline

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = ZoneInfo("Asia/Tokyo")


def bar(tone: str, end: datetime | None = None) -> Bar:
    return Bar("1", "lane", "candidate", NOW - timedelta(hours=2), end, "state", tone)


def test_a_run_without_an_end_reaches_to_now_only_while_it_runs() -> None:
    assert (bar("busy").length(NOW), bar("busy").duration) == (timedelta(hours=2), "still running")
    assert (bar("good").length(NOW), bar("good").duration) == (timedelta(0), "end unknown")
    ended = bar("good", NOW - timedelta(hours=2) + timedelta(seconds=90))
    assert (ended.length(NOW), ended.duration) == (timedelta(seconds=90), "1 min 30 s")
    drawn = timeline([bar("good"), bar("busy"), ended], HERE, NOW).data[0]
    assert list(drawn.x) == [1000.0, 7_200_000.0, 90_000.0], "milliseconds; one second at least, to be seen"


def test_a_single_moment_stands_within_an_hour_of_the_readers_clock() -> None:
    one = runs_over_time([Point("1", "baseline", NOW, 5.0)], HERE, NOW, "s").layout.xaxis.range
    assert one == (datetime(2026, 3, 2, 20, 30), datetime(2026, 3, 2, 21, 30))
    points = [Point("1", "baseline", NOW, 5.0), Point("2", "baseline", NOW - timedelta(hours=6), 5.0)]
    assert runs_over_time(points, HERE, NOW, "s").layout.xaxis.range is None
