"""What operations need of the workspace, and nothing more: the one seam between decisions and effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from app.operations.steps import Grant, StartUpdate

Kind = Literal["table", "view", "pipeline", "other", "absent"]


class WorldError(Exception):
    """The workspace refused or did not answer: one line. `retryable`: the same call may succeed later."""

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable


@dataclass(frozen=True)
class Relation:
    """What a name stands for now.

    kind: `table` (MANAGED or EXTERNAL), `view`, `pipeline` (materialized view or streaming table), `other`, `absent`.
    over: for a view that is `SELECT * FROM <one relation>`, that relation's three-level name; else None.
    version: Delta version, or for a pipeline's table the update that made it; None if unknown.
    hangers: what hangs on the name: `row_filter`, `masks`, `constraints`, `shares`, ... to a text for people.
    """

    name: str
    kind: Kind
    table_type: str = ""
    table_id: str | None = None
    owner: str | None = None
    pipeline_id: str | None = None
    definition: str | None = None
    over: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    grants: tuple[Grant, ...] = ()
    comment: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    hangers: tuple[tuple[str, str], ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class JobState:
    """A job's id, name and what starts it. paused: None if it has no schedule, trigger or continuous block."""

    job_id: int
    name: str
    paused: bool | None
    block: Literal["schedule", "trigger", "continuous", "none"]
    settings: str
    """The complete block as canonical JSON without pause_status, as it is sent back when pausing."""
    url: str = ""


@dataclass(frozen=True)
class PipelineState:
    """A pipeline, its last completed update and the datasets that it publishes."""

    pipeline_id: str
    name: str
    last_update: str | None
    datasets: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Written:
    """What a relation holds that the kept old table does not: for telling what a rollback cannot keep.

    newer: rows whose watermark is later than the old table's latest; None where no watermark column is known.
    """

    table: str
    old_rows: int | None
    new_rows: int | None
    newer: int | None
    problem: str = ""


class World(Protocol):
    """The workspace. Every method may raise WorldError; after an error a write may or may not have landed."""

    def relation(self, name: str) -> Relation:
        """State of a name by fresh reads; kind `absent` if nothing has it."""

    def job(self, name: str, job_id: int | None) -> JobState:
        """A job by name (or by id where it is pinned)."""

    def pipeline(self, name: str) -> PipelineState:
        """A pipeline by name."""

    def active_runs(self, job_id: int) -> Sequence[str]:
        """Runs of a job that have not ended, as ids."""

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        """Updates of a pipeline that have not ended, as ids."""

    def missing_privileges(self, needs: Mapping[str, frozenset[str]]) -> Sequence[str]:
        """What whoever runs this lacks of `needs` (relation or schema -> privileges), one text each."""

    def execute(self, sql: str) -> None:
        """Runs one statement on the warehouse."""

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of one query."""

    def grant(self, relation: str, grants: Sequence[Grant]) -> None:
        """Adds privileges on a relation; what is there stays."""

    def set_paused(self, job_id: int, paused: bool) -> None:
        """Reads the job, sends its complete block with the other pause status."""

    def run_now(self, job_id: int, token: str) -> str:
        """Starts a run; the same token gives the same run. Returns the run's id."""

    def start_update(self, step: StartUpdate) -> str:
        """Starts an update and returns its id."""

    def updates_since(self, pipeline_id: str, since: datetime) -> Sequence[str]:
        """Ids of updates created at or after a moment, newest first."""
