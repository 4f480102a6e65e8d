"""Scratch copies that rehearsals made and may remove: by their journals, never by their names alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from app.config.migration import Migration
from app.operations.codec import CodecError, plan_from_json
from app.operations.definition import GateVerdict, Kind, Observation, Plan
from app.operations.draft import number
from app.operations.model import NotObserved
from app.operations.plan_rehearsal import rehearsal_names
from app.operations.steps import SCRATCH_PREFIX, DropScratch, PlannedStep, UnknownStep
from app.operations.world import Relation
from app.progress.evidence import pass_or_fail
from app.store.operations import JournalEntry, OperationsRepository, Phase

STAGE = "clean up"
MOST = 20
"""Rehearsals whose journals are read at most."""


def made_by(known: Plan, entries: Iterable[JournalEntry]) -> tuple[str, ...]:
    """Names that a rehearsal may have made and has not dropped: its journal has the intent of what makes them."""
    entries = list(entries)
    begun = {e.number for e in entries if not e.on_way_back and e.phase is Phase.INTENT}
    state, found = known.observation.model, list[str]()
    for planned in known.steps:
        before = state
        with suppress(ValueError, NotObserved):
            state = planned.step.leaves(state)
        if planned.number in begun:
            new = (n for n, r in state.relations.items() if r.kind != "absent" and before.relations.get(n) != r)
            found += [n for n in new if _is_scratch(n)]
    dropped = {e.text.rsplit(" ", 1)[-1] for e in entries if e.stage == STAGE and e.phase is Phase.DONE}
    return tuple(n for n in dict.fromkeys(found) if n not in dropped)


def left_over(operations: OperationsRepository, migration: Migration) -> frozenset[str]:
    """Names that earlier rehearsals of a migration may have left."""
    found: set[str] = set()
    for record in operations.find(kinds=[Kind.REHEARSE], migration=migration.name, limit=MOST):
        if record.started_at is None:
            continue
        with suppress(CodecError, UnknownStep):
            found |= set(made_by(plan_from_json(record.plan), operations.journal(record.id)))
    return frozenset(found)


def clean_up(found: Iterable[Relation]) -> tuple[PlannedStep, ...]:
    """The steps that drop what there is of a rehearsal's names, views first."""
    there = sorted((r for r in found if r.kind in ("table", "view")), key=lambda r: r.kind != "view")
    return number((STAGE, r.name, DropScratch(r.name, r.kind == "view")) for r in there)


def gate(migration: Migration, seen: Observation, left: frozenset[str]) -> GateVerdict:
    """A rehearsal begins only where every scratch name is free, or has what an earlier rehearsal left."""
    names = rehearsal_names(migration)
    foreign = [n for n in names if seen.relation(n).kind != "absent" and n not in left]
    text = "; ".join(f"{n} exists and no rehearsal is recorded that made it: rename or drop it" for n in foreign)
    fine = f"all {len(names)} names are free or left by an earlier rehearsal"
    title = "Every scratch name is free"
    return GateVerdict("world.scratch", title, pass_or_fail(not foreign, text or fine, seen.as_of, "workspace"))


def _is_scratch(name: str) -> bool:
    return name.rsplit(".", 1)[-1].startswith(SCRATCH_PREFIX)
