"""Break-glass: an emergency rollback while roles cannot be looked up, and the two people who account for it afterwards.

Both are in the audit log alone. It covers one rollback of one signed-in user, and only while the lookup fails: where
the workspace answers, its answer decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.access import Actor, Refused, same_person
from app.operations.definition import GateVerdict, Kind
from app.progress.evidence import pass_or_fail
from app.store.audit import AuditRecord, AuditRepository
from app.store.operations import OperationRecord, OperationsRepository, State

BREAK = "break glass"
ACCOUNT = "account"
PEOPLE = 2
"""So many different people, none of them the one who broke the glass, account for it."""

MOST = 1000
NEVER_USED = frozenset({State.PLANNED, State.CANCELLED, State.EXPIRED, State.REFUSED})
"""States of a rollback that changed nothing, unless it was started before."""


@dataclass(frozen=True)
class Unaccounted:
    """A rollback by break-glass that not enough people have accounted for. by: who broke it; accounted: who did so."""

    operation_id: str
    by: str
    reason: str
    at: datetime
    accounted: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many more people have to account for it."""
        return PEOPLE - len(self.accounted)

    @property
    def text(self) -> str:
        """What is open, in one sentence with the way out."""
        more = "1 more approver" if self.missing == 1 else f"{self.missing} approvers"
        return (
            f"{self.by} rolled back by break-glass ({self.operation_id}: {self.reason}). {more} other than {self.by} "
            f"must account for it: cutover account {self.operation_id} --comment TEXT"
        )


def check(kind: Kind, reason: str) -> None:
    """Raises Refused where glass may not be broken for this, or without a reason."""
    if kind is not Kind.ROLLBACK:
        raise Refused(f"only a rollback can be made by break-glass, no {kind}")
    if not reason.strip():
        raise Refused("break-glass needs a reason")


def opened(audit: AuditRepository, operation: OperationRecord) -> AuditRecord | None:
    """The record by which the requester of this very plan broke the glass, or None."""
    if operation.kind != Kind.ROLLBACK:
        return None
    for r in audit.records(subject=operation.id, action=BREAK, limit=MOST):
        same = same_person(r.actor, operation.requested_by) and r.source == operation.source
        if r.outcome == "allowed" and same and r.plan_hash == operation.plan_hash:
            return r
    return None


def covers(audit: AuditRepository, operation: OperationRecord, user: str) -> bool:
    """Whether a user may go on with a rollback though the user's roles cannot be looked up."""
    return same_person(user, operation.requested_by) and opened(audit, operation) is not None


def unaccounted(audit: AuditRepository, operations: OperationsRepository, migration: str) -> tuple[Unaccounted, ...]:
    """Rollbacks by break-glass of a migration that wait for people to account for them, oldest first."""
    found: list[Unaccounted] = []
    for r in reversed(audit.records(action=BREAK, limit=MOST)):
        operation = operations.get(r.subject) if r.outcome == "allowed" else None
        if operation is None or operation.migration != migration or not _used(operation):
            continue
        people = accounted(audit, operation)
        if len(people) < PEOPLE:
            found.append(Unaccounted(operation.id, r.actor, r.reason, r.at, people))
    return tuple(found)


def accounted(audit: AuditRepository, operation: OperationRecord) -> tuple[str, ...]:
    """Who has accounted for a rollback by break-glass: each person once, never the one who requested it."""
    found: list[str] = []
    for r in reversed(audit.records(subject=operation.id, action=ACCOUNT, limit=MOST)):
        new = not any(same_person(r.actor, other) for other in (operation.requested_by, *found))
        if r.outcome == "allowed" and new:
            found.append(r.actor)
    return tuple(found)


def check_account(audit: AuditRepository, operation: OperationRecord, actor: Actor, comment: str) -> None:
    """Raises Refused unless this person can account for an operation; roles are the caller's to check."""
    if opened(audit, operation) is None:
        raise Refused(f"operation {operation.id} was not made by break-glass: there is nothing to account for")
    if not _used(operation):
        raise Refused(f"operation {operation.id} was never executed: there is nothing to account for")
    if operation.state in (State.SUBMITTED, State.READY, State.RUNNING):
        raise Refused(f"operation {operation.id} is {operation.state}: account for it once it has ended")
    if same_person(actor.user_name, operation.requested_by):
        raise Refused(f"{actor.user_name} broke the glass: {PEOPLE} other people account for it")
    people = accounted(audit, operation)
    if len(people) >= PEOPLE:
        raise Refused(f"{' and '.join(people)} have accounted for operation {operation.id} already")
    if any(same_person(actor.user_name, p) for p in people):
        raise Refused(f"{actor.user_name} has accounted for operation {operation.id} already: another person must too")
    if not comment.strip():
        raise Refused("accounting for a break-glass rollback needs a comment: what happened, and was it right")


def gate(found: tuple[Unaccounted, ...], moment: datetime) -> GateVerdict:
    """No cutover begins while a rollback by break-glass is unaccounted for."""
    text = "; ".join(u.text for u in found) or "no rollback by break-glass waits for an account"
    finding = pass_or_fail(not found, text, moment, "audit log")
    return GateVerdict("world.accounted", "Every break-glass rollback is accounted for", finding)


def _used(operation: OperationRecord) -> bool:
    return operation.started_at is not None or operation.state not in NEVER_USED
