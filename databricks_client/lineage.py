"""Who reads the tables, and which update belongs to which job run, from the system tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from databricks_client.answers import Answer
from databricks_client.billing import bind
from databricks_client.sql import Sql


@dataclass(frozen=True)
class Consumer:
    """Something that read a table. The platform records a subset of events, for a year: such a list is never complete.

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
        if not tables:
            return []
        values: dict[str, Any] = {"since": since, "day": since.date()}
        names = bind(values, "table", sorted(tables))
        what = "read lineage of the tables"
        rows = [Answer(r, what) for r in self._sql.query(_CONSUMERS.format(tables=names), values, what=what)]
        return [
            Consumer(
                table=r.name("table_name"),
                kind=r.word_or_none("kind") or "UNKNOWN",
                consumer_id=r.text_or_none("consumer_id") or "",
                name=None,
                user=r.text_or_none("user_name"),
                last_seen=r.timestamp("last_seen"),
                reads=r.whole("reads"),
            )
            for r in rows
        ]

    def update_task_runs(self, pipeline_ids: Collection[str], since: datetime) -> dict[str, int]:
        """update id -> id of the job task run that started it, for updates since then.

        The timeline has several rows for an update; all of them name the same task run.
        """
        if not pipeline_ids:
            return {}
        values: dict[str, Any] = {"since": since}
        ids = bind(values, "pipeline", sorted(pipeline_ids))
        what = "read the timeline of updates"
        rows = [Answer(r, what) for r in self._sql.query(_TASK_RUNS.format(pipelines=ids), values, what=what)]
        return {r.name("update_id"): r.whole("task_run_id", 1) for r in rows}


_CONSUMERS = """
SELECT source_table_full_name AS table_name, entity_type AS kind, coalesce(entity_id, created_by) AS consumer_id,
       max_by(created_by, event_time) AS user_name, max(event_time) AS last_seen, count(*) AS reads
FROM system.access.table_lineage
WHERE source_table_full_name IN ({tables}) AND event_date >= :day AND event_time >= :since
GROUP BY source_table_full_name, entity_type, coalesce(entity_id, created_by)
"""

_TASK_RUNS = """
SELECT update_id, max(trigger_details.job_task.job_task_run_id) AS task_run_id
FROM system.lakeflow.pipeline_update_timeline
WHERE pipeline_id IN ({pipelines}) AND period_start_time >= :since
  AND trigger_details.job_task.job_task_run_id IS NOT NULL
GROUP BY update_id
"""
