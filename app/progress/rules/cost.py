"""Rules over run time and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.performance.measurements import NewestRuns, newest_dbu, newest_run_times
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import rule, seconds

HUNDREDTH = 0.01

BILLING = "system.billing.usage"


def _run_times(facts: Facts, params: Mapping[str, Any]) -> NewestRuns:
    return newest_run_times(facts.snapshot.runs, params["runs"])


def _dbu(facts: Facts, params: Mapping[str, Any]) -> NewestRuns:
    return newest_dbu(facts.snapshot.runs, facts.costs, params["runs"])


@rule
def runtime_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Both sides have `runs` measured runs."""
    found = _run_times(facts, params)
    if too_few := too_few_runs(found, params["runs"], "successful runs", "jobs/runs"):
        return too_few
    old, new = found.medians
    return pass_or_fail(True, f"Median run: {seconds(old)} before, {seconds(new)} now", found.as_of, "jobs/runs")


@rule
def runtime_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The median run of the new side takes at most `factor` times the old side's, over `runs` runs each."""
    found = _run_times(facts, params)
    if too_few := too_few_runs(found, params["runs"], "successful runs", "jobs/runs"):
        return too_few
    old, new = found.medians
    text = f"New side {seconds(new)}, old side {seconds(old)}: {ratio(new, old)}"
    return pass_or_fail(new <= old * params["factor"], text, found.as_of, "jobs/runs")


@rule
def cost_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Both sides have `runs` runs whose billing is final."""
    found = _dbu(facts, params)
    if too_few := too_few_runs(found, params["runs"], "runs with final billing", BILLING):
        return too_few
    old, new = found.medians
    return pass_or_fail(True, f"Median run: {old:.2f} DBU before, {new:.2f} DBU now", found.as_of, BILLING)


@rule
def cost_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The median run of the new side uses at most `factor` times the old side's DBU, over `runs` final bills."""
    found = _dbu(facts, params)
    if too_few := too_few_runs(found, params["runs"], "runs with final billing", BILLING):
        return too_few
    old, new = found.medians
    text = f"New side {new:.2f} DBU, old side {old:.2f} DBU: {ratio(new, old)}"
    return pass_or_fail(new <= old * params["factor"], text, found.as_of, BILLING)


def too_few_runs(found: NewestRuns, wanted: int, what: str, source: str) -> Finding | None:
    """INCONCLUSIVE where a side has fewer than `wanted` runs; None where both have enough."""
    old, new = len(found.baseline), len(found.candidate)
    if min(old, new) >= wanted:
        return None
    pending = f"; {found.not_final} not final" if found.not_final else ""
    return unknown(f"{old} old and {new} new {what}, {wanted} of each are needed{pending}", source)


def ratio(new: float, old: float) -> str:
    return f"{new / old:.2f} times" if old > HUNDREDTH else "no ratio, the old side is near zero"
