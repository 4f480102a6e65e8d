"""A schedule in words: what a sentence can say is said, all else is left to the expression."""

from __future__ import annotations

import pytest

from app.web.components.schedule_words import fires


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("55 0 5/6 * * ?", "daily at 05:00:55, 11:00:55, 17:00:55 and 23:00:55"),
        ("0 0 6,12,18 * * ?", "daily at 06:00, 12:00 and 18:00"),
        ("0 30 4 ? * *", "daily at 04:30"),
        ("0 30 4 ? * MON-WED", "every Monday, Tuesday and Wednesday at 04:30"),
        ("0 30 4 ? * SUN", "every Sunday at 04:30"),
        ("0 0/10 * * * ?", None),
        ("0 0 5 1 * ?", None),
        ("0 0 5 L * ?", None),
        ("0 0 5 ? 3 MON", None),
        ("0 0 5 ? * MON#1", None),
        ("0 0 5 * * ? 2030", None),
        ("<b>no</b>", None),
    ],
)
def test_a_schedule_is_said_in_words_where_words_can(expression: str, words: str | None) -> None:
    assert fires(expression) == words
