"""Reads again what an operation changed, in the process that ended it: no page rests on what was true before."""

from __future__ import annotations

import logging

from app.collect.context import CollectContext, Stopping
from app.collect.definitions import read_schedules
from app.collect.tables import read_tables
from app.store.base import StoreError
from databricks_client.errors import WorkspaceError

log = logging.getLogger("cutover.collect")

TABLES = frozenset({"cutover", "rollback", "drop-backup"})
SCHEDULES = frozenset({"cutover", "rollback", "pause", "unpause", "archive", "unarchive"})


def read_again(ctx: CollectContext, kind: str, operation_id: str) -> None:
    """Reads what an operation of this kind changes: names of tables, schedules; all else the worker is asked to read.

    Rows are not counted: a count may need minutes. Raises nothing: the operation has ended, whatever can be read of
    it now, and until the worker has read it the pages say so.
    """
    for read in ([read_schedules] if kind in SCHEDULES else []) + ([_names] if kind in TABLES else []):
        try:
            read(ctx)
        except (WorkspaceError, StoreError, Stopping) as e:
            log.warning("after operation %s: %s", operation_id, e)
    try:
        ctx.store.request_refresh(f"operation {operation_id}")
    except StoreError as e:
        log.warning("after operation %s: %s", operation_id, e)


def _names(ctx: CollectContext) -> str | None:
    return read_tables(ctx, count=False)
