"""Updates of one pipeline, and the job run that started each."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.collect.context import BEGINNING, NEWER_PAGES, OLDER_PAGES, CollectContext, parsed_time
from app.collect.mapping import record_of
from app.collect.setups import store_setups
from app.config.migration import PipelineRef
from app.store.collected.records import UpdateRecord
from databricks_client.errors import WorkspaceError
from databricks_client.pipelines import Update


def read_updates(ctx: CollectContext, ref: PipelineRef) -> str | None:
    """Pipeline updates: new and active ones first, then a part of the older history."""
    source, pipeline_id = f"updates:{ref.environment}", ctx.pipeline_id(ref)
    cursor = ctx.store.cursor(source)
    if cursor.get("pipeline_id") != pipeline_id:
        cursor = {"pipeline_id": pipeline_id}
    until = parsed_time(cursor.get("open_since")) or parsed_time(cursor.get("newest"))
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
        # The list can be read only from its newest end, page by page: the next turn continues at this page.
        cursor["older"] = token
    elif cursor.get("older"):
        cursor["older"] = _older_updates(ctx, ref, pipeline_id, cursor["older"])
    _link_by_time(ctx, BEGINNING)
    ctx.store.set_cursor(source, cursor)
    return "older updates are not read yet" if cursor.get("older") else None


def _older_updates(ctx: CollectContext, ref: PipelineRef, pipeline_id: str, token: str | None) -> str | None:
    for _ in range(OLDER_PAGES):
        if token is None:
            break
        ctx.check()
        try:
            page = ctx.workspace.pipelines.updates_page(pipeline_id, page_token=token)
        except WorkspaceError as e:
            if e.status == 400:  # The token has expired: start again from the newest end.
                page = ctx.workspace.pipelines.updates_page(pipeline_id)
            else:
                raise
        ctx.store.put_updates([_update_record(ref, u) for u in page.updates])
        token = page.next_page_token
    return token


def _link_by_time(ctx: CollectContext, since: datetime) -> None:
    ctx.store.put_update_runs(dict(ctx.store.updates_without_run(since)))


def read_links(ctx: CollectContext) -> str | None:
    """The job run that started each update, from the platform's timeline of updates; and the setup of each run."""
    source = "links"
    _link_by_time(ctx, BEGINNING)
    cursor = ctx.store.cursor(source)
    started = ctx.clock()
    # Before the query, which a principal may not be allowed to send.
    store_setups(ctx, cursor, started)
    ctx.store.set_cursor(source, cursor)
    since = parsed_time(cursor.get("since")) or BEGINNING
    task_runs = ctx.workspace.lineage.update_task_runs(list(ctx.existing_pipelines()), since)
    runs = ctx.store.run_of_task(set(task_runs.values()))
    ctx.store.put_update_runs({u: runs[t] for u, t in task_runs.items() if t in runs})
    ctx.store.set_cursor(source, {**cursor, "since": (started - timedelta(days=2)).isoformat()})
    return None


def _update_record(ref: PipelineRef, update: Update) -> UpdateRecord:
    # End and duration come from the event log, the job run from the platform's timeline.
    return record_of(
        UpdateRecord,
        update,
        pipeline_name=ref.name,
        environment=ref.environment,
        start_time=update.created,
        end_time=None,
        seconds=None,
        job_run_id=None,
    )
