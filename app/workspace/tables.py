"""Tables and views of Unity Catalog: state, grants, what hangs on a name, and the statements of the swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from app.workspace.links import Links
from app.workspace.rest import Rest

if TYPE_CHECKING:
    from app.workspace.sql import Sql


@dataclass(frozen=True)
class Column:
    """A column; `type` is the platform's type text (`decimal(10,2)`)."""

    name: str
    type: str
    nullable: bool
    comment: str | None
    mask: str | None = None


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege given directly on a table or view (nothing inherited). privilege as in `SELECT`, `APPLY_TAG`."""

    principal: str
    privilege: str


@dataclass(frozen=True)
class Hangers:
    """What hangs on a table's name and what a view in its place would not carry.

    unknown: what could not be read, with the reason; such a thing may exist.
    """

    row_filter: str | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    column_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    comment: str | None = None
    column_comments: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableState:
    """A table or view as the catalog has it now; where it does not exist, only `name` means something.

    table_type: MANAGED, EXTERNAL, VIEW, MATERIALIZED_VIEW, STREAMING_TABLE, FOREIGN, ...
    pipeline_id: the pipeline that owns it. view_definition: the view's query.
    """

    name: str
    exists: bool
    table_type: str | None = None
    owner: str | None = None
    pipeline_id: str | None = None
    table_id: str | None = None
    view_definition: str | None = None
    comment: str | None = None
    columns: tuple[Column, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    row_filter: str | None = None
    constraints: tuple[str, ...] = ()
    storage_location: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def is_view(self) -> bool:
        """An ordinary view."""
        return self.table_type == "VIEW"

    @property
    def is_pipeline_owned(self) -> bool:
        """A materialized view or streaming table: the platform refuses rename, drop and replace."""
        return self.table_type in ("MATERIALIZED_VIEW", "STREAMING_TABLE") or self.pipeline_id is not None

    @property
    def serves(self) -> str | None:
        """The three-level name that a plain `SELECT * FROM c.s.t` view serves; None for any other view, and for tables."""
        raise NotImplementedError


@dataclass(frozen=True)
class DeltaVersion:
    """The newest entry of a Delta table's history. rows: written by that operation, None where it does not say."""

    version: int
    timestamp: datetime
    operation: str
    rows: int | None


@dataclass(frozen=True)
class GrantChange:
    """What has to be added to or removed from one principal."""

    principal: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class Privileges:
    """What the acting principal may do with a table. missing: `GRANT` statements or sentences that would mend it."""

    principal: str
    table: str
    owner: bool
    effective: frozenset[str]
    missing: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def sufficient(self) -> bool:
        """Nothing is missing and nothing is unknown."""
        return not self.missing and not self.unknown


def grant_changes(current: frozenset[Grant], wanted: frozenset[Grant]) -> tuple[GrantChange, ...]:
    """What turns `current` into exactly `wanted`, removals included; empty where they are equal."""
    raise NotImplementedError


class Tables:
    """Tables of the workspace. Statements of the swap are those of `app.workspace.statements`. Raises WorkspaceError."""

    def __init__(self, rest: Rest, sql: Sql, links: Links) -> None:
        self._rest = rest
        self._sql = sql
        self._links = links

    def state(self, name: str) -> TableState:
        """The table as it is now; `exists=False` where the catalog has none of that name."""
        raise NotImplementedError

    def exists(self, name: str) -> bool:
        """Whether the catalog has a table or view of that name."""
        return self.state(name).exists

    def hangers(self, name: str) -> Hangers:
        """Everything that hangs on the name; what cannot be read is in `unknown`, never left out."""
        raise NotImplementedError

    def version(self, name: str) -> DeltaVersion | None:
        """The newest version of a Delta table; None for what has no history (views, materialized views)."""
        raise NotImplementedError

    def count(self, name: str) -> int:
        """Rows of a table or view."""
        raise NotImplementedError

    def grants(self, name: str) -> frozenset[Grant]:
        """Privileges given directly on the table or view."""
        raise NotImplementedError

    def restore_grants(self, name: str, wanted: frozenset[Grant]) -> tuple[GrantChange, ...]:
        """Makes the direct grants exactly `wanted`, additional ones removed; gives what was changed.

        Reads back; fails where they still differ.
        """
        raise NotImplementedError

    def rename(self, old: str, new: str) -> None:
        """Renames a table."""
        raise NotImplementedError

    def create_view(self, name: str, over: str, comment: str | None = None) -> None:
        """Creates view `name` that serves `over`; fails where the name is taken."""
        raise NotImplementedError

    def alter_view(self, name: str, over: str) -> None:
        """Points view `name` at `over`; grants stay."""
        raise NotImplementedError

    def drop_view(self, name: str) -> None:
        """Drops a view (a table is refused)."""
        raise NotImplementedError

    def set_owner(self, name: str, principal: str) -> None:
        """Gives the table or view to `principal`."""
        raise NotImplementedError

    def set_comment(self, name: str, comment: str | None) -> None:
        """Sets or removes the comment."""
        raise NotImplementedError

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        raise NotImplementedError

    def swap_privileges(self, name: str) -> Privileges:
        """Whether the acting principal may rename table `name`, put a view in its place, and grant on it."""
        raise NotImplementedError

    def read_privileges(self, name: str) -> Privileges:
        """Whether the acting principal may SELECT from `name`."""
        raise NotImplementedError
