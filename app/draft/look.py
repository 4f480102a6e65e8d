"""Reads from the workspace what a migration file is drafted from: a job, a pipeline, the tables of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.draft.guess import Guess, Pair, key_of, pairs, prefix_of, sensitive_of, watermark_of
from databricks_client.answers import Answer
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError
from databricks_client.jobs import Job
from databricks_client.pipelines import Pipeline
from databricks_client.quoting import quote, quote_table, split_table
from databricks_client.tables import TableState


class NotFound(Exception):
    """What was named is not there, or nothing can be drafted from it; one line with the way out."""


@dataclass(frozen=True)
class Wanted:
    """What a file is drafted from. job, pipeline: name or id. old: schemas of the old tables, else the pipeline's own.

    prefix: what the new tables' names begin with; None: guessed.
    """

    job: str
    pipeline: str
    new_job: str = ""
    old: tuple[str, ...] = ()
    prefix: str | None = None
    check_keys: bool = False


@dataclass(frozen=True)
class FoundTable:
    """A pair, and the guesses about its columns. doubts: what was not taken, and why."""

    pair: Pair
    key: Guess | None
    watermark: Guess | None
    sensitive: tuple[Guess, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What was read. alone: new tables without an old one. notes: what was not read."""

    job: Job
    pipeline: Pipeline
    new_job: str
    new_job_exists: bool
    prefix: str
    tables: tuple[FoundTable, ...]
    alone: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def look(workspace: Workspace, wanted: Wanted) -> Found:
    """Reads job, pipeline and tables; changes nothing. Raises NotFound and WorkspaceError.

    Only `check_keys` queries tables, which starts a stopped warehouse.
    """
    job = _job(workspace, wanted.job)
    pipeline = _pipeline(workspace, wanted.pipeline)
    if not pipeline.catalog or not pipeline.schema:
        raise NotFound(f"pipeline {pipeline.name} has no catalog and schema: init needs one that publishes to them")
    home = f"{pipeline.catalog}.{pipeline.schema}"
    schemas = wanted.old or (home,)
    here = workspace.tables.in_schema(home)
    new = [t for t in here if t.pipeline_id == pipeline.pipeline_id]
    if not new:
        raise NotFound(
            f"pipeline {pipeline.name} has no tables in {home} that can be seen: run an update first, or have SELECT "
            "on its tables granted"
        )
    old = [t for s in schemas for t in (here if s == home else workspace.tables.in_schema(s)) if t not in new]
    prefix = prefix_of(new, old) if wanted.prefix is None else wanted.prefix
    found, alone = pairs(new, old, prefix)
    if not found:
        raise NotFound(
            f"no table of pipeline {pipeline.name} has an old one of its name in {', '.join(schemas)}: name the old "
            "tables' schema with --old-schema, and what the new names begin with by --prefix"
        )
    running = wanted.check_keys or workspace.warehouse.state() == "RUNNING"
    tables = tuple(_table(workspace, p, running, wanted.check_keys) for p in found)
    notes = (
        () if running else ("tags of columns were not read, the SQL warehouse does not run (--check-keys starts it)",)
    )
    name, exists = _new_job(workspace, wanted.new_job or f"{job.name}_v2")
    return Found(job, pipeline, name, exists, prefix, tables, tuple(t.name for t in alone), notes)


def _job(workspace: Workspace, named: str) -> Job:
    if named.isascii() and named.isdigit():
        return workspace.jobs.get(int(named))
    return workspace.jobs.find(named)


def _pipeline(workspace: Workspace, named: str) -> Pipeline:
    try:
        return workspace.pipelines.find(named)
    except WorkspaceError as e:
        if not e.not_found:
            raise
        try:
            return workspace.pipelines.get(named)
        except WorkspaceError:
            raise e from None


def _new_job(workspace: Workspace, name: str) -> tuple[str, bool]:
    try:
        return workspace.jobs.find(name).name, True
    except WorkspaceError as e:
        if e.not_found:
            return name, False
        raise


def _table(workspace: Workspace, pair: Pair, tags: bool, check: bool) -> FoundTable:
    if pair.refused:
        return FoundTable(pair, None, None, ())
    # The list of a schema does not say everything of a table.
    old = workspace.tables.state(pair.old.name)
    doubts: list[str] = []
    watermark = watermark_of(old)
    by_column: Mapping[str, Mapping[str, str]] = {}
    if tags:
        try:
            by_column = _column_tags(workspace, old.name)
        except WorkspaceError as e:
            doubts.append(f"tags of columns were not read: {e.cause}")
    key = key_of(old)
    if key is not None and check:
        key, doubt = _checked(workspace, old, key)
        doubts += doubt
    return FoundTable(
        Pair(old, pair.new, pair.why), key, watermark,
        sensitive_of(old.columns, by_column, watermark.columns if watermark else ()), tuple(doubts),
    )  # fmt: skip


def _column_tags(workspace: Workspace, name: str) -> dict[str, dict[str, str]]:
    catalog, schema, table = split_table(name)
    what = f"read column tags of {name}"
    rows = workspace.sql.query(
        f"SELECT column_name, tag_name, tag_value FROM {quote(catalog)}.information_schema.column_tags"
        " WHERE schema_name = :schema AND table_name = :name",
        {"schema": schema, "name": table},
        what=what,
    )
    found: dict[str, dict[str, str]] = {}
    for row in (Answer(r, what) for r in rows):
        found.setdefault(row.name("column_name"), {})[row.name("tag_name")] = row.text_or_none("tag_value") or ""
    return found


def _checked(workspace: Workspace, table: TableState, key: Guess) -> tuple[Guess | None, Sequence[str]]:
    """The key where no two rows share it, with the number of rows; else none, and what was counted."""
    columns = ", ".join(quote(c) for c in key.columns)
    source = quote_table(table.name)
    text = (
        f"SELECT (SELECT count(*) FROM {source}) AS n,"
        f" (SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {source})) AS k"
    )
    what = f"count keys of {table.name}"
    rows = workspace.sql.query(text, what=what)
    row = Answer(rows[0] if len(rows) == 1 else None, what, "its only row")
    n, distinct = row.whole("n"), row.whole("k")
    if n == distinct:
        return Guess(key.columns, f"{key.why}; unique in all {n:,} rows", certain=True), ()
    return None, (f"{', '.join(key.columns)} is no key: {n:,} rows have {distinct:,} of it ({key.why})",)
