"""Sets of grants, privilege by privilege, and what a view carries of them."""

from __future__ import annotations

from app.operations.grants import carried, common, lacking, not_carried, on_successor, on_view, union, without
from app.operations.world import Grant, Relation

A = Grant("a", ("MODIFY", "SELECT"))


def old(*grants: Grant, owner: str = "o") -> Relation:
    return Relation("c.s.x", "table", "MANAGED", owner=owner, grants=grants)


def test_all_privileges_hold_every_other_one_but_manage() -> None:
    everything = (Grant("a", ("ALL_PRIVILEGES",)),)
    assert lacking(everything, (Grant("a", ("SELECT", "MODIFY")),)) == ()
    assert lacking(everything, (Grant("a", ("SELECT", "MANAGE")),)) == (Grant("a", ("MANAGE",)),)
    assert lacking((Grant("b", ("ALL_PRIVILEGES",)),), (A,)) == (A,)


def test_sets_are_of_privileges_and_not_of_grants() -> None:
    read = (Grant("a", ("SELECT",)),)
    assert union(read, (A,)) == (A,)
    assert common((A,), read) == read
    assert without((A,), read) == (Grant("a", ("MODIFY",)),)
    assert lacking(read, (A,)) == (Grant("a", ("MODIFY",)),)


def test_a_view_carries_what_can_be_granted_on_it_and_the_owner_reads_it() -> None:
    assert carried((A, Grant("b", ("MODIFY",)))) == (Grant("a", ("SELECT",)),)
    assert not_carried((A,)) == (Grant("a", ("MODIFY",)),)
    assert on_view(old(A)) == (Grant("a", ("SELECT",)), Grant("o", ("SELECT",)))
    assert on_view(old(Grant("o", ("ALL_PRIVILEGES",)))) == (Grant("o", ("ALL_PRIVILEGES",)),)


def test_a_successor_gives_the_old_owner_access_unless_it_has_the_same() -> None:
    assert on_successor(old(A), old(owner="o")) == (A,)
    assert on_successor(old(A), old(owner="p")) == (A, Grant("o", ("MODIFY", "SELECT")))
