"""What the Operations page offers for an operation as it stands, and what it tells of the journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.operations.definition import Kind
from app.store.operations import JournalEntry, OperationRecord, Phase, State
from app.web.components.hints import signs
from app.web.components.offers import Situation, cancel
from app.web.components.operation_step import result
from app.web.components.reader import Reader
from app.web.pages.operations import _CANCEL

AT = datetime(2026, 1, 1, tzinfo=UTC)
RECORD = OperationRecord(
    id="op-1", kind=str(Kind.CUTOVER), migration="m", plan_hash="h", plan={}, requested_by="a", source="cli", local=True,
    needs_approval=True, state=State.RUNNING, reason="", executor="", stop_requested=False, undoes=None, created_at=AT,
    expires_at=AT, submitted_at=None, started_at=None, ended_at=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "state", "stuck", "word"),
    [
        (Kind.CUTOVER, State.PLANNED, False, "Withdraw"),
        (Kind.ROLLBACK, State.READY, False, "Withdraw"),
        (Kind.CUTOVER, State.RUNNING, False, "Stop and undo"),
        (Kind.REHEARSE, State.RUNNING, False, "Stop"),
        (Kind.REHEARSE, State.RUNNING, True, "End"),
        (Kind.START_UPDATE, State.RUNNING, True, "End"),
        # Nobody carries these on: only resuming or a rollback leads out. A rollback is never stopped.
        (Kind.CUTOVER, State.RUNNING, True, None),
        (Kind.ROLLBACK, State.RUNNING, False, None),
        (Kind.ROLLBACK, State.RUNNING, True, None),
        (Kind.CUTOVER, State.VERIFIED, False, None),
        (Kind.CUTOVER, State.NEEDS_HUMAN, False, None),
    ],
)
def test_cancelling_is_offered_where_it_can_be_done(kind: Kind, state: State, stuck: bool, word: str | None) -> None:
    record = replace(RECORD, kind=str(kind), state=state)
    found = cancel(Situation(record, True, stuck, False, False, ()), Reader(None, None))
    assert (found.word if found.allowed else None) == word
    assert word is None or word in _CANCEL


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ({"sql": "ALTER VIEW a", "seconds": 0.5}, "ALTER VIEW a; seconds 0.5"),
        ({"run_id": "7"}, "run id 7"),
        ({"relations": [1], "jobs": {}}, ""),
        ({}, ""),
    ],
)
def test_the_journal_tells_what_was_sent_and_found(detail: dict[str, Any], told: str) -> None:
    assert result(JournalEntry(1, "op-1", "forward", 1, "s", "", "FlipView", Phase.DONE, "t", detail, 1, AT)) == told


@pytest.mark.parametrize(
    ("state", "error", "found"),
    [
        ("TIMEDOUT", None, {"timeout"}),
        ("FAILED", "Run timed out after 7200 s", {"timeout"}),
        ("FAILED", "java.util.concurrent.TimeoutException", {"timeout"}),
        ("FAILED", "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `x` cannot be resolved", {"schema"}),
        ("FAILED", "[DELTA_FAILED_TO_MERGE_FIELDS] Failed to merge fields", {"schema"}),
        ("FAILED", "division by zero", set()),
    ],
)
def test_known_issues_are_recognized_by_their_signs(state: str, error: str | None, found: set[str]) -> None:
    assert signs([(state, error)]) == found
