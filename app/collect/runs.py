"""Job runs of one side, with their tasks and the errors of failed tasks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.collect.context import BEGINNING, NEWER_PAGES, OLDER_PAGES, CollectContext, parsed_time
from app.collect.mapping import record_of
from app.store.collected.records import JobRunRecord, TaskRunRecord
from databricks_client.errors import WorkspaceError
from databricks_client.jobs import JobRun

# Errors of failed tasks are read one by one; this is the limit for one turn.
TASK_ERRORS = 25


def read_runs(ctx: CollectContext, side: str) -> str | None:
    """Job runs with their tasks: new and active ones first, then a part of the older history."""
    source, job_id = f"runs:{side}", ctx.job_id(side)
    cursor = ctx.store.cursor(source)
    if cursor.get("job_id") != job_id:
        cursor = {"job_id": job_id}
    newest = parsed_time(cursor.get("newest"))
    first = newest is None
    token: str | None = None
    open_since: datetime | None = None
    seen: list[JobRun] = []
    for _ in range(OLDER_PAGES if first else NEWER_PAGES):
        ctx.check()
        start_from = None if first else parsed_time(cursor.get("open_since")) or newest
        page = ctx.workspace.jobs.runs_page(job_id, start_from=start_from, page_token=token)
        _put_runs(ctx, side, page.runs)
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
        # The turn did not reach the runs known before: those in between become older history.
        cursor["oldest"], cursor["complete"] = min(r.start for r in seen).isoformat(), False
    cursor["open_since"] = open_since.isoformat() if open_since else None
    if first and seen:
        cursor["oldest"], cursor["complete"] = min(r.start for r in seen).isoformat(), token is None
    elif first:
        # There is no run yet: every later one is new.
        cursor["newest"], cursor["complete"] = BEGINNING.isoformat(), True
    elif not cursor.get("complete", True):
        _older_runs(ctx, side, job_id, cursor)
    ctx.store.set_cursor(source, cursor)
    return None if cursor.get("complete", True) else f"runs before {cursor['oldest'][:10]} are not read yet"


def _older_runs(ctx: CollectContext, side: str, job_id: int, cursor: dict[str, Any]) -> None:
    token: str | None = None
    oldest = parsed_time(cursor["oldest"]) or BEGINNING
    for _ in range(OLDER_PAGES):
        ctx.check()
        page = ctx.workspace.jobs.runs_page(job_id, start_to=parsed_time(cursor["oldest"]), page_token=token)
        _put_runs(ctx, side, page.runs)
        oldest = min([oldest, *(r.start for r in page.runs)])
        token = page.next_page_token
        if token is None:
            cursor["complete"] = True
            break
    cursor["oldest"] = oldest.isoformat()


def _put_runs(ctx: CollectContext, side: str, runs: Iterable[JobRun]) -> None:
    records, tasks = [], []
    errors_left = TASK_ERRORS
    for run in runs:
        records.append(_run_record(side, run))
        known = None
        for task in run.tasks:
            error = task.error
            if task.state in ("FAILED", "TIMEDOUT") and not run.generated and errors_left:
                if known is None:
                    known = {t.task_key: t for t in ctx.store.tasks([run.run_id])[run.run_id]}
                before = known.get(task.task_key)
                if before is not None and before.task_run_id == task.task_run_id and before.error:
                    error = before.error
                else:
                    errors_left -= 1
                    error = _task_error(ctx, task.task_run_id) or error
            tasks.append(record_of(TaskRunRecord, task, run_id=run.run_id, error=error))
    ctx.store.put_runs(records, tasks)


def _task_error(ctx: CollectContext, task_run_id: int) -> str | None:
    try:
        return ctx.workspace.jobs.task_error(task_run_id)
    except WorkspaceError as e:
        if e.retryable:
            raise
        return None  # Some kinds of task have no output; the state's message remains.


def _run_record(side: str, run: JobRun) -> JobRunRecord:
    return record_of(JobRunRecord, run, side=side, start_time=run.start, end_time=run.end, run_page_url=run.url)
