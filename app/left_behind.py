"""Finds and cancels what a process that died left running on the SQL warehouse: by the tags of its statements."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import quote

from app.operations.engine import LEASE
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError
from databricks_client.running import Tag, process, tag_of

log = logging.getLogger("cutover.left_behind")

LOOK_SECONDS = 10.0
"""For the whole look: work must not wait long for what is only tidied up."""

_HISTORY = "/api/2.0/sql/history/queries"
_PAGE = 100


def cancel_left_behind(workspace: Workspace, store: Store) -> list[str]:
    """Cancels statements whose comparison, operation or process is dead; gives their ids. Says in the log what it did.

    A statement is left alone where it may still be wanted: another store's, or of a process on another machine that no
    comparison or operation of this store records. Never raises WorkspaceError: what cannot be found is only logged.
    """
    cancelled: list[str] = []
    try:
        with workspace.rest.limited(LOOK_SECONDS):
            for statement, tag in _running(workspace):
                if is_dead(tag, store):
                    _cancel(workspace, statement)
                    cancelled.append(statement)
                    log.warning("cancelled statement %s, which %s left running", statement, _owner(tag))
    except WorkspaceError as e:
        log.warning("what dead processes left running on the SQL warehouse is unknown: %s", e)
    return cancelled


def left_behind(workspace: Workspace, store: Store) -> list[tuple[str, str]]:
    """Ids of the statements that `cancel_left_behind` would cancel, and whose each is. Raises WorkspaceError."""
    with workspace.rest.limited(LOOK_SECONDS):
        return [(statement, _owner(tag)) for statement, tag in _running(workspace) if is_dead(tag, store)]


def is_dead(tag: Tag, store: Store) -> bool:
    """Whether the process that sent the statement is dead, as far as this store and machine show. Raises StoreError."""
    if tag.process == process():
        return False
    if tag.kind == "comparison" and store.parity.run(tag.id) is not None:
        worker = store.parity.executor(tag.id)
        return worker is None or not tag.same_process(worker)
    if tag.kind == "operation" and store.operations.get(tag.id) is not None:
        holder = store.leases.holder(LEASE)
        return holder is None or not tag.same_process(holder.owner)
    return tag.gone


def _running(workspace: Workspace) -> Iterator[tuple[str, Tag]]:
    """Statements of this project that run or wait on the warehouse. By one status each, as the service advises."""
    for status in ("RUNNING", "QUEUED"):
        query = {
            "filter_by.statuses": status,
            "filter_by.warehouse_ids": workspace.endpoint.warehouse_id,
            "max_results": _PAGE,
        }
        for page in workspace.rest.pages("read the query history", _HISTORY, query):
            for entry in page.objects("res"):
                tag = tag_of(entry.text_or_none("query_text") or "")
                if tag is not None:
                    yield entry.name("query_id"), tag


def _cancel(workspace: Workspace, statement: str) -> None:
    workspace.rest.send(
        f"cancel statement {statement}", "POST", f"/api/2.0/sql/statements/{quote(statement, safe='')}/cancel", {}
    )


def _owner(tag: Tag) -> str:
    return f"{tag.kind} {tag.id} of process {tag.process}" if tag.kind else f"process {tag.process}"
