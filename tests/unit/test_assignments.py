"""What waits for whom: operations, sign-offs and items, by who is expected to act."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.config.migration import Migration
from app.operations.definition import Kind
from app.progress.assignments import Assignment, assignments
from app.store.checklist import Tick
from app.store.operations import State
from tests.support.pages_seed import a_plan, record_of
from tests.support.progress_facts import MIGRATION, NOW, ago, facts


def tick(*keys: str) -> dict[str, Tick]:
    return {k: Tick(1, k, True, f"{k}@example.com", False, "", ago(1)) for k in keys}


def with_schedule(**schedule: object) -> Migration:
    return Migration.model_validate(MIGRATION.model_dump() | {"schedule": schedule})


def test_sign_offs_wait_for_their_role_until_they_are_given() -> None:
    found = [a for a in assignments(facts(), ()) if a.title.startswith("Sign")]
    assert [(a.who, a.title, a.item) for a in found] == [
        ("an operator", "Sign: Data engineering", "engineering"),
        ("a viewer", "Sign: Stakeholders", "stakeholder"),
        ("an approver", "Sign: Project owner", "owner"),
    ]
    given = facts(ticks=tick("engineering", "stakeholder"))
    assert [a.item for a in assignments(given, ()) if a.title.startswith("Sign")] == ["owner"]


def test_a_submitted_operation_waits_for_another_person_until_it_expires() -> None:
    plan = a_plan(MIGRATION, NOW, Kind.CUTOVER, 1)
    waits = record_of(plan, State.SUBMITTED)
    first = assignments(facts(), [waits])[0]
    assert (first.who, first.operation) == ("an approver other than engineer@example.com", plan.operation_id)
    expired = replace(waits, expires_at=NOW - timedelta(seconds=1))
    assert not [a for a in assignments(facts(), [expired]) if a.operation]


def test_an_operation_that_needs_a_person_waits_for_an_operator_and_a_running_one_for_nobody() -> None:
    plan = a_plan(MIGRATION, NOW, Kind.CUTOVER, 1)
    stuck = record_of(plan, State.NEEDS_HUMAN, reason="a step failed")
    assert assignments(facts(), [stuck])[0] == Assignment(
        "an operator", "Cutover needs a person", "a step failed", plan.operation_id
    )
    assert not [a for a in assignments(facts(), [record_of(plan, State.RUNNING)]) if a.operation]


def named(migration: Migration, key: str, owner: str) -> Migration:
    """The migration with an owner of one item."""
    content = migration.model_dump()
    item = next(d for p in content["phases"] for s in p["steps"] for d in s["deliverables"] if d["key"] == key)
    item["owner"] = owner
    return Migration.model_validate(content)


def test_items_of_the_current_phase_wait_for_who_is_named_and_those_of_later_phases_do_not() -> None:
    migration = named(with_schedule(owner="dane", owners={"plan": "erin"}), "pre_github", "ann@example.com")
    items = [a for a in assignments(facts(migration=migration), ()) if a.title.startswith("Confirm")]
    whose = {(a.who, a.text.partition(" (")[2]): a for a in items}
    assert whose["ann@example.com", ""].item == "pre_github"
    of_plan = next(a for a in items if a.text.endswith("owner of Create project plan: erin)"))
    assert (of_plan.who, of_plan.title) == ("no owner is named", "Confirm 4 items")
    assert of_plan.text.startswith("Team alignment on approach; Timeline approved and 2 more (")
    assert not {"dane", "erin"} & {a.who for a in items}, "the owner of a phase is not that of its items"
    later = {d.key for p in MIGRATION.phases[1:] for s in p.steps for d in s.deliverables}
    assert not later & {a.item for a in items}


def test_items_without_an_owner_name_nobody() -> None:
    items = [a for a in assignments(facts(migration=with_schedule()), ()) if a.title.startswith("Confirm")]
    assert [a.who for a in items] == ["no owner is named"]
    assert "owner of" not in items[0].text


def test_what_is_said_elsewhere_is_left_out() -> None:
    waits = record_of(a_plan(MIGRATION, NOW, Kind.CUTOVER, 1), State.SUBMITTED)
    first = {d.key for s in MIGRATION.phases[0].steps for d in s.deliverables}
    found = assignments(facts(), [waits], {waits.id, "engineering", *first})
    assert [a.item for a in found] == ["stakeholder", "owner"]
