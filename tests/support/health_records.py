"""Runs, updates and comparisons of a healthy migration, for tests of incidents and of the page Health."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.migration import Migration
from app.store.collected.records import (
    ColumnRecord,
    ExpectationRecord,
    JobRunRecord,
    ScheduleRecord,
    TableRecord,
    UpdateRecord,
)
from app.store.open import Store

SOURCES = ("runs:baseline", "runs:candidate", "updates:production", "events:production", "schedules", "tables")
QUARTZ, ZONE = "55 0 5/6 * * ?", "America/New_York"


def job_run(side: str, n: int, start: datetime, state: str = "SUCCESS", **more: Any) -> JobRunRecord:
    """A run that took five minutes."""
    values: dict[str, Any] = {
        "side": side, "job_id": 1, "run_id": n, "number": n, "trigger": "PERIODIC", "life_cycle_state": "TERMINATED",
        "result_state": state, "state_message": "", "start_time": start, "end_time": start + timedelta(minutes=5),
        "run_seconds": 300.0, "queue_seconds": 0.0, "run_page_url": "",
    }  # fmt: skip
    return JobRunRecord(**{**values, **more})


def pipeline_update(update_id: str, start: datetime, state: str = "COMPLETED", **more: Any) -> UpdateRecord:
    """An update of the production pipeline that took four minutes."""
    values: dict[str, Any] = {
        "pipeline_id": "p", "pipeline_name": "P", "environment": "production", "update_id": update_id, "state": state,
        "cause": "JOB_TASK", "full_refresh": False, "validate_only": False, "refresh_selection": (),
        "start_time": start, "end_time": start + timedelta(minutes=4), "seconds": 240.0, "job_run_id": None, "url": "",
    }  # fmt: skip
    return UpdateRecord(**{**values, **more})


def read_all(store: Store, at: datetime) -> None:
    """Every source was read completely at that time."""
    for source in SOURCES:
        store.collected.source_succeeded(source, at, 15)


def schedules(store: Store, at: datetime, *, paused: tuple[str, ...] = ()) -> None:
    """Both jobs on the production schedule."""
    store.collected.put_schedules(
        [
            ScheduleRecord(side, 1, side, "schedule", QUARTZ, ZONE, "PAUSED" if side in paused else "UNPAUSED", "", at)
            for side in ("baseline", "candidate")
        ]
    )


def tables(
    store: Store, migration: Migration, at: datetime, types: str = "bigint", *, read: datetime | None = None
) -> None:
    """Both sides' tables with one column, last written at that time and read then, or at `read`."""
    store.collected.put_tables(
        [
            TableRecord(
                name, t.name, side, True, "MANAGED", None, None, None, None, (ColumnRecord("id", types, True),), (), {},
                1, 1, at, read or at, read or at,
            )
            for t in migration.tables
            for side, name in (("baseline", t.baseline), ("candidate", t.candidate))
        ]
    )  # fmt: skip


def checked(update_id: str, failed: int, at: datetime, rows: int = 1000, name: str = "valid") -> ExpectationRecord:
    """One expectation of one update."""
    return ExpectationRecord(update_id, "dim_fde", name, "warn", rows - failed, failed, at)


def open_incidents(store: Store) -> int:
    """How many incidents are open."""
    return sum(i.open for i in store.incidents.since(datetime.now(UTC)))
