"""Parity: pipeline updates tell whether a side was written while it was read, and since."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import PermissionDenied

from tests.support.validation_warehouse import AT, DESCRIBED, SPEC, Scripted, bucket, done
from validation import Recheck, RecheckState, TableUpdate, Verdict, compare, recheck
from validation.state import identifies_data
from validation.updates import LogEntry, current_user, written_at


def test_a_new_update_between_reads_is_not_proven() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    updates = iter([done("u1"), done("u1"), done("u1"), done("u2")])
    report = compare(warehouse, SPEC, update_of=lambda name: next(updates))
    assert report.verdict is Verdict.NOT_PROVEN and "update:u1 before, update:u2 after" in report.reason


@pytest.mark.parametrize("states", [("RUNNING", "RUNNING"), ("RUNNING", "COMPLETED"), ("QUEUED", "QUEUED")])
def test_an_update_that_has_not_ended_proves_nothing(states: tuple[str, str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    updates = iter([TableUpdate("u1", states[0]), done("u0"), TableUpdate("u1", states[1]), done("u0")])
    report = compare(warehouse, SPEC, update_of=lambda name: next(updates))
    assert report.verdict is Verdict.NOT_PROVEN
    assert report.baseline.writer == f"update u1, {states[0].lower()}" and report.candidate.writer is None
    assert "update:u1" in report.reason if states[1] == "COMPLETED" else "is being written by update" in report.reason


def test_an_update_that_failed_is_another_state_than_the_same_one_completed() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, update_of=lambda name: TableUpdate("u1", "FAILED", AT))
    assert report.verdict is Verdict.IDENTICAL and report.baseline.last_write == AT
    assert report.baseline.version_before == report.baseline.version_after == "update:u1 (failed)"


def test_updates_that_ended_hours_apart_are_noted() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    ends = {"a": AT, "b": AT + timedelta(hours=3)}
    report = compare(warehouse, SPEC, update_of=lambda name: TableUpdate("u1", "COMPLETED", ends[name]))
    assert any("3.0 h apart" in n for n in report.notes)


def test_a_report_holds_only_while_its_updates_stand() -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    report = compare(warehouse, SPEC, update_of=lambda name: done("u1"))

    def again(update: TableUpdate) -> Recheck:
        return recheck(warehouse, report, update_of=lambda name: update, read_again=False)

    assert again(done("u1")).state is RecheckState.HOLDS
    assert again(done("u2")).state is RecheckState.STALE
    assert again(TableUpdate("u2", "FAILED")).state is RecheckState.STALE
    running = recheck(warehouse, report, update_of=lambda name: TableUpdate("u2", "RUNNING"))
    assert running.state is RecheckState.STALE and "is being written by update u2, running" in running.reason


def test_the_last_change_of_a_definition_does_not_identify_data() -> None:
    assert not identifies_data("altered:2026-01-01T00:00:00+00:00") and identifies_data("update:u1")


def test_a_token_that_may_not_be_told_its_name_compares_without_one() -> None:
    def nobody() -> Any:
        raise PermissionDenied("no SCIM for you")

    asked: Any = SimpleNamespace(current_user=SimpleNamespace(me=lambda: SimpleNamespace(user_name="erin@example.com")))
    assert current_user(asked) == "erin@example.com"
    asked.current_user.me = nobody
    assert current_user(asked) == ""


def entry(hour: int, dataset: str | None, status: str) -> LogEntry:
    """What a flow of a table did at this hour, or, without a table, the update itself."""
    if dataset is None:
        return LogEntry("update_progress", None, AT + timedelta(hours=hour), {"update_progress": {"state": status}})
    return LogEntry("flow_progress", dataset, AT + timedelta(hours=hour), {"flow_progress": {"status": status}})


END = entry(9, None, "COMPLETED")


@pytest.mark.parametrize(
    ("entries", "hour"),
    [
        ((END, entry(8, "c.s.other", "COMPLETED"), entry(3, "c.s.t", "COMPLETED"), entry(2, "c.s.t", "RUNNING")), 3),
        ((END, entry(5, "C.`s`.T", "COMPLETED"), entry(3, "c.s.t", "COMPLETED")), 5),
        ((END, entry(4, "t", "COMPLETED")), 4),
        ((END, entry(4, "other.s.t", "COMPLETED")), 9),
        ((END, entry(4, "c.s.t", "EXCLUDED")), None),
        ((entry(9, None, "FAILED"), entry(4, "c.s.t", "FAILED"), entry(3, "c.s.t", "RUNNING")), None),
        ((entry(9, None, "FAILED"), entry(3, "c.s.t", "COMPLETED")), 3),
        ((entry(9, None, "STOPPING"),), None),
        ((), None),
    ],
)
def test_a_table_was_written_when_its_own_flow_completed(entries: tuple[LogEntry, ...], hour: int | None) -> None:
    assert written_at("c.s.t", entries) == (None if hour is None else AT + timedelta(hours=hour))


def test_a_log_is_read_only_as_far_as_the_tables_flow() -> None:
    log = iter([END, entry(3, "c.s.t", "COMPLETED"), entry(2, "c.s.t", "RUNNING")])
    assert written_at("c.s.t", log) is not None and len(list(log)) == 1
