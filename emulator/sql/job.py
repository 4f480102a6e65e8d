"""One statement: its names resolved, its principal's rights checked, and its text for Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql.connect.plan import SubqueryAlias

from emulator.dialect.names import is_path, literal, quote, quoted, spark_part
from emulator.dialect.parser import parse
from emulator.dialect.render import Place, render
from emulator.dialect.statement import Ref, Role, Statement
from emulator.dialect.tokens import Kind, line_of
from emulator.information_schema import InformationSchema
from emulator.metadata import (
    MATERIALIZED_VIEW,
    PIPELINE_TYPES,
    VIEW,
    TableRecord,
    check_name,
    no_permission,
    table_not_found,
)
from emulator.shared.names import folded
from emulator.sql.errors import SqlError
from emulator.sql.literals import Parameters
from emulator.sql.rows import Rows
from emulator.sql.session import FullName, SqlSession
from emulator.sql.spark import local_view


class Job:
    """One statement of a session, until it has ended."""

    def __init__(self, session: SqlSession, text: str, parameters: Parameters, tag: str | None) -> None:
        self.session = session
        self.catalog = session.catalog
        self.context = session.context
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

    def shows(self) -> bool:
        """Whether it only shows something, and changes nothing."""
        return self.kind.startswith(("SHOW", "DESCRIBE", "EXPLAIN"))

    def command(self, text: str) -> Rows:
        return self.session.link.command(text, self.views, self.tag)

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
        self.refuse_sparks_names()
        return render(
            self.statement,
            self.places if places is None else places,
            self.call_values() if calls else None,
            self.function_name if places is None else None,
            [*edits, *self.bindings()],
            start,
            end,
        )

    def refuse_sparks_names(self) -> None:
        """What the catalog has given no place must not name a schema as Spark knows it: no right on it was checked."""
        book = self.catalog.name_book()
        placed = [(ref.start, ref.end) for ref in self.statement.refs if ref.start in self.places]
        tokens = self.statement.tokens
        for token, after in zip(tokens, [*tokens[1:], None], strict=True):
            # SHOW and DESCRIBE FUNCTION take a schema alone.
            if (
                token.is_name
                and book.is_sparks(token.name)
                and (self.shows() or (after is not None and after.text == "."))
                and not any(start <= token.start < end for start, end in placed)
            ):
                raise SqlError(
                    "SCHEMA_NOT_FOUND",
                    f"The schema {quote(token.name)} cannot be found. Verify the spelling and correctness of the "
                    "schema and catalog.",
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
        name = self.session.full(parts)
        return self.session.spark_name(name) if self.catalog.has_function(name) else None

    def resolve(self) -> None:
        """Give every ref its place. Raises what the service raises for names and rights."""
        if "path" in self.statement.flags:
            self.require_files()
        for ref in self.statement.refs:
            if ref.start not in self.places:
                self._resolve(ref)

    def _resolve(self, ref: Ref) -> None:
        if self.known_to_spark(ref):
            return
        name = self.session.full(ref.parts)
        full_name = ".".join(name)
        virtual = self.virtual(ref, name)
        if virtual is not None:
            self.places[ref.start] = virtual
            return
        self.check_containers(name, ref.role is Role.READ)
        record = self.session.find(name)
        self.records[ref.start] = record
        alias = name[2] if spark_part(name[2]) != name[2] else None
        text = self.session.spark_name(name)
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

    def known_to_spark(self, ref: Ref) -> bool:
        """Temporary views and paths. Raises INSUFFICIENT_PERMISSIONS for a path that is not for this principal."""
        if len(ref.parts) == 1 and folded(ref.parts[0]) in self.context.temp_views:
            return ref.role in (Role.READ, Role.DESCRIBE, Role.DROP, Role.ALTER, Role.MAINTAIN, Role.WRITE)
        if len(ref.parts) == 2 and ref.parts[0].lower() == "global_temp":
            return True
        if is_path(ref.parts):
            self.require_files()
            return True
        return False

    def require_files(self) -> None:
        """A folder may hold the files of any table: it is for those who pass every check."""
        if not self.catalog.is_admin(self.me):
            raise SqlError(
                "INSUFFICIENT_PERMISSIONS", "Insufficient privileges:\nUser does not have SELECT on any file."
            )

    def virtual(self, ref: Ref, name: FullName) -> Place | None:
        """A table that this process answers: information_schema and what was registered."""
        full_name = ".".join(name)
        table: pa.Table | None = None
        if name[1] == "information_schema":
            self.catalog.get_catalog(name[0])
            if ref.role in (Role.READ, Role.DESCRIBE):
                table = InformationSchema(self.catalog, self.me).table(name[0], name[2])
                if table is None:
                    raise table_not_found(name)
        elif full_name in self.session.virtual:
            if ref.role in (Role.READ, Role.DESCRIBE):
                self.check_containers(name, read=True)
                self.catalog.require(self.me, "SELECT", "TABLE", full_name)
                table = self.session.virtual[full_name]()
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

    def require_create(self, name: FullName) -> None:
        self.catalog.get_schema(f"{name[0]}.{name[1]}")
        self.catalog.require(self.me, "CREATE_TABLE", "SCHEMA", f"{name[0]}.{name[1]}")
        check_name(name[2])

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
        return ref, self.session.full(ref.parts)
