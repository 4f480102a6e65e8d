"""What is kept of operations: each with its plan, and the audit log of every request, refusal and result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from app.access import Actor, Refused
from app.operations.codec import CodecError, plan_from_json, plan_to_json
from app.operations.definition import Kind, Plan
from app.operations.steps import UnknownStep
from app.store.audit import AuditRepository
from app.store.leases import LeaseLost, LeaseRepository
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


class PlanUnreadable(Refused):
    """The stored plan of an operation cannot be read. record: the operation; problem: why."""

    def __init__(self, record: OperationRecord, problem: Exception) -> None:
        super().__init__(f"operation {record.id}: {problem}; plan again")
        self.record = record
        self.problem = problem


class Ledger:
    """Records of operations and their audit, over one store."""

    def __init__(self, store: OperationsStore) -> None:
        self._store = store

    def get(self, operation_id: str) -> tuple[OperationRecord, Plan]:
        """An operation and its plan. Raises Refused if there is none of that id or its plan cannot be read."""
        record = self._store.operations.get(operation_id)
        if record is None:
            raise Refused(f"there is no operation {operation_id}")
        try:
            return record, plan_from_json(record.plan)
        except (CodecError, UnknownStep) as e:
            raise PlanUnreadable(record, e) from e

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
        self._store.operations.add(record)
        self.audit(actor, "plan", "allowed", made.operation_id, made.hash, detail=evidence_of(made))

    def _undoes(self, migration: str) -> str | None:
        started = (State.RUNNING, State.NEEDS_HUMAN, State.VERIFIED)
        found = self._store.operations.find(kinds=[Kind.CUTOVER], states=started, limit=20)
        return next((o.id for o in found if o.migration == migration), None)

    def journal_digest(self, operation_id: str) -> dict[str, Any]:
        """SHA-256 over the journal so far, so that the audit chain covers every step too."""
        lines = [
            [e.seq, e.direction, e.number, e.step, str(e.phase), e.text, e.token, e.at.isoformat()]
            for e in self._store.operations.journal(operation_id)
        ]
        return {"journal_lines": len(lines), "journal_sha256": hashlib.sha256(json.dumps(lines).encode()).hexdigest()}

    def audit(
        self,
        actor: Actor,
        action: str,
        outcome: str,
        subject: str,
        plan_hash: str | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """One line in the audit log. outcome: `allowed`, `refused`, `done` or `failed`."""
        self._store.audit.append(
            actor=actor.user_name,
            source=actor.source,
            local=actor.local,
            action=action,
            outcome=outcome,
            subject=subject[:200],
            plan_hash=plan_hash,
            reason=reason,
            detail=detail,
        )

    @contextmanager
    def audited(self, actor: Actor, action: str, subject: str, plan_hash: str | None = None) -> Iterator[None]:
        """Whatever is refused or fails inside is in the audit log before anyone hears of it."""
        try:
            yield
        except Refused as e:
            self.audit(actor, action, "refused", subject, plan_hash, str(e))
            raise
        except (WorkspaceError, LeaseLost, UnknownStep) as e:
            self.audit(actor, action, "failed", subject, plan_hash, str(e))
            raise


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
