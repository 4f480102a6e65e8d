"""What comparisons need of the workspace beside tables: a warehouse, and which update last may have written a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cache

from databricks_client.client import Workspace
from databricks_client.connection import words
from databricks_client.errors import WorkspaceError, one_line
from databricks_client.sql import CONNECTION_OPTIONS
from validation.connector import DatabricksWarehouse
from validation.state import TableUpdate, UpdateOf
from validation.updates import LogEntry, written_at
from validation.warehouse import never

# Definite answers that an event log is not to be had, as where its filter or a privilege is refused.
_REFUSED = (400, 403, 404)


def open_warehouse(workspace: Workspace, stopped: Callable[[], bool] = never) -> DatabricksWarehouse:
    """A new connection to the warehouse, to be left when done. Raises WorkspaceError where it cannot be reached.

    stopped: gives the attempt up, while the warehouse starts.
    """
    try:
        return DatabricksWarehouse(workspace.endpoint.sql(stopped=stopped, **CONNECTION_OPTIONS))
    except Exception as e:
        raise WorkspaceError(
            "connect to the SQL warehouse", words(e) or one_line(e), "check that it runs and can be reached",
            retryable=True,
        ) from e  # fmt: skip


def table_updates(workspace: Workspace) -> UpdateOf:
    """A function from a table to the newest update of the pipeline that owns it, asked anew at each call.

    Its answer is None for a table that no pipeline owns. It raises WorkspaceError. When the table was written is asked
    of an update that has ended, once; an event log that may not be read leaves it unknown.
    """

    @cache
    def owner(name: str) -> str | None:
        return workspace.tables.state(name).pipeline_id

    @cache
    def written(name: str, pipeline_id: str, update_id: str) -> datetime | None:
        events = workspace.pipelines.events_of(pipeline_id, update_id)
        try:
            return written_at(name, (LogEntry(e.event_type, e.dataset, e.timestamp, e.details) for e in events))
        except WorkspaceError as e:
            if e.status in _REFUSED:
                return None
            raise

    def update_of(name: str) -> TableUpdate | None:
        pipeline_id = owner(name)
        update = None if pipeline_id is None else workspace.pipelines.last_write(pipeline_id)
        if pipeline_id is None or update is None:
            return None
        found = TableUpdate(update.update_id, update.state)
        return replace(found, written_at=written(name, pipeline_id, found.update_id)) if found.ended else found

    return update_of
