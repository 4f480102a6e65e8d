"""Four eyes: consent bound to one plan's hash, by an approver who did not ask for it, until it expires."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from app.access import Refused, RolesFound, RolesOf, require, same_person
from app.config.migration import Role
from app.moments import when
from app.operations.attested import attests
from app.store.audit import AuditRepository
from app.store.operations import ApprovalRecord

VALID_FOR = timedelta(hours=24)


def check_approver(user: str, requested_by: str, roles_of: RolesOf) -> RolesFound:
    """The user's roles. Raises Refused unless this user may approve what the other one requested."""
    if same_person(user, requested_by):
        raise Refused(f"{user} requested it and cannot approve it: another approver must")
    return require(user, Role.APPROVER, roles_of, "approving")


def valid(
    found: Iterable[ApprovalRecord],
    plan_hash: str,
    requested_by: str,
    moment: datetime,
    roles_of: RolesOf,
    *,
    personas: bool,
    audited: Callable[[ApprovalRecord], bool],
) -> ApprovalRecord:
    """The approval that lets a plan begin now. Raises Refused with the reason why none does.

    personas: whether an approval by a persona counts: on a local workspace alone.
    audited: whether the audit log, as it was written, has this approval.
    """
    reasons: list[str] = []
    for approval in found:
        if approval.plan_hash != plan_hash:
            reasons.append(f"{approval.approver} approved another plan")
        elif approval.expires_at <= moment:
            reasons.append(f"the approval of {approval.approver} expired at {when(approval.expires_at)}")
        elif not personas and is_persona(approval.local, approval.source):
            reasons.append(f"{approval.approver} was a local persona, which is valid only on a local workspace")
        elif not audited(approval):
            reasons.append(f"the approval of {approval.approver} is not in the audit log")
        else:
            try:
                check_approver(approval.approver, requested_by, roles_of)
            except Refused as e:
                reasons.append(str(e))
                continue
            return approval
    raise Refused(f"not approved: {'; '.join(reasons) or 'no approver has approved this plan'}")


def is_persona(local: bool, source: str) -> bool:
    """Whether a record is by a persona that was chosen locally, without a sign-in."""
    return local or source == "persona"


def in_audit_log(audit: AuditRepository) -> Callable[[ApprovalRecord], bool]:
    """Whether an approval has its record in the log, by the same person and way, for the same plan and number.

    Raises Refused where the log is not whole: then nothing in it counts.
    """
    verdict = audit.verify()
    if not verdict.whole:
        raise Refused(f"the audit log is not whole, so no approval counts: {verdict.reason}")

    def found(approval: ApprovalRecord) -> bool:
        records = audit.records(subject=approval.operation_id, action="approve", limit=1000)
        return any(attests(r, approval) for r in records)

    return found
