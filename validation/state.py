"""The state of a side: what identifies its data now, so that a change while reading, or since a report, is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from validation.errors import StatementError
from validation.report import SideState
from validation.schema import TableSchema
from validation.sqltext import quote_table, split_name
from validation.warehouse import Warehouse, never

UpdateOf = Callable[[str], str | None]
"""Table name to the id of the pipeline update that last refreshed it (None: not a pipeline's table, or unknown)."""


def read_state(
    warehouse: Warehouse,
    name: str,
    schema: TableSchema,
    pinned: int | None,
    update_of: UpdateOf | None,
    cancelled: Callable[[], bool] = never,
) -> SideState:
    """The state of one side; `version_before` holds what identifies its data, None where nothing does."""
    state = SideState(name=name, table_type=schema.table_type, bytes=schema.bytes, pinned=pinned is not None)
    if pinned is not None:
        return replace(state, version_before=f"delta:{pinned}", version_after=f"delta:{pinned}")
    is_view = "VIEW" in schema.table_type
    update = update_of(name) if update_of is not None else None
    if not is_view and schema.provider in {"delta", ""}:
        found = _history(warehouse, name, cancelled)
        if found is not None:
            version, written, run = found
            return replace(state, version_before=f"delta:{version}", last_write=written, produced_by=run or update)
    if update is not None:
        return replace(state, version_before=f"update:{update}", produced_by=f"update {update}")
    if schema.refreshed:
        return replace(state, version_before=f"refreshed:{schema.refreshed}")
    if schema.table_type == "MATERIALIZED_VIEW":
        altered = _last_altered(warehouse, name, cancelled)
        if altered is not None:
            return replace(state, version_before=f"altered:{altered.isoformat()}", last_write=altered)
    if schema.definition:
        return replace(state, version_before=f"definition:{schema.definition}")
    return state


def identifies_data(version: str | None) -> bool:
    """Whether equal versions mean equal data. A view's definition alone does not: its sources may change."""
    return version is not None and not version.startswith("definition:")


def _history(
    warehouse: Warehouse, name: str, cancelled: Callable[[], bool]
) -> tuple[int, datetime | None, str | None] | None:
    try:
        rows = warehouse.execute(f"DESCRIBE HISTORY {quote_table(name)} LIMIT 1", None, cancelled)
    except StatementError:
        return None
    if not rows:
        return None
    row = rows[0]
    return int(row["version"]), _as_time(row.get("timestamp")), _run(row)


def _last_altered(warehouse: Warehouse, name: str, cancelled: Callable[[], bool]) -> datetime | None:
    parts = split_name(name)
    if len(parts) != 3:
        return None
    try:
        rows = warehouse.execute(
            f"SELECT last_altered FROM {quote_table(f'`{parts[0]}`.information_schema.tables')} "
            "WHERE table_schema = :schema AND table_name = :table",
            {"schema": parts[1].lower(), "table": parts[2].lower()},
            cancelled,
        )
    except StatementError:
        return None
    return _as_time(rows[0]["last_altered"]) if rows else None


def _as_time(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _run(row: Any) -> str | None:
    """The job run or notebook that a history row names."""
    job = row.get("job")
    if isinstance(job, str):
        try:
            job = json.loads(job)
        except ValueError:
            found = re.search(r"run_?id\W+(\w+)", job, re.I)
            return f"job run {found.group(1)}" if found else None
    if isinstance(job, dict):
        run = job.get("runId") or job.get("jobRunId")
        if run:
            return f"job run {run}"
    return None
