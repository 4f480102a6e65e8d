"""What operations need of the workspace, and nothing more: the one seam between decisions and effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from app.operations.steps import Grant, StartUpdate

Kind = Literal["table", "view", "pipeline", "other", "absent"]


@dataclass(frozen=True)
class Relation:
    """What a name stands for now.

    kind: `table` (MANAGED or EXTERNAL), `view`, `pipeline` (materialized view or streaming table), `other`, `absent`.
    over: for a view that is `SELECT * FROM <one relation>`, that relation's three-level name; else None.
    version: what identifies its rows (see `compared`): the last Delta version that changed them, or for a pipeline's
        table the newest update; None if unknown.
    hangers: what hangs on the name and no view can carry (`row filter`, `column mask`, ...) to a text for people.
    unknown: what could not be read and may hang there.
    column_comments: column to its comment, of those that have one.
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
    unknown: tuple[str, ...] = ()
    version: str | None = None
    column_comments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class JobState:
    """A job's id, name and what starts it. paused: None if it has no schedule, trigger or continuous block.

    block: name of the field of its settings that says so (`schedule`, `trigger`, `continuous`, ...), or `none`.
    """

    job_id: int
    name: str
    paused: bool | None
    block: str
    settings: str
    """The complete block as canonical JSON without pause_status, as it is sent back when pausing."""
    url: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    """Name and default of every job parameter, in the job's order."""


@dataclass(frozen=True)
class PipelineState:
    """A pipeline, its last completed update and the datasets that it publishes."""

    pipeline_id: str
    name: str
    last_update: str | None
    datasets: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Privileges:
    """missing: what whoever runs this lacks, one sentence or GRANT statement each. unknown: what could not be told."""

    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


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
    """The workspace. Every method may raise WorkspaceError; after one a write may or may not have landed."""

    def relation(self, name: str) -> Relation:
        """What a name stands for, with owner, columns and grants, by fresh reads; kind `absent` if nothing has it.

        Comments, tags, hangers, unknown and version are not read: they are empty whatever the catalog holds.
        """

    def inspect(self, name: str) -> Relation:
        """As `relation`, with comments, the version of its data and, of a table, all that hangs on the name."""

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        """Tags set on a table or view itself, by a fresh read, sorted; empty if nothing has the name."""

    def job(self, name: str, job_id: int | None = None) -> JobState:
        """A job by name; by id where that is given."""

    def pipeline(self, name: str) -> PipelineState:
        """A pipeline by name."""

    def active_runs(self, job_id: int) -> Sequence[str]:
        """Runs of a job that have not ended, as ids."""

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        """Updates of a pipeline that have not ended, as ids."""

    def privileges(self, swap: Sequence[str], read: Sequence[str], jobs: Sequence[int]) -> Privileges:
        """Whether whoever runs this may rename and replace `swap`, read `read`, and pause `jobs`."""

    def execute(self, sql: str) -> None:
        """Runs one statement on the warehouse."""

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of one query."""

    def grant(self, relation: str, grants: Sequence[Grant]) -> None:
        """Adds privileges on a relation; what is there stays."""

    def revoke(self, relation: str, grants: Sequence[Grant]) -> None:
        """Takes privileges away."""

    def set_paused(self, job_id: int, paused: bool) -> None:
        """Reads the job, sends its complete block with the other pause status."""

    def set_parameters(self, job_id: int, values: Sequence[tuple[str, str]]) -> None:
        """Reads the job, sends all of its parameters with these values; a name that it lacks is refused."""

    def run_now(self, job_id: int, token: str) -> str:
        """Starts a run; the same token gives the same run. Returns the run's id."""

    def start_update(self, step: StartUpdate) -> str:
        """Starts an update and returns its id."""

    def updates_like(self, step: StartUpdate, after: datetime, until: datetime) -> Sequence[str]:
        """Ids of updates that were created between two moments by a call that asked for what the step asks for."""

    def run_state(self, run_id: str) -> str:
        """State of a run, to read back that it exists."""

    def update_state(self, pipeline_id: str, update_id: str) -> str:
        """State of an update, to read back that it exists."""

    def written(self, table: str, old: str, new: str, watermark: Sequence[str]) -> Written:
        """How many rows `new` has that are later than `old`'s latest; a problem is told, never raised."""

    def fingerprint(self, relation: str) -> tuple[int, str]:
        """Row count and an order-free hash over all rows."""
