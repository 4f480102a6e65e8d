"""Requests to resume an interrupted operation: recorded in the audit log, executed by the worker."""

from __future__ import annotations

from app.store.audit import AuditRecord, AuditRepository

REQUEST = "request resume"
RESUME = "resume"
_CLOSING = frozenset({RESUME, "bring back", "end"})
"""Whatever of these is recorded after a request, allowed or refused, has answered it."""


def open_request(audit: AuditRepository, operation_id: str) -> AuditRecord | None:
    """The request to resume an operation that nothing has answered yet, or None."""
    newest = _newest(audit, operation_id)
    return newest if newest is not None and newest.action == REQUEST else None


def refusal(audit: AuditRepository, operation_id: str) -> str:
    """Why the last attempt to resume an operation was refused or failed; empty if something happened since."""
    newest = _newest(audit, operation_id)
    if newest is None or newest.action != RESUME or newest.outcome == "allowed":
        return ""
    return newest.reason


def _newest(audit: AuditRepository, operation_id: str) -> AuditRecord | None:
    for record in audit.records(subject=operation_id, limit=200):
        if record.action in _CLOSING or (record.action == REQUEST and record.outcome == "allowed"):
            return record
    return None
