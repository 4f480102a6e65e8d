"""The kinds of evidence in a migration file and their parameters, checked when the file is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Side = Literal["baseline", "candidate", "development"]
JobSide = Literal["baseline", "candidate"]
Pair = Literal["production", "development"]

# Strict: YAML's `true` or `"5"` is no number. Bounded: a time this many days away is still representable.
Count = Annotated[int, Field(gt=0, le=1_000_000, strict=True)]
DayCount = Annotated[int, Field(gt=0, le=36_500, strict=True)]
Hours = Annotated[float, Field(gt=0, le=876_000, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Ratio = Annotated[float, Field(gt=0, le=1_000_000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class RuleParams(BaseModel):
    """Base of the parameters of a rule in `app.progress.rules`; an unknown name is an error, not a silent typo.

    tables: tables of the migration, None for all. keys: sign-offs of the migration, None for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tables: tuple[str, ...] | None = Field(None, min_length=1)
    keys: tuple[str, ...] | None = Field(None, min_length=1)


class _Nothing(RuleParams):
    tables: None = None
    keys: None = None


class _OfSignOffs(RuleParams):
    tables: None = None


class _OfTables(RuleParams):
    keys: None = None


class _Environment(_Nothing):
    environment: Pair


class _Counted(_Environment):
    max_age_hours: Hours = 48


class _Passing(_Counted):
    """allowed: share of rows that may fail one expectation, by `name` or `dataset.name`."""

    max_dropped_share: Share = 0.05
    allowed: dict[str, Share] = Field(default_factory=dict)


class _Allowance(_Passing):
    max_share: Share = 0.05


class _Reliability(_Environment):
    minimum: Share
    days: DayCount
    updates: Count


class _Side(_Nothing):
    side: Side


class _Job(_Nothing):
    job: Side
    offset_minutes: Annotated[float, Field(gt=0, le=1440, strict=True)] | None = None


class _SideTables(_OfTables):
    side: Side


class _Runs(_Nothing):
    side: JobSide
    runs: Count


class _Reports(_Nothing):
    side: JobSide | None = None
    max_age_hours: Hours | None = None
    tasks: tuple[str, ...] = Field(min_length=1)


class _Assessed(_Nothing):
    @model_validator(mode="before")
    @classmethod
    def _no_number_of_runs(cls, values: Any) -> Any:
        if isinstance(values, dict) and "runs" in values:
            raise ValueError(
                "`runs` is no parameter any more: run time and cost are judged over pairs of runs, and how many are "
                "needed stands in the section `performance` of the file (minimum_pairs); remove it"
            )
        return values


class _Factor(_Assessed):
    factor: Ratio


class _Pair(_OfTables):
    pair: Pair


class _Compared(_Pair):
    identical: Flag = True
    max_age_hours: Hours | None = None


class _Schemas(_Pair):
    max_age_hours: Hours = 48


class _Identical(_Pair):
    final: Flag = False


class _Days(_Nothing):
    days: DayCount


class _Streak(_Nothing):
    pair: Pair
    pairs: Count


class _ParallelDays(_Days):
    pair: Pair
    longest_hours: Hours = 24


class _Incidents(_Days):
    observed_days: DayCount | None = None


class _PerDay(_Days):
    per_day: Count


class _Items(_Nothing):
    items: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    at_least: Count | None = None

    @model_validator(mode="after")
    def _check_some(self) -> _Items:
        if not self.items and not self.steps:
            raise ValueError("names neither items nor steps")
        return self


class _Operation(_Nothing):
    operation: Literal["rehearse", "cutover", "rollback", "archive"]
    share: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None

    @model_validator(mode="after")
    def _check_share(self) -> _Operation:
        if self.share is not None and self.operation != "rehearse":
            raise ValueError("`share` is the part of each table's rows that a rehearsal copies: it goes with rehearse")
        return self


KINDS: dict[str, type[RuleParams]] = {
    "manual": _Nothing,
    "signed": _OfSignOffs,
    "pipeline_exists": _Environment,
    "job_exists": _Side,
    "schedule_active": _Job,
    "tables_exist": _SideTables,
    "consumers_known": _OfTables,
    "kept_tables_gone": _Days,
    "update_completed": _Environment,
    "runs_succeeded": _Runs,
    "runs_per_day": _PerDay,
    "no_incidents": _Incidents,
    "reliability": _Reliability,
    "reports_delivered": _Reports,
    "runtime_measured": _Assessed,
    "runtime_at_most": _Factor,
    "cost_measured": _Assessed,
    "cost_at_most": _Factor,
    "expectations_tracked": _Counted,
    "expectations_passing": _Passing,
    "expectations_hold": _Allowance,
    "compared": _Compared,
    "parity_identical": _Identical,
    "schema_identical": _Schemas,
    "parity_streak": _Streak,
    "parallel_days": _ParallelDays,
    "schedules_agree": _Nothing,
    "operation_verified": _Operation,
    "days_since_cutover": _Days,
    "items_met": _Items,
}
"""Each kind of evidence and the parameters that it takes."""
