"""Statements that were sent to the workspace's SQL warehouses, from `system.query.history`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from databricks_client.answers import Answer
from databricks_client.sql import Sql


@dataclass(frozen=True)
class PastStatement:
    """A statement that succeeded. user: as whom it was executed, empty where the service does not say."""

    statement_id: str
    at: datetime
    user: str
    text: str


class StatementHistory:
    """The history of statements. The service keeps it for a year and offers no way to change it; a statement appears
    within about an hour. Texts are missing where the workspace encrypts them with a key of its own."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def containing(self, text: str, since: datetime, workspace_id: str) -> list[PastStatement]:
        """Successful statements of the workspace since then whose text holds `text`, oldest first.

        Raises WorkspaceError, also where the caller lacks SELECT on the table: only administrators have it at first.
        """
        what = "read the history of statements"
        values = {"text": text, "since": since, "workspace": workspace_id}
        rows = [Answer(r, what) for r in self._sql.query(_CONTAINING, values, what=what)]
        return [
            PastStatement(
                r.name("statement_id"),
                r.timestamp("at"),
                r.text_or_none("user_name") or "",
                r.text_or_none("text") or "",
            )
            for r in rows
        ]


_CONTAINING = """
SELECT statement_id, start_time AS at, executed_by AS user_name, statement_text AS text
FROM system.query.history
WHERE workspace_id = :workspace AND start_time >= :since AND execution_status = 'FINISHED'
  AND contains(statement_text, :text)
ORDER BY start_time, statement_id
"""
