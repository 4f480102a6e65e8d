"""Resuming by request: pages ask, the worker resumes with the rights of who asked, and nothing is resumed twice."""

from __future__ import annotations

import pytest

from app.access import Refused
from app.config.migration import Role
from app.operations import resumption
from app.operations.definition import Kind
from app.operations.engine import LEASE
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import ERIN, LARS, SOFIA, Crash, Given, all_new, all_old


def interrupted(g: Given) -> str:
    """A cutover whose process died once the first view stood."""
    operation = g.approved()
    g.world.crash_after("CREATE VIEW")
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    return operation


def unreadable(name: str) -> object:
    raise WorkspaceError("find pipeline", "no answer from the workspace", status=500)


def test_the_worker_resumes_what_is_requested_and_does_not_bring_it_back(given: Given) -> None:
    operation = interrupted(given)
    assert [o.id for o in given.service.left()] == [operation]
    given.service.request_resume(operation, ERIN)
    assert given.service.left() == [] and [o.id for o in given.service.to_resume()] == [operation]
    record = given.service.resume_requested(operation, "worker-1")
    assert record.state is State.VERIFIED and record.executor == "worker-1" and all_new(given)
    assert given.service.to_resume() == []
    asked = given.store.audit.records(subject=operation, action="request resume")
    assert [(r.actor, r.outcome, r.source) for r in asked] == [(ERIN.user_name, "allowed", ERIN.source)]


def test_a_request_survives_the_process_that_made_it_and_the_worker_that_died(given: Given) -> None:
    operation = interrupted(given)
    given.service.request_resume(operation, ERIN)
    given.world.crash_after("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.resume_requested(operation, "worker-1")
    given.restart()
    assert given.service.to_resume() == [], "it was answered: what is left of it is brought back"
    assert given.service.bring_back(operation, "worker-2").state is State.UNDONE and all_old(given)


def test_a_refused_resume_is_recorded_with_its_reason_and_not_tried_again(given: Given) -> None:
    operation = interrupted(given)
    given.service.request_resume(operation, ERIN)
    given.world.pipeline = unreadable  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused, match="not resumed, the workspace cannot be read"):
        given.service.resume_requested(operation, "worker-1")
    assert given.service.to_resume() == []
    assert "not resumed, the workspace cannot be read" in resumption.refusal(given.store.audit, operation)
    given.service.request_resume(operation, LARS)
    assert resumption.refusal(given.store.audit, operation) == ""


def test_the_rights_of_the_requester_are_checked_at_the_request_and_again_when_it_is_executed(given: Given) -> None:
    operation = interrupted(given)
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.request_resume(operation, SOFIA)
    assert given.service.to_resume() == []
    given.service.request_resume(operation, ERIN)
    given.roles[ERIN.user_name] = frozenset({Role.VIEWER})
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.resume_requested(operation, "worker-1")
    with pytest.raises(Refused, match="no request"):
        given.service.resume_requested(operation, "worker-1")


def test_a_persona_requests_nothing_on_a_remote_workspace(given: Given) -> None:
    operation = interrupted(given)
    given.service.request_resume(operation, ERIN)
    with pytest.raises(Refused, match="persona"):
        given.service_with(personas=lambda: False).resume_requested(operation, "worker-1")


def test_what_is_executed_or_at_an_end_is_not_requested(given: Given) -> None:
    operation = interrupted(given)
    assert given.store.leases.acquire(LEASE, "another", 60) is not None
    with pytest.raises(Refused, match="is being executed"):
        given.service.request_resume(operation, ERIN)
    given.clock.go_on(61)
    assert given.service.rollback(ERIN, "rollback product.fde").state is State.VERIFIED
    with pytest.raises(Refused, match="nothing to resume"):
        given.service.request_resume(operation, ERIN)
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    with pytest.raises(Refused, match="nothing to resume"):
        given.service.request_resume(made.operation_id, ERIN)
