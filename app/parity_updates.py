"""Which pipeline update last may have written a table: what identifies the rows of one that a pipeline owns."""

from __future__ import annotations

from app.workspace.client import Workspace
from validation.state import TableUpdate, UpdateOf


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
