"""A worker that may read nobody's groups executes what their own groups allowed as they acted, for a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.access import Refused, RolesFound, RoleSource, RolesUnseen
from app.config.migration import Role
from app.operations.definition import Kind
from app.operations.seen_roles import with_seen
from app.operations.service import OperationsService
from app.store.operations import State
from tests.support.operations_world import CUT, ERIN, LARS, Crash, Given


def blind(user: str) -> RolesFound:
    raise RolesUnseen(f"no source says which roles {user} has")


def worker(given: Given) -> OperationsService:
    """One that may read no groups and has no user's token."""
    return given.service_with(roles_of=blind)


def panel(given: Given, source: RoleSource = RoleSource.OWN_GROUPS) -> OperationsService:
    """One where each user's own token tells their groups."""
    return given.service_with(roles_of=lambda user: RolesFound(given.roles[user], source))


def ready(given: Given, source: RoleSource = RoleSource.OWN_GROUPS) -> str:
    service = panel(given, source)
    operation = service.submit(service.plan(Kind.CUTOVER, {}, ERIN), ERIN, CUT)
    service.approve(operation, LARS, "go")
    return operation


def test_the_worker_executes_what_own_groups_allowed(given: Given) -> None:
    operation = ready(given)
    assert worker(given).apply(operation, "worker").state is State.VERIFIED
    submitted = given.store.audit.records(subject=operation, action="submit")[0]
    assert (submitted.detail["roles_seen"], submitted.detail["role_source"]) == (sorted(ERIN.roles), "own groups")


def test_what_another_source_said_is_looked_up_again(given: Given) -> None:
    operation = ready(given, RoleSource.WORKSPACE_GROUPS)
    with pytest.raises(Refused, match="no source says"):
        worker(given).apply(operation, "worker")
    assert given.world.log == []


def test_an_answer_decides_whatever_was_seen(given: Given) -> None:
    operation = ready(given)
    given.roles[LARS.user_name] = frozenset({Role.OPERATOR})
    with pytest.raises(Refused, match="needs the role approver"):
        given.service.apply(operation, "worker")


def test_it_counts_for_a_day_only(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = ready(given)
    monkeypatch.setattr("app.operations.seen_roles.VALID_FOR", timedelta(minutes=1))
    given.clock.go_on(60)
    with pytest.raises(Refused, match="no source says"):
        worker(given).apply(operation, "worker")


def test_a_person_who_acts_is_looked_up_now(given: Given) -> None:
    operation = ready(given)
    with pytest.raises(Refused, match="no source says"):
        worker(given).apply(operation, ERIN)


def test_a_request_to_resume_is_executed_with_the_roles_seen_at_it(given: Given) -> None:
    operation = ready(given)
    given.world.crash_after("CREATE VIEW")
    with pytest.raises(Crash):
        worker(given).apply(operation, "worker")
    given.restart()
    panel(given).request_resume(operation, ERIN)
    assert worker(given).resume_requested(operation, "worker").state is not State.RUNNING


def test_a_changed_log_attests_nothing(given: Given) -> None:
    look_up = with_seen(blind, given.store.audit, ready(given), given.clock)
    assert look_up(LARS.user_name) == RolesFound(LARS.roles, RoleSource.OWN_GROUPS)
    with given.engine.begin() as c:
        c.exec_driver_sql("UPDATE audit_log SET reason = 'x' WHERE action = 'plan'")
    with pytest.raises(RolesUnseen):
        look_up(LARS.user_name)


def test_a_lookup_that_fails_or_answers_no_is_not_replaced_by_what_was_seen(given: Given) -> None:
    operation = ready(given)

    def refuses(user: str) -> RolesFound:
        raise Refused(f"the roles of {user} cannot be looked up")

    with pytest.raises(Refused, match="cannot be looked up"):
        with_seen(refuses, given.store.audit, operation, given.clock)(LARS.user_name)


def test_what_was_seen_counts_for_nobody_else(given: Given) -> None:
    look_up = with_seen(blind, given.store.audit, ready(given), given.clock)
    with pytest.raises(RolesUnseen):
        look_up("another@example.com")


def test_a_refused_act_shows_no_roles(given: Given) -> None:
    operation = ready(given)
    given.store.audit.append(
        actor="another@example.com", source="proxy", local=False, action="approve", outcome="refused",
        subject=operation, detail={"roles_seen": ["approver"], "role_source": "own groups"},
    )  # fmt: skip
    with pytest.raises(RolesUnseen):
        with_seen(blind, given.store.audit, operation, given.clock)("another@example.com")
