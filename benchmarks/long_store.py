"""A store as a worker has filled it after 400 days, for benchmarks of pages: invented, in a folder of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from app.config.migration import Migration
from app.context import Context
from app.progress.recorder import changes
from app.store.base import now
from app.store.collected.records import (
    ColumnRecord,
    EventRecord,
    ExpectationRecord,
    FlowRecord,
    JobRunRecord,
    PipelineRecord,
    ScheduleRecord,
    TableRecord,
    TaskRunRecord,
    UpdateRecord,
    UsageRecord,
)
from app.store.definitions import SCHEDULE
from app.store.open import Store
from app.store.parity_records import ParityState, pair_of, producer_json, runs_table, tables_table
from app.store.parity_records import Producer as Writer

DAYS = 400
RUNS_A_DAY = 4
EVENTS_AN_UPDATE = 125
BASELINE_TASKS = 22
CANDIDATE_TASKS = 16
COMPARED_DAYS = 60
"""How long the comparisons go back: 240 of six tables each."""

BASELINE_JOB, CANDIDATE_JOB = 314473856953682, 200
HOST = "https://workspace.example.com"
SOURCES = (
    "schedules", "pipelines", "runs:baseline", "runs:candidate", "updates:production", "updates:development",
    "events:production", "events:development", "tables", "links", "billing", "lineage",
)  # fmt: skip


def fill(store: Store, migration: Migration, days: int = DAYS) -> dict[str, int]:
    """Fills an empty store with so many days of both jobs; gives the number of records of each kind.

    Every 40th run of a side failed. Times end now, so that the evidence is fresh.
    """
    at = now().astimezone(UTC).replace(microsecond=0)
    rng = random.Random(400)
    _definitions(store, migration, at, days)
    counts = {"runs": 0, "updates": 0, "tasks": 0, "events": 0, "usage": 0}
    for first in range(0, days * RUNS_A_DAY, 100):
        part = range(first, min(first + 100, days * RUNS_A_DAY))
        for kind, n in _history(store, migration, at, part, rng).items():
            counts[kind] += n
    counts["comparisons"] = _comparisons(store, migration, at, min(days, COMPARED_DAYS) * RUNS_A_DAY)
    counts["items met"] = _progress(store, migration, at, days)
    return counts


def _progress(store: Store, migration: Migration, at: datetime, days: int) -> int:
    """Records what the evidence meets as met day by day, as a worker would have that watched from the first day on."""
    first = at - timedelta(days=days)
    met = [c for c in changes(Context(store=store, migration=migration).facts()) if c[2] is not None]
    step = timedelta(days=days * 0.8) / max(1, len(met))
    made = []
    for n, (_, after, change) in enumerate(met):
        when = first + n * step
        found = replace(after, first_met=when)
        made.append((None, found, replace(change, at=when, recorded_at=when) if change else None))
    store.progress.write(made)
    return len(made)


def _definitions(store: Store, migration: Migration, at: datetime, days: int) -> None:
    for source in SOURCES:
        store.collected.source_succeeded(source, at, 86400)
    store.collected.put_schedules(
        [
            ScheduleRecord(
                side, job_id, name, "schedule", "0 0 5/6 * * ?", migration.timezone, "UNPAUSED",
                f"{HOST}/jobs/{job_id}", at,
            )
            for side, job_id, name in (
                ("baseline", BASELINE_JOB, migration.baseline_job.name),
                ("candidate", CANDIDATE_JOB, migration.candidate_job.name),
            )
        ]
    )  # fmt: skip
    schedule = {"quartz": "0 0 5/6 * * ?", "timezone": migration.timezone, "active": True}
    store.definitions.observe(SCHEDULE, {"baseline": schedule, "candidate": schedule}, at - timedelta(days=days))
    store.collected.put_pipelines(
        [
            PipelineRecord(
                p.environment, f"pl-{p.environment}", p.name, "IDLE", "product", "fde", {}, f"{HOST}/pipelines", at
            )
            for p in migration.pipelines
        ]
    )
    columns = tuple(ColumnRecord(f"column_{n}", "string", True) for n in range(85))
    store.collected.put_tables(
        [
            TableRecord(
                name, t.name, side, side != "kept", "MANAGED" if side == "baseline" else "MATERIALIZED_VIEW",
                "owner@example.com", None if side == "baseline" else "pl-production", None, None, columns,
                (("data-consumers", "SELECT"),), {}, 43_900_000, 12, at, at, at, f"{HOST}/explore/data/{name}",
            )
            for t in migration.tables
            for side, name in (("baseline", t.baseline), ("candidate", t.candidate), ("kept", t.kept))
        ]
    )  # fmt: skip


def _history(
    store: Store, migration: Migration, at: datetime, numbers: range, rng: random.Random
) -> dict[str, int]:  # fmt: skip
    runs: list[JobRunRecord] = []
    tasks: list[TaskRunRecord] = []
    updates: list[UpdateRecord] = []
    flows: list[FlowRecord] = []
    expectations: list[ExpectationRecord] = []
    events: list[EventRecord] = []
    usage: list[UsageRecord] = []
    for n in numbers:
        start = at - timedelta(hours=24 / RUNS_A_DAY * n + 1)
        for side, job_id, base, task_count in (
            ("baseline", BASELINE_JOB, 620.0, BASELINE_TASKS),
            ("candidate", CANDIDATE_JOB, 270.0, CANDIDATE_TASKS),
        ):
            run_id = 10_000 + 2 * n + (side == "candidate")
            failed = n % 40 == 17
            taken = base * rng.uniform(0.85, 1.2)
            end = start + timedelta(seconds=taken)
            runs.append(
                JobRunRecord(
                    side, job_id, run_id, n, "PERIODIC", "TERMINATED", "FAILED" if failed else "SUCCESS",
                    "Task task_1 failed" if failed else "", start, end, taken, rng.uniform(0, 4),
                    f"{HOST}/jobs/{job_id}/runs/{run_id}",
                )
            )  # fmt: skip
            tasks += _tasks(run_id, task_count, start, taken, failed)
            usage.append(_usage(f"j{run_id}", side, job_id, run_id, None, taken / 3600 * 6, 0.15, start, end))
            if side == "candidate":
                update_id = f"{n:08x}-0000-4000-8000-{n:012x}"
                updates.append(
                    UpdateRecord(
                        "pl-production", migration.production_pipeline.name, "production", update_id,
                        "FAILED" if failed else "COMPLETED", "JOB_TASK", False, False, (),
                        start + timedelta(seconds=30), end, taken * 0.7, run_id,
                        f"{HOST}/pipelines/pl-production/updates/{update_id}",
                    )
                )  # fmt: skip
                usage.append(_usage(f"p{run_id}", side, None, None, update_id, taken / 3600 * 3, 0.36, start, end))
                for t in migration.tables:
                    dataset = t.candidate.rsplit(".", 1)[1]
                    flows.append(FlowRecord(update_id, dataset, "COMPLETED", 20_000, taken / 8, start, end, 3))
                    expectations.append(ExpectationRecord(update_id, dataset, "valid_id", "warn", 20_000, n % 4, end))
                events += _events(update_id, start, taken, failed)
    store.collected.put_runs(runs, tasks)
    store.collected.put_updates(updates)
    store.collected.put_flows(flows, expectations)
    store.collected.put_events(events)
    store.collected.put_usage(usage)
    return {
        "runs": len(runs), "updates": len(updates), "tasks": len(tasks), "events": len(events), "usage": len(usage),
    }  # fmt: skip


def _tasks(run_id: int, count: int, start: datetime, taken: float, failed: bool) -> Iterator[TaskRunRecord]:
    for k in range(count):
        state = "FAILED" if failed and k == 1 else "SUCCESS"
        begin, end = (start + timedelta(seconds=taken * x / count) for x in (k, k + 1))
        error = "Task failed: files were added" if state == "FAILED" else None
        yield TaskRunRecord(run_id, f"task_{k}", run_id * 100 + k, state, begin, end, taken / count, error)


def _events(update_id: str, start: datetime, taken: float, failed: bool) -> Iterator[EventRecord]:
    for k in range(EVENTS_AN_UPDATE):
        last = k == EVENTS_AN_UPDATE - 1
        level = "ERROR" if last and failed else "METRICS" if k % 10 == 0 else "INFO"
        yield EventRecord(
            "pl-production", f"{update_id}-{k}", update_id, start + timedelta(seconds=taken * k / EVENTS_AN_UPDATE),
            level, "update_progress" if last else "flow_progress", f"Flow 'table_{k % 6}' has step {k}.",
            f"table_{k % 6}", {"flow_progress": {"status": "RUNNING"}},
        )  # fmt: skip


def _usage(
    record_id: str,
    side: str,
    job_id: int | None,
    run_id: int | None,
    update_id: str | None,
    dbu: float,
    price: float,
    start: datetime,
    end: datetime,
) -> UsageRecord:
    pipeline_id = "pl-production" if update_id else None
    sku = "PREMIUM_DLT_ADVANCED_COMPUTE" if update_id else "PREMIUM_JOBS_COMPUTE"
    return UsageRecord(
        record_id, "ORIGINAL", side, job_id, run_id, pipeline_id, update_id, sku, dbu, price, dbu * price, start, end,
        "DLT" if update_id else "JOBS", False, True,
    )  # fmt: skip


def _comparisons(store: Store, migration: Migration, at: datetime, count: int) -> int:
    runs: list[dict[str, Any]] = []
    tables: list[dict[str, Any]] = []
    for n in range(count):
        end = at - timedelta(hours=24 / RUNS_A_DAY * n + 0.7)
        begin = end - timedelta(seconds=90)
        writers = [
            Writer("job_run", str(10_000 + 2 * n + k), 10_000 + 2 * n + k, end - timedelta(minutes=5)) for k in (0, 1)
        ]
        if n % 40 == 17:
            continue  # Both jobs failed: there is nothing to compare.
        runs.append(
            {
                "id": f"c{n:06d}", "tables": [t.name for t in migration.tables], "requested_by": "worker",
                "requested_at": begin, "trigger": "auto", "final": False, "sides": "production",
                "state": ParityState.DONE, "started_at": begin, "finished_at": end, "verdict": "identical",
                "baseline": producer_json(writers[0]), "candidate": producer_json(writers[1]),
                "pair": pair_of(*writers), "skew_seconds": 60.0, "hash_key": "0" * 64,
            }
        )  # fmt: skip
        tables += [
            {
                "parity_id": f"c{n:06d}", "table": t.name, "sides": "production", "position": k,
                "state": ParityState.DONE, "step": "", "fraction": 1.0, "verdict": "identical", "label": "IDENTICAL",
                "reason": "every bucket's fingerprint agrees", "final": False, "baseline_rows": 43_900_000,
                "candidate_rows": 43_900_000, "missing_rows": 0, "extra_rows": 0, "modified_rows": 0, "seconds": 15.0,
                "started_at": begin, "finished_at": end,
                "report": {"columns": ["property_id"] * 85, "schema_differences": [], "verdict": "identical"},
            }
            for k, t in enumerate(migration.tables)
        ]  # fmt: skip
    with store.engine.begin() as c:
        c.execute(insert(runs_table), runs)
        c.execute(insert(tables_table), tables)
    return len(runs)
