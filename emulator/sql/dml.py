"""Rows changed by statements and DataFrames: INSERT, UPDATE, DELETE, MERGE, RESTORE, counted as the service does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from emulator.dialect.statement import Ref, Role
from emulator.metadata import EXTERNAL, MANAGED, table_exists, table_not_found
from emulator.records import now_ms
from emulator.sql.ddl import new_record, with_details
from emulator.sql.delta_log import newest_version, rows_written
from emulator.sql.job import Job
from emulator.sql.rows import LONG, Rows
from emulator.sql.session import FullName


def insert(job: Job) -> Rows:
    """INSERT: with the counts that the service gives."""
    ref = job.statement.target
    text = job.spark_text()
    record = job.records.get(ref.start) if ref is not None else None
    before = newest_version(record.storage_location) if record is not None else None
    rows = job.command(text)
    if record is None or before is None:
        return rows
    count = rows_written(record.storage_location, before)
    if count is None:
        return rows
    return replace(
        Rows.local([("num_affected_rows", LONG), ("num_inserted_rows", LONG)], [(count, count)]), modified=count
    )


def change_rows(job: Job) -> Rows:
    """UPDATE, DELETE, MERGE: Delta says how many rows."""
    rows = job.command(job.spark_text())
    table = rows.collect()
    modified = None
    if table.num_rows and table.column_names[0] == "num_affected_rows":
        modified = table.column(0)[0].as_py()
    ref = job.statement.target
    record = job.records.get(ref.start) if ref is not None else None
    if record is not None and job.kind == "MERGE" and "EVOLUTION" in job.text.upper():
        job.catalog.put_table(job.session.read_columns(record))
    return Rows(rows.schema, iter([table]), modified)


def write_frame(
    job: Job, name: FullName, mode: str, act: Callable[[str, str | None], None], external: str | None, provider: str
) -> None:
    """A DataFrame written to a table; arguments as of `Engine.write_table`."""
    full_name = ".".join(name)
    job.check_containers(name, read=False)
    found = job.session.find(name)
    spark_name = job.session.spark_name(name)
    if found is None:
        if mode in ("insert", "replace"):
            raise table_not_found(name)
        job.require_create(name)
        record = new_record(
            job, name, EXTERNAL if external else MANAGED, storage_location=external, data_source_format=provider.upper()
        )
        if external is None:
            record = replace(record, storage_location=(job.session.tables_root / record.table_id).as_uri())
        with job.session.intent("create", full_name, record):
            act(spark_name, record.storage_location)
            with job.catalog.transaction():
                job.catalog.drop_grants("TABLE", full_name)
                job.catalog.put_table(with_details(job, record))
        return
    if mode == "ignore":
        return
    if mode in ("error", "errorifexists", "default"):
        raise table_exists(name)
    job.kind = "INSERT" if mode in ("append", "insert") else "REPLACE TABLE"
    job.check(Ref(name, 0, 0, Role.WRITE), found)
    if mode in ("append", "insert"):
        act(spark_name, None)
        return
    with job.session.intent("refresh", full_name):
        act(spark_name, found.storage_location)
        job.catalog.put_table(with_details(job, replace(found, updated_at=now_ms(), updated_by=job.me)))


def restore(job: Job) -> Rows:
    """RESTORE: an earlier version may have other columns."""
    ref = job.statement.target
    rows = job.command(job.spark_text())
    record = job.records.get(ref.start) if ref is not None else None
    if record is not None:
        job.catalog.put_table(with_details(job, record))
    return rows
