"""What a plan is: frozen, hashed, and the only thing that preview, approval, engine and journal speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from app.operations import job_access
from app.operations.model import Model
from app.operations.plan_hash import as_json, hash_of
from app.operations.steps import PlannedStep
from app.operations.world import JobState, PipelineState, Privileges, Relation, Written
from app.progress.evidence import Finding
from app.store.audit import canonical


class Kind(StrEnum):
    """What can be planned."""

    START_UPDATE = "start-update"
    RUN_NOW = "run-now"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    REHEARSE = "rehearse"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    DROP_BACKUP = "drop-backup"


CONVERGING = frozenset({Kind.CUTOVER, Kind.ROLLBACK})
"""What leaves every name on one side, whatever happens on the way."""

DECOMMISSION = frozenset({Kind.ARCHIVE, Kind.UNARCHIVE, Kind.DROP_BACKUP})
"""What ends the old side, and what takes the reversible part of that back."""

APPROVED = frozenset({Kind.CUTOVER}) | DECOMMISSION
"""What a second person has to approve."""


@dataclass(frozen=True)
class GateVerdict:
    """A gate as it was judged: what `app.progress` found, or why nothing could be found. Only PASS lets through."""

    key: str
    title: str
    finding: Finding

    @property
    def blocks(self) -> bool:
        """Whether this gate stops the operation. INCONCLUSIVE stops it just as FAIL does."""
        return not self.finding.passed


@dataclass(frozen=True)
class Observation:
    """The world as a plan saw it.

    jobs: side (`baseline`, `candidate`) to job. evidence: what the plan rests on, e.g. table to parity run.
    active: runs and updates that had not ended. unfinished: operations that were started and are not at an end.
    Time, activity, privileges and row counts are not part of the fingerprint: they pass by themselves, and gates and
    steps look at them again.
    """

    as_of: datetime
    relations: tuple[Relation, ...] = ()
    jobs: tuple[tuple[str, JobState], ...] = ()
    pipelines: tuple[PipelineState, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    active: tuple[str, ...] = ()
    privileges: Privileges = field(default_factory=Privileges)
    unfinished: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()

    def pinned(self, *, schedules: bool = True) -> dict[str, Any]:
        """What must not change between planning and acting, as plain values; on demand without what is paused."""
        jobs = {side: asdict(j) for side, j in self.jobs}
        if not schedules:
            for job in jobs.values():
                del job["paused"]
        return {
            "relations": {r.name: asdict(r) for r in self.relations},
            "jobs": jobs,
            "pipelines": {p.name: asdict(p) for p in self.pipelines},
            "evidence": dict(self.evidence),
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over `pinned()`."""
        return hashlib.sha256(canonical(self.pinned()).encode()).hexdigest()

    def fingerprint_of(self, names: Iterable[str]) -> str:
        """Fingerprint of some relations alone. Raises KeyError for one that was not observed."""
        return Observation(self.as_of).with_relations(self.relation(n) for n in names).fingerprint

    def with_relations(self, relations: Iterable[Relation]) -> Observation:
        """The observation with these relations in place of those of the same names."""
        changed = {r.name: r for r in relations}
        kept = tuple(r for r in self.relations if r.name not in changed)
        return replace(self, relations=(*kept, *changed.values()))

    @property
    def model(self) -> Model:
        """The observed names and jobs, as steps read them."""
        return Model.of(self.relations, (j for _, j in self.jobs), job_access.of_evidence(self.evidence))

    def relation(self, name: str) -> Relation:
        """The observed state of a name. Raises KeyError if it was not looked at."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Relation]:
        return {r.name: r for r in reversed(self.relations)}

    def job(self, side: str) -> JobState:
        """The observed job of a side. Raises KeyError if it was not looked at."""
        return dict(self.jobs)[side]

    def find_job(self, side: str) -> JobState | None:
        """The observed job of a side; None if there was none to be seen."""
        return dict(self.jobs).get(side)


@dataclass(frozen=True)
class Plan:
    """One operation, whole, before anything happens.

    operation_id: minted with the plan; submitting the plan any number of times makes one operation of this id.
    method: per table name `view` or `rename`. inverse: the steps that would undo all of it.
    notes: what people must know (what is not kept, which grants a view cannot carry).
    confirmation: the text that has to be typed. format: which fields the hash covers (see `plan_hash`).
    """

    operation_id: str
    kind: Kind
    args: Mapping[str, Any]
    requested_by: str
    created_at: datetime
    expires_at: datetime
    migration: str
    digest: str
    observation: Observation
    method: Mapping[str, Literal["view", "rename"]]
    steps: tuple[PlannedStep, ...]
    inverse: tuple[PlannedStep, ...]
    gates: tuple[GateVerdict, ...]
    notes: tuple[str, ...]
    confirmation: str
    needs_approval: bool
    format: int = 1

    @cached_property
    def hash(self) -> str:
        """What approvals, journal and audit log name: SHA-256 over everything that authorizes (see `plan_hash`)."""
        return hash_of(as_json(self))

    @property
    def blocking(self) -> tuple[GateVerdict, ...]:
        """The gates that stop it now."""
        return tuple(g for g in self.gates if g.blocks)
