"""Rules over expectation results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.progress.evidence import Finding, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import rule


@rule
def expectations_tracked(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest update reported passed and failed counts."""
    found = facts.expectations.get(params["environment"], ())
    if not found:
        return unknown("No expectation has been reported by a real update", "pipeline events")
    datasets = len({e.dataset for e in found})
    as_of = max(e.timestamp for e in found)
    text = f"{len(found)} expectations on {datasets} datasets are reported"
    return pass_or_fail(True, text, as_of, "pipeline events", found[0].update_id)


@rule
def expectations_passing(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest update no row failed any expectation."""
    return _expectations(facts, params["environment"], 0.0)


@rule
def expectations_hold(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest update no expectation was failed by more than `max_share` of its rows (0.05)."""
    return _expectations(facts, params["environment"], float(params.get("max_share", 0.05)))


def _expectations(facts: Facts, environment: str, share: float) -> Finding:
    found = facts.expectations.get(environment, ())
    if not found:
        return unknown("No expectation has been reported by a real update", "pipeline events")
    as_of = max(e.timestamp for e in found)
    over = [e for e in found if e.failed > share * (e.passed + e.failed)]
    if over:
        worst = max(over, key=lambda e: e.failed / (e.passed + e.failed))
        part = worst.failed / (worst.passed + worst.failed)
        text = f"{len(over)} of {len(found)} fail; {worst.name} on {worst.dataset}: {worst.failed:,} rows ({part:.2%})"
        return pass_or_fail(False, text, as_of, "pipeline events", worst.update_id)
    failed = sum(e.failed for e in found)
    text = f"{len(found)} expectations hold ({failed:,} failed rows, at most {share:.0%} each)"
    return pass_or_fail(True, text, as_of, "pipeline events", found[0].update_id)
