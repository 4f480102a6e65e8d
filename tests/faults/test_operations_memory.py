"""The way back works from what was stored with the cutover; where that proves nothing, a person is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import update

from app.access import Refused
from app.config.migration import JobRef, Migration
from app.operations.definition import Kind
from app.operations.steps import RestoreGrants
from app.operations.world import Grant, Relation
from app.store.operations import State, operations
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    ERIN,
    MIGRATION,
    OLD,
    OLD_JOB,
    Crash,
    Given,
    all_old,
)

X, KEPT, NEW_X = "product.fde.dim_fde", "product.fde.dim_fde_old", "product.fde.dlt_v2_dim_fde"
OWNER = "owner@example.com"


def cut_over(g: Given) -> str:
    operation = g.approved()
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    return operation


def forgotten(g: Given) -> Given:
    """The same world, seen by a store without memory."""
    elsewhere = Given()
    elsewhere.world = g.world
    return elsewhere


def table(name: str, id_: str, owner: str = OWNER) -> Relation:
    return Relation(name, "table", "MANAGED", table_id=id_, owner=owner, columns=(("a", "bigint"), ("b", "string")))


def spoiled(g: Given, operation: str, spoil: Callable[[dict[str, object]], object]) -> None:
    """What is stored of an operation's plan is changed behind the program's back."""
    record = g.store.operations.get(operation)
    assert record is not None
    plan = json.loads(json.dumps(record.plan))
    spoil(plan)
    with g.engine.begin() as c:
        c.execute(update(operations).where(operations.c.id == operation).values(plan=plan))


# Whose access was ownership


def test_the_old_owner_can_read_the_view(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    restored = [p.step for p in made.steps if isinstance(p.step, RestoreGrants) and p.step.becomes == X]
    assert Grant(OWNER, ("SELECT",)) in restored[0].grants
    assert any(f"stay owned by {OWNER}, who get SELECT on the views" in n for n in made.notes)
    cut_over(given)
    assert Grant(OWNER, ("SELECT",)) in given.world.names[X].grants
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(given), "the table needs no grant to its owner"


def test_a_view_that_its_old_owner_cannot_read_is_not_verified(given: Given) -> None:
    operation = given.approved()

    def take_from_owner() -> None:
        view = given.world.names[X + "__cutover"]
        given.world.names[view.name] = replace(view, grants=tuple(g for g in view.grants if g.principal != OWNER))

    given.world.after(f"grant {X}__cutover", take_from_owner)
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "Grant on" in record.reason and all_old(given)


def test_an_owner_with_a_grant_of_his_own_keeps_that(given: Given) -> None:
    old = given.world.names[X]
    mine = Grant(OWNER, ("ALL_PRIVILEGES",))
    given.world.names[X] = replace(old, grants=(*old.grants, mine))
    given.world._start[X] = given.world.names[X]
    cut_over(given)
    assert mine in given.world.names[X].grants
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED and all_old(given)


def test_where_a_table_takes_the_name_the_old_owner_keeps_access_to_rows_and_leaves_with_it() -> None:
    g = Given(rename=[t.name for t in MIGRATION.tables])
    for t in MIGRATION.tables:
        new = g.world.names[t.candidate]
        g.world.names[t.candidate] = g.world._start[t.candidate] = replace(new, owner="new@example.com")
    cut_over(g)
    assert Grant(OWNER, ("MODIFY", "SELECT")) in g.world.names[X].grants
    assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(g)


# Schedules that cannot be read or set


@pytest.mark.parametrize("error", [{"status": 404}, {"status": 403}])
@pytest.mark.parametrize("name", ["00_RDS", "00_RDS_v2"])
def test_an_undo_that_cannot_see_a_job_does_not_say_that_all_is_as_before(
    given: Given, name: str, error: dict[str, int]
) -> None:
    operation = given.approved()
    find = given.world.job
    flipped: list[str] = []

    def seen(wanted: str, job_id: int | None = None) -> object:
        if wanted == name and flipped:
            raise WorkspaceError("find job", "cannot be seen", **error)  # type: ignore[arg-type]
        return find(wanted, job_id)

    given.world.job = seen  # type: ignore[method-assign, assignment]
    given.world.after("dlt_v2_roi_fraud_reduction", lambda: flipped.append(name))
    record = given.service.apply(operation, "worker")
    assert record.state is State.NEEDS_HUMAN and f"{name} cannot be read" in record.reason
    assert given.world.served() == OLD
    given.world.job = find  # type: ignore[method-assign]
    assert given.service.resume(operation, ERIN).state is State.UNDONE and all_old(given)


def test_a_schedule_that_is_gone_cannot_be_switched_on_and_the_rollback_is_not_verified(given: Given) -> None:
    cut_over(given)
    given.world.jobs[OLD_JOB] = replace(given.world.jobs[OLD_JOB], paused=None, block="none", settings="{}")
    record = given.service.rollback(ERIN, BACK)
    assert record.state is State.NEEDS_HUMAN
    assert "00_RDS no longer has a schedule: it cannot be unpaused" in record.reason
    assert given.world.served() == OLD


# Without memory


@pytest.mark.parametrize("rename", [[], [t.name for t in MIGRATION.tables]])
def test_without_a_stored_cutover_no_kept_table_is_served(rename: list[str]) -> None:
    g = Given(rename=rename)
    cut_over(g)
    before, rows = dict(g.world.names), dict(g.world.rows)
    with pytest.raises(Refused, match=r"NEEDS HUMAN, nothing was written: .*dim_fde"):
        forgotten(g).service.rollback(ERIN, BACK)
    assert (g.world.names, g.world.rows) == (before, rows)


def test_a_backup_is_not_served_for_the_old_table(given: Given) -> None:
    """X is a view over the new side since long, X_old is somebody's backup."""
    given.world.names[X] = Relation(X, "view", "VIEW", owner="cutover-app", over=NEW_X)
    given.world.names[KEPT] = table(KEPT, "id-backup")
    given.world.rows[KEPT] = "backup of last year"
    with pytest.raises(
        Refused, match=r"nothing proves that .*dim_fde_old is the old table .*no cutover of it is stored"
    ):
        given.service.rollback(ERIN, BACK)
    assert given.world.log == []


def test_the_old_table_is_not_renamed_away_because_a_backup_has_the_kept_name() -> None:
    g = Given(rename=[t.name for t in MIGRATION.tables])
    g.world.names[KEPT] = table(KEPT, "id-backup")
    del g.world.names[NEW_X]
    with pytest.raises(Refused, match="which is the old one is not known"):
        g.service.rollback(ERIN, BACK)
    assert g.world.log == []


def test_a_table_that_took_the_kept_name_since_is_not_served(given: Given) -> None:
    cut_over(given)
    given.world.names[KEPT] = table(KEPT, "id-other")
    with pytest.raises(Refused, match="its id differs"):
        given.service.rollback(ERIN, BACK)


def test_a_kept_table_that_shows_no_id_is_not_proven(given: Given) -> None:
    cut_over(given)
    given.world.names[KEPT] = replace(given.world.names[KEPT], table_id=None)
    with pytest.raises(Refused, match="dim_fde_old shows no id"):
        given.service.rollback(ERIN, BACK)


def test_a_view_over_the_kept_table_proves_what_the_name_serves(given: Given) -> None:
    given.world.crash_before("` AS SELECT * FROM `product`.`fde`.`dlt_v2")
    with pytest.raises(Crash):
        given.cut_over()
    assert given.world.served() == OLD and given.world.names[X].kind == "view"
    other = forgotten(given)
    assert other.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert given.world.as_at_start()


def test_a_backup_beside_an_old_table_that_never_moved_hinders_no_rollback(given: Given) -> None:
    cut_over(given)
    last = MIGRATION.tables[-1].baseline
    view = given.world.names[last]
    given.world.names[last] = replace(given.world.names[last + "_old"], name=last)
    given.world.rows[last] = given.world.rows[last + "_old"]
    given.world.names[last + "_old"] = table(last + "_old", "id-backup")
    assert view.kind == "view" and given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert given.world.served() == OLD and given.world.names[last + "_old"].table_id == "id-backup"


# Another migration file


def other_file(**changed: object) -> Migration:
    found = MIGRATION.model_copy(update=changed)
    found.__dict__.pop("digest", None)
    return found


RENAMED = other_file(
    tables=tuple(t.model_copy(update={"candidate": t.candidate.replace("dlt_v2", "v3")}) for t in MIGRATION.tables)
)
REMOVED = other_file(tables=MIGRATION.tables[1:])
MORE = {"name": "more", "baseline": "product.fde.more", "candidate": "product.fde.dlt_v2_more"}
ADDED = other_file(tables=(*MIGRATION.tables, MIGRATION.tables[0].model_copy(update=MORE)))
JOBS = other_file(
    baseline_job=JobRef(name="another", id=None),
    candidate_job=MIGRATION.candidate_job.model_copy(update={"name": "another_v2", "parameters": ()}),
)
FILES = {"a renamed candidate": RENAMED, "a removed table": REMOVED, "an added table": ADDED, "other jobs": JOBS}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("rename", [[], [t.name for t in MIGRATION.tables]])
def test_a_rollback_takes_back_what_was_moved_whatever_the_file_says_now(file: str, rename: list[str]) -> None:
    g = Given(rename=rename)
    cut_over(g)
    service = g.service_with(migration=FILES[file])
    assert service.serving()["dim_fde"] == "candidate"
    made = service.plan(Kind.ROLLBACK, {}, ERIN)
    assert service.apply_here(made, ERIN, made.confirmation).state is State.VERIFIED
    assert all_old(g)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("points", [30, 60, 115])
def test_an_interrupted_cutover_goes_back_whatever_the_file_says_now(file: str, points: int) -> None:
    for way in ("worker", "rollback", "resume"):
        g = Given()
        operation = g.approved()
        g.world.faults.die_at = g.world.faults.points + points
        with pytest.raises(Crash):
            g.service.apply(operation, "worker")
        g.restart()
        service = g.service_with(migration=FILES[file])
        if way == "worker":
            assert service.bring_back(operation, "worker").state is State.UNDONE
            assert all_old(g)
            continue
        if way == "resume":
            record = service.resume(operation, ERIN)
            assert record.state is State.UNDONE and "the migration file changed" in record.reason and all_old(g)
            continue
        made = service.plan(Kind.ROLLBACK, {}, ERIN)
        assert service.apply_here(made, ERIN, made.confirmation).state is State.VERIFIED
        assert all_old(g)
        record = g.store.operations.get(operation)
        assert record is not None and record.state is State.UNDONE


def test_an_interrupted_rollback_goes_on_whatever_the_file_says_now() -> None:
    for file in FILES.values():
        g = Given()
        cut_over(g)
        g.world.faults.die_at = g.world.faults.points + 40
        with pytest.raises(Crash):
            g.service.rollback(ERIN, BACK)
        g.restart()
        (left,) = g.service.left()
        assert g.service_with(migration=file).bring_back(left.id, "worker").state is State.VERIFIED
        assert all_old(g)


def test_the_old_job_must_not_write_to_a_table_that_left_the_file_while_it_is_moved(given: Given) -> None:
    cut_over(given)
    made = given.service_with(migration=REMOVED).plan(Kind.UNPAUSE, {"job": "baseline"}, ERIN)
    assert any(X in g.finding.summary for g in made.blocking)


# A plan that cannot be read


def test_a_rollback_of_a_cutover_whose_plan_cannot_be_read_says_what_the_journal_knows(given: Given) -> None:
    operation = cut_over(given)
    spoiled(given, operation, lambda plan: plan.pop("observation"))
    before = list(given.world.log)
    with pytest.raises(Refused) as e:
        given.service.rollback(ERIN, BACK)
    for text in ("NEEDS HUMAN, nothing was written", operation, "cannot be read", "its journal says last", "(done)"):
        assert text in str(e.value)
    assert given.world.log == before
    assert given.service.plan(Kind.PAUSE, {"job": "candidate"}, ERIN)


def test_steps_that_are_not_known_any_more_hinder_no_rollback(given: Given) -> None:
    operation = cut_over(given)

    def older(plan: dict[str, object]) -> None:
        plan["steps"][0]["step"]["type"] = "SaveEverything"  # type: ignore[index]

    spoiled(given, operation, older)
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED and all_old(given)


@pytest.mark.parametrize("who", ["worker", "person"])
def test_an_interrupted_operation_whose_plan_cannot_be_read_is_for_a_person(given: Given, who: str) -> None:
    operation = given.approved()
    given.world.faults.die_at = given.world.faults.points + 60
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    spoiled(given, operation, lambda plan: plan.pop("observation"))
    before = list(given.world.log)
    record = given.service.bring_back(operation, "worker") if who == "worker" else given.service.resume(operation, ERIN)
    assert record.state is State.NEEDS_HUMAN and record.reason.startswith("NEEDS HUMAN: the stored plan of cutover")
    assert "dim_fde: " in record.reason and "(done)" in record.reason
    assert given.world.log == before and given.service.left() == []
    with pytest.raises(Refused, match="cannot be read"):
        given.service.resume(operation, ERIN)
    # Once a person has put the tables back by hand, a rollback ends it.
    for t in MIGRATION.tables:
        kept = given.world.names.pop(f"{t.baseline}_old", None)
        if kept is not None and kept.kind == "table":
            given.world.names[t.baseline] = replace(kept, name=t.baseline)
            given.world.rows[t.baseline] = given.world.rows.pop(f"{t.baseline}_old")
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    ended = given.store.operations.get(operation)
    assert ended is not None and ended.state is State.UNDONE and all_old(given)
