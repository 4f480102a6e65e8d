"""Operations on one job or pipeline: start an update, run, pause, unpause. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.access import Refused
from app.operations.definition import Kind, Observation
from app.operations.draft import Draft, number
from app.operations.steps import (
    PauseSchedule,
    RunJob,
    StartUpdate,
    UnpauseSchedule,
)
from app.operations.world import PipelineState


def light(kind: Kind, args: Mapping[str, Any], observation: Observation, token: str) -> Draft:
    """start-update, run-now, pause, unpause. token: makes a repeated run request the same run."""
    if kind is Kind.START_UPDATE:
        return Draft(number([("update", "", _start_update(args, observation.pipelines[0]))]))
    job = observation.job(str(args["job"]))
    if kind is Kind.RUN_NOW:
        return Draft(number([("run", "", RunJob(job.job_id, job.name, token))]))
    if job.paused is None:
        raise Refused(f"job {job.name} has no schedule, trigger or continuous block: there is nothing to {kind}")
    step = PauseSchedule if kind is Kind.PAUSE else UnpauseSchedule
    notes = (
        (f"{job.name} is {'paused' if job.paused else 'not paused'} already",)
        if job.paused is (kind is Kind.PAUSE)
        else ()
    )
    return Draft(number([("schedule", "", step(job.job_id, job.name))]), notes=notes)


def _start_update(args: Mapping[str, Any], pipeline: PipelineState) -> StartUpdate:
    full, refresh = tuple(args.get("full_refresh_selection") or ()), tuple(args.get("refresh_selection") or ())
    all_full, validate = bool(args.get("full_refresh")), bool(args.get("validate_only"))
    if all_full and (full or refresh):
        raise Refused("a full refresh of everything takes no selection: choose one of them")
    if validate and (all_full or full or refresh):
        raise Refused("validate only refreshes nothing: it takes neither full refresh nor a selection")
    both = sorted(set(full) & set(refresh))
    if both:
        raise Refused(f"{both[0]} is in both selections: refresh it or refresh it fully")
    return StartUpdate(pipeline.pipeline_id, pipeline.name, all_full, full, refresh, validate)
