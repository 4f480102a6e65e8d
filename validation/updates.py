"""Which pipeline update last refreshed a table, and when; the acting user. From the workspace's REST API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from databricks_client.names import folded, folded_path
from validation.errors import SideUnreadable
from validation.sqltext import split_name
from validation.state import ENDED, TableUpdate, UpdateOf

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from databricks_client.client import Workspace

_REFUSED = (400, 403, 404)
"""Statuses of a definite refusal: a privilege, a filter or the object itself is missing."""


@dataclass(frozen=True)
class LogEntry:
    """One entry of a pipeline's event log. dataset: the table that it is about, None for one about all of an update.

    details: as the service gives them, as `{"flow_progress": {"status": "COMPLETED"}}`.
    """

    event_type: str
    dataset: str | None
    timestamp: datetime
    details: Mapping[str, Any]


def written_at(table: str, entries: Iterable[LogEntry]) -> datetime | None:
    """When an update wrote `table` (a three-level name), from the entries of that update, newest first.

    That is when the table's flow completed: each table is written by itself, maybe long before the update ends. Where
    no entry is about a flow of the table, it is when the update ended. None where there were flows and none completed:
    what failed or was left out of the update did not refresh the table.
    """
    ended: datetime | None = None
    flows = False
    for entry in entries:
        progress = entry.details.get(entry.event_type) or {}
        if entry.event_type == "update_progress" and progress.get("state") in ENDED:
            ended = ended or entry.timestamp
        elif entry.event_type == "flow_progress" and _is(table, entry.dataset):
            if progress.get("status") == "COMPLETED":
                return entry.timestamp
            flows = True
    return None if flows else ended


def _is(table: str, dataset: str | None) -> bool:
    """Whether a dataset is the table: a pipeline of an older publishing mode leaves catalog and schema out."""
    named = folded_path((dataset or "").replace("`", "")).split(".")
    return [folded(p) for p in split_name(table)][-len(named) :] == named


def table_updates(workspace: Workspace) -> UpdateOf:
    """A function from a three-level table name to the newest update of the pipeline that owns it, read at each call.

    It returns None for a table that no pipeline owns and for any other name, and raises WorkspaceError. When an update
    that has ended wrote the table is read once; an event log that may not be read leaves it unknown.
    """
    # Imported here as it loads the Databricks SDK, which a comparison without a workspace does not need.
    from databricks_client.errors import WorkspaceError

    @cache
    def owner(name: str) -> str | None:
        return workspace.tables.state(name).pipeline_id

    @cache  # An update that has ended writes no more.
    def written(name: str, pipeline_id: str, update_id: str) -> datetime | None:
        events = workspace.pipelines.events_of(pipeline_id, update_id)
        try:
            return written_at(name, (LogEntry(e.event_type, e.dataset, e.timestamp, e.details) for e in events))
        except WorkspaceError as e:
            if e.status in _REFUSED:
                return None
            raise

    def update_of(name: str) -> TableUpdate | None:
        parts = split_name(name)
        if len(parts) != 3 or any("." in p for p in parts):
            return None
        plain_name = ".".join(parts)
        pipeline_id = owner(plain_name)
        update = None if pipeline_id is None else workspace.pipelines.last_write(pipeline_id)
        if pipeline_id is None or update is None:
            return None
        found = TableUpdate(update.update_id, update.state)
        return replace(found, written_at=written(plain_name, pipeline_id, found.update_id)) if found.ended else found

    return update_of


def readable_updates(workspace: Workspace) -> UpdateOf:
    """As `table_updates`, for a user whose privileges are unknown.

    None also where the catalog or the pipeline may not be read: then SQL alone shows the state of the table. Raises
    SideUnreadable where the service does not answer.
    """
    from databricks_client.errors import WorkspaceError

    update_of = table_updates(workspace)

    def readable(name: str) -> TableUpdate | None:
        try:
            return update_of(name)
        except WorkspaceError as e:
            if e.status in _REFUSED:
                return None
            raise SideUnreadable(f"which update last wrote {name} is unknown: {e}") from e

    return readable


def current_user(workspace: WorkspaceClient) -> str:
    """User name of the token, for the report; "" where the token may not read it."""
    from databricks.sdk.errors.base import DatabricksError

    try:
        return workspace.current_user.me().user_name or ""
    except (DatabricksError, OSError):
        return ""
