"""One sampled row in clear, for an operator who says why: audited before it is read, and what came of it after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from app.access import Actor, Refused, RolesOf, require
from app.config.migration import Role
from app.store.audit import AuditRepository
from app.store.parity import ParityRepository
from databricks_client.errors import WorkspaceError
from validation.errors import SideUnreadable, SpecError, StatementError
from validation.report import ParityReport, Sample, SideState
from validation.reveal import Revealed, reveal
from validation.spec import ComparisonSpec
from validation.warehouse import Warehouse

ACTION = "parity.reveal"


@dataclass(frozen=True)
class Sampled:
    """One sample of a stored report: `number` counts from 1 in the order of the report."""

    parity_id: str
    table: str
    number: int

    @property
    def subject(self) -> str:
        """What the audit log calls it."""
        return f"{self.parity_id} {self.table} row {self.number}"


def reveal_row(
    sampled: Sampled,
    actor: Actor,
    why: str,
    *,
    parity: ParityRepository,
    audit: AuditRepository,
    roles_of: RolesOf,
    open_warehouse: Callable[[], AbstractContextManager[Warehouse]],
) -> dict[str, Revealed]:
    """The sampled row of `baseline` and of `candidate`, at most one each. They are kept nowhere.

    The audit log has `allowed` before anything is read and then `done`, with the rows that were shown of each side and
    those that have the same key. Raises Refused where the actor may not, gives no reason, or the row cannot be found or
    read; that is audited too. Raises StoreError where the log cannot be written: then nothing is shown.
    """

    def audited(outcome: str, reason: str, detail: Mapping[str, Any] | None = None) -> None:
        audit.append(
            actor=actor.user_name, source=actor.source, local=actor.local, action=ACTION, outcome=outcome,
            subject=sampled.subject, reason=reason, detail=detail,
        )  # fmt: skip

    try:
        require(actor.user_name, Role.OPERATOR, roles_of, "revealing a row")
        if not why.strip():
            raise Refused("say why the row has to be seen: the reason goes into the audit log")
        spec, sample = _found(sampled, parity)
    except Refused as e:
        audited("refused", str(e))
        raise
    audited("allowed", why.strip())
    try:
        with open_warehouse() as warehouse:
            found = reveal(warehouse, spec, sample)
    except (SpecError, StatementError, SideUnreadable, WorkspaceError) as e:
        # A statement's message may quote the very values that the log must not hold.
        audited("failed", e.kind if isinstance(e, StatementError) else str(e))
        raise Refused(f"the row cannot be read: {e}") from e
    shown = {side: int(f.row is not None) for side, f in found.items()}
    audited("done", why.strip(), {"shown": shown, "same_key": {side: f.same_key for side, f in found.items()}})
    return found


def _found(sampled: Sampled, parity: ParityRepository) -> tuple[ComparisonSpec, Sample]:
    stored = parity.report(sampled.parity_id, sampled.table)
    if stored is None:
        raise Refused(f"there is no report of {sampled.table} in comparison {sampled.parity_id}")
    report = ParityReport.from_dict(stored)
    if not 1 <= sampled.number <= len(report.samples):
        raise Refused(f"the report of {sampled.table} has no sampled row {sampled.number}")
    spec = ComparisonSpec.from_dict(report.spec)
    return (
        replace(
            spec,
            hash_key=parity.hash_key(sampled.parity_id) or "",
            baseline_version=_version(report.baseline, spec.baseline_version),
            candidate_version=_version(report.candidate, spec.candidate_version),
        ),
        report.samples[sampled.number - 1],
    )


def _version(side: SideState, asked: int | None) -> int | None:
    """The Delta version that was compared, so that the row is found though the table moved on."""
    before = side.version_before or ""
    return int(before.removeprefix("delta:")) if side.pinned and before.startswith("delta:") else asked
