"""Permissions API 2.0: who may view, run and manage jobs, pipelines, warehouses, apps and the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from databricks.sdk.service import iam as sdk

from emulator import access
from emulator.records import Json
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, number_of, route

KINDS = {"user_name": "user", "group_name": "group", "service_principal_name": "service_principal"}
FIELD = {kind: field for field, kind in KINDS.items()}
PATH = "/api/2.0/permissions/{type}/{id}"


def the_object(call: Call, level: str) -> tuple[str, str]:
    """(type, id) of the object in the path, which must exist and be readable with this level."""
    kind, id = call.params["type"], call.params["id"]
    state = call.workspace.state
    kind = {"sql": "warehouses"}.get(kind, kind)
    if kind not in access.LEVELS:
        raise not_implemented(f"permissions of {kind}")
    number = number_of(id)
    if kind in access.TREE.values():
        found = None if number is None else state.object_by_id(number)
        exists = found is not None and access.TREE[found.object_type] == kind
    elif kind == "jobs":
        exists = number is not None and state.job(number) is not None
    elif kind == "pipelines":
        exists = state.pipeline(id) is not None
    elif kind == "warehouses":
        exists = state.warehouse(id) is not None
    else:
        exists = state.record("app", id) is not None
    if not exists:
        name = access.SINGULAR.get(kind, kind.removesuffix("s").capitalize())
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"{name} {id} does not exist.")
    access.demand(call.workspace.state, call.principal, kind, id, level)
    return kind, id


def document(call: Call, kind: str, id: str) -> Json:
    held: dict[tuple[str, str], list[Json]] = {}
    for entry in access.entries(call.workspace.state, kind, id):
        if call.workspace.state.principal_named(entry.name, entry.kind) is not None:
            held.setdefault((entry.kind, entry.name), []).append(permission(entry))
    root = f"/{kind}/" if kind != "warehouses" else "/sql/warehouses/"
    held.setdefault(("group", "admins"), []).append(
        {"permission_level": "CAN_MANAGE", "inherited": True, "inherited_from_object": [root]}
    )
    entries: list[Json] = []
    for (principal_kind, name), levels in sorted(held.items()):
        found = call.workspace.state.principal_named(name, principal_kind)
        entries.append(
            {
                FIELD[principal_kind]: name,
                "display_name": found.display_name if found else None,
                "all_permissions": levels,
            }
        )
    answer: Json = {
        "object_id": f"/{'sql/' if kind == 'warehouses' else ''}{kind}/{id}",
        "object_type": kind.removesuffix("s") if kind != "directories" else "directory",
        "access_control_list": [{k: v for k, v in e.items() if v is not None} for e in entries],
    }
    return answer


def permission(entry: access.Entry) -> Json:
    if entry.source is None:
        return {"permission_level": entry.level, "inherited": False}
    source = f"/{access.TREE[entry.source.object_type]}/{entry.source.object_id}"
    return {"permission_level": entry.level, "inherited": True, "inherited_from_object": [source]}


def apply_access_list(call: Call, kind: str, id: str, requests: Sequence[Mapping[str, Any]], *, replace: bool) -> None:
    """Sets or adds direct permissions. A replaced list keeps its owner if it names none."""
    state = call.workspace.state
    levels = access.LEVELS[kind]
    entries = {} if replace else dict(state.permissions(kind, id))
    for request in requests:
        names = [(KINDS[f], request[f]) for f in KINDS if request.get(f)]
        if len(names) != 1:
            raise bad("Each access control entry must name exactly one user, group or service principal.")
        principal_kind, name = names[0]
        level = request.get("permission_level")
        if level not in levels:
            raise bad(f"Permission level {level} is not valid for {kind}; valid: {', '.join(levels)}.")
        if state.principal_named(name, principal_kind) is None:
            raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"Principal: {principal_kind}({name}) does not exist.")
        if (principal_kind, name) == ("group", "admins") and level != "CAN_MANAGE":
            raise bad("The permissions of the group 'admins' cannot be lowered.")
        if level == "IS_OWNER":
            if principal_kind == "group":
                raise bad("A group cannot be the owner.")
            entries = {k: v for k, v in entries.items() if v != "IS_OWNER"}
        entries[(principal_kind, name)] = level
    owners = [k for k, v in entries.items() if v == "IS_OWNER"]
    if len(owners) > 1:
        raise bad(f"The {kind.removesuffix('s')} must have exactly one owner.")
    if "IS_OWNER" in levels and not owners:
        old = [(k, v) for k, v in state.permissions(kind, id).items() if v == "IS_OWNER"]
        if kind in ("jobs", "pipelines") and not old:
            raise bad(f"The {kind.removesuffix('s')} must have exactly one owner.")
        entries.update(dict(old))
    state.set_permissions(kind, id, entries)


@route("GET", PATH, sdk.PermissionsAPI.get)
def get_permissions(call: Call) -> Json:
    return document(call, *the_object(call, "CAN_MANAGE"))


@route("PUT", PATH, sdk.PermissionsAPI.set)
def set_permissions(call: Call) -> Json:
    kind, id = the_object(call, "CAN_MANAGE")
    apply_access_list(call, kind, id, call.body.get("access_control_list") or [], replace=True)
    return document(call, kind, id)


@route("PATCH", PATH, sdk.PermissionsAPI.update)
def update_permissions(call: Call) -> Json:
    kind, id = the_object(call, "CAN_MANAGE")
    apply_access_list(call, kind, id, call.body.get("access_control_list") or [], replace=False)
    return document(call, kind, id)


@route("GET", PATH + "/permissionLevels", sdk.PermissionsAPI.get_permission_levels)
def levels(call: Call) -> Json:
    kind, _ = the_object(call, access.LEVELS.get(call.params["type"], ("CAN_VIEW",))[0])
    return {
        "permission_levels": [
            {"permission_level": level, "description": access.DESCRIPTIONS[level]} for level in access.LEVELS[kind]
        ]
    }
