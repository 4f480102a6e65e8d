"""A named risk: which gate, by whom, for which plan and how long; and nothing that is not accepted gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.access import Actor, Refused
from app.config.migration import Gate, Role
from app.operations import risks
from app.operations.definition import Kind, Plan
from app.progress.evidence import Finding, Status
from app.store.operations import State
from tests.support.operations_world import CUT, ERIN, LARS, MIGRATION, NEW_JOB, SOFIA, Given, all_new
from tests.support.roles_held import in_groups

SECOND = Actor("second.lead@example.com", frozenset(Role), "persona", local=True)
WHY = "The old side runs on spot prices until May"


def judged(given: Given, **by_key: Status) -> None:
    """Gates of these keys have these findings from now on; all others pass."""

    def judge(gate: Gate) -> Finding:
        return Finding(by_key.get(gate.key, Status.PASS), f"finding of {gate.key}", given.clock(), "test")

    given.verdict = judge


def blocked_plan(given: Given, **by_key: Status) -> Plan:
    judged(given, **by_key)
    return given.service.plan(Kind.CUTOVER, {}, ERIN)


def test_an_accepted_risk_lets_its_plan_begin_and_no_other(given: Given) -> None:
    made = blocked_plan(given, cost=Status.FAIL)
    service = given.service
    with pytest.raises(Refused, match="New side at most as expensive: finding of cost"):
        service.submit(made, ERIN, CUT)
    accepted = service.accept_risk(made.operation_id, "cost", LARS, f" {WHY} ")
    assert (accepted.gate, accepted.reason, accepted.approver) == ("cost", WHY, LARS.user_name)
    operation = service.submit(made, ERIN, CUT)
    service.approve(operation, LARS)
    assert service.apply(operation, "worker").state is State.VERIFIED and all_new(given)
    (begun,) = given.store.audit.records(subject=operation, action="begin")
    assert begun.detail["accepted_risks"] == ["cost"]
    assert [r.gate for r in service.operation(operation).risks] == ["cost"]


def test_a_risk_counts_for_one_plan_alone(given: Given) -> None:
    first = blocked_plan(given, cost=Status.FAIL)
    given.service.accept_risk(first.operation_id, "cost", LARS, WHY)
    given.clock.go_on(1)
    second = given.service.plan(Kind.CUTOVER, {}, ERIN)
    with pytest.raises(Refused, match="blocked"):
        given.service.submit(second, ERIN, CUT)


@pytest.mark.parametrize(
    ("who", "gate", "reason", "says"),
    [
        (ERIN, "cost", WHY, "requested it and cannot accept its risks"),
        (SOFIA, "cost", WHY, "needs the role approver"),
        (LARS, "cost", "  ", "needs a reason"),
        (LARS, "parity", WHY, "may not be accepted"),
        (LARS, "reliability", WHY, "passes: there is no risk"),
        (LARS, "no_such_gate", WHY, "has no gate 'no_such_gate'"),
        (LARS, "world.schedules", WHY, "a condition of the workspace itself"),
        (replace(LARS, user_name="ENGINEER@example.com "), "cost", WHY, "requested it and cannot accept"),
    ],
)
def test_a_risk_is_refused(given: Given, who: Actor, gate: str, reason: str, says: str) -> None:
    given.world.jobs[NEW_JOB] = replace(given.world.jobs[NEW_JOB], paused=None, block="none")
    made = blocked_plan(given, cost=Status.FAIL, parity=Status.FAIL)
    with pytest.raises(Refused, match=says):
        given.service.accept_risk(made.operation_id, gate, who, reason)
    (refused,) = given.store.audit.records(subject=made.operation_id, action="accept-risk")
    assert refused.outcome == "refused" and refused.actor == who.user_name
    assert given.service.operation(made.operation_id).risks == ()


def ready(given: Given) -> str:
    made = blocked_plan(given, cost=Status.INCONCLUSIVE)
    service = given.service
    service.accept_risk(made.operation_id, "cost", LARS, WHY)
    operation = service.submit(made, ERIN, CUT)
    service.approve(operation, LARS)
    return operation


def expire(given: Given) -> None:
    given.clock.go_on(24 * 3600)


def worse(given: Given) -> None:
    judged(given, cost=Status.FAIL)


def another(given: Given) -> None:
    judged(given, cost=Status.INCONCLUSIVE, parity=Status.FAIL)


def revoked(given: Given) -> None:
    given.roles[LARS.user_name] = frozenset({Role.VIEWER})
    given.roles[SECOND.user_name] = SECOND.roles


def changed_record(given: Given) -> None:
    with given.engine.begin() as c:
        c.execute(text("UPDATE audit_log SET reason = 'none' WHERE action = 'accept-risk'"))


@pytest.mark.parametrize("meanwhile", [expire, worse, another, revoked, changed_record])
def test_an_accepted_risk_is_checked_again_at_the_start(given: Given, meanwhile: Callable[[Given], None]) -> None:
    operation = ready(given)
    meanwhile(given)
    with pytest.raises(Refused):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_only_the_roles_of_now_count(given: Given) -> None:
    """Another approver's approval stands; the risk was accepted by one who is no approver any more."""
    made = blocked_plan(given, cost=Status.FAIL)
    given.roles[SECOND.user_name] = SECOND.roles
    given.service.accept_risk(made.operation_id, "cost", SECOND, WHY)
    operation = given.service.submit(made, ERIN, CUT)
    given.service.approve(operation, LARS)
    given.roles[SECOND.user_name] = frozenset({Role.OPERATOR})
    with pytest.raises(Refused, match="finding of cost"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_a_persona_s_acceptance_is_void_where_personas_do_not_count(given: Given) -> None:
    operation = ready(given)
    with pytest.raises(Refused):
        given.service_with(personas=lambda: False).apply(operation, "worker")
    assert given.world.log == []


def test_no_risk_is_accepted_once_the_operation_was_started(given: Given) -> None:
    operation = ready(given)
    given.service.apply(operation, "worker")
    with pytest.raises(Refused, match="its risks cannot be accepted any more"):
        given.service.accept_risk(operation, "cost", LARS, WHY)


def counted(given: Given, operation: str, plan_hash: str, **changed: object) -> list[str]:
    """Gates whose accepted risk counts for this plan."""
    values = {"roles_of": given.roles_of, "migration": MIGRATION, "personas": True} | changed
    moment = values.pop("moment", given.clock())
    return [
        r.gate
        for r in risks.valid(
            given.store.audit, operation, plan_hash, ERIN.user_name, moment, values.pop("roles_of"),
            values.pop("migration"), **values,  # type: ignore[arg-type]
        )
    ]  # fmt: skip


def test_each_condition_alone_makes_an_acceptance_void(given: Given) -> None:
    """Where nothing else would stop the operation: neither its approval nor the whole log's check."""
    made = blocked_plan(given, cost=Status.FAIL)
    given.service.accept_risk(made.operation_id, "cost", LARS, WHY)
    accepted = (made.operation_id, made.hash)
    assert counted(given, *accepted) == ["cost"]
    assert counted(given, made.operation_id, "0" * 64) == []
    assert counted(given, *accepted, moment=given.clock() + timedelta(hours=24)) == []
    assert counted(given, *accepted, personas=False) == []
    assert counted(given, *accepted, roles_of=lambda _: in_groups(Role.OPERATOR)) == []
    none = tuple(g.model_copy(update={"may_be_accepted": False}) for g in MIGRATION.gates)
    assert counted(given, *accepted, migration=MIGRATION.model_copy(update={"gates": none})) == []
    changed_record(given)
    with pytest.raises(Refused, match="the audit log is not whole, so no accepted risk counts"):
        counted(given, *accepted)
