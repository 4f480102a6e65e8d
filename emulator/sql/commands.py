"""Commands that the catalog answers by itself: USE, SHOW, DESCRIBE of containers, GRANT, COMMENT and their like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from emulator.dialect.names import if_need_be, literal, quote, quoted, spark_schema, split_name
from emulator.information_schema import InformationSchema
from emulator.metadata import MATERIALIZED_VIEW, PIPELINE_TYPES, VIEW, TableRecord, check_name, no_permission
from emulator.records import now_ms
from emulator.shared.names import folded
from emulator.sql.as_json import described_as_json
from emulator.sql.commit_info import revealed
from emulator.sql.ddl import check_principal, drop_record
from emulator.sql.errors import SqlError, not_here
from emulator.sql.job import Job
from emulator.sql.rows import BOOLEAN, STRING, Rows, declared_column
from emulator.sql.session import SqlSession

Text = list[tuple[str, Any]]

# Properties that Delta keeps for itself and refuses in a statement.
_OWN_PROPERTY = re.compile(r"delta\.(columnMapping\.maxColumnId|rowTracking\.materialized\w+)")


def _texts(*names: str) -> Text:
    return [(name, STRING) for name in names]


def matches(pattern: str | None, name: str) -> bool:
    """SHOW's LIKE: `*` for anything, `|` between choices, letters in any case."""
    if pattern is None:
        return True
    choices = "|".join(
        re.escape(choice.strip()).replace(r"\*", ".*").replace("%", ".*") for choice in pattern.split("|")
    )
    return re.fullmatch(choices, name, re.I) is not None


class Commands:
    """The commands of one session."""

    def __init__(self, session: SqlSession, run: Callable[[str], Rows]) -> None:
        """run: executes another statement of the session."""
        self._session = session
        self._run = run
        self._catalog = session.catalog
        self._answers: dict[str, Callable[[Job], Rows]] = {
            "USE CATALOG": self._use_catalog,
            "USE": self._use,
            "SHOW CATALOGS": self._show_catalogs,
            "SHOW SCHEMAS": self._show_schemas,
            "SHOW TABLES": self._show_tables,
            "SHOW VIEWS": self._show_views,
            "SHOW TABLE EXTENDED": self._show_table_extended,
            "SHOW GRANTS": self._show_grants,
            "SHOW COLUMNS": self._show_columns,
            "SHOW CREATE TABLE": self._show_create,
            "SHOW TBLPROPERTIES": self._show_properties,
            "GRANT": self._grant,
            "REVOKE": self._grant,
            "COMMENT ON": self._comment,
            "CREATE CATALOG": self._create_catalog,
            "CREATE SCHEMA": self._create_schema,
            "DROP CATALOG": self._drop_catalog,
            "DROP SCHEMA": self._drop_schema,
            "ALTER CATALOG": self._alter_container,
            "ALTER SCHEMA": self._alter_container,
            "DESCRIBE CATALOG": self._describe_catalog,
            "DESCRIBE SCHEMA": self._describe_schema,
            "DESCRIBE TABLE": self._describe_table,
            "DESCRIBE HISTORY": self._describe_delta,
            "DESCRIBE DETAIL": self._describe_delta,
        }

    def answer(self, job: Job) -> Rows | None:
        """The command's rows; None if it is Spark's to answer."""
        known = self._answers.get(job.statement.kind)
        return known(job) if known is not None else None

    # ---- where we are

    def _use_catalog(self, job: Job) -> Rows:
        name = folded(job.statement.name[0])
        self._catalog.get_catalog(name)
        self._catalog.require_use(job.me, name)
        self._session.use(name, "default")
        return Rows.none()

    def _use(self, job: Job) -> Rows:
        name = job.statement.name
        # `USE x` may name a catalog or a schema; a schema of the current catalog comes first.
        if (
            len(name) == 1
            and "schema" not in job.statement.flags
            and self._catalog.find_schema(job.context.catalog, name[0]) is None
            and self._catalog.find_catalog(name[0]) is not None
        ):
            return self._use_catalog(job)
        catalog, schema = self._session.full_schema(name)
        if schema != "information_schema":
            self._catalog.get_schema(f"{catalog}.{schema}")
        self._catalog.require_use(job.me, catalog, schema if schema != "information_schema" else None)
        self._session.use(catalog, schema)
        return Rows.none()

    # ---- listings

    def _show_catalogs(self, job: Job) -> Rows:
        names = [c.name for c in self._catalog.list_catalogs() if self._catalog.can_see(job.me, "CATALOG", c.name)]
        return Rows.local(_texts("catalog"), [(n,) for n in names if matches(job.statement.pattern, n)])

    def _show_schemas(self, job: Job) -> Rows:
        catalog = folded(job.statement.name[0] if job.statement.name else job.context.catalog)
        self._catalog.get_catalog(catalog)
        names = [
            s.name for s in self._catalog.list_schemas(catalog) if self._catalog.can_see(job.me, "SCHEMA", s.full_name)
        ]
        names = sorted([*names, "information_schema"])
        return Rows.local(_texts("databaseName"), [(n,) for n in names if matches(job.statement.pattern, n)])

    def _tables_in(self, job: Job) -> tuple[str, list[TableRecord]]:
        catalog, schema = self._session.full_schema(job.statement.name)
        self._catalog.get_catalog(catalog)
        if schema == "information_schema":
            return schema, []
        self._catalog.get_schema(f"{catalog}.{schema}")
        self._catalog.require_use(job.me, catalog, schema)
        found = self._catalog.list_tables(f"{catalog}.{schema}")
        visible = [t for t in found if self._catalog.can_see(job.me, "TABLE", t.full_name)]
        return schema, [t for t in visible if matches(job.statement.pattern, t.name)]

    def _show_tables(self, job: Job) -> Rows:
        schema, tables = self._tables_in(job)
        data: list[tuple[Any, ...]] = [(schema, t.name, False) for t in tables]
        if schema == "information_schema":
            data = [(schema, n, False) for n in InformationSchema.names() if matches(job.statement.pattern, n)]
        data += [("", v, True) for v in sorted(job.context.temp_views) if matches(job.statement.pattern, v)]
        return Rows.local([("database", STRING), ("tableName", STRING), ("isTemporary", BOOLEAN)], data)

    def _show_views(self, job: Job) -> Rows:
        schema, tables = self._tables_in(job)
        data = [
            (schema, t.name, False, t.table_type == MATERIALIZED_VIEW)
            for t in tables
            if t.table_type in (VIEW, MATERIALIZED_VIEW)
        ]
        data += [("", v, True, False) for v in sorted(job.context.temp_views) if matches(job.statement.pattern, v)]
        columns = [("namespace", STRING), ("viewName", STRING), ("isTemporary", BOOLEAN), ("isMaterialized", BOOLEAN)]
        return Rows.local(columns, data)

    def _show_table_extended(self, job: Job) -> Rows:
        schema, tables = self._tables_in(job)
        data = [
            (
                schema,
                t.name,
                False,
                "".join(f"{key}: {value}\n" for key, value in self._details(t) if value is not None),
            )
            for t in tables
        ]
        columns = [("database", STRING), ("tableName", STRING), ("isTemporary", BOOLEAN), ("information", STRING)]
        return Rows.local(columns, data)

    def _target(self, job: Job) -> TableRecord | None:
        """The record of the statement's table, checked; None for a temporary view or a path."""
        ref = job.statement.target
        assert ref is not None
        job.resolve()
        return job.records.get(ref.start)

    def _show_columns(self, job: Job) -> Rows:
        s = job.statement
        if s.name and s.target is not None and len(s.target.parts) == 1:
            catalog, schema = self._session.full_schema(s.name)
            record = self._catalog.get_table(f"{catalog}.{schema}.{s.target.parts[0]}")
            if not self._catalog.can_see(job.me, "TABLE", record.full_name):
                raise no_permission("SELECT", "TABLE", record.full_name)
            return Rows.local(_texts("col_name"), [(c.name,) for c in self._session.read_columns(record).columns])
        return job.command(job.spark_text())

    def _show_properties(self, job: Job) -> Rows:
        return job.translated_rows(job.command(job.spark_text()))

    def _show_create(self, job: Job) -> Rows:
        record = self._target(job)
        if record is None:
            return job.command(job.rendered())
        name = quoted(record.key)
        if record.table_type in (VIEW, *PIPELINE_TYPES):
            columns = ",\n  ".join(
                if_need_be(c.name) + (f" COMMENT {literal(c.comment)}" if c.comment else "")
                for c in self._session.read_columns(record).columns
            )
            kind = {VIEW: "VIEW", MATERIALIZED_VIEW: "MATERIALIZED VIEW"}.get(record.table_type, "STREAMING TABLE")
            comment = f"COMMENT {literal(record.comment)}\n" if record.comment else ""
            body = f"AS {record.view_definition}\n" if record.view_definition else ""
            return Rows.local(_texts("createtab_stmt"), [(f"CREATE {kind} {name} (\n  {columns})\n{comment}{body}",)])
        if record.data_source_format != "DELTA":
            text = str(job.command(job.rendered()).collect().column(0)[0].as_py())
            return Rows.local(_texts("createtab_stmt"), [(self._catalog.name_book().translate(text),)])
        return Rows.local(_texts("createtab_stmt"), [(self._create_statement(record),)])

    def _create_statement(self, record: TableRecord) -> str:
        """CREATE TABLE of a Delta table (Delta does not answer SHOW CREATE TABLE itself)."""
        fresh = self._session.read_columns(record)
        described = self._session.link.command(f"DESCRIBE DETAIL {self._session.spark_name(record.key)}")
        detail = described.collect().to_pylist()[0]
        columns = ",\n  ".join(map(declared_column, fresh.columns))
        name = ".".join(map(if_need_be, (record.catalog_name, record.schema_name, record.name)))
        lines = [f"CREATE TABLE {name} (\n  {columns})", "USING delta"]
        if detail.get("partitionColumns"):
            lines.append(f"PARTITIONED BY ({', '.join(map(if_need_be, detail['partitionColumns']))})")
        if detail.get("clusteringColumns"):
            # Delta returns these as paths, quoted where they have to be: a clustering column may lie in a struct.
            paths = (split_name(path) for path in detail["clusteringColumns"])
            lines.append(f"CLUSTER BY ({', '.join('.'.join(map(if_need_be, path)) for path in paths)})")
        if record.comment:
            lines.append(f"COMMENT {literal(record.comment)}")
        if record.table_type == "EXTERNAL":
            lines.append(f"LOCATION {literal(record.storage_location or '')}")
        properties = {k: v for k, v in (detail.get("properties") or []) if not _OWN_PROPERTY.fullmatch(k)}
        if properties:
            pairs = ",\n  ".join(f"{literal(k)} = {literal(v)}" for k, v in sorted(properties.items()))
            lines.append(f"TBLPROPERTIES (\n  {pairs})")
        return "\n".join(lines) + "\n"

    # ---- describing

    def _details(self, t: TableRecord) -> Iterable[tuple[str, str | None]]:
        def when(ms: int) -> str:
            return datetime.fromtimestamp(ms / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")

        yield "Catalog", t.catalog_name
        yield "Database", t.schema_name
        yield "Table", t.name
        yield "Owner", t.owner
        yield "Created Time", when(t.created_at)
        yield "Last Access", "UNKNOWN"
        yield "Created By", t.created_by
        yield "Type", t.table_type
        if t.view_definition:
            yield "View Text", t.view_definition
        if t.pipeline_id:
            yield "Pipeline", t.pipeline_id
        yield "Comment", t.comment
        if t.data_source_format and not t.is_view:
            yield "Provider", t.data_source_format.lower()
        if t.table_type in ("MANAGED", "EXTERNAL"):
            yield "Location", t.storage_location
        if t.properties:
            yield "Table Properties", "[" + ",".join(f"{k}={v}" for k, v in sorted(t.properties.items())) + "]"

    def _describe_table(self, job: Job) -> Rows:
        record = self._target(job)
        if "json" in job.statement.flags:
            return self._describe_as_json(job, record)
        if job.views:
            # A table that this process answers: its columns are those of its rows.
            ref = job.statement.target
            assert ref is not None
            rows = self._session.link.query(f"SELECT * FROM {job.places[ref.start].text}", job.views)
            data = [(f.name, f.dataType.simpleString(), None) for f in rows.schema.fields]
            rows.collect()
            return Rows.local(_texts("col_name", "data_type", "comment"), data)
        rows = job.translated_rows(job.command(job.rendered()))
        if record is None or "extended" not in job.statement.flags:
            return rows
        table = rows.collect()
        kept: list[tuple[Any, ...]] = []
        for row in zip(*(table.column(i).to_pylist() for i in range(3)), strict=True):
            if str(row[0]).startswith("# Detailed Table Information"):
                break
            kept.append(row)
        kept.append(("# Detailed Table Information", "", ""))
        kept += [(key, value, "") for key, value in self._details(record) if value is not None]
        return Rows.local(_texts("col_name", "data_type", "comment"), kept)

    def _describe_as_json(self, job: Job, record: TableRecord | None) -> Rows:
        if "extended" not in job.statement.flags:
            raise SqlError("DESCRIBE_JSON_NOT_EXTENDED", "DESCRIBE TABLE ... AS JSON only supported with EXTENDED.")
        if job.views:
            raise SqlError("NOT_IMPLEMENTED", "DESCRIBE ... AS JSON of a system table is not implemented.")
        if record is None:
            return job.translated_rows(job.command(job.rendered()))
        return Rows.local(_texts("json_metadata"), [(described_as_json(self._session.read_columns(record)),)])

    def _describe_delta(self, job: Job) -> Rows:
        record = self._target(job)
        if record is not None and (record.is_view or record.table_type == MATERIALIZED_VIEW):
            raise SqlError(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                f"'{job.kind}' expects a table but {quoted(record.key)} is a view.",
            )
        rows = job.translated_rows(job.command(job.rendered()))
        if job.kind == "DESCRIBE HISTORY":
            return Rows(rows.schema, iter([revealed(rows.collect())]))
        if record is None or not any(f.name == "name" for f in rows.schema.fields):
            return rows
        table = rows.collect()
        at = table.column_names.index("name")
        table = table.set_column(at, table.schema.field(at), pa.array([record.full_name] * table.num_rows, pa.string()))
        return Rows(rows.schema, iter([table]))

    def _describe_catalog(self, job: Job) -> Rows:
        c = self._catalog.get_catalog(job.statement.name[0])
        if not self._catalog.can_see(job.me, "CATALOG", c.name):
            raise no_permission("USE_CATALOG", "CATALOG", c.name)
        data = [("Catalog Name", c.name), ("Comment", c.comment or ""), ("Owner", c.owner), ("Catalog Type", "Regular")]
        return Rows.local(_texts("info_name", "info_value"), data)

    def _describe_schema(self, job: Job) -> Rows:
        catalog, schema = self._session.full_schema(job.statement.name)
        s = self._catalog.get_schema(f"{catalog}.{schema}")
        if not self._catalog.can_see(job.me, "SCHEMA", s.full_name):
            raise no_permission("USE_SCHEMA", "SCHEMA", s.full_name)
        data = [
            ("Catalog Name", s.catalog_name),
            ("Namespace Name", s.name),
            ("Comment", s.comment or ""),
            ("Location", ""),
            ("Owner", s.owner),
        ]
        if "extended" in job.statement.flags:
            data.append(("Properties", ""))
        return Rows.local(_texts("database_description_item", "database_description_value"), data)

    # ---- grants

    def _securable(self, job: Job) -> tuple[str, str]:
        s = job.statement
        kind = s.securable or "TABLE"
        if kind == "METASTORE":
            return kind, ""
        if kind == "CATALOG":
            return kind, folded(s.name[0])
        if kind == "SCHEMA":
            return kind, ".".join(self._session.full_schema(s.name))
        if kind == "TABLE":
            return kind, ".".join(self._session.full(s.name))
        raise not_here(f"{job.kind} on a securable of type {kind}")

    def _grant(self, job: Job) -> Rows:
        kind, name = self._securable(job)
        s = job.statement
        assert s.principal is not None
        check_principal(self._catalog, s.principal)
        change = (s.principal, s.privileges, ()) if s.kind == "GRANT" else (s.principal, (), s.privileges)
        self._catalog.update_grants(kind, name, [change], job.me)
        return Rows.none()

    def _show_grants(self, job: Job) -> Rows:
        columns = _texts("Principal", "ActionType", "ObjectType", "ObjectKey")
        s = job.statement
        if s.securable is None:
            raise SqlError("PARSE_SYNTAX_ERROR", "Syntax error at or near end of input: ON is expected.")
        kind, name = self._securable(job)
        if not self._catalog.can_see(job.me, kind, name) and s.principal != job.me:
            raise no_permission("MANAGE", kind, name)
        data = [
            (
                grant.principal,
                grant.privilege.replace("_", " "),
                grant.inherited_from[0] if grant.inherited_from else kind,
                grant.inherited_from[1] if grant.inherited_from else name,
            )
            for grant in self._catalog.effective_grants(kind, name)
            if s.principal is None or grant.principal == s.principal
        ]
        return Rows.local(columns, data)

    # ---- catalogs and schemas

    def _create_catalog(self, job: Job) -> Rows:
        s = job.statement
        if "if_not_exists" in s.flags and self._catalog.find_catalog(s.name[0]) is not None:
            return Rows.none()
        create_catalog(self._session, s.name[0], job.me, s.comment)
        return Rows.none()

    def _create_schema(self, job: Job) -> Rows:
        s = job.statement
        catalog, schema = self._session.full_schema(s.name)
        self._catalog.get_catalog(catalog)
        if "if_not_exists" in s.flags and self._catalog.find_schema(catalog, schema) is not None:
            return Rows.none()
        create_schema(self._session, catalog, schema, job.me, s.comment)
        return Rows.none()

    def _drop_catalog(self, job: Job) -> Rows:
        s = job.statement
        if "if_exists" in s.flags and self._catalog.find_catalog(s.name[0]) is None:
            return Rows.none()
        drop_catalog(self._session, s.name[0], job.me, "cascade" in s.flags)
        return Rows.none()

    def _drop_schema(self, job: Job) -> Rows:
        s = job.statement
        catalog, schema = self._session.full_schema(s.name)
        if "if_exists" in s.flags and self._catalog.find_schema(catalog, schema) is None:
            return Rows.none()
        drop_schema(self._session, catalog, schema, job.me, "cascade" in s.flags)
        return Rows.none()

    def _alter_container(self, job: Job) -> Rows:
        s = job.statement
        if "owner" not in s.flags or s.principal is None:
            raise not_here(f"{s.kind} without OWNER TO or TAGS")
        now = now_ms()
        if s.kind == "ALTER CATALOG":
            c = self._catalog.get_catalog(s.name[0])
            self._catalog.require_manage(job.me, "CATALOG", c.name)
            check_principal(self._catalog, s.principal)
            self._catalog.put_catalog(replace(c, owner=s.principal, updated_at=now, updated_by=job.me))
        else:
            record = self._catalog.get_schema(".".join(self._session.full_schema(s.name)))
            self._catalog.require_manage(job.me, "SCHEMA", record.full_name)
            check_principal(self._catalog, s.principal)
            self._catalog.put_schema(replace(record, owner=s.principal, updated_at=now, updated_by=job.me))
        return Rows.none()

    def _comment(self, job: Job) -> Rows:
        s = job.statement
        now = now_ms()
        if s.securable == "COLUMN":
            name = self._session.full(s.name[:-1])
            text = f"ALTER TABLE {quoted(name)} ALTER COLUMN {quote(s.name[-1])} COMMENT {literal(s.comment or '')}"
            return self._run(text)
        kind, full_name = self._securable(job)
        if kind == "CATALOG":
            c = self._catalog.get_catalog(full_name)
            self._catalog.require_manage(job.me, kind, full_name)
            self._catalog.put_catalog(replace(c, comment=s.comment, updated_at=now, updated_by=job.me))
        elif kind == "SCHEMA":
            schema = self._catalog.get_schema(full_name)
            self._catalog.require_manage(job.me, kind, full_name)
            self._catalog.put_schema(replace(schema, comment=s.comment, updated_at=now, updated_by=job.me))
        else:
            record = self._catalog.get_table(full_name)
            self._catalog.require(job.me, "MODIFY", kind, full_name)
            job.refuse_pipeline(record)
            if not record.is_view:
                text = "NULL" if s.comment is None else literal(s.comment)
                job.command(f"COMMENT ON TABLE {self._session.spark_name(record.key)} IS {text}")
            self._catalog.put_table(replace(record, comment=s.comment, updated_at=now, updated_by=job.me))
        return Rows.none()


# ---- containers in Spark and catalog together, for SQL and REST


def create_catalog(session: SqlSession, name: str, actor: str, comment: str | None) -> None:
    """A catalog with its schema `default`."""
    catalog = session.catalog
    catalog.require(actor, "CREATE_CATALOG", "METASTORE", "")
    check_name(name)
    catalog.create_catalog(name, actor, comment)
    create_schema(session, folded(name), "default", actor, "Default schema (auto-created)")


def create_schema(session: SqlSession, catalog_name: str, name: str, actor: str, comment: str | None) -> None:
    catalog = session.catalog
    catalog.get_catalog(catalog_name)
    catalog.require_use(actor, catalog_name)
    catalog.require(actor, "CREATE_SCHEMA", "CATALOG", catalog_name)
    check_name(name)
    if folded(name) == "information_schema" or catalog.find_schema(catalog_name, name) is not None:
        raise SqlError(
            "SCHEMA_ALREADY_EXISTS",
            f"Cannot create schema `{catalog_name}`.`{name}` because it already exists.\nChoose a "
            "different name, drop the "
            "existing schema, or add the IF NOT EXISTS clause to tolerate pre-existing schema.",
        )
    full_name = f"{folded(catalog_name)}.{folded(name)}"
    with session.intent("schema", full_name):
        session.link.command(f"CREATE DATABASE IF NOT EXISTS {quote(spark_schema(catalog_name, name))}")
        catalog.create_schema(full_name, actor, comment)


def drop_schema(session: SqlSession, catalog_name: str, name: str, actor: str, cascade: bool) -> None:
    catalog = session.catalog
    full_name = catalog.get_schema(f"{catalog_name}.{name}").full_name
    catalog.require_manage(actor, "SCHEMA", full_name)
    tables = catalog.list_tables(full_name)
    if tables and not cascade:
        raise SqlError(
            "SCHEMA_NOT_EMPTY",
            f"Cannot drop a schema `{catalog_name}`.`{name}` because it contains objects.\nUse DROP "
            "SCHEMA ... CASCADE to drop "
            "the schema and all its objects.",
        )
    for record in tables:
        drop_record(session, record)
    session.link.command(f"DROP DATABASE IF EXISTS {quote(spark_schema(catalog_name, name))} CASCADE")
    catalog.remove_schema(full_name)


def drop_catalog(session: SqlSession, name: str, actor: str, cascade: bool) -> None:
    catalog = session.catalog
    record = catalog.get_catalog(name)
    catalog.require_manage(actor, "CATALOG", record.name)
    schemas = catalog.list_schemas(record.name)
    full = [s for s in schemas if s.name != "default" or catalog.list_tables(s.full_name)]
    if full and not cascade:
        raise SqlError(
            "CATALOG_NOT_EMPTY", f"Cannot drop catalog '{name}' because it is not empty. Use CASCADE.", "2BP01"
        )
    for schema in schemas:
        drop_schema(session, record.name, schema.name, actor, cascade=True)
    catalog.remove_catalog(record.name)
