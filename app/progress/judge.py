"""The finding of a piece of evidence: the one place that knows all rules."""

from __future__ import annotations

from collections.abc import Callable

from app.config.items import Item, Needs
from app.config.migration import Evidence, Gate
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.rules import cost, existence, items, operations, parity, people, quality, runs
from app.progress.rules.base import RULES as RULES
from app.progress.rules.base import apply

# Importing a module registers its rules.
SUBJECTS = (people, existence, runs, cost, quality, parity, operations, items)


def judge(evidence: Evidence, facts: Facts, *, key: str = "", max_age_hours: float | None = None) -> Finding:
    """The finding of `evidence` by `facts`. key: the item's key, which its ticks have."""
    return apply(evidence, facts, key).aged(facts.now, max_age_hours)


def judge_item(item: Item, facts: Facts) -> Finding:
    """The finding of a deliverable or a metric: by evidence, by a person's tick, or by both."""
    found = judge(item.evidence, facts, key=item.key)
    if item.needs is not Needs.BOTH:
        return found
    tick = people.ticked(facts, item.key)
    for one in (found, tick):
        if one.status is Status.FAIL:
            return one
    if found.passed and tick.passed:
        times = [t for t in (found.as_of, tick.as_of) if t is not None]
        text = f"{found.summary}. {tick.summary}"
        return Finding(Status.PASS, text, max(times, default=None), found.source, found.references)
    if found.passed:
        who = item.owner or "an operator"
        text = f"{found.summary}. Waits for {who} to confirm it"
        return Finding(Status.INCONCLUSIVE, text, found.as_of, found.source, found.references, manual=True)
    return found


def judges(facts: Facts) -> Callable[[Gate], Finding]:
    """A function that judges gates of the migration file, all from the same evidence."""
    return lambda gate: judge(gate.evidence, facts, key=gate.key, max_age_hours=gate.max_age_hours)
