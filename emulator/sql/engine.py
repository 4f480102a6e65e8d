"""Runs one statement for one principal: resolves names, checks Unity's rules, lets Spark do it, keeps the catalog."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect.plan import SubqueryAlias

from emulator.catalog import (
    EXTERNAL,
    MANAGED,
    MATERIALIZED_VIEW,
    PIPELINE_TYPES,
    VIEW,
    Catalog,
    Intent,
    TableRecord,
    no_permission,
    now_ms,
    table_exists,
    table_not_found,
)
from emulator.dialect.names import literal, quote, quoted, spark_part, spark_schema, split_name
from emulator.dialect.parser import parse
from emulator.dialect.render import Place, render
from emulator.dialect.statement import Ref, Role, Statement
from emulator.dialect.tokens import Kind, line_of
from emulator.information_schema import InformationSchema
from emulator.sql.commands import Commands
from emulator.sql.errors import SqlError
from emulator.sql.literals import NO_PARAMETERS, Parameters
from emulator.sql.rows import LONG, STRING, Rows, columns_of
from emulator.sql.settings import DEFAULTS, apply_setting, spark_setting
from emulator.sql.spark import SparkLink, end_session, local_view, translate_error

FullName = tuple[str, str, str]
VirtualTables = Mapping[str, Callable[[], pa.Table]]
StatementHook = Callable[..., None]
BeginHook = Callable[[str, str, float], Any]

_BAD_NAME = re.compile(r"[\x00-\x20./\x7f]")


@dataclass(frozen=True)
class _Clock:
    """When a statement began: `started` by the calendar (s since 1970), `begun` by a clock that only goes forward."""

    started: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.monotonic)


@dataclass
class Context:
    """What a session's statements share. catalog, schema: the current ones. temp_views: names only Spark knows."""

    principal: str
    catalog: str = "main"
    schema: str = "default"
    temp_views: set[str] = field(default_factory=set)
    changed: bool = False
    settings: dict[str, str] = field(default_factory=dict)


class Engine:
    """Statements of one session. Not shared between sessions; statements of one session may overlap.

    link: its Spark session. tables_root: folder of managed tables. virtual: tables answered by this process.
    on_statement: told of each finished statement. on_begin: told of each that begins (principal, text, time in s); what
    it gives is told to on_statement as `begun`.
    """

    def __init__(
        self,
        link: SparkLink,
        catalog: Catalog,
        context: Context,
        tables_root: Path,
        virtual: VirtualTables | None = None,
        on_statement: StatementHook | None = None,
        on_begin: BeginHook | None = None,
    ) -> None:
        self.link = link
        self.catalog = catalog
        self.context = context
        self.tables_root = tables_root
        self.virtual = virtual or {}
        self.on_statement = on_statement
        self.on_begin = on_begin
        self.commands = Commands(self)
        self._spark_schema: str | None = None
        self._lock = threading.Lock()

    # ---------------------------------------------------------------------------------------- running

    def run(self, text: str, parameters: Parameters = NO_PARAMETERS, tag: str | None = None) -> Rows:
        """Run one statement. Commands have ended when this returns; the rows of a query stream. Raises SqlError."""
        clock = _Clock()
        job = _Job(self, text, parameters, tag)
        noted = self.on_begin(self.context.principal, text, clock.started) if self.on_begin is not None else None
        try:
            rows = job.run()
        except (PySparkException, SqlError) as e:
            error = self.translated(e)
            self._told(job, clock, error, noted)
            if error is e:
                raise
            raise error from e
        except BaseException as e:
            self._told(job, clock, SqlError("INTERNAL_ERROR", f"{type(e).__name__}: {e}"), noted)
            raise
        return replace_tables(rows, self._watched(rows.tables, job, clock, noted))

    def prepare(self, text: str, parameters: Parameters = NO_PARAMETERS) -> tuple[str, list[SubqueryAlias]] | None:
        """For a query: Spark's text with the local views it needs, checked and resolved. None for a command."""
        job = _Job(self, text, parameters, None)
        if not job.statement.is_query:
            return None
        try:
            return job.spark_text(), job.views
        finally:
            self._told(job, _Clock(), None)

    def write_table(
        self, name: str, mode: str, act: Callable[[str, str | None], None], external: str | None, provider: str
    ) -> None:
        """A DataFrame written to a table. mode: error, ignore, append, overwrite, replace or insert.

        act: does the writing, given Spark's name of the table and the location to create it at (None to leave it).
        external: the location that the writer was told. Raises SqlError.
        """
        parts = split_name(name)
        job = _Job(self, f"INSERT INTO {quoted(parts)} VALUES (1)", NO_PARAMETERS, None)
        try:
            job.write_frame(self.full(parts), mode, act, external, provider)
        except PySparkException as e:
            raise self.translated(e) from e

    def translated(self, error: Exception) -> SqlError:
        """Any error of Spark in three-level names."""
        return translate_error(error, self.catalog.name_book().translate)

    def _watched(self, tables: Iterator[pa.Table], job: _Job, clock: _Clock, noted: Any) -> Iterator[pa.Table]:
        error: SqlError | None = None
        try:
            yield from tables
        except PySparkException as e:
            error = self.translated(e)
            raise error from e
        finally:
            self._told(job, clock, error, noted)

    def _told(self, job: _Job, clock: _Clock, error: SqlError | None, noted: Any = None) -> None:
        if self.on_statement is None:
            return
        self.on_statement(
            principal=self.context.principal,
            text=job.text,
            kind=job.kind,
            reads=sorted(job.reads),
            writes=sorted(job.writes),
            started=clock.started,
            seconds=time.monotonic() - clock.begun,
            error=str(error) if error else None,
            **({} if noted is None else {"begun": noted}),
        )

    # ------------------------------------------------------------------------------------------ names

    def full(self, parts: Sequence[str]) -> FullName:
        """A table's name completed from the session's catalog and schema, in lower case."""
        lower = [part.lower() for part in parts]
        if len(lower) == 1:
            return self.context.catalog, self.context.schema, lower[0]
        if len(lower) == 2:
            return self.context.catalog, lower[0], lower[1]
        return lower[0], lower[1], lower[2]

    def full_schema(self, parts: Sequence[str]) -> tuple[str, str]:
        lower = [part.lower() for part in parts]
        if not lower:
            return self.context.catalog, self.context.schema
        if len(lower) == 1 and "." in lower[0]:
            lower = lower[0].split(".")
        if len(lower) > 2:
            raise SqlError(
                "IDENTIFIER_TOO_MANY_NAME_PARTS", f"{quoted(parts)} is not a valid name of a schema.", "42601"
            )
        return (self.context.catalog, lower[0]) if len(lower) == 1 else (lower[0], lower[1])

    def find(self, name: FullName) -> TableRecord | None:
        """The record of a table, after finishing what a killed process left of it."""
        found = self.catalog.find(name)
        if found is None:
            self.recover(".".join(name))
            found = self.catalog.find(name)
        return found

    def use(self, catalog: str, schema: str) -> None:
        self.context.catalog, self.context.schema = catalog, schema
        self.context.changed = True

    # ------------------------------------------------------------------------------- Spark's side of DDL

    def spark_name(self, name: FullName) -> str:
        return quoted((spark_schema(name[0], name[1]), spark_part(name[2])))

    def spark_has(self, name: FullName) -> bool:
        try:
            self.link.table_schema(self.spark_name(name))
        except PySparkException as e:
            if "TABLE_OR_VIEW_NOT_FOUND" in (e.getCondition() or str(e)) or "SCHEMA_NOT_FOUND" in str(e):
                return False
            # A broken view exists all the same.
            database, table = spark_schema(name[0], name[1]), spark_part(name[2])
            shown = self.link.command(f"SHOW TABLES IN {quote(database)} LIKE {literal(table)}").collect()
            return bool(shown.num_rows > 0)
        return True

    def read_columns(self, record: TableRecord) -> TableRecord:
        """The record with columns as Spark has them now."""
        schema = self.link.table_schema(self.spark_name(record.key))
        return replace(record, columns=columns_of(schema, self._partitions(record)))

    def _partitions(self, record: TableRecord) -> list[str]:
        """Partition columns from the newest metadata in Delta's log (short, local files)."""
        log = folder_of(record.storage_location)
        if log is None:
            return []
        with suppress(OSError, ValueError):
            for file in sorted((log / "_delta_log").glob("*.json"), reverse=True)[:20]:
                for line in file.read_text().splitlines():
                    if '"metaData"' in line:
                        return list(json.loads(line)["metaData"].get("partitionColumns", []))
        return []

    def drop_orphan(self, database: str, table: str) -> bool:
        """Drop what Spark has under a name that the catalog does not know, if it is a leftover of ours or a view."""
        spark_name = quoted((database, table))
        detail = self.link.command(f"DESCRIBE EXTENDED {spark_name}").collect().to_pylist()
        facts = {row["col_name"]: row["data_type"] for row in detail}
        if facts.get("Type") == "VIEW":
            self.link.command(f"DROP VIEW IF EXISTS {spark_name}")
            return True
        folder = folder_of(facts.get("Location"))
        if folder is None or folder.parent != self.tables_root:
            return False
        self.link.command(f"DROP TABLE IF EXISTS {spark_name}")
        self.remove_folder(facts["Location"])
        return True

    def remove_folder(self, location: str | None) -> None:
        """Delete a managed table's files: nothing outside of the folder of managed tables, and nothing that a table of
        the catalog has (while a table moves to another schema, Spark knows its files by two names).
        """
        folder = folder_of(location)
        if folder is None or folder.parent != self.tables_root:
            return
        if folder not in {folder_of(found) for found in self.catalog.locations()}:
            shutil.rmtree(folder, ignore_errors=True)

    def recover(self, full_name: str | None = None) -> int:
        """Finish or undo changes that a killed process began (all, or those of one name). Returns how many."""
        done = 0
        for intent in self.catalog.intents():
            if full_name not in (None, intent.full_name, intent.details.get("to")) or not intent.abandoned:
                continue
            # Spark may still be at it, for a process that was killed while the server lived on.
            session = intent.details.get("session")
            if session and intent.details.get("url") == self.link.url:
                end_session(self.link.url, session)
                time.sleep(1.0)
            self._recover_one(intent)
            done += 1
        return done

    def _recover_one(self, intent: Intent) -> None:
        parts = intent.full_name.split(".")
        catalog = self.catalog
        if intent.operation == "create" and len(parts) == 3:
            record = TableRecord(**{**intent.details["record"], "columns": ()})
            if catalog.find(record.key) is None and self.spark_has(record.key):
                with suppress(PySparkException):
                    record = self.read_columns(record)
                catalog.put_table(record)
            elif catalog.find(record.key) is None:
                self.remove_folder(record.storage_location)
        elif intent.operation == "drop" and len(parts) == 3:
            name = (parts[0], parts[1], parts[2])
            found = catalog.find(name)
            if found is not None and not self.spark_has(name):
                catalog.remove_table(intent.full_name)
                if found.table_type == MANAGED:
                    self.remove_folder(found.storage_location)
        elif intent.operation == "rename":
            name = (parts[0], parts[1], parts[2])
            to = tuple(intent.details["to"].split("."))
            found = catalog.find(name)
            if found is not None and not self.spark_has(name) and self.spark_has((to[0], to[1], to[2])):
                catalog.rename_table(found, (to[0], to[1], to[2]), intent.details["actor"])
        elif intent.operation == "schema" and catalog.find_schema(parts[0], parts[1]) is None:
            with suppress(PySparkException):
                self.link.command(f"DROP DATABASE IF EXISTS {quote(spark_schema(parts[0], parts[1]))}")
        elif intent.operation == "refresh" and len(parts) == 3:
            found = catalog.find((parts[0], parts[1], parts[2]))
            if found is not None:
                with suppress(PySparkException):
                    catalog.put_table(self.read_columns(found))
        catalog.finish(intent.id)

    @contextmanager
    def intent(self, operation: str, full_name: str, **details: Any) -> Iterator[None]:
        """Around a change of Spark and catalog: if this process dies in it, `recover` knows.

        After an error nobody knows whether Spark did it (it may have, before it was cancelled or died): the two are
        made to agree. If Spark cannot be asked either, the next start does that.
        """
        session = {"session": self.link.session_id, "url": self.link.url}
        number = self.catalog.begin(operation, full_name, **session, **details)
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self._recover_one(next(i for i in self.catalog.intents() if i.id == number))
            raise
        self.catalog.finish(number)


class _Job:
    """One statement on its way through the engine."""

    def __init__(self, engine: Engine, text: str, parameters: Parameters, tag: str | None) -> None:
        self.engine = engine
        self.catalog = engine.catalog
        self.context = engine.context
        self.text = text
        self.tag = tag
        self.parameters = parameters
        self.kind = ""
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.views: list[SubqueryAlias] = []
        self.places: dict[int, Place] = {}
        self.records: dict[int, TableRecord | None] = {}
        plain: Any = (
            {name: parameter.value for name, parameter in parameters.items()}
            if isinstance(parameters, Mapping)
            else [parameter.value for parameter in parameters]
        )
        self.statement: Statement = parse(text, plain)
        self.kind = self.statement.kind

    @property
    def me(self) -> str:
        return self.context.principal

    def run(self) -> Rows:
        kind = self.statement.kind
        if kind in ("SCRIPT", "EXECUTE"):
            self.refuse_hidden_ddl()
        special = _HANDLERS.get(kind)
        if special is not None:
            return special(self)
        answered = self.engine.commands.answer(self)
        if answered is not None:
            return answered
        text = self.spark_text()
        if self.statement.is_query:
            return self.engine.link.query(text, self.views, self.tag)
        return self.translated_rows(self.command(text)) if self._shows() else self.command(text)

    def refuse_hidden_ddl(self) -> None:
        """What the catalog must know of has to be a statement of its own."""
        words = {token.upper for token in self.statement.tokens}
        if self.kind == "EXECUTE" or words & {"CREATE", "DROP", "ALTER", "GRANT", "REVOKE", "EXECUTE"}:
            raise SqlError(
                "UNSUPPORTED_FEATURE", "EXECUTE IMMEDIATE, and DDL inside of BEGIN ... END, are not supported here."
            )

    def _shows(self) -> bool:
        return self.kind.startswith(("SHOW", "DESCRIBE", "EXPLAIN"))

    def command(self, text: str) -> Rows:
        return self.engine.link.command(text, self.views, self.tag)

    # ----------------------------------------------------------------------------------- names and text

    def spark_text(self, edits: Iterable[tuple[int, int, str]] = (), *, calls: bool = True) -> str:
        """The statement for Spark, its names resolved and its principal's rights checked."""
        self.resolve()
        return self.rendered(edits, calls=calls)

    def rendered(
        self,
        edits: Iterable[tuple[int, int, str]] = (),
        *,
        calls: bool = True,
        places: Mapping[int, Place] | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> str:
        return render(
            self.statement,
            self.places if places is None else places,
            self.call_values() if calls else None,
            self.function_name if places is None else None,
            [*edits, *self.bindings()],
            start,
            end,
        )

    def bindings(self) -> list[tuple[int, int, str]]:
        """Edits that put the parameters' literals in place of their markers."""
        edits: list[tuple[int, int, str]] = []
        if isinstance(self.parameters, Mapping):
            lower = {name.lower(): parameter for name, parameter in self.parameters.items()}
            for token in self.statement.tokens:
                if token.kind is Kind.PARAMETER and token.text[1:].lower() in lower:
                    edits.append((token.start, token.end, lower[token.text[1:].lower()].text))
        elif self.parameters:
            marks = [token for token in self.statement.tokens if token.kind is Kind.MARK]
            if len(marks) > len(self.parameters):
                raise SqlError(
                    "UNBOUND_SQL_PARAMETER",
                    f"Found the unbound parameter: _{marks[len(self.parameters)].start}. Please, fix "
                    "`args` and provide it.",
                )
            edits = [(token.start, token.end, p.text) for token, p in zip(marks, self.parameters, strict=False)]
        return edits

    def call_values(self) -> dict[int, str]:
        values: dict[int, str] = {}
        for call in self.statement.calls:
            if call.function == "CURRENT_CATALOG":
                values[call.start] = literal(self.context.catalog)
            elif call.function in ("CURRENT_DATABASE", "CURRENT_SCHEMA"):
                values[call.start] = literal(self.context.schema)
            elif call.function in ("CURRENT_USER", "SESSION_USER", "USER"):
                values[call.start] = literal(self.me)
            elif call.function == "CURRENT_METASTORE":
                values[call.start] = literal("local:local:00000000-0000-0000-0000-000000000000")
            else:
                member = call.argument in self.catalog.groups_of(self.me)
                values[call.start] = "TRUE" if member else "FALSE"
        return values

    def function_name(self, parts: tuple[str, ...]) -> str | None:
        if len(parts) > 3:
            return None
        name = self.engine.full(parts)
        return self.engine.spark_name(name) if self.catalog.has_function(name) else None

    def resolve(self) -> None:
        """Give every ref its place. Raises what the service raises for names and rights."""
        if "path" in self.statement.flags and not self.catalog.is_admin(self.me):
            raise SqlError(
                "INSUFFICIENT_PERMISSIONS", "Insufficient privileges:\nUser does not have SELECT on any file."
            )
        for ref in self.statement.refs:
            if ref.start not in self.places:
                self._resolve(ref)

    def _resolve(self, ref: Ref) -> None:
        if self._known_to_spark(ref):
            return
        name = self.engine.full(ref.parts)
        full_name = ".".join(name)
        virtual = self._virtual(ref, name)
        if virtual is not None:
            self.places[ref.start] = virtual
            return
        self.check_containers(name, ref.role is Role.READ)
        record = self.engine.find(name)
        self.records[ref.start] = record
        alias = name[2] if spark_part(name[2]) != name[2] else None
        text = self.engine.spark_name(name)
        self.places[ref.start] = Place(text, quote(alias) if alias else text, name, alias)
        if record is None:
            if ref.role in (Role.CREATE, Role.RENAME_TO):
                return
            if ref.role is Role.DROP and "if_exists" in self.statement.flags:
                return
            line, position = line_of(self.text, ref.start)
            where = "" if ref.role in (Role.DROP, Role.ALTER) else f"; line {line} pos {position}"
            raise table_not_found(name, where)
        self.check(ref, record)
        if ref.role is Role.READ:
            self.reads.add(full_name)
        elif ref.role in (Role.WRITE, Role.CREATE):
            self.writes.add(full_name)

    def _known_to_spark(self, ref: Ref) -> bool:
        """Temporary views and paths."""
        if len(ref.parts) == 1 and ref.parts[0].lower() in self.context.temp_views:
            return ref.role in (Role.READ, Role.DESCRIBE, Role.DROP, Role.ALTER, Role.MAINTAIN, Role.WRITE)
        if len(ref.parts) == 2 and ref.parts[0].lower() == "global_temp":
            return True
        if len(ref.parts) == 2 and "/" in ref.parts[1] and ref.parts[0].lower() in ("delta", "parquet", "csv", "json"):
            self.statement.flags.add("path")
            return True
        return False

    def _virtual(self, ref: Ref, name: FullName) -> Place | None:
        """A table that this process answers: information_schema and what was registered."""
        full_name = ".".join(name)
        table: pa.Table | None = None
        if name[1] == "information_schema":
            self.catalog.get_catalog(name[0])
            if ref.role in (Role.READ, Role.DESCRIBE):
                table = InformationSchema(self.catalog, self.me).table(name[0], name[2])
                if table is None:
                    raise table_not_found(name)
        elif full_name in self.engine.virtual:
            if ref.role in (Role.READ, Role.DESCRIBE):
                self.check_containers(name, read=True)
                self.catalog.require(self.me, "SELECT", "TABLE", full_name)
                table = self.engine.virtual[full_name]()
        else:
            return None
        if table is None:
            raise SqlError(
                "CANNOT_DELETE_SYSTEM_OWNED",
                f"System owned {full_name} cannot be changed: it is kept by the workspace.",
            )
        if ref.version:
            raise SqlError(
                "UNSUPPORTED_FEATURE.TIME_TRAVEL",
                f"The feature is not supported: Time travel on the relation: {quoted(name)}.",
            )
        self.reads.add(full_name)
        view = f"__virtual_{len(self.views)}"
        self.views.append(local_view(view, table))
        return Place(quote(view), quote(name[2]), name, name[2])

    # ------------------------------------------------------------------------------------------- rights

    def check_containers(self, name: FullName, read: bool) -> None:
        """Catalog and schema exist and may be used."""
        self.catalog.get_catalog(name[0])
        self.catalog.require_use(self.me, name[0])
        if self.catalog.find_schema(name[0], name[1]) is None:
            if read:
                return
            self.catalog.get_schema(f"{name[0]}.{name[1]}")
        self.catalog.require_use(self.me, name[0], name[1])

    def check(self, ref: Ref, record: TableRecord) -> None:
        """This use of an existing table: may it be, and may this principal."""
        catalog, name = self.catalog, record.full_name
        if ref.version and (record.table_type in (VIEW, MATERIALIZED_VIEW)):
            raise SqlError(
                "UNSUPPORTED_FEATURE.TIME_TRAVEL",
                f"The feature is not supported: Time travel on the relation: {quoted(record.key)}.",
            )
        if ref.role is Role.READ:
            catalog.require(self.me, "SELECT", "TABLE", name)
        elif ref.role in (Role.WRITE, Role.MAINTAIN):
            self.refuse_pipeline(record)
            if record.is_view:
                raise SqlError(
                    "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                    f"'{self.kind}' expects a table but {quoted(record.key)} is a view.",
                )
            catalog.require(self.me, "MODIFY", "TABLE", name)
            if self.kind in ("UPDATE", "DELETE", "MERGE", "OPTIMIZE"):
                catalog.require(self.me, "SELECT", "TABLE", name)
        elif ref.role is Role.DESCRIBE:
            if not catalog.can_see(self.me, "TABLE", name):
                raise no_permission("SELECT", "TABLE", name)
        elif ref.role is Role.REFERENCE:
            catalog.require(self.me, "SELECT", "TABLE", name)

    def refuse_pipeline(self, record: TableRecord, operation: str | None = None) -> None:
        """A pipeline's table is changed by its pipeline alone."""
        if record.table_type not in PIPELINE_TYPES:
            return
        what = "materialized view" if record.table_type == MATERIALIZED_VIEW else "streaming table"
        raise SqlError(
            f"{record.table_type}_OPERATION_NOT_ALLOWED",
            f"The {what} operation {operation or self.kind} is not allowed: {quoted(record.key)} is "
            "managed by pipeline "
            f"{record.pipeline_id}; change the pipeline's definition instead.",
        )

    def require_create(self, name: FullName, privilege: str = "CREATE_TABLE") -> None:
        self.catalog.get_schema(f"{name[0]}.{name[1]}")
        self.catalog.require(self.me, privilege, "SCHEMA", f"{name[0]}.{name[1]}")
        if _BAD_NAME.search(name[2]) or len(name[2]) > 255:
            raise SqlError(
                "INVALID_PARAMETER_VALUE",
                f'name "{name[2]}" is not a valid name. Valid names must not contain spaces, periods, '
                "forward slashes or "
                "control characters and have at most 255 characters.",
            )

    def require_manage(self, record: TableRecord) -> None:
        if not (self.catalog.owns(self.me, "TABLE", record.full_name) or self.catalog.is_admin(self.me)):
            self.catalog.require_manage(self.me, "TABLE", record.full_name)

    # ------------------------------------------------------------------------------------------ results

    def translated_rows(self, rows: Rows) -> Rows:
        """Rows of a SHOW or DESCRIBE with Unity's names in their texts."""
        book = self.catalog.name_book()
        tables = []
        for table in rows.tables:
            for index, column in enumerate(table.schema):
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    values = [None if v is None else book.translate(v) for v in table.column(index).to_pylist()]
                    table = table.set_column(index, column, pa.array(values, column.type))
            tables.append(table)
        return Rows(rows.schema, iter(tables), rows.modified)

    def target(self) -> tuple[Ref, FullName]:
        ref = self.statement.target
        if ref is None:
            raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error at or near end of input: a table name is expected.")
        return ref, self.engine.full(ref.parts)

    # ---------------------------------------------------------------------------------------------- DDL

    def new_record(self, name: FullName, table_type: str, **more: Any) -> TableRecord:
        now = now_ms()
        return TableRecord(
            *name, table_type, self.me, self.statement.comment, now, self.me, now, self.me, str(uuid.uuid4()), **more
        )  # fmt: skip

    def create_table(self) -> Rows:
        s = self.statement
        if "temp" in s.flags or s.target is None:
            raise SqlError("UNSUPPORTED_FEATURE", "Temporary tables are not supported; use a temporary view.")
        if "streaming" in s.flags or "refresh" in s.flags:
            raise SqlError("UNSUPPORTED_FEATURE", "CREATE STREAMING TABLE outside of a pipeline is not supported here.")
        ref, name = self.target()
        full_name = ".".join(name)
        if name[1] == "information_schema" or full_name in self.engine.virtual:
            self._virtual(ref, name)
        self.resolve()
        existing = self.records.get(ref.start)
        self.require_create(name)
        if existing is not None:
            if "replace" in s.flags:
                self.refuse_pipeline(existing, "CREATE OR REPLACE TABLE")
                if existing.is_view:
                    raise SqlError(
                        "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                        f"'REPLACE TABLE' expects a table but {quoted(name)} is a view.",
                    )
                self.require_manage(existing)
            elif "if_not_exists" in s.flags:
                return Rows.none()
            else:
                raise table_exists(name)
        elif "must_exist" in s.flags:
            raise table_not_found(name)
        if s.location is not None and not self.catalog.is_admin(self.me):
            raise SqlError(
                "INSUFFICIENT_PERMISSIONS",
                "Insufficient privileges:\nUser does not have CREATE EXTERNAL TABLE on External Location "
                f"'{s.location}'.",
            )
        provider = s.provider or "delta"
        edits: list[tuple[int, int, str]] = []
        location = s.location
        assert s.clause_at is not None
        if existing is not None and location is None:
            location = existing.storage_location
            edits.append((s.clause_at, s.clause_at, f" LOCATION {literal(location)} " if location else " "))
        table_type = EXTERNAL if s.location is not None else MANAGED
        record = self.new_record(name, table_type, storage_location=location, data_source_format=provider.upper())
        if location is None:
            folder = self.engine.tables_root / record.table_id
            location = folder.as_uri()
            edits.append((s.clause_at, s.clause_at, f" LOCATION {literal(location)} "))
            record = replace(record, storage_location=location)
        if existing is not None:
            record = replace(
                existing,
                comment=s.comment,
                updated_at=now_ms(),
                updated_by=self.me,
                data_source_format=provider.upper(),
                storage_location=location,
            )
        self.writes.add(full_name)
        text = self.rendered(edits)
        operation = "create" if existing is None else "refresh"
        with self.engine.intent(operation, full_name, record={**_plain(record)}):
            try:
                rows = self.command_over_orphan(text, name) if existing is None else self.command(text)
            except BaseException:
                if existing is None and record.table_type == MANAGED and not self._exists_quietly(name):
                    self.engine.remove_folder(record.storage_location)
                raise
            with self.catalog.transaction():
                if self.catalog.find(name) is None:
                    self.catalog.drop_grants("TABLE", full_name)
                self.catalog.put_table(self._with_details(record))
        return Rows.none() if not s.query_at else replace(rows, modified=rows.modified)

    def command_over_orphan(self, text: str, name: FullName) -> Rows:
        """Run a CREATE; a table of that name that only Spark knows (its creator was killed) gives way."""
        try:
            return self.command(text)
        except PySparkException as e:
            racing = any(".".join(name) == i.full_name and not i.abandoned for i in self.catalog.intents()[:-1])
            if "ALREADY_EXISTS" not in str(e) or racing or self.catalog.find(name) is not None:
                raise
            self.engine.drop_orphan(spark_schema(name[0], name[1]), spark_part(name[2]))
            return self.command(text)

    def _exists_quietly(self, name: FullName) -> bool:
        try:
            return self.engine.spark_has(name)
        except Exception:  # noqa: BLE001 - the statement's own error matters more; unknown counts as existing
            return True

    def _with_details(self, record: TableRecord) -> TableRecord:
        """Columns and table properties after DDL."""
        record = self.engine.read_columns(record)
        if record.is_view:
            return record
        return replace(record, properties=delta_properties(record.storage_location) or record.properties)

    def create_view(self) -> Rows:
        s = self.statement
        if "temp" in s.flags or "global" in s.flags:
            text = self.spark_text()
            rows = self.command(text)
            if s.name and "global" not in s.flags:
                self.context.temp_views.add(s.name[-1].lower())
            self.context.changed = True
            return rows
        if "materialized" in s.flags:
            raise SqlError(
                "UNSUPPORTED_FEATURE", "CREATE MATERIALIZED VIEW outside of a pipeline is not supported here."
            )
        ref, name = self.target()
        full_name = ".".join(name)
        self.resolve()
        if self.views:
            raise SqlError("UNSUPPORTED_FEATURE", "A view over system tables is not supported here.")
        existing = self.records.get(ref.start)
        self.require_create(name)
        if existing is not None:
            if existing.table_type in PIPELINE_TYPES and "replace" in s.flags:
                self.refuse_pipeline(existing, "CREATE OR REPLACE VIEW")
            if "replace" in s.flags and not existing.is_view:
                raise SqlError(
                    "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
                    f"The table {quoted(name)} does not support CREATE OR REPLACE VIEW: it is a "
                    f"{existing.table_type} table.",
                )
            if "if_not_exists" in s.flags:
                return Rows.none()
            if "replace" not in s.flags:
                raise table_exists(name)
            self.require_manage(existing)
        record = self.new_record(name, VIEW, data_source_format=None, view_definition=self.definition())
        text = self.rendered(calls=False)
        with self.engine.intent("create" if existing is None else "refresh", full_name, record=_plain(record)):
            rows = self.command_over_orphan(text, name) if existing is None else self.command(text)
            with self.catalog.transaction():
                # A replaced view is a new one: it has a new owner and none of the old grants.
                self.catalog.drop_grants("TABLE", full_name)
                self.catalog.put_table(self.engine.read_columns(record))
        return rows

    def definition(self) -> str:
        """The view's query with every name in three levels."""
        s = self.statement
        places = {
            ref.start: Place(
                quoted(self.engine.full(ref.parts)) if len(ref.parts) < 3 else self.text[ref.start : ref.end]
            )
            for ref in s.refs
            if ref.role is Role.READ and not ref.appended and ref.start in self.places
        }
        end = s.tokens[-1].end
        return self.rendered(calls=False, places=places, start=s.query_at or 0, end=end).strip()

    def alter_view(self) -> Rows:
        """ALTER VIEW ... AS: atomic, and the grants stay."""
        ref, _ = self.target()
        self.resolve()
        if self.views:
            raise SqlError("UNSUPPORTED_FEATURE", "A view over system tables is not supported here.")
        record = self.records[ref.start]
        assert record is not None
        self.expect_view(record, "ALTER VIEW ... AS")
        self.require_manage(record)
        changed = replace(record, view_definition=self.definition(), updated_at=now_ms(), updated_by=self.me)
        text = self.rendered(calls=False)
        with self.engine.intent("refresh", record.full_name):
            rows = self.command(text)
            self.catalog.put_table(self.engine.read_columns(changed))
        return rows

    def expect_view(self, record: TableRecord, operation: str) -> None:
        if record.table_type in PIPELINE_TYPES:
            self.refuse_pipeline(record, operation)
        if not record.is_view:
            raise SqlError(
                "EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE",
                f"'{operation}' expects a view but {quoted(record.key)} is a table. Please use ALTER TABLE instead.",
            )

    def rename(self) -> Rows:
        s = self.statement
        ref, name = self.target()
        assert s.second is not None
        to = self.engine.full(s.second.parts)
        self.resolve()
        record = self.records[ref.start]
        assert record is not None
        self.refuse_pipeline(record, "RENAME")
        is_view_command = s.kind.startswith("ALTER VIEW")
        if is_view_command:
            self.expect_view(record, "ALTER VIEW ... RENAME TO")
        elif record.is_view:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW",
                f"'ALTER TABLE ... RENAME TO' expects a table but {quoted(name)} is a view. Please "
                "use ALTER VIEW instead.",
            )
        self.require_manage(record)
        if to[0] != name[0]:
            raise SqlError(
                "BAD_REQUEST", f"Cannot rename {quoted(name)} to {quoted(to)}: the catalog must stay the same."
            )
        self.require_create(to)
        if self.records.get(s.second.start) is not None:
            raise table_exists(to)
        full_name = ".".join(name)
        with self.engine.intent("rename", full_name, to=".".join(to), actor=self.me):
            if to[1] == name[1]:
                word = "VIEW" if record.is_view else "TABLE"
                self.command(f"ALTER {word} {self.engine.spark_name(name)} RENAME TO {self.engine.spark_name(to)}")
            elif record.is_view or record.data_source_format != "DELTA":
                raise SqlError("UNSUPPORTED_FEATURE", "Only Delta tables can be moved to another schema.")
            else:
                place = literal(record.storage_location or "")
                self.command(f"CREATE TABLE {self.engine.spark_name(to)} USING DELTA LOCATION {place}")
                self.command(f"DROP TABLE {self.engine.spark_name(name)}")
            self.catalog.rename_table(record, to, self.me)
        return Rows.none()

    def alter_table(self) -> Rows:
        """Everything else that ALTER TABLE or ALTER VIEW says: Spark does it, the record follows."""
        s = self.statement
        ref, _ = self.target()
        self.resolve()
        record = self.records.get(ref.start)
        if record is None:
            return self.command(self.rendered())
        if "owner" in s.flags:
            self.require_manage(record)
            self.catalog.put_table(
                replace(record, owner=s.principal or record.owner, updated_at=now_ms(), updated_by=self.me)
            )
            return Rows.none()
        self.refuse_pipeline(record)
        if s.kind == "ALTER VIEW":
            self.expect_view(record, "ALTER VIEW")
            self.require_manage(record)
        elif record.is_view:
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW",
                f"'ALTER TABLE' expects a table but {quoted(record.key)} is a view. Please use ALTER VIEW instead.",
            )
        else:
            self.catalog.require(self.me, "MODIFY", "TABLE", record.full_name)
        with self.engine.intent("refresh", record.full_name):
            rows = self.command(self.rendered())
            self.catalog.put_table(self._with_details(replace(record, updated_at=now_ms(), updated_by=self.me)))
        return rows

    def drop(self) -> Rows:
        s = self.statement
        ref, name = self.target()
        if self._known_to_spark(ref):
            rows = self.command(self.rendered())
            self.context.temp_views.discard(ref.parts[0].lower())
            return rows
        if name[1] == "information_schema" or ".".join(name) in self.engine.virtual:
            self._virtual(ref, name)
        if "if_exists" in s.flags and (
            self.catalog.find_catalog(name[0]) is None or self.catalog.find_schema(name[0], name[1]) is None
        ):
            return Rows.none()
        self.resolve()
        record = self.records.get(ref.start)
        if record is None:
            return Rows.none()
        if record.table_type in PIPELINE_TYPES:
            self.refuse_pipeline(record, s.kind)
        wants_view = s.kind == "DROP VIEW"
        if wants_view != record.is_view or s.kind in ("DROP MATERIALIZED VIEW", "DROP STREAMING TABLE"):
            use = "DROP VIEW" if record.is_view else "DROP TABLE"
            wanted = "VIEW" if wants_view else ("EXTERNAL or MANAGED" if s.kind == "DROP TABLE" else s.kind[5:])
            raise SqlError(
                "WRONG_COMMAND_FOR_OBJECT_TYPE",
                f"The operation {s.kind} requires a {wanted}. But {record.full_name} is a "
                f"{record.table_type}. Use {use} instead.",
                "42809",
            )
        self.require_manage(record)
        self.drop_record(record)
        return Rows.none()

    def drop_record(self, record: TableRecord) -> None:
        """Take a table out of Spark and catalog, and its files if it is managed."""
        word = "TABLE" if record.table_type in (MANAGED, EXTERNAL) else "VIEW"
        with self.engine.intent("drop", record.full_name):
            self.command(f"DROP {word} IF EXISTS {self.engine.spark_name(record.key)}")
            self.catalog.remove_table(record.full_name)
            if record.table_type == MANAGED:
                self.engine.remove_folder(record.storage_location)

    def insert(self) -> Rows:
        """INSERT: with the counts that the service gives."""
        ref = self.statement.target
        text = self.spark_text()
        record = self.records.get(ref.start) if ref is not None else None
        before = newest_version(record.storage_location) if record is not None else None
        rows = self.command(text)
        if record is None or before is None:
            return rows
        count = rows_written(record.storage_location, before)
        if count is None:
            return rows
        return replace(
            Rows.local([("num_affected_rows", LONG), ("num_inserted_rows", LONG)], [(count, count)]), modified=count
        )

    def dml(self) -> Rows:
        """UPDATE, DELETE, MERGE: Delta says how many rows."""
        rows = self.command(self.spark_text())
        table = rows.collect()
        modified = None
        if table.num_rows and table.column_names[0] == "num_affected_rows":
            modified = table.column(0)[0].as_py()
        ref = self.statement.target
        record = self.records.get(ref.start) if ref is not None else None
        if record is not None and self.kind == "MERGE" and "EVOLUTION" in self.text.upper():
            self.catalog.put_table(self.engine.read_columns(record))
        return Rows(rows.schema, iter([table]), modified)

    def write_frame(
        self, name: FullName, mode: str, act: Callable[[str, str | None], None], external: str | None, provider: str
    ) -> None:
        full_name = ".".join(name)
        self.check_containers(name, read=False)
        found = self.engine.find(name)
        spark_name = self.engine.spark_name(name)
        if found is None:
            if mode in ("insert", "replace"):
                raise table_not_found(name)
            self.require_create(name)
            record = self.new_record(
                name, EXTERNAL if external else MANAGED, storage_location=external, data_source_format=provider.upper()
            )
            if external is None:
                record = replace(record, storage_location=(self.engine.tables_root / record.table_id).as_uri())
            with self.engine.intent("create", full_name, record=_plain(record)):
                act(spark_name, record.storage_location)
                with self.catalog.transaction():
                    self.catalog.drop_grants("TABLE", full_name)
                    self.catalog.put_table(self._with_details(record))
            return
        if mode == "ignore":
            return
        if mode in ("error", "errorifexists", "default"):
            raise table_exists(name)
        self.kind = "INSERT" if mode in ("append", "insert") else "REPLACE TABLE"
        self.check(Ref(name, 0, 0, Role.WRITE), found)
        if mode in ("append", "insert"):
            act(spark_name, None)
            return
        with self.engine.intent("refresh", full_name):
            act(spark_name, found.storage_location)
            self.catalog.put_table(self._with_details(replace(found, updated_at=now_ms(), updated_by=self.me)))

    def restore(self) -> Rows:
        ref = self.statement.target
        rows = self.command(self.spark_text())
        record = self.records.get(ref.start) if ref is not None else None
        if record is not None:
            self.catalog.put_table(self._with_details(record))
        return rows

    def cache(self) -> Rows:
        rows = self.command(self.spark_text())
        if "temp" in self.statement.flags and self.statement.name:
            self.context.temp_views.add(self.statement.name[-1].lower())
            self.context.changed = True
        return rows

    def refresh(self) -> Rows:
        ref = self.statement.target
        self.resolve()
        record = self.records.get(ref.start) if ref is not None else None
        if self.kind == "REFRESH PIPELINE TABLE" or (record is not None and record.table_type in PIPELINE_TYPES):
            raise SqlError(
                "UNSUPPORTED_FEATURE",
                "REFRESH of a pipeline's table is not supported here: start an update of the pipeline.",
            )
        return self.command(self.rendered())

    def create_function(self) -> Rows:
        s = self.statement
        if "temp" in s.flags or s.target is None:
            self.context.changed = True
            return self.command(self.spark_text())
        _, name = self.target()
        self.catalog.get_catalog(name[0])
        self.catalog.require_use(self.me, name[0], name[1])
        self.catalog.require(self.me, "CREATE_FUNCTION", "SCHEMA", f"{name[0]}.{name[1]}")
        text = self.spark_text([(s.target.start, s.target.end, self.engine.spark_name(name))])
        rows = self.command(text)
        self.catalog.put_function(name, self.me)
        return rows

    def drop_function(self) -> Rows:
        s = self.statement
        if "temp" in s.flags or s.target is None:
            return self.command(self.spark_text())
        _, name = self.target()
        self.catalog.get_schema(f"{name[0]}.{name[1]}")
        self.catalog.require_use(self.me, name[0], name[1])
        rows = self.command(self.spark_text([(s.target.start, s.target.end, self.engine.spark_name(name))]))
        self.catalog.remove_function(name)
        return rows

    def session_setting(self) -> Rows:
        """SET and RESET of Spark, variables."""
        self.context.changed = True
        return self.command(self.spark_text())

    def set_parameter(self) -> Rows:
        """SET name, SET name = value, SET -v: Databricks SQL's parameters and Spark's settings."""
        found = re.fullmatch(r"\s*SET\s+([\w.]+)\s*(?:=(.*?))?\s*;?\s*", self.text, re.I | re.S)
        zone = re.fullmatch(r"\s*SET\s+TIME\s*ZONE\s+([^=\s].*?)\s*;?\s*", self.text, re.I | re.S)
        if found is None or zone is not None:
            return self.session_setting()
        name, value = found[1], found[2]
        columns = [("key", STRING), ("value", STRING)]
        if value is not None:
            apply_setting(self.engine, name, value)
            return Rows.local(columns, [(name, value.strip())])
        setting = spark_setting(name)
        kept = self.context.settings.get(name.upper(), self.context.settings.get(name))
        if setting is None or kept is not None:
            return Rows.local(columns, [(name, kept if kept is not None else DEFAULTS.get(name.upper(), ""))])
        shown = self.command(f"SET {setting}").collect()
        return Rows.local(columns, [(name, value) for value in shown.column(1).to_pylist()])


_HANDLERS: dict[str, Callable[[_Job], Rows]] = {
    "CREATE TABLE": _Job.create_table,
    "CREATE VIEW": _Job.create_view,
    "CREATE FUNCTION": _Job.create_function,
    "DROP FUNCTION": _Job.drop_function,
    "ALTER VIEW AS": _Job.alter_view,
    "ALTER TABLE RENAME": _Job.rename,
    "ALTER VIEW RENAME": _Job.rename,
    "ALTER MATERIALIZED VIEW RENAME": _Job.rename,
    "ALTER STREAMING TABLE RENAME": _Job.rename,
    "ALTER TABLE": _Job.alter_table,
    "ALTER VIEW": _Job.alter_table,
    "ALTER MATERIALIZED VIEW": _Job.alter_table,
    "ALTER STREAMING TABLE": _Job.alter_table,
    "DROP TABLE": _Job.drop,
    "DROP VIEW": _Job.drop,
    "DROP MATERIALIZED VIEW": _Job.drop,
    "DROP STREAMING TABLE": _Job.drop,
    "INSERT": _Job.insert,
    "UPDATE": _Job.dml,
    "DELETE": _Job.dml,
    "MERGE": _Job.dml,
    "RESTORE": _Job.restore,
    "CACHE": _Job.cache,
    "REFRESH": _Job.refresh,
    "REFRESH PIPELINE TABLE": _Job.refresh,
    "SET": _Job.set_parameter,
    "RESET": _Job.session_setting,
    "SET VAR": _Job.session_setting,
    "DECLARE": _Job.session_setting,
}


def replace_tables(rows: Rows, tables: Iterator[pa.Table]) -> Rows:
    return Rows(rows.schema, tables, rows.modified)


def _plain(record: TableRecord) -> dict[str, Any]:
    return {
        name: (dict(value) if isinstance(value, Mapping) else value)
        for name, value in vars(record).items()
        if name != "columns"
    }


def folder_of(location: str | None) -> Path | None:
    """The local folder of a storage location; None if it has none or lies elsewhere."""
    if not location:
        return None
    parts = urlsplit(location)
    if parts.scheme not in ("", "file"):
        return None
    from urllib.parse import unquote

    return Path(unquote(parts.path) if parts.scheme else location)


def newest_version(location: str | None) -> int | None:
    """Number of the newest commit in a Delta log; None if there is no log."""
    folder = folder_of(location)
    if folder is None:
        return None
    try:
        names = [path.name for path in (folder / "_delta_log").iterdir() if path.suffix == ".json"]
    except OSError:
        return None
    return max((int(name[:20]) for name in names if name[:20].isdigit()), default=None)


def rows_written(location: str | None, after: int) -> int | None:
    """Rows of the first WRITE committed after a version, from its commit's own metrics."""
    folder = folder_of(location)
    newest = newest_version(location)
    if folder is None or newest is None:
        return None
    for version in range(after + 1, newest + 1):
        with suppress(OSError, ValueError, KeyError):
            for line in (folder / "_delta_log" / f"{version:020}.json").read_text().splitlines():
                if line.startswith('{"commitInfo"'):
                    info = json.loads(line)["commitInfo"]
                    if info.get("operation") == "WRITE":
                        return int(info["operationMetrics"]["numOutputRows"])
    # Nothing committed: an INSERT of no rows.
    return 0 if newest == after else None


def delta_properties(location: str | None) -> dict[str, str]:
    """Table properties from the newest metadata in Delta's log."""
    folder = folder_of(location)
    if folder is None:
        return {}
    with suppress(OSError, ValueError):
        for file in sorted((folder / "_delta_log").glob("*.json"), reverse=True)[:50]:
            for line in file.read_text().splitlines():
                if '"metaData"' in line:
                    return {str(k): str(v) for k, v in json.loads(line)["metaData"].get("configuration", {}).items()}
    return {}
