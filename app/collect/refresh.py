"""Requests to read every source of the workspace now: authorized and recorded in the audit log."""

from __future__ import annotations

from app.access import Access, Actor
from app.config.migration import Role
from app.store.collected.repository import CollectedRepository

ACTION = "collect"
SUBJECT = "every source"


def request_refresh(actor: Actor, collected: CollectedRepository, access: Access) -> int:
    """Requests a turn of every source and returns the request's number. It loads the workspace: operators only.

    Raises Refused, which is audited; StoreError where the audit log cannot be written: then nothing is requested.
    """
    access.require(actor, Role.OPERATOR, ACTION, SUBJECT, "collecting now")
    # The audit record comes first: a request that cannot be audited is not made.
    access.record(actor, ACTION, "allowed", SUBJECT)
    return collected.request_refresh(actor.user_name)
