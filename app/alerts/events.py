"""Events that are sent to people: incidents, drift, operations that ended, approvals that are wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from app.moments import when
from app.store.incidents import Incident
from app.store.operations import ENDED, OperationRecord, State

DRIFT = "drift"
"""Kind of the incidents that differences from a verified operation open."""

Event = tuple[str, Mapping[str, Any]]
"""Key, the same whenever it is found again, and content."""


def events(incidents: Iterable[Incident], operations: Iterable[OperationRecord], since: datetime) -> list[Event]:
    """What happened since then, oldest first."""
    found = [*_of_incidents(incidents, since), *_of_operations(operations, since)]
    return sorted(found, key=lambda e: (str(e[1]["at"]), e[0]))


def _event(key: str, kind: str, subject: str, text: str, at: datetime) -> Event:
    return key, {"id": key, "kind": kind, "subject": subject, "text": text, "at": when(at, seconds=True)}


def _of_incidents(incidents: Iterable[Incident], since: datetime) -> Iterator[Event]:
    for i in incidents:
        subject = f"Incident {i.id}"
        if i.recorded_at >= since:
            kind = DRIFT if i.kind == DRIFT else "incident.opened"
            yield _event(f"incident:{i.id}:opened", kind, subject, i.summary, i.recorded_at)
        if i.closed_at is not None and i.closed_at >= since:
            key = f"incident:{i.id}:closed:{when(i.closed_at, seconds=True)}"
            yield _event(key, "incident.closed", subject, f"Closed by {i.closed_by}: {i.cause}", i.closed_at)


def _of_operations(operations: Iterable[OperationRecord], since: datetime) -> Iterator[Event]:
    for o in operations:
        subject = f"{o.kind.capitalize()} {o.id}"
        at = o.submitted_at
        if o.state is State.SUBMITTED and o.needs_approval and at is not None and at >= since:
            text = f"Requested by {o.requested_by}; its plan expires at {when(o.expires_at)}"
            yield _event(f"approval:{o.id}", "approval.wanted", subject, text, at)
        if o.state is State.NEEDS_HUMAN and (o.started_at or o.created_at) >= since:
            at = o.ended_at or o.started_at or o.created_at
            yield _event(f"operation:{o.id}:{o.state}", "operation.needs_human", subject, o.reason, at)
        if o.state in ENDED and o.ended_at is not None and o.ended_at >= since:
            word = str(o.state).replace("_", " ")
            text = f"{word}, requested by {o.requested_by}" + (f": {o.reason}" if o.reason else "")
            yield _event(f"operation:{o.id}:{o.state}", "operation.ended", subject, text, o.ended_at)
