"""The context of all sources: store, workspace, migration, and the ids behind the migration's names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from app.config.migration import JobRef, Migration, PipelineRef
from app.store.base import now
from app.store.collected.repository import CollectedRepository
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError
from databricks_client.jobs import Job
from databricks_client.pipelines import Pipeline

BEGINNING = datetime(2015, 1, 1, tzinfo=UTC)
"""Earlier than the data of any workspace."""

OLDER_PAGES = 10
"""Pages of older history read in one turn: years of history are collected in parts."""

NEWER_PAGES = 30
"""Pages of new data read in one turn. More exist only after a long pause; the next turn continues."""


class Stopping(Exception):
    """The worker ends: a source stops between two calls. The store keeps its results and its cursor."""


class CollectContext:
    """One migration's store and workspace, shared by its sources, which run concurrently."""

    def __init__(
        self,
        store: CollectedRepository,
        workspace: Workspace,
        migration: Migration,
        clock: Callable[[], datetime] = now,
        stop: threading.Event | None = None,
    ) -> None:
        self.store = store
        self.workspace = workspace
        self.migration = migration
        self.clock = clock
        self._stop = stop or threading.Event()
        self._job_ids: dict[str, int] = {}
        self._pipeline_ids: dict[str, str] = {}

    def check(self) -> None:
        """Called between two calls of the workspace. Raises Stopping when the worker ends."""
        if self._stop.is_set():
            raise Stopping

    def job(self, side: str, ref: JobRef) -> Job:
        """The job as it is now: by its id once known, by name again where that id is gone. Raises WorkspaceError."""
        known = self._job_ids.get(side)
        if known is not None:
            try:
                return self.workspace.jobs.get(known)
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        job = self.workspace.jobs.find(ref.name, ref.id)
        self._job_ids[side] = job.job_id
        return job

    def job_id(self, side: str) -> int:
        """The id of a side's job. Raises WorkspaceError; ValueError where the migration file names no such job."""
        known = self._job_ids.get(side)
        if known is not None:
            return known
        refs = {
            "baseline": self.migration.baseline_job,
            "candidate": self.migration.candidate_job,
            "development": self.migration.development_job,
        }
        ref = refs[side]
        if ref is None:
            raise ValueError(f"the migration file names no {side} job")
        return self.job(side, ref).job_id

    def existing_jobs(self) -> dict[str, int]:
        """Side to the id of its job, of those that exist: a migration begins without the new one and ends without the
        old one. Raises WorkspaceError for any other failure."""
        found = {}
        for side in self.migration.jobs:
            try:
                found[side] = self.job_id(side)
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        return found

    def existing_pipelines(self) -> dict[str, PipelineRef]:
        """Ids of the pipelines that exist. Raises WorkspaceError for any other failure."""
        found = {}
        for ref in self.migration.pipelines:
            try:
                found[self.pipeline_id(ref)] = ref
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        return found

    def pipeline(self, ref: PipelineRef) -> Pipeline:
        """The pipeline as it is now, found like a job. Raises WorkspaceError."""
        known = self._pipeline_ids.get(ref.environment)
        if known is not None:
            try:
                return self.workspace.pipelines.get(known)
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        found = self.workspace.pipelines.find(ref.name)
        self._pipeline_ids[ref.environment] = found.pipeline_id
        return found

    def pipeline_id(self, ref: PipelineRef) -> str:
        """The id of a pipeline. Raises WorkspaceError."""
        known = self._pipeline_ids.get(ref.environment)
        return known if known is not None else self.pipeline(ref).pipeline_id


def parsed_time(text: str | None) -> datetime | None:
    """A time from a cursor, which stores it in ISO-8601."""
    return datetime.fromisoformat(text) if text else None
