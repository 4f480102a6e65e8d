"""The workspace as it would be had a cutover's own steps not been done: by that it is judged midway as at its start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from app.operations.definition import Observation, Plan
from app.operations.grants import lacking, on_successor, without
from app.operations.model import NotObserved
from app.operations.plan_swap import places
from app.operations.positions import Position, Swap, prepared_views
from app.operations.world import JobState, Relation, absent


def unmoved(all_swaps: Sequence[Swap], seen: Observation, known: Plan) -> Observation:
    """What was seen, without what the steps of a cutover's plan change: names, grants that came with a name, and the
    new job's parameters. Whatever else changed since the plan was made shows. Schedules stay as they are.

    A table that is nowhere a step leaves it stays as it was seen, and so differs from the plan.
    """
    before = known.observation
    found = places(all_swaps, seen, before)
    relations = {r.name: r for r in seen.relations}
    home: list[Relation] = []
    for s in all_swaps:
        home += [absent(v.name) for v in prepared_views(s, relations)]
        new = seen.relation(s.candidate)
        match found[s.table].position:
            case Position.RENAMED | Position.SHADOWED | Position.FLIPPED:
                home += [replace(seen.relation(s.kept), name=s.served), absent(s.kept)]
            case Position.SWAPPED:
                new = replace(seen.relation(s.served), name=s.candidate)
                home += [replace(seen.relation(s.kept), name=s.served), absent(s.kept)]
            case _:
                pass
        if s.method == "rename" and new.kind == "table":
            ours = lacking(
                before.relation(s.candidate).grants,
                on_successor(before.relation(s.served), before.relation(s.candidate)),
            )
            home.append(replace(new, grants=without(new.grants, ours)))
    jobs = tuple((side, _as_before(job, before.find_job(side), _left_by(known, job))) for side, job in seen.jobs)
    return replace(seen.with_relations(home), jobs=jobs)


def _left_by(known: Plan, job: JobState) -> JobState | None:
    """A job as the plan's steps leave it."""
    state = known.observation.model
    for planned in known.steps:
        with suppress(ValueError, NotObserved):
            state = planned.step.leaves(state)
    return state.jobs.get(job.job_id)


def _as_before(job: JobState, was: JobState | None, left: JobState | None) -> JobState:
    """The job with those parameters as they were before that are as the plan's steps leave them."""
    if was is None or left is None or was.job_id != job.job_id:
        return job
    old, ours = dict(was.parameters), dict(left.parameters)
    parameters = tuple((n, old[n] if n in old and ours.get(n) == v else v) for n, v in job.parameters)
    return replace(job, parameters=parameters)
