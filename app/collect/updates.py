"""Updates of one pipeline, and which job run started each."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.collect.context import BEGINNING, NEWER_PAGES, OLDER_PAGES, CollectContext, moment
from app.config.migration import PipelineRef
from app.store.collected.records import UpdateRecord
from databricks_client.errors import WorkspaceError
from databricks_client.pipelines import Update


def read_updates(ctx: CollectContext, ref: PipelineRef) -> str | None:
    """Pipeline updates: what is new or was still running, then a part of what is older."""
    source, pipeline_id = f"updates:{ref.environment}", ctx.pipeline_id(ref)
    cursor = ctx.store.cursor(source)
    if cursor.get("pipeline_id") != pipeline_id:
        cursor = {"pipeline_id": pipeline_id}
    until = moment(cursor.get("open_since")) or moment(cursor.get("newest"))
    first, token = until is None, None
    seen: list[Update] = []
    for _ in range(OLDER_PAGES if first else NEWER_PAGES):
        ctx.check()
        page = ctx.workspace.pipelines.updates_page(pipeline_id, page_token=token)
        ctx.store.put_updates([_update_record(ref, u) for u in page.updates])
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
        cursor["older"] = _older_updates(ctx, ref, pipeline_id, cursor["older"])
    _link_by_time(ctx, BEGINNING)
    ctx.store.set_cursor(source, cursor)
    return "older updates are still to come" if cursor.get("older") else None


def _older_updates(ctx: CollectContext, ref: PipelineRef, pipeline_id: str, token: str | None) -> str | None:
    for _ in range(OLDER_PAGES):
        if token is None:
            break
        ctx.check()
        try:
            page = ctx.workspace.pipelines.updates_page(pipeline_id, page_token=token)
        except WorkspaceError as e:
            if e.status == 400:  # The token is too old: begin again from the newest end, in larger steps.
                page = ctx.workspace.pipelines.updates_page(pipeline_id)
            else:
                raise
        ctx.store.put_updates([_update_record(ref, u) for u in page.updates])
        token = page.next_page_token
    return token


def _link_by_time(ctx: CollectContext, since: datetime) -> None:
    ctx.store.put_update_runs(dict(ctx.store.updates_without_run(since)))


def read_links(ctx: CollectContext) -> str | None:
    """Which job run started which update, as the platform's timeline of updates has it."""
    source = "links"
    _link_by_time(ctx, BEGINNING)
    cursor = ctx.store.cursor(source)
    began = ctx.clock()
    since = moment(cursor.get("since")) or BEGINNING
    ids = [ctx.pipeline_id(ref) for ref in ctx.migration.pipelines]
    task_runs = ctx.workspace.lineage.update_task_runs(ids, since)
    runs = ctx.store.run_of_task(set(task_runs.values()))
    ctx.store.put_update_runs({u: runs[t] for u, t in task_runs.items() if t in runs})
    ctx.store.set_cursor(source, {"since": (began - timedelta(days=2)).isoformat()})
    return None


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
