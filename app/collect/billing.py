"""Billing records of jobs and pipelines with their list prices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from app.collect.context import CollectContext, parsed_time
from app.collect.mapping import record_of
from app.store.collected.records import UsageRecord
from databricks_client.billing import Usage

# Billing arrives late and is corrected: this much before the newest record is read again each time.
BILLING_OVERLAP = timedelta(hours=48)
# History that is read at first, and the part of it that one turn reads.
BILLING_HISTORY = timedelta(days=180)
BILLING_CHUNK = timedelta(days=30)


def read_billing(ctx: CollectContext) -> str | None:
    """Billing records with their list prices: recent ones again each time, older ones in parts."""
    source = "billing"
    cursor = ctx.store.cursor(source)
    started = ctx.clock()
    jobs = ctx.existing_jobs()
    pipelines = {id: ref.environment for id, ref in ctx.existing_pipelines().items()}
    ids = sorted([str(i) for i in jobs.values()] + list(pipelines))
    if not set(ids) <= set(cursor.get("ids", ids)):
        cursor = {}  # What was read says nothing of a job or pipeline that is new: its records are read from the start.
    cursor["ids"] = ids
    until = parsed_time(cursor.get("until"))
    start = started - BILLING_CHUNK if until is None else until - BILLING_OVERLAP
    ctx.check()
    usage = ctx.workspace.billing.usage(list(jobs.values()), list(pipelines), start, started)
    ctx.store.put_usage([_usage_record(u, jobs, pipelines) for u in usage])
    cursor["until"] = started.isoformat()
    oldest = parsed_time(cursor.get("oldest")) or start
    limit = parsed_time(cursor.get("limit")) or started - BILLING_HISTORY
    if until is not None and oldest > limit:
        ctx.check()
        older = oldest - BILLING_CHUNK
        usage = ctx.workspace.billing.usage(list(jobs.values()), list(pipelines), older, oldest)
        ctx.store.put_usage([_usage_record(u, jobs, pipelines) for u in usage])
        oldest = older
    cursor["oldest"], cursor["limit"] = oldest.isoformat(), limit.isoformat()
    ctx.store.set_cursor(source, cursor)
    return f"billing before {oldest.date()} is not read yet" if oldest > limit else None


def _usage_record(usage: Usage, jobs: Mapping[str, int], pipelines: Mapping[str, str]) -> UsageRecord:
    if usage.pipeline_id is not None and usage.pipeline_id in pipelines:
        side = "candidate" if pipelines[usage.pipeline_id] == "production" else "development"
    else:
        side = next((s for s, job_id in jobs.items() if job_id == usage.job_id), "candidate")
    price = usage.list_price_usd
    return record_of(UsageRecord, usage, side=side, usd=None if price is None else usage.dbu * price)
