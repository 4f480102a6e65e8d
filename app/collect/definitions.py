"""Schedules of the jobs, and definitions of the pipelines."""

from __future__ import annotations

from app.collect.context import CollectContext
from app.collect.mapping import record_of
from app.config.migration import JobRef
from app.store.collected.records import PipelineRecord, ScheduleRecord
from databricks_client.errors import WorkspaceError


def read_schedules(ctx: CollectContext) -> str | None:
    """Schedules of the jobs of both sides and of the development pipeline."""
    refs: list[tuple[str, JobRef | None]] = [
        ("baseline", ctx.migration.baseline_job),
        ("candidate", ctx.migration.candidate_job),
        ("development", ctx.migration.development_job),
    ]
    records, failed = [], []
    for side, ref in refs:
        if ref is None:
            continue
        try:
            job = ctx.job(side, ref)
        except WorkspaceError as e:
            # A job that does not exist (yet) must not hide the others.
            if side != "development" or not e.not_found:
                failed.append(e)
            continue
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
                as_of=ctx.clock(),
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
        records.append(record_of(PipelineRecord, found, environment=ref.environment, as_of=ctx.clock()))
    ctx.store.put_pipelines(records)
    if failed:
        raise failed[0]
    return None
