"""Looks at the world for a plan: what each kind of operation must have seen, by fresh reads, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from app.access import Refused
from app.config.migration import Migration
from app.operations import decommission, job_access, plan_rehearsal, plan_swap
from app.operations.definition import Kind, Observation
from app.operations.past import JobName, PastCutover
from app.operations.positions import Swap
from app.operations.world import JobState, PipelineState, Privileges, Relation, World, Written
from databricks_client.errors import WorkspaceError

PARALLEL = 24
"""Reads at once: all names of six tables. Most are two calls of the REST API; few need statements on the warehouse."""

COUNT_SECONDS = 3.0
"""How long a rollback counts the rows that it takes away; an emergency does not wait for a slow count."""

SIDES = ("baseline", "candidate")

R = TypeVar("R")
S = TypeVar("S")


def observe(
    world: World,
    migration: Migration,
    kind: Kind,
    args: Mapping[str, Any],
    moment: datetime,
    evidence: Mapping[str, str],
    unfinished: Sequence[str],
    *,
    past: PastCutover,
    counts: bool = True,
) -> Observation:
    """What a plan of this kind rests on. evidence: what proves it (pinned). unfinished: operations not at an end.

    past: the cutover that a rollback takes back. counts: whether a rollback counts the rows it takes away from
    consumers.

    Raises WorkspaceError when something cannot be seen: what was not seen is not assumed.
    """
    match kind:
        case Kind.CUTOVER:
            seen = look(world, migration, moment)
            active, privileges = _together(lambda: _active(world, seen), lambda: _privileges(world, migration, seen))
            return replace(
                seen,
                active=active,
                unfinished=tuple(unfinished),
                evidence=tuple(sorted(evidence.items())),
                privileges=privileges,
            )
        case Kind.ROLLBACK:
            # An emergency waits for nothing that cannot stop it: no privileges are probed, no active run is listed.
            seen = replace(look_back(world, migration, moment, past), unfinished=tuple(unfinished))
            return replace(seen, written=_written(world, migration, seen, past)) if counts else seen
        case Kind.REHEARSE:
            sources = [n for t in migration.tables for n in (t.baseline, t.candidate)]
            copies = relations(world, [*sources, *plan_rehearsal.rehearsal_names(migration)])
            read = world.privileges((), sources, ())
            seen = Observation(moment, tuple(copies), privileges=read, unfinished=tuple(unfinished))
            if args.get("rows") is None:
                return seen
            # How many rows there are says which part of them the copies hold.
            counts_ = [partial(world.written, t.name, t.baseline, t.candidate, ()) for t in migration.tables]
            return replace(seen, written=tuple(_parallel(counts_)))
        case Kind.START_UPDATE:
            pipeline = world.pipeline(str(args["pipeline"]))
            return Observation(
                moment,
                pipelines=(pipeline,),
                active=tuple(f"update {u} of {pipeline.name}" for u in world.active_updates(pipeline.pipeline_id)),
                unfinished=tuple(unfinished),
            )
        case Kind.ARCHIVE | Kind.UNARCHIVE | Kind.DROP_BACKUP:
            old = _old_side(world, migration, kind, args, moment, past)
            return replace(
                old, unfinished=tuple(unfinished), evidence=tuple(sorted((*evidence.items(), *old.evidence)))
            )
        case Kind.RUN_NOW | Kind.PAUSE | Kind.UNPAUSE:
            side = str(args["job"])
            job = _job(world, migration, side)
            swapped = past.every_name(migration) if starts_old_job(kind, args) else ()
            return Observation(
                moment,
                tuple(relations(world, swapped)),
                jobs=((side, job),),
                active=tuple(f"run {r} of {job.name}" for r in world.active_runs(job.job_id)),
                unfinished=tuple(unfinished),
            )


def _old_side(
    world: World, migration: Migration, kind: Kind, args: Mapping[str, Any], moment: datetime, past: PastCutover
) -> Observation:
    """What ends the old side rests on: the names of the cutover, the old job, who may do what with it; of a table that
    is to be dropped, what reads it."""
    if kind is Kind.DROP_BACKUP:
        names = past.names(migration)
        found, job = _together(lambda: relations(world, names), lambda: _old_job(world, migration))
        seen = Observation(moment, tuple(found), jobs=(("baseline", job),) if job is not None else ())
        backup = decommission.backup_of(str(args["table"]), past.swaps_in(migration, seen))
        there = seen.relation(backup).kind != "absent"
        return replace(
            seen,
            evidence=(("backup", backup), *decommission.uses(world, backup, moment, seen.relations)),
            privileges=world.privileges((backup,) if there else (), (), ()),
        )
    job = _job(world, migration, "baseline")
    return Observation(
        moment,
        tuple(relations(world, past.names(migration))),
        jobs=(("baseline", job),),
        evidence=(job_access.as_evidence(job.job_id, world.job_access(job.job_id)),),
        active=tuple(f"run {r} of {job.name}" for r in world.active_runs(job.job_id)),
        privileges=world.privileges((), (), [job.job_id]),
    )


def _old_job(world: World, migration: Migration) -> JobState | None:
    """The old job; None where it is gone. Raises WorkspaceError where it may not be seen."""
    try:
        return _job(world, migration, "baseline")
    except WorkspaceError as e:
        if not e.not_found:
            raise
        return None


def starts_old_job(kind: Kind, args: Mapping[str, Any]) -> bool:
    """Whether the old job would run, now or by its schedule: it writes to the names that a cutover gives away."""
    return kind in (Kind.RUN_NOW, Kind.UNPAUSE) and args.get("job") == "baseline"


def relations(world: World, names: Sequence[str], *, deep: bool = False) -> list[Relation]:
    """State of several names, read side by side, in the order asked. deep: with what is attached to them."""
    read = world.inspect if deep else world.relation
    return _parallel([partial(read, n) for n in names])


def look(world: World, migration: Migration, moment: datetime) -> Observation:
    """The names of a swap with everything attached to them, its jobs and its pipeline: what a cutover rests on."""
    found, (jobs, pipeline) = _together(
        lambda: relations(world, plan_swap.names(migration), deep=True),
        lambda: _together(
            lambda: _parallel([partial(_job, world, migration, side) for side in SIDES]),
            lambda: world.pipeline(migration.production_pipeline.name),
        ),
    )
    return Observation(moment, tuple(found), tuple(zip(SIDES, jobs, strict=True)), (pipeline,))


def look_back(world: World, migration: Migration, moment: datetime, past: PastCutover) -> Observation:
    """What the way back needs: the names, without versions of data, and those jobs that can be seen.

    A job that is gone or may not be seen is left out: the tables go back all the same. No pipeline is looked up: the
    way back needs none, and the new side's may be what is broken.
    """

    def job(was: JobName, now: JobName) -> JobState | None:
        return _job_if_seen(world, was) or (_job_if_seen(world, now) if now != was else None)

    names = past.jobs(migration)
    found, jobs = _together(
        lambda: relations(world, past.names(migration)), lambda: _parallel([partial(job, *n) for n in names])
    )
    seen = tuple((was.side, j) for (was, _), j in zip(names, jobs, strict=True) if j is not None)
    return Observation(moment, tuple(found), seen)


def _job_if_seen(world: World, job: JobName) -> JobState | None:
    try:
        return world.job(job.name, job.job_id)
    except WorkspaceError as e:
        if not (e.not_found or e.denied):
            raise
        return None


def _job(world: World, migration: Migration, side: str) -> JobState:
    jobs = migration.jobs
    if side not in jobs:
        raise Refused(f"there is no job {side!r}: say {' or '.join(f'{s} ({j.name})' for s, j in jobs.items())}")
    return world.job(jobs[side].name, jobs[side].id)


def _active(world: World, seen: Observation) -> tuple[str, ...]:
    def runs(job: JobState) -> list[str]:
        return [f"run {r} of {job.name}" for r in world.active_runs(job.job_id)]

    def updates(pipeline: PipelineState) -> list[str]:
        return [f"update {u} of {pipeline.name}" for u in world.active_updates(pipeline.pipeline_id)]

    found = _parallel([*(partial(runs, j) for _, j in seen.jobs), *(partial(updates, p) for p in seen.pipelines)])
    return tuple(text for texts in found for text in texts)


def _written(world: World, migration: Migration, seen: Observation, past: PastCutover) -> tuple[Written, ...]:
    def both(s: Swap) -> bool:
        return seen.relation(s.kept).kind == "table" and seen.relation(s.candidate).kind != "absent"

    watermarks = {t.baseline: t.watermark for t in migration.tables}
    found: dict[str, Written] = {}

    def count(s: Swap) -> None:
        found[s.table] = world.written(s.table, s.kept, s.candidate, watermarks.get(s.served, ()))

    pairs = [s for s in past.swaps_in(migration, seen) if both(s)]
    threads = [Thread(target=count, args=(s,), daemon=True) for s in pairs]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + COUNT_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"not counted within {COUNT_SECONDS:.0f} s"
    return tuple(found.get(s.table) or Written(s.table, None, None, None, late) for s in pairs)


def _privileges(world: World, migration: Migration, seen: Observation) -> Privileges:
    # Midway the kept table is the one that is renamed and granted on.
    moved = [t.kept if seen.relation(t.kept).kind == "table" else t.baseline for t in migration.tables]
    swap = [n for n in moved if seen.relation(n).kind != "absent"]
    read = [t.candidate for t in migration.tables if seen.relation(t.candidate).kind != "absent"]
    return world.privileges(swap, read, [j.job_id for _, j in seen.jobs])


def _parallel(calls: Sequence[Callable[[], R]]) -> list[R]:
    if not calls:
        return []
    with ThreadPoolExecutor(min(PARALLEL, len(calls))) as pool:
        return list(pool.map(lambda call: call(), calls))


def _together(one: Callable[[], R], other: Callable[[], S]) -> tuple[R, S]:
    """Both at once; the first error is raised once both have ended."""
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other)
        return one(), second.result()
