"""The schedule of the migration: weeks become days, and an item's owner and last day are the nearest that are named."""

from __future__ import annotations

from datetime import date

import pytest

from app.config.schedule import Schedule, Span, span_of, weeks_of

START = date(2026, 1, 5)


@pytest.mark.parametrize(("text", "weeks"), [("1", (1, 1)), ("2-5", (2, 5)), ("12", (12, 12)), ("3-3", (3, 3))])
def test_weeks_are_read(text: str, weeks: tuple[int, int]) -> None:
    assert weeks_of(text) == weeks


@pytest.mark.parametrize("text", ["", "0", "5-2", "2-", "2 - 5", "-1", "1.5", "2–5", "٣", "1000"])
def test_other_texts_are_no_weeks(text: str) -> None:
    with pytest.raises(ValueError, match="neither a week nor a range"):
        weeks_of(text)


def test_a_week_is_seven_days_from_the_start_date() -> None:
    assert span_of(START, "1") == Span(date(2026, 1, 5), date(2026, 1, 11))
    assert span_of(START, "2-5") == Span(date(2026, 1, 12), date(2026, 2, 8))


def test_the_nearest_last_day_counts() -> None:
    plan = Schedule.model_validate({"due": {"week_2": "2026-01-15", "w2_run": "2026-01-13"}})
    assert plan.due_of(START, "2", "w2_run", "week_2", "phase_1") == date(2026, 1, 13)
    assert plan.due_of(START, "2", "w2_tables", "week_2", "phase_1") == date(2026, 1, 15)
    assert plan.due_of(START, "2", "other", "week_3", "phase_1") == date(2026, 1, 18)


def test_without_a_start_date_only_named_days_are_due() -> None:
    plan = Schedule.model_validate({"due": {"w2_run": "2026-01-13"}})
    assert plan.due_of(None, "2", "w2_run") == date(2026, 1, 13)
    assert plan.due_of(None, "2", "w2_tables") is None


def test_the_nearest_owner_counts() -> None:
    plan = Schedule(owner="dane", owners={"phase_1": "erin", "week_2": "ana"})
    assert plan.group_owner("week_2", "phase_1") == "ana"
    assert plan.group_owner("week_3", "phase_1") == "erin"
    assert plan.group_owner("week_6", "phase_2") == "dane"
