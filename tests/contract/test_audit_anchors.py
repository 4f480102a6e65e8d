"""Anchors of the audit log in the local workspace's history of statements, through the real SQL connector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.operations.anchors import leave_anchor, workspace_anchors
from app.store.open import open_store
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError

MIGRATION = "it's an anchored migration"


def test_a_log_that_was_cut_is_found_by_the_history_of_statements(workspace: Any, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    here = Workspace(workspace.endpoint)
    since = datetime.now(UTC) - timedelta(minutes=5)
    for _ in range(2):
        store.audit.append(actor="a", source="token", local=False, action="b", outcome="allowed", subject="c")
        leave_anchor(here.sql, store.audit, MIGRATION)
    with pytest.raises(WorkspaceError):
        here.sql.query("DELETE FROM system.query.history")
    found = workspace_anchors(here.statement_history, MIGRATION, since, str(here.workspace_id.id))
    assert [a.anchor.seq for a in found] == [1, 2] and all(a.user for a in found)
    anchors = [a.anchor for a in found]
    assert store.audit.verify(anchors=anchors).whole
    with store.engine.begin() as c:
        c.execute(text("DELETE FROM audit_log WHERE seq = 2"))
        c.execute(text("UPDATE audit_head SET seq = 1, hash = (SELECT hash FROM audit_log)"))
    assert store.audit.verify().whole
    assert "the log was cut" in store.audit.verify(anchors=anchors).reason
    here.close()
    store.engine.dispose()
