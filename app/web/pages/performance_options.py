"""The guide's cost options on the Performance page: the break-even of each, in words."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import streamlit as st

from app.performance.options import AUTOSCALE, BreakEven, PairCost, Workers, break_even, fixed_workers
from app.progress.facts import Facts
from app.web.components import panel, rows
from app.web.components.frame import section
from app.web.components.rows import Row
from app.web.components.status import Mark
from app.web.components.text import count, literal, percent, usd


def draw(facts: Facts) -> None:
    """Draws what must be saved, and the break-even of each option."""
    section("What the guide's cost options would have to save")
    pairs = facts.performance.usd.points
    costs = [PairCost(p.baseline, p.candidate, p.pair.candidate.amount.pipeline_usd or 0.0) for p in pairs]
    pipeline = facts.snapshot.pipelines.get("production")
    definition = pipeline.definition if pipeline else {}
    runs = {p.pair.candidate.run.run_id for p in pairs}
    times = [u.seconds for u in facts.snapshot.updates if u.job_run_id in runs and u.seconds is not None]
    even = break_even(costs, workers=fixed_workers(definition), update_seconds=median(times) if times else None)
    rows.draw(
        option_rows(even, definition) if even else (),
        panel.current().zone,
        key="performance_options",
        empty="Unknown: there is no pair of deliveries with final bills yet.",
    )
    if even:
        fewest = facts.performance.settings.minimum_pairs
        few = f", fewer than the {fewest} of a verdict" if even.pairs < fewest else ""
        st.caption(
            literal(
                f"Break-evens of {count(even.pairs, 'pair')} with final bills{few}. They are not predictions: what an "
                "option saves is known once it was tried in the parallel run."
            )
        )


def option_rows(even: BreakEven, definition: Mapping[str, Any]) -> list[Row]:
    """The gap of the new side and the break-even of each option, in words. definition: of the production pipeline."""
    return [_gap(even), *_of_workers(even, definition), _spot(even)]


def _gap(even: BreakEven) -> Row:
    parts = [f"{usd(abs(even.usd))} a delivery"]
    parts.append(f"{percent(abs(even.of_new))} of what the new side costs")
    if even.of_pipeline is not None:
        parts.append(f"{percent(abs(even.of_pipeline))} of what its pipeline's compute costs")
    if even.needed:
        text = f"{', '.join(parts)}, for the new side to cost at most the old one."
        return Row("To be saved", Mark("costs more", "warn"), text)
    text = f"Room before the new side costs more than the old one: {', '.join(parts)}."
    return Row("Nothing has to be saved", Mark("costs no more", "good"), text)


def _of_workers(even: BreakEven, definition: Mapping[str, Any]) -> list[Row]:
    autoscaling, fewer = f"Autoscaling, {AUTOSCALE[0]} to {AUTOSCALE[1]} workers", "Fewer workers"
    if even.of_pipeline is None:
        text = "Does not apply: the deliveries have no bill of a pipeline with workers."
        return [Row(autoscaling, text=text), Row(fewer, text=text)]
    if even.of_pipeline >= 1:
        text = "Not enough alone: the new side would cost more even if its pipeline's compute cost nothing."
        return [Row(autoscaling, text=text), Row(fewer, text=text)]
    factor = f"{1 - even.of_pipeline:.2f}×"
    if even.workers is None:
        text = f"The pipeline's compute may cost {factor} of what it costs now; {_why_not_counted(definition)}."
        return [Row(autoscaling, text=text), Row(fewer, text=text)]
    return [Row(autoscaling, text=_autoscaling(even.workers)), Row(fewer, text=_fewer(even.workers))]


def _why_not_counted(definition: Mapping[str, Any]) -> str:
    """Why the break-even is no number of workers."""
    if definition.get("serverless"):
        return "a serverless pipeline has no workers to set"
    if definition.get("autoscale"):
        return f"it scales from {definition['autoscale']} workers already"
    if definition.get("workers") is not None:
        return "its driver is of another node type than its workers"
    return "its number of workers is not known"


def _autoscaling(found: Workers) -> str:
    if not found.autoscaling_can:
        return (
            f"Not enough while updates take as long as now: break-even is at {max(found.mean, 0):.1f} workers on "
            f"average, below the minimum of {AUTOSCALE[0]}."
        )
    return (
        f"Break-even at {found.mean:.1f} workers on average, now {found.now} fixed, while updates take as long as now."
    )


def _fewer(found: Workers) -> str:
    same = (
        f"At most {count(found.fixed, 'worker')} while updates take as long as now ({found.now})"
        if found.fixed is not None
        else "No number of workers is low enough while updates take as long as now"
    )
    slower = [
        f"with {w} up to {found.slower[w]:.2f}× as long"
        for w in (found.now // 2, found.now // 4)
        if w in found.slower and found.slower[w] > 0
    ]
    return f"{same}; an update may take {', '.join(slower)}." if slower else f"{same}."


def _spot(even: BreakEven) -> Row:
    text = "Changes no list price: a DBU costs the same on spot instances, only the cloud provider's bill falls."
    if even.needed:
        text += f" That bill would have to fall by {usd(even.usd)} a delivery"
        text += f", {usd(even.node_hour_usd)} for each hour of a machine." if even.node_hour_usd is not None else "."
    return Row("Spot instances", text=text)
