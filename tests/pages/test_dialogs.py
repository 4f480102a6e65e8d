"""The guarded dialogs hand on exactly what was typed, only once it fits, and show a refusal where one looks.

AppTest draws a dialog only in the run in which its opener is clicked: so what is done in it is done together with that
click. What a browser does with one is in tests/browser.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.access import Actor, Refused, RolesUnknown
from app.config.migration import Role
from app.operations.definition import GateVerdict, Kind
from app.progress.evidence import Finding, Status
from app.store.open import Store
from app.store.operations import State
from app.web.components.panel import PageContext
from tests.support import pages_seed
from tests.support.pages_open import MIGRATION, Fill, open_page, text_of, unescaped

pytestmark = pytest.mark.usefixtures("page_settings")

ERIN = Actor("erin@example.com", frozenset(Role), "persona", True)
OPERATION = "op-0009"


@dataclass
class Recorded:
    """Stands for the service of operations: remembers what the page hands on, and refuses it when told to."""

    refusal: str = ""
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        def call(*values: Any) -> None:
            self.calls.append((name, *values))
            if self.refusal:
                raise Refused(self.refusal)

        return call


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch, fill: Fill) -> Recorded:
    """What the Operations page hands to the service, clicked by someone who has every role."""
    fill(operations=False)
    recorded = Recorded()
    monkeypatch.setattr(PageContext, "operations", recorded)
    monkeypatch.setattr("app.web.components.identity.actor", lambda here, action, subject: ERIN)
    return recorded


def _opened(store: Store, state: State, opener: str, kind: Kind = Kind.CUTOVER) -> AppTest:
    """The Operations page with one operation in this state, after a click on the button that opens a dialog."""
    plan = pages_seed.a_plan(MIGRATION, datetime.now(UTC), kind, 9)
    store.operations.add(pages_seed.record_of(plan, state, started_at=plan.created_at))
    at = open_page("operations", operation=OPERATION)
    return at.button(key=opener).click().run()


def _type(at: AppTest, opener: str, box: str, text: str) -> AppTest:
    at.text_input(key=f"{box}_{OPERATION}").input(text)
    return at.button(key=opener).click().run()


def _click(at: AppTest, opener: str, button: str) -> AppTest:
    at.button(key=opener).click()
    return at.button(key=f"{button}_{OPERATION}").click().run()


def test_a_risk_is_accepted_with_its_reason_and_only_for_gates_that_allow_it(store: Store, handed: Recorded) -> None:
    plan = pages_seed.a_plan(MIGRATION, datetime.now(UTC), Kind.CUTOVER, 9)
    blocked = [
        GateVerdict(key, f"Gate {key}", Finding(Status.FAIL, "no", plan.created_at, "test"))
        for key in ("cost", "parity", "world.idle")
    ]
    store.operations.add(pages_seed.record_of(replace(plan, gates=tuple(blocked)), State.PLANNED))
    at = open_page("operations", operation=OPERATION)
    assert "3 of 3 gates block" in text_of(at)
    at = at.button(key="accept_risk").click().run()
    assert at.selectbox(key=f"risk_gate_{OPERATION}").options == ["Gate cost"]
    assert at.button(key=f"accept_{OPERATION}").disabled
    at.text_area(key=f"risk_reason_{OPERATION}").input("spot prices until May")
    at = at.button(key="accept_risk").click().run()
    _click(at, "accept_risk", "accept")
    assert handed.calls == [("accept_risk", OPERATION, "cost", ERIN, "spot prices until May")]


@pytest.mark.parametrize("typed", ["", "cutover", "CUTOVER product.fde", "cutover product.fde; yes"])
def test_nothing_is_asked_for_until_the_words_are_typed(store: Store, handed: Recorded, typed: str) -> None:
    at = _opened(store, State.PLANNED, "submit_plan")
    assert "Type `cutover product.fde` to submit it" in text_of(at)
    at = _type(at, "submit_plan", "typed", typed)
    assert at.button(key=f"submit_{OPERATION}").disabled
    assert handed.calls == []


def test_what_is_typed_is_handed_on_for_the_service_to_check(store: Store, handed: Recorded) -> None:
    at = _opened(store, State.PLANNED, "submit_plan")
    assert "approval by a second person" in text_of(at)
    at = _type(at, "submit_plan", "typed", " cutover product.fde ")
    assert not at.button(key=f"submit_{OPERATION}").disabled
    at = _click(at, "submit_plan", "submit")
    assert handed.calls == [("submit", OPERATION, ERIN, " cutover product.fde ")]
    assert "Submitted" in text_of(at)


def test_an_approval_names_the_plan_and_who_asked(store: Store, handed: Recorded) -> None:
    at = _opened(store, State.SUBMITTED, "approve")
    plan_hash = store.operations.find()[0].plan_hash
    assert plan_hash[:12] in text_of(at) and "requested by engineer@example.com" in text_of(at)
    at.text_area(key=f"approval_{OPERATION}").input("  read <b>all</b> steps ")
    at = _click(at, "approve", "approve")
    assert handed.calls == [("approve", OPERATION, ERIN, "read <b>all</b> steps")]
    assert "Approved" in text_of(at)


@pytest.mark.parametrize(
    ("state", "kind", "word", "told"),
    [
        (State.PLANNED, Kind.CUTOVER, "Withdraw", "Nothing has been changed"),
        (State.READY, Kind.ROLLBACK, "Withdraw", "Nothing has been changed"),
        (State.RUNNING, Kind.START_UPDATE, "End", "goes on"),
    ],
)
def test_stopping_says_what_it_does_before_it_is_done(
    store: Store, handed: Recorded, state: State, kind: Kind, word: str, told: str
) -> None:
    at = _opened(store, state, "cancel_operation", kind)
    assert at.button(key=f"cancel_{OPERATION}").label == word and told in text_of(at)
    at.text_input(key=f"why_{OPERATION}").input("wrong day")
    _click(at, "cancel_operation", "cancel")
    assert handed.calls == [("cancel", OPERATION, ERIN, "wrong day")]


def test_resuming_tells_both_directions_and_wants_the_word(store: Store, handed: Recorded) -> None:
    at = _opened(store, State.NEEDS_HUMAN, "resume")
    assert "goes back" in text_of(at) and "plan, approval, gates or data" in text_of(at)
    assert at.button(key=f"resume_{OPERATION}").disabled
    at = _type(at, "resume", "resume_typed", "resume")
    at = _click(at, "resume", "resume")
    assert handed.calls == [("request_resume", OPERATION, ERIN)]
    assert "Resume requested" in text_of(at)


@pytest.mark.parametrize(
    ("state", "opener", "button", "typed"),
    [
        (State.PLANNED, "submit_plan", "submit", ("typed", "cutover product.fde")),
        (State.SUBMITTED, "approve", "approve", None),
        (State.PLANNED, "cancel_operation", "cancel", None),
        (State.NEEDS_HUMAN, "resume", "resume", ("resume_typed", "resume")),
    ],
)
def test_a_refusal_stays_in_the_dialog_and_is_no_markup(
    store: Store, handed: Recorded, state: State, opener: str, button: str, typed: tuple[str, str] | None
) -> None:
    handed.refusal = "the plan <img src=x> is **another** since"
    at = _opened(store, state, opener)
    if typed is not None:
        at = _type(at, opener, *typed)
    at = _click(at, opener, button)
    assert len(handed.calls) == 1
    (refusal,) = (e.value for e in at.error if "Refused" in e.value)
    assert r"\<img" in refusal and r"\*\*another\*\*" in refusal, "literal, not markup"
    assert f"Refused: {handed.refusal}" in text_of(at)
    assert at.button(key=f"{button}_{OPERATION}"), "the dialog is still there"


def test_without_a_user_no_action_reaches_the_service(
    store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(operations=False)
    recorded = Recorded()
    monkeypatch.setattr(PageContext, "operations", recorded)
    at = _opened(store, State.SUBMITTED, "approve")
    at = _click(at, "approve", "approve")
    assert recorded.calls == [] and "Refused: no user is signed in" in text_of(at)
    refused = store.audit.records(limit=1)[0]
    assert (refused.action, refused.subject, refused.outcome) == ("approve", OPERATION, "refused")


def _broken_glass(store: Store) -> None:
    """A rollback by break-glass that has ended."""
    plan = pages_seed.a_plan(MIGRATION, datetime.now(UTC), Kind.ROLLBACK, 9)
    record = pages_seed.record_of(plan, State.VERIFIED, started_at=plan.created_at, ended_at=plan.created_at)
    store.operations.add(record)
    store.audit.append(
        actor=record.requested_by, source=record.source, local=record.local, action="break glass", outcome="allowed",
        subject=OPERATION, plan_hash=record.plan_hash, reason="wrong rows <b>are</b> served",
    )  # fmt: skip


@pytest.mark.parametrize("path", ["overview", "runs", "operations", "audit"])
def test_a_broken_glass_stands_on_every_page_until_two_have_accounted_for_it(
    store: Store, handed: Recorded, path: str
) -> None:
    _broken_glass(store)
    at = open_page(path)
    (said,) = (text for e in at.error if "break-glass" in (text := unescaped(str(e.value))))
    assert "2 approvers other than" in said and "must account for it" in said
    for person in ("a@example.com", "b@example.com"):
        store.audit.append(
            actor=person, source="proxy", local=False, action="account", outcome="allowed", subject=OPERATION
        )
    assert "break-glass" not in text_of(open_page(path))


def test_accounting_hands_on_the_comment(store: Store, handed: Recorded) -> None:
    _broken_glass(store)
    at = open_page("operations", operation=OPERATION).button(key="account_operation").click().run()
    at.text_area(key=f"account_{OPERATION}").input("  the rollback was right ")
    at.button(key="account_operation").click()
    at = at.button(key=f"account_{OPERATION}_done").click().run()
    assert handed.calls == [("account", OPERATION, ERIN, "the rollback was right")]
    assert "Recorded in the audit log" in text_of(at)


def test_break_glass_is_offered_only_once_roles_could_not_be_looked_up(
    store: Store, handed: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[Exception] = [Refused("needs the role operator"), RolesUnknown("cannot be looked up")]

    def plan(*values: Any, break_glass_reason: str | None, progress: Any) -> Any:
        progress(1, 4, "reading *names*")
        handed.calls.append((*values, break_glass_reason))
        raise refusals.pop(0)

    monkeypatch.setattr(handed, "plan", plan, raising=False)
    at = open_page("operations", action="rollback")
    for offered in (False, True):
        at = at.button(key="plan_rollback").click().run()
        assert any(b.key == "plan_glass" for b in at.button) is offered
    refusals.append(Refused("nothing to roll back"))
    assert at.button(key="plan_glass").disabled
    at = at.text_input(key="glass_reason").input(" it cannot wait ").run()
    at.button(key="plan_glass").click().run()
    assert handed.calls[-1] == (Kind.ROLLBACK, {}, ERIN, "it cannot wait")


def test_an_old_table_is_chosen_by_its_name_before_its_drop_is_planned(
    handed: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*values: Any, break_glass_reason: str | None, progress: Any) -> Any:
        progress(1, 4, "reading *names*")
        handed.calls.append(values)
        raise Refused("blocked")

    monkeypatch.setattr(handed, "plan", plan, raising=False)
    at = open_page("operations", action="drop-backup")
    box = next(s for s in at.selectbox if s.key == "drop_backup_table")
    assert box.options[1].replace("\\", "") == MIGRATION.tables[1].kept
    box.select_index(1).run()
    at.button(key="plan_drop-backup").click().run()
    at = open_page("operations", action="archive")
    at.button(key="plan_archive").click().run()
    assert handed.calls == [
        (Kind.DROP_BACKUP, {"table": MIGRATION.tables[1].name}, ERIN), (Kind.ARCHIVE, {}, ERIN),
    ]  # fmt: skip
