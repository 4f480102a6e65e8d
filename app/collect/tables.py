"""State, grants and row counts of every table of the migration, on all sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.collect.context import BEGINNING, CollectContext
from app.moments import when
from app.store.collected.records import ColumnRecord, TableRecord
from databricks_client.errors import WorkspaceError
from databricks_client.tables import TableState

# Rows of a table are counted again after a write, and otherwise after this time.
ROWS_AGE = timedelta(minutes=15)


def read_tables(ctx: CollectContext, *, count: bool = True) -> str | None:
    """State and grants of every table on all sides; with `count` its row count too, where it may have been written."""
    before = ctx.store.tables()
    writes = _last_writes(ctx)
    failed: list[WorkspaceError] = []
    for table in ctx.migration.tables:
        names = [("baseline", table.baseline), ("candidate", table.candidate), ("kept", table.kept)]
        if table.development is not None:
            names.append(("development", table.development))
        for side, name in names:
            ctx.check()
            # Before the call: what changes during it is not known to be read.
            as_of = ctx.clock()
            try:
                state = ctx.workspace.tables.state(name)
                grants = ctx.workspace.tables.grants(name) if state.exists else frozenset()
            except WorkspaceError as e:
                if e.retryable:
                    raise
                failed.append(e)
                continue
            pairs = tuple(sorted((g.principal, g.privilege) for g in grants))
            record = _table_record(ctx, table.name, side, state, pairs, as_of)
            known = before.get(name)
            same = known is not None and known.exists and _same_relation(known, record)
            if same and known is not None:
                record = replace(
                    record,
                    rows=known.rows,
                    version=known.version,
                    updated_at=known.updated_at,
                    rows_as_of=known.rows_as_of,
                )
            ctx.store.put_tables([record])
            if count and record.exists and _worth_counting(ctx, record, writes):
                try:
                    ctx.store.put_tables([_counted(ctx, record, writes)])
                except WorkspaceError as e:
                    if e.retryable:
                        raise
                    failed.append(e)
    if failed:
        raise failed[0]
    return None


def _table_record(
    ctx: CollectContext,
    table: str,
    side: str,
    state: TableState,
    grants: tuple[tuple[str, str], ...],
    as_of: datetime,
) -> TableRecord:
    hangers: dict[str, Any] = {}
    if state.row_filter:
        hangers["row_filter"] = state.row_filter
    masks = {c.name: c.mask for c in state.columns if c.mask}
    if masks:
        hangers["masks"] = masks
    if state.constraints:
        hangers["constraints"] = list(state.constraints)
    if state.comment:
        hangers["comment"] = state.comment
    if state.properties:
        hangers["properties"] = dict(state.properties)
    if state.updated_by:
        hangers["altered"] = {"by": state.updated_by, "at": when(state.updated_at) if state.updated_at else ""}
    return TableRecord(
        name=state.name,
        table=table,
        side=side,
        exists=state.exists,
        table_type=state.table_type,
        owner=state.owner,
        pipeline_id=state.pipeline_id,
        view_definition=state.view_definition,
        serves=state.serves,
        columns=tuple(ColumnRecord(c.name, c.type, c.nullable, c.comment, c.mask) for c in state.columns),
        grants=grants,
        hangers=hangers,
        rows=None,
        version=None,
        updated_at=None,
        rows_as_of=None,
        as_of=as_of,
        url=ctx.workspace.links.table(state.name),
    )


def _last_writes(ctx: CollectContext) -> dict[str, datetime]:
    """Side to the end of the last run or update that may have written its tables."""
    writes: dict[str, datetime] = {}
    for run in ctx.store.runs("baseline", limit=20):
        if run.end_time is not None:
            writes["baseline"] = max(writes.get("baseline", BEGINNING), run.end_time)
    for environment, side in (("production", "candidate"), ("development", "development")):
        for update in ctx.store.updates(environment, states=("COMPLETED",), limit=5):
            if update.end_time is not None and not update.validate_only:
                writes[side] = max(writes.get(side, BEGINNING), update.end_time)
    writes["kept"] = writes.get("baseline", BEGINNING)
    return writes


def _worth_counting(ctx: CollectContext, record: TableRecord, writes: Mapping[str, datetime]) -> bool:
    if record.table_type == "VIEW" and record.serves is not None:
        return False  # It has the rows of the table that it serves, which is counted separately.
    if record.rows_as_of is None:
        return True
    written = writes.get(record.side, BEGINNING)
    return record.rows_as_of <= written or ctx.clock() - record.rows_as_of > ROWS_AGE


def _counted(ctx: CollectContext, record: TableRecord, writes: Mapping[str, datetime]) -> TableRecord:
    started = ctx.clock()
    tables = ctx.workspace.tables
    version, updated_at = None, writes.get(record.side)
    if record.table_type in ("MANAGED", "EXTERNAL", "STREAMING_TABLE"):
        head = tables.history_head(record.name)
        version, updated_at = head.version, head.timestamp
        if version == record.version and record.rows is not None:
            return replace(record, rows_as_of=started)
    return replace(record, rows=tables.count(record.name), version=version, updated_at=updated_at, rows_as_of=started)


def _same_relation(known: TableRecord, record: TableRecord) -> bool:
    """Whether it is the same table or view, so that its row count still holds; a rename brings another one."""
    return (
        record.exists
        and known.table_type == record.table_type
        and known.serves == record.serves
        and known.pipeline_id == record.pipeline_id
        and [c.name for c in known.columns] == [c.name for c in record.columns]
    )
