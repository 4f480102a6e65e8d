"""The event log of one pipeline, and the datasets and expectations of each update from it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from app.collect.context import BEGINNING, NEWER_PAGES, OLDER_PAGES, CollectContext, parsed_time
from app.collect.flows import summarize
from app.collect.mapping import record_of
from app.config.migration import PipelineRef
from app.store.collected.records import EventRecord
from databricks_client.pipelines import Event

SUMMARIZED = ("flow_definition", "flow_progress", "update_progress")
"""Types of events that the summary of an update needs."""

# Events may arrive slightly out of order: this much before the newest one is read again.
EVENT_OVERLAP = timedelta(minutes=2)


def read_events(ctx: CollectContext, ref: PipelineRef) -> str | None:
    """The event log, and from it rows, duration and expectations of each dataset, and the end of each update."""
    source, pipeline_id = f"events:{ref.environment}", ctx.pipeline_id(ref)
    cursor = ctx.store.cursor(source)
    if cursor.get("pipeline_id") != pipeline_id:
        cursor = {"pipeline_id": pipeline_id}
    newest = parsed_time(cursor.get("newest"))
    ahead = False
    if newest is None:
        found, token = _read_events(ctx, pipeline_id, OLDER_PAGES, newest_first=True)
        if found:
            cursor["newest"] = max(e.timestamp for e in found).isoformat()
            cursor["oldest"] = min(e.timestamp for e in found).isoformat()
            cursor["complete"] = token is None
    else:
        found, token = _read_events(ctx, pipeline_id, NEWER_PAGES, newest_first=False, after=newest - EVENT_OVERLAP)
        if found:
            cursor["newest"] = max(newest, *(e.timestamp for e in found)).isoformat()
        ahead = token is not None
        if not cursor.get("complete", True):
            # The oldest time is read again: further events may have the same timestamp.
            before = (parsed_time(cursor["oldest"]) or BEGINNING) + timedelta(milliseconds=1)
            older, token = _read_events(ctx, pipeline_id, OLDER_PAGES, newest_first=True, before=before)
            if older:
                cursor["oldest"] = min(e.timestamp for e in older).isoformat()
            cursor["complete"] = token is None
    ctx.store.set_cursor(source, cursor)
    if ahead:
        return f"events after {cursor['newest'][:16]} are not read yet"
    return None if cursor.get("complete", True) else f"events before {cursor['oldest'][:10]} are not read yet"


def _read_events(
    ctx: CollectContext,
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
        ctx.check()
        page = ctx.workspace.pipelines.events_page(
            pipeline_id, after=after, before=before, newest_first=newest_first, page_token=token
        )
        known = ctx.store.known_events(pipeline_id, [e.event_id for e in page.events])
        new = [e for e in page.events if e.event_id not in known]
        ctx.store.put_events([record_of(EventRecord, e) for e in new])
        _put_summaries(ctx, {e.update_id for e in new if e.update_id})
        found += page.events
        token = page.next_page_token
        if token is None:
            break
    return found, token


def _put_summaries(ctx: CollectContext, update_ids: Iterable[str]) -> None:
    ends: dict[str, datetime] = {}
    generated: list[str] = []
    for update_id in update_ids:
        events = ctx.store.events(update_id=update_id, event_types=SUMMARIZED, limit=100_000)
        found = summarize(update_id, events)
        ctx.store.put_flows(found.flows, found.expectations)
        if found.ended_at is not None:
            ends[update_id] = found.ended_at
        if found.generated:
            generated.append(update_id)
    ctx.store.put_update_ends(ends)
    ctx.store.mark_generated(generated)
