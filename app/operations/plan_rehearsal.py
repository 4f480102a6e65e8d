"""A rehearsal: cutover and rollback, twice, on scratch copies. Pure functions."""

from __future__ import annotations

from app.config.migration import Migration, spare_name
from app.operations.definition import Observation
from app.operations.draft import Draft, Staged, number
from app.operations.model import Model
from app.operations.plan_swap import back, forward
from app.operations.positions import Swap
from app.operations.steps import (
    SCRATCH_PREFIX,
    CopyTable,
    DropScratch,
    RestoreGrants,
    VerifySame,
)
from app.operations.world import Grant, Relation, absent


def rehearsal_swaps(migration: Migration) -> tuple[Swap, ...]:
    """Names of the scratch copies. They are ordinary tables; the swap is rehearsed in the way of views."""

    def scratch(name: str) -> str:
        return f"{migration.rehearsal_schema}.{SCRATCH_PREFIX}{name}"

    def swap(name: str) -> Swap:
        served = scratch(name)
        return Swap(name, served, scratch(name + "_old"), scratch(name + "_new"), "view", spare_name(served))

    return tuple(swap(t.name) for t in migration.tables)


def rehearsal_names(migration: Migration) -> tuple[str, ...]:
    """Every scratch name, references included."""
    return tuple(n for s in rehearsal_swaps(migration) for n in _names(s))


def _names(swap: Swap) -> tuple[str, ...]:
    references = f"{swap.kept}_ref", f"{swap.candidate}_ref"
    return (swap.served, swap.kept, swap.candidate, swap.spare, *references)


def rehearse(migration: Migration, observation: Observation, requested_by: str, rows: int | None) -> Draft:
    """Copies, forward, back, forward, back; after each turn the copy must serve what it held. Then all is removed.

    Scratch copies are granted to the requester alone: they may hold what consumers may not see.
    """
    all_swaps = rehearsal_swaps(migration)
    grants = (Grant(requested_by, ("SELECT",)),)
    steps: list[Staged] = []
    for s in all_swaps:
        for name in _names(s):
            found = observation.relation(name)
            if found.kind in ("table", "view"):
                steps.append(("clear", s.table, DropScratch(name, found.kind == "view")))
    for t, s in zip(migration.tables, all_swaps, strict=True):
        steps += [
            ("copy", t.name, step)
            for step in (
                CopyTable(t.baseline, s.served, rows),
                CopyTable(s.served, f"{s.kept}_ref", None),
                CopyTable(t.candidate, s.candidate, rows),
                CopyTable(s.candidate, f"{s.candidate}_ref", None),
                RestoreGrants(s.served, grants),
            )
        ]
    copied: dict[str, Relation] = {}
    for t, s in zip(migration.tables, all_swaps, strict=True):
        old, new = observation.relation(t.baseline), observation.relation(t.candidate)
        # Their ids are not known before they are made; any two different ones distinguish them.
        copied[s.served] = Relation(s.served, "table", table_id="old", columns=old.columns, grants=grants)
        copied[s.kept] = absent(s.kept)
        copied[s.spare] = absent(s.spare)
        copied[s.candidate] = Relation(s.candidate, "table", table_id="new", columns=new.columns)
    start = observation.with_relations(copied.values())
    for turn in (1, 2):
        moves = forward(all_swaps, start, f" {turn}")
        state = Model(copied)
        for _, _, step in moves:
            state = step.leaves(state)
        steps += moves
        for s in all_swaps:
            steps += [
                (f"same as new {turn}", s.table, VerifySame(s.served, f"{s.candidate}_ref")),
                (f"same as new {turn}", s.table, VerifySame(s.kept, f"{s.kept}_ref")),
            ]
        turned = start.with_relations(state.relations.values())
        steps += back(all_swaps, turned, start, pause_new=True, jobs=False, round_=f" {turn}")
        for s in all_swaps:
            steps += [
                (f"same as old {turn}", s.table, VerifySame(s.served, f"{s.kept}_ref")),
                (f"same as old {turn}", s.table, VerifySame(s.candidate, f"{s.candidate}_ref")),
            ]
    for s in all_swaps:
        steps += [
            ("remove", s.table, DropScratch(name, False))
            for name in (s.served, s.candidate, f"{s.kept}_ref", f"{s.candidate}_ref")
        ]
    much = "all rows" if rows is None else f"at most {rows:,} rows"
    return Draft(
        number(steps),
        method={s.table: "view" for s in all_swaps},
        notes=(
            f"works on copies of {much} of each table, named {SCRATCH_PREFIX}* in {migration.rehearsal_schema}",
            *(
                ("a rehearsal of fewer rows than the migration file requires is no evidence",)
                if rows is not None
                else ()
            ),
            "candidates are copied into ordinary tables: a view over a pipeline's own table is not rehearsed",
            "schedules are not touched",
        ),
    )
