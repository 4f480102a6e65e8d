"""Grants that others give or take while a cutover is under way stay so, whichever way leads back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.operations.definition import Kind
from app.operations.grants import union
from app.operations.world import Grant
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, MIGRATION, OLD, Crash, Given

X, KEPT = "product.fde.dim_fde", "product.fde.dim_fde_old"
FLIP = "` AS SELECT * FROM `product`.`fde`.`dlt_v2"
CONSUMERS, NEW_TEAM = "data-consumers", Grant("new-team", ("SELECT",))


def revoke(g: Given, name: str, principal: str = CONSUMERS) -> None:
    found = g.world.names[name]
    g.world.names[name] = replace(found, grants=tuple(x for x in found.grants if x.principal != principal))


def give(g: Given, name: str) -> None:
    found = g.world.names[name]
    g.world.names[name] = replace(found, grants=union(found.grants, (NEW_TEAM,)))


def interrupted_after(g: Given, effect: str) -> str:
    operation = g.approved()
    g.world.crash_after(effect)
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    return operation


WAYS: dict[str, Callable[[Given, str], object]] = {
    "rollback": lambda g, o: g.service.rollback(ERIN, BACK),
    "worker": lambda g, o: g.service.bring_back(o, "worker"),
    "resume": lambda g, o: g.service.resume(o, ERIN),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("effect", [FLIP, "unpause 00_RDS_v2"])
@pytest.mark.parametrize("where", [X, KEPT])
def test_a_revoke_during_an_interrupted_cutover_stays_revoked(given: Given, way: str, effect: str, where: str) -> None:
    operation = interrupted_after(given, effect)
    revoke(given, where)
    WAYS[way](given, operation)
    record = given.store.operations.get(operation)
    assert record is not None and record.state is State.UNDONE, record
    assert given.world.served() == OLD
    held = {x.principal: x.privileges for x in given.world.names[X].grants}
    assert CONSUMERS not in held and held["writers"] == ("MODIFY", "SELECT")
    if way == "worker":
        assert f"{X}: SELECT of {CONSUMERS}, revoked since the cutover, is not restored" in record.reason


@pytest.mark.parametrize("way", ["rollback", "worker"])
@pytest.mark.parametrize("where", [X, KEPT])
def test_a_grant_during_an_interrupted_cutover_stays_granted(given: Given, way: str, where: str) -> None:
    operation = interrupted_after(given, FLIP)
    give(given, where)
    WAYS[way](given, operation)
    assert given.world.served() == OLD
    held = {x.principal: x.privileges for x in given.world.names[X].grants}
    assert held["new-team"] == ("SELECT",) and held[CONSUMERS] == ("SELECT",)


@pytest.mark.parametrize("effect", ["ALTER VIEW", "RENAME TO", "revoke", "pause 00_RDS_v2"])
def test_a_new_rollback_after_an_interrupted_one_gives_nothing_back(given: Given, effect: str) -> None:
    given.cut_over()
    for t in MIGRATION.tables:
        revoke(given, t.baseline)
    given.world.crash_after(effect)
    with pytest.raises(Crash):
        given.service.rollback(ERIN, BACK)
    given.restart()
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert given.world.served() == OLD
    for t in MIGRATION.tables:
        assert CONSUMERS not in {x.principal for x in given.world.names[t.baseline].grants}


def test_a_principal_that_revokes_again_and_again_keeps_no_way_back_from_its_end(given: Given) -> None:
    operation = interrupted_after(given, FLIP)
    for name in (X, KEPT):
        revoke(given, name)
    given.world.after("grant ", lambda: [revoke(given, n) for n in (X, KEPT) if n in given.world.names])
    record = given.service.bring_back(operation, "worker")
    assert record.state is State.UNDONE, record.reason


def test_what_was_revoked_on_a_renamed_table_is_revoked_on_the_old_one() -> None:
    given = Given(rename=[t.name for t in MIGRATION.tables])
    given.cut_over()
    revoke(given, X)
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert f"{X}: SELECT of {CONSUMERS}, revoked since the cutover, is not restored" in made.notes
    assert given.service.apply_here(made, ERIN, BACK).state is State.VERIFIED
    assert CONSUMERS not in {x.principal for x in given.world.names[X].grants}


def test_nothing_is_taken_from_a_table_whose_cutover_failed(given: Given) -> None:
    operation = given.approved()
    given.world.fail("ALTER VIEW", WorkspaceError("alter", "no", status=400))
    start = dict(given.world.names)
    assert given.service.apply(operation, "worker").state is State.UNDONE
    assert given.world.names[X].grants == start[X].grants
