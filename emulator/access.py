"""Who may do what with jobs, pipelines, warehouses and the tree: permission levels, as the permissions API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.rest.errors import ServiceError
from emulator.state import Principal

if TYPE_CHECKING:
    from emulator.workspace import Workspace

# Levels of each kind of object, weakest first. An owner may do all that a manager may.
LEVELS: dict[str, tuple[str, ...]] = {
    "jobs": ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"),
    "pipelines": ("CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"),
    "warehouses": ("CAN_VIEW", "CAN_MONITOR", "CAN_USE", "CAN_MANAGE", "IS_OWNER"),
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


def level_of(workspace: Workspace, principal: Principal, object_type: str, object_id: str) -> str | None:
    """The strongest level that this principal has on the object, by itself or a group; None for none."""
    order = LEVELS[object_type]
    if principal.admin:
        return order[-1]
    best = -1
    for (kind, name), level in workspace.state.permissions(object_type, object_id).items():
        mine = name in principal.names if kind == "group" else (kind == principal.kind and name == principal.name)
        if mine:
            best = max(best, order.index(level))
    return order[best] if best >= 0 else None


def allowed(workspace: Workspace, principal: Principal, object_type: str, object_id: str, needed: str) -> bool:
    """Whether the principal has at least this level."""
    level = level_of(workspace, principal, object_type, object_id)
    order = LEVELS[object_type]
    return level is not None and order.index(level) >= order.index(needed)


def demand(workspace: Workspace, principal: Principal, object_type: str, object_id: str, needed: str) -> None:
    """Raises PERMISSION_DENIED without at least this level."""
    if not allowed(workspace, principal, object_type, object_id, needed):
        verb = DESCRIPTIONS[needed].lower().removeprefix("can ")
        name = SINGULAR.get(object_type, object_type)
        raise ServiceError(
            "PERMISSION_DENIED",
            f"User {principal.name} does not have {needed} permissions on {name.lower()} {object_id} "
            f"(needed to {verb}).",
        )


def owner_of(workspace: Workspace, object_type: str, object_id: str) -> str | None:
    """Name of the object's owner."""
    for (_, name), level in workspace.state.permissions(object_type, object_id).items():
        if level == "IS_OWNER":
            return name
    return None


def first_owner(workspace: Workspace, object_type: str, object_id: str, creator: str) -> None:
    """Makes the creator of a new object its owner."""
    found = workspace.state.principal_named(creator)
    kind = found.kind if found and found.kind != "group" else "user"
    workspace.state.set_permissions(object_type, object_id, {(kind, creator): "IS_OWNER"})
