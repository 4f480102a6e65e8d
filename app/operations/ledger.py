"""What is kept of operations: each with its plan, and the audit log of every request, refusal and result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection

from app.access import SUBJECT_LIMIT, Actor, Refused
from app.operations import attested
from app.operations.codec import CodecError, plan_from_json, plan_to_json
from app.operations.definition import Kind, Plan
from app.operations.plan_hash import digest_of
from app.operations.steps import UnknownStep
from app.store.audit import AuditRepository, Change, Unchanged
from app.store.leases import Lease, LeaseLost, LeaseRepository
from app.store.operations import OperationRecord, OperationsRepository, State
from databricks_client.errors import WorkspaceError


class OperationsStore(Protocol):
    """The repositories that operations write to; `app.store.open.Store` has them."""

    @property
    def operations(self) -> OperationsRepository: ...
    @property
    def audit(self) -> AuditRepository: ...
    @property
    def leases(self) -> LeaseRepository: ...


WORKER = "worker"
"""Identity source of the worker's records."""

_NUMBER = re.compile(r"\d+")
"""What differs in the reasons of one refusal from poll to poll: moments, seconds, process ids."""


class Recorded(Refused):
    """A refusal that is in the audit log already, with the state that it led to."""


class PlanUnreadable(Refused):
    """The stored plan of an operation cannot be read or trusted. record: the operation; problem: why."""

    def __init__(self, record: OperationRecord, problem: Exception) -> None:
        super().__init__(f"operation {record.id}: {problem}; plan again")
        self.record = record
        self.problem = problem


class Ledger:
    """Records of operations and their audit, over one store."""

    def __init__(self, store: OperationsStore) -> None:
        self._store = store

    def get(self, operation_id: str) -> tuple[OperationRecord, Plan]:
        """An operation and its plan. Raises Refused if there is none of that id, its plan cannot be read, or it is not
        what the operation's row says."""
        record = self._store.operations.get(operation_id)
        if record is None:
            raise Refused(f"there is no operation {operation_id}")
        try:
            plan = plan_from_json(record.plan)
        except (CodecError, UnknownStep) as e:
            raise PlanUnreadable(record, e) from e
        problem = attested.row_problem(record)
        if problem is not None:
            raise PlanUnreadable(record, CodecError(problem))
        return record, plan

    def find(self, operation: str) -> tuple[OperationRecord, Plan]:
        """By its id or its plan's hash (at least 12 digits). Raises Refused, also where the hash fits several."""
        if self._store.operations.get(operation) is None and len(operation) >= 12:
            found = [o for o in self._store.operations.find(plan_hash=operation) if o.state is not State.PLANNED]
            if len(found) == 1 or (found and found[0].state is State.SUBMITTED and found[0].plan_hash == operation):
                return self.get(found[0].id)
            if found:
                raise Refused(f"{len(found)} operations have a plan of hash {operation}: name the operation")
        return self.get(operation)

    def keep(self, made: Plan, actor: Actor) -> None:
        """Keeps a plan, as PLANNED."""
        record = OperationRecord(
            id=made.operation_id,
            kind=str(made.kind),
            migration=made.migration,
            plan_hash=made.hash,
            plan=plan_to_json(made),
            requested_by=actor.user_name,
            source=actor.source,
            local=actor.local,
            needs_approval=made.needs_approval,
            state=State.PLANNED,
            reason="",
            executor="",
            stop_requested=False,
            undoes=self._undoes(made.migration) if made.kind is Kind.ROLLBACK else None,
            created_at=made.created_at,
            expires_at=made.expires_at,
            submitted_at=None,
            started_at=None,
            ended_at=None,
        )

        def keep(c: Connection) -> Mapping[str, Any]:
            self._store.operations.adding(record, c)
            return {"state": str(record.state)}

        detail = {**evidence_of(made), "plan_sha256": digest_of(record.plan), "undoes": record.undoes}
        self.audit(actor, "plan", "allowed", made.operation_id, made.hash, detail=detail, change=keep)

    def move(
        self,
        actor: Actor,
        action: str,
        outcome: str,
        record: OperationRecord,
        before: Iterable[State],
        after: State,
        *,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
        lease: Lease | None = None,
        also: Callable[[Connection], Mapping[str, Any]] = lambda _: {},
        columns: Mapping[str, Any] | None = None,
        unless_stopped: bool = False,
    ) -> bool:
        """Changes an operation's state if it is one of `before`, with its audit record, in one transaction; whether
        this call did it.

        lease: must be held in that transaction. also: further writes of it, which give details for the record.
        columns: further columns of the operation. unless_stopped: not where a stop was requested. Raises LeaseLost,
        StoreError: nothing is written then.
        """
        known = frozenset(before)

        def change(c: Connection) -> Mapping[str, Any] | None:
            if lease is not None:
                self._store.leases.check(lease, c)
            if not self._store.operations.moving(record.id, known, after, c, unless_stopped, **(columns or {})):
                return None
            return {"state": str(after), **also(c)}

        try:
            self.audit(actor, action, outcome, record.id, record.plan_hash, reason, detail, change=change)
        except Unchanged:
            return False
        return True

    def request_stop(self, actor: Actor, record: OperationRecord, comment: str) -> bool:
        """Requests that an operation stops, with its audit record, in one transaction; whether it was running still."""

        def change(c: Connection) -> Mapping[str, Any] | None:
            return {} if self._store.operations.requesting_stop(record.id, c) else None

        try:
            self.audit(actor, "stop", "allowed", record.id, record.plan_hash, comment, change=change)
        except Unchanged:
            return False
        return True

    def _undoes(self, migration: str) -> str | None:
        started = (State.RUNNING, State.NEEDS_HUMAN, State.VERIFIED)
        found = self._store.operations.find(kinds=[Kind.CUTOVER], states=started, migration=migration, limit=1)
        return found[0].id if found else None

    def journal_digest(self, operation_id: str) -> dict[str, Any]:
        """SHA-256 over the journal so far, so that the audit chain covers every step too."""
        return attested.journal_digest(self._store.operations.journal(operation_id))

    def doubt(self, record: OperationRecord) -> str:
        """What the reason of an operation's end says of its plan, where the audit log does not attest it."""
        problem = attested.log_problem(self._store.audit, record)
        return "" if problem is None else f"the audit log does not attest its plan: {problem}"

    def audit(
        self,
        actor: Actor,
        action: str,
        outcome: str,
        subject: str,
        plan_hash: str | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
        change: Change | None = None,
    ) -> None:
        """One line in the audit log. outcome: `allowed`, `refused`, `done` or `failed`. change: as of `append`."""
        self._store.audit.append(
            actor=actor.user_name,
            source=actor.source,
            local=actor.local,
            action=action,
            outcome=outcome,
            subject=subject[:SUBJECT_LIMIT],
            plan_hash=plan_hash,
            reason=reason,
            detail=detail,
            change=change,
        )

    @contextmanager
    def audited(self, actor: Actor, action: str, subject: str, plan_hash: str | None = None) -> Iterator[None]:
        """Whatever is refused or fails inside is in the audit log before anyone hears of it."""
        try:
            yield
        except Recorded:
            raise
        except Refused as e:
            self._audit_refusal(actor, action, "refused", subject, plan_hash, str(e))
            raise
        except (WorkspaceError, LeaseLost, UnknownStep) as e:
            self._audit_refusal(actor, action, "failed", subject, plan_hash, str(e))
            raise

    def _audit_refusal(
        self, actor: Actor, action: str, outcome: str, subject: str, plan_hash: str | None, reason: str
    ) -> None:
        """A worker tries again at every poll: the same refusal is recorded once, until something else happens."""
        if actor.source == WORKER:
            newest = self._store.audit.records(subject=subject[:SUBJECT_LIMIT], limit=1)
            said = [(r.source, r.action, r.outcome, _NUMBER.sub("#", r.reason)) for r in newest]
            if said == [(WORKER, action, outcome, _NUMBER.sub("#", reason))]:
                return
        self.audit(actor, action, outcome, subject, plan_hash, reason)


def evidence_of(made: Plan) -> dict[str, Any]:
    """What a plan rested on: its kind and arguments, evidence ids, and each gate with its verdict and references."""
    return {
        "kind": str(made.kind),
        "args": dict(made.args),
        "observation": made.observation.fingerprint,
        "evidence": dict(made.observation.evidence),
        "gates": {
            g.key: {
                "status": str(g.finding.status),
                "as_of": g.finding.as_of,
                "source": g.finding.source,
                "references": list(g.finding.references),
            }
            for g in made.gates
        },
    }
