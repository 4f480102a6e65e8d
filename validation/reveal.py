"""Reveal: the rows of one sampled key in clear, for someone who may see them; the caller checks that and audits it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from validation.drilldown import locator_sql
from validation.errors import SpecError
from validation.plan import Plan, Side, make_plan
from validation.schema import align, read_schema
from validation.spec import ComparisonSpec
from validation.warehouse import Parameters, Warehouse, never

MAX_ROWS = 20

Rows = list[dict[str, str | None]]


def reveal(
    warehouse: Warehouse, spec: ComparisonSpec, locator: str, cancelled: Callable[[], bool] = never
) -> dict[str, Rows]:
    """The rows behind `Sample.locator`: `baseline` and `candidate`, each row as column to text, at most 20 a side.

    For a table with a sensitive key, `spec.hash_key` must be the one of the comparison. Raises SpecError when the
    locator cannot be resolved with this specification, SideUnreadable or StatementError as the warehouse does.
    """
    if not re.fullmatch(r"-?\d+:-?\d+|[0-9a-f]{32}", locator):
        raise SpecError(f"{locator!r} locates no row: take it from a sample")
    schemas = [
        read_schema(warehouse, spec.baseline, cancelled, spec.baseline_version),
        read_schema(warehouse, spec.candidate, cancelled, spec.candidate_version),
    ]
    plan = make_plan(spec, align(spec, schemas[0], schemas[1]))
    if plan is None or not plan.columns:
        raise SpecError("the rows of these tables are not compared, so none can be revealed")
    parameters: dict[str, str] = {"locator": locator}
    if ":hash_key" in locator_sql(plan):
        if not spec.hash_key:
            raise SpecError("the key is sensitive and the comparison's hash key was not kept: its rows cannot be found")
        parameters["hash_key"] = spec.hash_key
    return {
        "baseline": _rows(warehouse, plan, Side.BASELINE, parameters, cancelled),
        "candidate": _rows(warehouse, plan, Side.CANDIDATE, parameters, cancelled),
    }


def _rows(warehouse: Warehouse, plan: Plan, side: Side, parameters: Parameters, cancelled: Callable[[], bool]) -> Rows:
    shown = ", ".join(c.shown(side) for c in plan.columns)
    sql = (
        f"SELECT to_json(cells) AS cells FROM ({plan.keyed(side, (f'array({shown}) AS cells',))}) "
        f"WHERE {locator_sql(plan)} = :locator LIMIT {MAX_ROWS}"
    )
    names = [c.name for c in plan.columns]
    found = warehouse.execute(sql, parameters, cancelled)
    return [dict(zip(names, json.loads(row["cells"]), strict=True)) for row in found]
