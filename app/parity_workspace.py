"""What comparisons need of the workspace beside tables: a warehouse, and which update last may have written a table."""

from __future__ import annotations

from app.workspace.client import Workspace
from app.workspace.errors import WorkspaceError, one_line
from app.workspace.sql import CONNECTION_OPTIONS
from validation.connector import DatabricksWarehouse
from validation.state import TableUpdate, UpdateOf


def open_warehouse(workspace: Workspace) -> DatabricksWarehouse:
    """A new connection to the warehouse, to be left when done. Raises WorkspaceError where it cannot be reached."""
    try:
        return DatabricksWarehouse(workspace.endpoint.sql(**CONNECTION_OPTIONS))
    except Exception as e:
        raise WorkspaceError(
            "connect to the SQL warehouse", one_line(e), "check that it runs and can be reached", retryable=True
        ) from e


def table_updates(workspace: Workspace) -> UpdateOf:
    """A function from a table to the newest update of the pipeline that owns it, asked anew at each call.

    Its answer is None for a table that no pipeline owns. It raises WorkspaceError.
    """
    owners: dict[str, str | None] = {}

    def update_of(name: str) -> TableUpdate | None:
        if name not in owners:
            owners[name] = workspace.tables.state(name).pipeline_id
        pipeline_id = owners[name]
        update = None if pipeline_id is None else workspace.pipelines.last_write(pipeline_id)
        return None if update is None else TableUpdate(update.update_id, update.state)

    return update_of
