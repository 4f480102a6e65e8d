"""What starts the jobs, and the definitions of the pipelines."""

from __future__ import annotations

from app.collect.context import CollectContext
from app.config.migration import JobRef
from app.store.collected.records import PipelineRecord, ScheduleRecord
from databricks_client.errors import WorkspaceError


def read_schedules(ctx: CollectContext) -> str | None:
    """What starts the jobs of both sides, and of the development pipeline, by itself."""
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
            # One job that is not there (yet) must not hide the others.
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
        records.append(
            PipelineRecord(
                environment=ref.environment,
                pipeline_id=found.pipeline_id,
                name=found.name,
                state=found.state,
                catalog=found.catalog,
                schema=found.schema,
                configuration=found.configuration,
                url=found.url,
                as_of=ctx.clock(),
            )
        )
    ctx.store.put_pipelines(records)
    if failed:
        raise failed[0]
    return None
