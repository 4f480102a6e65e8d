"""The kinds of evidence that a migration file may ask for, and what each of them is told: checked when it is read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Side = Literal["baseline", "candidate", "development"]
JobSide = Literal["baseline", "candidate"]
Pair = Literal["production", "development"]


class Told(BaseModel):
    """Base of what a rule of `app.progress.rules` is told; an unknown name is an error, not a silent typo.

    tables: tables of the migration, None for all. keys: sign-offs of the migration, None for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: tuple[str, ...] | None = Field(None, min_length=1)
    keys: tuple[str, ...] | None = Field(None, min_length=1)


class _Nothing(Told):
    tables: None = None
    keys: None = None


class _OfSignOffs(Told):
    tables: None = None


class _OfTables(Told):
    keys: None = None


class _Environment(_Nothing):
    environment: Pair


class _Allowance(_Environment):
    max_share: float = Field(0.05, ge=0, le=1)


class _Reliability(_Environment):
    minimum: float = Field(ge=0, le=1)
    days: PositiveInt


class _Side(_Nothing):
    side: Side


class _Job(_Nothing):
    job: Side


class _SideTables(_OfTables):
    side: Side


class _Runs(_Nothing):
    side: JobSide
    runs: PositiveInt


class _Reports(_Nothing):
    side: JobSide
    tasks: tuple[str, ...] = Field(min_length=1)


class _Medians(_Nothing):
    runs: PositiveInt


class _Factor(_Medians):
    factor: PositiveFloat


class _Pair(_OfTables):
    pair: Pair


class _Identical(_Pair):
    final: bool = False


class _Days(_Nothing):
    days: PositiveInt


class _Streak(_Nothing):
    pair: Pair
    pairs: PositiveInt


class _ParallelDays(_Days):
    pair: Pair
    longest_hours: PositiveFloat = 24


class _RunDays(_Days):
    side: JobSide


class _PerDay(_Days):
    per_day: PositiveInt


class _Operation(_Nothing):
    operation: Literal["rehearse", "cutover", "rollback"]


KINDS: dict[str, type[Told]] = {
    "manual": _Nothing,
    "signed": _OfSignOffs,
    "pipeline_exists": _Environment,
    "job_exists": _Side,
    "schedule_active": _Job,
    "tables_exist": _SideTables,
    "kept_tables_gone": _Days,
    "update_completed": _Environment,
    "runs_succeeded": _Runs,
    "runs_per_day": _PerDay,
    "no_failed_runs": _RunDays,
    "reliability": _Reliability,
    "reports_delivered": _Reports,
    "runtime_measured": _Medians,
    "runtime_at_most": _Factor,
    "cost_measured": _Medians,
    "cost_at_most": _Factor,
    "expectations_tracked": _Environment,
    "expectations_passing": _Environment,
    "expectations_hold": _Allowance,
    "compared": _Pair,
    "parity_identical": _Identical,
    "schema_identical": _Pair,
    "parity_streak": _Streak,
    "parallel_days": _ParallelDays,
    "schedules_agree": _Nothing,
    "operation_verified": _Operation,
    "days_since_cutover": _Days,
}
"""Kind to what it is told."""
