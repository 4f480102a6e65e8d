"""Groups of the roles, and which source says who holds them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from app.access import Refused, RolesUnseen
from app.config.migration import Role
from app.config.settings import IdentitySource
from app.doctor.model import Finding, missing, ok, unknown, warning
from app.doctor.setup import Setup
from databricks_client.errors import WorkspaceError

SUBJECT = "source of roles"


def find(setup: Setup) -> Iterator[Finding]:
    """Each group once, then the source that answers."""
    roles = setup.migration.roles
    of_group: dict[str, list[Role]] = {}
    for role, groups in roles.groups.items():
        for group in groups:
            of_group.setdefault(group, []).append(role)
    shown = False
    for group, held in of_group.items():
        found, members = _group(setup, group, held)
        shown = shown or members
        yield found
    yield _own(setup) if setup.settings.identity is IdentitySource.TOKEN else _of_others(setup, shown)
    if roles.users is not None:
        for role, names in roles.users.of_roles.items():
            if not names and not roles.groups[role]:
                fix = f"{setup.settings.migration_path}: roles: users: {role}: [NAME]"
                yield missing(f"role {role}", "neither a group nor a user holds it", fix, role is not Role.VIEWER)


def _group(setup: Setup, group: str, held: list[Role]) -> tuple[Finding, bool]:
    """The finding, and whether the workspace shows who is in the group."""
    subject = f"group {group}"
    words = f"holds the role {' and '.join(held)}"
    try:
        found = setup.workspace.identity.group(group)
    except WorkspaceError as e:
        seen = f"{words}; the workspace shows {setup.principal()} no groups" if e.denied else str(e)
        return unknown(subject, seen, required=False), False
    if found is None:
        fix = f"databricks groups create --display-name {shlex.quote(group)}"
        # A role may be held by named users as well: then the group is one of two ways.
        required = setup.migration.roles.users is None
        return missing(subject, f"{words}, and there is none of this name", fix, required), False
    if not found:
        return ok(subject, f"{words}; its members, if any, are not shown to {setup.principal()}"), False
    return ok(subject, f"{words}; it has members"), True


def _of_others(setup: Setup, shown: bool) -> Finding:
    """Which source says what roles the users of the panel have, apart from their own tokens."""
    if shown or "admins" in (setup.me().groups or ()):
        return ok(SUBJECT, f"workspace groups: {setup.principal()} may read who is in which")
    if setup.migration.roles.users is not None:
        return ok(SUBJECT, "migration file, for users whose token is not forwarded")
    return warning(
        SUBJECT, "only the token that the proxy forwards with a user's request: the app's principal may not read who "
        "is in which group, and the migration file names no users; where tokens are not forwarded all are viewers",
        _users(setup),
    )  # fmt: skip


def _own(setup: Setup) -> Finding:
    """The roles of the user whose credentials this process has."""
    who = setup.me().user_name
    try:
        found = setup.roles_of(who)
    except RolesUnseen as e:
        return missing(SUBJECT, str(e), _users(setup))
    except Refused as e:
        return unknown(SUBJECT, str(e))
    held = ", ".join(sorted(found.roles)) or "no role"
    return ok(SUBJECT, f"{found.source}; {who} has {held}")


def _users(setup: Setup) -> str:
    return f"{setup.settings.migration_path}: roles: users: {{operator: [NAME], approver: [NAME]}}"
