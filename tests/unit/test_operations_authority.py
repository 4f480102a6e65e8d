"""Who may do what: four eyes, roles looked up at the action, a typed confirmation; the audit has it all, refusals too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from app.access import Actor, Refused
from app.config.migration import Role
from app.operations.definition import Kind
from app.store.operations import ApprovalRecord, State
from tests.support.operations_world import BACK, CUT, ERIN, LARS, SOFIA, Given


def test_four_eyes_the_requester_cannot_approve(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, LARS)
    given.service.submit(made, LARS, CUT)
    for same in (LARS, replace(LARS, user_name="LEAD@example.com ")):
        with pytest.raises(Refused, match="cannot approve it"):
            given.service.approve(made.operation_id, same)
    with pytest.raises(Refused, match="waits for an approval"):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []


def test_four_eyes_are_bound_to_the_plan_and_expire(given: Given) -> None:
    first = given.approved()
    given.clock.go_on(1)
    other = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(other, ERIN, CUT)
    given.store.operations.move(other.operation_id, [State.SUBMITTED], State.READY)
    with pytest.raises(Refused, match="no approver has approved this plan"):
        given.service.apply(other.operation_id, "worker")
    given.clock.go_on(24 * 3600)
    with pytest.raises(Refused, match="expired"):
        given.service.apply(first, "worker")
    assert given.world.log == []


def test_four_eyes_identity_is_checked_again_at_the_action(given: Given) -> None:
    operation = given.approved()
    given.roles[LARS.user_name] = frozenset({Role.OPERATOR})
    with pytest.raises(Refused, match="needs the role approver"):
        given.service.apply(operation, "worker")
    given.roles[LARS.user_name] = frozenset(Role)
    operation = given.approved()
    given.roles[ERIN.user_name] = frozenset({Role.VIEWER})
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.apply(operation, "worker")
    del given.roles[ERIN.user_name]
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.plan(Kind.CUTOVER, {}, ERIN)
    assert given.world.log == []


def test_four_eyes_roles_claimed_by_the_session_count_for_nothing(given: Given) -> None:
    claims = Actor(SOFIA.user_name, frozenset(Role), "proxy")
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.plan(Kind.PAUSE, {"job": "baseline"}, claims)
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(made, ERIN, CUT)
    with pytest.raises(Refused, match="needs the role approver"):
        given.service.approve(made.operation_id, claims)


def test_there_is_no_way_to_confirm_but_by_typing_what_will_change(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    for typed in ("", "yes", "y", "CUTOVER PRODUCT.FDE", "rollback product.fde"):
        with pytest.raises(Refused, match=r"type 'cutover product\.fde'"):
            given.service.submit(made, ERIN, typed)
    assert given.service.submit(made, ERIN, " cutover product.fde ") == made.operation_id


def test_the_audit_is_complete_refusals_too(given: Given) -> None:
    operation = given.approved()
    with pytest.raises(Refused):
        given.service.plan(Kind.CUTOVER, {}, SOFIA)
    given.service.apply(operation, "worker")
    given.service.rollback(ERIN, BACK)
    records = given.store.audit.records()[::-1]
    assert [(r.actor, r.action, r.outcome) for r in records] == [
        (ERIN.user_name, "plan", "allowed"),
        (ERIN.user_name, "submit", "allowed"),
        (LARS.user_name, "approve", "allowed"),
        (SOFIA.user_name, "plan", "refused"),
        ("worker", "begin", "allowed"),
        ("worker", "end", "done"),
        (ERIN.user_name, "plan", "allowed"),
        (ERIN.user_name, "submit", "allowed"),
        (ERIN.user_name, "begin", "allowed"),
        (ERIN.user_name, "end", "done"),
    ]
    begun = records[4]
    made = given.service.operation(operation).plan
    assert begun.plan_hash == made.hash
    assert begun.detail["evidence"] == given.evidence
    assert begun.detail["gates"]["parity"]["status"] == "pass"
    assert records[5].detail["journal_lines"] == len(given.service.operation(operation).journal)
    assert all(r.local for r in records if r.actor == ERIN.user_name)
    assert given.store.audit.verify().whole


def test_a_plan_that_expires_before_it_begins_is_audited_once(given: Given) -> None:
    operation = given.approved()
    given.clock.go_on(25 * 3600)
    assert not given.service.ready() and not given.service.ready()
    assert given.service.operation(operation).record.state is State.EXPIRED
    last, before = given.store.audit.records()[:2]
    assert (last.actor, last.action, last.outcome, last.subject) == ("worker", "expire", "failed", operation)
    assert "expired before it was started" in last.reason and before.action != "expire"


def test_the_audit_names_the_record_that_was_tampered_with(given: Given) -> None:
    given.cut_over()
    with given.engine.begin() as c:
        c.execute(text("UPDATE audit_log SET actor = 'nobody' WHERE seq = 3"))
    assert given.store.audit.verify().broken == 3


def test_a_persona_neither_requests_nor_approves_on_a_remote_workspace(given: Given) -> None:
    remote = given.service_with(personas=lambda: False)
    with pytest.raises(Refused, match="is a local persona"):
        remote.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    real = replace(ERIN, source="token", local=False)
    made = remote.plan(Kind.CUTOVER, {}, real)
    remote.submit(made, real, CUT)
    for disguised in (LARS, replace(LARS, local=False), replace(LARS, source="token")):
        with pytest.raises(Refused, match="is a local persona"):
            remote.approve(made.operation_id, disguised)
    refused = given.store.audit.records(action="approve")
    assert [r.outcome for r in refused] == ["refused"] * 3
    assert given.store.operations.approvals(made.operation_id) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE operation_approvals SET local = true", "valid only on a local workspace"),
        ("UPDATE operation_approvals SET source = 'persona'", "valid only on a local workspace"),
        ("UPDATE operations SET local = true", "was a local persona"),
        ("DELETE FROM audit_log WHERE action = 'approve'", "the audit log is not whole"),
        ("UPDATE audit_log SET actor = 'lead@example.com' WHERE seq = 1", "the audit log is not whole"),
        ("UPDATE operation_approvals SET approver = 'other@example.com'", "is not in the audit log"),
        ("UPDATE operation_approvals SET id = 77", "is not in the audit log"),
    ],
)
def test_an_approval_counts_only_as_the_audit_log_has_it(given: Given, change: str, reason: str) -> None:
    erin, lars = (replace(a, source="token", local=False) for a in (ERIN, LARS))
    given.roles["other@example.com"] = frozenset(Role)
    remote = given.service_with(personas=lambda: False)
    made = remote.plan(Kind.CUTOVER, {}, erin)
    remote.submit(made, erin, CUT)
    remote.approve(made.operation_id, lars)
    with given.engine.begin() as c:
        c.execute(text(change))
    with pytest.raises(Refused, match=reason):
        remote.apply(made.operation_id, "worker")
    assert given.world.log == []


def test_an_approval_put_into_the_store_without_its_audit_record_does_not_count(given: Given) -> None:
    service = given.service
    made = service.plan(Kind.CUTOVER, {}, ERIN)
    service.submit(made, ERIN, CUT)
    forged = ApprovalRecord(
        0, made.operation_id, made.hash, LARS.user_name, LARS.source, LARS.local, "", given.clock(), made.expires_at
    )
    given.store.operations.approve(forged)
    given.store.operations.move(made.operation_id, [State.SUBMITTED], State.READY)
    with pytest.raises(Refused, match="is not in the audit log"):
        service.apply(made.operation_id, "worker")
    assert given.world.log == []


@pytest.mark.parametrize("unknown", ["op-none", "op-\x1b[31m", "op-\0", "op-\ud800", "o" * 500])
@pytest.mark.parametrize("action", ["apply", "resume", "cancel", "approve", "submit"])
def test_an_action_on_an_operation_that_is_not_there_is_refused_and_recorded(
    given: Given, action: str, unknown: str
) -> None:
    service = given.service
    with pytest.raises(Refused, match="there is no operation"):
        service.submit(unknown, ERIN, "") if action == "submit" else getattr(service, action)(unknown, ERIN)
    (record,) = given.store.audit.records(action=action)
    assert (record.outcome, record.actor) == ("refused", ERIN.user_name)
    assert record.subject.startswith(unknown[:3])
