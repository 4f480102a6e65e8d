"""Which pipeline update last refreshed a table, and who asks: from the workspace's REST API, where one is at hand."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from validation.errors import SideUnreadable
from validation.sqltext import split_name
from validation.state import TableUpdate, UpdateOf

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_NEWEST = 25
"""Updates and events to look at: the newest that count are among them, or the pipeline was validated 25 times since."""


def pipeline_updates(workspace: WorkspaceClient) -> UpdateOf:
    """A function from a three-level table name to the newest update of the pipeline that owns the table.

    It gives None for a table that no pipeline owns, and where the catalog or the pipeline may not be read: then the
    state of the table is taken from SQL alone. It raises SideUnreadable where the service does not answer.
    """
    from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
    from databricks.sdk.errors.base import DatabricksError

    def update_of(name: str) -> TableUpdate | None:
        parts = split_name(name)
        if len(parts) != 3:
            return None
        try:
            owner = workspace.tables.get(".".join(parts)).pipeline_id
            if owner is None:
                return None
            newest = workspace.pipelines.list_updates(owner, max_results=_NEWEST).updates or []
            update = next((u for u in newest if not u.validate_only), None)
            if update is None or update.state is None:
                return None
            found = TableUpdate(update.update_id or "", update.state.value)
            return _with_end(workspace, owner, found) if found.ended else found
        except (NotFound, PermissionDenied, BadRequest):
            return None
        # The SDK gives up on a service that does not answer with the built-in TimeoutError.
        except (DatabricksError, OSError) as e:
            raise SideUnreadable(f"which update last wrote {name} cannot be told: {e}") from e

    return update_of


def current_user(workspace: WorkspaceClient) -> str:
    """Name of who the token is, for the report; "" where it may use SQL and not be told that."""
    from databricks.sdk.errors.base import DatabricksError

    try:
        return workspace.current_user.me().user_name or ""
    except (DatabricksError, OSError):
        return ""


def _with_end(workspace: WorkspaceClient, pipeline_id: str, update: TableUpdate) -> TableUpdate:
    """`update` with the time of its end: updates do not tell it, the last of their `update_progress` events does."""
    events = islice(workspace.pipelines.list_pipeline_events(pipeline_id, max_results=_NEWEST), _NEWEST)
    for e in events:
        if e.event_type == "update_progress" and e.origin and e.origin.update_id == update.update_id and e.timestamp:
            return TableUpdate(update.update_id, update.state, datetime.fromisoformat(e.timestamp))
    return update
