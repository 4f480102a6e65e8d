"""Parity: pipeline updates tell whether a side was written while it was read, and since."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import InternalError, PermissionDenied
from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.pipelines import ListUpdatesResponse, Origin, PipelineEvent, UpdateInfo, UpdateInfoState
from validation_warehouse import AT, DESCRIBED, SPEC, Scripted, bucket, done

from validation import Recheck, RecheckState, TableUpdate, Verdict, compare, recheck
from validation.state import identifies_data
from validation.updates import current_user, pipeline_updates


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


class Workspace:
    """The two calls of the workspace that `pipeline_updates` makes; `failure` is raised by the first."""

    def __init__(self, *updates: UpdateInfo, failure: Exception | None = None) -> None:
        self.updates, self.failure = updates, failure
        self.tables = self.pipelines = self

    def get(self, name: str) -> Any:
        if self.failure is not None:
            raise self.failure
        return TableInfo(pipeline_id="p1" if name == "c.s.t" else None)

    def list_updates(self, pipeline_id: str, **options: Any) -> Any:
        return ListUpdatesResponse(updates=list(self.updates))

    def list_pipeline_events(self, pipeline_id: str, **options: Any) -> Any:
        origin = Origin(update_id="u1")
        yield PipelineEvent(
            origin=Origin(update_id="u0"), event_type="update_progress", timestamp="2026-01-03T00:00:00Z"
        )
        yield PipelineEvent(origin=origin, event_type="flow_progress", timestamp="2026-01-02T00:00:00Z")
        yield PipelineEvent(origin=origin, event_type="update_progress", timestamp="2026-01-01T00:00:00.000Z")


def test_the_newest_update_counts_whatever_became_of_it() -> None:
    completed = UpdateInfo(update_id="u1", state=UpdateInfoState.COMPLETED)
    running = UpdateInfo(update_id="u2", state=UpdateInfoState.RUNNING)
    validation = UpdateInfo(update_id="u3", state=UpdateInfoState.COMPLETED, validate_only=True)

    def newest(*updates: UpdateInfo) -> TableUpdate | None:
        return pipeline_updates(Workspace(*updates))("c.s.t")  # type: ignore[arg-type]

    assert newest(validation, running, completed) == TableUpdate("u2", "RUNNING")
    assert newest(validation, completed) == TableUpdate("u1", "COMPLETED", AT)
    assert newest() is None
    assert pipeline_updates(Workspace(completed))("c.s.other") is None  # type: ignore[arg-type]
    assert pipeline_updates(Workspace(completed))("other") is None  # type: ignore[arg-type]


def test_a_catalog_that_may_not_be_read_is_no_update_and_one_that_does_not_answer_proves_nothing() -> None:
    assert pipeline_updates(Workspace(failure=PermissionDenied("no")))("c.s.t") is None  # type: ignore[arg-type]
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    spec = replace(SPEC, baseline="c.s.t")
    for failure in (TimeoutError("Timed out after 0:01:00"), InternalError("down")):
        report = compare(warehouse, spec, update_of=pipeline_updates(Workspace(failure=failure)))  # type: ignore[arg-type]
        assert report.verdict is Verdict.NOT_PROVEN and "which update last wrote c.s.t" in report.reason
