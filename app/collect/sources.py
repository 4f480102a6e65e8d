"""Each source of news: what it reads from the workspace, from where it last was, and what it puts into the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.collect.flows import told_by
from app.config import JobRef, Migration, PipelineRef
from app.store.base import now
from app.store.collected.records import (
    ColumnRecord,
    ConsumerRecord,
    EventRecord,
    JobRunRecord,
    PipelineRecord,
    ScheduleRecord,
    TableRecord,
    TaskRunRecord,
    UpdateRecord,
    UsageRecord,
)
from app.store.collected.repository import CollectedRepository
from app.workspace.billing import Usage
from app.workspace.client import Workspace
from app.workspace.errors import WorkspaceError
from app.workspace.jobs import Job, JobRun
from app.workspace.pipelines import Event, Pipeline, Update
from app.workspace.tables import TableState

# Pages of older history that one turn takes, so that the first collection of years comes in parts.
OLDER_PAGES = 10
# Pages that one turn takes forwards: more only after a long absence, and then the next turn goes on.
NEWER_PAGES = 30
# Events may arrive a little out of order, so this much before the newest one is read again.
EVENT_OVERLAP = timedelta(minutes=2)
# Errors of failed tasks are read one by one; a turn reads so many at most.
TASK_ERRORS = 25
# Billing is filled late and corrected: so much before the newest record is read again each time.
BILLING_OVERLAP = timedelta(hours=48)
# Billing goes back this far at the first reading, and takes this much of it in one turn.
BILLING_HISTORY = timedelta(days=180)
BILLING_CHUNK = timedelta(days=30)
# The platform keeps lineage for a year; consumers seen within this time count.
CONSUMERS_SINCE = timedelta(days=30)
# Rows of a table are counted again when something wrote it, and otherwise after this time.
ROWS_AGE = timedelta(minutes=15)

BEGINNING = datetime(2015, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Source:
    """One source. interval: seconds between turns. read: takes a turn; gives what history is still to come, or None.

    quick: a refresh asked for by a person waits for it.
    """

    name: str
    interval: float
    read: Callable[[], str | None]
    quick: bool = True


class Stopping(Exception):
    """The worker ends; a source stops between two calls. What it has put into the store stays, and it goes on there."""


class Sources:
    """The sources of one migration. Each turn raises WorkspaceError or StoreError where it fails."""

    def __init__(
        self,
        collected: CollectedRepository,
        workspace: Workspace,
        migration: Migration,
        clock: Callable[[], datetime] = now,
        stop: threading.Event | None = None,
    ) -> None:
        self._store = collected
        self._workspace = workspace
        self._migration = migration
        self._clock = clock
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._job_ids: dict[str, int] = {}
        self._pipeline_ids: dict[str, str] = {}

    def all(self) -> list[Source]:
        """Every source, those first whose news others need."""
        sources = [Source("schedules", 30, self.schedules), Source("pipelines", 30, self.pipelines)]
        sides = ["baseline", "candidate"] + (["development"] if self._migration.development_job else [])
        for side in sides:
            sources.append(Source(f"runs:{side}", 15, lambda side=side: self.runs(side)))  # type: ignore[misc]
        for ref in self._migration.pipelines:
            sources.append(Source(f"updates:{ref.environment}", 15, lambda ref=ref: self.updates(ref)))  # type: ignore[misc]
            sources.append(Source(f"events:{ref.environment}", 15, lambda ref=ref: self.events(ref)))  # type: ignore[misc]
        sources += [
            Source("tables", 60, self.tables),
            Source("links", 120, self.links, quick=False),
            Source("billing", 300, self.billing, quick=False),
            Source("lineage", 900, self.lineage, quick=False),
        ]
        return sources

    # --------------------------------------------------------------------------------------------------- definitions

    def schedules(self) -> str | None:
        """What starts the jobs of both sides, and of the development pipeline, by itself."""
        refs: list[tuple[str, JobRef | None]] = [
            ("baseline", self._migration.baseline_job),
            ("candidate", self._migration.candidate_job),
            ("development", self._migration.development_job),
        ]
        records, failed = [], []
        for side, ref in refs:
            if ref is None:
                continue
            try:
                job = self._job(side, ref)
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
                    as_of=self._clock(),
                )
            )
        self._store.put_schedules(records)
        if failed:
            raise failed[0]
        return None

    def pipelines(self) -> str | None:
        """The definitions and states of the pipelines."""
        records, failed = [], []
        for ref in self._migration.pipelines:
            try:
                found = self._pipeline(ref)
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
                    as_of=self._clock(),
                )
            )
        self._store.put_pipelines(records)
        if failed:
            raise failed[0]
        return None

    def _job(self, side: str, ref: JobRef) -> Job:
        """The job as it is now: by its id once that is known, by name again where it is gone."""
        known = self._job_ids.get(side)
        if known is not None:
            try:
                return self._workspace.jobs.get(known)
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        job = self._workspace.jobs.find(ref.name, ref.id)
        self._job_ids[side] = job.job_id
        return job

    def _job_id(self, side: str) -> int:
        known = self._job_ids.get(side)
        if known is not None:
            return known
        refs = {
            "baseline": self._migration.baseline_job,
            "candidate": self._migration.candidate_job,
            "development": self._migration.development_job,
        }
        ref = refs[side]
        if ref is None:
            raise ValueError(f"the migration file names no {side} job")
        return self._job(side, ref).job_id

    def _pipeline(self, ref: PipelineRef) -> Pipeline:
        known = self._pipeline_ids.get(ref.environment)
        if known is not None:
            try:
                return self._workspace.pipelines.get(known)
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        found = self._workspace.pipelines.find(ref.name)
        self._pipeline_ids[ref.environment] = found.pipeline_id
        return found

    def _pipeline_id(self, ref: PipelineRef) -> str:
        known = self._pipeline_ids.get(ref.environment)
        return known if known is not None else self._pipeline(ref).pipeline_id

    # ---------------------------------------------------------------------------------------------------------- runs

    def runs(self, side: str) -> str | None:
        """Job runs with their tasks: what is new or was still running, then a part of what is older."""
        source, job_id = f"runs:{side}", self._job_id(side)
        cursor = self._store.cursor(source)
        if cursor.get("job_id") != job_id:
            cursor = {"job_id": job_id}
        newest = _moment(cursor.get("newest"))
        first = newest is None
        token: str | None = None
        open_since: datetime | None = None
        seen: list[JobRun] = []
        for _ in range(OLDER_PAGES if first else NEWER_PAGES):
            self._check()
            start_from = None if first else _moment(cursor.get("open_since")) or newest
            page = self._workspace.jobs.runs_page(job_id, start_from=start_from, page_token=token)
            self._put_runs(side, page.runs)
            seen += page.runs
            token = page.next_page_token
            if token is None:
                break
        if seen:
            newest = max([r.start for r in seen] + ([newest] if newest else []))
            active = [r.start for r in seen if r.active]
            open_since = min(active) if active else None
            cursor["newest"] = newest.isoformat()
        if not first and token is not None:
            # So much happened that the turn did not reach what is known: what lies between is older history now.
            cursor["oldest"], cursor["complete"] = min(r.start for r in seen).isoformat(), False
        cursor["open_since"] = open_since.isoformat() if open_since else None
        if first and seen:
            cursor["oldest"], cursor["complete"] = min(r.start for r in seen).isoformat(), token is None
        elif first:
            # No run yet: everything from now on is new.
            cursor["newest"], cursor["complete"] = BEGINNING.isoformat(), True
        elif not cursor.get("complete", True):
            self._older_runs(side, job_id, cursor)
        self._store.set_cursor(source, cursor)
        return None if cursor.get("complete", True) else f"runs before {cursor['oldest'][:10]} are still to come"

    def _older_runs(self, side: str, job_id: int, cursor: dict[str, Any]) -> None:
        token: str | None = None
        oldest = _moment(cursor["oldest"]) or BEGINNING
        for _ in range(OLDER_PAGES):
            self._check()
            page = self._workspace.jobs.runs_page(job_id, start_to=_moment(cursor["oldest"]), page_token=token)
            self._put_runs(side, page.runs)
            oldest = min([oldest, *(r.start for r in page.runs)])
            token = page.next_page_token
            if token is None:
                cursor["complete"] = True
                break
        cursor["oldest"] = oldest.isoformat()

    def _put_runs(self, side: str, runs: Iterable[JobRun]) -> None:
        records, tasks = [], []
        errors_left = TASK_ERRORS
        for run in runs:
            records.append(_run_record(side, run))
            known = None
            for task in run.tasks:
                error = task.error
                if task.state in ("FAILED", "TIMEDOUT") and not run.generated and errors_left:
                    if known is None:
                        known = {t.task_key: t for t in self._store.tasks([run.run_id])[run.run_id]}
                    before = known.get(task.task_key)
                    if before is not None and before.task_run_id == task.task_run_id and before.error:
                        error = before.error
                    else:
                        errors_left -= 1
                        error = self._task_error(task.task_run_id) or error
                tasks.append(
                    TaskRunRecord(
                        run_id=run.run_id,
                        task_key=task.task_key,
                        task_run_id=task.task_run_id,
                        state=task.state,
                        start=task.start,
                        end=task.end,
                        seconds=task.seconds,
                        error=error,
                        pipeline_id=task.pipeline_id,
                        url=task.url,
                    )
                )
        self._store.put_runs(records, tasks)

    def _task_error(self, task_run_id: int) -> str | None:
        try:
            return self._workspace.jobs.task_error(task_run_id)
        except WorkspaceError as e:
            if e.retryable:
                raise
            return None  # Some kinds of task have no output; the state's message stands then.

    # ------------------------------------------------------------------------------------------------------- updates

    def updates(self, ref: PipelineRef) -> str | None:
        """Pipeline updates: what is new or was still running, then a part of what is older."""
        source, pipeline_id = f"updates:{ref.environment}", self._pipeline_id(ref)
        cursor = self._store.cursor(source)
        if cursor.get("pipeline_id") != pipeline_id:
            cursor = {"pipeline_id": pipeline_id}
        until = _moment(cursor.get("open_since")) or _moment(cursor.get("newest"))
        first, token = until is None, None
        seen: list[Update] = []
        for _ in range(OLDER_PAGES if first else NEWER_PAGES):
            self._check()
            page = self._workspace.pipelines.updates_page(pipeline_id, page_token=token)
            self._store.put_updates([_update_record(ref, u) for u in page.updates])
            seen += page.updates
            token = page.next_page_token
            if token is None or (until is not None and page.updates and page.updates[-1].created < until):
                break
        reached = token is None or (until is not None and seen and seen[-1].created < until)
        if seen:
            active = [u.created for u in seen if u.active]
            cursor["newest"] = max(u.created for u in seen).isoformat()
            cursor["open_since"] = min(active).isoformat() if active else None
        if not reached:
            # The list can be walked only from its newest end, page by page: the rest goes on from this page.
            cursor["older"] = token
        elif cursor.get("older"):
            cursor["older"] = self._older_updates(ref, pipeline_id, cursor["older"])
        self._link_by_time(BEGINNING)
        self._store.set_cursor(source, cursor)
        return "older updates are still to come" if cursor.get("older") else None

    def _older_updates(self, ref: PipelineRef, pipeline_id: str, token: str | None) -> str | None:
        for _ in range(OLDER_PAGES):
            if token is None:
                break
            self._check()
            try:
                page = self._workspace.pipelines.updates_page(pipeline_id, page_token=token)
            except WorkspaceError as e:
                if e.status == 400:  # The token is too old: begin again from the newest end, in larger steps.
                    page = self._workspace.pipelines.updates_page(pipeline_id)
                else:
                    raise
            self._store.put_updates([_update_record(ref, u) for u in page.updates])
            token = page.next_page_token
        return token

    def _link_by_time(self, since: datetime) -> None:
        self._store.put_update_runs(dict(self._store.updates_without_run(since)))

    def links(self) -> str | None:
        """Which job run started which update, as the platform's timeline of updates has it."""
        source = "links"
        self._link_by_time(BEGINNING)
        cursor = self._store.cursor(source)
        began = self._clock()
        since = _moment(cursor.get("since")) or BEGINNING
        ids = [self._pipeline_id(ref) for ref in self._migration.pipelines]
        task_runs = self._workspace.lineage.update_task_runs(ids, since)
        runs = self._store.run_of_task(set(task_runs.values()))
        self._store.put_update_runs({u: runs[t] for u, t in task_runs.items() if t in runs})
        self._store.set_cursor(source, {"since": (began - timedelta(days=2)).isoformat()})
        return None

    # -------------------------------------------------------------------------------------------------------- events

    def events(self, ref: PipelineRef) -> str | None:
        """The event log, and from it rows, seconds and expectations of each dataset, and when updates ended."""
        source, pipeline_id = f"events:{ref.environment}", self._pipeline_id(ref)
        cursor = self._store.cursor(source)
        if cursor.get("pipeline_id") != pipeline_id:
            cursor = {"pipeline_id": pipeline_id}
        newest = _moment(cursor.get("newest"))
        ahead = False
        if newest is None:
            found, token = self._take_events(pipeline_id, OLDER_PAGES, newest_first=True)
            if found:
                cursor["newest"] = max(e.timestamp for e in found).isoformat()
                cursor["oldest"] = min(e.timestamp for e in found).isoformat()
                cursor["complete"] = token is None
        else:
            found, token = self._take_events(pipeline_id, NEWER_PAGES, newest_first=False, after=newest - EVENT_OVERLAP)
            if found:
                cursor["newest"] = max(newest, *(e.timestamp for e in found)).isoformat()
            ahead = token is not None
            if not cursor.get("complete", True):
                # The last moment is read again: more events than those read may bear it.
                before = (_moment(cursor["oldest"]) or BEGINNING) + timedelta(milliseconds=1)
                older, token = self._take_events(pipeline_id, OLDER_PAGES, newest_first=True, before=before)
                if older:
                    cursor["oldest"] = min(e.timestamp for e in older).isoformat()
                cursor["complete"] = token is None
        self._store.set_cursor(source, cursor)
        if ahead:
            return f"events after {cursor['newest'][:16]} are still to come"
        return None if cursor.get("complete", True) else f"events before {cursor['oldest'][:10]} are still to come"

    def _take_events(
        self,
        pipeline_id: str,
        pages: int,
        *,
        newest_first: bool,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> tuple[list[Event], str | None]:
        found: list[Event] = []
        token: str | None = None
        for _ in range(pages):
            self._check()
            page = self._workspace.pipelines.events_page(
                pipeline_id, after=after, before=before, newest_first=newest_first, page_token=token
            )
            known = self._store.known_events(pipeline_id, [e.event_id for e in page.events])
            news = [e for e in page.events if e.event_id not in known]
            self._store.put_events([_event_record(e) for e in news])
            self._put_told({e.update_id for e in news if e.update_id})
            found += page.events
            token = page.next_page_token
            if token is None:
                break
        return found, token

    def _put_told(self, update_ids: Iterable[str]) -> None:
        ends: dict[str, datetime] = {}
        generated: list[str] = []
        for update_id in update_ids:
            events = self._store.events(
                update_id=update_id, event_types=("flow_progress", "update_progress"), limit=100_000
            )
            told = told_by(update_id, events)
            self._store.put_flows(told.flows, told.expectations)
            if told.ended_at is not None:
                ends[update_id] = told.ended_at
            if told.generated:
                generated.append(update_id)
        self._store.put_update_ends(ends)
        self._store.mark_generated(generated)

    # ------------------------------------------------------------------------------------------------------- billing

    def billing(self) -> str | None:
        """Billing records with their list prices: the last hours again each time, older ones in parts."""
        source = "billing"
        cursor = self._store.cursor(source)
        began = self._clock()
        jobs = self._known_jobs()
        pipelines = {self._pipeline_id(ref): ref.environment for ref in self._migration.pipelines}
        until = _moment(cursor.get("until"))
        start = began - BILLING_CHUNK if until is None else until - BILLING_OVERLAP
        self._check()
        usage = self._workspace.billing.usage(list(jobs.values()), list(pipelines), start, began)
        self._store.put_usage([_usage_record(u, jobs, pipelines) for u in usage])
        cursor["until"] = began.isoformat()
        oldest = _moment(cursor.get("oldest")) or start
        limit = _moment(cursor.get("limit")) or began - BILLING_HISTORY
        if until is not None and oldest > limit:
            self._check()
            older = oldest - BILLING_CHUNK
            usage = self._workspace.billing.usage(list(jobs.values()), list(pipelines), older, oldest)
            self._store.put_usage([_usage_record(u, jobs, pipelines) for u in usage])
            oldest = older
        cursor["oldest"], cursor["limit"] = oldest.isoformat(), limit.isoformat()
        self._store.set_cursor(source, cursor)
        return f"billing before {oldest.date()} is still to come" if oldest > limit else None

    def _known_jobs(self) -> dict[str, int]:
        """side -> job id; the development job only where there is one."""
        jobs = {side: self._job_id(side) for side in ("baseline", "candidate")}
        if self._migration.development_job is not None:
            try:
                jobs["development"] = self._job_id("development")
            except WorkspaceError as e:
                if not e.not_found:
                    raise
        return jobs

    # -------------------------------------------------------------------------------------------------------- tables

    def tables(self) -> str | None:
        """State and grants of every table on all sides, and its rows where something may have written it."""
        before = self._store.tables()
        marks = self._write_marks()
        failed: list[WorkspaceError] = []
        for table in self._migration.tables:
            names = [("baseline", table.baseline), ("candidate", table.candidate), ("kept", table.kept)]
            if table.development is not None:
                names.append(("development", table.development))
            for side, name in names:
                self._check()
                try:
                    state = self._workspace.tables.state(name)
                    grants = self._workspace.tables.grants(name) if state.exists else frozenset()
                except WorkspaceError as e:
                    if e.retryable:
                        raise
                    failed.append(e)
                    continue
                pairs = tuple(sorted((g.principal, g.privilege) for g in grants))
                record = self._table_record(table.name, side, state, pairs)
                known = before.get(name)
                same = known is not None and known.exists and _same_thing(known, record)
                if same and known is not None:
                    record = replace(
                        record,
                        rows=known.rows,
                        version=known.version,
                        updated_at=known.updated_at,
                        rows_as_of=known.rows_as_of,
                    )
                self._store.put_tables([record])
                if record.exists and self._worth_counting(record, marks):
                    try:
                        self._store.put_tables([self._counted(record, marks)])
                    except WorkspaceError as e:
                        if e.retryable:
                            raise
                        failed.append(e)
        if failed:
            raise failed[0]
        return None

    def _table_record(
        self, table: str, side: str, state: TableState, grants: tuple[tuple[str, str], ...]
    ) -> TableRecord:
        hangers: dict[str, Any] = {}
        if state.row_filter:
            hangers["row_filter"] = state.row_filter
        masks = {c.name: c.mask for c in state.columns if c.mask}
        if masks:
            hangers["masks"] = masks
        if state.constraints:
            hangers["constraints"] = list(state.constraints)
        if state.comment:
            hangers["comment"] = state.comment
        if state.properties:
            hangers["properties"] = dict(state.properties)
        return TableRecord(
            name=state.name,
            table=table,
            side=side,
            exists=state.exists,
            table_type=state.table_type,
            owner=state.owner,
            pipeline_id=state.pipeline_id,
            view_definition=state.view_definition,
            serves=state.serves,
            columns=tuple(ColumnRecord(c.name, c.type, c.nullable, c.comment, c.mask) for c in state.columns),
            grants=grants,
            hangers=hangers,
            rows=None,
            version=None,
            updated_at=None,
            rows_as_of=None,
            as_of=self._clock(),
            url=self._workspace.links.table(state.name),
        )

    def _write_marks(self) -> dict[str, datetime]:
        """side -> when a run or update last ended that may have written its tables."""
        marks: dict[str, datetime] = {}
        for run in self._store.runs("baseline", limit=20):
            if run.end_time is not None:
                marks["baseline"] = max(marks.get("baseline", BEGINNING), run.end_time)
        for environment, side in (("production", "candidate"), ("development", "development")):
            for update in self._store.updates(environment, states=("COMPLETED",), limit=5):
                if update.end_time is not None and not update.validate_only:
                    marks[side] = max(marks.get(side, BEGINNING), update.end_time)
        marks["kept"] = marks.get("baseline", BEGINNING)
        return marks

    def _worth_counting(self, record: TableRecord, marks: Mapping[str, datetime]) -> bool:
        if record.table_type == "VIEW" and record.serves is not None:
            return False  # Its rows are those of the table that it serves, which is counted itself.
        if record.rows_as_of is None:
            return True
        written = marks.get(record.side, BEGINNING)
        return record.rows_as_of <= written or self._clock() - record.rows_as_of > ROWS_AGE

    def _counted(self, record: TableRecord, marks: Mapping[str, datetime]) -> TableRecord:
        began = self._clock()
        tables = self._workspace.tables
        version, updated_at = None, marks.get(record.side)
        if record.table_type in ("MANAGED", "EXTERNAL", "STREAMING_TABLE"):
            head = tables.history_head(record.name)
            version, updated_at = head.version, head.timestamp
            if version == record.version and record.rows is not None:
                return replace(record, rows_as_of=began)
        return replace(record, rows=tables.count(record.name), version=version, updated_at=updated_at, rows_as_of=began)

    # ------------------------------------------------------------------------------------------------------- lineage

    def lineage(self) -> str | None:
        """Who read the tables lately."""
        names = [n for t in self._migration.tables for n in (t.baseline, t.candidate, t.kept)]
        found = self._workspace.lineage.consumers(names, self._clock() - CONSUMERS_SINCE)
        jobs = {
            str(self._job_id("baseline")): self._migration.baseline_job.name,
            str(self._job_id("candidate")): self._migration.candidate_job.name,
        }
        pipelines = {self._pipeline_id(ref): ref.name for ref in self._migration.pipelines}
        known = {**jobs, **pipelines}
        self._store.put_consumers(
            [
                ConsumerRecord(
                    table=c.table,
                    kind=c.kind,
                    consumer_id=c.consumer_id,
                    name=c.name or known.get(c.consumer_id),
                    user=c.user,
                    last_seen=c.last_seen,
                    reads=c.reads,
                )
                for c in found
            ]
        )
        return None

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopping


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _same_thing(known: TableRecord, record: TableRecord) -> bool:
    """It is still the same table or view, so what was counted still describes it (a rename brings another one)."""
    return (
        record.exists
        and known.table_type == record.table_type
        and known.serves == record.serves
        and known.pipeline_id == record.pipeline_id
        and [c.name for c in known.columns] == [c.name for c in record.columns]
    )


def _run_record(side: str, run: JobRun) -> JobRunRecord:
    return JobRunRecord(
        side=side,
        job_id=run.job_id,
        run_id=run.run_id,
        number=run.number,
        trigger=run.trigger,
        life_cycle_state=run.life_cycle_state,
        result_state=run.result_state,
        state_message=run.state_message,
        start_time=run.start,
        end_time=run.end,
        run_seconds=run.run_seconds,
        queue_seconds=run.queue_seconds,
        run_page_url=run.url,
        generated=run.generated,
    )


def _update_record(ref: PipelineRef, update: Update) -> UpdateRecord:
    return UpdateRecord(
        pipeline_id=update.pipeline_id,
        pipeline_name=ref.name,
        environment=ref.environment,
        update_id=update.update_id,
        state=update.state,
        cause=update.cause,
        full_refresh=update.full_refresh,
        validate_only=update.validate_only,
        refresh_selection=update.refresh_selection,
        start_time=update.created,
        end_time=None,
        seconds=None,
        job_run_id=None,
        url=update.url,
        generated=update.generated,
        full_refresh_selection=update.full_refresh_selection,
    )


def _event_record(event: Event) -> EventRecord:
    return EventRecord(
        pipeline_id=event.pipeline_id,
        event_id=event.event_id,
        update_id=event.update_id,
        timestamp=event.timestamp,
        level=event.level,
        event_type=event.event_type,
        message=event.message,
        dataset=event.dataset,
        details=event.details,
        error=event.error,
    )


def _usage_record(usage: Usage, jobs: Mapping[str, int], pipelines: Mapping[str, str]) -> UsageRecord:
    if usage.pipeline_id is not None and usage.pipeline_id in pipelines:
        side = "candidate" if pipelines[usage.pipeline_id] == "production" else "development"
    else:
        side = next((s for s, job_id in jobs.items() if job_id == usage.job_id), "candidate")
    price = usage.list_price_usd
    return UsageRecord(
        record_id=usage.record_id,
        record_type=usage.record_type,
        side=side,
        job_id=usage.job_id,
        job_run_id=usage.job_run_id,
        pipeline_id=usage.pipeline_id,
        update_id=usage.update_id,
        sku=usage.sku,
        dbu=usage.dbu,
        list_price_usd=price,
        usd=None if price is None else usage.dbu * price,
        start=usage.start,
        end=usage.end,
        product=usage.product,
        serverless=usage.serverless,
        photon=usage.photon,
        generated=usage.generated,
    )
