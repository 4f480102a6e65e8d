"""Which pipeline update last refreshed a table, when, and who asks: from the workspace's REST API, if there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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

_NEWEST = 25
"""Updates to look at: the newest that counts is among them, or the pipeline was validated 25 times since."""

_EVENTS = 100
"""Entries of the event log that are asked for at once; the service gives no more than 250."""


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


def pipeline_updates(workspace: WorkspaceClient) -> UpdateOf:
    """A function from a three-level table name to the newest update of the pipeline that owns the table.

    It gives None for a table that no pipeline owns, and where the catalog or the pipeline may not be read: then the
    state of the table is taken from SQL alone. It raises SideUnreadable where the service does not answer.
    """
    from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
    from databricks.sdk.errors.base import DatabricksError

    @cache  # An update that has ended writes no more.
    def written(name: str, pipeline_id: str, update_id: str) -> datetime | None:
        try:
            return written_at(name, _entries(workspace, pipeline_id, update_id))
        except (NotFound, PermissionDenied, BadRequest):
            return None

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
            return replace(found, written_at=written(name, owner, found.update_id)) if found.ended else found
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


def _entries(workspace: WorkspaceClient, pipeline_id: str, update_id: str) -> Iterator[LogEntry]:
    """The event log of one update, newest first; a page is asked for once it is needed.

    By raw calls: the SDK's event has no details, and its paging sends the filter along with the token, which the
    service refuses.
    """
    query: dict[str, Any] = {"filter": f"update_id = '{update_id}'", "order_by": ["timestamp desc"]}
    while True:
        answer: Any = workspace.api_client.do(
            "GET", f"/api/2.0/pipelines/{pipeline_id}/events", query={**query, "max_results": _EVENTS}
        )
        for event in answer.get("events", []):
            yield LogEntry(
                event.get("event_type", ""),
                event.get("origin", {}).get("dataset_name"),
                datetime.fromisoformat(event["timestamp"]),
                event.get("details") or {},
            )
        if not answer.get("next_page_token"):
            return
        query = {"page_token": answer["next_page_token"]}
