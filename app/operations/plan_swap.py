"""Cutover and rollback: from what was observed to steps. Pure functions, no clock, no workspace, no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.access import Refused
from app.config.migration import Migration
from app.operations.definition import Observation
from app.operations.draft import Draft, NoWayBack, Staged, number
from app.operations.grants import (
    carried,
    common,
    lacking,
    not_carried,
    on_successor,
    on_view,
    union,
    with_owner,
    without,
)
from app.operations.positions import Place, Position, Swap, locate, method, prepared_views, spare_is_free
from app.operations.steps import (
    AwaitIdle,
    ConfirmUnchanged,
    CreateStandIn,
    CreateView,
    DropStandIn,
    DropView,
    FlipView,
    FollowColumns,
    LeaveName,
    PauseSchedule,
    PlannedStep,
    PromoteTable,
    RenameBack,
    RenameTable,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
    SaveState,
    SetParameters,
    Step,
    TakeName,
    UnpauseSchedule,
    VerifyOutcome,
    VerifyServing,
)
from app.operations.world import Grant, JobState, Relation

IDLE_SECONDS = 1800.0
"""How long a cutover waits for runs that were active when it paused their job."""


ROLLBACK_IDLE_SECONDS = 120.0
NOT_STORED = "no cutover of it is stored here"


def names(migration: Migration) -> tuple[str, ...]:
    """Every relation that a cutover or rollback looks at."""
    return tuple(n for t in migration.tables for n in (t.baseline, t.kept, t.candidate, t.spare))


def swaps(migration: Migration, observation: Observation, methods: Mapping[str, str] | None = None) -> tuple[Swap, ...]:
    """The swap of each table. methods: as an earlier plan decided; otherwise decided by what the candidate is."""
    found: list[Swap] = []
    for t in migration.tables:
        candidate = observation.relation(t.candidate)
        decided = (methods or {}).get(t.name)
        how = "rename" if decided == "rename" else "view" if decided == "view" else method(candidate)
        if decided is None and candidate.kind == "absent" and observation.relation(t.baseline).kind == "table":
            how = "rename"  # It has moved already: only a rename takes a candidate's name away.
        found.append(Swap(t.name, t.baseline, t.kept, t.candidate, "rename" if how == "rename" else "view", t.spare))
    return tuple(found)


def places(
    all_swaps: Sequence[Swap],
    observation: Observation,
    before: Observation | None = None,
    unknown: str = NOT_STORED,
) -> dict[str, Place]:
    """Position of each table. before: what a cutover saw, to recognise both tables by their ids; unknown: why there is
    none."""
    relations = {r.name: r for r in observation.relations}
    return {s.table: locate(s, relations, *_ids(s, before), unknown) for s in all_swaps}


def old_id(swap: Swap, before: Observation | None) -> str | None:
    """Id of the old table, where a cutover saw it."""
    return None if before is None else before.relation(swap.served).table_id


def _ids(swap: Swap, before: Observation | None) -> tuple[str | None, str | None]:
    return old_id(swap, before), None if before is None else before.relation(swap.candidate).table_id


def cutover(migration: Migration, observation: Observation) -> Draft:
    """Old to new, all tables. Where a table is not where a cutover begins, a gate says so and blocks."""
    all_swaps = swaps(migration, observation)
    planned = cutover_steps(migration, observation)
    try:
        inverse = way_back(migration, observation, planned)
    except NoWayBack:
        inverse = ()  # A gate names the reason and blocks.
    return Draft(
        planned,
        inverse=inverse,
        method={s.table: s.method for s in all_swaps},
        notes=(*_cutover_notes(all_swaps, observation), *migration.reminders.cutover),
    )


def cutover_steps(migration: Migration, observation: Observation) -> tuple[PlannedStep, ...]:
    """The steps of a cutover, without what undoes them."""
    all_swaps = swaps(migration, observation)
    old, new = observation.job("baseline"), observation.job("candidate")
    pipeline = observation.pipelines[0]
    wanted = tuple((p.name, p.serving) for p in migration.candidate_job.parameters)
    parameters = ((new.job_id, new.name, wanted),) if wanted else ()
    steps: list[Staged] = [
        ("save", "", SaveState(names(migration), (old.name, new.name))),
        *(("pause", "", PauseSchedule(j.job_id, j.name)) for j in (old, new) if j.paused is not None),
        ("idle", "", AwaitIdle(_targets(old, new), ((pipeline.pipeline_id, pipeline.name),), IDLE_SECONDS)),
        ("confirm", "", ConfirmUnchanged(names(migration), observation.fingerprint_of(names(migration)))),
        *forward(all_swaps, observation),
        *(("parameters", "", SetParameters(*p)) for p in parameters),
        *(("unpause", "", UnpauseSchedule(new.job_id, new.name)) for _ in (1,) if new.paused is not None),
        (
            "outcome",
            "",
            VerifyOutcome(
                tuple((s.served, s.candidate if s.method == "view" else None) for s in all_swaps),
                paused=((old.job_id, old.name),) if old.paused is not None else (),
                unpaused=((new.job_id, new.name),) if new.paused is not None else (),
                parameters=parameters,
            ),
        ),
    ]
    return number(steps)


def forward(all_swaps: Sequence[Swap], observation: Observation, round_: str = "") -> list[Staged]:
    """Names and views from old to new: prepare and try the views beside the tables, exchange names, flip, verify.

    Until the flip readers get the old rows. What takes a name has its grants, comment and tags before.
    """
    steps: list[Staged] = []
    views = [s for s in all_swaps if s.method == "view"]
    for s in all_swaps:
        x = observation.relation(s.served)
        if s.method == "view":
            grants = on_view(x)
            lane: list[Step] = [
                CreateStandIn(s.kept, s.served),
                CreateView(s.spare, s.kept, s.candidate, x.comment, s.served),
                RestoreGrants(s.spare, grants, s.served),
            ]
            if x.tags:
                lane.append(RestoreTags(s.spare, x.tags, s.served))
            lane.append(VerifyServing(s.spare, s.kept, grants, _columns(x), passing=True))
        else:
            lane = [RestoreGrants(s.candidate, on_successor(x, observation.relation(s.candidate)), s.served)]
        steps += [(f"prepare{round_}", s.table, step) for step in lane]
    for s in views:
        x = observation.relation(s.served)
        lane = [
            DropStandIn(s.kept, s.served),
            RenameTable(s.served, s.kept),
            TakeName(s.spare, s.served, s.kept, s.candidate),
            VerifyServing(s.served, s.kept, on_view(x), _columns(x), passing=True),
        ]
        steps += [(f"exchange{round_}", s.table, step) for step in lane]
    for s in all_swaps:
        if s.method == "view":
            steps.append((f"flip{round_}", s.table, FlipView(s.served, s.kept, s.candidate)))
        else:
            lane = [RenameTable(s.served, s.kept, s.candidate), PromoteTable(s.candidate, s.served)]
            steps += [(f"flip{round_}", s.table, step) for step in lane]
    for s in all_swaps:
        x, c = observation.relation(s.served), observation.relation(s.candidate)
        view = s.method == "view"
        verify = VerifyServing(
            s.served, s.candidate if view else None, on_view(x) if view else on_successor(x, c), _columns(c)
        )
        if view:
            steps.append((f"verify{round_}", s.table, FollowColumns(s.served, s.candidate)))
        steps.append((f"verify{round_}", s.table, verify))
    return steps


def back(
    all_swaps: Sequence[Swap],
    observation: Observation,
    before: Observation | None,
    *,
    pause_new: bool,
    jobs: bool = True,
    parameters: tuple[tuple[str, str], ...] = (),
    owned: bool = True,
    unknown: str = NOT_STORED,
    round_: str = "",
) -> list[Staged]:
    """New to old from wherever each table is. before: what the cutover saved, if it is known.

    Grants that others gave or took since the cutover began, on the name or on the kept table, stay so.

    owned: whether the views are one's own. Only its owner can point a view elsewhere; who has MANAGE can rename it, and
    nothing has the name until the old table has it again, one statement later.
    parameters: name and value of what the new job's parameters are set back to.
    pause_new: whether the new job stays paused whatever it was before (a rollback) or gets back what it had (an undo).
    unknown: why `before` is not known, where it is not.
    Raises NoWayBack with every table whose place is not one of ours, or whose kept table is not proven to be the old.
    """
    at = _places_with_way_back(all_swaps, observation, before, unknown)
    by = {p: [s for s in all_swaps if at[s.table].position is p] for p in Position}
    viewed = by[Position.SHADOWED] + (by[Position.FLIPPED] if owned else [])
    changed = {s.table: changed_grants(s, observation, before) for s in all_swaps}
    wanted = {s.table: grants_afterwards(s, observation, before) for s in all_swaps}

    relations = {r.name: r for r in observation.relations}

    def home(s: Swap) -> list[Step]:
        """The old table gets its name again; its grants are looked at once more."""
        return [RenameBack(s.kept, s.served), RestoreGrants(s.served, wanted[s.table])]

    def before_home(s: Swap) -> list[Step]:
        """The old table has the grants that it is to have before consumers read it again."""
        kept = observation.relation(s.kept)
        taken, missing = common(kept.grants, changed[s.table][1]), lacking(kept.grants, wanted[s.table])
        revoked = [RevokeGrants(s.kept, taken)] if taken else []
        return [*revoked, *([RestoreGrants(s.kept, wanted[s.table], s.served)] if missing else [])]

    def exchange(s: Swap, over: str) -> list[Step]:
        """View and table exchange names. Where the spare name is taken by another, the view is dropped instead."""
        if spare_is_free(s, relations):
            leaves: Step = LeaveName(s.served, s.spare, over, s.kept)
        else:
            leaves = DropView(s.served, over, s.kept)
        return [*before_home(s), leaves, *home(s)]

    steps: list[Staged] = []
    for s in all_swaps:
        lane: list[Step] = []
        match at[s.table].position:
            case Position.FLIPPED if owned:
                lane = [FlipView(s.served, s.candidate, s.kept)]
            case Position.FLIPPED:
                lane = exchange(s, s.candidate)
            case Position.RENAMED:
                lane = home(s)
            case Position.SWAPPED:
                lane = [*before_home(s), RenameTable(s.served, s.candidate, s.kept), *home(s)]
        steps += [(f"serve old{round_}", s.table, step) for step in lane]
    for s in all_swaps:
        over = s.kept if s in viewed else None
        # While a view serves, only that it answers counts: its grants are put right on the table in a moment. The table
        # kept its own; what others take from it at this moment must not end the way back.
        grants = () if s in viewed else changed[s.table][0]
        verify = VerifyServing(s.served, over, grants, _old_columns(s, before), passing=s in viewed)
        steps.append((f"verify old{round_}", s.table, verify))
    old, new = (observation.find_job(side) if jobs else None for side in ("baseline", "candidate"))
    if new is not None and new.paused is not None and (viewed or pause_new or not _was_on(new, "candidate", before)):
        steps.append(("pause", "", PauseSchedule(new.job_id, new.name)))
    if old is not None and viewed:
        if old.paused is not None:
            steps.append(("pause", "", PauseSchedule(old.job_id, old.name)))
        steps.append(("idle", "", AwaitIdle(_targets(old), (), ROLLBACK_IDLE_SECONDS)))
    for s in viewed:
        verified = VerifyServing(s.served, None, changed[s.table][0], _old_columns(s, before))
        steps += [(f"names back{round_}", s.table, step) for step in (*exchange(s, s.kept), verified)]
    for s in all_swaps:
        ours = _granted_meanwhile(s, at[s.table], observation, before)
        if ours:
            steps.append((f"grants back{round_}", s.table, RevokeGrants(s.candidate, ours)))
    if jobs:
        # After the tables, which matter more, and before the old job can run: both would write the same reports.
        set_back = ((new.job_id, new.name, parameters),) if new is not None and parameters else ()
        steps += [("parameters", "", SetParameters(*p)) for p in set_back]
        scheduled = [j for j in (old, new) if j is not None and j.paused is not None]
        on = [
            j
            for j in scheduled
            if (j is old or not pause_new) and _was_on(j, "baseline" if j is old else "candidate", before)
        ]
        steps += [("unpause", "", UnpauseSchedule(j.job_id, j.name)) for j in on]
    # Last: no consumer reads them.
    for s in all_swaps:
        steps += [(f"drop views{round_}", s.table, DropView(*v)) for v in _left_views(s, at[s.table], relations, owned)]
    if jobs:
        outcome = VerifyOutcome(
            tuple((s.served, None) for s in all_swaps),
            paused=_targets(*(j for j in scheduled if j not in on)),
            unpaused=_targets(*on),
            parameters=set_back,
        )
        steps.append(("outcome", "", outcome))
    return steps


def _places_with_way_back(
    all_swaps: Sequence[Swap], observation: Observation, before: Observation | None, unknown: str
) -> dict[str, Place]:
    """Position of each table. Raises NoWayBack as `back` does."""
    at = places(all_swaps, observation, before, unknown)
    lost = [f"{t}: {p.text}" for t, p in at.items() if p.position is Position.UNKNOWN]
    lost += [f"{t}: {p.text}, but {p.doubt}" for t, p in at.items() if p.doubt]
    if lost:
        raise NoWayBack("; ".join(lost))
    return at


def _left_views(swap: Swap, place: Place, relations: Mapping[str, Relation], owned: bool) -> list[tuple[str, str]]:
    """Name and served name of the views of ours that are left once the old table has its name."""
    moved = spare_is_free(swap, relations)
    match place.position:
        case Position.SHADOWED | Position.FLIPPED if moved:
            over = swap.candidate if place.position is Position.FLIPPED and not owned else swap.kept
            return [(swap.spare, over)]
        case Position.SHADOWED | Position.FLIPPED:
            # Of a CREATE VIEW that was sent twice for want of an answer: the name was free when the first one landed.
            return [(v.name, v.over or "") for v in prepared_views(swap, relations) if v.name == swap.spare]
        case Position.PREPARED | Position.RENAMED:
            return [(v.name, v.over or "") for v in prepared_views(swap, relations)]
    return []


def _granted_meanwhile(
    swap: Swap, place: Place, observation: Observation, before: Observation | None
) -> tuple[Grant, ...]:
    """What the candidate was granted only because it had the old table's name (where it is swapped by renaming)."""
    if before is None or swap.method != "rename":
        return ()
    now = observation.relation(swap.served if place.position is Position.SWAPPED else swap.candidate)
    old, new = before.relation(swap.served), before.relation(swap.candidate)
    return common(lacking(new.grants, now.grants), on_successor(old, new))


def _was_on(job: JobState, side: str, before: Observation | None) -> bool:
    return before is None or before.job(side).paused is not True


def grants_before(swap: Swap, observation: Observation, before: Observation | None) -> tuple[Grant, ...]:
    """What consumers had on the name before the cutover; where that is not known, what the kept table carries."""
    if before is not None:
        return before.relation(swap.served).grants
    kept = observation.relation(swap.kept)
    return kept.grants if kept.kind == "table" else observation.relation(swap.served).grants


def changed_grants(
    swap: Swap, seen: Observation, before: Observation | None
) -> tuple[tuple[Grant, ...], tuple[Grant, ...]]:
    """What others gave on the name, and what they took from it, while a view of ours or the new table has it.

    Either had all grants before it got the name. What was given on a new table leaves with it.
    """
    served = seen.relation(swap.served)
    if served.kind == "view" and served.over in (swap.kept, swap.candidate):
        had = carried(grants_before(swap, seen, before))
        old = seen.relation(swap.kept) if before is None else before.relation(swap.served)
        return lacking(with_owner(had, old, ("SELECT",)), served.grants), lacking(served.grants, had)
    if before is not None and swap.method == "rename" and served.kind == "table":
        old, new = before.relation(swap.served), before.relation(swap.candidate)
        if served.table_id is not None and served.table_id == new.table_id:
            return (), lacking(served.grants, on_successor(old, new))
    return (), ()


def grants_afterwards(swap: Swap, seen: Observation, before: Observation | None) -> tuple[Grant, ...]:
    """What the old table is to have once it has its name again: what it has now, with what others changed on the name.

    A table keeps its grants when it is renamed: what it lacks of those from before, others took.
    """
    given, taken = changed_grants(swap, seen, before)
    kept, served = seen.relation(swap.kept), seen.relation(swap.served)
    has = kept.grants if kept.kind == "table" and _moved(swap, seen, before) else served.grants
    return union(without(has, taken), given)


def _moved(swap: Swap, seen: Observation, before: Observation | None) -> bool:
    """Whether the old table has its kept name; beside it a backup may have that name."""
    return places([swap], seen, before)[swap.table].position is not Position.UNTOUCHED


def grants_kept(all_swaps: Sequence[Swap], seen: Observation, before: Observation | None) -> tuple[str, ...]:
    """A sentence for each change of grants by others since the cutover began that the way back keeps."""
    if before is None:
        return ()
    found: list[str] = []
    for s in all_swaps:
        was, will = before.relation(s.served).grants, grants_afterwards(s, seen, before)
        found += _grant_notes(s, lacking(was, will), lacking(will, was))
    return tuple(found)


def parallel_parameters(migration: Migration) -> tuple[tuple[str, str], ...]:
    """Name and value of the parameters that the new job has while both jobs run."""
    return tuple((p.name, p.parallel) for p in migration.candidate_job.parameters)


def way_back(migration: Migration, observation: Observation, steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """The steps that undo all of a cutover's steps. Also tried from after each single step.

    Raises NoWayBack with the first step after which nothing leads back.
    """
    state = observation.model
    all_swaps = swaps(migration, observation)
    seen = observation
    for planned in steps:
        try:
            moved = planned.step.leaves(state)
            if moved.relations == state.relations and seen is not observation:
                continue
            state = moved
            seen = observation.with_relations(state.relations.values())
            _places_with_way_back(all_swaps, seen, observation, NOT_STORED)
        except (ValueError, NoWayBack) as e:
            raise NoWayBack(f"step {planned.number} ({type(planned.step).__name__} {planned.lane}): {e}") from e
    if not steps:
        return ()
    return number(back(all_swaps, seen, observation, pause_new=True, parameters=parallel_parameters(migration)))


def rollback(
    all_swaps: Sequence[Swap],
    observation: Observation,
    before: Observation | None,
    *,
    parameters: tuple[tuple[str, str], ...],
    unrestored: tuple[str, ...] = (),
    unknown: str = NOT_STORED,
    reminders: tuple[str, ...] = (),
) -> Draft:
    """New to old from the world as it is. Raises Refused where there is nothing to roll back or no way back.

    parameters, unknown: as in `back`. unrestored: a sentence for each schedule that cannot be set back.
    """
    at = places(all_swaps, observation, before, unknown)
    if all(p.position is Position.UNTOUCHED for p in at.values()) and not observation.unfinished:
        raise Refused("nothing to roll back: every table is the old one under its own name")
    try:
        steps = back(
            all_swaps,
            observation,
            before,
            pause_new=True,
            parameters=parameters,
            unknown=unknown,
        )
    except NoWayBack as e:
        raise Refused(f"NEEDS HUMAN, nothing was written: {e}") from e
    return Draft(
        number(steps),
        method={s.table: s.method for s in all_swaps},
        notes=(
            *unrestored,
            *("the tables go back, and the operation then ends as NEEDS HUMAN" for _ in unrestored[:1]),
            *grants_kept(all_swaps, observation, before),
            *(n for s in all_swaps for n in _grants_that_leave(s, at[s.table], observation, before)),
            *_rollback_notes(observation),
            *reminders,
        ),
    )


def _targets(*jobs: JobState) -> tuple[tuple[int, str], ...]:
    return tuple((j.job_id, j.name) for j in jobs)


def _columns(relation: Relation) -> tuple[str, ...]:
    return tuple(name for name, _ in relation.columns)


def _old_columns(swap: Swap, before: Observation | None) -> tuple[str, ...]:
    return () if before is None else _columns(before.relation(swap.served))


def _cutover_notes(all_swaps: Sequence[Swap], observation: Observation) -> tuple[str, ...]:
    notes: list[str] = []
    viewed = [observation.relation(s.served) for s in all_swaps if s.method == "view"]
    if viewed:
        owners = ", ".join(sorted({x.owner for x in viewed if x.owner})) or "their owners"
        notes.append(
            "the views are owned by the principal that executes the cutover, as only its owner can redirect a view; the"
            f" old tables stay owned by {owners}, who get SELECT on the views"
        )
    for s in all_swaps:
        x = observation.relation(s.served)
        if s.method == "view":
            notes += [
                f"{s.served}: {', '.join(g.privileges)} of {g.principal} cannot be granted on a view; {s.kept} keeps it"
                for g in not_carried(x.grants)
            ]
        there = dict(observation.relation(s.candidate).column_comments)
        lost = [column for column, comment in x.column_comments if there.get(column) != comment]
        if lost:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            columns = ", ".join(lost[:5]) + more
            notes.append(f"{s.served}: the comments of {columns} differ in {s.candidate}, and readers will see those")
    mixed = [s.table for s in all_swaps if s.method == "rename"]
    if mixed:
        notes.append(f"{', '.join(mixed)}: swapped by renaming; between the two renames the name does not exist")
    if viewed:
        notes.append(
            "names are exchanged by two statements each, sent back to back: between them the name does not exist, and a"
            " reader gets TABLE_OR_VIEW_NOT_FOUND; all else is prepared before, and the flip itself leaves no name open"
        )
    return tuple(notes)


def _grant_notes(swap: Swap, given: tuple[Grant, ...], taken: tuple[Grant, ...]) -> list[str]:
    changes = ((given, "granted since the cutover, is kept"), (taken, "revoked since the cutover, is not restored"))
    return [f"{swap.served}: {', '.join(g.privileges)} of {g.principal}, {what}" for gs, what in changes for g in gs]


def _grants_that_leave(swap: Swap, place: Place, observation: Observation, before: Observation | None) -> list[str]:
    """What was given on a name since a cutover by renaming: it belongs to the new table, and leaves with it."""
    if before is None or swap.method != "rename" or place.position is not Position.SWAPPED:
        return []
    old, new = before.relation(swap.served), before.relation(swap.candidate)
    had = union(new.grants, on_successor(old, new))
    return [
        f"{swap.served}: {', '.join(g.privileges)} of {g.principal}, granted since the cutover, goes to "
        f"{swap.candidate} with the new table: grant it again on {swap.served} afterwards"
        for g in lacking(had, observation.relation(swap.served).grants)
    ]


def _rollback_notes(observation: Observation) -> tuple[str, ...]:
    notes: list[str] = []
    for w in observation.written:
        if w.problem:
            notes.append(f"{w.table}: rows written since cutover are unknown ({w.problem})")
            continue
        newer = f", {w.newer:,} of them later than the old table's latest" if w.newer is not None else ""
        notes.append(
            f"{w.table}: consumers go back from {w.new_rows:,} rows{newer} to {w.old_rows:,} rows; "
            "the rows written since cutover stay in the candidate and are no longer served"
        )
    return tuple(notes)
