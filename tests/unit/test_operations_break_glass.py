"""Break-glass: a rollback while roles are unknown, recorded as such, and two other people who account for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.access import Actor, Refused
from app.config.migration import Role
from app.operations.definition import Kind
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, CUT, ERIN, LARS, SOFIA, Crash, Given, all_new, all_old

WHY = "orders are wrong and SCIM answers 503"
MARA = Actor("lead2@example.com", frozenset(Role), "persona", local=True)


class Lookup(dict[str, frozenset[Role]]):
    """Roles by user that can be made unknown."""

    down = False

    def __getitem__(self, user: str) -> frozenset[Role]:
        if self.down:
            raise WorkspaceError("look up group", "no answer", status=503)
        return self.get(user, frozenset())


@pytest.fixture
def lookup(given: Given) -> Lookup:
    """The lookup of roles; a cutover has been done, and the lookup is down."""
    given.cut_over()
    found = Lookup({**given.roles, MARA.user_name: MARA.roles})
    found.down = True
    given.roles = found
    return found


def broken(g: Given, by: Actor = ERIN) -> str:
    """A rollback by break-glass, done."""
    record = g.service.rollback(by, BACK, break_glass_reason=WHY)
    assert record.state is State.VERIFIED, record.reason
    return record.id


def test_without_it_an_unknown_role_refuses_the_rollback(given: Given, lookup: Lookup) -> None:
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.rollback(ERIN, BACK)
    assert all_new(given)


def test_it_rolls_back_and_is_recorded_as_such(given: Given, lookup: Lookup) -> None:
    operation = broken(given)
    assert all_old(given)
    (record,) = given.store.audit.records(action="break glass")
    made = given.store.operations.get(operation)
    assert made is not None
    assert (record.actor, record.outcome, record.subject) == (ERIN.user_name, "allowed", operation)
    assert (record.reason, record.plan_hash, record.local) == (WHY, made.plan_hash, True)
    assert "no answer" in record.detail["roles"]
    assert given.store.audit.verify().whole


def test_it_goes_through_the_worker_too(given: Given, lookup: Lookup) -> None:
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN, break_glass_reason=WHY)
    given.service.submit(made, ERIN, BACK)
    assert [o.id for o in given.service.ready()] == [made.operation_id]
    assert given.service.apply(made.operation_id, "worker").state is State.VERIFIED and all_old(given)


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.ROLLBACK])
def test_only_a_rollback_is_made_by_break_glass(given: Given, lookup: Lookup, kind: Kind) -> None:
    args = {"job": "baseline"} if kind in (Kind.PAUSE, Kind.UNPAUSE, Kind.RUN_NOW) else {}
    with pytest.raises(Refused, match="only a rollback"):
        given.service.plan(kind, args, ERIN, break_glass_reason=WHY)
    assert given.store.audit.records(action="break glass") == []


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_it_needs_a_reason(given: Given, lookup: Lookup, reason: str) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        given.service.rollback(ERIN, BACK, break_glass_reason=reason)
    assert all_new(given)


def test_where_the_workspace_says_no_it_stays_no(given: Given, lookup: Lookup) -> None:
    lookup.down = False
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.rollback(SOFIA, BACK, break_glass_reason=WHY)
    assert given.store.audit.records(action="break glass") == [] and all_new(given)


def test_where_the_workspace_says_yes_no_glass_is_broken(given: Given, lookup: Lookup) -> None:
    lookup.down = False
    assert given.service.rollback(ERIN, BACK, break_glass_reason=WHY).state is State.VERIFIED
    assert given.store.audit.records(action="break glass") == [] and not given.service.unaccounted()


def test_a_lookup_that_answers_no_before_it_begins_stops_it(given: Given, lookup: Lookup) -> None:
    made = given.service.plan(Kind.ROLLBACK, {}, SOFIA, break_glass_reason=WHY)
    given.service.submit(made, SOFIA, BACK)
    lookup.down = False
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.apply(made.operation_id, "worker")
    assert all_new(given) and not given.service.unaccounted(), "it changed nothing"


def test_it_covers_nobody_else_and_no_other_plan(given: Given, lookup: Lookup) -> None:
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN, break_glass_reason=WHY)
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.submit(made, LARS, BACK)
    given.service.submit(made, ERIN, BACK)
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.apply(made.operation_id, LARS)
    lookup.down = False
    other = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    lookup.down = True
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.submit(other, ERIN, BACK)
    for act in (
        lambda: given.service.cancel(made.operation_id, ERIN),
        lambda: given.service.account(made.operation_id, LARS, "fine"),
        lambda: given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN),
    ):
        with pytest.raises(Refused, match="cannot be looked up"):
            act()
    assert all_new(given)


def test_a_persona_breaks_no_glass_on_a_remote_workspace(given: Given, lookup: Lookup) -> None:
    remote = given.service_with(personas=lambda: False)
    with pytest.raises(Refused, match="persona"):
        remote.rollback(ERIN, BACK, break_glass_reason=WHY)
    assert all_new(given)


def test_who_broke_it_may_resume_it(given: Given, lookup: Lookup) -> None:
    given.world.crash_after("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.rollback(ERIN, BACK, break_glass_reason=WHY)
    given.restart()
    (record,) = given.store.operations.find(states=[State.RUNNING])
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.resume(record.id, LARS)
    assert given.service.resume(record.id, ERIN).state is State.VERIFIED and all_old(given)


# What is owed afterwards


def test_it_is_open_until_two_other_approvers_have_accounted_for_it(given: Given, lookup: Lookup) -> None:
    operation = broken(given)
    lookup.down = False
    (item,) = given.service.unaccounted()
    assert (item.operation_id, item.by, item.reason, item.missing) == (operation, ERIN.user_name, WHY, 2)
    assert f"cutover account {operation}" in item.text
    assert given.service.account(operation, LARS, "right, I would have done so") == 1
    assert [i.missing for i in given.service.unaccounted()] == [1]
    assert given.service.account(operation, MARA, "agreed") == 0
    assert not given.service.unaccounted()
    records = given.store.audit.records(action="account")
    assert [(r.actor, r.outcome, r.reason) for r in records] == [
        (MARA.user_name, "allowed", "agreed"),
        (LARS.user_name, "allowed", "right, I would have done so"),
    ]
    given.roles["third@example.com"] = LARS.roles
    with pytest.raises(Refused, match="have accounted for"):
        given.service.account(operation, replace(LARS, user_name="third@example.com"), "me too")


@pytest.mark.parametrize(
    ("by", "comment", "reason"),
    [
        (ERIN, "mine", "needs the role approver"),
        (SOFIA, "hm", "needs the role approver"),
        (LARS, " ", "needs a comment"),
    ],
)
def test_who_may_not_account_for_it(given: Given, lookup: Lookup, by: Actor, comment: str, reason: str) -> None:
    operation = broken(given)
    lookup.down = False
    with pytest.raises(Refused, match=reason):
        given.service.account(operation, by, comment)
    assert [r.outcome for r in given.store.audit.records(action="account")] == ["refused"]
    assert given.service.unaccounted()[0].missing == 2


def test_an_approver_does_not_account_for_what_he_broke_himself_nor_twice(given: Given, lookup: Lookup) -> None:
    operation = broken(given, by=LARS)
    lookup.down = False
    for same in (LARS, replace(LARS, user_name="LEAD@example.com ")):
        given.roles[same.user_name] = LARS.roles
        with pytest.raises(Refused, match="broke the glass"):
            given.service.account(operation, same, "fine")
    assert given.service.account(operation, MARA, "fine") == 1
    with pytest.raises(Refused, match="another person must"):
        given.service.account(operation, MARA, "fine")
    assert given.service.unaccounted()[0].missing == 1


def test_what_was_not_made_by_break_glass_has_nothing_to_account_for(given: Given, lookup: Lookup) -> None:
    lookup.down = False
    operation = given.service.rollback(ERIN, BACK).id
    with pytest.raises(Refused, match="was not made by break-glass"):
        given.service.account(operation, LARS, "fine")
    with pytest.raises(Refused, match="there is no operation"):
        given.service.account("op-none", LARS, "fine")


def test_a_plan_by_break_glass_that_is_never_executed_owes_nothing(given: Given, lookup: Lookup) -> None:
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN, break_glass_reason=WHY)
    assert not given.service.unaccounted()
    given.service.submit(made, ERIN, BACK)
    assert [i.operation_id for i in given.service.unaccounted()] == [made.operation_id]
    lookup.down = False
    with pytest.raises(Refused, match="account for it once it has ended"):
        given.service.account(made.operation_id, LARS, "fine")
    given.service.cancel(made.operation_id, LARS)
    assert not given.service.unaccounted()
    with pytest.raises(Refused, match="never executed"):
        given.service.account(made.operation_id, LARS, "fine")


def test_no_cutover_begins_until_it_is_accounted_for(given: Given, lookup: Lookup) -> None:
    operation = broken(given)
    lookup.down = False
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    (blocking,) = made.blocking
    assert blocking.key == "world.accounted" and operation in blocking.finding.summary
    with pytest.raises(Refused, match="must account for it"):
        given.service.submit(made, ERIN, CUT)
    assert not given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).blocking
    for person in (LARS, MARA):
        given.service.account(operation, person, "fine")
    assert given.service.apply(given.approved(), "worker").state is State.VERIFIED and all_new(given)


def test_a_record_of_another_action_or_outcome_covers_nothing(given: Given, lookup: Lookup) -> None:
    lookup.down = False
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    lookup.down = True
    for action, outcome, plan_hash in (
        ("break glass", "refused", made.hash),
        ("break glass", "allowed", "0" * 64),
        ("plan", "allowed", made.hash),
    ):
        given.store.audit.append(
            actor=ERIN.user_name, source=ERIN.source, local=True, action=action, outcome=outcome,
            subject=made.operation_id, plan_hash=plan_hash,
        )  # fmt: skip
        with pytest.raises(Refused, match="cannot be looked up"):
            given.service.submit(made, ERIN, BACK)


@pytest.mark.parametrize("by", [LARS, replace(ERIN, source="token")])
def test_the_glass_that_someone_else_broke_covers_nothing(given: Given, lookup: Lookup, by: Actor) -> None:
    lookup.down = False
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    lookup.down = True
    given.store.audit.append(
        actor=by.user_name, source=by.source, local=True, action="break glass", outcome="allowed",
        subject=made.operation_id, plan_hash=made.hash, reason=WHY,
    )  # fmt: skip
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.submit(made, ERIN, BACK)


def test_a_record_of_broken_glass_covers_nothing_but_a_rollback(given: Given, lookup: Lookup) -> None:
    lookup.down = False
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    lookup.down = True
    given.store.audit.append(
        actor=ERIN.user_name, source=ERIN.source, local=True, action="break glass", outcome="allowed",
        subject=made.operation_id, plan_hash=made.hash, reason=WHY,
    )  # fmt: skip
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.submit(made, ERIN, made.confirmation)


def test_each_person_counts_once_and_the_one_who_broke_it_never(given: Given, lookup: Lookup) -> None:
    operation = broken(given)
    for by in (ERIN, LARS, replace(LARS, user_name=LARS.user_name.upper())):
        given.store.audit.append(
            actor=by.user_name, source=by.source, local=True, action="account", outcome="allowed", subject=operation
        )
    (still_open,) = given.service.unaccounted()
    assert still_open.accounted == (LARS.user_name,) and still_open.missing == 1


def test_a_rollback_that_was_started_is_accounted_for_whatever_its_state_says(given: Given, lookup: Lookup) -> None:
    operation = broken(given)
    assert given.store.operations.move(operation, [State.VERIFIED], State.CANCELLED)
    assert [u.operation_id for u in given.service.unaccounted()] == [operation]
