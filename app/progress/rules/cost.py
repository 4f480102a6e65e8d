"""Rules over run time and cost. All rest on the one assessment that pages and commands show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.performance.assessment import Measure
from app.performance.statistic import Verdict
from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import rule

RUNS = "pairs of runs"

BILLING = "system.billing.usage"


@rule
def runtime_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Enough pairs of an old and a new run have a run time."""
    return _measured(facts.performance.run_time, RUNS)


@rule
def runtime_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The new side takes at most `factor` times as long as the old one, beyond doubt and within the margin."""
    return _at_most(facts.performance.run_time, params["factor"], RUNS)


@rule
def cost_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Enough pairs of an old and a new delivery have final bills with list prices."""
    return _measured(facts.performance.usd, BILLING)


@rule
def cost_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The new side costs at most `factor` times as much as the old one in US dollars at list price. DBU decide nothing:
    the price of a DBU differs between job and pipeline compute."""
    found = _at_most(facts.performance.usd, params["factor"], BILLING)
    dbu = facts.performance.dbu
    return replace(found, summary=f"{found.summary}; in DBU {dbu.ratio:.2f} times") if dbu.ratio is not None else found


def _measured(measure: Measure, source: str) -> Finding:
    if measure.verdict is Verdict.NOT_ENOUGH:
        return unknown(_text(measure), source, measure.as_of)
    return pass_or_fail(True, _text(measure), measure.as_of, source, *_references(measure))


def _at_most(measure: Measure, factor: float, source: str) -> Finding:
    decided = measure.at_most(factor)
    text = _text(measure)
    if decided is not None:
        return pass_or_fail(decided, text, measure.as_of, source, *_references(measure))
    if measure.verdict is not Verdict.NOT_ENOUGH:
        text += f"; the interval is too wide to decide about {factor:g} times"
    return unknown(text, source, measure.as_of)


def _text(measure: Measure) -> str:
    relaxed = measure.settings.relaxed
    return f"{measure.title}: {measure.sentence()}" + (f" (relaxed: {', '.join(relaxed)})" if relaxed else "")


def _references(measure: Measure) -> tuple[str, ...]:
    return tuple(str(run_id) for pair in measure.runs for run_id in pair)
