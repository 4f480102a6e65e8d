"""Tables, views and functions made, changed and dropped: Spark does it, the catalog's record follows."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from pyspark.errors import PySparkException

from emulator.access import may_be_granted_in
from emulator.catalog import Catalog
from emulator.dialect.names import literal, quoted, spark_part, spark_schema
from emulator.dialect.render import Place
from emulator.dialect.statement import Role
from emulator.metadata import EXTERNAL, MANAGED, PIPELINE_TYPES, VIEW, TableRecord, table_exists, table_not_found
from emulator.records import now_ms
from emulator.shared.names import folded
from emulator.sql.delta_log import delta_properties
from emulator.sql.errors import SqlError, not_here
from emulator.sql.job import Job
from emulator.sql.rows import Rows
from emulator.sql.session import FullName, SqlSession

# What Spark says of a table or view that is there. A column or a field can "already exist" too.
_TABLE_EXISTS = {"TABLE_OR_VIEW_ALREADY_EXISTS", "DELTA_TABLE_ALREADY_EXISTS"}


def check_principal(catalog: Catalog, name: str) -> None:
    """Raises PRINCIPAL_DOES_NOT_EXIST for who can be granted nothing and own nothing."""
    if not may_be_granted_in(catalog.path.parent, name):
        raise SqlError("PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {name}.")


def new_record(job: Job, name: FullName, table_type: str, **more: Any) -> TableRecord:
    """A record made now, owned by who runs the statement. more: its other fields."""
    now = now_ms()
    return TableRecord(
        *name, table_type, job.me, job.statement.comment, now, job.me, now, job.me, str(uuid.uuid4()), **more
    )  # fmt: skip


def create_table(job: Job) -> Rows:
    """CREATE TABLE and REPLACE TABLE; one that is replaced keeps its owner and grants."""
    s = job.statement
    ref, name = job.target()
    full_name = ".".join(name)
    if name[1] == "information_schema" or full_name in job.session.virtual:
        job.virtual(ref, name)
    job.resolve()
    existing = job.records.get(ref.start)
    job.require_create(name)
    if existing is not None:
        if "replace" in s.flags:
            job.refuse_pipeline(existing, "CREATE OR REPLACE TABLE")
            if existing.is_view:
                raise SqlError(
                    "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                    f"'REPLACE TABLE' expects a table but {quoted(name)} is a view.",
                )
            job.require_manage(existing)
        elif "if_not_exists" in s.flags:
            return Rows.none()
        else:
            raise table_exists(name)
    elif "must_exist" in s.flags:
        raise table_not_found(name)
    if s.location is not None and not job.catalog.is_admin(job.me):
        raise SqlError(
            "INSUFFICIENT_PERMISSIONS",
            f"Insufficient privileges:\nUser does not have CREATE EXTERNAL TABLE on External Location '{s.location}'.",
        )
    provider = s.provider or "delta"
    edits: list[tuple[int, int, str]] = []
    location = s.location
    assert s.clause_at is not None
    if existing is not None and location is None:
        location = existing.storage_location
        edits.append((s.clause_at, s.clause_at, f" LOCATION {literal(location)} " if location else " "))
    table_type = EXTERNAL if s.location is not None else MANAGED
    record = new_record(job, name, table_type, storage_location=location, data_source_format=provider.upper())
    if location is None:
        folder = job.session.tables_root / record.table_id
        location = folder.as_uri()
        edits.append((s.clause_at, s.clause_at, f" LOCATION {literal(location)} "))
        record = replace(record, storage_location=location)
    if existing is not None:
        record = replace(
            existing,
            comment=s.comment,
            updated_at=now_ms(),
            updated_by=job.me,
            data_source_format=provider.upper(),
            storage_location=location,
        )
    job.writes.add(full_name)
    text = job.rendered(edits)
    operation = "create" if existing is None else "refresh"
    with job.session.intent(operation, full_name, record) as intent:
        try:
            rows = _command_over_orphan(job, text, name, intent) if existing is None else job.command(text)
        except BaseException:
            if existing is None and record.table_type == MANAGED and not _exists_quietly(job, name):
                job.session.remove_folder(record.storage_location)
            raise
        with job.catalog.transaction():
            if job.catalog.find(name) is None:
                job.catalog.drop_grants("TABLE", full_name)
            job.catalog.put_table(with_details(job, record))
    return rows if s.query_at else Rows.none()


def _command_over_orphan(job: Job, text: str, name: FullName, intent: int) -> Rows:
    """Run a CREATE; a table of that name that only Spark knows (its creator was killed) gives way.

    intent: id of the statement's own.
    """
    try:
        return job.command(text)
    except PySparkException as e:
        # Before the catalog is looked into: who ends in between has put the table there.
        racing = job.session.changed_by_another(".".join(name), intent)
        there = job.session.translated(e).error_class in _TABLE_EXISTS
        if not there or racing or job.catalog.find(name) is not None:
            raise
        job.session.drop_orphan(spark_schema(name[0], name[1]), spark_part(name[2]))
        return job.command(text)


def _exists_quietly(job: Job, name: FullName) -> bool:
    try:
        return job.session.spark_has(name)
    except Exception:  # noqa: BLE001 - the statement's own error matters more; unknown counts as existing
        return True


def with_details(job: Job, record: TableRecord) -> TableRecord:
    """Columns and table properties after DDL."""
    record = job.session.read_columns(record)
    if record.is_view:
        return record
    return replace(record, properties=delta_properties(record.storage_location) or record.properties)


def create_view(job: Job) -> Rows:
    """CREATE VIEW, of the catalog's or a temporary one."""
    s = job.statement
    if "temp" in s.flags or "global" in s.flags:
        text = job.spark_text()
        rows = job.command(text)
        if s.name and "global" not in s.flags:
            job.context.temp_views.add(folded(s.name[-1]))
        job.context.changed = True
        return rows
    ref, name = job.target()
    full_name = ".".join(name)
    job.resolve()
    if job.views:
        raise not_here("A view over system tables")
    existing = job.records.get(ref.start)
    job.require_create(name)
    if existing is not None:
        if existing.table_type in PIPELINE_TYPES and "replace" in s.flags:
            job.refuse_pipeline(existing, "CREATE OR REPLACE VIEW")
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
        job.require_manage(existing)
    record = new_record(job, name, VIEW, data_source_format=None, view_definition=_definition(job))
    text = job.rendered(calls=False)
    with job.session.intent("create" if existing is None else "refresh", full_name, record) as intent:
        rows = _command_over_orphan(job, text, name, intent) if existing is None else job.command(text)
        with job.catalog.transaction():
            # A replaced view is a new one: it has a new owner and none of the old grants.
            job.catalog.drop_grants("TABLE", full_name)
            job.catalog.put_table(job.session.read_columns(record))
    return rows


def _definition(job: Job) -> str:
    """The view's query with every name in three levels."""
    s = job.statement
    places = {
        ref.start: Place(quoted(job.session.full(ref.parts)) if len(ref.parts) < 3 else job.text[ref.start : ref.end])
        for ref in s.refs
        if ref.role is Role.READ and not ref.appended and ref.start in job.places
    }
    end = s.tokens[-1].end
    return job.rendered(calls=False, places=places, start=s.query_at or 0, end=end).strip()


def alter_view(job: Job) -> Rows:
    """ALTER VIEW ... AS: atomic, and the grants stay."""
    ref, _ = job.target()
    job.resolve()
    if job.views:
        raise not_here("A view over system tables")
    record = job.records[ref.start]
    assert record is not None
    _expect_view(job, record, "ALTER VIEW ... AS")
    _require_view_owner(job, record)
    changed = replace(record, view_definition=_definition(job), updated_at=now_ms(), updated_by=job.me)
    text = job.rendered(calls=False)
    with job.session.intent("refresh", record.full_name):
        rows = job.command(text)
        job.catalog.put_table(job.session.read_columns(changed))
    return rows


def _require_view_owner(job: Job, record: TableRecord) -> None:
    """MANAGE is not enough, nor is being an administrator: a view reads with its owner's privileges."""
    if not job.catalog.owns(job.me, "TABLE", record.full_name):
        raise SqlError("INSUFFICIENT_PERMISSIONS", f"User is not an owner of View '{record.full_name}'.", "42501")


def _expect_view(job: Job, record: TableRecord, operation: str) -> None:
    if record.table_type in PIPELINE_TYPES:
        job.refuse_pipeline(record, operation)
    if not record.is_view:
        raise SqlError(
            "EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE",
            f"'{operation}' expects a view but {quoted(record.key)} is a table. Please use ALTER TABLE instead.",
        )


def rename(job: Job) -> Rows:
    """ALTER ... RENAME TO: grants go with it; a Delta table may go to another schema."""
    s = job.statement
    ref, name = job.target()
    assert s.second is not None
    to = job.session.full(s.second.parts)
    job.resolve()
    record = job.records[ref.start]
    assert record is not None
    job.refuse_pipeline(record, "RENAME")
    is_view_command = s.kind.startswith("ALTER VIEW")
    if is_view_command:
        _expect_view(job, record, "ALTER VIEW ... RENAME TO")
    elif record.is_view:
        raise SqlError(
            "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW",
            f"'ALTER TABLE ... RENAME TO' expects a table but {quoted(name)} is a view. Please use ALTER VIEW instead.",
        )
    job.require_manage(record)
    if to[0] != name[0]:
        raise SqlError("BAD_REQUEST", f"Cannot rename {quoted(name)} to {quoted(to)}: the catalog must stay the same.")
    job.require_create(to)
    if job.records.get(s.second.start) is not None:
        raise table_exists(to)
    full_name = ".".join(name)
    with job.session.intent("rename", full_name, to=".".join(to), actor=job.me):
        if to[1] == name[1]:
            word = "VIEW" if record.is_view else "TABLE"
            job.command(f"ALTER {word} {job.session.spark_name(name)} RENAME TO {job.session.spark_name(to)}")
        elif record.is_view or record.data_source_format != "DELTA":
            raise not_here("ALTER ... RENAME TO another schema, of anything but a Delta table,")
        else:
            place = literal(record.storage_location or "")
            job.command(f"CREATE TABLE {job.session.spark_name(to)} USING DELTA LOCATION {place}")
            job.command(f"DROP TABLE {job.session.spark_name(name)}")
        job.catalog.rename_table(record, to, job.me)
    return Rows.none()


def alter_table(job: Job) -> Rows:
    """Everything else that ALTER TABLE or ALTER VIEW says: Spark does it, the record follows."""
    s = job.statement
    ref, _ = job.target()
    job.resolve()
    record = job.records.get(ref.start)
    if record is None:
        return job.command(job.rendered())
    if "owner" in s.flags:
        assert s.principal is not None
        job.require_manage(record)
        check_principal(job.catalog, s.principal)
        mine = s.principal == job.me or s.principal in job.catalog.groups_of(job.me)
        if record.is_view and not mine and not job.catalog.is_admin(job.me):
            raise SqlError(
                "PERMISSION_DENIED",
                f"User does not have permission to give View '{record.full_name}' to another principal: that is for a"
                " metastore admin, unless it is a group that one is in.",
                "42501",
            )
        job.catalog.put_table(replace(record, owner=s.principal, updated_at=now_ms(), updated_by=job.me))
        return Rows.none()
    job.refuse_pipeline(record)
    if s.kind == "ALTER VIEW":
        _expect_view(job, record, "ALTER VIEW")
        _require_view_owner(job, record)
    elif record.is_view:
        raise SqlError(
            "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW",
            f"'ALTER TABLE' expects a table but {quoted(record.key)} is a view. Please use ALTER VIEW instead.",
        )
    else:
        job.catalog.require(job.me, "MODIFY", "TABLE", record.full_name)
    with job.session.intent("refresh", record.full_name):
        rows = job.command(job.rendered())
        changed = with_details(job, replace(record, updated_at=now_ms(), updated_by=job.me))
        with job.catalog.transaction():
            job.catalog.put_table(changed)
            job.catalog.follow_columns(record, changed)
    return rows


def drop(job: Job) -> Rows:
    """DROP TABLE and DROP VIEW, each of its own kind alone."""
    s = job.statement
    ref, name = job.target()
    if job.known_to_spark(ref):
        rows = job.command(job.rendered())
        job.context.temp_views.discard(folded(ref.parts[0]))
        return rows
    if name[1] == "information_schema" or ".".join(name) in job.session.virtual:
        job.virtual(ref, name)
    if "if_exists" in s.flags and (
        job.catalog.find_catalog(name[0]) is None or job.catalog.find_schema(name[0], name[1]) is None
    ):
        return Rows.none()
    job.resolve()
    record = job.records.get(ref.start)
    if record is None:
        return Rows.none()
    if record.table_type in PIPELINE_TYPES:
        job.refuse_pipeline(record, s.kind)
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
    job.require_manage(record)
    drop_record(job.session, record, job.tag)
    return Rows.none()


def drop_record(session: SqlSession, record: TableRecord, tag: str | None = None) -> None:
    """Take a table out of Spark and catalog, and its files if it is managed; rights were checked."""
    word = "TABLE" if record.table_type in (MANAGED, EXTERNAL) else "VIEW"
    with session.intent("drop", record.full_name):
        session.link.command(f"DROP {word} IF EXISTS {session.spark_name(record.key)}", tag=tag)
        session.catalog.remove_table(record.full_name)
        if record.table_type == MANAGED:
            session.remove_folder(record.storage_location)


def cache(job: Job) -> Rows:
    """CACHE TABLE; of a query it makes a temporary view."""
    rows = job.command(job.spark_text())
    if "temp" in job.statement.flags and job.statement.name:
        job.context.temp_views.add(folded(job.statement.name[-1]))
        job.context.changed = True
    return rows


def refresh(job: Job) -> Rows:
    """REFRESH TABLE; a pipeline's table is refreshed by an update alone."""
    ref = job.statement.target
    job.resolve()
    record = job.records.get(ref.start) if ref is not None else None
    if record is not None and record.table_type in PIPELINE_TYPES:
        raise not_here("REFRESH of a pipeline's table (start an update of the pipeline instead)")
    return job.command(job.rendered())


def create_function(job: Job) -> Rows:
    """CREATE FUNCTION; the catalog knows it by name and owner."""
    s = job.statement
    if "temp" in s.flags or s.target is None:
        job.context.changed = True
        return job.command(job.spark_text())
    _, name = job.target()
    job.catalog.get_catalog(name[0])
    job.catalog.require_use(job.me, name[0], name[1])
    job.catalog.require(job.me, "CREATE_FUNCTION", "SCHEMA", f"{name[0]}.{name[1]}")
    text = job.spark_text([(s.target.start, s.target.end, job.session.spark_name(name))])
    rows = job.command(text)
    job.catalog.put_function(name, job.me)
    return rows


def drop_function(job: Job) -> Rows:
    """DROP FUNCTION."""
    s = job.statement
    if "temp" in s.flags or s.target is None:
        return job.command(job.spark_text())
    _, name = job.target()
    job.catalog.get_schema(f"{name[0]}.{name[1]}")
    job.catalog.require_use(job.me, name[0], name[1])
    rows = job.command(job.spark_text([(s.target.start, s.target.end, job.session.spark_name(name))]))
    job.catalog.remove_function(name)
    return rows
