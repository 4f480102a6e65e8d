"""Writes what became of every item into the record of progress: in the worker after collections and operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.config.items import rule_of
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.phases import gates, metrics, phases, sign_offs
from app.progress.record import gate_key, observe
from app.store.progress import ItemRecord, Transition

if TYPE_CHECKING:
    from app.store.open import Store

SIGNED = "signed"
"""The rule of every sign-off."""


def seen(facts: Facts) -> list[tuple[str, str, Finding]]:
    """Key, rule and finding now of every deliverable, metric, sign-off and gate: without records and deviations."""
    items = [(d.deliverable, d.standing) for p in phases(facts) for s in p.steps for d in s.deliverables]
    found = [(i.key, i.rule, s.live) for i, s in items]
    found += [(m.metric.key, m.metric.rule, m.standing.live) for m in metrics(facts)]
    found += [(s.sign_off.key, SIGNED, s.finding) for s in sign_offs(facts)]
    return found + [(gate_key(g.gate.key), rule_of(g.gate.evidence), g.finding) for g in gates(facts)]


def changes(facts: Facts) -> list[tuple[ItemRecord | None, ItemRecord, Transition | None]]:
    """What is to be written: the record as it is, as it is to be, and the transition between them."""
    found = []
    for key, rule, finding in seen(facts):
        before = facts.record.get(key)
        after, change = observe(key, rule, before, finding, facts.now)
        if after is not None:
            found.append((before, after, change))
    return found


def record_progress(store: Store, facts: Facts) -> int:
    """Judges every item by the evidence and writes what changed; returns the number of transitions.

    Raises StoreError.
    """
    made = changes(facts)
    if made:
        store.progress.write(made)
    return sum(1 for _, _, change in made if change is not None)
