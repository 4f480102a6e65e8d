"""What the guide's cost options would have to save for the new side to cost at most as much as the old one. Pure.

The guide names three: autoscaling, fewer workers, spot instances. None of them has a saving that is known before it was
tried, so there is none here: only break-evens, from the pairs whose bills are final. The first two change how much of
the pipeline's compute is billed. Spot instances do not: a DBU has the same list price on them, and only the cloud
provider's bill for machines falls, which billing records do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from statistics import median_high
from typing import Any

AUTOSCALE = (2, 8)
"""Workers that the guide sets for autoscaling (week 4, option 1)."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class PairCost:
    """US dollars at list price of one pair of deliveries. pipeline: the part of `candidate` for pipeline compute."""

    baseline: float
    candidate: float
    pipeline: float


@dataclass(frozen=True)
class Workers:
    """Break-even of the number of workers, with a driver of the same node type as the workers.

    now: fixed workers of the pipeline. mean: the most workers that autoscaling may use on average while an update takes
    as long as now; below 0 no number is low enough. slower: fewer workers, each with how many times as long an update
    may take with them.
    """

    now: int
    mean: float
    slower: Mapping[int, float]

    @property
    def fixed(self) -> int | None:
        """The most fixed workers while an update takes as long as now; None where a driver alone costs too much."""
        most = floor(self.mean + _ROUNDING)
        return most if most >= 0 else None

    @property
    def autoscaling_can(self) -> bool:
        """Whether the guide's autoscaling can reach the mean: its minimum is not above it."""
        return self.mean + _ROUNDING >= AUTOSCALE[0]


@dataclass(frozen=True)
class BreakEven:
    """What must be saved, by the pairs: with it half of them or more cost at most as much as their old side.

    A value of 0 or less is room: nothing must be saved.

    pairs: how many there are. usd: US dollars for each delivery. of_new: fraction of what the new side costs.
    of_pipeline: fraction of what pipeline compute costs; above 1 no option is enough; None where a pair has no such
    cost. workers: None where the number of workers is not known or not fixed. node_hour_usd: by how many US dollars an
    hour of a machine of the pipeline must become cheaper in the cloud provider's bill, so that spot instances make up
    for `usd`.
    """

    pairs: int
    usd: float
    of_new: float
    of_pipeline: float | None
    workers: Workers | None
    node_hour_usd: float | None

    @property
    def needed(self) -> bool:
        """Whether anything must be saved."""
        return self.usd > 0


def fixed_workers(definition: Mapping[str, Any]) -> int | None:
    """Number of workers in a pipeline's definition (`app.collect.shape.pipeline_definition`).

    None where it is not known, where the pipeline scales or is serverless, and where its driver is of another node
    type: then the driver does not cost as much as a worker.
    """
    number = definition.get("workers")
    if definition.get("serverless") or definition.get("driver_node_type") != definition.get("node_type"):
        return None
    return number if isinstance(number, int) else None


def break_even(
    costs: Sequence[PairCost],
    *,
    workers: int | None = None,
    update_seconds: float | None = None,
) -> BreakEven | None:
    """The break-even of these pairs; None without a pair whose new side costs anything.

    workers: fixed workers of the pipeline. update_seconds: duration of its usual update. Of an even number of pairs the
    upper median counts: what is saved is enough for more than half of them.
    """
    counted = [c for c in costs if c.candidate > 0]
    if not counted:
        return None
    usd = median_high(c.candidate - c.baseline for c in counted)
    of_pipeline = (
        median_high((c.candidate - c.baseline) / c.pipeline for c in counted)
        if all(c.pipeline > 0 for c in counted)
        else None
    )
    machine_hours = (workers + 1) * update_seconds / 3600 if workers is not None and update_seconds else None
    return BreakEven(
        pairs=len(counted),
        usd=usd,
        of_new=median_high(1 - c.baseline / c.candidate for c in counted),
        of_pipeline=of_pipeline,
        workers=None if workers is None or of_pipeline is None else _workers(workers, 1 - of_pipeline),
        node_hour_usd=usd / machine_hours if machine_hours else None,
    )


def _workers(now: int, factor: float) -> Workers:
    """factor: how many times the present cost the pipeline's compute may cost. DBU are billed by machine and time."""
    nodes = factor * (now + 1)
    return Workers(now, nodes - 1, {w: nodes / (w + 1) for w in range(now - 1, 0, -1)})
