"""SCIM 2.0: the current user, users, groups, service principals; and personal access tokens."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from databricks.sdk.service import iam as sdk
from databricks.sdk.service import settings as sdk_settings

from emulator.records import Json, Principal
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, number_of, route

SCIM = "/api/2.0/preview/scim/v2"
AREA = {"user": "Users", "group": "Groups", "service_principal": "ServicePrincipals"}
NAME_FIELD = {"user": "userName", "group": "displayName", "service_principal": "applicationId"}
SCHEMA = {
    "user": "urn:ietf:params:scim:schemas:core:2.0:User",
    "group": "urn:ietf:params:scim:schemas:core:2.0:Group",
    "service_principal": "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
}


SEEN_BY_ALL = ("id", "displayName", "userName", "applicationId", "schemas")
"""What a caller who is no administrator gets of others: names and ids, neither groups nor members nor state."""


def document(call: Call, who: Principal) -> Json:
    """A user, group or service principal as SCIM shows it to the caller; everybody sees all of themselves, by /Me."""
    found = own_document(call, who)
    return found if call.principal.admin else {k: v for k, v in found.items() if k in SEEN_BY_ALL}


def own_document(call: Call, who: Principal) -> Json:
    """A user, group or service principal as SCIM shows it to administrators."""
    state = call.workspace.state
    groups = [
        {"display": g.name, "value": str(g.id), "type": "direct", "$ref": f"Groups/{g.id}"}
        for g in state.parents(who.id)
    ]
    document: Json = {
        "id": str(who.id),
        "displayName": who.display_name,
        "schemas": [SCHEMA[who.kind]],
        "groups": groups,
    }
    if who.external_id:
        document["externalId"] = who.external_id
    if who.kind == "user":
        first, _, last = who.display_name.partition(" ")
        document |= {
            "userName": who.name,
            "active": who.active,
            "name": {"givenName": first, "familyName": last},
            "emails": [{"value": who.name, "type": "work", "primary": True}],
        }
    elif who.kind == "service_principal":
        document |= {"applicationId": who.name, "active": who.active}
    else:
        document["members"] = [
            {"display": m.display_name, "value": str(m.id), "$ref": f"{AREA[m.kind]}/{m.id}"}
            for m in state.members(who.id)
        ]
        document["meta"] = {"resourceType": "WorkspaceGroup"}
    return {k: v for k, v in document.items() if v != []}


# SCIM's names are not those of the SDK's parameters, and other attributes than these are let pass.
FIELDS = {
    "userName": str,
    "displayName": str,
    "applicationId": str,
    "externalId": str,
    "members": list[dict[str, Any]],
    "Operations": list[dict[str, Any]],
}


def admin_only(call: Call) -> None:
    if not call.principal.admin:
        raise ServiceError("PERMISSION_DENIED", "Only workspace administrators can perform this operation.")


@route("GET", f"{SCIM}/Me", sdk.CurrentUserAPI.me)
def me(call: Call) -> Json:
    """A service principal is told its application id as its user name, as clients expect one of everybody here."""
    found = own_document(call, call.principal)
    return found if "userName" in found else {**found, "userName": call.principal.name}


def register(kind: str, api: Any) -> None:
    """The five calls that users, groups and service principals share."""
    path = f"{SCIM}/{AREA[kind]}"

    def the_one(call: Call) -> Principal:
        id = call.params["id"]
        number = number_of(id)
        found = None if number is None else call.workspace.state.principal(number)
        if found is None or found.kind != kind:
            raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"{AREA[kind].removesuffix('s')} with id {id} not found.")
        return found

    @route("GET", path, api.list, query=("startIndex", "sortBy", "sortOrder", "excludedAttributes"))
    def list_all(call: Call) -> Json:
        found = [p for p in call.workspace.state.principals(kind) if matches(call, kind, p)]
        start = max((call.int("startIndex") or call.int("start_index") or 1) - 1, 0)
        count = max(call.int("count", 100) or 0, 0)
        page = found[start : start + count]
        return {
            "totalResults": len(found),
            "startIndex": start + 1,
            "itemsPerPage": len(page),
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "Resources": [document(call, p) for p in page],
        }

    @route("POST", path, body=FIELDS)
    def create(call: Call) -> Json:
        admin_only(call)
        name = call.need(NAME_FIELD[kind]) if kind != "service_principal" else service_id(call)
        display = call.text("displayName") or name
        with call.workspace.state.transaction():
            if call.workspace.state.principal_named(name, kind):
                word = kind.replace("_", " ").capitalize()
                raise ServiceError("RESOURCE_ALREADY_EXISTS", f"{word} {name} already exists.", status=409)
            made = call.workspace.state.create_principal(kind, name, display, call.body.get("externalId"))
            if kind == "group":
                add_members(call, made, call.body.get("members") or [])
        return document(call, the_principal(call, made.id))

    @route("GET", path + "/{id}", api.get)
    def get(call: Call) -> Json:
        return document(call, the_one(call))

    @route("PATCH", path + "/{id}", body=FIELDS)
    def patch(call: Call) -> Json:
        admin_only(call)
        who = the_one(call)
        with call.workspace.state.transaction():
            for operation in call.body.get("Operations") or []:
                apply(call, who, operation)
        return document(call, the_principal(call, who.id))

    @route("DELETE", path + "/{id}", api.delete)
    def delete(call: Call) -> Json:
        admin_only(call)
        call.workspace.state.delete_principal(the_one(call).id)
        return {}


def service_id(call: Call) -> str:
    return call.text("applicationId") or str(uuid.uuid4())


def the_principal(call: Call, id: int) -> Principal:
    found = call.workspace.state.principal(id)
    if found is None:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"Principal {id} not found.")
    return found


def add_members(call: Call, group: Principal, members: Any) -> None:
    for id in member_ids(members):
        if call.workspace.state.principal(id) is None:
            raise bad(f"Member {id} does not exist.")
        call.workspace.state.add_member(group.id, id)


def member_ids(members: Any) -> list[int]:
    """The principals that a list of SCIM members names. Raises INVALID_PARAMETER_VALUE for what is no such list."""
    found = []
    for member in members if isinstance(members, list) else [members]:
        value = member.get("value") if isinstance(member, dict) else None
        number = number_of(value) if isinstance(value, str) else None
        if number is None:
            raise bad('Members must be a list of objects like {"value": "<id of a user, service principal or group>"}.')
        found.append(number)
    return found


def apply(call: Call, who: Principal, operation: Json) -> None:
    """One patch operation: members of a group, display name, active; without a path, of each attribute in its value."""
    op, path, value = str(operation.get("op", "")).lower(), str(operation.get("path") or ""), operation.get("value")
    if isinstance(value, dict) and not path:
        for key, item in value.items():
            apply_one(call, who, op, key, item)
    else:
        apply_one(call, who, op, path, value)


def apply_one(call: Call, who: Principal, op: str, path: str, value: Any) -> None:
    state = call.workspace.state
    if path == "members" and who.kind == "group" and op == "add":
        add_members(call, who, value)
    elif who.kind == "group" and op == "remove" and path.startswith("members"):
        named = re.fullmatch(r'members\[value eq "([^"]*)"\]', path)
        for id in member_ids([{"value": named[1]}] if named else value):
            state.remove_member(who.id, id)
    elif path == "displayName" and op in ("add", "replace"):
        if not isinstance(value, str):
            raise bad("displayName must be a string.")
        state.update_principal(who.id, display_name=value)
    elif path == "active" and op in ("add", "replace"):
        state.update_principal(who.id, active=value in (True, "true", "True"))
    else:
        raise not_implemented(f"SCIM patch {op} of '{path}'")


def matches(call: Call, kind: str, who: Principal) -> bool:
    text = call.text("filter").strip()
    if not text:
        return True
    found = re.fullmatch(r"""(\w+)\s+(eq|sw|co)\s+["']?([^"']*)["']?""", text, re.I)
    if not found:
        raise bad(f"Filter is not valid: {text}")
    field, op, value = found[1], found[2].lower(), found[3].casefold()
    fields: dict[str, str] = {NAME_FIELD[kind]: who.name, "displayName": who.display_name, "id": str(who.id)}
    if field not in fields:
        raise bad(f"Filter attribute {field} is not supported for {AREA[kind]}.")
    have = fields[field].casefold()
    tests: dict[str, Callable[[str, str], bool]] = {
        "eq": lambda a, b: a == b,
        "sw": lambda a, b: a.startswith(b),
        "co": lambda a, b: b in a,
    }
    return tests[op](have, value)


register("user", sdk.UsersV2API)
register("group", sdk.GroupsV2API)
register("service_principal", sdk.ServicePrincipalsV2API)


# -- tokens --------------------------------------------------------------------------------------------------------

LONGEST_LIFETIME = 100 * 365 * 24 * 3600
"""Seconds: longer than any token is kept, short enough for its end to be a time."""


@route("POST", "/api/2.0/token/create", sdk_settings.TokensAPI.create)
def create_token(call: Call) -> Json:
    lifetime = call.int("lifetime_seconds")
    if lifetime is not None and not 0 < lifetime <= LONGEST_LIFETIME:
        raise bad(f"lifetime_seconds must be positive and at most {LONGEST_LIFETIME}.")
    token = call.workspace.state.create_token(call.principal.id, call.text("comment"), lifetime)
    info = token_info(token.token_id, token.comment, token.created_ms, token.expires_ms)
    return {"token_value": token.secret, "token_info": info}


def token_info(id: str, comment: str, created: int, expires: int | None) -> Json:
    return {"token_id": id, "comment": comment, "creation_time": created, "expiry_time": expires or -1}


@route("GET", "/api/2.0/token/list", sdk_settings.TokensAPI.list)
def list_tokens(call: Call) -> Json:
    tokens = call.workspace.state.tokens(call.principal.id)
    return {"token_infos": [token_info(t.token_id, t.comment, t.created_ms, t.expires_ms) for t in tokens]}


@route("POST", "/api/2.0/token/delete", sdk_settings.TokensAPI.delete)
def delete_token(call: Call) -> Json:
    token_id = call.need("token_id")
    if token_id not in {t.token_id for t in call.workspace.state.tokens(call.principal.id)}:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"Token with ID {token_id} does not exist.")
    call.workspace.state.delete_token(token_id)
    return {}
