"""Reveal: one sampled row in clear, for someone who may see it; the caller checks that and audits it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from validation.drilldown import locator_sql, row_sql
from validation.errors import SpecError
from validation.plan import Plan, Side, make_plan
from validation.report import Sample, SampleKind
from validation.schema import align, read_schema
from validation.spec import ComparisonSpec
from validation.warehouse import Warehouse, never

_ABSENT = {SampleKind.MISSING: Side.CANDIDATE, SampleKind.EXTRA: Side.BASELINE}
"""The side of which a sample shows no row."""


@dataclass(frozen=True)
class Revealed:
    """One side of a sampled row.

    row: column to text; None where the sample shows no row of this side, or no row has its key any more.
    same_key: rows of the side that have the key of the sample, the one shown among them.
    exact: the row is the one that was sampled; else the first of those with the key, in the order of their hashes.
    """

    row: dict[str, str | None] | None
    same_key: int
    exact: bool

    @property
    def sentence(self) -> str:
        """What is shown and what is not, in words."""
        if self.row is None:
            shown = "no row"
        else:
            shown = "the sampled row" if self.exact else "not found as it was sampled, so the first row with its key"
        others = self.same_key - (self.row is not None)
        return f"{shown}; rows with the same key that are not shown: {others:,}"


def reveal(
    warehouse: Warehouse, spec: ComparisonSpec, sample: Sample, cancelled: Callable[[], bool] = never
) -> dict[str, Revealed]:
    """The row that `sample` shows, of `baseline` and of `candidate`: never more than one a side, however many have its
    key.

    For a table with a sensitive key, `spec.hash_key` must be the one of the comparison. Raises SpecError when the
    sample's locator cannot be resolved with this specification, SideUnreadable or StatementError as the warehouse does.
    """
    if not re.fullmatch(r"-?\d+:-?\d+|[0-9a-f]{32}", sample.locator):
        raise SpecError(f"{sample.locator!r} locates no row: take it from a sample")
    schemas = [
        read_schema(warehouse, spec.baseline, cancelled, spec.baseline_version),
        read_schema(warehouse, spec.candidate, cancelled, spec.candidate_version),
    ]
    plan = make_plan(spec, align(spec, schemas[0], schemas[1]))
    if plan is None or not plan.columns:
        raise SpecError("the rows of these tables are not compared, so none can be revealed")
    if ":hash_key" in locator_sql(plan) and not spec.hash_key:
        raise SpecError("the key is sensitive and the comparison's hash key was not kept: its rows cannot be found")
    return {
        "baseline": _of(warehouse, plan, Side.BASELINE, sample, cancelled),
        "candidate": _of(warehouse, plan, Side.CANDIDATE, sample, cancelled),
    }


def _of(warehouse: Warehouse, plan: Plan, side: Side, sample: Sample, cancelled: Callable[[], bool]) -> Revealed:
    named, name_sql = sample.rows[side], row_sql(plan)
    if _ABSENT.get(sample.kind) is side:
        row, rows = "CAST(NULL AS STRING)", plan.keyed(side)
    else:
        shown = ", ".join(c.shown(side) for c in plan.columns)
        # Older reports do not name rows; a keyed name cannot be computed without its key.
        identified = named is not None and (":hash_key" not in name_sql or plan.spec.hash_key)
        same = f"{name_sql} = :row" if identified else "false"
        # Which of the rows with its key comes first must not depend on the order in which a table is read.
        row = f"to_json(min_by(named_struct('cells', cells, 'exact', {same}), struct(NOT {same}, h1, h2, cells)))"
        rows = plan.rows(side, (f"array({shown}) AS cells",), 1, None)
    sql = f"SELECT count(*) AS n, {row} AS found FROM ({rows}) WHERE {locator_sql(plan)} = :locator"
    parameters = {"locator": sample.locator, "row": named, "hash_key": plan.spec.hash_key}
    used = {name: value for name, value in parameters.items() if f":{name}" in sql}
    (answer,) = warehouse.execute(sql, used, cancelled)
    if answer["found"] is None:
        return Revealed(None, int(answer["n"]), False)
    found = json.loads(answer["found"])
    names = [c.name for c in plan.columns]
    return Revealed(dict(zip(names, found["cells"], strict=True)), int(answer["n"]), bool(found["exact"]))
