"""Who may do what with jobs, pipelines, warehouses and the tree: permission levels, as the permissions API has them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.catalog import ACCOUNT_USERS
from emulator.records import Principal, WorkspaceObject
from emulator.rest.errors import ServiceError
from emulator.state import State

# Levels of each kind of object, weakest first. An owner may do all that a manager may.
LEVELS: dict[str, tuple[str, ...]] = {
    "jobs": ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"),
    "pipelines": ("CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"),
    "warehouses": ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"),
    "notebooks": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "directories": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "files": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "repos": ("CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"),
    "apps": ("CAN_USE", "CAN_MANAGE"),
}
DESCRIPTIONS = {
    "CAN_VIEW": "Can view",
    "CAN_MANAGE_RUN": "Can manage runs",
    "CAN_RUN": "Can run",
    "CAN_MONITOR": "Can monitor",
    "CAN_USE": "Can use",
    "CAN_READ": "Can read",
    "CAN_EDIT": "Can edit",
    "CAN_MANAGE": "Can manage",
    "IS_OWNER": "Is owner",
}
SINGULAR = {"jobs": "Job", "pipelines": "Pipeline", "warehouses": "Warehouse", "apps": "App"}
TREE = {"NOTEBOOK": "notebooks", "DIRECTORY": "directories", "FILE": "files", "REPO": "repos"}
"""Kinds of objects of the tree, as the permissions API calls them."""
SHARED, HOMES = "/Shared", ("/Users", "/Repos")
EVERYBODYS = ("/", SHARED, *HOMES)
"""Folders that every workspace has and everybody knows of."""


@dataclass(frozen=True)
class Entry:
    """One permission. kind: of the principal `name`; source: the folder that it is inherited from, None for its own."""

    kind: str
    name: str
    level: str
    source: WorkspaceObject | None = None

    def reaches(self, principal: Principal) -> bool:
        if self.kind == "group":
            return self.name in principal.names
        return self.kind == principal.kind and self.name == principal.name


def entries(state: State, object_type: str, object_id: str) -> Iterator[Entry]:
    """Every permission on an object; one of the tree has its folders' too."""
    if object_type in TREE.values():
        item = state.object_by_id(int(object_id))
        if item is not None:
            yield from entries_in_tree(state, item.path)
        return
    for (kind, name), level in state.permissions(object_type, object_id).items():
        yield Entry(kind, name, level)


def entries_in_tree(state: State, path: str) -> Iterator[Entry]:
    """Every permission on what lies, or is to lie, at a path: its own, and those of the folders above it."""
    step = path
    while True:
        item = state.object(step)
        source = item if step != path else None
        for (kind, name), level in standing(step):
            yield Entry(kind, name, level, source)
        if item is not None:
            for (kind, name), level in state.permissions(TREE[item.object_type], str(item.object_id)).items():
                yield Entry(kind, name, level, source)
        if step == "/":
            return
        step = posixpath.dirname(step)


def standing(folder: str) -> list[tuple[tuple[str, str], str]]:
    """Permissions that the service itself gives on a folder: everybody's on /Shared, and each one's on their home."""
    if folder == SHARED:
        return [(("group", "users"), "CAN_MANAGE")]
    parent, name = posixpath.split(folder)
    return [((kind, name), "CAN_MANAGE") for kind in ("user", "service_principal") if parent in HOMES]


def level_of(state: State, principal: Principal, object_type: str, object_id: str) -> str | None:
    """The strongest level that this principal has on the object, by itself or a group; None for none."""
    return strongest(principal, LEVELS[object_type], entries(state, object_type, object_id))


def strongest(principal: Principal, order: tuple[str, ...], found: Iterator[Entry]) -> str | None:
    if principal.admin:
        return order[-1]
    best = max((order.index(e.level) for e in found if e.reaches(principal)), default=-1)
    return order[best] if best >= 0 else None


def allowed(state: State, principal: Principal, object_type: str, object_id: str, needed: str) -> bool:
    """Whether the principal has at least this level."""
    level = level_of(state, principal, object_type, object_id)
    order = LEVELS[object_type]
    return level is not None and order.index(level) >= order.index(needed)


def demand(state: State, principal: Principal, object_type: str, object_id: str, needed: str) -> None:
    """Raises PERMISSION_DENIED without at least this level."""
    if not allowed(state, principal, object_type, object_id, needed):
        verb = DESCRIPTIONS[needed].lower().removeprefix("can ")
        name = SINGULAR.get(object_type, object_type)
        raise ServiceError(
            "PERMISSION_DENIED",
            f"User {principal.name} does not have {needed} permissions on {name.lower()} {object_id} "
            f"(needed to {verb}).",
        )


def demand_warehouse(state: State, principal: Principal, warehouse_id: str) -> None:
    """Raises RESOURCE_DOES_NOT_EXIST or PERMISSION_DENIED where no SQL may be sent, by REST or by Thrift."""
    if state.warehouse(warehouse_id) is None:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {warehouse_id} does not exist.")
    demand(state, principal, "warehouses", warehouse_id, "CAN_USE")


def allowed_in_tree(state: State, principal: Principal, path: str, needed: str) -> bool:
    """Whether the principal has at least this level at a path, whether or not anything lies there."""
    order = LEVELS["directories"]
    level = strongest(principal, order, entries_in_tree(state, path))
    return level is not None and order.index(level) >= order.index(needed)


def demand_in_tree(state: State, principal: Principal, path: str, needed: str) -> None:
    """Raises PERMISSION_DENIED without at least this level at a path."""
    if not allowed_in_tree(state, principal, path, needed):
        word = {"CAN_READ": "View", "CAN_EDIT": "Edit", "CAN_MANAGE": "Manage"}[needed]
        raise ServiceError(
            "PERMISSION_DENIED",
            f"{principal.name} does not have {word} permissions on {path}. "
            "Please contact the owner or an administrator for access.",
        )


def demand_source(state: State, name: str, path: str) -> None:
    """Raises PERMISSION_DENIED unless who a run acts as, by name, may read the notebook or file at `path`."""
    principal = state.principal_named(name)
    if principal is None or not allowed_in_tree(state, principal, path, "CAN_READ"):
        raise ServiceError(
            "PERMISSION_DENIED",
            f'Unable to access the notebook "{path}". Either it does not exist, or the identity used to run '
            f"this job, {name}, lacks the required permissions.",
        )


def owner_of(state: State, object_type: str, object_id: str) -> str | None:
    """Name of the object's owner."""
    for (_, name), level in state.permissions(object_type, object_id).items():
        if level == "IS_OWNER":
            return name
    return None


def first_owner(state: State, object_type: str, object_id: str, creator: str) -> None:
    """Makes the creator of a new object its owner."""
    found = state.principal_named(creator)
    kind = found.kind if found and found.kind != "group" else "user"
    state.set_permissions(object_type, object_id, {(kind, creator): "IS_OWNER"})


def may_be_granted(state: State, name: str) -> bool:
    """Whether Unity Catalog knows such a principal: a user, service principal, group, or all of the account."""
    return name == ACCOUNT_USERS or state.principal_named(name) is not None


def may_be_granted_in(data: Path, name: str) -> bool:
    """As `may_be_granted`, of the workspace kept in a folder: notebooks grant from processes of their own."""
    state = State(data / "workspace.db")
    try:
        return may_be_granted(state, name)
    finally:
        state.close()
