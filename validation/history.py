"""Delta's history of a table: its newest version, and the last write that may have changed rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from validation.errors import StatementError
from validation.report import TableWrite
from validation.sqltext import quote_table
from validation.warehouse import Row, Warehouse

_ENTRIES = 20
"""Entries to read at first; the whole history is read only where all of these are maintenance."""

_MAINTENANCE = frozenset(
    {
        "ADD CONSTRAINT",
        "CHANGE COLUMN",
        "CHANGE COLUMNS",
        "CLUSTER BY",
        "COMPUTE STATS",
        "DROP CONSTRAINT",
        "OPTIMIZE",
        "REORG",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "UPDATE COLUMN METADATA",
        "UPGRADE PROTOCOL",
        "VACUUM END",
        "VACUUM START",
    }
)
"""Operations that leave rows as they are. What is not named here may have changed them."""

_FIELDS = {f.lower(): f for f in ("jobId", "jobRunId", "runId", "triggerType")}
_PAIR = re.compile(rf"\b({'|'.join(_FIELDS)})\W+(\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Newest:
    """The newest version of a table, or the requested one. at: when it was committed.

    written: the last write at or before it, None where no entry of the history is one (it may have been cleaned).
    """

    version: int
    at: datetime | None
    written: TableWrite | None


def newest(warehouse: Warehouse, name: str, cancelled: Callable[[], bool], version: int | None = None) -> Newest | None:
    """The newest version of a Delta table, or the given one; None where no history of it can be read."""
    rows = _read(warehouse, name, cancelled, None if version is not None else _ENTRIES)
    if version is None and len(rows) == _ENTRIES and all(map(_is_maintenance, rows)):
        rows = _read(warehouse, name, cancelled, None)
    rows = sorted(rows, key=lambda r: int(r["version"]), reverse=True)
    if version is not None:
        rows = [r for r in rows if int(r["version"]) <= version]
    if not rows or version not in (None, int(rows[0]["version"])):
        return None
    write = next((r for r in rows if not _is_maintenance(r)), None)
    return Newest(int(rows[0]["version"]), as_time(rows[0].get("timestamp")), None if write is None else _write(write))


def as_time(value: Any) -> datetime | None:
    """A moment as the service gives it, in UTC; None for what is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _read(warehouse: Warehouse, name: str, cancelled: Callable[[], bool], entries: int | None) -> Sequence[Row]:
    limit = "" if entries is None else f" LIMIT {entries}"
    try:
        return warehouse.execute(f"DESCRIBE HISTORY {quote_table(name)}{limit}", None, cancelled)
    except StatementError:
        return []


def _is_maintenance(row: Row) -> bool:
    return str(row.get("operation") or "").upper() in _MAINTENANCE


def _write(row: Row) -> TableWrite:
    job = _job(row.get("job"))
    # Of a run of several tasks `runId` is the task's; the run's own id has another name.
    return TableWrite(
        version=int(row["version"]),
        at=as_time(row.get("timestamp")),
        operation=str(row.get("operation") or ""),
        user=str(row.get("userName") or "") or None,
        job_id=job.get("jobId"),
        job_run_id=job.get("jobRunId"),
        run_id=job.get("runId"),
        trigger=job.get("triggerType"),
    )


def _job(job: Any) -> Mapping[str, str]:
    """The fields of a history's `job` that have a value: a struct, which the protocol gives as a mapping or as text."""
    if isinstance(job, str):
        try:
            job = json.loads(job)
        except ValueError:
            return {_FIELDS[k.lower()]: v for k, v in _PAIR.findall(job)}
    return {k: str(v) for k, v in job.items() if v} if isinstance(job, Mapping) else {}
