"""Requests a check of the setup by the worker: authorized where it costs, and recorded in the audit log."""

from __future__ import annotations

from app.access import Access, Actor
from app.config.migration import Role
from app.store.setup_checks import SetupCheckRepository

ACTION = "doctor"
SUBJECT = "the setup"


def request_check(actor: Actor, checks: SetupCheckRepository, access: Access, *, start_warehouse: bool) -> int:
    """Requests a check and returns its number. Raises Refused, which is audited, and StoreError.

    Anybody who is signed in may: on a fresh deployment no role may work yet, and the check says why. To start the
    warehouse, which costs, needs the role operator.
    """
    if start_warehouse:
        access.require(actor, Role.OPERATOR, ACTION, SUBJECT, "starting the SQL warehouse for a check")
    access.record(actor, ACTION, "allowed", SUBJECT)
    return checks.request(actor.user_name, start_warehouse=start_warehouse)
