"""Guards one by one, each where nothing else stands behind it: without the guard its test fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import event, select, text

from app.access import Actor, Refused
from app.config.migration import Role
from app.operations import approvals, confirm, planner
from app.operations.codec import plan_from_json, plan_to_json
from app.operations.definition import Kind, Observation
from app.operations.engine import LEASE, Engine, Hold
from app.operations.ledger import Ledger
from app.operations.performer import Performer
from app.operations.plan_hash import hash_of
from app.operations.steps import (
    AwaitIdle,
    ConfirmUnchanged,
    FlipView,
    PlannedStep,
    Step,
    StepFailed,
    UnknownStep,
    VerifyOutcome,
    VerifySame,
    VerifyServing,
)
from app.operations.world import Grant, Relation
from app.store.audit import AuditRepository
from app.store.base import StoreError
from app.store.checklist import marks
from app.store.incidents import Sign
from app.store.leases import Lease, LeaseLost, LeaseRepository
from app.store.open import Store
from app.store.operations import ApprovalRecord, OperationRecord, State
from app.store.parity import ComparisonTaken
from app.store.parity_records import ParityState
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    CUT,
    ERIN,
    LARS,
    NEW_JOB,
    OLD_JOB,
    PIPELINE,
    SOFIA,
    T0,
    Crash,
    Given,
)
from tests.support.roles_held import in_groups

X, X_NEW = "product.fde.dim_fde", "product.fde.dlt_v2_dim_fde"


# Approvals


def approval(**changes: Any) -> ApprovalRecord:
    made = ApprovalRecord(1, "op-1", "h", LARS.user_name, "token", False, "", T0, T0 + timedelta(hours=1))
    return replace(made, **changes)


def valid(found: ApprovalRecord, *, audited: bool = True, moment: timedelta = timedelta(0)) -> ApprovalRecord:
    return approvals.valid(
        [found], "h", ERIN.user_name, T0 + moment, lambda _: in_groups(*Role), personas=False, audited=lambda _: audited
    )


def test_an_approval_of_this_plan_by_another_approver_counts() -> None:
    assert valid(approval()) == approval()


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"plan_hash": "g"}, {}, "approved another plan"),
        ({}, {"moment": timedelta(hours=1)}, "expired"),
        ({"source": "persona"}, {}, "was a local persona"),
        ({"local": True}, {}, "was a local persona"),
        ({}, {"audited": False}, "is not in the audit log"),
        ({"approver": "Engineer@Example.com"}, {}, "cannot approve it"),
    ],
)
def test_an_approval_does_not_count_for_a_single_reason(
    changes: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        valid(approval(**changes), **options)


def test_an_approval_ends_after_a_day_or_with_its_plan(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(made, ERIN, CUT)
    given.clock.go_on(3600)
    given.service.approve(made.operation_id, LARS)
    assert given.store.operations.approvals(made.operation_id)[0].expires_at == made.expires_at
    monkeypatch.setitem(planner.PLAN_VALID_FOR, Kind.CUTOVER, timedelta(days=10))
    long = given.approved()
    assert given.store.operations.approvals(long)[0].expires_at == given.clock() + timedelta(hours=24)


def test_a_plan_of_a_cutover_is_valid_for_a_day(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    assert made.expires_at == given.clock() + timedelta(hours=24)


# Who may do what


def test_a_viewer_does_nothing(given: Given) -> None:
    service = given.service
    operation = given.approved()
    rollback = service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    acts: list[Callable[[], object]] = [
        lambda: service.plan(Kind.PAUSE, {"job": "baseline"}, SOFIA),
        lambda: service.cancel(operation, SOFIA),
        lambda: service.apply(operation, SOFIA),
        lambda: service.resume(operation, SOFIA),
        lambda: service.request_resume(operation, SOFIA),
        lambda: service.rollback(SOFIA, BACK),
    ]
    for act in acts:
        with pytest.raises(Refused, match="needs the role operator"):
            act()
    given.roles[ERIN.user_name] = frozenset({Role.VIEWER})
    with pytest.raises(Refused, match="submitting pause needs the role operator"):
        service.submit(rollback, ERIN, rollback.confirmation)
    assert given.world.log == []


def test_a_viewer_resumes_nothing_that_is_interrupted(given: Given) -> None:
    operation = interrupted(given)
    for act in (given.service.resume, given.service.request_resume, given.service.cancel):
        with pytest.raises(Refused, match="needs the role operator"):
            act(operation, SOFIA)


def test_another_operator_does_not_submit_my_plan(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    with pytest.raises(Refused, match="make your own"):
        given.service.submit(made, LARS, made.confirmation)


def test_a_persona_does_nothing_on_a_remote_workspace(given: Given) -> None:
    operation = interrupted(given)
    remote = given.service_with(personas=lambda: False)
    acts: list[Callable[[], object]] = [
        lambda: remote.plan(Kind.PAUSE, {"job": "baseline"}, ERIN),
        lambda: remote.submit(operation, ERIN, CUT),
        lambda: remote.approve(operation, LARS),
        lambda: remote.cancel(operation, ERIN),
        lambda: remote.apply(operation, ERIN),
        lambda: remote.resume(operation, ERIN),
    ]
    for act in acts:
        with pytest.raises(Refused, match="is a local persona, which may act only on a local workspace"):
            act()


# States


def interrupted(given: Given, kind: str = "cutover") -> str:
    """An operation whose process died between two steps."""
    if kind == "rollback":
        given.cut_over()
    given.world.crash_before("ALTER VIEW")
    with pytest.raises(Crash):
        if kind == "rollback":
            given.service.rollback(ERIN, BACK)
        else:
            given.cut_over()
    given.restart()
    given.world.undisturbed()
    return given.store.operations.find(kinds=[kind])[0].id


def test_an_interrupted_cutover_or_rollback_is_not_cancelled_halfway(given: Given) -> None:
    operation = interrupted(given)
    with pytest.raises(Refused, match="is interrupted: resume it, or roll back"):
        given.service.cancel(operation, ERIN)


def test_a_rollback_is_not_stopped_halfway(given: Given) -> None:
    given.cut_over()
    heard: list[str] = []

    def cancel() -> None:
        running = given.store.operations.find(states=[State.RUNNING])[0].id
        try:
            given.service.cancel(running, ERIN)
        except Refused as e:
            heard.append(str(e))

    given.world.before("ALTER VIEW", cancel, once=True)
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert len(heard) == 1 and "it is not stopped" in heard[0]


def test_what_waits_for_no_approval_is_not_approved(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    with pytest.raises(Refused, match="it waits for no approval"):
        given.service.approve(made.operation_id, LARS)
    assert given.store.operations.approvals(made.operation_id) == []


def test_a_cutover_is_not_applied_here_without_its_approval(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    with pytest.raises(Refused, match="cutover needs an approval: submit it"):
        given.service.apply_here(made, ERIN, CUT)
    assert given.world.log == []


def test_a_plan_that_was_changed_in_the_hand_is_not_submitted(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    with pytest.raises(Refused, match="not the plan that was kept"):
        given.service.submit(replace(made, args={"job": "candidate"}), ERIN, made.confirmation)


def test_a_confirmation_is_looked_at_before_the_lease_is_waited_for(given: Given) -> None:
    given.cut_over()
    assert given.store.leases.acquire(LEASE, "another:1:x", 3600) is not None
    with pytest.raises(Refused, match="the confirmation does not match"):
        given.service.rollback(ERIN, "yes")
    assert given.slept == 0


def test_only_an_emergency_waits_for_the_lease(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    assert given.store.leases.acquire(LEASE, "another:1:x", 3600) is not None
    with pytest.raises(Refused, match="another operation is being executed"):
        given.service.apply_here(made, ERIN, made.confirmation)
    assert given.slept == 0


def test_what_runs_is_neither_brought_back_nor_resumed(given: Given) -> None:
    operation = given.approved()
    said: list[str] = []

    def others() -> None:
        for act in (
            lambda: given.service.bring_back(operation, "another worker"),
            lambda: given.service.request_resume(operation, ERIN),
        ):
            try:
                act()
            except Refused as e:
                said.append(str(e))
        assert given.service.left() == [] and given.service.to_resume() == []

    given.world.before("ALTER VIEW", others, once=True)
    given.service.apply(operation, "worker")
    assert len(said) == 2 and "it is not interrupted" in said[0] and "nothing to resume" in said[1]


def test_a_full_refresh_is_confirmed_as_one(given: Given) -> None:
    made = given.service.plan(Kind.START_UPDATE, {"pipeline": "00_RDS_FDE_Pipeline_DEV", "full_refresh": True}, ERIN)
    assert made.confirmation == "start-update full refresh 00_RDS_FDE_Pipeline_DEV"
    confirm.check("a", " a ")
    with pytest.raises(Refused):
        confirm.check("a", "b")


def test_another_migrations_cutover_is_not_closed_by_a_rollback(given: Given) -> None:
    given.cut_over()
    record = given.store.operations.find()[0]
    plan = {**record.plan, "migration": "another", "operation_id": "op-another"}
    given.store.operations.add(
        replace(record, id="op-another", migration="another", plan=plan, state=State.NEEDS_HUMAN)
    )
    given.service.rollback(ERIN, BACK)
    other = given.store.operations.get("op-another")
    assert other is not None and other.state is State.NEEDS_HUMAN


def test_a_short_hash_names_no_plan(given: Given) -> None:
    operation = given.approved()
    record = given.store.operations.get(operation)
    assert record is not None
    with pytest.raises(Refused, match="there is no operation"):
        given.service.approve(record.plan_hash[:11], LARS)
    with pytest.raises(Refused, match="it waits for no approval"):
        given.service.approve(record.plan_hash[:12], LARS)


def test_a_state_that_was_not_expected_does_not_change(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    assert not given.store.operations.move(made.operation_id, [State.SUBMITTED], State.READY)
    assert given.store.operations.get(made.operation_id).state is State.PLANNED  # type: ignore[union-attr]
    assert not given.store.operations.stop_requested(made.operation_id)
    record: OperationRecord | None = given.store.operations.get(made.operation_id)
    assert record is not None
    with pytest.raises(StoreError, match="exists already"):
        given.store.operations.add(record)


# Leases and compare-and-swap


class Leases:
    """A lease that is held; notes renewals."""

    def __init__(self, error: Exception | None = None) -> None:
        self.renewed = threading.Event()
        self.error = error

    def renew(self, lease: Lease, seconds: float) -> Lease:
        self.renewed.set()
        if self.error is not None:
            raise self.error
        return lease

    def check(self, lease: Lease) -> None:
        return

    def release(self, lease: Lease, **_: object) -> None:
        return


A_LEASE = Lease(LEASE, "me", 1, T0, T0 + timedelta(seconds=15))


def test_a_heartbeat_renews_the_lease() -> None:
    leases = Leases()
    with Hold(leases, A_LEASE, 0.3):  # type: ignore[arg-type]
        assert leases.renewed.wait(30)


def test_a_lease_whose_renewal_failed_is_lost_though_the_store_still_has_it() -> None:
    lost = Leases(LeaseLost("taken"))
    with Hold(lost, A_LEASE, 0.3) as hold:  # type: ignore[arg-type]
        assert lost.renewed.wait(30)
        while hold.lost is None:
            threading.Event().wait(0.01)
        for check in (hold.check, hold.check_alone):
            with pytest.raises(LeaseLost, match="taken"):
                check()


def test_a_lease_counts_by_ones_own_clock_for_its_length(given: Given) -> None:
    lease = given.store.leases.acquire(LEASE, "me", 15)
    assert lease is not None
    hold = Hold(given.store.leases, lease, 15, beat=False, clock=given.clock)
    hold.check_alone()
    given.clock.go_on(15)
    with pytest.raises(LeaseLost):
        hold.check_alone()


def engine(given: Given) -> Engine:
    lease = given.store.leases.acquire(LEASE, "me", 15)
    assert lease is not None
    hold = Hold(given.store.leases, lease, 15, beat=False, clock=given.clock)
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    performer = Performer(given.world, Observation(T0), lambda: None, given.clock, given.clock.go_on)
    return Engine(
        performer,
        given.store.operations,
        hold,
        made.operation_id,
        "forward",
        clock=given.clock,
        sleep=given.clock.go_on,
    )


def test_a_flip_that_was_prepared_is_not_sent_without_the_lease(given: Given) -> None:
    engine_, flip = engine(given), PlannedStep(1, "flip", "x", FlipView(X, X + "_old", X_NEW))
    given.clock.go_on(15)
    with pytest.raises(LeaseLost):
        engine_._act_now(flip, given.clock())
    assert given.world.sent == []


def test_no_step_starts_without_the_lease(given: Given) -> None:
    engine_ = engine(given)
    given.clock.go_on(15)
    with pytest.raises(LeaseLost):
        engine_.check_continue()


def test_nothing_starts_where_one_step_is_unknown(given: Given) -> None:
    class Strange(Step):
        pass

    pause = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).steps[0]
    with pytest.raises(UnknownStep):
        engine(given).run([pause, PlannedStep(2, "more", "", Strange())])
    assert given.world.log == []


def once(database: Database, table: str, change: str) -> list[str]:
    """After the first SELECT of a table, another writer's statement lands; gives the SELECTs."""
    seen: list[str] = []

    def after(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and f"FROM {table}" in statement:
            seen.append(statement)
            if len(seen) == 1:
                connection.exec_driver_sql(change)

    event.listen(database, "after_cursor_execute", after)
    return seen


def test_a_lease_that_changed_while_it_was_read_is_not_granted(store: Store) -> None:
    leases = LeaseRepository(store.engine)
    assert leases.acquire("x", "me", 60) is not None
    once(store.engine, "leases", "UPDATE leases SET token = token + 1")
    assert leases.acquire("x", "me", 60) is None


def test_a_head_that_changed_while_it_was_read_is_read_again(store: Store) -> None:
    audit = AuditRepository(store.engine)
    record = {"actor": "a", "source": "t", "local": False, "action": "b", "outcome": "c", "subject": "d"}
    audit.append(**record)  # type: ignore[arg-type]
    seen = once(store.engine, "audit_head", "UPDATE audit_head SET hash = 'of another'")
    audit.append(**record)  # type: ignore[arg-type]
    assert len(seen) == 2 and audit.verify().records == 2


def test_every_field_of_a_record_is_inside_its_hash(store: Store) -> None:
    audit = AuditRepository(store.engine)
    audit.append(
        actor="a", source="t", local=False, action="b", outcome="c", subject="d", plan_hash="p", reason="r",
        detail={"e": 1},
    )  # fmt: skip
    written = audit.records()[0]
    changes: dict[str, Any] = {
        "seq": 2, "at": T0, "actor": "x", "source": "x", "local": True, "action": "x", "outcome": "x", "subject": "x",
        "plan_hash": "x", "reason": "x", "detail": {}, "prev_hash": "1" * 64,
    }  # fmt: skip
    for name, value in changes.items():
        assert replace(written, **{name: value}).digest() != written.hash, name


def test_records_beyond_the_head_are_named(store: Store) -> None:
    audit = AuditRepository(store.engine)
    for _ in range(3):
        audit.append(actor="a", source="t", local=False, action="b", outcome="c", subject="d")
    hashes = [r.hash for r in audit.walk()]
    for head in ((2, hashes[1]), (3, hashes[1]), (2, hashes[2])):
        with store.engine.begin() as c:
            c.execute(text(f"UPDATE audit_head SET seq = {head[0]}, hash = '{head[1]}'"))
        assert "the head does not name the last record" in audit.verify().reason
    with store.engine.begin() as c:
        c.execute(text("DELETE FROM audit_head"))
    assert not audit.verify().whole


# Reading back


def performer(given: Given, continues: Callable[[], None] = lambda: None, seen: Observation | None = None) -> Performer:
    return Performer(given.world, seen or Observation(T0), continues, given.clock, given.clock.go_on)


def view(given: Given, over: str) -> None:
    given.world.names[X] = Relation(X, "view", "VIEW", over=over, columns=(("a", "bigint"), ("b", "string")))


def test_what_a_name_serves_is_read_back(given: Given) -> None:
    do = performer(given)
    good = VerifyServing(X, None, (Grant("data-consumers", ("SELECT",)),), ("a", "b"))
    do.act(good)
    assert [s for s in given.world.sent if X in s.replace("`", "")], "a query was sent"
    for bad, reason in (
        (replace(good, grants=(Grant("data-consumers", ("MODIFY",)),)), "lacks MODIFY"),
        (replace(good, columns=("a",)), "its columns are a, b instead of a"),
        (replace(good, over=X_NEW), "expected a view over"),
    ):
        with pytest.raises(StepFailed, match=reason):
            do.act(bad)
    view(given, X_NEW)
    do.act(VerifyServing(X, X_NEW, ()))
    for over, reason in ((None, "expected a table"), (X + "_old", "expected a view over")):
        with pytest.raises(StepFailed, match=reason):
            do.act(VerifyServing(X, over, ()))


def test_the_outcome_is_read_back_whole(given: Given) -> None:
    do = performer(given)
    old, new = (OLD_JOB, "00_RDS"), (NEW_JOB, "00_RDS_v2")
    now = (("report_prefix", "v2_"),)
    do.act(VerifyOutcome(((X, None),), (new,), (old,), ((*new, now),)))
    for outcome, reason in (
        (VerifyOutcome(((X, X_NEW),), (), ()), "expected a view"),
        (VerifyOutcome((), (old,), ()), "00_RDS is not paused"),
        (VerifyOutcome((), (), (new,)), "00_RDS_v2 is paused"),
        (VerifyOutcome((), (), (), ((*new, (("report_prefix", ""),)),)), "report_prefix of 00_RDS_v2 is 'v2_'"),
    ):
        with pytest.raises(StepFailed, match=reason):
            do.act(outcome)


def test_every_job_and_pipeline_is_awaited_while_the_operation_may_go_on(given: Given) -> None:
    looks: list[int] = []
    do = performer(given, lambda: looks.append(1))
    step = AwaitIdle(((OLD_JOB, "00_RDS"), (NEW_JOB, "00_RDS_v2")), ((PIPELINE, "p"),), 10)
    do.act(step)
    assert looks == []
    given.world.runs[NEW_JOB].append("7")
    with pytest.raises(StepFailed, match="still active after 10 s: run 7 of 00_RDS_v2"):
        do.act(step)
    assert len(looks) == 5
    given.world.runs[NEW_JOB].clear()
    given.world.updates.insert(0, ("u9", T0, True, None))
    with pytest.raises(StepFailed, match="update u9 of p"):
        do.act(step)


def test_tables_that_changed_since_the_plan_are_named(given: Given) -> None:
    seen = Observation(T0, (given.world.inspect(X),))
    do = performer(given, seen=seen)
    step = ConfirmUnchanged((X,), seen.fingerprint_of((X,)))
    do.act(step)
    given.world.names[X] = replace(given.world.names[X], comment="another")
    with pytest.raises(StepFailed, match="the tables changed since the plan was made"):
        do.act(step)


def test_copies_are_compared(given: Given) -> None:
    do = performer(given)
    do.act(VerifySame(X, X))
    with pytest.raises(StepFailed, match="their fingerprints differ"):
        do.act(VerifySame(X, X_NEW))


def test_an_observation_pins_all_that_a_plan_rests_on(given: Given) -> None:
    seen = given.service.plan(Kind.CUTOVER, {}, ERIN).observation
    changes: dict[str, Any] = {
        "relations": seen.relations[1:], "jobs": seen.jobs[1:], "pipelines": (), "evidence": (("parity x", "y"),),
    }  # fmt: skip
    for name, value in changes.items():
        assert replace(seen, **{name: value}).fingerprint != seen.fingerprint, name


def test_the_plan_of_a_cutover_has_the_evidence_and_the_privileges_that_were_seen(given: Given) -> None:
    seen = given.service.plan(Kind.CUTOVER, {}, ERIN).observation
    assert dict(seen.evidence) == given.evidence
    assert seen.privileges is given.world.privilege_answer


@pytest.mark.parametrize(
    "args",
    [
        {"full_refresh": True, "refresh_selection": ["a"]},
        {"full_refresh": True, "full_refresh_selection": ["a"]},
        {"validate_only": True, "full_refresh": True},
        {"validate_only": True, "refresh_selection": ["a"]},
        {"full_refresh_selection": ["a"], "refresh_selection": ["a", "b"]},
        {"unheard": 1},
        {"pipeline": "none"},
    ],
)
def test_an_update_of_contradicting_choices_is_refused(given: Given, args: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        given.service.plan(Kind.START_UPDATE, {"pipeline": "00_RDS_FDE_Pipeline_DEV", **args}, ERIN)


def test_a_job_that_is_none_or_has_no_schedule_is_not_paused(given: Given) -> None:
    with pytest.raises(Refused, match="is none of"):
        given.service.plan(Kind.PAUSE, {"job": "third"}, ERIN)
    given.world.jobs[OLD_JOB] = replace(given.world.jobs[OLD_JOB], paused=None, block="none")
    with pytest.raises(Refused, match="there is nothing to pause"):
        given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)


def test_roles_of_another_session_count_for_nothing(given: Given) -> None:
    claims = Actor(SOFIA.user_name, frozenset(Role), "persona", local=True)
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.plan(Kind.PAUSE, {"job": "baseline"}, claims)


def test_an_older_token_of_the_same_owner_holds_nothing(store: Store) -> None:
    leases = LeaseRepository(store.engine)
    first, second = leases.acquire("x", "me", 60), leases.acquire("x", "me", 60)
    assert first is not None and second is not None and second.token == first.token + 1
    leases.check(second)
    with pytest.raises(LeaseLost):
        leases.check(first)
    with pytest.raises(LeaseLost):
        leases.check(replace(second, owner="another"))


def test_a_lease_is_over_at_the_moment_of_its_expiry(given: Given) -> None:
    lease = given.store.leases.acquire("x", "me", 10)
    assert lease is not None
    given.clock.go_on(10)
    assert given.store.leases.holder("x") is None
    with pytest.raises(LeaseLost):
        given.store.leases.check(lease)
    assert given.store.leases.acquire("x", "another", 10) is not None


# The ledger


def test_a_state_changes_only_from_one_that_was_expected_and_under_the_lease(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    record = given.store.operations.get(made.operation_id)
    lease = given.store.leases.acquire(LEASE, "me", 15)
    assert record is not None and lease is not None
    ledger = Ledger(given.store)
    before = given.store.audit.head()
    assert not ledger.move(ERIN, "begin", "allowed", record, [State.READY], State.RUNNING)
    given.clock.go_on(15)
    with pytest.raises(LeaseLost):
        ledger.move(ERIN, "begin", "allowed", record, [State.PLANNED], State.RUNNING, lease=lease)
    assert given.store.audit.head() == before
    assert given.store.operations.get(made.operation_id) == record


def test_a_failure_is_audited(given: Given) -> None:
    given.world.faults.fail["read job"] = WorkspaceError("find job", "no answer")
    with pytest.raises(WorkspaceError):
        given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    (record,) = given.store.audit.records()
    assert (record.action, record.outcome) == ("plan", "failed") and "no answer" in record.reason


def test_a_refusal_at_the_start_is_audited_once(given: Given) -> None:
    operation = given.approved()
    given.roles[ERIN.user_name] = frozenset()
    with pytest.raises(Refused, match="nothing was written"):
        given.service.apply(operation, "worker")
    (record,) = given.store.audit.records(action="apply")
    assert record.outcome == "refused" and record.detail["state"] == "refused"


def test_digits_that_fit_two_plans_name_neither(given: Given) -> None:
    first, second = (given.service.plan(Kind.CUTOVER, {}, ERIN) for _ in range(2))
    for made in (first, second):
        given.service.submit(made, ERIN, CUT)
    assert first.hash == second.hash
    with pytest.raises(Refused, match="2 operations have a plan of hash"):
        given.service.approve(first.hash[:12], LARS)


def test_a_plan_has_the_hash_of_what_is_stored_whatever_this_version_reads_of_it(given: Given) -> None:
    stored = plan_to_json(given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN))
    stored["of another version"] = 1
    stored["steps"][0]["step"]["of another version"] = 1
    assert plan_from_json(stored).hash == hash_of(stored) != replace(plan_from_json(stored), notes=()).hash


# The engine


def test_an_effect_that_shows_late_is_looked_for_again(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    real, stale = given.world.job, [given.world.jobs[OLD_JOB]] * 3

    def job(name: str, job_id: int | None = None) -> Any:
        return stale.pop() if "pause 00_RDS" in given.world.log and stale else real(name, job_id)

    monkeypatch.setattr(given.world, "job", job)
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(made.operation_id, "worker").state is State.VERIFIED
    assert stale == []


def test_what_the_workspace_refuses_for_good_is_sent_once(given: Given) -> None:
    tries: list[str] = []
    given.world.watch(tries.append)
    given.world.fail("pause 00_RDS", WorkspaceError("pause", "no permission", status=403))
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(made.operation_id, "worker").state is State.FAILED
    assert tries == ["pause 00_RDS"]


def test_what_was_sent_and_had_no_answer_is_not_sent_again(given: Given) -> None:
    given.world.lose_answer("pause 00_RDS")
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(made.operation_id, "worker").state is State.VERIFIED
    assert given.world.log == ["pause 00_RDS"]


def test_a_failed_end_is_audited_as_failed(given: Given) -> None:
    given.world.fail("pause 00_RDS", WorkspaceError("pause", "no permission", status=403))
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.service.apply(made.operation_id, "worker")
    newest = given.store.audit.records()[0]
    assert (newest.action, newest.outcome, newest.detail["state"]) == ("end", "failed", "failed")


# Rows of the store


def test_a_comparison_that_another_took_while_it_was_read_is_not_claimed(store: Store) -> None:
    parity_id = store.parity.request(["a"], "me")
    once(store.engine, "parity_runs", "UPDATE parity_runs SET state = 'running', worker = 'another'")
    assert store.parity.claim("me") is None
    assert store.parity.executor(parity_id) is None


def test_a_comparison_of_another_worker_is_not_written(store: Store) -> None:
    parity_id = store.parity.request(["a"], "me")
    store.parity.claim("me")
    store.parity.heartbeat(parity_id, "me")
    writes: list[Callable[[], object]] = [
        lambda: store.parity.heartbeat(parity_id, "another"),
        lambda: store.parity.progress(parity_id, "a", "x", 0.1, "another"),
        lambda: store.parity.fail_table(parity_id, "a", "x", "another"),
        lambda: store.parity.finish(parity_id, ParityState.DONE, worker="another"),
    ]
    for write in writes:
        with pytest.raises(ComparisonTaken):
            write()


def test_a_comparison_without_all_its_verdicts_is_not_identical(store: Store) -> None:
    parity_id = store.parity.request(["a", "b"], "me")
    store.parity.claim("me")
    store.parity.finish_table(parity_id, "a", {"verdict": "identical"}, "me")
    assert store.parity.finish(parity_id, ParityState.DONE, worker="me") == "not_proven"


def test_only_an_equal_request_that_waits_stands_for_another(store: Store) -> None:
    first = store.parity.request(["a"], "me")
    assert store.parity.request(["a"], "me") == first
    assert store.parity.request(["a"], "me", final=True) != first
    store.parity.claim("x")
    store.parity.cancel(first, "me")
    assert store.parity.request(["a"], "me") != first


def test_a_living_workers_comparison_is_not_requeued(store: Store) -> None:
    parity_id = store.parity.request(["a"], "me")
    store.parity.claim("me")
    assert store.parity.requeue_interrupted("another") == []
    assert store.parity.requeue_interrupted("me") == [parity_id]


def test_a_deviation_ends_and_a_tick_of_a_persona_counts_only_where_personas_do(store: Store) -> None:
    tick = store.checklist.mark("k", True, by="a", local=False, source="persona")
    assert tick.counts(True) and not tick.counts(False)
    assert not replace(tick, source="", local=True).counts(False) and not replace(tick, done=False).counts(True)
    made = store.checklist.deviate("k", "r", True, until=T0, reason="", seen="", by="a", local=False, source="token")
    assert made.holds(T0 - timedelta(seconds=1), False) and not made.holds(T0, True)
    assert not replace(made, accepted=False).holds(T0 - timedelta(1), True)
    for persona in ({"local": True}, {"source": "persona"}):
        assert not replace(made, **persona).holds(T0 - timedelta(1), False)
    assert not replace(made, until=None).holds(T0, True)


def test_one_key_with_two_rows_is_an_error(store: Store) -> None:
    for n in range(2):
        store.checklist.mark(f"k{n}", True, by="a", local=False)
    with pytest.raises(StoreError, match="one key has 2 rows"):
        store.checklist._one(select(marks))


def test_a_store_on_a_server_that_was_used_elsewhere_does_not_become_local(store: Store) -> None:
    store.audit.append(actor="a", source="token", local=False, action="b", outcome="allowed", subject="c")
    if store.engine.dialect.name == "sqlite":
        store.binding.bind("1", "http://127.0.0.1:1", True)
        return
    with pytest.raises(StoreError, match="records of a workspace that is not on this machine"):
        store.binding.bind("1", "http://127.0.0.1:1", True)


def test_a_closed_incident_keeps_who_closed_it_and_is_not_reopened_beside_an_open_one(store: Store) -> None:
    sign = Sign("failure", "x", "baseline", "run:1", T0, "failed")
    assert store.incidents.record([sign]) == 1 and store.incidents.record([sign]) == 0
    assert store.incidents.close(1, by="a", local=False, cause="c")
    assert not store.incidents.close(1, by="b", local=False, cause="d")
    assert store.incidents.incident(1).closed_by == "a"  # type: ignore[union-attr]
    assert store.incidents.record([replace(sign, evidence="run:2")]) == 1
    assert not store.incidents.reopen(1)
    store.incidents.watched(T0, T0 + timedelta(1))
    store.incidents.watched(T0 + timedelta(2), T0 + timedelta(3))
    assert store.incidents.watch().since == T0 + timedelta(2)  # type: ignore[union-attr]
