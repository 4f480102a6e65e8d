"""Unity Catalog's metadata: catalogs, schemas, tables, views, owners and grants, in one SQLite file.

No Spark here: `emulator.warehouse` joins these records to the tables. Any process may open the same file (WAL).
Principals are user names, group names or application ids. Times are milliseconds since the epoch, as in the REST API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ADMINS = "admins"


@dataclass(frozen=True)
class ColumnRecord:
    """A column as Unity's ColumnInfo has it."""

    name: str
    type_text: str
    type_json: str
    type_name: str
    position: int
    nullable: bool = True
    comment: str | None = None
    partition_index: int | None = None


@dataclass(frozen=True)
class CatalogRecord:
    name: str
    owner: str
    comment: str | None
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str
    properties: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    @property
    def full_name(self) -> str:
        return self.name


@dataclass(frozen=True)
class SchemaRecord:
    catalog_name: str
    name: str
    owner: str
    comment: str | None
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str
    properties: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.catalog_name}.{self.name}"


@dataclass(frozen=True)
class TableRecord:
    """A table or view. table_type: MANAGED, EXTERNAL, VIEW, MATERIALIZED_VIEW or STREAMING_TABLE."""

    catalog_name: str
    schema_name: str
    name: str
    table_type: str
    owner: str
    comment: str | None
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str
    table_id: str
    pipeline_id: str | None = None
    view_definition: str | None = None
    storage_location: str | None = None
    data_source_format: str | None = "DELTA"
    properties: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[ColumnRecord, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.catalog_name}.{self.schema_name}.{self.name}"


@dataclass(frozen=True)
class Grant:
    """`principal` has `privilege`; inherited_from is (securable type, full name) where it was given, None if here."""

    principal: str
    privilege: str
    inherited_from: tuple[str, str] | None = None


class Catalog:
    """The metadata of one local workspace. Methods raise `emulator.sql.errors.SqlError` with the service's classes.

    path: the SQLite file. groups_of: names of all groups (nested too) that a principal is in; members of `admins` pass
    every check.
    """

    def __init__(self, path: Path, groups_of: Callable[[str], set[str]]) -> None:
        raise NotImplementedError

    # catalogs and schemas (the schema's Spark side is `SqlWorkspace.create_schema`)
    def list_catalogs(self) -> list[CatalogRecord]: ...  # type: ignore[empty-body]
    def get_catalog(self, name: str) -> CatalogRecord: ...  # type: ignore[empty-body]
    def create_catalog(self, name: str, actor: str, comment: str | None = None) -> CatalogRecord: ...  # type: ignore[empty-body]
    def list_schemas(self, catalog: str) -> list[SchemaRecord]: ...  # type: ignore[empty-body]
    def get_schema(self, full_name: str) -> SchemaRecord: ...  # type: ignore[empty-body]
    def list_tables(self, schema_full_name: str) -> list[TableRecord]: ...  # type: ignore[empty-body]
    def get_table(self, full_name: str) -> TableRecord: ...  # type: ignore[empty-body]
    def find_table(self, full_name: str) -> TableRecord | None: ...

    # grants; securable_type: CATALOG, SCHEMA, TABLE
    def grants(self, securable_type: str, full_name: str, principal: str | None = None) -> list[Grant]: ...  # type: ignore[empty-body]
    def effective_grants(self, securable_type: str, full_name: str, principal: str | None = None) -> list[Grant]: ...  # type: ignore[empty-body]
    def update_grants(
        self,
        securable_type: str,
        full_name: str,
        changes: Iterable[tuple[str, Sequence[str], Sequence[str]]],
        actor: str,
    ) -> list[Grant]:
        """changes: (principal, privileges to add, privileges to remove). Needs ownership or MANAGE."""
        raise NotImplementedError

    def is_admin(self, principal: str) -> bool:
        raise NotImplementedError

    def has_privilege(self, principal: str, privilege: str, securable_type: str, full_name: str) -> bool:
        raise NotImplementedError

    def can_see(self, principal: str, securable_type: str, full_name: str) -> bool:
        """Whether listings show it: the principal owns it or holds any privilege on it or on what holds it."""
        raise NotImplementedError
