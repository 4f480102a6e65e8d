"""What the worker collected from the workspace: runs, updates, events, cost, tables, schedules, and how old each is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    case,
    func,
    or_,
    select,
)
from sqlalchemy import insert as plain_insert
from sqlalchemy import update as plain_update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from app.store.base import Json, StoreError, UtcDateTime, metadata, now

R = TypeVar("R")

SideName = Literal["baseline", "candidate", "development"]

# The billing table is filled late: what ended less than this many hours before the last reading is "not final".
BILLING_SETTLES_HOURS = 24.0


@dataclass(frozen=True)
class JobRunRecord:
    """One run of a job. side: baseline, candidate, or development (the job that runs the development pipeline).

    Durations in seconds; times in UTC.

    run_seconds: whole run as the platform measures it; None while it runs. generated: history made up before the first
    start of a local workspace, never measured.
    """

    side: str
    job_id: int
    run_id: int
    number: int | None
    trigger: str | None
    life_cycle_state: str
    result_state: str | None
    state_message: str
    start_time: datetime
    end_time: datetime | None
    run_seconds: float | None
    queue_seconds: float | None
    run_page_url: str
    generated: bool = False

    @property
    def active(self) -> bool:
        """It had not ended when it was last read."""
        return self.life_cycle_state not in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")

    @property
    def state(self) -> str:
        """The result where there is one, else the life cycle state."""
        return self.result_state or self.life_cycle_state


@dataclass(frozen=True)
class TaskRunRecord:
    """One task (its newest attempt) of a job run. error: the platform's message where it failed."""

    run_id: int
    task_key: str
    task_run_id: int
    state: str
    start: datetime | None
    end: datetime | None
    seconds: float | None
    error: str | None
    pipeline_id: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class UpdateRecord:
    """One pipeline update. environment: `development` or `production`. seconds: from its request to its end.

    end_time comes from the event log (the service's update has none). job_run_id: the job run whose task started it.
    """

    pipeline_id: str
    pipeline_name: str
    environment: str
    update_id: str
    state: str
    cause: str | None
    full_refresh: bool
    validate_only: bool
    refresh_selection: tuple[str, ...]
    start_time: datetime
    end_time: datetime | None
    seconds: float | None
    job_run_id: int | None
    url: str
    generated: bool = False
    full_refresh_selection: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """It had not ended when it was last read."""
        return self.state not in ("COMPLETED", "FAILED", "CANCELED")


@dataclass(frozen=True)
class EventRecord:
    """One entry of a pipeline's event log."""

    pipeline_id: str
    event_id: str
    update_id: str | None
    timestamp: datetime
    level: str
    event_type: str
    message: str
    dataset: str | None
    details: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FlowRecord:
    """One dataset in one update, from `flow_progress` events. rows written; seconds from its start to its end."""

    update_id: str
    dataset: str
    status: str
    rows: int | None
    seconds: float | None
    start: datetime | None
    end: datetime | None
    dropped: int | None = None


@dataclass(frozen=True)
class ExpectationRecord:
    """Rows that passed and failed one expectation in one update. action: warn, drop, fail; None: events do not say."""

    update_id: str
    dataset: str
    name: str
    action: str | None
    passed: int
    failed: int
    timestamp: datetime


@dataclass(frozen=True)
class UsageRecord:
    """One billing record. usd = dbu times the list price at its start; None where no price holds.

    Discounts are not in it, nor, for classic compute, the cloud's own bill for machines.
    """

    record_id: str
    record_type: str
    side: str
    job_id: int | None
    job_run_id: int | None
    pipeline_id: str | None
    update_id: str | None
    sku: str
    dbu: float
    list_price_usd: float | None
    usd: float | None
    start: datetime
    end: datetime
    product: str | None
    serverless: bool | None = None
    photon: bool | None = None
    generated: bool = False


@dataclass(frozen=True)
class RunCost:
    """Cost of one run of a side: its job's records plus those of the updates that its tasks started, once each.

    records: how many; with none, dbu 0 says nothing. usd is None with no record, or where one has no price.
    final: billing has had BILLING_SETTLES_HOURS since the run ended.
    """

    side: str
    run_id: int
    start: datetime
    end: datetime | None
    dbu: float
    usd: float | None
    records: int
    final: bool
    generated: bool


@dataclass(frozen=True)
class ColumnRecord:
    """A column as the catalog has it."""

    name: str
    type: str
    nullable: bool
    comment: str | None = None
    mask: str | None = None


@dataclass(frozen=True)
class TableRecord:
    """A table, view or materialized view as it was at `as_of`. side: baseline, candidate, development or kept.

    serves: the table that a plain view over it serves. rows and version are as of rows_as_of and may be older.
    """

    name: str
    table: str
    side: str
    exists: bool
    table_type: str | None
    owner: str | None
    pipeline_id: str | None
    view_definition: str | None
    serves: str | None
    columns: tuple[ColumnRecord, ...]
    grants: tuple[tuple[str, str], ...]
    hangers: Mapping[str, Any]
    rows: int | None
    version: int | None
    updated_at: datetime | None
    rows_as_of: datetime | None
    as_of: datetime
    url: str | None = None


@dataclass(frozen=True)
class ScheduleRecord:
    """What starts a job by itself. pause_status: PAUSED, UNPAUSED, or None where nothing starts it."""

    side: str
    job_id: int
    name: str
    kind: str
    quartz: str | None
    timezone: str | None
    pause_status: str | None
    url: str
    as_of: datetime


@dataclass(frozen=True)
class PipelineRecord:
    """A pipeline as it is defined. state: IDLE, RUNNING, FAILED, ..."""

    environment: str
    pipeline_id: str
    name: str
    state: str | None
    catalog: str | None
    schema: str | None
    configuration: Mapping[str, str]
    url: str
    as_of: datetime


@dataclass(frozen=True)
class ConsumerRecord:
    """Something that was seen reading a table. Never the whole list: the platform records a subset of events."""

    table: str
    kind: str
    consumer_id: str
    name: str | None
    user: str | None
    last_seen: datetime
    reads: int


@dataclass(frozen=True)
class SourceStatus:
    """How a source of the collection stands. backlog: what older history is still to come, in words, or None."""

    source: str
    last_success: datetime | None
    last_attempt: datetime | None
    error: str | None
    failures: int
    interval_seconds: float
    backlog: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """What most pages need, read in few queries. `runs` and `updates`: newest first, within the time asked for."""

    taken_at: datetime
    sources: Mapping[str, SourceStatus]
    schedules: Mapping[str, ScheduleRecord]
    pipelines: Mapping[str, PipelineRecord]
    tables: Mapping[str, TableRecord]
    runs: tuple[JobRunRecord, ...]
    updates: tuple[UpdateRecord, ...]


runs_table = Table(
    "collected_runs",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("side", String(20), nullable=False),
    Column("job_id", BigInteger, nullable=False),
    Column("number", BigInteger),
    Column("trigger", String(40)),
    Column("life_cycle_state", String(40), nullable=False),
    Column("result_state", String(40)),
    Column("state_message", Text, nullable=False),
    Column("start_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("run_seconds", Float),
    Column("queue_seconds", Float),
    Column("run_page_url", Text, nullable=False),
    Column("generated", Boolean, nullable=False),
    Index("ix_collected_runs_side_start", "side", "start_time"),
    Index("ix_collected_runs_start", "start_time"),
)

tasks_table = Table(
    "collected_tasks",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_key", String(200), primary_key=True),
    Column("task_run_id", BigInteger, nullable=False),
    Column("state", String(40), nullable=False),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("seconds", Float),
    Column("error", Text),
    Column("pipeline_id", String(80)),
    Column("url", Text),
    Index("ix_collected_tasks_task_run", "task_run_id"),
    Index("ix_collected_tasks_pipeline", "pipeline_id", "start"),
)

updates_table = Table(
    "collected_updates",
    metadata,
    Column("update_id", String(80), primary_key=True),
    Column("pipeline_id", String(80), nullable=False),
    Column("pipeline_name", String(300), nullable=False),
    Column("environment", String(20), nullable=False),
    Column("state", String(40), nullable=False),
    Column("cause", String(60)),
    Column("full_refresh", Boolean, nullable=False),
    Column("validate_only", Boolean, nullable=False),
    Column("refresh_selection", Json, nullable=False),
    Column("full_refresh_selection", Json, nullable=False),
    Column("start_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("seconds", Float),
    Column("job_run_id", BigInteger),
    Column("url", Text, nullable=False),
    Column("generated", Boolean, nullable=False),
    Index("ix_collected_updates_environment_start", "environment", "start_time"),
    Index("ix_collected_updates_start", "start_time"),
    Index("ix_collected_updates_job_run", "job_run_id"),
)

events_table = Table(
    "collected_events",
    metadata,
    Column("pipeline_id", String(80), primary_key=True),
    Column("event_id", String(80), primary_key=True),
    Column("update_id", String(80)),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("level", String(20), nullable=False),
    Column("event_type", String(60), nullable=False),
    Column("message", Text, nullable=False),
    Column("dataset", String(400)),
    Column("details", Json, nullable=False),
    Column("error", Json),
    Index("ix_collected_events_pipeline_time", "pipeline_id", "timestamp"),
    Index("ix_collected_events_update_time", "update_id", "timestamp"),
    Index("ix_collected_events_level_time", "level", "timestamp"),
    Index("ix_collected_events_time", "timestamp"),
)

flows_table = Table(
    "collected_flows",
    metadata,
    Column("update_id", String(80), primary_key=True),
    Column("dataset", String(400), primary_key=True),
    Column("status", String(40), nullable=False),
    Column("rows", BigInteger),
    Column("seconds", Float),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("dropped", BigInteger),
)

expectations_table = Table(
    "collected_expectations",
    metadata,
    Column("update_id", String(80), primary_key=True),
    Column("dataset", String(400), primary_key=True),
    Column("name", String(300), primary_key=True),
    Column("action", String(20)),
    Column("passed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Index("ix_collected_expectations_time", "timestamp"),
)

usage_table = Table(
    "collected_usage",
    metadata,
    Column("record_id", String(80), primary_key=True),
    # A correction may carry the id of the record that it corrects.
    Column("record_type", String(20), primary_key=True),
    Column("side", String(20), nullable=False),
    Column("job_id", BigInteger),
    Column("job_run_id", BigInteger),
    Column("pipeline_id", String(80)),
    Column("update_id", String(80)),
    Column("sku", String(200), nullable=False),
    Column("dbu", Float, nullable=False),
    Column("list_price_usd", Float),
    Column("usd", Float),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime, nullable=False),
    Column("product", String(60)),
    Column("serverless", Boolean),
    Column("photon", Boolean),
    Column("generated", Boolean, nullable=False),
    Index("ix_collected_usage_start", "start"),
    Index("ix_collected_usage_job_run", "job_run_id"),
    Index("ix_collected_usage_update", "update_id"),
)

tables_table = Table(
    "collected_tables",
    metadata,
    Column("name", String(400), primary_key=True),
    Column("table", String(200), nullable=False),
    Column("side", String(20), nullable=False),
    Column("exists", Boolean, nullable=False),
    Column("table_type", String(40)),
    Column("owner", String(320)),
    Column("pipeline_id", String(80)),
    Column("view_definition", Text),
    Column("serves", String(400)),
    Column("columns", Json, nullable=False),
    Column("grants", Json, nullable=False),
    Column("hangers", Json, nullable=False),
    Column("rows", BigInteger),
    Column("version", BigInteger),
    Column("updated_at", UtcDateTime),
    Column("rows_as_of", UtcDateTime),
    Column("as_of", UtcDateTime, nullable=False),
    Column("url", Text),
)

schedules_table = Table(
    "collected_schedules",
    metadata,
    Column("side", String(20), primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("name", String(300), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("quartz", String(200)),
    Column("timezone", String(80)),
    Column("pause_status", String(20)),
    Column("url", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
)

pipelines_table = Table(
    "collected_pipelines",
    metadata,
    Column("environment", String(20), primary_key=True),
    Column("pipeline_id", String(80), nullable=False),
    Column("name", String(300), nullable=False),
    Column("state", String(40)),
    Column("catalog", String(200)),
    Column("schema", String(200)),
    Column("configuration", Json, nullable=False),
    Column("url", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
)

consumers_table = Table(
    "collected_consumers",
    metadata,
    Column("table", String(400), primary_key=True),
    Column("kind", String(60), primary_key=True),
    Column("consumer_id", String(300), primary_key=True),
    Column("name", Text),
    Column("user", String(320)),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("reads", BigInteger, nullable=False),
)

sources_table = Table(
    "collected_sources",
    metadata,
    Column("source", String(80), primary_key=True),
    Column("last_success", UtcDateTime),
    Column("last_attempt", UtcDateTime),
    Column("error", Text),
    Column("failures", Integer, nullable=False),
    Column("interval_seconds", Float, nullable=False),
    Column("backlog", Text),
)

cursors_table = Table(
    "collected_cursors",
    metadata,
    Column("source", String(80), primary_key=True),
    Column("cursor", Json, nullable=False),
)

refreshes_table = Table(
    "refresh_requests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("requested_by", String(320), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
)

# A pipeline task that started longer ago than this is not taken for the one that started an update.
_LONGEST_TASK = timedelta(days=2)

# Most values that one statement may bind on SQLite; larger lists are asked for in parts.
_BOUND = 500


class CollectedRepository:
    """Reads and writes what was collected. Writes are upserts: a record read twice is kept once, in its newest form.

    All methods raise StoreError when the store cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ---------------------------------------------------------------------------------------------- writing (worker)

    def put_runs(self, runs: Sequence[JobRunRecord], tasks: Sequence[TaskRunRecord] = ()) -> None:
        """Keeps runs and tasks, together or not at all. A task's error, once known, stays."""
        with self._write() as c:
            upsert(c, runs_table, _rows(runs))
            upsert(c, tasks_table, _rows(tasks), keep=("error",))

    def put_updates(self, updates: Sequence[UpdateRecord]) -> None:
        """Keeps updates. Their end, the job run that started them and that they are generated, once known, stay."""
        rows = _rows(updates)
        for row in rows:
            row["refresh_selection"] = list(row["refresh_selection"])
            row["full_refresh_selection"] = list(row["full_refresh_selection"])
        with self._write() as c:
            upsert(c, updates_table, rows, keep=("end_time", "seconds", "job_run_id"), once_true=("generated",))

    def put_update_ends(self, ends: Mapping[str, datetime]) -> None:
        """Sets when updates ended (from the event log), and with it their seconds."""
        with self._write() as c:
            for part in _parts(list(ends)):
                found = c.execute(
                    select(updates_table.c.update_id, updates_table.c.start_time).where(
                        updates_table.c.update_id.in_(part)
                    )
                ).all()
                for update_id, start in found:
                    end = ends[update_id]
                    c.execute(
                        plain_update(updates_table)
                        .where(updates_table.c.update_id == update_id)
                        .values(end_time=end, seconds=max(0.0, (end - start).total_seconds()))
                    )

    def put_update_runs(self, links: Mapping[str, int]) -> None:
        """Sets which job run started which update: update id -> job run id. Updates of generated runs are generated."""
        if not links:
            return
        u, r = updates_table, runs_table
        with self._write() as c:
            for update_id, run_id in links.items():
                c.execute(plain_update(u).where(u.c.update_id == update_id).values(job_run_id=run_id))
            made_up = select(r.c.run_id).where(r.c.generated.is_(True))
            c.execute(
                plain_update(u).where(u.c.generated.is_(False), u.c.job_run_id.in_(made_up)).values(generated=True)
            )

    def mark_generated(self, update_ids: Sequence[str]) -> None:
        """Marks updates as made up before the first start of a local workspace."""
        with self._write() as c:
            for part in _parts(list(update_ids)):
                c.execute(plain_update(updates_table).where(updates_table.c.update_id.in_(part)).values(generated=True))

    def put_events(self, events: Sequence[EventRecord]) -> None:
        """Keeps events."""
        rows = _rows(events)
        for row in rows:
            row["details"] = dict(row["details"])
            row["error"] = None if row["error"] is None else dict(row["error"])
        with self._write() as c:
            upsert(c, events_table, rows)

    def known_events(self, pipeline_id: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the ids that are kept already."""
        found: set[str] = set()
        t = events_table.c
        for part in _parts(list(event_ids)):
            query = select(t.event_id).where(t.pipeline_id == pipeline_id, t.event_id.in_(part))
            found.update(str(r.event_id) for r in self._all(query))
        return found

    def put_flows(self, flows: Sequence[FlowRecord], expectations: Sequence[ExpectationRecord]) -> None:
        """Keeps flows and expectation results, together or not at all."""
        with self._write() as c:
            upsert(c, flows_table, _rows(flows))
            upsert(c, expectations_table, _rows(expectations))

    def put_usage(self, usage: Sequence[UsageRecord]) -> None:
        """Keeps billing records; one that was read before is replaced, so a late price or correction takes effect."""
        with self._write() as c:
            upsert(c, usage_table, _rows(usage))

    def put_tables(self, tables: Sequence[TableRecord]) -> None:
        """Keeps table states."""
        rows = _rows(tables)
        for row in rows:
            row["columns"] = [asdict(c) for c in row["columns"]]
            row["grants"] = [list(g) for g in row["grants"]]
            row["hangers"] = dict(row["hangers"])
        with self._write() as c:
            upsert(c, tables_table, rows)

    def put_schedules(self, schedules: Sequence[ScheduleRecord]) -> None:
        """Keeps what starts each side's job."""
        with self._write() as c:
            upsert(c, schedules_table, _rows(schedules))

    def put_pipelines(self, pipelines: Sequence[PipelineRecord]) -> None:
        """Keeps pipeline definitions."""
        rows = _rows(pipelines)
        for row in rows:
            row["configuration"] = dict(row["configuration"])
        with self._write() as c:
            upsert(c, pipelines_table, rows)

    def put_consumers(self, consumers: Sequence[ConsumerRecord]) -> None:
        """Keeps consumers; `reads` are those within the time last asked for."""
        with self._write() as c:
            upsert(c, consumers_table, _rows(consumers))

    def cursor(self, source: str) -> dict[str, Any]:
        """Where the collection of a source is; empty before its first."""
        found = self._one(select(cursors_table.c.cursor).where(cursors_table.c.source == source))
        return {} if found is None else dict(found[0])

    def set_cursor(self, source: str, cursor: Mapping[str, Any]) -> None:
        """Moves a source's cursor."""
        with self._write() as c:
            upsert(c, cursors_table, [{"source": source, "cursor": dict(cursor)}])

    def source_succeeded(self, source: str, at: datetime, interval_seconds: float, backlog: str | None = None) -> None:
        """Records that a source was read whole as of `at`."""
        row = {
            "source": source,
            "last_success": at,
            "last_attempt": at,
            "error": None,
            "failures": 0,
            "interval_seconds": interval_seconds,
            "backlog": backlog,
        }
        with self._write() as c:
            upsert(c, sources_table, [row])

    def source_failed(self, source: str, at: datetime, interval_seconds: float, error: str) -> int:
        """Records that reading a source failed; gives how often in a row. Its last success stays."""
        with self._write() as c:
            before = c.execute(select(sources_table).where(sources_table.c.source == source)).one_or_none()
            failures = 1 if before is None else before.failures + 1
            row = {
                "source": source,
                "last_success": None if before is None else before.last_success,
                "last_attempt": at,
                "error": error,
                "failures": failures,
                "interval_seconds": interval_seconds,
                "backlog": None if before is None else before.backlog,
            }
            upsert(c, sources_table, [row])
        return failures

    def pending_refresh(self) -> int | None:
        """The highest refresh request that waits, None where none does."""
        found = self._one(select(func.max(refreshes_table.c.number)).where(refreshes_table.c.done_at.is_(None)))
        return None if found is None or found[0] is None else int(found[0])

    def finish_refresh(self, number: int) -> None:
        """Marks requests up to `number` as served."""
        with self._write() as c:
            c.execute(
                plain_update(refreshes_table)
                .where(refreshes_table.c.number <= number, refreshes_table.c.done_at.is_(None))
                .values(done_at=now())
            )

    # -------------------------------------------------------------------------------- asking for news (pages, CLI)

    def request_refresh(self, requested_by: str) -> int:
        """Asks the worker to collect everything now; gives the request's number for `refresh_done`."""
        with self._write() as c:
            result = c.execute(
                plain_insert(refreshes_table)
                .values(requested_by=requested_by, requested_at=now())
                .returning(refreshes_table.c.number)
            )
            return int(result.scalar_one())

    def refresh_done(self, number: int) -> bool:
        """Whether a collection that began after that request has ended."""
        found = self._one(select(refreshes_table.c.done_at).where(refreshes_table.c.number == number))
        return found is not None and found[0] is not None

    # ----------------------------------------------------------------------- reading (pages, progress, operations)

    def snapshot(self, since: datetime, *, runs: int = 500, updates: int = 500) -> Snapshot:
        """What most pages need, with at most so many newest runs (of each side) and updates that started since then."""
        found: list[JobRunRecord] = []
        for side in ("baseline", "candidate"):
            found += self.runs(side, since=since, limit=runs)
        return Snapshot(
            taken_at=now(),
            sources=self.sources(),
            schedules=self.schedules(),
            pipelines=self.pipelines(),
            tables=self.tables(),
            runs=tuple(sorted(found, key=lambda r: (r.start_time, r.run_id), reverse=True)),
            updates=tuple(self.updates(since=since, limit=updates)),
        )

    def sources(self) -> dict[str, SourceStatus]:
        """How each source of the collection stands, by name."""
        return {r.source: SourceStatus(**r._mapping) for r in self._all(select(sources_table))}

    def runs(
        self,
        side: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        states: Collection[str] = (),
        limit: int = 500,
    ) -> list[JobRunRecord]:
        """Runs that started within [since, until), newest first. states: results or, for running ones, life cycles."""
        t = runs_table.c
        query = _between(select(runs_table), t.start_time, since, until)
        if side is not None:
            query = query.where(t.side == side)
        if states:
            query = query.where(func.coalesce(t.result_state, t.life_cycle_state).in_(list(states)))
        query = query.order_by(t.start_time.desc(), t.run_id.desc()).limit(limit)
        return [JobRunRecord(**r._mapping) for r in self._all(query)]

    def run(self, run_id: int) -> JobRunRecord | None:
        """One run."""
        found = self._one(select(runs_table).where(runs_table.c.run_id == run_id))
        return None if found is None else JobRunRecord(**found._mapping)

    def tasks(self, run_ids: Collection[int]) -> dict[int, list[TaskRunRecord]]:
        """Tasks of runs, in the order in which they started (those that did not start last)."""
        found: dict[int, list[TaskRunRecord]] = {run_id: [] for run_id in run_ids}
        for part in _parts(list(run_ids)):
            query = select(tasks_table).where(tasks_table.c.run_id.in_(part))
            for row in self._all(query):
                found[row.run_id].append(TaskRunRecord(**row._mapping))
        for tasks in found.values():
            tasks.sort(key=lambda t: (t.start is None, t.start or now(), t.task_key))
        return found

    def run_of_task(self, task_run_ids: Collection[int]) -> dict[int, int]:
        """Task run id -> job run id."""
        found: dict[int, int] = {}
        for part in _parts(list(task_run_ids)):
            query = select(tasks_table.c.task_run_id, tasks_table.c.run_id).where(tasks_table.c.task_run_id.in_(part))
            found.update((int(r.task_run_id), int(r.run_id)) for r in self._all(query))
        return found

    def updates(
        self,
        environment: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        states: Collection[str] = (),
        limit: int = 500,
    ) -> list[UpdateRecord]:
        """Updates asked for within [since, until), newest first."""
        t = updates_table.c
        query = _between(select(updates_table), t.start_time, since, until)
        if environment is not None:
            query = query.where(t.environment == environment)
        if states:
            query = query.where(t.state.in_(list(states)))
        query = query.order_by(t.start_time.desc(), t.update_id).limit(limit)
        return [_update(r) for r in self._all(query)]

    def update(self, update_id: str) -> UpdateRecord | None:
        """One update."""
        found = self._one(select(updates_table).where(updates_table.c.update_id == update_id))
        return None if found is None else _update(found)

    def updates_without_run(self, since: datetime, limit: int = 5000) -> list[tuple[str, int]]:
        """(update, job run) for updates whose job run is not known yet and that were asked for while a task ran their
        pipeline: a pipeline has one active update at a time, so the task that ran then started it."""
        u, t = updates_table.c, tasks_table.c
        lone = self._all(
            select(u.update_id, u.pipeline_id, u.start_time)
            .where(u.job_run_id.is_(None), u.cause == "JOB_TASK", u.start_time >= since)
            .order_by(u.start_time.desc())
            .limit(limit)
        )
        found: list[tuple[str, int]] = []
        for pipeline_id in {r.pipeline_id for r in lone}:
            asked = [(r.start_time, str(r.update_id)) for r in lone if r.pipeline_id == pipeline_id]
            tasks = self._all(
                select(t.start, t.end, t.run_id)
                .where(t.pipeline_id == pipeline_id, t.start.is_not(None), t.start <= max(asked)[0])
                .where(t.start >= min(asked)[0] - _LONGEST_TASK)
                .order_by(t.start)
            )
            starts = [r.start for r in tasks]
            for at, update_id in asked:
                i = bisect_right(starts, at) - 1
                if i >= 0 and (tasks[i].end is None or tasks[i].end >= at):
                    found.append((update_id, int(tasks[i].run_id)))
        return found

    def events(
        self,
        *,
        pipeline_id: str | None = None,
        update_id: str | None = None,
        levels: Collection[str] = (),
        event_types: Collection[str] = (),
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 500,
    ) -> list[EventRecord]:
        """Events within [since, before), newest first."""
        t = events_table.c
        query = _between(select(events_table), t.timestamp, since, before)
        if pipeline_id is not None:
            query = query.where(t.pipeline_id == pipeline_id)
        if update_id is not None:
            query = query.where(t.update_id == update_id)
        if levels:
            query = query.where(t.level.in_(list(levels)))
        if event_types:
            query = query.where(t.event_type.in_(list(event_types)))
        query = query.order_by(t.timestamp.desc(), t.event_id.desc()).limit(limit)
        return [EventRecord(**r._mapping) for r in self._all(query)]

    def flows(self, update_ids: Collection[str]) -> dict[str, list[FlowRecord]]:
        """Datasets of updates, in the order in which they started."""
        found: dict[str, list[FlowRecord]] = {u: [] for u in update_ids}
        for part in _parts(list(update_ids)):
            for row in self._all(select(flows_table).where(flows_table.c.update_id.in_(part))):
                found[row.update_id].append(FlowRecord(**row._mapping))
        for flows in found.values():
            flows.sort(key=lambda f: (f.start is None, f.start or now(), f.dataset))
        return found

    def expectations(
        self, update_ids: Collection[str] = (), *, since: datetime | None = None, limit: int = 10_000
    ) -> list[ExpectationRecord]:
        """Expectation results of these updates, or of all since then; oldest first."""
        t = expectations_table.c
        if not update_ids and since is None:
            return []
        found: list[ExpectationRecord] = []
        for part in _parts(list(update_ids)) if update_ids else [[]]:
            query = _between(select(expectations_table), t.timestamp, since, None)
            if part:
                query = query.where(t.update_id.in_(part))
            query = query.order_by(t.timestamp.desc()).limit(limit)
            found += [ExpectationRecord(**r._mapping) for r in self._all(query)]
        return sorted(found, key=lambda e: (e.timestamp, e.dataset, e.name))

    def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        side: str | None = None,
        limit: int = 10_000,
    ) -> list[UsageRecord]:
        """Billing records whose usage started within [since, until), newest first."""
        t = usage_table.c
        query = _between(select(usage_table), t.start, since, until)
        if side is not None:
            query = query.where(t.side == side)
        query = query.order_by(t.start.desc(), t.record_id).limit(limit)
        return [UsageRecord(**r._mapping) for r in self._all(query)]

    def run_costs(self, side: str | None = None, *, since: datetime | None = None, limit: int = 1000) -> list[RunCost]:
        """Cost of each run of the sides, newest first: what was billed to the run plus what was billed to the updates
        that its tasks started; a record that names both counts once."""
        u, up = usage_table.c, updates_table.c
        runs = self.runs(side, since=since, limit=limit)
        if not runs:
            return []
        billing = self.sources().get("billing")
        read_at = None if billing is None else billing.last_success
        ids = [r.run_id for r in runs]
        sums = (
            func.sum(u.dbu).label("dbu"),
            func.sum(u.usd).label("usd"),
            func.count().label("records"),
            func.sum(case((u.usd.is_(None), 1), else_=0)).label("unpriced"),
        )
        totals: dict[int, list[tuple[float, float, int, int]]] = {}
        for part in _parts(ids):
            direct = select(u.job_run_id, *sums).where(u.job_run_id.in_(part)).group_by(u.job_run_id)
            through = (
                select(up.job_run_id, *sums)
                .select_from(usage_table.join(updates_table, u.update_id == up.update_id))
                .where(up.job_run_id.in_(part), or_(u.job_run_id.is_(None), u.job_run_id != up.job_run_id))
                .group_by(up.job_run_id)
            )
            for query in (direct, through):
                for r in self._all(query):
                    entry = (float(r.dbu or 0), float(r.usd or 0), int(r.records), int(r.unpriced))
                    totals.setdefault(int(r.job_run_id), []).append(entry)
        settle = timedelta(hours=BILLING_SETTLES_HOURS)
        costs = []
        for run in runs:
            entries = totals.get(run.run_id, [])
            records = sum(e[2] for e in entries)
            priced = records > 0 and not any(e[3] for e in entries)
            costs.append(
                RunCost(
                    side=run.side,
                    run_id=run.run_id,
                    start=run.start_time,
                    end=run.end_time,
                    dbu=sum(e[0] for e in entries),
                    usd=sum(e[1] for e in entries) if priced else None,
                    records=records,
                    final=run.end_time is not None and read_at is not None and run.end_time + settle <= read_at,
                    generated=run.generated,
                )
            )
        return costs

    def tables(self) -> dict[str, TableRecord]:
        """Table states by three-level name."""
        return {r.name: _table_record(r) for r in self._all(select(tables_table))}

    def schedules(self) -> dict[str, ScheduleRecord]:
        """What starts each side's job, by side (`baseline`, `candidate`)."""
        return {r.side: ScheduleRecord(**r._mapping) for r in self._all(select(schedules_table))}

    def pipelines(self) -> dict[str, PipelineRecord]:
        """Pipelines by environment (`development`, `production`)."""
        return {r.environment: PipelineRecord(**r._mapping) for r in self._all(select(pipelines_table))}

    def consumers(self, table: str | None = None) -> list[ConsumerRecord]:
        """Who was seen reading, last seen first."""
        query = select(consumers_table).order_by(consumers_table.c.last_seen.desc())
        if table is not None:
            query = query.where(consumers_table.c.table == table)
        return [ConsumerRecord(**r._mapping) for r in self._all(query)]

    # ------------------------------------------------------------------------------------------------------------

    def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        try:
            with self._engine.connect() as c:
                return c.execute(query).all()
        except SQLAlchemyError as e:
            raise _unusable("read", e) from e

    def _one(self, query: Select[Any]) -> Row[Any] | None:
        try:
            with self._engine.connect() as c:
                return c.execute(query).one_or_none()
        except SQLAlchemyError as e:
            raise _unusable("read", e) from e

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as c:
                yield c
        except SQLAlchemyError as e:
            raise _unusable("written", e) from e


def upsert(
    c: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    keep: Collection[str] = (),
    once_true: Collection[str] = (),
) -> None:
    """Inserts rows, or replaces those of the same primary key.

    Columns in `keep` are not overwritten by None, those in `once_true` not by False.
    """
    if not rows:
        return
    insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    new = statement.excluded
    key = [col.name for col in table.primary_key.columns]
    values: dict[str, Any] = {}
    for col in table.columns:
        if col.name in keep:
            values[col.name] = func.coalesce(new[col.name], col)
        elif col.name in once_true:
            values[col.name] = or_(new[col.name], col)
        elif col.name not in key:
            values[col.name] = new[col.name]
    c.execute(statement.on_conflict_do_update(index_elements=key, set_=values), [dict(r) for r in rows])


def _unusable(action: str, error: SQLAlchemyError) -> StoreError:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    return StoreError(f"what was collected cannot be {action}: {cause}")


def _rows(records: Iterable[Any]) -> list[dict[str, Any]]:
    return [{f.name: getattr(r, f.name) for f in fields(r)} for r in records]


def _parts(values: list[R]) -> Iterator[list[R]]:
    for i in range(0, len(values), _BOUND):
        yield values[i : i + _BOUND]


def _between(query: Select[Any], column: Any, since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    return query


def _update(row: Row[Any]) -> UpdateRecord:
    values = dict(row._mapping)
    values["refresh_selection"] = tuple(values["refresh_selection"])
    values["full_refresh_selection"] = tuple(values["full_refresh_selection"])
    return UpdateRecord(**values)


def _table_record(row: Row[Any]) -> TableRecord:
    values = dict(row._mapping)
    values["columns"] = tuple(ColumnRecord(**c) for c in values["columns"])
    values["grants"] = tuple((g[0], g[1]) for g in values["grants"])
    return TableRecord(**values)
