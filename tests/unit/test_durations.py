"""Durations in words: one unit, the largest; measurements to the second."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.durations import duration, measured


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (20, 1, "20 s"),
        (0.4, 1, "0.4 s"),
        (0, 1, "0 s"),
        (59.97, 1, "1 min"),
        (59.7, 0, "1 min"),
        (90, 1, "1.5 min"),
        (3540, 1, "59 min"),
        (3599.9, 0, "1 h"),
        (6 * 3600, 1, "6 h"),
        (30 * 3600, 1, "30 h"),
        (timedelta(hours=47.99), 0, "2 days"),
        (timedelta(days=2), 1, "2 days"),
        (timedelta(days=6.75), 1, "6.8 days"),
        (timedelta(days=400), 0, "400 days"),
        (-90, 1, "−1.5 min"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(value: float | timedelta, digits: int, text: str) -> None:
    assert duration(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.424, "0.42 s"), (37.5, "37.5 s"), (59.96, "1 min 00 s"), (727, "12 min 07 s"), (7500, "2 h 05 min")],
)
def test_a_measurement_keeps_its_seconds(value: float, text: str) -> None:
    assert measured(value) == text
    assert measured(-value) == "−" + text
