"""Who reads the tables, and which update belongs to which job run, from the system tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.workspace.sql import Sql


@dataclass(frozen=True)
class Consumer:
    """Something that read a table. The platform records a subset of events for a year: a list of these is never complete.

    kind: NOTEBOOK, JOB, PIPELINE, DASHBOARD_V3, DBSQL_QUERY, ..., or UNKNOWN.
    """

    table: str
    kind: str
    consumer_id: str
    name: str | None
    user: str | None
    last_seen: datetime
    reads: int


class Lineage:
    """Lineage of the workspace. All methods raise WorkspaceError."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def consumers(self, tables: Collection[str], since: datetime) -> list[Consumer]:
        """What read the tables since then."""
        raise NotImplementedError

    def update_task_runs(self, pipeline_ids: Collection[str], since: datetime) -> dict[str, int]:
        """update id -> id of the job task run that started it, for updates since then."""
        raise NotImplementedError
