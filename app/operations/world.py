"""What operations need of the workspace, and nothing more: the one seam between decisions and effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app.operations.requests import Call

if TYPE_CHECKING:
    from databricks_client.statement_execution import Sent

Kind = Literal["table", "view", "pipeline", "other", "absent"]


@dataclass(frozen=True)
class Grant:
    """Privileges of one principal on one relation, sorted by name."""

    principal: str
    privileges: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """What a name stands for now.

    kind: `table` (MANAGED or EXTERNAL), `view`, `pipeline` (materialized view or streaming table), `other`, `absent`.
    over: for a view that is `SELECT * FROM <one relation>`, that relation's three-level name; else None.
    version: what identifies its rows (see `compared`): the last Delta version that changed them, or for a pipeline's
        table the newest update; None if unknown.
    hangers: what is attached to the name and no view can carry (`row filter`, `column mask`, ...) to a text for people.
    unknown: what could not be read and may be attached.
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


AccessEntry = tuple[str, str, str]
"""Who has which level on a job: field of the permissions API (`user_name`, `group_name`, ...), name, level."""


@dataclass(frozen=True)
class JobAccess:
    """Who may do what with a job. entries: what was given on the job itself, sorted; inherited levels are not among
    them. me: the acting principal's name; admin: whether it manages every job."""

    entries: tuple[AccessEntry, ...] = ()
    me: str = ""
    admin: bool = False


@dataclass(frozen=True)
class Views:
    """Views of the workspace that may read a table. naming: those whose definition names it, as three-level names;
    hidden: those whose definition the acting principal cannot read."""

    naming: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineState:
    """A pipeline and its last completed update: a plan is stale once another one completed.

    datasets: always empty. Hashes of approved plans cover every field, so none is removed.
    """

    pipeline_id: str
    name: str
    last_update: str | None
    datasets: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Privileges:
    """missing: what the acting principal lacks, each a sentence or GRANT statement. unknown: what could not be read."""

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


def absent(name: str) -> Relation:
    """A name that nothing has."""
    return Relation(name, "absent")


class Seen(Protocol):
    """What a step reads to decide: the workspace by fresh reads, or a model of it (see `app.operations.model`)."""

    def relation(self, name: str) -> Relation:
        """What a name stands for, with owner, columns and grants; kind `absent` if nothing has it.

        Comments, tags, hangers, unknown and version are not read: they are empty whatever the catalog holds.
        """

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        """Tags set on a table or view itself, sorted; empty if nothing has the name."""

    def job(self, name: str, job_id: int | None = None) -> JobState:
        """A job by name; by id where that is given."""

    def job_access(self, job_id: int) -> JobAccess:
        """Who may do what with a job. Only who may manage it can read that."""


class World(Seen, Protocol):
    """The workspace, by fresh reads. Every method may raise WorkspaceError; after one a write may or may not have
    landed."""

    def inspect(self, name: str) -> Relation:
        """As `relation`, with comments, the version of its data and, of a table, everything attached to the name."""

    def pipeline(self, name: str) -> PipelineState:
        """A pipeline by name."""

    def active_runs(self, job_id: int) -> Sequence[str]:
        """Runs of a job that have not ended, as ids."""

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        """Updates of a pipeline that have not ended, as ids."""

    def privileges(self, swap: Sequence[str], read: Sequence[str], jobs: Sequence[int]) -> Privileges:
        """Whether the acting principal may rename and replace `swap`, read `read`, and pause `jobs`."""

    def views_naming(self, name: str) -> Views:
        """Views of every catalog whose definition names this table, or cannot be read."""

    def readers(self, name: str, since: datetime) -> Sequence[str]:
        """What read a table since then, by lineage, each in a few words; what this principal queried is left out."""

    def execute(self, sql: str, seconds: float | None = None) -> str:
        """Runs one statement that changes something on the warehouse, sent once; gives its id. seconds: how long it may
        take, None: as the settings say. Raises NotSent where a fence kept it back, Unsettled where it may take effect
        later."""

    def open_statements(self) -> Sequence[Sent]:
        """Statements of operations that change something and have not ended, whoever sent them."""

    def cancel_statement(self, statement_id: str) -> None:
        """Requests the end of a statement."""

    def sees_statement(self, statement_id: str) -> bool:
        """Whether the query history shows a statement to this principal, ended or not."""

    def ensure_running(self, say: Callable[[str], object], check: Callable[[], object]) -> float:
        """Starts the SQL warehouse where it does not run, and waits until it does; gives the seconds waited.

        say: gets a line now and then. check: called between two looks; what it raises ends the wait.
        """

    def keep_running(self) -> None:
        """Keeps the SQL warehouse from stopping by itself while nothing else is sent to it."""

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of one query."""

    def send(self, call: Call) -> str:
        """Sends one REST call, once. Returns the id that its answer gives, in the field that `call.answer` names."""

    def newest_updates(self, pipeline_id: str) -> Sequence[str]:
        """Ids of a pipeline's updates, newest first: as many as one call gives."""

    def updates_like(self, pipeline_id: str, body: Mapping[str, Any], known: Sequence[str]) -> Sequence[str]:
        """Ids of updates newer than all `known` ones that an API call with this body created."""

    def run_state(self, run_id: str) -> str:
        """State of a run, to read back that it exists."""

    def update_state(self, pipeline_id: str, update_id: str) -> str:
        """State of an update, to read back that it exists."""

    def written(self, table: str, old: str, new: str, watermark: Sequence[str]) -> Written:
        """How many rows `new` has that are later than `old`'s latest; a problem is returned as text, never raised."""

    def fingerprint(self, relation: str) -> tuple[int, str]:
        """Row count and an order-free hash over all rows."""
