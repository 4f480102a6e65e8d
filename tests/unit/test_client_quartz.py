"""Quartz expressions: which moments they name, in which time zone, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from databricks_client.quartz import Cron, CronError

NEW_YORK = ZoneInfo("America/New_York")


def moments(text: str, after: str, count: int, zone: ZoneInfo = NEW_YORK) -> list[str]:
    found = islice(Cron.parse(text).moments(datetime.fromisoformat(after).replace(tzinfo=zone), zone), count)
    return [m.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for m in found]


def test_the_job_fires_every_six_hours_from_five():
    assert moments("55 0 5/6 * * ?", "2026-01-15 00:00:00", 5) == [
        "2026-01-15 05:00:55",
        "2026-01-15 11:00:55",
        "2026-01-15 17:00:55",
        "2026-01-15 23:00:55",
        "2026-01-16 05:00:55",
    ]


def test_the_moment_itself_is_not_after_itself():
    assert moments("0 0 12 * * ?", "2026-01-15 12:00:00", 1) == ["2026-01-16 12:00:00"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 0 L * ?", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 0 L-2 * ?", ["2026-01-29", "2026-02-26", "2026-03-29"]),
        ("0 0 0 LW * ?", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 0 0 L-3W * ?", ["2026-01-28", "2026-02-25", "2026-03-27"]),
        ("0 0 0 L-30W * ?", ["2026-03-02", "2026-05-01", "2026-07-01"]),
        ("0 0 0 15W * ?", ["2026-01-15", "2026-02-16", "2026-03-16"]),
        ("0 0 0 1W * ?", ["2026-01-01", "2026-02-02", "2026-03-02"]),
        ("0 0 0 31W * ?", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 0 0 ? * 6L", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 0 ? * FRIL", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("0 0 0 ? * MON#1", ["2026-01-05", "2026-02-02", "2026-03-02"]),
        ("0 0 0 ? * 2#5", ["2026-03-30", "2026-06-29", "2026-08-31"]),
        ("0 0 0 ? * SAT-MON", ["2026-01-03", "2026-01-04", "2026-01-05"]),
        ("0 0 0 ? * L", ["2026-01-03", "2026-01-10", "2026-01-17"]),
        ("0 0 0 1 JAN,JUL ? 2027-2028", ["2027-01-01", "2027-07-01", "2028-01-01"]),
        ("0 0 0 29 2 ?", ["2028-02-29", "2032-02-29", "2036-02-29"]),
    ],
)
def test_days_of_month_and_week(text: str, expected: list[str]):
    found = moments(text, "2026-01-01 00:00:00" if "1W" not in text else "2025-12-31 00:00:00", 3)
    assert [f[:10] for f in found] == expected


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("0 0 22-2 * * ?", [22, 23, 0, 1, 2]),
        ("0 0 */8 * * ?", [0, 8, 16]),
        ("0 0 1,3,9-11 * * ?", [1, 3, 9, 10, 11]),
        ("0 0 20-4/4 * * ?", [20, 0, 4]),
        ("0 0 22-4 * * ?", [22, 23, 0, 1, 2, 3, 4]),
        ("0 0 /8 * * ?", [0, 8, 16]),
        ("0 0 3,,5, * * ?", [3, 5]),
        ("0 0 7/0 * * ?", [7]),
        ("0 0 22-4/0 * * ?", [22]),
        ("0 0 */0 ? * SUN-SAT", list(range(24))),
        ("0 0 10/7 * * ?", [10, 17]),
    ],
)
def test_ranges_steps_and_lists_of_hours(text: str, hours: list[int]):
    assert Cron.parse(text).hours == tuple(sorted(hours))


def test_an_hour_that_clocks_skip_is_left_out():
    assert moments("0 30 2 * * ?", "2026-03-07 12:00:00", 2) == ["2026-03-09 02:30:00", "2026-03-10 02:30:00"]


def test_an_hour_that_comes_twice_counts_once():
    found = list(islice(Cron.parse("0 30 1 * * ?").moments(datetime(2026, 10, 31, 12, tzinfo=UTC), NEW_YORK), 2))
    assert found == [datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 2, 6, 30, tzinfo=UTC)]


def test_the_six_hour_schedule_keeps_its_wall_clock_over_both_changes():
    for start in ("2026-03-08 00:00:00", "2026-11-01 00:00:00"):
        assert [f[11:] for f in moments("55 0 5/6 * * ?", start, 4)] == ["05:00:55", "11:00:55", "17:00:55", "23:00:55"]


def test_a_year_that_has_passed_names_nothing_more():
    assert Cron.parse("0 0 0 1 1 ? 2020").next_after(datetime(2026, 1, 1, tzinfo=UTC), NEW_YORK) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * * *",
        "0 0 0 * * *",
        "0 0 0 ? * ?",
        "60 0 0 * * ?",
        "0 0 24 * * ?",
        "0 0 0 32 * ?",
        "0 0 0 ? * 8",
        "0 0 0 ? * MON#6",
        "0 0 0 ? FOO MON",
        "0 0 , * * ?",
        "0 0 0 L,15 * ?",
        "0 0 0 15,LW * ?",
        "0 0 0 L- * ?",
        "0 0 0 W * ?",
        "0 0 0 LW-3 * ?",
        "0 0 0 ? * MON,6L",
        "0 0 0 ? * MON#1,WED#3",
        "0 0 0 ? * MON,WED#3",
        "0 0 0 ? * MON-6",
        "0 0 0 ? * 2-FRI",
        "0 0 0 ? * MON-FRI/2",
        "0 0 */24 * * ?",
        "0 0 5x * * ?",
        "0 0 0 L-31 * ?",
        "0 0 0 * * ? 2030-2020",
        "a b c d e f",
        "0 0 0 ² * ?",
        "0 0/² 0 * * ?",
    ],
)
def test_what_quartz_refuses_is_refused(text: str):
    with pytest.raises(CronError):
        Cron.parse(text)
