"""The SQL half as one object: the Spark server, the catalog, sessions, publishing of pipelines' tables, reconciling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from emulator.catalog import Catalog, SchemaRecord, TableRecord


@dataclass(frozen=True)
class StatementResult:
    """Rows of one statement: an Arrow table, each column's Databricks type text, and whether `row_limit` cut it."""

    table: pa.Table
    type_texts: tuple[str, ...]
    truncated: bool


class SqlWorkspace:
    """Made once by the emulator's process. `start()` brings Spark up and reconciles; `stop()` ends it within 10 s.

    data: the workspace's folder. groups_of: group names of a principal. driver_memory: e.g. `4g`.
    on_statement: called after each finished statement (principal, text, read names, written names, started, seconds, error).
    """

    def __init__(
        self,
        data: Path,
        groups_of: Callable[[str], set[str]],
        *,
        driver_memory: str = "4g",
        on_statement: Callable[..., None] | None = None,
    ) -> None:
        raise NotImplementedError

    catalog: Catalog
    catalog_db: Path

    @property
    def remote_url(self) -> str:
        """`sc://127.0.0.1:PORT` of the running Spark Connect server."""
        raise NotImplementedError

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def register_virtual(self, full_name: str, schema: pa.Schema, provider: Callable[[], pa.Table]) -> None:
        """Answer SELECTs on e.g. `system.billing.usage` with the provider's rows, made afresh for each statement."""

    # DDL for REST: metadata and Spark together, checked for `actor`
    def create_catalog(self, name: str, actor: str, comment: str | None = None) -> None: ...
    def drop_catalog(self, name: str, actor: str, force: bool = False) -> None: ...
    def create_schema(self, full_name: str, actor: str, comment: str | None = None) -> SchemaRecord: ...  # type: ignore[empty-body]
    def drop_schema(self, full_name: str, actor: str, force: bool = False) -> None: ...
    def drop_table(self, full_name: str, actor: str) -> None: ...
    def table(self, full_name: str) -> TableRecord:
        """The record with its columns fresh from Spark."""
        raise NotImplementedError

    # pipelines
    def hidden_schema(self, pipeline_id: str) -> str:
        """Name of the Spark schema that holds a pipeline's own tables; created when missing."""
        raise NotImplementedError

    def publish_materialized_view(
        self, pipeline_id: str, full_name: str, hidden_table: str, version: int, *, owner: str,
        comment: str | None = None, table_type: str = "MATERIALIZED_VIEW", properties: Mapping[str, str] | None = None,
    ) -> None:
        """Show version `version` of Spark table `hidden_table` (`schema.table` as Spark has it) as `full_name`, atomically for
        readers, keeping grants. SqlError TABLE_OR_VIEW_ALREADY_EXISTS if the name is not this pipeline's."""

    def unpublish(self, pipeline_id: str, full_name: str | None = None) -> None:
        """Take one dataset, or all of the pipeline, out of the catalog with its grants and hidden tables."""

    def execute(
        self, principal: str, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *,
        catalog: str | None = None, schema: str | None = None, row_limit: int | None = None,
        cancel_key: str | None = None,
    ) -> StatementResult:
        """Run one statement to its end (statement execution API, small reads). Raises SqlError."""
        raise NotImplementedError

    def cancel(self, cancel_key: str) -> None:
        """Interrupt what `execute` or a Thrift operation runs under that key."""
