"""Roles that only a user's own token shows: seen as the user acted, in the audit log, for what is executed later.

A worker has no user's token, and its own principal may not be allowed to read groups. What it executes then rests on
the roles that the user's own groups gave at the submission, the approval or the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.access import RolesFound, RolesOf, RoleSource, RolesUnseen, same_person
from app.config.migration import Role
from app.store.audit import AuditRecord, AuditRepository

VALID_FOR = timedelta(hours=24)
"""As long as an approval: who lost a role meanwhile keeps what was consented to for no longer than consent lasts."""

SEEN = "roles_seen"
MOST = 1000


def detail(found: RolesFound | None) -> Mapping[str, Any]:
    """What the audit record of an act keeps of the actor's roles. found: None where nobody knows them."""
    return {} if found is None else {SEEN: sorted(found.roles), "role_source": str(found.source)}


def with_seen(roles_of: RolesOf, audit: AuditRepository, operation_id: str, clock: Callable[[], datetime]) -> RolesOf:
    """Looks roles up as `roles_of` does: an answer of a source that this process may read always decides.

    Where none says, the roles count that the user's own groups gave when the user last acted on this operation, for
    VALID_FOR.
    """

    def look_up(user: str) -> RolesFound:
        try:
            return roles_of(user)
        except RolesUnseen:
            # Newest first: what an act showed replaces what an earlier one did.
            for record in audit.records(subject=operation_id, limit=MOST):
                if (found := _seen(record, user)) is not None and clock() - record.at < VALID_FOR:
                    if not audit.verify().whole:
                        raise
                    return found
            raise

    return look_up


def _seen(record: AuditRecord, user: str) -> RolesFound | None:
    """The roles that a record of this user's act keeps, if their own groups gave them."""
    named = record.detail.get(SEEN)
    if record.outcome != "allowed" or not same_person(record.actor, user) or not isinstance(named, list):
        return None
    if record.detail.get("role_source") != RoleSource.OWN_GROUPS:
        return None
    return RolesFound(frozenset(Role(n) for n in named if n in set(Role)), RoleSource.OWN_GROUPS)
