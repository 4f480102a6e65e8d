"""Two migrations in one store: what is done for one says and ends nothing of the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.access import Refused
from app.config.migration import Migration
from app.operations.definition import Kind
from app.operations.past import last_cutover
from app.store.operations import State
from tests.support.operations_world import BACK, CUT, ERIN, LARS, MIGRATION, Crash, Given, all_new, all_old


def another(name: str = "another", **changed: object) -> Migration:
    """A migration of other tables."""
    tables = tuple(
        t.model_copy(update={"baseline": t.baseline.replace(".fde.", ".other."), "candidate": f"{t.candidate}_2"})
        for t in MIGRATION.tables
    )
    found = MIGRATION.model_copy(update={"name": name, "tables": tables, **changed})
    found.__dict__.pop("digest", None)
    return found


def test_the_cutovers_of_another_migration_hide_no_older_one_of_this(given: Given) -> None:
    operation = given.approved()
    assert given.service.apply(operation, "worker").state is State.VERIFIED
    record = given.store.operations.get(operation)
    assert record is not None
    for n in range(25):
        given.clock.go_on(60)
        later = given.clock()
        relations = [
            dict(r, name=r["name"].replace(".fde.", ".other.")) for r in record.plan["observation"]["relations"]
        ]
        plan = {**record.plan, "observation": {**record.plan["observation"], "relations": relations}}
        other = replace(record, id=f"op-{n}", migration="another", created_at=later, started_at=later, plan=plan)
        given.store.operations.add(other)
    assert last_cutover(given.store.operations, MIGRATION).before is not None
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    given.service.submit(made, ERIN, BACK)
    kept = given.store.operations.get(made.operation_id)
    assert kept is not None and kept.undoes == operation
    assert given.service.apply(made.operation_id, "worker").state is State.VERIFIED and all_old(given)


def test_a_rollback_ends_no_operation_of_another_migration(given: Given) -> None:
    given.cut_over()
    record = given.store.operations.find(states=[State.VERIFIED])[0]
    given.store.operations.add(replace(record, id="op-other", migration="another", state=State.NEEDS_HUMAN))
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    other = given.store.operations.get("op-other")
    assert other is not None and other.state is State.NEEDS_HUMAN


def test_the_newest_operation_of_a_kind_is_that_of_the_migration(given: Given) -> None:
    given.cut_over()
    given.clock.go_on(60)
    given.service.rollback(ERIN, BACK)
    newest = given.store.operations.newest_started("rollback", MIGRATION.name)
    assert newest is not None
    assert given.store.operations.newest_started("rollback", "another") is None
    assert given.store.operations.last("rollback", "another") is None
    assert given.store.operations.find(migration="another") == []


def test_an_operation_of_another_migration_is_neither_executed_nor_ended_here(given: Given) -> None:
    operation = given.approved()
    other = given.service_with(another())
    assert other.ready() == [] and [o.id for o in given.service.ready()] == [operation]
    for act in (
        lambda: other.apply(operation, "worker"),
        lambda: other.submit(operation, ERIN, CUT),
        lambda: other.approve(operation, LARS),
        lambda: other.cancel(operation, ERIN),
        lambda: other.request_resume(operation, ERIN),
        lambda: other.resume(operation, ERIN),
        lambda: other.bring_back(operation, "worker"),
    ):
        with pytest.raises(Refused, match="belongs to the migration"):
            act()
    assert given.service.apply(operation, "worker").state is State.VERIFIED and all_new(given)


def test_an_interrupted_operation_of_another_migration_is_left_to_its_own_worker(given: Given) -> None:
    operation = given.approved()
    given.world.crash_after("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    other = given.service_with(another())
    assert other.left() == [] and other.to_resume() == []
    assert [o.id for o in given.service.left()] == [operation]


def test_what_needs_a_person_in_another_migration_of_the_same_tables_blocks(given: Given) -> None:
    given.cut_over()
    given.service.rollback(ERIN, BACK)
    record = given.store.operations.find(kinds=[Kind.CUTOVER])[0]
    given.store.operations.add(replace(record, id="op-other", migration="another", state=State.NEEDS_HUMAN))
    (blocking,) = given.service.plan(Kind.CUTOVER, {}, ERIN).blocking
    assert blocking.key == "world.unfinished" and "op-other" in blocking.finding.summary
