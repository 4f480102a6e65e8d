"""What the page offers of an operation, to whom, and the reason for the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.access import RolesFound, RoleSource
from app.config.migration import Role
from app.operations.definition import Kind
from app.store.operations import State
from app.web.components import offers
from app.web.components.offers import Situation
from app.web.components.reader import Reader
from tests.support.operations_world import ERIN, LARS, T0, an_operation


def known(user: str, *roles: Role) -> Reader:
    return Reader(user, RolesFound(frozenset(roles), RoleSource.OWN_GROUPS))


OPERATOR = known("other@example.com", Role.VIEWER, Role.OPERATOR)
REQUESTER = known(ERIN.user_name.upper(), Role.OPERATOR)
APPROVER = known(LARS.user_name, *Role)
UNKNOWN = Reader(None, None)
NOBODY = known("x@example.com")


def at(state: State, kind: Kind = Kind.CUTOVER, **changes: Any) -> Situation:
    record = replace(an_operation("op-1", state, T0), kind=kind)
    return replace(Situation(record, True, False, False, False, ()), **changes)


CASES: list[tuple[Any, Situation, Reader, str]] = [
    (offers.submit, at(State.PLANNED), REQUESTER, ""),
    (offers.submit, at(State.PLANNED), UNKNOWN, ""),
    (offers.submit, at(State.PLANNED), OPERATOR, "engineer@example.com made this plan: make your own"),
    (offers.submit, at(State.PLANNED), known(ERIN.user_name), "needs the role operator"),
    (offers.submit, at(State.PLANNED, expired=True), REQUESTER, "the plan has expired"),
    (offers.submit, at(State.PLANNED, blocking=(1, 2)), REQUESTER, "2 gates block"),
    (offers.submit, at(State.RUNNING), REQUESTER, "it was submitted already"),
    (offers.approve, at(State.SUBMITTED), APPROVER, ""),
    (offers.approve, at(State.SUBMITTED), OPERATOR, "needs the role approver"),
    (
        offers.approve,
        at(State.SUBMITTED),
        known(ERIN.user_name, *Role),
        "you requested it: another person approves",
    ),
    (offers.approve, at(State.PLANNED), APPROVER, "it is not submitted yet"),
    (offers.approve, at(State.RUNNING), APPROVER, "it waits for no approval"),
    (offers.approve, at(State.SUBMITTED, needs_approval=False), APPROVER, "it needs none"),
    (offers.resume, at(State.RUNNING, stuck=True), OPERATOR, ""),
    (offers.resume, at(State.NEEDS_HUMAN), OPERATOR, ""),
    (offers.resume, at(State.NEEDS_HUMAN), NOBODY, "needs the role operator"),
    (offers.resume, at(State.RUNNING), OPERATOR, "a process executes it"),
    (offers.resume, at(State.READY), OPERATOR, "it has not started"),
    (offers.resume, at(State.RUNNING, stuck=True, requested=True), OPERATOR, "it is requested already"),
    (offers.resume, at(State.RUNNING, Kind.REHEARSE, stuck=True), OPERATOR, "a rehearsal is ended and planned anew"),
    (offers.cancel, at(State.READY), OPERATOR, ""),
    (offers.cancel, at(State.RUNNING), OPERATOR, ""),
    (offers.cancel, at(State.RUNNING), NOBODY, "needs the role operator"),
    (offers.cancel, at(State.RUNNING, stuck=True), OPERATOR, "it is interrupted: resume it, or roll back"),
    (offers.cancel, at(State.RUNNING, Kind.PAUSE, stuck=True), OPERATOR, ""),
    (offers.cancel, at(State.RUNNING, Kind.ROLLBACK), OPERATOR, "a rollback under way is not stopped"),
    (offers.cancel, at(State.VERIFIED), OPERATOR, "nothing of it is under way"),
]


@pytest.mark.parametrize(("of", "now", "reader", "reason"), CASES)
def test_an_action_is_offered_or_has_its_reason(of: Any, now: Situation, reader: Reader, reason: str) -> None:
    assert of(now, reader).reason == reason


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (at(State.PLANNED), "Withdraw"),
        (at(State.RUNNING), "Stop and undo"),
        (at(State.RUNNING, Kind.ARCHIVE), "Stop"),
        (at(State.RUNNING, Kind.PAUSE, stuck=True), "End"),
    ],
)
def test_the_word_says_what_cancelling_does(now: Situation, word: str) -> None:
    assert offers.cancel(now, OPERATOR).word == word


def test_a_stop_is_requested_once() -> None:
    now = at(State.RUNNING)
    again = replace(now, record=replace(now.record, stop_requested=True))
    assert offers.cancel(again, OPERATOR).reason == "a stop is requested already"


def test_the_sentence_names_what_is_not_possible_and_why_and_nothing_once_it_has_ended() -> None:
    def sentence(now: Situation) -> str:
        return offers.refused(
            now, [f(now, OPERATOR) for f in (offers.submit, offers.approve, offers.resume, offers.cancel)]
        )

    assert sentence(at(State.RUNNING)) == (
        "Not possible now. Submit: it was submitted already; Approve: it waits for no approval; "
        "Resume: a process executes it."
    )
    assert sentence(at(State.VERIFIED)) == ""
    assert "Resume" not in sentence(at(State.NEEDS_HUMAN)) and sentence(at(State.NEEDS_HUMAN))
