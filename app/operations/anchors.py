"""Heads of the audit log outside the store: in the workspace's history of statements, in reports and in files.

An operation that has ended leaves `SELECT 'cutover audit head MIGRATION SEQ:HASH'` in the history, which the service
keeps for a year and in which neither the app nor a user can change or delete anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.store.audit import Anchor, AuditRepository
from databricks_client.quoting import literal

if TYPE_CHECKING:
    from databricks_client.sql import Sql
    from databricks_client.statement_history import StatementHistory

PREFIX = "cutover audit head"

ANCHOR_SECONDS = 30.0
"""How long an anchor may take: its operation has ended, and nothing waits for it but the process."""

_ANCHOR = re.compile(r"(?<![0-9])([0-9]{1,9}):([0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True)
class WorkspaceAnchor:
    """A head in the history of statements. user: who sent it: anyone who may use a warehouse can send such a text."""

    anchor: Anchor
    at: datetime
    user: str
    statement_id: str


def leave_anchor(sql: Sql, audit: AuditRepository, migration: str) -> Anchor | None:
    """Puts the head into the history of statements; None where the log is empty. Raises WorkspaceError, StoreError."""
    head = audit.head()
    if head is not None:
        text = literal(f"{_of(migration)} {head}")
        sql.query(f"SELECT {text} AS anchor", what="leave an anchor of the audit log", limit=ANCHOR_SECONDS)
    return head


def workspace_anchors(
    history: StatementHistory, migration: str, since: datetime, workspace_id: str
) -> list[WorkspaceAnchor]:
    """The anchors of a migration's log in the history of statements, oldest first. Raises WorkspaceError."""
    wanted = re.compile(re.escape(_of(migration)) + " " + _ANCHOR.pattern)
    found = []
    for s in history.containing(_of(migration), since, workspace_id):
        if (match := wanted.search(s.text)) is not None:
            anchor = Anchor(int(match[1]), match[2], f"statement {s.statement_id} by {s.user or 'unknown'}")
            found.append(WorkspaceAnchor(anchor, s.at, s.user, s.statement_id))
    return found


def anchors_in(text: str, source: str) -> list[Anchor]:
    """Every SEQ:HASH in a text, e.g. a report. source: what the text is, for errors."""
    return [Anchor(int(seq), digest, source) for seq, digest in dict.fromkeys(_ANCHOR.findall(text))]


def missing(anchors: Iterable[Anchor], audit: AuditRepository) -> list[Anchor]:
    """Those that are not in the log. Raises StoreError."""
    kept = list(anchors)
    hashes = {r.seq: r.hash for r in audit.walk()} if kept else {}
    return [a for a in kept if hashes.get(a.seq) != a.hash]


def _of(migration: str) -> str:
    return f"{PREFIX} {quote(migration, safe='')}"
