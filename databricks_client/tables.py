"""Tables and views of Unity Catalog: state, grants, and what is attached to a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote as url_quote

from databricks_client import policies, statements
from databricks_client.answers import Answer
from databricks_client.errors import WorkspaceError
from databricks_client.held import Held, privilege_name
from databricks_client.identity import Identity
from databricks_client.links import Links
from databricks_client.quoting import quote_table, split_table
from databricks_client.rest import Rest
from databricks_client.sql import Sql


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
    """What is attached to a table and would be lost by a view in its place.

    shares: names of the shares that the table or its whole schema is in. policies: attribute-based policies that are
    attached to the table, its schema or its catalog.
    unknown: what could not be read, or not all of it, with the reason; such a thing may exist.
    """

    row_filter: str | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    column_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    policies: tuple[policies.Policy, ...] = ()
    comment: str | None = None
    owner: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableState:
    """A table or view as the catalog has it now; where it does not exist, only `name` means something.

    table_type: MANAGED, EXTERNAL, VIEW, MATERIALIZED_VIEW, STREAMING_TABLE, FOREIGN, ...
    pipeline_id: the pipeline that owns it. view_definition: the view's query. primary_key: columns of its constraint.
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
    updated_by: str | None = None
    primary_key: tuple[str, ...] = ()

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
        """The three-level name that a plain `SELECT * FROM c.s.t` view serves; None for other views and for tables."""
        return served_by(self.view_definition) if self.is_view else None


@dataclass(frozen=True)
class DeltaVersion:
    """An entry of a Delta table's history. rows: written by that operation, None where it does not say."""

    version: int
    timestamp: datetime
    operation: str
    rows: int | None


@dataclass(frozen=True)
class Privileges:
    """What the acting principal may do with a table. missing: `GRANT` statements or sentences that would mend it."""

    principal: str
    table: str
    owner: bool
    effective: frozenset[str]
    missing: tuple[str, ...]
    unknown: tuple[str, ...] = ()


_PART = r"(?:`((?:[^`]|``)+)`|([A-Za-z_0-9$-]+))"
_PLAIN = re.compile(rf"^\s*SELECT\s+\*\s+FROM\s+{_PART}\s*\.\s*{_PART}\s*\.\s*{_PART}\s*;?\s*$", re.IGNORECASE)


def served_by(view_definition: str | None) -> str | None:
    """The three-level name in `SELECT * FROM c.s.t`, unquoted; None for any other query."""
    found = _PLAIN.match(view_definition or "")
    if found is None:
        return None
    groups = found.groups()
    parts = [(groups[i] or "").replace("``", "`") or groups[i + 1] for i in (0, 2, 4)]
    return ".".join(parts)


class Tables:
    """Tables of the workspace. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest, sql: Sql, links: Links, identity: Identity) -> None:
        self._rest = rest
        self._sql = sql
        self._links = links
        self._identity = identity
        self._held = Held(rest, identity)

    # ------------------------------------------------------------------------------------------------------ reading

    def state(self, name: str) -> TableState:
        """The table as it is now; `exists=False` where the catalog has none of that name."""
        split_table(name)
        try:
            info = self._rest.get(f"read table {name}", f"/api/2.1/unity-catalog/tables/{_in_path(name)}")
        except WorkspaceError as e:
            if e.status == 404:
                return TableState(name, exists=False)
            raise
        return _state(name, info)

    def in_schema(self, schema: str) -> tuple[TableState, ...]:
        """Every table and view of a schema that the acting principal sees, by name. schema: as catalog.schema."""
        catalog, _, name = schema.partition(".")
        query = {"catalog_name": catalog, "schema_name": name, "max_results": 0}
        pages = self._rest.pages(f"list tables of {schema}", "/api/2.1/unity-catalog/tables", query)
        found = [_state(f"{schema}.{t.name('name')}", t) for page in pages for t in page.objects("tables")]
        return tuple(sorted(found, key=lambda t: t.name))

    def exists(self, name: str) -> bool:
        """Whether the catalog has a table or view of that name."""
        return self.state(name).exists

    def hangers(self, name: str, state: TableState | None = None) -> Hangers:
        """Everything attached to the table; what cannot be read is in `unknown`, never left out.

        state: what was read just now, to save a call.
        """
        state = state or self.state(name)
        if not state.exists:
            return Hangers()
        catalog, schema, table = split_table(name)
        of_table = {"catalog": catalog, "schema": schema, "name": table}
        unknown: list[str] = []
        information = quote_table(f"{catalog}.information_schema.x").rsplit(".", 1)[0]

        def rows(thing: str, source: str, columns: str, where: str) -> list[Answer]:
            what = f"read {thing} of {name}"
            values = {k: v for k, v in of_table.items() if f":{k}" in where}
            try:
                found = self._sql.query(f"SELECT {columns} FROM {source} WHERE {where}", values, what=what)
                return [Answer(row, what) for row in found]
            except WorkspaceError as e:
                if e.not_found and self._can_query(f"{source.rsplit('.', 1)[0]}.tables"):
                    return []  # The information schema is there and has no such view: the catalog keeps no such thing.
                unknown.append(f"{thing}: {e.cause}")
                return []

        of_this = "schema_name = :schema AND table_name = :name"
        tags: dict[str, str] = {}
        try:
            tags = self.tags(name)
        except WorkspaceError as e:
            unknown.append(f"tags: {e.cause}")
        column_tags = rows("column tags", f"{information}.column_tags", "column_name, tag_name, tag_value", of_this)
        in_share = f"catalog_name = :catalog AND {of_this}"
        shares = rows("shares", f"{_SYSTEM}.table_share_usage", "DISTINCT share_name", in_share)
        whole = rows(
            "shares of its schema",
            f"{_SYSTEM}.schema_share_usage",
            "DISTINCT share_name",
            "catalog_name = :catalog AND schema_name = :schema",
        )
        if blind := self._held.blind_to_shares():
            unknown.append(f"shares: {blind}")
        reaching: tuple[policies.Policy, ...] = ()
        try:
            reaching = policies.of_table(self._rest, name)
        except WorkspaceError as e:
            unknown.append(f"policies: {e.cause}")
        if blind := self._held.blind_to_policies(catalog):
            unknown.append(f"policies: {blind}")
        by_column: dict[str, dict[str, str]] = {}
        for row in column_tags:
            by_column.setdefault(row.name("column_name"), {})[row.name("tag_name")] = (
                row.text_or_none("tag_value") or ""
            )
        return Hangers(
            row_filter=state.row_filter,
            masks={c.name: c.mask for c in state.columns if c.mask},
            constraints=state.constraints,
            tags=tags,
            column_tags=by_column,
            shares=tuple(
                sorted(
                    {row.name("share_name") for row in shares}
                    | {f"{row.name('share_name')} (the whole schema)" for row in whole}
                )
            ),
            policies=reaching,
            comment=state.comment,
            owner=state.owner,
            unknown=tuple(unknown),
        )

    def tags(self, name: str) -> dict[str, str]:
        """Tags set on the table or view itself (none of its schema or columns). Fails where they cannot be read."""
        catalog, schema, table = split_table(name)
        information = quote_table(f"{catalog}.information_schema.x").rsplit(".", 1)[0]
        try:
            rows = self._sql.query(
                f"SELECT tag_name, tag_value FROM {information}.table_tags"
                " WHERE schema_name = :schema AND table_name = :name",
                {"schema": schema, "name": table},
                what=f"read tags of {name}",
            )
        except WorkspaceError as e:
            if e.not_found and self._can_query(f"{information}.tables"):
                return {}  # As in `hangers`: the catalog keeps no tags.
            raise
        found = [Answer(row, f"read tags of {name}") for row in rows]
        return {row.name("tag_name"): row.text_or_none("tag_value") or "" for row in found}

    def _can_query(self, source: str) -> bool:
        try:
            self._sql.query(f"SELECT 1 AS one FROM {source} LIMIT 1", what=f"read {source}")
        except WorkspaceError:
            return False
        return True

    def views_naming(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Views of every catalog whose definition names the table (whole or by its last part), and those whose
        definition the acting principal cannot read: the service shows it to a view's owner."""
        what = f"look for views over {name}"
        rows = self._sql.query(_VIEWS, {"name": split_table(name)[2].lower()}, what=what)
        naming, hidden = list[str](), list[str]()
        for row in (Answer(r, what) for r in rows):
            view = ".".join(row.name(f"table_{part}") for part in ("catalog", "schema", "name"))
            (hidden if row.text_or_none("view_definition") is None else naming).append(view)
        return tuple(sorted(naming)), tuple(sorted(hidden))

    def history_head(self, name: str) -> DeltaVersion:
        """The newest entry of a Delta table's history. Fails for what has none."""
        return self._history(name, 1)[0]

    def rows_version(self, name: str) -> DeltaVersion:
        """The newest entry of a Delta table's history that may have changed its rows. Fails for what has none.

        Optimizing and vacuuming change files alone, and the platform does both by itself. Where nothing else is among
        the newest entries, the oldest of these stands for what is before it.
        """
        entries = self._history(name, _ENTRIES)
        return next((e for e in entries if e.operation not in _MAINTENANCE), entries[-1])

    def _history(self, name: str, entries: int) -> list[DeltaVersion]:
        what = f"read the history of {name}"
        rows = self._sql.query(f"DESCRIBE HISTORY {quote_table(name)} LIMIT {entries}", what=what)
        if not rows:
            raise WorkspaceError(what, "it is empty", "check that it is a Delta table")
        return [_delta_version(Answer(row, what)) for row in rows]

    def count(self, name: str) -> int:
        """Rows of a table or view."""
        rows = self._sql.query(f"SELECT count(*) AS n FROM {quote_table(name)}", what=f"count {name}")
        return Answer(rows[0] if len(rows) == 1 else None, f"count {name}", "its only row").whole("n")

    def grants(self, name: str) -> frozenset[Grant]:
        """Privileges given directly on the table or view (nothing inherited)."""
        # max_results=0 requests pages of the service's own size; a page may be empty and still have a next one.
        pages = self._rest.pages(f"read grants on {name}", f"{_PERMISSIONS}/{_in_path(name)}", {"max_results": 0})
        return frozenset(
            Grant(entry.name("principal"), privilege_name(privilege))
            for page in pages
            for entry in page.objects("privilege_assignments")
            for privilege in entry.names("privileges", required=True)
        )

    # --------------------------------------------------------------------------------------------------- privileges

    def swap_privileges(self, name: str) -> Privileges:
        """Whether the acting principal may rename table `name`, put a view in its place, and grant on it.

        Rename and grant need ownership or MANAGE of the table; the view needs CREATE TABLE on the schema.
        """
        return self._privileges(name, swap=True)

    def read_privileges(self, name: str) -> Privileges:
        """Whether the acting principal may SELECT from `name`."""
        return self._privileges(name, swap=False)

    def _privileges(self, name: str, swap: bool) -> Privileges:
        catalog, schema, _ = split_table(name)
        me = self._identity.me()
        holders = {me.user_name, *(me.groups or ()), "account users"}
        unknown: list[str] = []
        missing: list[str] = []
        owners: dict[str, str | None] = {}
        held: dict[str, frozenset[str]] = {}
        places = (("catalog", catalog), ("schema", f"{catalog}.{schema}"), ("table", name))
        for kind, full_name in places:
            owners[kind] = None
            held[kind] = frozenset()
            try:
                owners[kind] = self._held.owner(kind, full_name)
                by_principal = self._held.effective(kind, full_name)
                held[kind] = frozenset(p for who, ps in by_principal.items() if who in holders for p in ps)
            except WorkspaceError as e:
                if e.status == 404 and kind == "table":
                    missing.append(f"table {name} does not exist, or the acting principal may not see it")
                elif e.denied:
                    # Only who manages a securable may list everyone's privileges; one's own are always listed.
                    held[kind] = self._own(kind, full_name, unknown)
                else:
                    unknown.append(f"privileges on {kind} {full_name}: {e.cause}")
        owns = {kind: owner in holders for kind, owner in owners.items()}
        admin = owns["catalog"] or owns["schema"]

        def has(kind: str, privilege: str) -> bool:
            if owns[kind] or (kind == "schema" and owns["catalog"]) or "ALL_PRIVILEGES" in held[kind]:
                return True
            return privilege in held[kind]

        who = me.user_name
        if not has("catalog", "USE_CATALOG"):
            missing.append(statements.grant_on("CATALOG", catalog, "USE CATALOG", who))
        if not has("schema", "USE_SCHEMA"):
            missing.append(statements.grant_on("SCHEMA", f"{catalog}.{schema}", "USE SCHEMA", who))
        may_manage = owns["table"] or admin or any("MANAGE" in held[k] for k in held)
        if swap:
            if not may_manage:
                missing.append(statements.grant(name, "MANAGE", who))
            if not has("schema", "CREATE_TABLE"):
                missing.append(statements.grant_on("SCHEMA", f"{catalog}.{schema}", "CREATE TABLE", who))
        if not (owns["table"] or {"SELECT", "ALL_PRIVILEGES"} & (held["table"] | held["schema"])):
            missing.append(statements.grant(name, "SELECT", who))
        if unknown:
            # What could not be read may be there: it is unknown, not missing.
            missing = [m for m in missing if not m.startswith("GRANT")]
        return Privileges(who, name, owns["table"], held["table"], tuple(missing), tuple(unknown))

    def _own(self, kind: str, full_name: str, unknown: list[str]) -> frozenset[str]:
        try:
            return self._held.own(kind, full_name)
        except WorkspaceError as e:
            unknown.append(f"privileges on {kind} {full_name}: {e.cause}")
            return frozenset()


_SYSTEM = "system.information_schema"
_PERMISSIONS = "/api/2.1/unity-catalog/permissions/table"

_VIEWS = f"""
SELECT table_catalog, table_schema, table_name, view_definition FROM {_SYSTEM}.views
WHERE (view_definition IS NULL AND is_materialized = 'NO') OR instr(lower(view_definition), :name) > 0
"""
"""A materialized view reads its tables when it is refreshed, which lineage shows."""

_MAINTENANCE = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})
_ENTRIES = 20
"""So many entries of a history are looked at for one that is not maintenance."""


def _delta_version(row: Answer) -> DeltaVersion:
    written = Answer(
        row.texts("operationMetrics", pairs=True), f"read Delta version {row.whole('version')}", "operationMetrics"
    )
    return DeltaVersion(
        version=row.whole("version"),
        timestamp=row.timestamp("timestamp"),
        operation=row.name("operation"),
        rows=written.whole_or_none("numOutputRows"),
    )


def _in_path(full_name: str) -> str:
    return url_quote(full_name, safe="")


def _state(name: str, info: Answer) -> TableState:
    row_filter = info.inner_or_none("row_filter")
    return TableState(
        name=name,
        exists=True,
        table_type=info.word("table_type"),
        owner=info.name_or_none("owner"),
        pipeline_id=info.name_or_none("pipeline_id"),
        table_id=info.name_or_none("table_id"),
        view_definition=info.text_or_none("view_definition"),
        comment=info.text_or_none("comment"),
        columns=tuple(_column(c) for c in info.objects("columns")),
        properties=info.texts("properties"),
        row_filter=row_filter.name("function_name") if row_filter else None,
        constraints=tuple(_constraint(c) for c in info.objects("table_constraints")),
        storage_location=info.text_or_none("storage_location"),
        created_at=info.moment_or_none("created_at"),
        updated_at=info.moment_or_none("updated_at"),
        updated_by=info.text_or_none("updated_by"),
        primary_key=next(
            (
                key.names("child_columns", required=True)
                for c in info.objects("table_constraints")
                if (key := c.inner_or_none("primary_key_constraint"))
            ),
            (),
        ),
    )


def _column(column: Answer) -> Column:
    mask = column.inner_or_none("mask")
    return Column(
        name=column.name("name"),
        type=column.name("type_text"),
        nullable=column.flag("nullable", True),
        comment=column.text_or_none("comment"),
        mask=mask.name("function_name") if mask else None,
    )


def _constraint(constraint: Answer) -> str:
    if key := constraint.inner_or_none("primary_key_constraint"):
        return f"PRIMARY KEY {key.name('name')} ({', '.join(key.names('child_columns', required=True))})"
    if foreign := constraint.inner_or_none("foreign_key_constraint"):
        columns = ", ".join(foreign.names("child_columns", required=True))
        return f"FOREIGN KEY {foreign.name('name')} ({columns}) REFERENCES {foreign.name('parent_table')}"
    if named := constraint.inner_or_none("named_table_constraint"):
        return f"CONSTRAINT {named.name('name')}"
    return "CONSTRAINT of a kind that is not known here"
