"""What a step makes of the relations, as a pure function: a plan's way back is proven before the way forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.operations.steps import (
    CreateView,
    DropView,
    FlipView,
    Grant,
    RenameBack,
    RenameTable,
    RestoreGrants,
    RevokeGrants,
    Step,
)
from app.operations.world import Relation


def absent(name: str) -> Relation:
    """A name that nothing has."""
    return Relation(name, "absent")


def after(relations: Mapping[str, Relation], step: Step) -> dict[str, Relation]:
    """The relations once the step is done. Raises ValueError where the step could not be done."""
    world = dict(relations)
    match step:
        case RenameTable(source, target) | RenameBack(source, target):
            if world[source].kind != "table" or world[target].kind != "absent":
                raise ValueError(f"{source} cannot be renamed to {target}")
            world[target] = replace(world[source], name=target)
            world[source] = absent(source)
        case CreateView(view, over):
            if world[view].kind != "absent" or world[over].kind == "absent":
                raise ValueError(f"view {view} over {over} cannot be created")
            world[view] = Relation(view, "view", "VIEW", over=over, columns=world[over].columns)
        case FlipView(view, source, target):
            if world[view].over != source or world[target].kind == "absent":
                raise ValueError(f"{view} cannot be flipped to {target}")
            world[view] = replace(world[view], over=target, columns=world[target].columns)
        case DropView(view, over):
            if world[view].kind != "view" or world[view].over != over:
                raise ValueError(f"{view} is no view over {over}")
            world[view] = absent(view)
        case RestoreGrants(relation, grants):
            world[relation] = replace(world[relation], grants=union(world[relation].grants, grants))
        case RevokeGrants(relation, grants):
            world[relation] = replace(world[relation], grants=lacking(grants, world[relation].grants))
        case _:
            pass
    return world


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
