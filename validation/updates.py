"""Which pipeline update last refreshed a table: asked of the workspace's REST API, where one is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validation.sqltext import split_name
from validation.state import UpdateOf

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def pipeline_updates(workspace: WorkspaceClient) -> UpdateOf:
    """A function from a three-level table name to the id of its pipeline's latest completed update.

    It gives None for a table that no pipeline owns, and where the catalog or the pipeline may not be read: then the
    state of the table is taken from SQL alone.
    """
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.service.pipelines import UpdateStateInfoState

    def update_of(name: str) -> str | None:
        parts = split_name(name)
        if len(parts) != 3:
            return None
        try:
            owner = workspace.tables.get(".".join(parts)).pipeline_id
            if owner is None:
                return None
            latest = workspace.pipelines.get(owner).latest_updates or []
        except DatabricksError:
            return None
        done = [u.update_id for u in latest if u.state is UpdateStateInfoState.COMPLETED]
        return done[0] if done else None

    return update_of
