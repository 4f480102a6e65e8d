"""Consumers that read the tables recently, from lineage."""

from __future__ import annotations

from datetime import timedelta

from app.collect.context import CollectContext
from app.collect.mapping import record_of
from app.store.collected.records import ConsumerRecord

# The platform keeps lineage for a year; recent consumers matter.
CONSUMERS_SINCE = timedelta(days=30)


def read_lineage(ctx: CollectContext) -> str | None:
    """Consumers that read the tables within CONSUMERS_SINCE."""
    names = [n for t in ctx.migration.tables for n in (t.baseline, t.candidate, t.kept)]
    found = ctx.workspace.lineage.consumers(names, ctx.clock() - CONSUMERS_SINCE)
    jobs = {str(id): ctx.migration.jobs[side].name for side, id in ctx.existing_jobs().items()}
    pipelines = {id: ref.name for id, ref in ctx.existing_pipelines().items()}
    known = {**jobs, **pipelines}
    ctx.store.put_consumers([record_of(ConsumerRecord, c, name=c.name or known.get(c.consumer_id)) for c in found])
    return None
