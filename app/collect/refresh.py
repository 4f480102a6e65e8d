"""Requests to read the workspace now: who may make them, recorded in the audit log."""

from __future__ import annotations

from app.access import Actor, Refused, RolesOf, require
from app.config.migration import Role
from app.store.audit import AuditRepository
from app.store.collected.repository import CollectedRepository

ACTION = "collect"
SUBJECT = "every source"


def request_refresh(actor: Actor, collected: CollectedRepository, audit: AuditRepository, roles_of: RolesOf) -> int:
    """Requests a turn of every source and gives the request's number. It loads the workspace, so operators may.

    Raises Refused, which is audited too.
    """

    def audited(outcome: str, reason: str = "") -> None:
        audit.append(
            actor=actor.user_name, source=actor.source, local=actor.local, action=ACTION, outcome=outcome,
            subject=SUBJECT, reason=reason,
        )  # fmt: skip

    try:
        require(actor.user_name, Role.OPERATOR, roles_of, "collecting now")
    except Refused as e:
        audited("refused", str(e))
        raise
    # The audit record comes first: a request that cannot be audited is not made.
    audited("allowed")
    return collected.request_refresh(actor.user_name)
