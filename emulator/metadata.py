"""What Unity Catalog's metadata are made of: catalogs, schemas, tables, grants; and its words of refusal about them.

Times are milliseconds since the epoch, as in the REST API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.dialect.names import spark_part, spark_schema
from emulator.sql.errors import SqlError

MANAGED = "MANAGED"
EXTERNAL = "EXTERNAL"
VIEW = "VIEW"
MATERIALIZED_VIEW = "MATERIALIZED_VIEW"
STREAMING_TABLE = "STREAMING_TABLE"
PIPELINE_TYPES = frozenset({MATERIALIZED_VIEW, STREAMING_TABLE})
_BAD_NAME = re.compile(r"[\x00-\x20./\x7f]")


@dataclass(frozen=True)
class ColumnRecord:
    """A column as Unity's ColumnInfo has it. position counts from 0."""

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

    @property
    def key(self) -> tuple[str, str, str]:
        return self.catalog_name, self.schema_name, self.name

    @property
    def is_view(self) -> bool:
        return self.table_type == VIEW

    @property
    def spark_schema(self) -> str:
        return spark_schema(self.catalog_name, self.schema_name)

    @property
    def spark_table(self) -> str:
        return spark_part(self.name)


@dataclass(frozen=True)
class Grant:
    """`principal` has `privilege`; inherited_from is (securable type, full name) where it was given, None if here."""

    principal: str
    privilege: str
    inherited_from: tuple[str, str] | None = None


@dataclass(frozen=True)
class Intent:
    """A change of Spark and catalog together that was started; kept until both have it."""

    id: int
    operation: str
    full_name: str
    pid: int
    pid_start: str
    details: Mapping[str, Any]

    @property
    def abandoned(self) -> bool:
        """Whether the process that began it is gone."""
        return process_start(self.pid) != self.pid_start


def process_start(pid: int) -> str:
    """When a process started, in clock ticks since boot (distinguishes a recycled id); "" if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


_TITLES = {"CATALOG": "Catalog", "SCHEMA": "Schema", "TABLE": "Table", "METASTORE": "Metastore"}


def no_permission(privilege: str, securable_type: str, full_name: str) -> SqlError:
    """INSUFFICIENT_PERMISSIONS in the service's words."""
    return SqlError(
        "INSUFFICIENT_PERMISSIONS",
        "Insufficient privileges:\nUser does not have "
        f"{privilege.replace('_', ' ')} on {_TITLES.get(securable_type, securable_type.title())} '{full_name}'.",
    )


def table_not_found(key: Sequence[str], place: str = "") -> SqlError:
    """TABLE_OR_VIEW_NOT_FOUND naming all given parts. place: `; line 1 pos 14` or nothing."""
    name = ".".join(f"`{part}`" for part in key)
    return SqlError(
        "TABLE_OR_VIEW_NOT_FOUND",
        f"The table or view {name} cannot be found. Verify the spelling and correctness of the schema and catalog.\n"
        "If you did not qualify the name with a schema, verify the current_schema() output, or "
        "qualify the name with the "
        "correct schema and catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS or DROP TABLE IF EXISTS.",
        place=place,
    )


def table_exists(key: Sequence[str]) -> SqlError:
    """TABLE_OR_VIEW_ALREADY_EXISTS."""
    name = ".".join(f"`{part}`" for part in key)
    return SqlError(
        "TABLE_OR_VIEW_ALREADY_EXISTS",
        f"Cannot create table or view {name} because it already exists.\nChoose a different name, "
        "drop or replace the existing "
        "object, or add the IF NOT EXISTS clause to tolerate pre-existing objects.",
    )


def check_name(name: str) -> None:
    """Raises INVALID_PARAMETER_VALUE for what Unity takes as the name of no catalog, schema or table."""
    if not name or _BAD_NAME.search(name) or len(name) > 255:
        raise SqlError(
            "INVALID_PARAMETER_VALUE",
            f'name "{name}" is not a valid name. Valid names must not contain spaces, periods, forward slashes or '
            "control characters and have at most 255 characters.",
        )
