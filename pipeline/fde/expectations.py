"""Expectations on datasets, the same declaration on Databricks and on open-source Spark.

Databricks has `dp.expect*` and counts what passed and failed. Open-source Spark has neither: there this module
applies warn, drop and
fail itself and defines, beside a dataset X, a small dataset `__expectations__X` that holds the counts of the update:
dataset, name, action (warn, drop or fail), passed_records, failed_records.

A condition that is NULL for a row has failed for that row, here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Any

from pyspark import pipelines as dp
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Query = Callable[[], DataFrame]

REPORT_PREFIX = "__expectations__"
"""What the name of a dataset of counts begins with; such a dataset is for the launcher, not for readers."""

WEIGHT = "records"
"""In rows that are given to be counted: how many rows of the dataset one of them stands for."""

ON_PLATFORM = hasattr(dp, "expect_all")
"""Whether the platform has expectations of its own."""


class Action(StrEnum):
    """What happens to a row that does not meet an expectation."""

    WARN = "warn"
    DROP = "drop"
    FAIL = "fail"


_PLATFORM_DECORATOR = {
    Action.WARN: "expect_all",
    Action.DROP: "expect_all_or_drop",
    Action.FAIL: "expect_all_or_fail",
}
_DECLARED = "__expectations__"


@dataclass(frozen=True)
class Expectation:
    """One named condition, a SQL expression over the dataset's columns, and what follows where it is not met."""

    name: str
    condition: str
    action: Action

    @property
    def met(self) -> Column:
        """True or false, never NULL."""
        return F.coalesce(F.expr(self.condition).cast("boolean"), F.lit(False))


def expect_all(conditions: Mapping[str, str]) -> Callable[[Query], Query]:
    """Keep a row that meets not all of these, and count it. Conditions by name."""
    return _declare(Action.WARN, conditions)


def expect_all_or_drop(conditions: Mapping[str, str]) -> Callable[[Query], Query]:
    """Leave out a row that meets not all of these, and count it. Conditions by name."""
    return _declare(Action.DROP, conditions)


def expect_all_or_fail(conditions: Mapping[str, str]) -> Callable[[Query], Query]:
    """Fail the update, naming the expectation, when a row meets not all of these. Conditions by name."""
    return _declare(Action.FAIL, conditions)


def materialized_view(
    *, name: str, comment: str, counted: Query | None = None, **options: Any
) -> Callable[[Query], None]:
    """Like `dp.materialized_view`, for a query under `expect_all*`. counted: see `report`. options: passed on."""
    return _define(dp.materialized_view(name=name, comment=comment, **options), name, counted, stored=True)


def temporary_view(*, name: str, comment: str, counted: Query | None = None) -> Callable[[Query], None]:
    """Like `dp.temporary_view`, for a query under `expect_all*`. counted: see `report`."""
    return _define(dp.temporary_view(name=name, comment=comment), name, counted, stored=False)


def declared(query: Query) -> tuple[Expectation, ...]:
    """The expectations on a query, in the order in which they are written."""
    return tuple(getattr(query, _DECLARED, ()))


def checked(query: Query, name: str) -> DataFrame:
    """The rows of the dataset `name` once its expectations have been applied: dropped rows are out, a failing one
    raises.
    """
    found = declared(query)
    rows = query()
    dropping = [e for e in found if e.action is Action.DROP]
    failing = [e for e in found if e.action is Action.FAIL]
    if dropping:
        rows = rows.filter(_all_met(dropping))
    if failing:
        rows = rows.filter(F.when(_all_met(failing), F.lit(True)).otherwise(_violation(name, failing)))
    return rows


def report(query: Query, name: str, rows: DataFrame, weight: Column | None = None) -> DataFrame:
    """Passed and failed records per expectation on the dataset `name`.

    rows: the query's rows before any was dropped, of which the conditions' columns alone are read. weight: how many
    of the query's rows
    one of them stands for; one, if not given.
    """
    found = declared(query)
    weight = weight if weight is not None else F.lit(1)
    flags = [e.met.alias(f"met_{i}") for i, e in enumerate(found)]
    totals = rows.select(weight.cast("bigint").alias("weight"), *flags).agg(
        _total(F.col("weight")).alias("records"),
        *[_total(F.when(F.col(f"met_{i}"), F.col("weight"))).alias(f"passed_{i}") for i in range(len(found))],
    )
    lines = [
        F.struct(
            F.lit(name).alias("dataset"),
            F.lit(e.name).alias("name"),
            F.lit(e.action.value).alias("action"),
            F.col(f"passed_{i}").alias("passed_records"),
            (F.col("records") - F.col(f"passed_{i}")).alias("failed_records"),
        )
        for i, e in enumerate(found)
    ]
    return totals.select(F.inline(F.array(*lines)))


def _total(records: Column) -> Column:
    return F.coalesce(F.sum(records), F.lit(0).cast("bigint"))


def _declare(action: Action, conditions: Mapping[str, str]) -> Callable[[Query], Query]:
    def decorate(query: Query) -> Query:
        if ON_PLATFORM:
            decorated: Query = getattr(dp, _PLATFORM_DECORATOR[action])(dict(conditions))(query)
            return decorated
        added = tuple(Expectation(name, condition, action) for name, condition in conditions.items())
        taken = {e.name for e in declared(query)}
        if repeated := taken & set(conditions):
            raise ValueError(f"expectation {sorted(repeated)[0]!r} is declared twice on {query.__name__}; rename one")
        setattr(query, _DECLARED, added + declared(query))
        return query

    return decorate


def _define(define: Callable[[Query], None], name: str, counted: Query | None, stored: bool) -> Callable[[Query], None]:
    def outer(query: Query) -> None:
        if ON_PLATFORM or not declared(query):
            define(query)
            return
        define(lambda: checked(query, name))

        def counts() -> DataFrame:
            if counted is not None:
                return report(query, name, counted(), F.col(WEIGHT))
            rows = query()
            dropping = any(e.action is Action.DROP for e in declared(query))
            return report(query, name, rows.sparkSession.read.table(name) if stored and not dropping else rows)

        dp.materialized_view(name=f"{REPORT_PREFIX}{name}", comment=f"Counts of the expectations on {name}.")(counts)

    return outer


def _all_met(expectations: list[Expectation]) -> Column:
    return reduce(lambda one, other: one & other, (e.met for e in expectations))


def _violation(dataset: str, expectations: list[Expectation]) -> Column:
    """Raises when it is evaluated, in the platform's words, with the names of what the row violates."""
    names = F.concat_ws("', '", *[F.when(~e.met, F.lit(e.name)) for e in expectations])
    return F.raise_error(
        F.concat(
            F.lit(
                "[EXPECTATION_VIOLATION.VERBOSITY_NONE] "
                f"Flow '{dataset}' failed to meet the expectation. Violated expectations: '"
            ),
            names,
            F.lit("'. SQLSTATE: 22000"),
        )
    ).cast("boolean")
