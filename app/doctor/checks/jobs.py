"""The migration's jobs and pipelines: whether each exists, and is the one that the migration file means."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from app.doctor.model import Finding, ok, unknown, warning
from app.doctor.model import missing as absent
from app.doctor.setup import Setup
from databricks_client.errors import WorkspaceError
from databricks_client.jobs import Job

WORDS = {"baseline": "old job", "candidate": "new job", "development": "job of the development pipeline"}


def find_jobs(setup: Setup) -> Iterator[Finding]:
    """One finding a job. A missing new job is a warning: a migration begins without it; only its cutover needs it."""
    for side, ref in setup.migration.jobs.items():
        subject = f"{WORDS[side]} {ref.name}"
        try:
            job = setup.job(side)
        except WorkspaceError as e:
            yield _no_job(setup, side, subject, e)
            continue
        if job.name != ref.name:
            yield warning(
                subject, f"job {job.job_id} is named {job.name!r}, the migration file says {ref.name!r}",
                f"{setup.settings.migration_path}: {side}_job: name: {job.name!r}",
            )  # fmt: skip
            continue
        yield ok(subject, f"job {job.job_id}, {_timing(job)}, {len(job.tasks)} task(s)")


def _timing(job: Job) -> str:
    if job.timing.paused is None:
        return "nothing starts it by itself"
    return f"{job.timing.kind} {'paused' if job.timing.paused else 'not paused'}"


def _no_job(setup: Setup, side: str, subject: str, error: WorkspaceError) -> Finding:
    ref = setup.migration.jobs[side]
    listed = f"databricks jobs list --name {shlex.quote(ref.name)}"
    if side == "baseline":
        deploy = f"databricks bundle deploy -t prod --var old_job_id=ID   # ID of `{listed}`"
        here = f"export CUTOVER_BASELINE_JOB_ID=ID   # ID of `{listed}`"
        fix = deploy if setup.settings.in_databricks_apps else here
    elif side == "candidate":
        fix = "python -m scripts.new_job"
    else:
        fix = "databricks bundle deploy"
    if error.not_found or error.status == 400:
        where = f"no job has the id {ref.id}" if ref.id is not None else "no job of this name can be seen"
        return absent(subject, f"{where} ({error.cause})", fix, required=side == "baseline")
    if error.denied:
        return absent(
            subject, f"{setup.principal()} may not see it",
            f"its owner gives {setup.principal()} CAN_MANAGE on it: the permissions of the job in the workspace",
            required=side != "development",
        )  # fmt: skip
    if error.status is None and not error.retryable:
        # Several jobs of one name.
        return absent(subject, error.cause, fix if side == "baseline" else f"{side}_job: id: ID   # ID of `{listed}`")
    return unknown(subject, str(error), required=side != "development")


def find_pipelines(setup: Setup) -> Iterator[Finding]:
    """One finding a pipeline, and whether it publishes where the migration file looks."""
    for ref in setup.migration.pipelines:
        subject = f"{ref.environment} pipeline {ref.name}"
        required = ref.environment == "production"
        try:
            found = setup.pipeline(ref.environment)
        except WorkspaceError as e:
            target = " -t prod" if required else ""
            if e.not_found:
                yield absent(subject, e.cause, f"databricks bundle deploy{target}", required)
            elif e.denied:
                fix = f"its owner gives {setup.principal()} CAN_MANAGE on it: the permissions of the pipeline"
                yield absent(subject, f"{setup.principal()} may not see it", fix, required)
            elif e.status is None and not e.retryable:
                yield absent(subject, e.cause, "databricks pipelines list-pipelines, then rename all but one", required)
            else:
                yield unknown(subject, str(e), required=required)
            continue
        yield ok(subject, f"pipeline {found.pipeline_id}, {found.state or 'in no known state'}")
        names = [t.candidate if required else t.development for t in setup.migration.tables]
        wanted = {n.rsplit(".", 1)[0] for n in names if n}
        here = f"{found.catalog}.{found.schema}"
        if found.catalog and found.schema and wanted and here not in wanted:
            yield warning(
                subject, f"it publishes into {here}, the migration file's tables are in {', '.join(sorted(wanted))}",
                f"{setup.settings.migration_path}: tables: names in {here}, or the pipeline's catalog and schema",
            )  # fmt: skip
