"""Risks that were accepted, as the audit log holds them: it alone does, and its chain shows any change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.store.audit import AuditRecord, AuditRepository

ACCEPT_RISK = "accept-risk"
"""The action of such a record."""


@dataclass(frozen=True)
class AcceptedRisk:
    """One gate of one plan that may block. status: of the gate's finding when the risk was accepted."""

    gate: str
    status: str
    finding: str
    reason: str
    approver: str
    source: str
    local: bool
    plan_hash: str
    at: datetime
    expires_at: datetime


def recorded(audit: AuditRepository, operation_id: str) -> tuple[AcceptedRisk, ...]:
    """Every risk of an operation that was accepted, newest first, valid or not."""
    found = audit.records(subject=operation_id, action=ACCEPT_RISK, limit=200)
    return tuple(_risk(r) for r in found if r.outcome == "allowed")


def _risk(record: AuditRecord) -> AcceptedRisk:
    kept = record.detail
    return AcceptedRisk(
        gate=str(kept.get("gate", "")),
        status=str(kept.get("status", "")),
        finding=str(kept.get("finding", "")),
        reason=record.reason,
        approver=record.actor,
        source=record.source,
        local=record.local,
        plan_hash=record.plan_hash or "",
        at=record.at,
        expires_at=datetime.fromisoformat(str(kept.get("until", record.at.isoformat()))),
    )
