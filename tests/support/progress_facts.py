"""Evidence for tests of rules: runs, updates, comparisons and facts at one moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.parity.streak import Streak
from app.progress.facts import Facts
from app.store.collected.records import JobRunRecord, Snapshot, SourceStatus, TableRecord, UpdateRecord
from app.store.operations import OperationRecord, State
from app.store.parity_records import ParityState, ParityTable

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIGRATION = Migration.load(DEFAULT_MIGRATION)
TABLES = [t.name for t in MIGRATION.tables]


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def run(side: str, n: int, hours: float, seconds: float = 100, state: str = "SUCCESS", **more: Any) -> JobRunRecord:
    values: dict[str, Any] = {
        "side": side,
        "job_id": 1,
        "run_id": n,
        "number": n,
        "trigger": "PERIODIC",
        "life_cycle_state": "TERMINATED",
        "result_state": state,
        "state_message": "",
        "start_time": ago(hours),
        "end_time": ago(hours) + timedelta(seconds=seconds),
        "run_seconds": seconds,
        "queue_seconds": 0.0,
        "run_page_url": "",
    }
    return JobRunRecord(**{**values, **more})


def update(n: int, hours: float, state: str = "COMPLETED", **more: Any) -> UpdateRecord:
    values: dict[str, Any] = {
        "pipeline_id": "p",
        "pipeline_name": "P",
        "environment": "production",
        "update_id": f"u{n}",
        "state": state,
        "cause": "JOB_TASK",
        "full_refresh": False,
        "validate_only": False,
        "refresh_selection": (),
        "start_time": ago(hours),
        "end_time": ago(hours) + timedelta(seconds=50),
        "seconds": 50.0,
        "job_run_id": None,
        "url": "",
    }
    return UpdateRecord(**{**values, **more})


def compared(table: str, hours: float, verdict: str = "identical") -> ParityTable:
    return ParityTable(
        "r1", table, ParityState.DONE, "done", 1.0, verdict, "", 1, 1, 0, 0, 0, 1.0, ago(hours), ago(hours)
    )


def table(name: str, kind: str | None = "MANAGED", serves: str | None = None, exists: bool = True) -> TableRecord:
    return TableRecord(
        name, name, "baseline", exists, kind, None, None, None, serves, (), (), {}, None, None, None, None, ago(0.1)
    )


def facts(**more: Any) -> Facts:
    snapshot = more.pop("snapshot", None) or Snapshot({}, {}, {}, {}, (), ())
    values: dict[str, Any] = {
        "now": NOW,
        "migration": MIGRATION,
        "snapshot": snapshot,
        "tasks": {},
        "expectations": {},
        "parity": {"production": {}, "development": {}},
        "final_parity": {"production": {}, "development": {}},
        "streaks": {p: Streak() for p in ("production", "development")},
        "schema_differences": {},
        "ticks": {},
        "verified": {},
    }
    return Facts(**{**values, **more})


def read(*names: str, minutes: float = 0.0) -> dict[str, SourceStatus]:
    """Sources that were last read so long ago."""
    return {n: SourceStatus(n, ago(minutes / 60), NOW, None, 0, 15.0) for n in names}


def with_runs(*runs: JobRunRecord, updates: tuple[UpdateRecord, ...] = (), **more: Any) -> Facts:
    sources = read("runs:baseline", "runs:candidate", "updates:production", "updates:development")
    return facts(snapshot=Snapshot(sources, {}, {}, {}, tuple(runs), updates), **more)


def operation(kind: str, hours: float, state: State = State.VERIFIED, n: int = 1, reason: str = "") -> OperationRecord:
    """An operation that ended so many hours ago."""
    ended = None if state is State.RUNNING else ago(hours)
    plan = rehearsed() if kind == "rehearse" else {}
    return OperationRecord(
        f"{kind}-{n}", kind, "00_rds", "hash", plan, "erin@x", "proxy", False, False, state, reason, "worker", False, None,
        ago(hours + 1), ago(hours - 1), ago(hours + 1), ago(hours + 0.5), ended,
    )  # fmt: skip


def rehearsed(
    rows: int | None = None, counts: tuple[int | None, int | None] | None = None, without: str = "", one_way: str = ""
) -> dict[str, Any]:
    """The stored plan of a rehearsal. rows: at most so many copied of each table, which has `counts` on either side.
    without: a table that it left out; one_way: one that it did not take back."""
    steps: list[dict[str, Any]] = []
    for t in MIGRATION.tables:
        if t.name == without:
            continue
        old, new = f"c.s.x_{t.name}", f"c.s.x_{t.name}_new"
        for source, target, most in (
            (t.baseline, old, rows), (old, f"{old}_old_ref", None), (t.candidate, new, rows), (new, f"{new}_ref", None)
        ):  # fmt: skip
            steps.append({"type": "CopyTable", "source": source, "target": target, "rows": most})
        steps.append({"type": "VerifySame", "relation": old, "reference": f"{new}_ref"})
        if t.name != one_way:
            steps.append({"type": "VerifySame", "relation": old, "reference": f"{old}_old_ref"})
    written = [
        {"table": t.name, "old_rows": counts[0], "new_rows": counts[1]} for t in MIGRATION.tables if counts is not None
    ]
    return {"steps": [{"step": s} for s in steps], "observation": {"written": written}}


def operated(*newest_first: OperationRecord) -> dict[str, dict[str, OperationRecord]]:
    """The fields `started` and `verified` of facts after these operations."""
    started: dict[str, OperationRecord] = {}
    verified: dict[str, OperationRecord] = {}
    for o in newest_first:
        started.setdefault(o.kind, o)
        if o.state is State.VERIFIED:
            verified.setdefault(o.kind, o)
    return {"started": started, "verified": verified}
