"""The rule over other items: a box of the guide that sums up boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.rules.base import rule
from app.progress.standing import of_item

NAMED = 3
"""Missing items that a finding names; the rest it counts."""


@rule
def items_met(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """All items named in `items` and all of the steps named in `steps` are met, or `at_least` so many of them.

    None of them may itself be of this kind (checked when the migration file is read).
    """
    found = {
        d.key: (d.title, of_item(d, facts).finding)
        for phase in facts.migration.phases
        for step in phase.steps
        for d in step.deliverables
        if d.key in params["items"] or step.key in params["steps"]
    }
    met = [f for _, f in found.values() if f.passed]
    wanted = params.get("at_least", len(found))
    text = f"{len(met)} of {len(found)} items are met"
    references = tuple(found)
    if len(met) >= wanted:
        as_of = min((f.as_of for f in met if f.as_of), default=None)
        return Finding(Status.PASS, text, as_of, "checklist", references)
    disproved = any(f.status is Status.FAIL for _, f in found.values())
    missing = [title for title, f in found.values() if not f.passed]
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    text = f"{text}, {wanted} needed; missing: {'; '.join(missing[:NAMED])}{more}"
    return Finding(Status.FAIL if disproved else Status.INCONCLUSIVE, text, facts.now, "checklist", references)
