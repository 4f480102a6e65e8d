"""Changes made to the store by SQL: each is named by the verification, and what authorizes executes no more."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text, update

from app.access import Refused
from app.operations import attested
from app.operations.definition import Kind
from app.operations.plan_hash import hash_of
from app.store.audit import Anchor, AuditRecord, audit_log, canonical
from app.store.operations import ApprovalRecord, OperationRecord, State, operations
from tests.support.operations_world import BACK, CUT, ERIN, LARS, Crash, Given


def sql(given: Given, *statements: str) -> None:
    with given.engine.begin() as c:
        for statement in statements:
            c.execute(text(statement))


def record_of(given: Given, operation: str) -> OperationRecord:
    found = given.store.operations.get(operation)
    assert found is not None
    return found


def change_plan(given: Given, operation: str, change: Callable[[dict[str, Any]], object], *, rehash: bool) -> None:
    """Changes the stored plan; rehash: and the hash in the operation's row to that of the changed plan."""
    plan = copy.deepcopy(dict(record_of(given, operation).plan))
    change(plan)
    values = {"plan": plan, **({"plan_hash": hash_of(plan)} if rehash else {})}
    with given.engine.begin() as c:
        c.execute(update(operations).where(operations.c.id == operation).values(**values))


def rewrite(given: Given, change: Callable[[AuditRecord], AuditRecord | None]) -> None:
    """Writes the whole chain anew, with right hashes and the right head."""
    previous, seq = "0" * 64, 0
    kept = []
    for record in given.store.audit.walk():
        changed = change(record)
        if changed is not None:
            seq += 1
            unsigned = replace(changed, seq=seq, prev_hash=previous, hash="")
            previous = unsigned.digest()
            kept.append(replace(unsigned, hash=previous))
    with given.engine.begin() as c:
        c.execute(audit_log.delete())
        for r in kept:
            c.execute(audit_log.insert().values(**{**r.__dict__, "detail": canonical(r.detail)}))
        c.execute(text(f"UPDATE audit_head SET seq = {seq}, hash = '{previous}'"))


def test_what_was_done_by_the_panel_is_as_the_chain_has_it(given: Given) -> None:
    given.cut_over()
    given.service.rollback(ERIN, BACK)
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.service.cancel(made.operation_id, ERIN, "not now")
    given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    assert attested.verify(given.store).whole


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "needs_approval": lambda p: p.update(needs_approval=False),
    "kind": lambda p: p.update(kind="rehearse"),
    "requester": lambda p: p.update(requested_by="other@example.com"),
    "expiry": lambda p: p.update(expires_at="2030-01-01T00:00:00+00:00"),
    "steps": lambda p: p.update(steps=p["steps"][1:]),
    "inverse": lambda p: p.update(inverse=[]),
    "relations seen": lambda p: p["observation"].update(relations=[]),
    "activity seen": lambda p: p["observation"].update(active=["run 1"]),
    "rows seen": lambda p: p["observation"].update(written=[["dim_fde", 1]]),
    "privileges seen": lambda p: p["observation"].update(privileges={}),
    "evidence": lambda p: p["observation"].update(evidence=[["parity dim_fde", "parity-9"]]),
    "migration file": lambda p: p.update(digest="0" * 64),
    "method": lambda p: p.update(method={}),
    "confirmation": lambda p: p.update(confirmation="yes"),
    "arguments": lambda p: p.update(args={"rows": 1}),
    "format": lambda p: p.pop("format"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_that_authorizes_is_inside_the_hash(field: str) -> None:
    given = Given()
    plan = copy.deepcopy(dict(record_of(given, given.approved()).plan))
    before = hash_of(plan)
    CHANGES[field](plan)
    assert hash_of(plan) != before


@pytest.mark.parametrize("rehash", [False, True])
def test_a_changed_plan_is_not_executed_though_its_hash_is_set_too(given: Given, rehash: bool) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    change_plan(given, made.operation_id, CHANGES["needs_approval"], rehash=rehash)
    sql(given, "UPDATE operations SET needs_approval = false")
    with pytest.raises(Refused, match="its hash differs"):
        given.service.submit(made.operation_id, ERIN, CUT)
    sql(given, "UPDATE operations SET state = 'ready'")
    with pytest.raises(Refused, match="its hash differs"):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []
    assert "its hash differs" in attested.verify(given.store).reason


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE operations SET needs_approval = false", "the stored needs_approval is not that of the plan"),
        ("UPDATE operations SET kind = 'rehearse'", "the stored kind is not that of the plan"),
        ("UPDATE operations SET requested_by = 'other@example.com'", "the stored requested_by is not that of the plan"),
        ("UPDATE operations SET expires_at = '2030-01-01 00:00:00+00:00'", "the stored expires_at is not that"),
        ("UPDATE operations SET migration = 'another'", "the stored migration is not that of the plan"),
        ("UPDATE operations SET source = 'token'", "by the audit log engineer@example.com (persona) planned it"),
        ("UPDATE operations SET undoes = 'op-other'", "the cutover that it takes back is not the one"),
        ("UPDATE operation_approvals SET approver = 'other@example.com'", "approval of other@example.com is not in"),
        ("UPDATE operation_approvals SET expires_at = '2030-01-01 00:00:00+00:00'", "is not in the audit log"),
        ("UPDATE operation_approvals SET comment = 'as agreed'", "is not in the audit log"),
        ("UPDATE operation_approvals SET id = 77", "is not in the audit log"),
        ("DELETE FROM operation_approvals", "the approval of lead@example.com is missing"),
        ("UPDATE operations SET state = 'verified'", "is verified, by the audit log ready"),
    ],
)  # fmt: skip
def test_what_the_row_of_an_operation_says_is_compared_with_plan_and_chain(
    given: Given, statement: str, reason: str
) -> None:
    given.approved()
    assert attested.verify(given.store).whole
    sql(given, statement)
    found = attested.verify(given.store)
    assert not found.whole and reason in found.reason
    assert len(found.problems) >= 1 and found.broken is None


def test_a_missing_operation_is_named(given: Given) -> None:
    operation = given.approved()
    sql(given, "DELETE FROM operation_approvals", "DELETE FROM operations")
    assert f"operation {operation}, planned by engineer@example.com, is missing" in attested.verify(given.store).reason


def test_changed_gates_and_notes_are_not_what_was_planned(given: Given) -> None:
    operation = given.approved()
    change_plan(given, operation, lambda p: p.update(notes=["nothing to see"]), rehash=False)
    with pytest.raises(Refused, match="its gates or notes differ"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


@pytest.mark.parametrize("state", ["submitted", "ready"])
def test_an_approval_inserted_by_sql_does_not_execute_and_is_named(given: Given, state: str) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(made, ERIN, CUT)
    given.store.operations.approve(
        ApprovalRecord(
            0, made.operation_id, made.hash, LARS.user_name, LARS.source, LARS.local, "", given.clock(), made.expires_at
        )
    )
    sql(given, f"UPDATE operations SET state = '{state}'")
    with pytest.raises(Refused):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []
    problems = attested.verify(given.store).problems
    assert any("the approval of lead@example.com is not in the audit log" in p for p in problems)


def test_an_approval_whose_expiry_was_put_off_does_not_count(given: Given) -> None:
    operation = given.approved()
    sql(given, "UPDATE operation_approvals SET expires_at = '2030-01-01 00:00:00+00:00'")
    with pytest.raises(Refused, match="is not in the audit log"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_an_operation_made_ready_by_sql_does_not_start(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    sql(given, "UPDATE operations SET state = 'ready'")
    with pytest.raises(Refused, match="no submission of this plan"):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []


def test_a_submission_by_another_or_of_another_plan_starts_nothing(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    sql(given, "UPDATE operations SET state = 'ready'")
    for actor, plan_hash in ((LARS.user_name, made.hash), (ERIN.user_name, "f" * 64)):
        given.store.audit.append(
            actor=actor, source=ERIN.source, local=ERIN.local, action="submit", outcome="allowed",
            subject=made.operation_id, plan_hash=plan_hash,
        )  # fmt: skip
    with pytest.raises(Refused, match="no submission of this plan"):
        given.service.apply(made.operation_id, "worker")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE audit_log SET reason = 'x' WHERE action = 'plan'", "record 1 was changed after it was written"),
        ("DELETE FROM audit_log WHERE action = 'plan'", "its plan is not in the audit log"),
        ("UPDATE audit_log SET reason = 'x' WHERE action = 'submit'", "no submission of this plan"),
    ],
)
def test_nothing_starts_whose_plan_the_log_does_not_attest(given: Given, statement: str, reason: str) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    sql(given, statement)
    with pytest.raises(Refused, match=reason):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM operation_journal WHERE seq = 3", "1 of its"),
        ("DELETE FROM operation_journal WHERE seq = (SELECT max(seq) FROM operation_journal)", "1 of its"),
        ("DELETE FROM operation_journal", "journal lines are missing"),
        ("UPDATE operation_journal SET text = 'all is well' WHERE seq = 2", "are not those of audit record"),
        ("UPDATE operation_journal SET stage = 'x' WHERE seq = 2", "are not those of audit record"),
        ("UPDATE operation_journal SET lane = 'x' WHERE seq = 2", "are not those of audit record"),
        ("UPDATE operation_journal SET detail = '{}' WHERE seq = SEQ", "are not those of audit record"),
        ("UPDATE operation_journal SET token = token + 1 WHERE seq = 2", "are not those of audit record"),
        ("UPDATE operation_journal SET phase = 'done' WHERE phase = 'already'", "are not those of audit record"),
        (
            "INSERT INTO operation_journal (operation_id, direction, number, stage, lane, step, phase, text, detail, token,"
            " at) SELECT operation_id, direction, number, stage, lane, step, phase, text, detail, token, at FROM"
            " operation_journal WHERE seq = 1",
            "1 journal lines were added after its end",
        ),
    ],
)  # fmt: skip
def test_every_line_of_an_ended_operations_journal_is_covered(given: Given, statement: str, reason: str) -> None:
    given.cut_over()
    entries = given.store.operations.journal(given.store.operations.find()[0].id)
    detailed = next(e.seq for e in entries if e.detail)
    assert attested.verify(given.store).whole
    sql(given, statement.replace("SEQ", str(detailed)))
    found = attested.verify(given.store)
    assert not found.whole and reason in found.reason


def test_lines_of_before_an_interruption_are_covered_once_it_is_resumed(given: Given) -> None:
    operation = given.approved()
    given.world.crash_before("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.undisturbed()
    given.service.bring_back(operation, "worker")
    assert attested.verify(given.store).whole
    sql(given, "UPDATE operation_journal SET text = 'x' WHERE seq = 1")
    assert "are not those of audit record" in attested.verify(given.store).reason


def test_a_cut_tail_with_the_head_set_back_is_found_by_the_store_and_by_an_anchor(given: Given) -> None:
    given.cut_over()
    anchor = given.store.audit.head()
    assert anchor is not None
    sql(
        given,
        f"DELETE FROM audit_log WHERE seq > {anchor.seq - 1}",
        f"UPDATE audit_head SET seq = {anchor.seq - 1}, hash = (SELECT hash FROM audit_log WHERE seq = {anchor.seq - 1})",
    )
    assert given.store.audit.verify().whole, "the chain alone does not show it"
    assert "is verified, by the audit log running" in attested.verify(given.store).reason
    found = given.store.audit.verify(anchors=[anchor])
    assert (found.whole, found.broken) == (False, anchor.seq)
    assert "the log was cut" in found.reason


def test_a_wholly_rewritten_chain_is_found_by_an_anchor(given: Given) -> None:
    given.cut_over()
    anchors = [Anchor(r.seq, r.hash, "a report") for r in given.store.audit.walk()][2:4]
    rewrite(given, lambda r: replace(r, actor="other@example.com") if r.action == "approve" else r)
    assert given.store.audit.verify().whole, "the chain alone does not show it"
    assert "is not in the audit log" in attested.verify(given.store).reason
    found = given.store.audit.verify(anchors=anchors)
    assert (found.whole, found.broken) == (False, 3)
    assert "the log was rewritten: its record 3" in found.reason and "of a report" in found.reason


def test_a_record_of_a_refusal_that_was_taken_out_is_found_by_an_anchor(given: Given) -> None:
    with pytest.raises(Refused):
        given.service.submit("op-none", ERIN, "")
    given.approved()
    anchor = given.store.audit.head()
    assert anchor is not None
    rewrite(given, lambda r: None if r.outcome == "refused" else r)
    assert attested.verify(given.store).whole, "nothing in the store shows it"
    assert not given.store.audit.verify(anchors=[anchor]).whole


def test_anchors_of_the_log_itself_are_all_found(given: Given) -> None:
    given.approved()
    anchors = [Anchor(r.seq, r.hash) for r in given.store.audit.walk()]
    assert given.store.audit.verify(anchors=[*anchors, Anchor(0, "0" * 64)]).whole
    assert not given.store.audit.verify(anchors=[Anchor(1, anchors[1].hash)]).whole


def test_a_forged_record_of_the_plan_that_is_appended_attests_nothing(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    change_plan(given, made.operation_id, CHANGES["needs_approval"], rehash=True)
    sql(given, "UPDATE operations SET needs_approval = false")
    record = record_of(given, made.operation_id)
    given.store.audit.append(
        actor=ERIN.user_name, source=ERIN.source, local=ERIN.local, action="plan", outcome="allowed",
        subject=record.id, plan_hash=record.plan_hash, detail={"state": "planned"},
    )  # fmt: skip
    with pytest.raises(Refused, match="the audit log has another plan of it"):
        given.service.submit(made.operation_id, ERIN, CUT)


@pytest.mark.parametrize("die", ["before audit", "after audit"])
@pytest.mark.parametrize("what", ["cancel", "refuse", "expire", "submit", "approve"])
def test_a_crash_leaves_no_state_without_its_record(given: Given, what: str, die: str) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    operation = made.operation_id
    if what != "submit":
        given.service.submit(made, ERIN, CUT)
    if what in ("cancel", "refuse", "expire"):
        given.service.approve(operation, LARS)
    if what == "refuse":
        given.roles[ERIN.user_name] = frozenset()
    if what == "expire":
        given.clock.go_on(25 * 3600)
    before = given.world.faults.points
    given.world.faults.named.clear()
    act: dict[str, Callable[[], object]] = {
        "cancel": lambda: given.service.cancel(operation, ERIN, "no"),
        "refuse": lambda: given.service.apply(operation, "worker"),
        "expire": lambda: given.service.ready(),
        "submit": lambda: given.service.submit(operation, ERIN, CUT),
        "approve": lambda: given.service.approve(operation, LARS),
    }
    given.world.faults.die_at = before + (1 if die == "before audit" else 2)
    with pytest.raises(Crash):
        act[what]()
    assert given.world.faults.named[-1] == die
    given.restart()
    check = attested.verify(given.store)
    assert check.whole, check.reason
    moved = record_of(given, operation).state
    ended = {"cancel": State.CANCELLED, "refuse": State.REFUSED, "expire": State.EXPIRED,
             "submit": State.SUBMITTED, "approve": State.READY}[what]  # fmt: skip
    assert (moved is ended) == (die == "after audit")
    assert len(given.store.operations.approvals(operation)) == (
        0 if what == "submit" or (what, die) == ("approve", "before audit") else 1
    )


def test_the_worker_records_the_same_refusal_once(given: Given) -> None:
    operation = given.approved()
    assert given.store.leases.acquire("operations", "another:1:x", 3600) is not None

    def poll(worker: str) -> None:
        given.clock.go_on(5)
        assert given.store.leases.acquire("operations", "another:1:x", 3600) is not None
        with pytest.raises(Refused, match="another operation is being executed"):
            given.service.apply(operation, worker)

    def refusals() -> int:
        return len(given.store.audit.records(action="apply"))

    for n in range(5):
        poll(f"worker-{n}")
    assert refusals() == 1
    with pytest.raises(Refused):
        given.service.apply(operation, ERIN)
    assert refusals() == 2, "a person's refusal is always recorded"
    with pytest.raises(Refused):
        given.service.apply(operation, ERIN)
    assert refusals() == 3
    poll("worker")
    assert refusals() == 4, "something else happened in between"
    with pytest.raises(Refused, match="no operation"):
        given.service.apply("op-none", "worker")
    with pytest.raises(Refused, match="no operation"):
        given.service.apply("op-none", "worker")
    assert refusals() == 5


def test_a_tampered_plan_that_was_interrupted_is_for_a_person(given: Given) -> None:
    operation = given.approved()
    given.world.crash_before("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.undisturbed()
    change_plan(given, operation, CHANGES["inverse"], rehash=False)
    assert given.service.bring_back(operation, "worker").state is State.NEEDS_HUMAN
    assert "its hash differs" in record_of(given, operation).reason


@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x' WHERE action = 'plan'"]
)
def test_a_damaged_log_keeps_nothing_from_going_back(given: Given, statement: str) -> None:
    operation = given.approved()
    given.world.crash_before("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.undisturbed()
    sql(given, statement)
    ended = given.service.bring_back(operation, "worker")
    assert ended.state is State.UNDONE and given.world.as_at_start()
    assert "the audit log does not attest its plan" in ended.reason


def test_a_rollback_needs_no_whole_log(given: Given) -> None:
    given.cut_over()
    sql(given, "DELETE FROM audit_log WHERE seq < 5")
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert given.world.as_at_start()


def test_a_plan_of_an_older_format_does_not_start(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    plan = copy.deepcopy(dict(record_of(given, made.operation_id).plan))
    plan.pop("format")
    record = replace(record_of(given, made.operation_id), plan=plan, plan_hash=hash_of(plan), id="op-older")
    plan["operation_id"] = "op-older"
    given.store.operations.add(record)
    given.store.audit.append(
        actor=ERIN.user_name, source=ERIN.source, local=ERIN.local, action="plan", outcome="allowed",
        subject="op-older", plan_hash=record.plan_hash,
    )  # fmt: skip
    assert attested.verify(given.store).whole, "it can be read"
    with pytest.raises(Refused, match="an older version made this plan"):
        given.service.submit("op-older", ERIN, made.confirmation)
