"""A cutover and a rollback of one table as they are stored, and what was collected after them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.operations.definition import Kind, Observation
from app.operations.steps import PlannedStep, RenameTable, VerifyOutcome, VerifyServing
from app.operations.world import Grant, Relation
from app.store.collected.records import ScheduleRecord, TableRecord
from app.store.operations import OperationRecord, State
from tests.support.pages_seed import NEW_JOB, OLD_JOB, a_plan, record_of

MIGRATION = Migration.load(DEFAULT_MIGRATION)
T = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = T + timedelta(minutes=1)
X, OLD, NEW = "product.fde.dim_fde", "product.fde.dim_fde_old", "product.fde.dlt_v2_dim_fde"
SIDES = {X: "candidate", NEW: "candidate", OLD: "baseline"}
READS = Grant("analysts", ("SELECT",))


def swap(kind: Kind, over: str | None, at: datetime = T, number: int = 1, **more: Any) -> OperationRecord:
    """A verified cutover (`over` is the new table) or rollback of one table and both jobs."""
    new_side = over is not None
    steps = [
        VerifyServing(X, over, (READS,)),
        VerifyOutcome(
            ((X, over),),
            paused=((OLD_JOB if new_side else NEW_JOB, "a"),),
            unpaused=((NEW_JOB if new_side else OLD_JOB, "b"),),
            parameters=((NEW_JOB, "new", (("report_prefix", "" if new_side else "v2_"),)),),
        ),
    ]
    if new_side:
        steps.insert(0, RenameTable(X, OLD))  # type: ignore[arg-type]
    return operation(kind, steps, at, number, **more)


def operation(kind: Kind, steps: list[Any], at: datetime, number: int, **more: Any) -> OperationRecord:
    seen = Observation(at, (Relation(X, "table", owner="fde-owners", grants=(READS,)),))
    plan = replace(
        a_plan(MIGRATION, at, kind, number),
        observation=seen, steps=tuple(PlannedStep(n, "s", "dim_fde", s) for n, s in enumerate(steps, 1)),
    )  # fmt: skip
    return record_of(plan, **{"state": State.VERIFIED, "started_at": at, "ended_at": at, **more})


def table(name: str, kind: str | None = "MANAGED", serves: str | None = None, **more: Any) -> TableRecord:
    made = TableRecord(
        name, "dim_fde", "candidate", kind is not None, kind, "fde-owners", None, None, serves, (),
        (("analysts", "SELECT"),), {}, 1, 1, T, T, LATER,
    )  # fmt: skip
    return replace(made, **more)


def job(side: str, status: str | None, prefix: str = "", **more: Any) -> ScheduleRecord:
    made = ScheduleRecord(
        side, NEW_JOB if side == "candidate" else OLD_JOB, f"{side} job", "schedule", "0 0 5 * * ?", "UTC", status, "",
        LATER, {"parameters": {"report_prefix": prefix}, "bundle": True},
    )  # fmt: skip
    return replace(made, **more)


AFTER = {X: table(X, "VIEW", NEW), OLD: table(OLD), NEW: table(NEW, "MATERIALIZED_VIEW")}
JOBS = {"baseline": job("baseline", "PAUSED"), "candidate": job("candidate", "UNPAUSED")}
