"""Sets of grants: union, intersection and difference, privilege by privilege."""

from __future__ import annotations

from app.operations.world import Grant


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
