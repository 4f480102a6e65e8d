"""Test data for the pages: invented runs, updates, comparisons, operations and ticks, plain and extreme."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update as sql_update

from app.config.migration import Migration
from app.doctor.model import Checked, Report, ok, warning
from app.operations.codec import plan_to_json
from app.operations.definition import GateVerdict, Kind, Observation, Plan
from app.operations.steps import (
    CopyTable,
    DropView,
    FlipView,
    PauseSchedule,
    PlannedStep,
    RenameTable,
    Step,
    UnpauseSchedule,
    VerifySame,
)
from app.operations.world import JobState
from app.progress.evidence import Finding, Status
from app.store.base import metadata, now
from app.store.collected.records import (
    AttemptRecord,
    ColumnRecord,
    ConsumerRecord,
    EventRecord,
    ExpectationRecord,
    FlowRecord,
    JobRunRecord,
    PipelineRecord,
    ScheduleRecord,
    TableRecord,
    TaskRunRecord,
    TryRecord,
    UpdateRecord,
    UsageRecord,
)
from app.store.incidents import Sign
from app.store.open import Store, open_store
from app.store.operations import OperationRecord, Phase, State
from app.store.parity_records import ParityState, Producer, runs_table, tables_table
from validation.report import (
    Cause,
    Cell,
    Fingerprint,
    ParityReport,
    Sample,
    SampleKind,
    SchemaDifference,
    SideState,
    Timing,
    Verdict,
)

HOST = "https://workspace.example.com"
NASTY = "<script>alert('x')</script> **bold** $x^2$ :smile: :red[no] [l](javascript:alert(1)) `tick` \"q\" https://evil.example.com -> _u_"
OLD_JOB, NEW_JOB = 314473856953682, 200
SOURCES = (
    "schedules", "pipelines", "runs:baseline", "runs:candidate", "updates:production", "updates:development",
    "events:production", "events:development", "tables", "links", "billing", "lineage",
)  # fmt: skip
HOUR = timedelta(hours=1)
REPAIRED_RUN = 10_006
"""A run of the old job, 18 hours before now, that a repair made successful."""


def open_test_store(url: str) -> Store:
    """A store with every table, whatever the state of the schema's migrations."""
    store = open_store(url)
    metadata.create_all(store.engine)
    return store


def seed(
    store: Store,
    migration: Migration,
    *,
    days: int = 7,
    nasty: bool = False,
    failing: bool = False,
    differing: bool = False,
    operations: bool = True,
    under_way: bool = True,
    moment: datetime | None = None,
) -> None:
    """Fills a store as a worker would have. nasty: hostile texts everywhere. failing: sources fail and runs fail.

    under_way: whether the rollback among the operations has not ended yet.
    """
    at = moment or now()
    rng = random.Random(7)
    _sources(store, at, failing)
    _catalog(store, migration, at, nasty)
    _history(store, migration, at, days, rng, nasty, failing)
    _parity(store, migration, at, rng, differing, nasty)
    if operations:
        _operations(store, migration, at, nasty, under_way)
    _ticks(store, nasty)
    _incidents(store, migration, at, nasty)
    _setup(store, at, nasty)


def _setup(store: Store, at: datetime, nasty: bool) -> None:
    """A check of the setup that passed with a warning."""
    odd = f" {NASTY}" if nasty else ""
    findings = (ok(f"clock{odd}", "1 s ahead"), warning(f"auto-stop{odd}", f"it never stops{odd}", f"stop it{odd}"))
    report = Report(at, HOST, f"app{odd}", True, (Checked("clock", f"Clock{odd}", findings),))
    store.setup_checks.finish(store.setup_checks.request("the worker"), report.passed, report.plain())


def _sources(store: Store, at: datetime, failing: bool) -> None:
    for n, source in enumerate(SOURCES):
        if failing and source == "lineage":
            continue
        store.collected.source_succeeded(source, at - timedelta(seconds=7 + n * 3), 30)
        if failing and source in ("billing", "events:production"):
            store.collected.source_failed(
                source, at, 60, f"read {source}: 503 TEMPORARILY_UNAVAILABLE {NASTY}; try again"
            )
        if failing and source == "tables":
            store.collected.source_succeeded(source, at - timedelta(hours=5), 30)


def _definition(migration: Migration, environment: str, odd: str) -> dict[str, Any]:
    """As required, but for the workers of the development pipeline; and hostile where `odd` is."""
    wanted = next(w for e, w in migration.expected.pipelines.items() if e == environment)
    found = wanted.model_dump(by_alias=True, exclude={"notes"})
    found |= {"storage": odd or None, "source": ["/pipeline/transformations/**"]}
    return found | ({"workers": 2} if environment == "development" else {})


def _catalog(store: Store, migration: Migration, at: datetime, nasty: bool) -> None:
    odd = f" {NASTY}" if nasty else ""
    store.collected.put_schedules(
        [
            ScheduleRecord(
                "baseline", OLD_JOB, migration.baseline_job.name + odd, "schedule", "55 0 5/6 * * ?", "America/New_York",
                "UNPAUSED", f"{HOST}/jobs/{OLD_JOB}", at,
            ),
            ScheduleRecord(
                "candidate", NEW_JOB, migration.candidate_job.name, "schedule", "55 0 5/6 * * ?", "America/New_York",
                "PAUSED", f"{HOST}/jobs/{NEW_JOB}", at,
            ),
            ScheduleRecord(
                "development", 300, "00_RDS_FDE_DEV_schedule", "schedule", "0 0 6,12,18 * * ?", "America/New_York",
                "UNPAUSED", f"{HOST}/jobs/300", at,
            ),
        ]
    )  # fmt: skip
    store.collected.put_pipelines(
        [
            PipelineRecord(
                p.environment,
                f"pl-{p.environment}",
                p.name + odd,
                "IDLE",
                "product",
                "fde",
                {},
                f"{HOST}/pipelines/x",
                at,
                _definition(migration, p.environment, odd),
            )
            for p in migration.pipelines
        ]
    )
    records = []
    for n, t in enumerate(migration.tables):
        for side, name in (("baseline", t.baseline), ("candidate", t.candidate), ("development", t.development)):
            if name is None:
                continue
            records.append(
                TableRecord(
                    name, t.name, side, True, "MANAGED" if side == "baseline" else "MATERIALIZED_VIEW", "owner@example.com",
                    None if side == "baseline" else "pl-production", None, None,
                    (ColumnRecord("property_id", "bigint", True), ColumnRecord("name", "string", True)),
                    (("data-consumers", "SELECT"),), {}, 20000 + n * 137, 12, at - HOUR, at - HOUR, at,
                    f"{HOST}/explore/data/{name.replace('.', '/')}",
                )
            )  # fmt: skip
    store.collected.put_tables(records)
    store.collected.put_consumers(
        [
            ConsumerRecord(
                migration.tables[0].baseline,
                "DASHBOARD_V3",
                "d1",
                "Fraud overview" + odd,
                "analyst@example.com",
                at - HOUR,
                41,
            ),
            ConsumerRecord(migration.tables[1].baseline, "NOTEBOOK", "n7", None, None, at - 5 * HOUR, 2),
        ]
    )


def _history(
    store: Store, migration: Migration, at: datetime, days: int, rng: random.Random, nasty: bool, failing: bool
) -> None:
    runs: list[JobRunRecord] = []
    tasks: list[TaskRunRecord] = []
    updates: list[UpdateRecord] = []
    flows: list[FlowRecord] = []
    expectations: list[ExpectationRecord] = []
    events: list[EventRecord] = []
    usage: list[UsageRecord] = []
    message = (
        f"Task unity_fde failed: {NASTY}"
        if nasty
        else "Task unity_fde failed: [DELTA_CONCURRENT_APPEND] files were added"
    )
    for n in range(days * 4):
        start = at - timedelta(hours=6 * n + 1.5)
        made_up = n >= 8
        for side, job_id, base in (("baseline", OLD_JOB, 620.0), ("candidate", NEW_JOB, 270.0)):
            run_id = 10_000 + n * 2 + (side == "candidate")
            bad = failing and n in (0, 5)
            took = base * rng.uniform(0.85, 1.2)
            end = start + timedelta(seconds=took)
            runs.append(
                JobRunRecord(
                    side, job_id, run_id, n, "PERIODIC", "TERMINATED", "FAILED" if bad else "SUCCESS", message if bad else "",
                    start, end, took, rng.uniform(0, 4), f"{HOST}/jobs/{job_id}/runs/{run_id}", made_up,
                )
            )  # fmt: skip
            names = ("blockSelfJoins", "unity_fde", "income_verification", "iv_fde_ax") if side == "baseline" else (
                "blockSelfJoins", "fde_dlt_pipeline", "ov_dashboard")  # fmt: skip
            for k, key in enumerate(names):
                failed = bad and k == 1
                tasks.append(
                    TaskRunRecord(
                        run_id, key, run_id * 10 + k, "FAILED" if failed else "SUCCESS",
                        start + timedelta(seconds=took * k / len(names)), start + timedelta(seconds=took * (k + 1) / len(names)),
                        took / len(names), message if failed else None,
                    )
                )  # fmt: skip
            usage.append(
                UsageRecord(
                    f"u-{run_id}", "ORIGINAL", side, job_id, run_id, None, None, "PREMIUM_JOBS_COMPUTE",
                    took / 3600 * (14 if side == "baseline" else 6), 0.15, took / 3600 * (14 if side == "baseline" else 6) * 0.15,
                    start, end, "JOBS", False, True, made_up,
                )
            )  # fmt: skip
            if side == "baseline":
                continue
            update_id = f"{n:08x}-0000-4000-8000-00000000{n:04x}"
            updates.append(
                UpdateRecord(
                    "pl-production", migration.production_pipeline.name, "production", update_id,
                    "FAILED" if bad else "COMPLETED", "JOB_TASK", False, False, (), start + timedelta(seconds=30), end,
                    took * 0.7, run_id, f"{HOST}/pipelines/pl-production/updates/{update_id}", made_up,
                )
            )  # fmt: skip
            usage.append(
                UsageRecord(
                    f"p-{run_id}", "ORIGINAL", side, None, None, "pl-production", update_id, "PREMIUM_DLT_ADVANCED_COMPUTE",
                    took / 3600 * 3, 0.36, took / 3600 * 3 * 0.36, start, end, "DLT", False, True, made_up,
                )
            )  # fmt: skip
            for k, t in enumerate(migration.tables):
                begun = start + timedelta(seconds=30 + took / 12 * k)
                flows.append(
                    FlowRecord(
                        update_id, t.candidate.rsplit(".", 1)[1], "FAILED" if bad and k == 0 else "COMPLETED",
                        None if bad and k == 0 else 20_000 + k, took / 10 + k, begun,
                        begun + timedelta(seconds=took / 10 + k), 3 if k == 0 else 0,
                        (f"dlt_v2_{migration.tables[k - 1].name}",) if k % 2 else ("unity.bronze.submissions",),
                    )
                )  # fmt: skip
            for name, action, failed_rows in (
                ("valid_submission_id", "drop", 3),
                ("valid_status", "warn", n % 4),
                ("has_document", "warn", 0),
            ):
                expectations.append(
                    ExpectationRecord(
                        update_id,
                        NASTY if nasty else "dlt_v2_dim_fde",
                        name,
                        action,
                        20_000 - failed_rows,
                        failed_rows,
                        end,
                    )
                )
            for k, (level, kind, text) in enumerate(
                (("INFO", "create_update", "Update started by JOB_TASK."), ("METRICS", "flow_progress", "Flow has completed."),
                 ("ERROR" if bad else "INFO", "update_progress", "Update is FAILED." if bad else "Update is COMPLETED."))
            ):  # fmt: skip
                events.append(
                    EventRecord(
                        "pl-production", f"e-{run_id}-{k}", update_id, start + timedelta(seconds=k), level, kind,
                        text + (f" {NASTY}" if nasty else ""), "dlt_v2_dim_fde" if k == 1 else None, {},
                        {"exceptions": [{"class_name": "org.apache.spark.SparkException", "message": message}], "fatal": True}
                        if level == "ERROR" else None,
                    )
                )  # fmt: skip
    attempts, tries = _repaired(runs, tasks, at, nasty)
    runs.append(
        JobRunRecord(
            "candidate", NEW_JOB, 99_999, None, "ONE_TIME", "RUNNING", None, "In run", at - timedelta(minutes=4), None, None, 1.0,
            "javascript:alert(1)" if nasty else f"{HOST}/jobs/{NEW_JOB}/runs/99999",
        )
    )  # fmt: skip
    updates.append(
        UpdateRecord(
            "pl-development", NASTY if nasty else "00_RDS_FDE_Pipeline_DEV", "development", "dev-1", "COMPLETED", "USER_ACTION",
            True, False, (), at - timedelta(hours=3), at - timedelta(hours=2.9), 360.0, None, f"{HOST}/pipelines/pl-development",
        )
    )  # fmt: skip
    store.collected.put_runs(runs, tasks, attempts, tries)
    store.collected.put_updates(updates)
    store.collected.put_flows(flows, expectations)
    store.collected.put_events(events)
    store.collected.put_usage(usage)


def _repaired(
    runs: list[JobRunRecord], tasks: list[TaskRunRecord], at: datetime, nasty: bool
) -> tuple[list[AttemptRecord], list[TryRecord]]:
    """A run of the old job that failed once and was repaired half an hour later: its second task ran again."""
    if not any(r.run_id == REPAIRED_RUN for r in runs):
        return [], []
    error = NASTY if nasty else "ZeroDivisionError: division by zero"
    run = next(r for r in runs if r.run_id == REPAIRED_RUN)
    broke = run.start_time + timedelta(seconds=300)
    runs[runs.index(run)] = replace(
        run, repairs=1, first_result="FAILED", attempt_seconds=700.0, tries_read=2, run_seconds=2_400.0,
        end_time=run.start_time + timedelta(seconds=2_400),
    )  # fmt: skip
    task = next(t for t in tasks if t.run_id == REPAIRED_RUN and t.task_run_id == REPAIRED_RUN * 10 + 1)
    start = run.start_time + timedelta(seconds=2_000)
    tasks[tasks.index(task)] = replace(
        task, task_run_id=REPAIRED_RUN * 10 + 9, start=start, end=start + timedelta(seconds=400), tries=2
    )
    return [
        AttemptRecord(REPAIRED_RUN, 0, None, "FAILED", run.start_time, broke, 300.0),
        AttemptRecord(REPAIRED_RUN, 1, 77, "SUCCESS", start, start + timedelta(seconds=400), 400.0),
    ], [TryRecord(REPAIRED_RUN * 10 + 1, REPAIRED_RUN, task.task_key, 0, "FAILED", task.start, broke, 140.0, error)]


def report(table: str, verdict: Verdict, key: tuple[str, ...], nasty: bool = False) -> ParityReport:
    """A report with everything in it that a page draws."""
    text = NASTY if nasty else "2026-01-01 05:00:00"
    base = SideState(
        f"product.fde.{table}",
        "MANAGED",
        "delta:12",
        "delta:12",
        False,
        20137,
        1 << 24,
        now(),
        "job run 10000",
        "2026-11-23",
    )
    other = replace(
        base,
        name=f"product.fde.dlt_v2_{table}",
        table_type="MATERIALIZED_VIEW",
        version_before="update:7",
        version_after="update:7",
    )
    common: dict[str, Any] = {
        "baseline": base, "candidate": other, "keys": key, "columns": ("property_id", "name", "status", "amount"),
        "sql_hash": "ab" * 32, "fingerprints": {s: Fingerprint({}, "cd" * 32) for s in ("baseline", "candidate")},
        "started_at": now(), "seconds": 12.5, "timings": (Timing("schema", 0.4), Timing("fingerprint", 11.0)),
        "requested_by": "engineer@example.com",
    }  # fmt: skip
    if verdict is Verdict.IDENTICAL:
        return ParityReport(
            verdict, "schemas agree, every bucket's fingerprint agrees", missing_rows=0, extra_rows=0, modified_rows=0,
            duplicate_rows={"baseline": 4, "candidate": 4}, missed_difference_probability=5e-20, **common,
        )  # fmt: skip
    if verdict is Verdict.NOT_PROVEN:
        return ParityReport(
            verdict, "the new side changed while it was read", notes=("try again when no update runs",), **common
        )
    column = NASTY if nasty else "status"
    return ParityReport(
        verdict, "12 rows missing, 3 extra, 40 modified", missing_rows=12, extra_rows=3, modified_rows=40,
        duplicate_rows={"baseline": 4, "candidate": 0}, column_mismatches={column: 40, "amount": 11, "name": 2},
        schema_differences=(
            SchemaDifference("type", column, "int", "bigint", True, "cast it"),
            SchemaDifference("comment", "name", None, "a name", False),
        ),
        causes=(
            Cause("time_zone", "Shifted by whole hours", 31, (column,), "Check the session time zone of the old job"),
            Cause("timing", "Written between the two reads", 12, (), "Compare again after both sides ran on the same data"),
        ),
        samples=(
            Sample(SampleKind.MODIFIED, {"property_id": "17"}, (Cell(column, text, None), Cell("name", "a", "a", difference="equal"))),
            Sample(SampleKind.MODIFIED, {"property_id": None}, (Cell("email", "9f2c", "77aa", True),)),
            Sample(SampleKind.MISSING, {"property_id": "18"}, (Cell("status", "open", None),)),
            Sample(SampleKind.EXTRA, {"property_id": "19"}, (Cell("status", None, "open"),)),
        ),
        not_compared={"extra_map": "MAP of VARIANT has no exact form"}, **common,
    )  # fmt: skip


def _parity(store: Store, migration: Migration, at: datetime, rng: random.Random, differing: bool, nasty: bool) -> None:
    names = [t.name for t in migration.tables]
    for n in range(6):
        finished = at - timedelta(hours=6 * (5 - n) + 0.5)
        parity_id = store.parity.request(names, "engineer@example.com", trigger="auto")
        store.parity.claim("test")
        run_id = 10_000 + (5 - n) * 2
        skewed = "the sides ended 3,540 s apart" if n == 2 else None
        store.parity.set_producers(
            parity_id,
            Producer("run", str(run_id), run_id, finished - 0.9 * HOUR),
            Producer("update", f"{5 - n:08x}-0000-4000-8000-00000000{5 - n:04x}", run_id + 1, finished - 0.9 * HOUR),
            skewed,
        )
        for t in migration.tables:
            verdict = Verdict.IDENTICAL
            if n == 1 and t.name == names[2]:
                verdict = Verdict.NOT_PROVEN
            if (n == 2 or (differing and n == 5)) and t.name == names[1]:
                verdict = Verdict.DIFFERENT
            store.parity.progress(parity_id, t.name, "fingerprint", rng.uniform(0.2, 0.9))
            store.parity.finish_table(parity_id, t.name, report(t.name, verdict, t.key, nasty).to_dict())
        store.parity.finish(parity_id, ParityState.DONE)
        with store.engine.begin() as c:
            c.execute(sql_update(runs_table).where(runs_table.c.id == parity_id).values(finished_at=finished))
            c.execute(
                sql_update(tables_table).where(tables_table.c.parity_id == parity_id).values(finished_at=finished)
            )


def _rehearsal(migration: Migration) -> list[PlannedStep]:
    """The steps of a rehearsal that its evidence rests on."""
    steps: list[Step] = []
    for t in migration.tables:
        old = f"{migration.rehearsal_schema}.cutover_rehearsal_{t.name}"
        steps += [
            CopyTable(t.baseline, old, None), CopyTable(old, f"{old}_old_ref", None),
            CopyTable(t.candidate, f"{old}_new", None), CopyTable(f"{old}_new", f"{old}_new_ref", None),
            VerifySame(old, f"{old}_new_ref"), VerifySame(old, f"{old}_old_ref"),
        ]  # fmt: skip
    return [PlannedStep(n, "rehearse", "", s) for n, s in enumerate(steps, 1)]


def a_plan(
    migration: Migration, at: datetime, kind: Kind, number: int, *, blocked: bool = False, nasty: bool = False
) -> Plan:
    """A small plan of this kind, with gates that pass or one that blocks."""
    jobs = (
        ("baseline", JobState(OLD_JOB, migration.baseline_job.name, False, "schedule", "{}")),
        (
            "candidate",
            JobState(NEW_JOB, migration.candidate_job.name, True, "schedule", "{}", "", (("report_prefix", "v2_"),)),
        ),
    )
    steps = [PlannedStep(1, "pause the old job", "", PauseSchedule(OLD_JOB, migration.baseline_job.name))]
    for t in migration.tables:
        steps.append(PlannedStep(len(steps) + 1, "set aside", t.name, RenameTable(t.baseline, t.kept)))
        steps.append(PlannedStep(len(steps) + 1, "set aside", t.name, DropView(t.baseline, t.kept, t.kept)))
    for t in migration.tables:
        steps.append(PlannedStep(len(steps) + 1, "flip", t.name, FlipView(t.baseline, t.kept, t.candidate)))
        steps.append(PlannedStep(len(steps) + 1, "flip", t.name, FlipView(t.baseline, t.candidate, t.kept)))
    steps.append(
        PlannedStep(len(steps) + 1, "unpause the new job", "", UnpauseSchedule(NEW_JOB, migration.candidate_job.name))
    )
    if kind is Kind.REHEARSE:
        steps = _rehearsal(migration)
    gates = [
        GateVerdict("parity", "All six tables identical", Finding(Status.PASS, "identical, 12 min ago", at, "parity")),
        GateVerdict(
            "idle", "Nothing is running",
            Finding(Status.FAIL, f"run 99999 has not ended {NASTY if nasty else ''}", at, "jobs") if blocked
            else Finding(Status.PASS, "nothing runs", at, "jobs"),
        ),
    ]  # fmt: skip
    return Plan(
        f"op-{number:04d}", kind, {}, "engineer@example.com", at, at + timedelta(hours=24), migration.name, migration.digest,
        Observation(at, jobs=jobs), {t.name: "view" for t in migration.tables}, tuple(steps), (), tuple(gates),
        (f"A row filter cannot be carried {NASTY}",) if nasty else (), f"{kind} product.fde", kind is Kind.CUTOVER,
    )  # fmt: skip


def record_of(made: Plan, state: State, **more: Any) -> OperationRecord:
    """The stored form of a plan."""
    values: dict[str, Any] = {
        "id": made.operation_id, "kind": str(made.kind), "migration": made.migration, "plan_hash": made.hash,
        "plan": plan_to_json(made), "requested_by": made.requested_by, "source": "persona", "local": True,
        "needs_approval": made.needs_approval, "state": state, "reason": "", "executor": "", "stop_requested": False,
        "undoes": None, "created_at": made.created_at, "expires_at": made.expires_at, "submitted_at": made.created_at,
        "started_at": None, "ended_at": None,
    }  # fmt: skip
    return OperationRecord(**{**values, **more})


def _operations(store: Store, migration: Migration, at: datetime, nasty: bool, under_way: bool) -> None:
    verified = a_plan(migration, at - timedelta(hours=30), Kind.REHEARSE, 1)
    store.operations.add(
        record_of(
            verified,
            State.VERIFIED,
            started_at=at - timedelta(hours=29.9),
            ended_at=at - timedelta(hours=29.8),
            executor="worker",
        )
    )
    blocked = a_plan(migration, at - timedelta(minutes=30), Kind.CUTOVER, 2, blocked=True, nasty=nasty)
    store.operations.add(record_of(blocked, State.PLANNED))
    waiting = a_plan(migration, at - timedelta(minutes=9), Kind.CUTOVER, 3)
    store.operations.add(record_of(waiting, State.SUBMITTED))
    failed = a_plan(migration, at - timedelta(hours=50), Kind.PAUSE, 4)
    store.operations.add(record_of(failed, State.REFUSED, reason=f"someone else was first {NASTY if nasty else ''}"))
    running = a_plan(migration, at - timedelta(minutes=3), Kind.ROLLBACK, 5)
    state, ended = (State.RUNNING, None) if under_way else (State.VERIFIED, at)
    began = at - timedelta(minutes=2)
    store.operations.add(record_of(running, state, started_at=began, ended_at=ended, executor="worker"))
    lease = store.leases.acquire("operations", "test", 3600)
    assert lease is not None
    # The journal of an ended operation would need an audit record that covers it.
    for planned in running.steps[:7] if under_way else ():
        for phase in (Phase.INTENT, Phase.DONE):
            if phase is Phase.DONE and planned.number == 7:
                continue
            store.operations.write(
                lease, running.operation_id, direction="forward", number=planned.number, stage=planned.stage, lane=planned.lane,
                step=type(planned.step).__name__, phase=phase, text=NASTY if nasty else f"{phase} of step {planned.number}",
            )  # fmt: skip
    for record in reversed(store.operations.find()):
        store.audit.append(
            actor=record.requested_by, source=record.source, local=record.local, action="plan", outcome="allowed",
            subject=record.id, plan_hash=record.plan_hash, detail={"state": str(record.state)},
        )  # fmt: skip
    for n in range(12):
        store.audit.append(
            actor="engineer@example.com" if n % 3 else "lead@example.com", source="persona", local=True,
            action=("stop", "show", "collect", "parity.request")[n % 4], outcome="refused" if n % 5 == 0 else "allowed",
            subject=f"op-{n % 5 + 1:04d}", plan_hash=waiting.hash if n % 2 else None,
            reason=(f"lacks the role approver {NASTY if nasty else ''}" if n % 5 == 0 else ""), detail={"evidence": {"dim_fde": "p-1"}},
        )  # fmt: skip


def _incidents(store: Store, migration: Migration, at: datetime, nasty: bool) -> None:
    """An open incident of each side and a closed one."""
    text = NASTY if nasty else "ended FAILED"
    table = migration.tables[0].name
    store.incidents.record(
        [
            Sign("failure", "candidate", "candidate", "run:10011", at - 30 * HOUR, f"Run 10011 of the new job {text}"),
            Sign("failure", "baseline", "baseline", "run:10010", at - 30 * HOUR, f"Run 10010 of the old job {text}"),
            Sign(
                "difference", table, "candidate", f"parity:p/{table}", at - 20 * HOUR, f"Table {table} differs {text}"
            ),
        ]
    )
    cause = NASTY if nasty else "the source was locked"
    store.incidents.close(1, by="engineer@example.com", local=True, cause=cause)


def _ticks(store: Store, nasty: bool) -> None:
    if store.binding.current() is None:
        store.binding.bind("1", "http://127.0.0.1:1", local=True)
    for key in ("notebooks_documented", "lineage_drawn", "branch_pushed", "engineering"):
        store.checklist.mark(
            key,
            True,
            by="engineer@example.com",
            local=True,
            source="persona",
            comment=NASTY if nasty else "done in the review",
        )
    store.checklist.mark("lineage_drawn", False, by="lead@example.com", local=True, comment="one table is missing")


def many(store: Store, count: int, at: datetime | None = None) -> None:
    """`count` runs and as many updates: an extreme history."""
    moment = at or now()
    long = "a_very_long_name_" * 20
    store.collected.put_runs(
        [
            JobRunRecord(
                ("baseline", "candidate")[n % 2], (OLD_JOB, NEW_JOB)[n % 2], 1_000_000 + n, n, "PERIODIC", "TERMINATED",
                "FAILED" if n % 97 == 0 else "SUCCESS", long if n % 97 == 0 else "", moment - timedelta(minutes=3 * n),
                moment - timedelta(minutes=3 * n - 2), 90.0 + n % 60, None, f"{HOST}/jobs/1/runs/{n}",
            )
            for n in range(count)
        ]
    )  # fmt: skip
    store.collected.put_updates(
        [
            UpdateRecord(
                "pl-production", long, "production", f"many-{n}", "COMPLETED", None, False, False, (long,),
                moment - timedelta(minutes=3 * n), None, None, None, "", False,
            )
            for n in range(count)
        ]
    )  # fmt: skip
