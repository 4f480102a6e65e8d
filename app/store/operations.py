"""Operations in the store: plans, their state, approvals, and the journal of what was intended and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.store.base import Repository, StoreError, UtcDateTime, metadata, now
from app.store.leases import Lease, LeaseRepository
from app.store.text import CleanJson, ExactJson, FreeText, Identity, Label

operations = Table(
    "operations",
    metadata,
    Column("id", Identity(40), primary_key=True),
    Column("kind", Identity(20), nullable=False),
    Column("migration", Identity(200), nullable=False),
    Column("plan_hash", Identity(64), nullable=False, index=True),
    Column("plan", ExactJson, nullable=False),
    Column("requested_by", Identity(320), nullable=False),
    Column("source", Identity(20), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("state", Identity(20), nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("executor", Identity(320), nullable=False),
    Column("stop_requested", Boolean, nullable=False),
    Column("undoes", Identity(40)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("submitted_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index("ix_operations_state", "state", "created_at"),
)

journal = Table(
    "operation_journal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("operation_id", Identity(40), ForeignKey(operations.c.id), nullable=False),
    Column("direction", Identity(10), nullable=False),
    Column("number", Integer, nullable=False),
    Column("stage", Label(60), nullable=False),
    Column("lane", Label(200), nullable=False),
    Column("step", Identity(40), nullable=False),
    Column("phase", Identity(12), nullable=False),
    Column("text", FreeText, nullable=False),
    Column("detail", CleanJson, nullable=False),
    Column("token", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_operation_journal_operation", "operation_id", "seq"),
)

approvals = Table(
    "operation_approvals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("operation_id", Identity(40), ForeignKey(operations.c.id), nullable=False, index=True),
    Column("plan_hash", Identity(64), nullable=False),
    Column("approver", Identity(320), nullable=False),
    Column("source", Identity(20), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("comment", FreeText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)


class State(StrEnum):
    """Where an operation is.

    PLANNED: made, not submitted. SUBMITTED: waits for its approval. READY: waits for its execution.
    RUNNING: executed now, or interrupted if no process holds the lease. VERIFIED: done and read back.
    UNDONE: failed, everything is as before. FAILED: a light operation failed. REFUSED: not started, nothing written.
    NEEDS_HUMAN: neither all tables are new nor all old; the reason has details. CANCELLED, EXPIRED: never started.
    """

    PLANNED = "planned"
    SUBMITTED = "submitted"
    READY = "ready"
    RUNNING = "running"
    VERIFIED = "verified"
    UNDONE = "undone"
    FAILED = "failed"
    REFUSED = "refused"
    NEEDS_HUMAN = "needs_human"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset(
    {
        State.VERIFIED,
        State.UNDONE,
        State.FAILED,
        State.REFUSED,
        State.NEEDS_HUMAN,
        State.CANCELLED,
        State.EXPIRED,
    }
)


class Phase(StrEnum):
    """What a journal entry says of its step: intent before the effect, then what came of it."""

    INTENT = "intent"
    DONE = "done"
    ALREADY = "already"
    RETRY = "retry"
    FAILED = "failed"
    NOTE = "note"


@dataclass(frozen=True)
class OperationRecord:
    """An operation as it is now. `plan` is the plan's JSON; `undoes` the cutover that a rollback takes back."""

    id: str
    kind: str
    migration: str
    plan_hash: str
    plan: Mapping[str, Any]
    requested_by: str
    source: str
    local: bool
    needs_approval: bool
    state: State
    reason: str
    executor: str
    stop_requested: bool
    undoes: str | None
    created_at: datetime
    expires_at: datetime
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """From start to end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class JournalEntry:
    """One line of the journal. direction: `forward` or `back`; token: the fencing token it was written under."""

    seq: int
    operation_id: str
    direction: str
    number: int
    stage: str
    lane: str
    step: str
    phase: Phase
    text: str
    detail: Mapping[str, Any]
    token: int
    at: datetime

    @property
    def on_way_back(self) -> bool:
        """Whether it is of the way back; waiting for what was sent earlier goes neither way."""
        return self.direction == "back" and self.stage != "settle"


@dataclass(frozen=True)
class ApprovalRecord:
    """Someone's consent to one operation and one plan hash, until it expires."""

    id: int
    operation_id: str
    plan_hash: str
    approver: str
    source: str
    local: bool
    comment: str
    at: datetime
    expires_at: datetime


_OPERATION = select(operations).where(operations.c.id == bindparam("wanted"))
"""Built once, as those that follow: they are executed many times in an operation, and building them takes longer."""

_STOP = select(operations.c.stop_requested).where(operations.c.id == bindparam("wanted"))
_LINE = insert(journal).returning(journal.c.seq)
_LINES = (
    select(journal)
    .where(journal.c.operation_id == bindparam("wanted"), journal.c.seq > bindparam("after"))
    .order_by(journal.c.seq)
)


class OperationsRepository(Repository):
    """Reads and writes operations. State changes compare and swap, so that two processes never both make one.

    Journal lines are written in a transaction that checks the lease: who lost it cannot write.
    """

    _what = "operations"

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime] = now, leases: LeaseRepository | None = None
    ) -> None:
        """leases: checks the leases under which journal lines are written."""
        super().__init__(engine, clock)
        self._leases = leases or LeaseRepository(engine, clock)

    def add(self, record: OperationRecord) -> None:
        """Keeps a new plan. A second plan of the same id is refused with StoreError."""
        with self._write(f"operation {record.id}") as c:
            self.adding(record, c)

    def adding(self, record: OperationRecord, c: Connection) -> None:
        """`add` within a transaction."""
        try:
            c.execute(insert(operations).values(**{k: getattr(record, k) for k in record.__dataclass_fields__}))
        except IntegrityError as e:
            raise StoreError(f"operation {record.id} exists already") from e

    def get(self, operation_id: str) -> OperationRecord | None:
        """One operation, or None."""
        row = self._one(_OPERATION, {"wanted": operation_id})
        return None if row is None else _operation(row)

    def find(
        self,
        *,
        kinds: Iterable[str] | None = None,
        states: Iterable[State] | None = None,
        plan_hash: str | None = None,
        migration: str | None = None,
        limit: int = 100,
    ) -> list[OperationRecord]:
        """Operations that match, newest first. migration: the name of theirs."""
        query = select(operations).order_by(operations.c.created_at.desc(), operations.c.id).limit(limit)
        if kinds is not None:
            query = query.where(operations.c.kind.in_([str(k) for k in kinds]))
        if states is not None:
            query = query.where(operations.c.state.in_([str(s) for s in states]))
        if plan_hash is not None:
            query = query.where(operations.c.plan_hash.startswith(plan_hash))
        if migration is not None:
            query = query.where(operations.c.migration == migration)
        return [_operation(row) for row in self._all(query)]

    def last(self, kind: str, migration: str, state: State = State.VERIFIED) -> OperationRecord | None:
        """The operation of this kind and migration that came to `state` last, or None."""
        query = (
            select(operations)
            .where(
                operations.c.kind == str(kind),
                operations.c.migration == migration,
                operations.c.state == str(state),
            )
            .order_by(func.coalesce(operations.c.ended_at, operations.c.created_at).desc())
            .limit(1)
        )
        row = self._one(query)
        return None if row is None else _operation(row)

    def newest_started(self, kind: str, migration: str) -> OperationRecord | None:
        """The operation of this kind and migration that has started and not ended, else the one that ended last; or
        None."""
        ended = operations.c.ended_at
        query = (
            select(operations)
            .where(
                operations.c.kind == str(kind),
                operations.c.migration == migration,
                operations.c.started_at.is_not(None),
            )
            .order_by(ended.is_not(None), func.coalesce(ended, operations.c.started_at).desc())
            .limit(1)
        )
        row = self._one(query)
        return None if row is None else _operation(row)

    def ready(self, migration: str) -> list[OperationRecord]:
        """Operations of a migration that wait for execution, oldest first."""
        query = (
            select(operations)
            .where(operations.c.state == State.READY, operations.c.migration == migration)
            .order_by(operations.c.submitted_at)
        )
        return [_operation(row) for row in self._all(query)]

    def move(
        self, operation_id: str, before: Iterable[State], after: State, *, lease: Lease | None = None, **values: Any
    ) -> bool:
        """Changes the state if it is one of `before`; whether this call did it. `values` are further columns.

        lease: the change is made only under this lease. Raises LeaseLost where it is no longer held.
        """
        with self._write(f"operation {operation_id}") as c:
            if lease is not None:
                self._leases.check(lease, c)
            return self.moving(operation_id, before, after, c, **values)

    def moving(
        self,
        operation_id: str,
        before: Iterable[State],
        after: State,
        c: Connection,
        unless_stopped: bool = False,
        **values: Any,
    ) -> bool:
        """`move` within a transaction. unless_stopped: not where a stop was requested."""
        condition: list[ColumnElement[bool]] = [
            operations.c.id == operation_id,
            operations.c.state.in_([str(s) for s in before]),
        ]
        if unless_stopped:
            condition.append(operations.c.stop_requested.is_(False))
        statement = update(operations).where(*condition).values(state=str(after), **values)
        return c.execute(statement).rowcount == 1

    def requesting_stop(self, operation_id: str, c: Connection) -> bool:
        """Requests, within a transaction, that the operation stops before its next step; whether it was running, and
        no rollback, which is not stopped."""
        statement = update(operations).where(
            operations.c.id == operation_id, operations.c.state == State.RUNNING, operations.c.kind != "rollback"
        )
        return c.execute(statement.values(stop_requested=True)).rowcount == 1

    def stop_requested(self, operation_id: str) -> bool:
        """Whether a stop was requested."""
        row = self._one(_STOP, {"wanted": operation_id})
        return row is not None and bool(row.stop_requested)

    def write(
        self,
        lease: Lease,
        operation_id: str,
        *,
        direction: str,
        number: int,
        stage: str,
        lane: str,
        step: str,
        phase: Phase,
        text: str,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Appends a journal line under a lease and returns its number.

        Raises LeaseLost when the lease is no longer held, StoreError when the line cannot be written.
        """
        with self._write(f"the journal of {operation_id}") as c:
            self._leases.check(lease, c)
            line = {
                "operation_id": operation_id,
                "direction": direction,
                "number": number,
                "stage": stage,
                "lane": lane,
                "step": step,
                "phase": str(phase),
                "text": text,
                "detail": dict(detail or {}),
                "token": lease.token,
                "at": self._clock(),
            }
            return int(c.execute(_LINE, line).scalar_one())

    def journal(self, operation_id: str, after: int = 0) -> list[JournalEntry]:
        """Journal lines of an operation in order; `after`: only those with a greater `seq`."""
        return [_entry(row) for row in self._all(_LINES, {"wanted": operation_id, "after": after})]

    def approve(self, record: ApprovalRecord) -> int:
        """Keeps an approval (its `id` is ignored) and returns its number."""
        with self._write(f"the approval of {record.operation_id}") as c:
            return self.approving(record, c)

    def approving(self, record: ApprovalRecord, c: Connection) -> int:
        """`approve` within a transaction."""
        values = {k: getattr(record, k) for k in record.__dataclass_fields__ if k != "id"}
        return int(c.execute(insert(approvals).values(values).returning(approvals.c.id)).scalar_one())

    def approvals(self, operation_id: str) -> list[ApprovalRecord]:
        """Approvals of an operation, newest first."""
        query = select(approvals).where(approvals.c.operation_id == operation_id).order_by(approvals.c.id.desc())
        return [ApprovalRecord(**row._mapping) for row in self._all(query)]


def _operation(row: Row[Any]) -> OperationRecord:
    return OperationRecord(**{**row._mapping, "state": State(row.state)})


def _entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(**{**row._mapping, "phase": Phase(row.phase)})


__all__ = [
    "ENDED",
    "ApprovalRecord",
    "JournalEntry",
    "OperationRecord",
    "OperationsRepository",
    "Phase",
    "State",
]
