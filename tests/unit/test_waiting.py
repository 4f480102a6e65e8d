"""What waits for a reader: by role, by owner, by who signed already; nothing for one who is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.items import Deliverable, Evidence, Phase, SignOff, Step
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.progress.facts import Facts
from app.progress.waiting import Kind, Waiting, waiting
from app.store.checklist import Deviation, Tick
from app.store.operations import OperationRecord, State
from app.store.progress import ItemRecord
from tests.support.evidence import facts_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANN, MAX, SUE = "ann@example.com", "max@example.com", "sue@example.com"
OPERATOR, APPROVER, VIEWER = {Role.OPERATOR}, {Role.APPROVER}, {Role.VIEWER}
PROVEN = Evidence(kind="tables_exist", params={"side": "baseline"})
OPEN = Deliverable(key="open", title="Diagram", hint="Draw it")
OWNED = Deliverable(key="owned", title="Plan", owner=SUE)
LATER = Deliverable(key="later", title="Later")
CHECKED = Deliverable(key="checked", title="Checked", evidence=PROVEN)


def phase(key: str, *items: Deliverable) -> Phase:
    return Phase(key=key, title=key, weeks="1", steps=(Step(key=f"{key}_s", title="S", deliverables=items),))


MIGRATION = Migration.load(DEFAULT_MIGRATION).model_copy(
    update={
        "phases": (phase("p0", OPEN, OWNED, CHECKED), phase("p1", LATER)),
        "metrics": (),
        "sign_offs": (
            SignOff(key="engineering", title="Engineering", role=Role.OPERATOR),
            SignOff(key="owner", title="Owner", role=Role.APPROVER),
        ),
    }
)


def facts(**more: Any) -> Facts:
    return facts_of(NOW, more.pop("migration", MIGRATION), **more)


def operation(state: State, by: str = ANN, expires: datetime = NOW + DAY) -> OperationRecord:
    return OperationRecord(
        "op-1", "cutover", "m", "h", {}, by, "proxy", False, True, state, "one view is left", "", False, None, NOW,
        expires, NOW, None, None,
    )  # fmt: skip


def tick(key: str, by: str, done: bool = True) -> dict[str, Tick]:
    return {key: Tick(1, key, done, by, False, "", NOW - DAY, "proxy")}


def kinds(found: tuple[Waiting, ...]) -> list[tuple[Kind, str]]:
    return [(w.kind, w.key) for w in found]


def test_nothing_waits_for_a_reader_who_is_not_known_or_has_no_role() -> None:
    assert waiting(facts(), None, {*Role}, [operation(State.SUBMITTED)]) == ()
    assert waiting(facts(), "nobody@example.com", (), [operation(State.SUBMITTED)]) == ()


def test_sign_offs_wait_for_their_role_and_items_for_operators_or_their_owner() -> None:
    assert kinds(waiting(facts(), ANN, OPERATOR, ())) == [(Kind.SIGN_OFF, "engineering"), (Kind.ITEM, "open")]
    assert kinds(waiting(facts(), MAX, APPROVER, ())) == [(Kind.SIGN_OFF, "owner")]
    assert kinds(waiting(facts(), SUE.upper(), VIEWER, ())) == [(Kind.ITEM, "owned")]


def test_each_thing_says_what_to_do_and_where() -> None:
    found = {w.key: w for w in waiting(facts(), ANN, OPERATOR, ())}
    assert found["open"] == Waiting(Kind.ITEM, "open", "Diagram", "Draw it", "checklist", {"item": "open"})
    assert found["engineering"].text == "Waiting for the operator"


def test_who_owns_a_step_owns_its_items() -> None:
    owned = MIGRATION.model_copy(
        update={"schedule": MIGRATION.schedule.model_copy(update={"owners": {"p0_s": MAX}, "owner": ANN})}
    )
    assert kinds(waiting(facts(migration=owned), MAX, VIEWER, ())) == [(Kind.ITEM, "open")]
    assert (Kind.ITEM, "open") not in kinds(waiting(facts(migration=owned), ANN, OPERATOR, ()))


def test_items_of_a_later_phase_do_not_wait_yet() -> None:
    done = tick("open", ANN) | tick("owned", SUE)
    record = {"checked": ItemRecord("checked", CHECKED.rule, NOW - DAY, NOW)}
    found = facts(ticks=done, record=record)
    assert (Kind.ITEM, "later") in kinds(waiting(found, ANN, OPERATOR, ()))
    assert (Kind.ITEM, "later") not in kinds(waiting(replace(found, record={}), ANN, OPERATOR, ()))


def test_who_signed_one_sign_off_is_not_asked_for_another() -> None:
    both = OPERATOR | APPROVER
    signed = facts(ticks=tick("engineering", ANN))
    assert (Kind.SIGN_OFF, "owner") not in kinds(waiting(signed, ANN, both, ()))
    assert (Kind.SIGN_OFF, "owner") in kinds(waiting(signed, MAX, both, ()))
    alone = MIGRATION.model_copy(update={"one_person_may_sign_all": True})
    assert (Kind.SIGN_OFF, "owner") in kinds(waiting(replace(signed, migration=alone), ANN, both, ()))


def test_a_reopened_sign_off_comes_first_and_says_why() -> None:
    lost = ItemRecord("engineering", "signed", NOW - DAY, NOW, NOW, None, "Reopened, the evidence changed since: x")
    found = waiting(facts(ticks=tick("engineering", ANN), record={"engineering": lost}), ANN, OPERATOR, ())
    assert kinds(found)[0] == (Kind.REOPENED, "engineering")
    assert found[0].text == "Reopened, the evidence changed since: x"


def test_an_operation_waits_for_an_approver_other_than_its_requester() -> None:
    submitted = [operation(State.SUBMITTED)]
    assert kinds(waiting(facts(), MAX, APPROVER, submitted))[0] == (Kind.APPROVAL, "op-1")
    for user, roles, operations in (
        (ANN.upper(), APPROVER, submitted),
        (MAX, OPERATOR, submitted),
        (MAX, APPROVER, [operation(State.SUBMITTED, expires=NOW)]),
        (MAX, APPROVER, [operation(State.READY)]),
    ):
        assert Kind.APPROVAL not in [k for k, _ in kinds(waiting(facts(), user, roles, operations))]


def test_an_operation_that_needs_a_person_waits_for_operators() -> None:
    found = waiting(facts(), ANN, OPERATOR, [operation(State.NEEDS_HUMAN)])
    assert (found[0].kind, found[0].page, found[0].parameters) == (Kind.OPERATION, "operations", {"operation": "op-1"})
    assert found[0].text == "one view is left"
    assert Kind.OPERATION not in [k for k, _ in kinds(waiting(facts(), MAX, APPROVER, [operation(State.NEEDS_HUMAN)]))]


def test_a_regressed_item_waits_for_its_owner_or_operators() -> None:
    lost = {"checked": ItemRecord("checked", CHECKED.rule, NOW - DAY, NOW, NOW, None, "Missing: dim_fde")}
    assert (Kind.REGRESSED, "checked") in kinds(waiting(facts(record=lost), ANN, OPERATOR, ()))
    assert (Kind.REGRESSED, "checked") not in kinds(waiting(facts(record=lost), MAX, APPROVER, ()))


def test_a_deviation_waits_for_an_approver_once_it_ends_soon() -> None:
    def accepted(days: int) -> Facts:
        made = Deviation(1, "checked", CHECKED.rule, True, NOW + days * DAY, "why", "", MAX, False, "proxy", NOW - DAY)
        return facts(deviations={"checked": made})

    assert (Kind.DEVIATION, "checked") in kinds(waiting(accepted(7), MAX, APPROVER, ()))
    assert (Kind.DEVIATION, "checked") not in kinds(waiting(accepted(8), MAX, APPROVER, ()))
    assert (Kind.DEVIATION, "checked") not in kinds(waiting(accepted(7), ANN, OPERATOR, ()))
