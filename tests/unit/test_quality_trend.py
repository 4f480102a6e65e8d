"""The share of failed rows over time: a sudden change is an alert, noise and a handful of rows are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.config.health import Health
from app.progress.quality_trend import judged, trends
from app.store.collected.records import ExpectationRecord, UpdateRecord

START = datetime(2026, 3, 1, tzinfo=UTC)
HEALTH = Health()


def update(n: int, **more: Any) -> UpdateRecord:
    values: dict[str, Any] = {
        "pipeline_id": "p", "pipeline_name": "P", "environment": "production", "update_id": f"u{n:03}",
        "state": "COMPLETED", "cause": None, "full_refresh": False, "validate_only": False, "refresh_selection": (),
        "start_time": START + timedelta(hours=6 * n), "end_time": START + timedelta(hours=6 * n, minutes=5),
        "seconds": 300.0, "job_run_id": None, "url": "",
    }  # fmt: skip
    return UpdateRecord(**{**values, **more})


def checked(n: int, failed: int, rows: int = 1000) -> ExpectationRecord:
    return ExpectationRecord(f"u{n:03}", "dim_fde", "valid", "warn", rows - failed, failed, START)


def alerts(failed: list[int], **more: Any) -> list[int]:
    updates = {u.update_id: u for u in (update(n, **more) for n in range(len(failed)))}
    (trend,) = trends([checked(n, f) for n, f in enumerate(failed)], updates, HEALTH)
    return [n for n, p in enumerate(trend.points) if p.alert]


def test_a_sudden_change_is_an_alert_up_and_down() -> None:
    assert alerts([0] * 10 + [40, 0, 0]) == [10]
    assert alerts([100, 104, 98, 101, 99, 103, 100, 0]) == [7]


def test_noise_and_a_few_rows_are_no_alert() -> None:
    assert alerts([100, 120, 90, 110, 130, 95, 150, 80]) == []
    assert alerts([0] * 10 + [4]) == [], "0.4 % is below the smallest change"


def test_too_few_updates_before_it_say_nothing() -> None:
    assert alerts([0, 0, 0, 0, 500]) == []
    assert alerts([0, 0, 0, 0, 0, 500]) == [5]


def test_a_new_level_is_usual_once_it_has_lasted() -> None:
    assert judged(0.05, [0.0] * 20 + [0.05] * 20, HEALTH) == (0.05, False)


def test_failed_and_validating_updates_and_those_without_rows_have_no_share() -> None:
    updates = {"u000": update(0, state="FAILED"), "u001": update(1, validate_only=True), "u002": update(2)}
    assert trends([checked(0, 900), checked(1, 900), checked(2, 0, rows=0), checked(9, 1)], updates, HEALTH) == []


def test_generated_history_is_not_what_measured_updates_are_compared_with() -> None:
    updates = {u.update_id: u for u in (update(n, generated=n < 10) for n in range(11))}
    (trend,) = trends([checked(n, 0) for n in range(10)] + [checked(10, 500)], updates, HEALTH)
    assert not trend.alerts


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=30).flatmap(
        lambda f: st.tuples(st.just(f), st.permutations(range(len(f))))
    )
)
def test_the_order_in_which_results_arrive_changes_no_alert(drawn: tuple[list[int], list[int]]) -> None:
    failed, order = drawn
    updates = {u.update_id: u for u in (update(n) for n in range(len(failed)))}
    records = [checked(n, f) for n, f in enumerate(failed)]
    assert trends([records[i] for i in order], updates, HEALTH) == trends(records, updates, HEALTH)
