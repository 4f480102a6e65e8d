"""Definitions of the bundled jobs and pipelines, as the collector reads them from a workspace that deployed the bundle."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from app.collect.shape import job_definition, pipeline_definition
from app.config.migration import Migration
from app.store.collected.records import PipelineRecord, ScheduleRecord
from databricks_client.answers import Answer
from databricks_client.jobs import Job, Jobs
from databricks_client.links import Links
from databricks_client.pipelines import Pipeline, Pipelines
from databricks_client.rest import Rest
from demo.bundle import Bundle, load

Json = dict[str, Any]
Change = Callable[[Json], None]

_FILE = Path(__file__).parents[2] / "databricks.yml"
_IDS = {
    "pipelines.production": "p-prod",
    "pipelines.development": "p-dev",
    "jobs.old": "1",
    "jobs.new": "2",
    "jobs.development_schedule": "3",
    "apps.cutover.service_principal_client_id": "app",
}
JOBS = {"baseline": "old", "candidate": "new", "development": "development_schedule"}


class _Answers:
    """One definition, as the two read calls of jobs and pipelines answer it."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def get(self, what: str, path: str, query: Any = None) -> Answer:
        return Answer(self._document, what)

    def pages(self, what: str, path: str, query: Any) -> list[Answer]:
        return [self.get(what, path)]


NEW_JOB_FILE = _FILE.parent / "pipeline" / "new_job.yml"
OLD_JOB_FILE = _FILE.parent / "demo" / "old_job.yml"


def bundle() -> Bundle:
    """What production holds: the bundle's resources, the new job, and the old one as the local workspace has it."""
    variables = {"warehouse_id": "w", "deployer": "d@example.com", "old_job_id": "1", "database_instance": "i"}
    return load(_FILE, "prod", also=[NEW_JOB_FILE, OLD_JOB_FILE], ids=_IDS, variables=variables)


def job(side: str, change: Change | None = None) -> Job:
    """A job as the client reads it. change: changes its settings before."""
    settings = copy.deepcopy(bundle().jobs[JOBS[side]].settings)
    if change is not None:
        change(settings)
    rest = cast(Rest, _Answers({"job_id": 1, "settings": settings}))
    return Jobs(rest, Links("https://example.com")).get(1)


def pipeline(environment: str, change: Change | None = None) -> Pipeline:
    """A pipeline as the client reads it. change: changes its specification before."""
    spec = copy.deepcopy(bundle().pipelines[environment].settings)
    if change is not None:
        change(spec)
    rest = cast(Rest, _Answers({"pipeline_id": "p", "name": spec["name"], "state": "IDLE", "spec": spec}))
    return Pipelines(rest, Links("https://example.com")).get("p")


def schedule_record(side: str, as_of: datetime, change: Change | None = None) -> ScheduleRecord:
    found = job(side, change)
    names = {"p-prod": "00_RDS_FDE_Pipeline_PROD", "p-dev": "00_RDS_FDE_Pipeline_DEV"}
    paused = {True: "PAUSED", False: "UNPAUSED", None: None}[found.timing.paused]
    return ScheduleRecord(
        side, 1, found.name, found.timing.kind, found.timing.quartz, found.timing.timezone, paused, "u", as_of,
        job_definition(found, names),
    )  # fmt: skip


def pipeline_record(environment: str, as_of: datetime, change: Change | None = None) -> PipelineRecord:
    found = pipeline(environment, change)
    return PipelineRecord(
        environment, "p", found.name, "IDLE", found.catalog, found.schema, {}, "u", as_of, pipeline_definition(found)
    )


def all_records(migration: Migration, as_of: datetime) -> tuple[dict[str, ScheduleRecord], dict[str, PipelineRecord]]:
    """Every job by its side, every pipeline by its environment."""
    return (
        {side: schedule_record(side, as_of) for side in migration.jobs},
        {p.environment: pipeline_record(p.environment, as_of) for p in migration.pipelines},
    )
