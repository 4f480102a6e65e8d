"""What was collected, as records: runs, updates, events, cost, tables, schedules, and how each source stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# The billing table is filled late: what ended less than this many hours before the last reading is "not final".
BILLING_SETTLES_HOURS = 24.0


@dataclass(frozen=True)
class JobRunRecord:
    """One run of a job. side: baseline, candidate, or development (the job that runs the development pipeline).

    Durations in seconds; times in UTC.

    run_seconds: whole run as the platform measures it; None while it runs. generated: history made up before the first
    start of a local workspace, never measured. repairs: how often it was repaired. first_result: how its original
    attempt ended, where it was repaired and the service says so. attempt_seconds: time of all its attempts without the
    pauses between them, where it was repaired. tries_read: how many tries of repeated tasks its history had when it
    was last read; 0 before. setup_seconds: in which a successful run only waited for its compute; the worker finds it
    from tasks and events, None where they do not show it.
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
    repairs: int = 0
    first_result: str | None = None
    attempt_seconds: float | None = None
    tries_read: int = 0
    setup_seconds: float | None = None

    @property
    def active(self) -> bool:
        """It had not ended when it was last read."""
        return self.life_cycle_state not in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")

    @property
    def outcome(self) -> str:
        """The state and the repairs that led to it: `SUCCESS after 1 repair`."""
        if not self.repairs:
            return self.state
        repairs = f"{self.repairs} repair{'s' if self.repairs > 1 else ''}"
        return f"{self.state}, {repairs}" if self.active else f"{self.state} after {repairs}"

    @property
    def first_try(self) -> bool:
        """It succeeded without a repair."""
        return self.state == "SUCCESS" and not self.repairs

    @property
    def state(self) -> str:
        """The result where there is one, else the life cycle state."""
        return self.result_state or self.life_cycle_state


@dataclass(frozen=True)
class AttemptRecord:
    """The original execution of a run (number 0) or a repair of it (1, 2, ...). state: None where it is unknown."""

    run_id: int
    number: int
    repair_id: int | None
    state: str | None
    start: datetime | None
    end: datetime | None
    seconds: float | None


@dataclass(frozen=True)
class TryRecord:
    """A try of a task before its newest one, by a retry or a repair. attempt: 0 for the first."""

    task_run_id: int
    run_id: int
    task_key: str
    attempt: int
    state: str
    start: datetime | None
    end: datetime | None
    seconds: float | None
    error: str | None
    pipeline_id: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class TaskRunRecord:
    """One task (its newest try) of a job run. error: the platform's message where it failed. tries: all of them."""

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
    tries: int = 1


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
    """One dataset in one update, from `flow_progress` events. rows written; seconds from its start to its end.

    inputs: what it reads, from `flow_definition` events; None where the event log does not say.
    """

    update_id: str
    dataset: str
    status: str
    rows: int | None
    seconds: float | None
    start: datetime | None
    end: datetime | None
    dropped: int | None = None
    inputs: tuple[str, ...] | None = None


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

    Discounts are not in it, nor, for classic compute, the cloud's own bill for machines. maintenance_id: of the
    maintenance of a pipeline; records that were read by a version before this field have none.
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
    maintenance_id: str | None = None


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

    serves: the table that a plain view over it serves. hangers: what is attached to it, and, as `altered`, who changed
    its definition last. rows and version are as of rows_as_of and may be older.
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
    """What starts a job by itself. pause_status: PAUSED, UNPAUSED, or None where nothing starts it.

    definition: as `app.collect.shape.job_definition`; empty where it could not be read.
    """

    side: str
    job_id: int
    name: str
    kind: str
    quartz: str | None
    timezone: str | None
    pause_status: str | None
    url: str
    as_of: datetime
    definition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineRecord:
    """A pipeline as it is defined. state: IDLE, RUNNING, FAILED, ...; `definition` as for a job's schedule."""

    environment: str
    pipeline_id: str
    name: str
    state: str | None
    catalog: str | None
    schema: str | None
    configuration: Mapping[str, str]
    url: str
    as_of: datetime
    definition: Mapping[str, Any] = field(default_factory=dict)


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


MISSED_READINGS = 3
"""Readings in a row that a source may miss before it is stale."""
SLACK_SECONDS = 120.0
"""Shortest age of a stale source: a long reading is no failure."""


@dataclass(frozen=True)
class SourceStatus:
    """How a source of the collection stands. backlog: what older history is still to come, in words, or None.

    next_attempt: when a source that failed is read again, None for one that did not.
    """

    source: str
    last_success: datetime | None
    last_attempt: datetime | None
    error: str | None
    failures: int
    interval_seconds: float
    backlog: str | None = None
    next_attempt: datetime | None = None

    def stale(self, now: datetime) -> bool:
        """Whether it was read, but not within `MISSED_READINGS` of its intervals, at least `SLACK_SECONDS`."""
        if self.last_success is None:
            return False
        longest = max(MISSED_READINGS * self.interval_seconds, SLACK_SECONDS)
        return (now - self.last_success).total_seconds() > longest


@dataclass(frozen=True)
class Snapshot:
    """What most pages need, read in few queries. `runs` and `updates`: newest first, within the requested time."""

    sources: Mapping[str, SourceStatus]
    schedules: Mapping[str, ScheduleRecord]
    pipelines: Mapping[str, PipelineRecord]
    tables: Mapping[str, TableRecord]
    runs: tuple[JobRunRecord, ...]
    updates: tuple[UpdateRecord, ...]
