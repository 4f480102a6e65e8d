"""The SQL half as one object: the Spark server, the catalog, sessions, publishing of pipelines' tables, reconciling."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException

from emulator.catalog import ACCOUNT_USERS, SYSTEM_OWNER, Catalog
from emulator.dialect.names import hidden_schema_name, literal, quote, quoted, spark_schema
from emulator.metadata import MATERIALIZED_VIEW, PIPELINE_TYPES, Grant, SchemaRecord, TableRecord, table_exists
from emulator.records import now_ms
from emulator.shared.names import folded, folded_path
from emulator.spark_jobs import end_flows
from emulator.spark_server import SparkServer, SparkSettings
from emulator.sql import commands, ddl
from emulator.sql.engine import Engine, StatementHook
from emulator.sql.errors import SqlError
from emulator.sql.job import Job
from emulator.sql.literals import NO_PARAMETERS, bound
from emulator.sql.rows import arrow_schema, columns_of, spark_schema_of, sql_type, type_name
from emulator.sql.session import Context
from emulator.sql.settings import apply_setting
from emulator.sql.spark import SparkLink, SparkPool, new_tag

DEFAULT_CATALOG = "main"
DEFAULT_SCHEMA = "default"


@dataclass(frozen=True)
class StatementResult:
    """Rows of one statement: an Arrow table, each column's type, and whether `row_limit` cut it.

    type_texts: as a statement declares them (`DECIMAL(10,2)`). type_names: the service's names (`LONG`, `STRUCT`).
    """

    table: pa.Table
    type_texts: tuple[str, ...]
    type_names: tuple[str, ...]
    truncated: bool


class SqlWorkspace:
    """Made once by the emulator's process. `start()` brings Spark up and reconciles; `stop()` ends it within 10 s.

    data: the workspace's folder. groups_of: group names of a principal. driver_memory: e.g. `4g`.
    spark_conf: extra settings of the server.
    on_statement: called after each finished statement, with names: principal, text, kind, reads, writes (lists of full
    names), started (seconds since the epoch), seconds, error (text or None).
    remote_url: use a Spark server that runs already instead of starting one.
    """

    def __init__(
        self,
        data: Path,
        groups_of: Callable[[str], set[str]],
        *,
        driver_memory: str = "4g",
        spark_conf: Mapping[str, str] | None = None,
        on_statement: StatementHook | None = None,
        remote_url: str | None = None,
    ) -> None:
        self.data = data.resolve()
        self.catalog_db = self.data / "catalog.sqlite"
        self.catalog = Catalog(self.catalog_db, groups_of)
        self.tables_root = self.data / "tables"
        self.tables_root.mkdir(parents=True, exist_ok=True)
        settings = SparkSettings(driver_memory=driver_memory, conf=spark_conf or {})
        self.server = SparkServer(self.data, settings) if remote_url is None else None
        self._remote_url = remote_url
        self._on_statement = on_statement
        self._virtual: dict[str, Callable[[], pa.Table]] = {}
        self._pool = SparkPool(self._url)
        self._tags: dict[str, tuple[str, SparkLink]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()

    # ---- life

    @property
    def remote_url(self) -> str:
        """`sc://127.0.0.1:PORT` of the running Spark Connect server."""
        if self._remote_url is not None:
            return self._remote_url
        assert self.server is not None
        return self.server.remote_url

    def _url(self) -> str:
        self.wait_up()
        return f"{self.remote_url}#{self.generation}"

    def wait_up(self, seconds: float = 120.0) -> None:
        """Returns once Spark answers; at once unless it is being started again. Raises SqlError after `seconds`."""
        if self.server is not None and not self.server.wait_up(seconds):
            raise SqlError("CANNOT_CONNECT", "The Spark server is not up; see its log in the data folder.", "08000")

    def end_flows(self, hidden_schema: str) -> None:
        """Ends what a stopped update still runs inside Spark; waits some seconds at most. Raises FlowsGoOn."""
        if self.server is not None and self.server.pid is not None:
            end_flows(self.server.ui_port, hidden_schema)

    def start(self) -> None:
        """Bring Spark up, finish what a kill interrupted, make the default catalog. Raises SparkServerError."""
        if self.server is not None:
            self.server.start()
        with self._engine("System user", admin=True) as engine:
            self._reconcile(engine)
            if self.catalog.find_catalog(DEFAULT_CATALOG) is None:
                self.catalog.create_catalog(DEFAULT_CATALOG, "admins", "Default catalog")
            if self.catalog.find_catalog("system") is None:
                self.catalog.create_catalog("system", SYSTEM_OWNER, "System catalog (auto-created)")
                self.catalog.put_grants("CATALOG", "system", [Grant(ACCOUNT_USERS, "USE_CATALOG")], SYSTEM_OWNER)
            if self.catalog.find_schema(DEFAULT_CATALOG, DEFAULT_SCHEMA) is None:
                engine.link.command(f"CREATE DATABASE IF NOT EXISTS {quote('main__default')}")
                self.catalog.create_schema(f"{DEFAULT_CATALOG}.{DEFAULT_SCHEMA}", "admins")
                self.catalog.put_grants("CATALOG", DEFAULT_CATALOG, [Grant(ACCOUNT_USERS, "USE_CATALOG")], SYSTEM_OWNER)
                self.catalog.put_grants("SCHEMA", "main.default", [Grant(ACCOUNT_USERS, "USE_SCHEMA")], SYSTEM_OWNER)

    @property
    def generation(self) -> int:
        """How often the server was started again: sessions of an earlier one are gone."""
        return self.server.restarts if self.server is not None else 0

    def renew(self, engine: Engine) -> None:
        """Give a session whose server was started again a new Spark session; its temporary views are lost."""
        engine.link = self._pool.take()
        engine.context.temp_views.clear()
        kept = dict(engine.context.settings)
        for name, value in kept.items():
            apply_setting(engine, name, value)

    def stop(self) -> None:
        """End sessions and server within 10 s."""
        self._pool.close()
        if self.server is not None:
            self.server.stop()

    def _reconcile(self, engine: Engine) -> None:
        """After a start: abandoned changes first, then whatever Spark and catalog disagree on."""
        engine.recover()
        databases = {str(row) for row in engine.link.command("SHOW DATABASES").collect().column(0).to_pylist()}
        for schema in self.catalog.all_schemas():
            name = spark_schema(schema.catalog_name, schema.name)
            if name not in databases:
                engine.link.command(f"CREATE DATABASE IF NOT EXISTS {quote(name)}")
            rows = engine.link.command(f"SHOW TABLES IN {quote(name)}").collect()
            there = {folded(str(v)) for v in rows.column("tableName").to_pylist()}
            for record in self.catalog.list_tables(schema.full_name):
                if record.spark_table in there or record.data_source_format == "SYSTEM":
                    continue
                self._restore(engine, record)
            known = {record.spark_table for record in self.catalog.list_tables(schema.full_name)}
            for table in sorted(there - known):
                with suppress(PySparkException):
                    engine.drop_orphan(name, table)

    def _restore(self, engine: Engine, record: TableRecord) -> None:
        """A table that the catalog has and Spark lost (a new metastore): its files and definition are here."""
        if record.table_type in ("MANAGED", "EXTERNAL") and record.storage_location:
            with suppress(PySparkException):
                engine.link.command(
                    f"CREATE TABLE {engine.spark_name(record.key)} USING {record.data_source_format or 'DELTA'} "
                    f"LOCATION {literal(record.storage_location)}"
                )
                return
        elif record.view_definition and record.table_type == "VIEW":
            # Its query may name views that come later; a second start mends those.
            with suppress(PySparkException, SqlError):
                text = f"CREATE VIEW {quoted(record.key)} AS {record.view_definition}"
                job = Job(engine, text, NO_PARAMETERS, None)
                job.resolve()
                job.command(job.rendered(calls=False))
                return

    # ---- sessions

    @contextmanager
    def _engine(self, principal: str, *, admin: bool = False) -> Iterator[Engine]:
        link = self._pool.take()
        catalog = Catalog(self.catalog_db, lambda _: {"admins"}) if admin else self.catalog
        try:
            yield Engine(link, catalog, Context(principal), self.tables_root, self._virtual)
        finally:
            self._pool.give(link, clean=True)

    def session(self, principal: str, catalog: str | None = None, schema: str | None = None) -> Engine:
        """A session for one principal; give it back with `release`. Raises SqlError for an unknown namespace."""
        context = Context(principal, folded(catalog or DEFAULT_CATALOG), folded(schema or DEFAULT_SCHEMA))
        if catalog is not None:
            self.catalog.get_catalog(catalog)
        if schema is not None and folded(schema) != "information_schema":
            self.catalog.get_schema(f"{context.catalog}.{context.schema}")
        return Engine(self._pool.take(), self.catalog, context, self.tables_root, self._virtual, self._on_statement)

    def release(self, engine: Engine) -> None:
        """End a session; its Spark session is used again if nothing in it was changed."""
        context = engine.context
        clean = not context.settings and not context.temp_views and not context.changed
        self._pool.give(engine.link, clean)

    def execute(
        self,
        principal: str,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        catalog: str | None = None,
        schema: str | None = None,
        row_limit: int | None = None,
        cancel_key: str | None = None,
    ) -> StatementResult:
        """Run one statement to its end (statement execution API, small reads). Raises SqlError.

        parameters: Python values or `emulator.sql.literals.Parameter` (see `typed`). cancel_key: for `cancel`.
        """
        engine = self.session(principal, catalog, schema)
        tag = new_tag()
        try:
            with self.cancellable(cancel_key, tag, engine.link):
                rows = engine.run(sql, bound(parameters), tag)
                held: list[pa.Table] = []
                count = 0
                truncated = False
                for table in rows.tables:
                    held.append(table)
                    count += table.num_rows
                    if row_limit is not None and count > row_limit:
                        truncated = True
                        engine.link.interrupt(tag)
                        break
            whole = pa.concat_tables(held) if held else arrow_schema(rows.schema).empty_table()
            if row_limit is not None:
                whole = whole.slice(0, row_limit)
            kinds = [f.dataType for f in rows.schema.fields]
            return StatementResult(
                whole, tuple(sql_type(k) for k in kinds), tuple(type_name(k) for k in kinds), truncated
            )
        finally:
            self.release(engine)

    @contextmanager
    def cancellable(self, key: str | None, tag: str, link: SparkLink) -> Iterator[None]:
        """While this lasts, `cancel(key)` interrupts what runs under the tag."""
        if key is None:
            yield
            return
        with self._lock:
            if key in self._cancelled:
                self._cancelled.discard(key)
                raise SqlError("OPERATION_CANCELED", "Operation has been canceled.")
            self._tags[key] = (tag, link)
        try:
            yield
        finally:
            with self._lock:
                self._tags.pop(key, None)
                self._cancelled.discard(key)

    def cancel(self, cancel_key: str) -> None:
        """Interrupt what `execute` runs under that key; if it has not started, it will not."""
        with self._lock:
            found = self._tags.get(cancel_key)
            if found is None:
                self._cancelled.add(cancel_key)
                return
        tag, link = found
        link.interrupt(tag)

    # ---- tables that this process answers

    def register_virtual(self, full_name: str, schema: pa.Schema, provider: Callable[[], pa.Table]) -> None:
        """Answer SELECTs on e.g. `system.billing.usage` with the provider's rows, made afresh for each statement.

        Its catalog, schema and record are made when missing; reading it takes SELECT as for any table.
        """
        catalog_name, schema_name, name = folded_path(full_name).split(".")
        catalog = self.catalog
        with catalog.transaction():
            if catalog.find_catalog(catalog_name) is None:
                catalog.create_catalog(catalog_name, SYSTEM_OWNER, "System catalog (auto-created)")
            if catalog.find_schema(catalog_name, schema_name) is None:
                catalog.create_schema(f"{catalog_name}.{schema_name}", SYSTEM_OWNER)
            found = catalog.find((catalog_name, schema_name, name))
            now = now_ms()
            record = found or TableRecord(
                catalog_name,
                schema_name,
                name,
                "MANAGED",
                SYSTEM_OWNER,
                None,
                now,
                SYSTEM_OWNER,
                now,
                SYSTEM_OWNER,
                full_name,
            )
            columns = columns_of(spark_schema_of(schema))
            if found is None or found.columns != columns:
                catalog.put_table(replace(record, data_source_format="SYSTEM", columns=columns))
        self._virtual[folded_path(full_name)] = provider

    # ---- DDL for REST: metadata and Spark together, checked for `actor`

    @contextmanager
    def _for(self, actor: str) -> Iterator[Engine]:
        engine = self.session(actor)
        try:
            yield engine
        except PySparkException as e:
            raise engine.translated(e) from e
        finally:
            self.release(engine)

    def create_catalog(self, name: str, actor: str, comment: str | None = None) -> None:
        """A catalog with its schema `default`."""
        with self._for(actor) as engine:
            commands.create_catalog(engine, name, actor, comment)

    def drop_catalog(self, name: str, actor: str, force: bool = False) -> None:
        with self._for(actor) as engine:
            commands.drop_catalog(engine, name, actor, force)

    def create_schema(self, full_name: str, actor: str, comment: str | None = None) -> SchemaRecord:
        catalog, _, name = full_name.partition(".")
        with self._for(actor) as engine:
            commands.create_schema(engine, catalog, name, actor, comment)
        return self.catalog.get_schema(full_name)

    def drop_schema(self, full_name: str, actor: str, force: bool = False) -> None:
        catalog, _, name = full_name.partition(".")
        with self._for(actor) as engine:
            commands.drop_schema(engine, catalog, name, actor, force)

    def drop_table(self, full_name: str, actor: str) -> None:
        record = self.catalog.get_table(full_name)
        word = "VIEW" if record.is_view else "TABLE"
        with self._for(actor) as engine:
            engine.run(f"DROP {word} {quoted(record.key)}")

    def table(self, full_name: str) -> TableRecord:
        """The record with its columns fresh from Spark. Raises TABLE_OR_VIEW_NOT_FOUND."""
        record = self.catalog.get_table(full_name)
        if record.data_source_format == "SYSTEM":
            return record
        with self._engine(record.owner) as engine:
            try:
                fresh = engine.read_columns(record)
            except PySparkException:
                # A view over a table that is gone: what was known of it.
                return record
        if fresh.columns != record.columns:
            current = self.catalog.find(record.key)
            if current is not None and current.table_id == record.table_id:
                self.catalog.put_table(replace(current, columns=fresh.columns))
        return fresh

    # ---- pipelines

    def hidden_schema(self, pipeline_id: str) -> str:
        """Name of the Spark schema that holds a pipeline's own tables; created when missing."""
        name = hidden_schema_name(pipeline_id)
        with self._engine(SYSTEM_OWNER) as engine:
            engine.link.command(f"CREATE DATABASE IF NOT EXISTS {quote(name)}")
        return name

    def publish_materialized_view(
        self,
        pipeline_id: str,
        full_name: str,
        hidden_table: str,
        version: int,
        *,
        owner: str,
        comment: str | None = None,
        table_type: str = MATERIALIZED_VIEW,
        properties: Mapping[str, str] | None = None,
        definition: str | None = None,
    ) -> None:
        """Show a version of Spark table `hidden_table` (`schema.table` as Spark has it) as `full_name`.

        Atomic for readers; grants are kept.

        Raises TABLE_OR_VIEW_ALREADY_EXISTS if the name is not this pipeline's, INSUFFICIENT_PERMISSIONS if `owner`
        may not create tables there.
        """
        if table_type not in PIPELINE_TYPES:
            raise ValueError(f"not a pipeline's table type: {table_type}")
        if not isinstance(version, int) or version < 0:
            raise ValueError(f"not a version: {version!r}")
        parts = folded_path(full_name).split(".")
        name = (parts[0], parts[1], parts[2])
        hidden = quoted(hidden_table.replace("`", "").split("."))
        self.check_publish(pipeline_id, full_name, owner)
        found = self.catalog.find(name)
        now = now_ms()
        record = found or TableRecord(*name, table_type, owner, comment, now, owner, now, owner, _new_id(), pipeline_id)
        record = replace(
            record,
            table_type=table_type,
            comment=comment,
            updated_at=now,
            updated_by=owner,
            properties=dict(properties or {}),
            view_definition=definition if definition is not None else record.view_definition,
            data_source_format=None,
        )
        with self._engine(owner, admin=True) as engine:
            query = f"SELECT * FROM {hidden} VERSION AS OF {version}"
            view = engine.spark_name(name)
            there = engine.spark_has(name)
            try:
                with engine.intent("create" if found is None else "refresh", folded_path(full_name), record):
                    engine.link.command(f"ALTER VIEW {view} AS {query}" if there else f"CREATE VIEW {view} AS {query}")
                    self.catalog.put_table(engine.read_columns(record))
            except PySparkException as e:
                raise engine.translated(e) from e

    def check_publish(self, pipeline_id: str, full_name: str, owner: str) -> None:
        """Whether the pipeline may publish this name; raises as `publish_materialized_view`. For before an update."""
        parts = folded_path(full_name).split(".")
        schema = ".".join(parts[:2])
        self.catalog.get_schema(schema)
        self.catalog.require_use(owner, parts[0], parts[1])
        found = self.catalog.find((parts[0], parts[1], parts[2]))
        if found is None:
            self.catalog.require(owner, "CREATE_TABLE", "SCHEMA", schema)
        elif found.pipeline_id != pipeline_id:
            raise table_exists(parts)

    def unpublish(self, pipeline_id: str, full_name: str | None = None) -> None:
        """Take one dataset, or all of the pipeline, out of the catalog with its grants and hidden tables."""
        with self._engine(SYSTEM_OWNER, admin=True) as engine:
            for record in self.catalog.pipeline_tables(pipeline_id):
                if full_name is None or record.full_name == folded_path(full_name):
                    ddl.drop_record(engine, record)
            if full_name is None:
                engine.link.command(f"DROP DATABASE IF EXISTS {quote(hidden_schema_name(pipeline_id))} CASCADE")

    def spark_query(self, text: str) -> pa.Table:
        """Rows of a query in Spark's own dialect and names (a pipeline's hidden tables). Raises SqlError."""
        with self._engine(SYSTEM_OWNER, admin=True) as engine:
            try:
                return engine.link.query(text).collect()
            except PySparkException as e:
                raise engine.translated(e) from e

    def spark_command(self, text: str) -> pa.Table:
        """As `spark_query` for commands (SHOW, DESCRIBE, DDL on hidden tables)."""
        with self._engine(SYSTEM_OWNER, admin=True) as engine:
            try:
                return engine.link.command(text).collect()
            except PySparkException as e:
                raise engine.translated(e) from e


def _new_id() -> str:
    return str(uuid.uuid4())
