"""Definitions of the jobs with their schedules, and of the pipelines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from app.collect.context import CollectContext
from app.collect.mapping import record_of
from app.collect.shape import job_definition, pipeline_definition
from app.config.migration import JobRef
from app.store.collected.records import PipelineRecord, ScheduleRecord
from databricks_client.errors import WorkspaceError


def read_schedules(ctx: CollectContext) -> str | None:
    """Definitions and schedules of the jobs of both sides and of the development pipeline."""
    refs: list[tuple[str, JobRef | None]] = [
        ("baseline", ctx.migration.baseline_job),
        ("candidate", ctx.migration.candidate_job),
        ("development", ctx.migration.development_job),
    ]
    records, failed = [], []
    pipelines = _known_pipelines(ctx)
    for side, ref in refs:
        if ref is None:
            continue
        # Before the call: what changes during it is not known to be read.
        as_of = ctx.clock()
        try:
            job = ctx.job(side, ref)
        except WorkspaceError as e:
            # A job that does not exist (yet) must not hide the others.
            if side != "development" or not e.not_found:
                failed.append(e)
            continue
        definition, problem = _defined(partial(job_definition, job, pipelines))
        failed += problem
        paused = job.timing.paused
        records.append(
            ScheduleRecord(
                side=side,
                job_id=job.job_id,
                name=job.name,
                kind=job.timing.kind,
                quartz=job.timing.quartz,
                timezone=job.timing.timezone,
                pause_status=None if paused is None else ("PAUSED" if paused else "UNPAUSED"),
                url=job.url,
                as_of=as_of,
                definition=definition,
            )
        )
    ctx.store.put_schedules(records)
    if failed:
        raise failed[0]
    return None


def read_pipelines(ctx: CollectContext) -> str | None:
    """The definitions and states of the pipelines."""
    records, failed = [], []
    for ref in ctx.migration.pipelines:
        try:
            found = ctx.pipeline(ref)
        except WorkspaceError as e:
            failed.append(e)
            continue
        definition, problem = _defined(partial(pipeline_definition, found))
        failed += problem
        own = {"environment": ref.environment, "as_of": ctx.clock(), "definition": definition}
        # The value of a secret in the configuration never reaches the store.
        own["configuration"] = definition.get("configuration", {})
        records.append(record_of(PipelineRecord, found, **own))
    ctx.store.put_pipelines(records)
    if failed:
        raise failed[0]
    return None


def _defined(read: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], list[WorkspaceError]]:
    """A definition; empty with the error where the service's is not as documented, which must hide nothing else."""
    try:
        return read(), []
    except WorkspaceError as e:
        return {}, [e]


def _known_pipelines(ctx: CollectContext) -> dict[str, str]:
    """Id to name of the migration's pipelines that can be seen."""
    found = {}
    for ref in ctx.migration.pipelines:
        try:
            found[ctx.pipeline_id(ref)] = ref.name
        except WorkspaceError:
            continue  # Its own source says so.
    return found
