"""The tables that hold what was collected, and the requests to collect now."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table

from app.store.base import UtcDateTime, metadata
from app.store.text import CleanJson, FreeText, Identity, Label

runs_table = Table(
    "collected_runs",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("side", Label(20), nullable=False),
    Column("job_id", BigInteger, nullable=False),
    Column("number", BigInteger),
    Column("trigger", Label(40)),
    Column("life_cycle_state", Label(40), nullable=False),
    Column("result_state", Label(40)),
    Column("state_message", FreeText, nullable=False),
    Column("start_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("run_seconds", Float),
    Column("queue_seconds", Float),
    Column("run_page_url", FreeText, nullable=False),
    Column("generated", Boolean, nullable=False),
    Column("repairs", Integer, nullable=False),
    Column("first_result", Label(40)),
    Column("attempt_seconds", Float),
    Column("tries_read", Integer, nullable=False),
    Column("setup_seconds", Float),
    Index("ix_collected_runs_side_start", "side", "start_time"),
    Index("ix_collected_runs_start", "start_time"),
)

tasks_table = Table(
    "collected_tasks",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("task_key", Label(200), primary_key=True),
    Column("task_run_id", BigInteger, nullable=False),
    Column("state", Label(40), nullable=False),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("seconds", Float),
    Column("error", FreeText),
    Column("pipeline_id", Label(80)),
    Column("url", FreeText),
    Column("tries", Integer, nullable=False),
    Index("ix_collected_tasks_task_run", "task_run_id"),
    Index("ix_collected_tasks_pipeline", "pipeline_id", "start"),
    Index("ix_collected_tasks_tries", "tries"),
)

# Tries of a task before its newest one.
tries_table = Table(
    "collected_tries",
    metadata,
    Column("task_run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, nullable=False),
    Column("task_key", Label(200), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Label(40), nullable=False),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("seconds", Float),
    Column("error", FreeText),
    Column("pipeline_id", Label(80)),
    Column("url", FreeText),
    Index("ix_collected_tries_run", "run_id"),
    Index("ix_collected_tries_pipeline", "pipeline_id", "start"),
)

attempts_table = Table(
    "collected_attempts",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("repair_id", BigInteger),
    Column("state", Label(40)),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("seconds", Float),
)

updates_table = Table(
    "collected_updates",
    metadata,
    Column("update_id", Label(80), primary_key=True),
    Column("pipeline_id", Label(80), nullable=False),
    Column("pipeline_name", Label(300), nullable=False),
    Column("environment", Label(20), nullable=False),
    Column("state", Label(40), nullable=False),
    Column("cause", Label(60)),
    Column("full_refresh", Boolean, nullable=False),
    Column("validate_only", Boolean, nullable=False),
    Column("refresh_selection", CleanJson, nullable=False),
    Column("full_refresh_selection", CleanJson, nullable=False),
    Column("start_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("seconds", Float),
    Column("job_run_id", BigInteger),
    Column("url", FreeText, nullable=False),
    Column("generated", Boolean, nullable=False),
    Index("ix_collected_updates_environment_start", "environment", "start_time"),
    Index("ix_collected_updates_start", "start_time"),
    Index("ix_collected_updates_job_run", "job_run_id"),
)

events_table = Table(
    "collected_events",
    metadata,
    Column("pipeline_id", Label(80), primary_key=True),
    Column("event_id", Label(80), primary_key=True),
    Column("update_id", Label(80)),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("level", Label(20), nullable=False),
    Column("event_type", Label(60), nullable=False),
    Column("message", FreeText, nullable=False),
    Column("dataset", Label(400)),
    Column("details", CleanJson, nullable=False),
    Column("error", CleanJson),
    Index("ix_collected_events_pipeline_time", "pipeline_id", "timestamp"),
    Index("ix_collected_events_update_time", "update_id", "timestamp"),
    Index("ix_collected_events_level_time", "level", "timestamp"),
    Index("ix_collected_events_time", "timestamp"),
    Index("ix_collected_events_type_time", "event_type", "timestamp"),
    Index("ix_collected_events_dataset_time", "dataset", "timestamp"),
)

flows_table = Table(
    "collected_flows",
    metadata,
    Column("update_id", Label(80), primary_key=True),
    Column("dataset", Label(400), primary_key=True),
    Column("status", Label(40), nullable=False),
    Column("rows", BigInteger),
    Column("seconds", Float),
    Column("start", UtcDateTime),
    Column("end", UtcDateTime),
    Column("dropped", BigInteger),
    Column("inputs", CleanJson),
)

expectations_table = Table(
    "collected_expectations",
    metadata,
    Column("update_id", Label(80), primary_key=True),
    Column("dataset", Label(400), primary_key=True),
    Column("name", Label(300), primary_key=True),
    Column("action", Label(20)),
    Column("passed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Index("ix_collected_expectations_time", "timestamp"),
)

usage_table = Table(
    "collected_usage",
    metadata,
    Column("record_id", Label(80), primary_key=True),
    # A correction may carry the id of the record that it corrects.
    Column("record_type", Label(20), primary_key=True),
    Column("side", Label(20), nullable=False),
    Column("job_id", BigInteger),
    Column("job_run_id", BigInteger),
    Column("pipeline_id", Label(80)),
    Column("update_id", Label(80)),
    Column("sku", Label(200), nullable=False),
    Column("dbu", Float, nullable=False),
    Column("list_price_usd", Float),
    Column("usd", Float),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime, nullable=False),
    Column("product", Label(60)),
    Column("serverless", Boolean),
    Column("photon", Boolean),
    Column("generated", Boolean, nullable=False),
    Column("maintenance_id", Label(80)),
    Index("ix_collected_usage_start", "start"),
    Index("ix_collected_usage_job_run", "job_run_id"),
    Index("ix_collected_usage_update", "update_id"),
)

tables_table = Table(
    "collected_tables",
    metadata,
    Column("name", Label(400), primary_key=True),
    Column("table", Label(200), nullable=False),
    Column("side", Label(20), nullable=False),
    Column("exists", Boolean, nullable=False),
    Column("table_type", Label(40)),
    Column("owner", Label(320)),
    Column("pipeline_id", Label(80)),
    Column("view_definition", FreeText),
    Column("serves", Label(400)),
    Column("columns", CleanJson, nullable=False),
    Column("grants", CleanJson, nullable=False),
    Column("hangers", CleanJson, nullable=False),
    Column("rows", BigInteger),
    Column("version", BigInteger),
    Column("updated_at", UtcDateTime),
    Column("rows_as_of", UtcDateTime),
    Column("as_of", UtcDateTime, nullable=False),
    Column("url", FreeText),
)

schedules_table = Table(
    "collected_schedules",
    metadata,
    Column("side", Label(20), primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("name", Label(300), nullable=False),
    Column("kind", Label(20), nullable=False),
    Column("quartz", Label(200)),
    Column("timezone", Label(80)),
    Column("pause_status", Label(20)),
    Column("url", FreeText, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("definition", CleanJson, nullable=False),
)

pipelines_table = Table(
    "collected_pipelines",
    metadata,
    Column("environment", Label(20), primary_key=True),
    Column("pipeline_id", Label(80), nullable=False),
    Column("name", Label(300), nullable=False),
    Column("state", Label(40)),
    Column("catalog", Label(200)),
    Column("schema", Label(200)),
    Column("configuration", CleanJson, nullable=False),
    Column("url", FreeText, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("definition", CleanJson, nullable=False),
)

consumers_table = Table(
    "collected_consumers",
    metadata,
    Column("table", Label(400), primary_key=True),
    Column("kind", Label(60), primary_key=True),
    Column("consumer_id", Label(300), primary_key=True),
    Column("name", FreeText),
    Column("user", Label(320)),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("reads", BigInteger, nullable=False),
)

sources_table = Table(
    "collected_sources",
    metadata,
    Column("source", Label(80), primary_key=True),
    Column("last_success", UtcDateTime),
    Column("last_attempt", UtcDateTime),
    Column("error", FreeText),
    Column("failures", Integer, nullable=False),
    Column("interval_seconds", Float, nullable=False),
    Column("backlog", FreeText),
    Column("next_attempt", UtcDateTime),
)

cursors_table = Table(
    "collected_cursors",
    metadata,
    Column("source", Label(80), primary_key=True),
    Column("cursor", CleanJson, nullable=False),
)

refreshes_table = Table(
    "refresh_requests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("requested_by", Identity(320), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
)
