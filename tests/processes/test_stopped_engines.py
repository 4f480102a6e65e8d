"""An engine that stands still (SIGSTOP) or dies (kill -9) right before, or while, something takes effect.

A rollback in another process takes over. Whatever the first one does when it wakes up, and whatever of it lands late: it
writes neither journal nor workspace, and what the rollback verified stays so.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.store.operations import State
from tests.support.small_migration import LEASE, Operations, Process, Small

pytestmark = pytest.mark.timeout(300)

Effects = Callable[[Small], list[dict[str, Any]]]
HELD = "answer_seconds"


def statement(text: str) -> Effects:
    return lambda small: small.effects(text)


def update_of_new_job(number: int) -> Effects:
    """A call that changes the new job, counted from 0: set its parameters, unpause it."""

    def of(small: Small) -> list[dict[str, Any]]:
        calls = {"method": "POST", "path": "^/api/2.2/jobs/update$"}
        return [{**calls, "body_contains": f'"job_id": {small.new_job}', "skip": number}]

    return of


def sent_by(of: Operations, operation: str) -> list[str]:
    """Statements of an operation that the service got, newest first."""
    pages = of.small.workspace.rest.pages("read the history", "/api/2.0/sql/history/queries", {"max_results": 1000})
    texts = [e.text_or_none("query_text") or "" for page in pages for e in page.objects("res")]
    return [t for t in texts if f"operation={operation} statement=" in t]


BEFORE = {
    "while nothing has a name": statement("RENAME TO"),
    "between two flips": lambda small: small.effects(f"ALTER VIEW `{small.catalog}`.`s`.`a` AS"),
    "before the new job starts": update_of_new_job(0),
}


@pytest.mark.parametrize("where", BEFORE)
def test_an_engine_that_wakes_up_after_a_rollback_writes_nothing(of: Operations, where: str) -> None:
    operation = of.approved()
    with of.small.faulty(BEFORE[where](of.small), HELD, 600) as held:
        engine = Process(of, "apply", operation)
        assert engine.until(held), engine.outcome()
        engine.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    # The answer lies in the stopped process's socket: it would go on with the next effect at once.
    of.minute_later()
    record = of.roll_back()
    assert record.state is State.VERIFIED, record.reason
    of.assert_as_before()
    position = of.small.position()
    time.sleep(max(0.0, stopped + LEASE - time.monotonic()))
    lines, sent = of.store.operations.journal(operation), sent_by(of, operation)
    engine.signal(signal.SIGCONT)
    assert engine.outcome()[0] == "LeaseLost"
    assert of.store.operations.journal(operation) == lines
    assert sent_by(of, operation) == sent
    assert of.record(record.id).state is State.VERIFIED
    assert of.small.position() == position


def test_a_stopped_engine_that_wakes_up_while_it_still_counts_on_its_lease(of: Operations) -> None:
    """An operator takes over by force from a process that stands still, and it wakes up a moment later."""
    operation = of.approved()
    with of.small.faulty(of.small.effects("DROP VIEW"), HELD, 600) as held:
        engine = Process(of, "apply", operation)
        assert engine.until(held), engine.outcome()
        engine.signal(signal.SIGSTOP)
    rollback = Process(of, "take over")
    assert rollback.until(lambda: of.forced(), 30)
    engine.signal(signal.SIGCONT)
    assert rollback.outcome()[0] == State.VERIFIED
    assert engine.outcome()[0] == "LeaseLost"
    of.assert_as_before()


LATE = {
    "a statement that waits in the queue": (statement("RENAME TO"), "queue_seconds", 15.0),
    "a statement that is under way": (statement("RENAME TO"), "latency_seconds", 15.0),
    "a call that is under way": (update_of_new_job(1), "latency_seconds", 15.0),
}


@pytest.mark.parametrize("what", LATE)
def test_what_a_killed_engine_sent_lands_after_the_rollback_began(of: Operations, what: str) -> None:
    which, how, seconds = LATE[what]
    operation = of.approved()
    with of.small.faulty(which(of.small), how, seconds) as hit:
        engine = Process(of, "apply", operation)
        assert engine.until(hit), engine.outcome()
        engine.kill()
        sent = time.monotonic()
        record = of.roll_back()
    assert record.state is State.VERIFIED, record.reason
    time.sleep(max(0.0, sent + seconds + 1.0 - time.monotonic()))
    of.assert_as_before()
    assert of.record(operation).state is State.UNDONE
