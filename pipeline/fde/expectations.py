"""Expectations on datasets, the same declaration on Databricks and on open-source Spark.

Databricks has `dp.expect*` and counts what passed and failed. Open-source Spark has neither: there this module
applies warn, drop and
fail itself and defines, beside a dataset X, a small dataset `__expectations__X` that holds the counts of the update:
dataset, name, action (warn, drop or fail), passed_records, failed_records. Datasets whose rows are counted alike share
one (`Counted`).

A condition that is NULL for a row has failed for that row, here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class Part:
    """A dataset among rows that are counted. only: SQL, which of them are the dataset's; all, if empty."""

    dataset: str
    expectations: tuple[Expectation, ...]
    only: str = ""

    @property
    def owned(self) -> Column:
        """Whether a row is the dataset's, never NULL."""
        return F.coalesce(F.expr(self.only).cast("boolean"), F.lit(False)) if self.only else F.lit(True)


class Counted:
    """Rows in which the expectations of several datasets are counted, read once for all of them.

    rows: before any was dropped, with the columns of every dataset's conditions. weight: the column that says how many
    rows of a dataset one of them stands for. `define` after the last of the datasets.
    """

    def __init__(self, rows: Query, weight: str) -> None:
        self._rows, self._weight = rows, weight
        self._parts: list[Part] = []

    def of(self, only: str = "") -> Callable[[str, Query], None]:
        """For `counted` of a dataset: it has these rows, or `only` those that meet a condition (SQL)."""

        def add(name: str, query: Query) -> None:
            self._parts.append(Part(name, declared(query), only))

        return add

    def define(self) -> None:
        """Defines the dataset of counts, under the name of the last dataset that is counted here."""
        if self._parts:
            parts = tuple(self._parts)
            _define_counts(parts[-1].dataset, lambda: report(parts, self._rows(), F.col(self._weight)))


Register = Callable[[str, Query], None]
"""Takes a dataset's name and query to have its expectations counted."""


def materialized_view(
    *, name: str, comment: str, counted: Register | None = None, **options: Any
) -> Callable[[Query], None]:
    """Like `dp.materialized_view`, for a query under `expect_all*`. counted: see `Counted.of`. options: passed on."""
    return _define(dp.materialized_view(name=name, comment=comment, **options), name, counted, stored=True)


def temporary_view(*, name: str, comment: str, counted: Register | None = None) -> Callable[[Query], None]:
    """Like `dp.temporary_view`, for a query under `expect_all*`. counted: see `Counted.of`."""
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


def report(parts: Sequence[Part], rows: DataFrame, weight: Column | None = None) -> DataFrame:
    """Passed and failed records per expectation of each part.

    rows: the parts' rows before any was dropped, of which the conditions' columns alone are read. weight: how many rows
    of a dataset one of them stands for; one, if not given.
    """
    weight = weight if weight is not None else F.lit(1)
    flags, totals, lines = [], [], []
    for p, part in enumerate(parts):
        flags.append(part.owned.alias(f"owned_{p}"))
        totals.append(_total(F.when(F.col(f"owned_{p}"), F.col("weight"))).alias(f"records_{p}"))
        for i, e in enumerate(part.expectations):
            met, passed = f"met_{p}_{i}", f"passed_{p}_{i}"
            flags.append((part.owned & e.met).alias(met))
            totals.append(_total(F.when(F.col(met), F.col("weight"))).alias(passed))
            lines.append(
                F.struct(
                    F.lit(part.dataset).alias("dataset"),
                    F.lit(e.name).alias("name"),
                    F.lit(e.action.value).alias("action"),
                    F.col(passed).alias("passed_records"),
                    (F.col(f"records_{p}") - F.col(passed)).alias("failed_records"),
                )
            )
    counted = rows.select(weight.cast("bigint").alias("weight"), *flags).agg(*totals)
    return counted.select(F.inline(F.array(*lines)))


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


def _define(
    define: Callable[[Query], None], name: str, counted: Register | None, stored: bool
) -> Callable[[Query], None]:
    def outer(query: Query) -> None:
        if ON_PLATFORM or not declared(query):
            define(query)
            return
        define(lambda: checked(query, name))
        if counted is not None:
            counted(name, query)
            return

        def counts() -> DataFrame:
            rows = query()
            dropping = any(e.action is Action.DROP for e in declared(query))
            whole = rows.sparkSession.read.table(name) if stored and not dropping else rows
            return report([Part(name, declared(query))], whole)

        _define_counts(name, counts)

    return outer


def _define_counts(name: str, counts: Query) -> None:
    dp.materialized_view(name=f"{REPORT_PREFIX}{name}", comment=f"Counts of the expectations on {name}.")(counts)


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
