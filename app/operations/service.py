"""The operations that pages, command line and worker ask for: plan, submit, approve, cancel, apply, resume, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.config import Gate, Migration
from app.operations.actor import Actor, Refused, RolesOf
from app.operations.definition import GateVerdict, Kind, Plan
from app.operations.preview import Preview
from app.operations.world import World
from app.progress.evidence import Finding
from app.store.operations import ApprovalRecord, JournalEntry, OperationRecord

Judge = Callable[[Gate], Finding]
"""Judges one gate of the migration file from the evidence there is now."""


@dataclass(frozen=True)
class OperationView:
    """One operation with all that a page shows of it.

    interrupted: it was begun and nobody holds the lease: `resume` or roll back.
    previews: the text of each step, by its number in `plan.steps`.
    """

    record: OperationRecord
    plan: Plan
    previews: tuple[Preview, ...]
    journal: tuple[JournalEntry, ...]
    approvals: tuple[ApprovalRecord, ...]
    interrupted: bool


class OperationsService:
    """Everything that changes the workspace goes through here.

    roles_of: looks up a user's roles now. judge: judges a gate of the migration file. evidence: names of the evidence
    that a cutover rests on (table -> parity run), pinned in its plan.
    """

    def plan(self, kind: Kind, args: Mapping[str, Any], actor: Actor) -> Plan:
        """Looks at the world and makes a plan, kept in the store as PLANNED. Writes nothing to the workspace.

        args: start-update: pipeline, full_refresh, full_refresh_selection, refresh_selection, validate_only;
        run-now, pause, unpause: job (`baseline` or `candidate`); cutover, rollback: none; rehearse: rows.
        Raises Refused where the actor may not or the world allows no such plan; WorldError where it cannot be seen.
        """
        raise NotImplementedError

    def submit(self, plan: Plan | str, actor: Actor, confirmation: str) -> str:
        """Asks for a plan (or its operation id) with the typed confirmation; returns the operation's id.

        Any number of submits of one plan make one operation. Raises Refused.
        """
        raise NotImplementedError

    def approve(self, operation: str, actor: Actor, comment: str = "") -> None:
        """Approves an operation by its id or its plan's hash. Raises Refused."""
        raise NotImplementedError

    def cancel(self, operation_id: str, actor: Actor, comment: str = "") -> None:
        """Withdraws an operation that was not begun, or asks a running one to stop and undo. Raises Refused."""
        raise NotImplementedError

    def apply(self, operation_id: str, executor: str) -> OperationRecord:
        """Carries out a READY operation, to its end. Raises Refused where it may not begin (nothing is written then)."""
        raise NotImplementedError

    def resume(self, operation_id: str, actor: Actor) -> OperationRecord:
        """Goes on with an interrupted operation from where the world is. Raises Refused."""
        raise NotImplementedError

    def rollback(self, actor: Actor, confirmation: str | None = None) -> OperationRecord:
        """Plans, submits and carries out a rollback in this process: the emergency path. Raises Refused."""
        raise NotImplementedError

    def operation(self, operation_id: str) -> OperationView:
        """One operation with its plan, previews and journal. Raises Refused if there is none of that id."""
        raise NotImplementedError

    def operations(self, limit: int = 50) -> Sequence[OperationRecord]:
        """Operations that were asked for, newest first."""
        raise NotImplementedError

    def ready(self) -> Sequence[OperationRecord]:
        """Operations that wait to be carried out, oldest first (for the worker)."""
        raise NotImplementedError

    def serving(self) -> Mapping[str, str]:
        """Which side serves each table now: table -> `baseline`, `candidate` or a sentence that says what is wrong."""
        raise NotImplementedError

    def gates(self) -> Sequence[GateVerdict]:
        """The migration file's gates as they are judged now."""
        raise NotImplementedError


__all__ = ["Actor", "Judge", "Migration", "OperationView", "OperationsService", "Refused", "RolesOf", "World", "datetime"]
