"""Ticks, sign-offs and deviations: who may, what is kept and audited, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.access import Access, Actor, Refused
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.progress.facts import Facts, load_facts
from app.progress.phases import sign_offs
from app.progress.sign_off import ChecklistService, checked_link
from app.progress.standing import State, of_item
from app.store.open import Store
from tests.support.roles_held import in_groups

MIGRATION = Migration.load(DEFAULT_MIGRATION)
PROVEN = next(m for m in MIGRATION.metrics if m.evidence.kind == "runs_per_day")
MANUAL = next(m for m in MIGRATION.metrics if m.evidence.kind == "manual")
ANN = Actor("ann@example.com", frozenset(), "proxy")
MAX = Actor("max@example.com", frozenset(), "proxy")
ROLES = {ANN.user_name: frozenset({Role.VIEWER, Role.OPERATOR}), MAX.user_name: frozenset({Role.APPROVER})}
WEEK = timedelta(days=7)


def now() -> datetime:
    return datetime.now(UTC)


def facts(store: Store) -> Facts:
    return load_facts(store, MIGRATION)


@pytest.fixture
def service(store: Store) -> ChecklistService:
    access = Access(store.audit, lambda user: in_groups(*ROLES[user]))
    return ChecklistService(MIGRATION, store.checklist, access, lambda: facts(store))


def test_a_deviation_counts_until_it_is_withdrawn_and_both_are_audited(service: ChecklistService, store: Store) -> None:
    assert of_item(PROVEN, facts(store)).state is State.UNKNOWN
    service.accept(PROVEN.key, now() + WEEK, "runs on demand by design", MAX)
    found = of_item(PROVEN, facts(store))
    assert found.state is State.ACCEPTED and found.deviation is not None
    assert (found.deviation.by, found.deviation.reason) == (MAX.user_name, "runs on demand by design")
    assert found.deviation.seen == found.live.summary
    service.withdraw(PROVEN.key, "accepted the wrong one", MAX)
    assert of_item(PROVEN, facts(store)).state is State.UNKNOWN
    assert [d.accepted for d in store.checklist.deviation_history(PROVEN.key)] == [False, True]
    actions = [(r.action, r.outcome, r.subject) for r in store.audit.records(limit=9)]
    assert actions == [("checklist.unaccept", "allowed", PROVEN.key), ("checklist.accept", "allowed", PROVEN.key)]


@pytest.mark.parametrize(
    ("key", "actor", "days", "reason", "cause"),
    [
        (PROVEN.key, ANN, 7, "why", "needs the role approver"),
        (PROVEN.key, MAX, 0, "why", "at most 366 days from now"),
        (PROVEN.key, MAX, 367, "why", "at most 366 days from now"),
        (PROVEN.key, MAX, 7, " ", "needs a reason"),
        (PROVEN.key, MAX, 7, "x" * 2001, "at most 2000 are allowed"),
        (MANUAL.key, MAX, 7, "why", "ticked by a person"),
        (MIGRATION.gates[0].key, MAX, 7, "why", "no deviation is accepted"),
        (MIGRATION.sign_offs[0].key, MAX, 7, "why", "no deliverable or metric"),
        ("none", MAX, 7, "why", "no deliverable or metric"),
    ],
)
def test_a_deviation_is_refused_and_the_refusal_audited(
    service: ChecklistService, store: Store, key: str, actor: Actor, days: int, reason: str, cause: str
) -> None:
    with pytest.raises(Refused, match=cause):
        service.accept(key, now() + timedelta(days=days), reason, actor)
    assert store.checklist.deviation_history() == []
    record = store.audit.records(limit=1)[0]
    assert (record.action, record.outcome) == ("checklist.accept", "refused") and cause in record.reason


def test_what_is_met_needs_no_deviation_and_what_is_not_accepted_cannot_be_withdrawn(
    service: ChecklistService, store: Store
) -> None:
    with pytest.raises(Refused, match=r"no deviation of .* is accepted"):
        service.withdraw(PROVEN.key, "", MAX)
    with pytest.raises(Refused, match="needs the role approver"):
        service.withdraw(PROVEN.key, "", ANN)
    approval = next(m for m in MIGRATION.metrics if m.evidence.kind == "signed")
    service.mark("stakeholder", True, ANN)
    with pytest.raises(Refused, match="is met: Signed by"):
        service.accept(approval.key, now() + WEEK, "why", MAX)


def test_a_sign_off_keeps_its_link_its_role_and_the_evidence_that_it_was_given_on(
    service: ChecklistService, store: Store
) -> None:
    service.mark("engineering", True, ANN, "read it", " https://wiki.example.com/minutes?id=7 ")
    tick = store.checklist.latest()["engineering"]
    assert tick.link == "https://wiki.example.com/minutes?id=7"
    assert tick.evidence is not None and set(tick.evidence["items"]) >= {"gate:parity", PROVEN.key}
    record = store.audit.records(limit=1)[0]
    kept = (tick.link, tick.evidence["role"], tick.evidence["digest"])
    assert (record.detail["link"], record.detail["role"], record.detail["evidence"]) == kept
    (found,) = (s.finding for s in sign_offs(facts(store)) if s.sign_off.key == "engineering")
    assert found.passed and found.summary == f"Signed by {ANN.user_name} as operator, link: {tick.link}"


def test_a_tick_keeps_no_evidence(service: ChecklistService, store: Store) -> None:
    service.mark(MANUAL.key, True, ANN)
    assert store.checklist.latest()[MANUAL.key].evidence is None


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.com/a",
        "https://",
        "//example.com",
        "wiki",
        "https://example.com/a b",
        "https://example.com/\u202egpj",
        "https://ann:secret@example.com/",
        "http://[::1",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_a_link_that_is_no_web_address_is_refused(service: ChecklistService, store: Store, link: str) -> None:
    with pytest.raises(Refused, match="link"):
        service.mark("engineering", True, ANN, link=link)
    assert store.checklist.latest() == {} and store.audit.records(limit=1)[0].outcome == "refused"


def test_an_empty_link_is_none() -> None:
    assert checked_link("  ") == ""
    assert checked_link("http://localhost:8501/x") == "http://localhost:8501/x"
