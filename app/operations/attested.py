"""What the audit log attests of operations: plan, requester, approvals, journal and state, compared with the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from app.operations.plan_hash import digest_of, hash_of
from app.store.audit import Anchor, AuditRecord, AuditRepository, ChainCheck, canonical
from app.store.operations import ENDED, ApprovalRecord, JournalEntry, OperationRecord, OperationsRepository, State

_ALL = 100_000
"""Records of one operation, or operations, that are read: more than any store has."""

_COLUMNS = {"operation_id": "id", "kind": "kind", "migration": "migration", "requested_by": "requested_by",
            "needs_approval": "needs_approval"}  # fmt: skip
"""Field of a plan to the column that repeats it."""

_BEFORE_STATES: Mapping[tuple[str, str], tuple[State, ...]] = {
    ("plan", "allowed"): (State.PLANNED,),
    ("submit", "allowed"): (State.SUBMITTED, State.READY),
    ("approve", "allowed"): (State.READY,),
    ("begin", "allowed"): (State.RUNNING,),
    ("resume", "allowed"): (State.RUNNING,),
    ("bring back", "allowed"): (State.RUNNING,),
    ("cancel", "allowed"): (State.CANCELLED, State.FAILED),
    ("expire", "failed"): (State.EXPIRED,),
}
"""Action and outcome to the states that they led to, of records of versions that did not name the state."""


class Stored(Protocol):
    """The repositories that are compared."""

    @property
    def operations(self) -> OperationsRepository: ...
    @property
    def audit(self) -> AuditRepository: ...


def row_problem(record: OperationRecord) -> str | None:
    """Why a stored operation is not one that was planned here, by plan and row alone; None where they agree.

    Raises KeyError, TypeError or ValueError where its plan is no plan at all.
    """
    plan = record.plan
    if hash_of(plan) != record.plan_hash:
        return "the stored plan is not the one that was made: its hash differs"
    for name, column in _COLUMNS.items():
        if plan[name] != getattr(record, column):
            return f"the stored {column} is not that of the plan"
    if datetime.fromisoformat(plan["expires_at"]) != record.expires_at:
        return "the stored expires_at is not that of the plan"
    return None


def log_problem(audit: AuditRepository, record: OperationRecord) -> str | None:
    """Why the audit log does not attest the plan of an operation, in one sentence; None where it does.

    Nothing goes forward without it. The way back does: a damaged log must not keep consumers from their tables.
    """
    found = [r for r in audit.records(subject=record.id, action="plan", limit=_ALL) if r.outcome == "allowed"]
    # The oldest: a record that was appended later attests nothing.
    return _log_problem(record, found[-1] if found else None)


def submitted(audit: AuditRepository, record: OperationRecord) -> bool:
    """Whether the audit log has the submission of this plan by its requester."""
    return any(
        r.outcome == "allowed" and r.plan_hash == record.plan_hash and r.actor == record.requested_by and _sound(r)
        for r in audit.records(subject=record.id, action="submit", limit=_ALL)
    )


def attests(record: AuditRecord, approval: ApprovalRecord) -> bool:
    """Whether an audit record is that of this approval: person, way, plan, number and expiry."""
    until = record.detail.get("until")
    return (
        (record.action, record.outcome, record.subject) == ("approve", "allowed", approval.operation_id)
        and (record.actor, record.source, record.local, record.plan_hash)
        == (approval.approver, approval.source, approval.local, approval.plan_hash)
        and record.detail.get("approval") == approval.id
        and until == _iso(approval.expires_at)
        and record.reason == approval.comment
    )


def journal_digest(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """SHA-256 over journal lines, every column of them, for the audit log."""
    return {"journal_lines": len(entries), "journal_digest": _journal_sha(entries)}


def verify(store: Stored, expected_head: str | None = None, anchors: Iterable[Anchor] = ()) -> ChainCheck:
    """The check of the chain (see `AuditRepository.verify`), and of operations against it. Raises StoreError."""
    check = store.audit.verify(expected_head, anchors)
    problems = tuple(_problems(store)) if check.whole else ()
    if not problems:
        return check
    more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
    reason = f"{check.reason}, but the store is not as they say: {problems[0]}{more}"
    return replace(check, whole=False, reason=reason, problems=problems)


def _problems(store: Stored) -> Iterable[str]:
    operations = {o.id: o for o in store.operations.find(limit=_ALL)}
    by_subject: dict[str, list[AuditRecord]] = {}
    for record in store.audit.walk():
        by_subject.setdefault(record.subject, []).append(record)
    for subject, records in by_subject.items():
        planned = next((r for r in records if (r.action, r.outcome) == ("plan", "allowed")), None)
        if planned is not None and subject not in operations:
            yield f"operation {subject}, planned by {planned.actor}, is missing"
    for operation in reversed(operations.values()):
        yield from _operation_problems(store, operation, by_subject.get(operation.id, []))


def _operation_problems(store: Stored, record: OperationRecord, records: Sequence[AuditRecord]) -> Iterable[str]:
    planned = next((r for r in records if (r.action, r.outcome) == ("plan", "allowed")), None)
    try:
        problem = row_problem(record) or _log_problem(record, planned)
    except (KeyError, TypeError, ValueError) as e:
        problem = f"its stored plan cannot be read ({type(e).__name__}: {e})"
    if problem is not None:
        yield f"operation {record.id}: {problem}"
    states = _states(records)
    if states and record.state not in states:
        yield f"operation {record.id} is {record.state}, by the audit log {' or '.join(states)}"
    approvals = store.operations.approvals(record.id)
    for approval in approvals:
        if not any(attests(r, approval) for r in records):
            yield f"operation {record.id}: the approval of {approval.approver} is not in the audit log"
    numbers = {a.id for a in approvals}
    for r in records:
        if (r.action, r.outcome) == ("approve", "allowed") and r.detail.get("approval") not in numbers:
            yield f"operation {record.id}: the approval of {r.actor} is missing"
    journal = store.operations.journal(record.id)
    problem = _journal_problem(record, journal, records)
    if problem is not None:
        yield f"operation {record.id}: {problem}"


def _log_problem(record: OperationRecord, planned: AuditRecord | None) -> str | None:
    plan = record.plan
    if planned is None:
        return "its plan is not in the audit log"
    if not _sound(planned):
        return f"the audit log is not whole: record {planned.seq} was changed after it was written"
    if planned.plan_hash != record.plan_hash:
        return "the audit log has another plan of it: its hash differs"
    if (planned.actor, planned.source, planned.local) != (record.requested_by, record.source, record.local):
        return f"by the audit log {planned.actor} ({planned.source}) planned it, by the store {record.requested_by}"
    if planned.detail.get("plan_sha256", digest_of(plan)) != digest_of(plan):
        return "the stored plan is not the one that was made: its gates or notes differ"
    if planned.detail.get("undoes", record.undoes) != record.undoes:
        return "the cutover that it takes back is not the one that was planned"
    return None


def _states(records: Sequence[AuditRecord]) -> tuple[State, ...]:
    """The state that the newest record of an operation led to; several where an older version's does not say which."""
    for r in reversed(records):
        if "state" in r.detail:
            return (State(r.detail["state"]),)
        if (r.action, r.outcome) in _BEFORE_STATES:
            return _BEFORE_STATES[r.action, r.outcome]
        if (r.action, r.outcome) == ("apply", "refused") and r.reason.startswith("refused, nothing was written"):
            return (State.REFUSED,)
    return ()


def _journal_problem(
    record: OperationRecord, journal: Sequence[JournalEntry], records: Sequence[AuditRecord]
) -> str | None:
    """Lines that are not as they were when a record was made of them, or came after the operation's end."""
    covered = [r for r in records if "journal_lines" in r.detail]
    for r in covered:
        lines = int(r.detail["journal_lines"])
        if lines > len(journal):
            return f"{lines - len(journal)} of its {lines} journal lines are missing"
        part = journal[:lines]
        new, old = r.detail.get("journal_digest"), r.detail.get("journal_sha256")
        if new != _journal_sha(part) if new is not None else old != _older_journal_sha(part):
            return f"its first {lines} journal lines are not those of audit record {r.seq}"
    if record.state in ENDED and covered and covered[-1].action == "end":
        more = len(journal) - int(covered[-1].detail["journal_lines"])
        if more:
            return f"{more} journal lines were added after its end"
    if record.state in ENDED and journal and not covered:
        return f"no audit record covers its {len(journal)} journal lines"
    return None


def _journal_sha(entries: Sequence[JournalEntry]) -> str:
    lines = [
        [e.seq, e.direction, e.number, e.stage, e.lane, e.step, str(e.phase), e.text, e.detail, e.token, _iso(e.at)]
        for e in entries
    ]
    return hashlib.sha256(canonical(lines).encode()).hexdigest()


def _older_journal_sha(entries: Sequence[JournalEntry]) -> str:
    """As versions before wrote it: without stage, lane and detail."""
    lines = [[e.seq, e.direction, e.number, e.step, str(e.phase), e.text, e.token, e.at.isoformat()] for e in entries]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _sound(record: AuditRecord) -> bool:
    return record.digest() == record.hash


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
