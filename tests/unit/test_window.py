"""The cutover window: when it is open, when it opens next, and which files are refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from app.config.base import first_mistake
from app.config.window import Window


def window(*hours: dict[str, object], timezone: str = "America/New_York") -> Window:
    return Window.model_validate({"timezone": timezone, "hours": hours})


EVENINGS = window({"days": ["monday", "tuesday"], "opens": "20:00", "closes": "23:00"})
NIGHTS = window({"days": ["saturday"], "opens": "22:00", "closes": "02:00"})


@pytest.mark.parametrize(
    ("at", "closes"),
    [
        ("2026-01-13T00:59:59", None),
        ("2026-01-13T01:00:00", "2026-01-13T04:00:00"),
        ("2026-01-13T03:59:59", "2026-01-13T04:00:00"),
        ("2026-01-13T04:00:00", None),
        ("2026-01-15T02:00:00", None),
    ],
)
def test_a_window_is_open_on_its_days_and_hours_of_its_zone(at: str, closes: str | None) -> None:
    found = EVENINGS.closes_at(datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found == (None if closes is None else datetime.fromisoformat(closes).replace(tzinfo=UTC))


def test_it_says_when_it_opens_next() -> None:
    friday = datetime(2026, 1, 16, 12, tzinfo=UTC)
    assert EVENINGS.opens_at(friday) == datetime(2026, 1, 20, 1, tzinfo=UTC)
    assert EVENINGS.text == "monday, tuesday 20:00-23:00 (America/New_York)"
    in_it = datetime(2026, 1, 13, 2, tzinfo=UTC)
    assert EVENINGS.opens_at(in_it) == datetime(2026, 1, 14, 1, tzinfo=UTC)


def test_hours_over_midnight_belong_to_the_day_on_which_they_open() -> None:
    sunday, saturday = datetime(2026, 1, 18, 6, tzinfo=UTC), datetime(2026, 1, 17, 6, tzinfo=UTC)
    assert NIGHTS.closes_at(sunday) == datetime(2026, 1, 18, 7, tzinfo=UTC)
    assert NIGHTS.closes_at(saturday) is None


def test_the_clock_change_moves_the_window_with_the_wall_clock() -> None:
    """In the night of 2026-11-01 New York's clocks go from 02:00 back to 01:00."""
    assert NIGHTS.closes_at(datetime(2026, 11, 1, 6, 30, tzinfo=UTC)) == datetime(2026, 11, 1, 7, tzinfo=UTC)
    assert EVENINGS.opens_at(datetime(2026, 3, 8, 12, tzinfo=UTC)) == datetime(2026, 3, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"opens": 1200}, 'hours.0.opens: 1200 is no time of day: write it in quotes as "20:00"'),
        ({"closes": "24:00"}, "hours.0.closes: '24:00' is no time of day"),
        ({"days": []}, "hours.0.days: "),
        ({"days": ["monday", "monday"]}, "hours.0.days: monday appears twice"),
        ({"days": ["mon"]}, "hours.0.days.0: "),
    ],
)
def test_a_wrong_window_is_refused_in_one_line(changed: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        window({"days": ["monday"], "opens": "20:00", "closes": "23:00", **changed})
    assert first_mistake(caught.value).startswith(says)


def test_a_wrong_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no time zone"):
        window({"days": ["monday"], "opens": "20:00", "closes": "23:00"}, timezone="Mars/Base")
