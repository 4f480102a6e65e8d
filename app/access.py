"""Who acts, which role an action needs, and the audit record of every refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.config.migration import Role
    from app.store.audit import AuditRepository

RolesOf = Callable[[str], "RolesFound"]
"""Looks up a user's roles now. Raises if it cannot: then nothing is allowed."""

SUBJECT_LIMIT = 200
"""Characters of a subject that the audit log keeps."""


@dataclass(frozen=True)
class Actor:
    """A person or service principal. roles: those seen at sign-in; every action looks them up again.

    source: where the name comes from: `proxy` (headers of Databricks Apps), `persona` (chosen locally), `token`.
    local: true if the record must say that a persona was chosen on a local workspace.
    """

    user_name: str
    roles: frozenset[Role]
    source: str
    local: bool = False


class RoleSource(StrEnum):
    """Where a user's roles come from, in the order in which the sources are read."""

    OWN_GROUPS = "own groups"
    WORKSPACE_GROUPS = "workspace groups"
    MIGRATION_FILE = "migration file"


@dataclass(frozen=True)
class RolesFound:
    """A user's roles, and the source that they come from."""

    roles: frozenset[Role]
    source: RoleSource


@dataclass(frozen=True)
class SignedIn:
    """The user of one request, and the token that the proxy forwarded with it; None where it forwards none.

    It belongs to that request: nothing that another request reads keeps it.
    """

    user: str
    token: str | None = field(repr=False)


class Refused(Exception):
    """The action is not allowed now; the text says why and what to do. Every refusal is in the audit log."""


class RolesUnknown(Refused):
    """The action needs a role, and the user's roles cannot be looked up now."""


class RolesUnseen(RolesUnknown):
    """No source that this process may read says which roles the user has; others may: the user's own token does."""


def same_person(a: str, b: str) -> bool:
    """Whether two user names are one person's: e-mail addresses differ in case by accident only."""
    return a.strip().casefold() == b.strip().casefold()


def require(user: str, role: Role, roles_of: RolesOf, what: str) -> RolesFound:
    """Looks the user's roles up now and gives them. Raises Refused if the role is missing, RolesUnknown if it cannot be
    looked up, RolesUnseen if no source says."""
    try:
        found = roles_of(user)
    except RolesUnseen as e:
        raise RolesUnseen(f"{what} needs the role {role}, and {e}") from e
    except Refused as e:
        raise RolesUnknown(f"{what} needs the role {role}, and {e}") from e
    except Exception as e:
        raise RolesUnknown(
            f"{what} needs the role {role}, and the roles of {user} cannot be looked up: {' '.join(str(e).split())}"
        ) from e
    if role not in found.roles:
        has = ", ".join(sorted(found.roles)) or "none"
        raise Refused(f"{what} needs the role {role}; {user} has {has}, by {found.source}")
    return found


@dataclass(frozen=True)
class Access:
    """Authorizes actions outside the operation engine, which keeps its own records with a plan's hash."""

    audit: AuditRepository
    roles_of: RolesOf

    def record(
        self,
        actor: Actor,
        action: str,
        outcome: str,
        subject: str,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends one audit record. Raises StoreError where it cannot: then the action must not happen."""
        self.audit.append(
            actor=actor.user_name,
            source=actor.source,
            local=actor.local,
            action=action,
            outcome=outcome,
            subject=subject[:SUBJECT_LIMIT],
            reason=reason,
            detail=detail,
        )

    def refuse(self, actor: Actor, action: str, subject: str, reason: str) -> Refused:
        """Records the refusal; gives the exception to raise."""
        self.record(actor, action, "refused", subject, reason)
        return Refused(reason)

    def require(self, actor: Actor, role: Role, action: str, subject: str, what: str = "") -> None:
        """Raises Refused, which is recorded, unless the actor has the role in the workspace now."""
        try:
            require(actor.user_name, role, self.roles_of, what or action)
        except Refused as e:
            raise self.refuse(actor, action, subject, str(e)) from e
