"""The finding of a piece of evidence: the one place that knows all rules."""

from __future__ import annotations

from collections.abc import Callable

from app.config.migration import Evidence, Gate
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.rules import cost, existence, items, operations, parity, people, quality, runs
from app.progress.rules.base import RULES as RULES
from app.progress.rules.base import apply

# Importing a module registers its rules.
SUBJECTS = (people, existence, runs, cost, quality, parity, operations, items)


def judge(evidence: Evidence, facts: Facts, *, key: str = "", max_age_hours: float | None = None) -> Finding:
    """The finding of `evidence` by `facts`. key: the item's key, which its ticks have."""
    return apply(evidence, facts, key).aged(facts.now, max_age_hours)


def judges(facts: Facts) -> Callable[[Gate], Finding]:
    """A function that judges gates of the migration file, all from the same evidence."""
    return lambda gate: judge(gate.evidence, facts, key=gate.key, max_age_hours=gate.max_age_hours)
