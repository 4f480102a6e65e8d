"""Sets of grants: union, intersection and difference, privilege by privilege; and what a view carries of them."""

from __future__ import annotations

from collections.abc import Iterable

from app.operations.world import Grant, Relation

VIEW_PRIVILEGES = frozenset({"SELECT", "ALL_PRIVILEGES", "MANAGE", "APPLY_TAG"})
"""What can be granted on a view; MODIFY cannot, and its holder writes to the old table, which keeps its grants."""


def union(a: tuple[Grant, ...], b: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """All privileges of both, one entry a principal, sorted."""
    found: dict[str, set[str]] = {}
    for grant in (*a, *b):
        found.setdefault(grant.principal, set()).update(grant.privileges)
    return tuple(Grant(p, tuple(sorted(found[p]))) for p in sorted(found))


def common(a: tuple[Grant, ...], b: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """What both hold, privilege by privilege."""
    other = {g.principal: set(g.privileges) for g in b}
    found = ((g.principal, tuple(p for p in g.privileges if p in other.get(g.principal, ()))) for g in a)
    return tuple(Grant(principal, privileges) for principal, privileges in found if privileges)


def without(a: tuple[Grant, ...], b: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """What `a` holds and `b` does not, privilege by privilege."""
    other = {g.principal: set(g.privileges) for g in b}
    found = ((g.principal, tuple(p for p in g.privileges if p not in other.get(g.principal, ()))) for g in a)
    return tuple(Grant(principal, privileges) for principal, privileges in found if privileges)


def lacking(has: tuple[Grant, ...], wanted: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """What of `wanted` is not in `has`. ALL PRIVILEGES holds every other one but MANAGE."""
    held = {g.principal: set(g.privileges) for g in has}
    missing: list[Grant] = []
    for grant in wanted:
        mine = held.get(grant.principal, set())
        gone = tuple(p for p in grant.privileges if p not in mine and (p == "MANAGE" or "ALL_PRIVILEGES" not in mine))
        if gone:
            missing.append(Grant(grant.principal, gone))
    return tuple(missing)


def carried(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """The part of the grants that a view can carry."""
    kept = ((g.principal, tuple(p for p in g.privileges if p in VIEW_PRIVILEGES)) for g in grants)
    return tuple(Grant(principal, privileges) for principal, privileges in kept if privileges)


def on_view(old: Relation) -> tuple[Grant, ...]:
    """What a view in a table's place is granted: what it can carry of the table's grants, and SELECT to the owner, who
    needed no grant to read the table."""
    return with_owner(carried(old.grants), old, ("SELECT",))


def on_successor(old: Relation, new: Relation) -> tuple[Grant, ...]:
    """What a table that takes another's name is granted: the other's grants, and to its owner, who needed none, what
    gives access to rows."""
    return old.grants if old.owner == new.owner else with_owner(old.grants, old, ("MODIFY", "SELECT"))


def with_owner(grants: tuple[Grant, ...], old: Relation, privileges: tuple[str, ...]) -> tuple[Grant, ...]:
    """The grants, and these privileges for the owner of `old` where the grants do not hold them."""
    more = lacking(grants, (Grant(old.owner, privileges),)) if old.owner else ()
    return union(grants, more) if more else grants


def not_carried(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """The part of the grants that a view cannot carry."""
    lost = ((g.principal, tuple(p for p in g.privileges if p not in VIEW_PRIVILEGES)) for g in grants)
    return tuple(Grant(principal, privileges) for principal, privileges in lost if privileges)
