"""Accepted risks: an approver accepts that one gate blocks, for one plan, with a reason, until it expires.

The audit log alone holds them: its chain shows any change. A gate of the observed world is never accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from app.access import Refused, RolesFound, RolesOf, require, same_person
from app.config.migration import Migration, Role
from app.operations.approvals import is_persona
from app.operations.definition import GateVerdict
from app.store.audit import AuditRepository
from app.store.risks import AcceptedRisk, recorded

VALID_FOR = timedelta(hours=24)


def check_gate(key: str, migration: Migration, verdicts: Sequence[GateVerdict]) -> GateVerdict:
    """The gate of a plan whose risk may be accepted. Raises Refused with the reason why it may not."""
    verdict = next((v for v in verdicts if v.key == key), None)
    if verdict is None:
        raise Refused(f"this plan has no gate {key!r}: its gates are {', '.join(v.key for v in verdicts) or 'none'}")
    gate = next((g for g in migration.gates if g.key == key), None)
    if gate is None:
        raise Refused(f"gate {key} is a condition of the workspace itself: no one can accept its risk")
    if not gate.may_be_accepted:
        raise Refused(f"gate {key} may not be accepted: its entry in the migration file has no may_be_accepted: true")
    if not verdict.blocks:
        raise Refused(f"gate {key} passes: there is no risk to accept")
    return verdict


def check_approver(user: str, requested_by: str, roles_of: RolesOf) -> RolesFound:
    """The user's roles. Raises Refused unless this user may accept a risk of what the other one requested."""
    if same_person(user, requested_by):
        raise Refused(f"{user} requested it and cannot accept its risks: an approver other than the requester must")
    return require(user, Role.APPROVER, roles_of, "accepting a risk")


def detail(verdict: GateVerdict, expires_at: datetime) -> Mapping[str, object]:
    """What the audit record of an accepted risk keeps."""
    return {
        "gate": verdict.key,
        "status": str(verdict.finding.status),
        "finding": verdict.finding.summary,
        "until": expires_at.isoformat(),
    }


def valid(
    audit: AuditRepository,
    operation_id: str,
    plan_hash: str,
    requested_by: str,
    moment: datetime,
    roles_of: RolesOf,
    migration: Migration,
    *,
    personas: bool,
) -> tuple[AcceptedRisk, ...]:
    """The accepted risks that count now. Raises Refused where the audit log is not whole: then nothing in it counts.

    personas: whether what a persona accepted counts: on a local workspace alone.
    """
    found = recorded(audit, operation_id)
    if not found:
        return ()
    if not (verdict := audit.verify()).whole:
        raise Refused(f"the audit log is not whole, so no accepted risk counts: {verdict.reason}")
    acceptable = {g.key for g in migration.gates if g.may_be_accepted}

    def counts(risk: AcceptedRisk) -> bool:
        if risk.plan_hash != plan_hash or risk.gate not in acceptable or risk.expires_at <= moment:
            return False
        if is_persona(risk.local, risk.source) and not personas:
            return False
        try:
            check_approver(risk.approver, requested_by, roles_of)
        except Refused:
            return False
        return True

    return tuple(r for r in found if counts(r))


def blocking(verdicts: Iterable[GateVerdict], accepted: Iterable[AcceptedRisk]) -> tuple[GateVerdict, ...]:
    """The gates that still block. An accepted risk covers its gate while the finding has the status that was accepted:
    who accepted that something is unknown has not accepted that it is wrong."""
    covered = {(r.gate, r.status) for r in accepted}
    return tuple(v for v in verdicts if v.blocks and (v.key, str(v.finding.status)) not in covered)
