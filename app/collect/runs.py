"""Job runs of one side, with their tasks, the errors of failed tasks, and what retries and repairs changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from app.collect.context import BEGINNING, NEWER_PAGES, OLDER_PAGES, CollectContext, parsed_time
from app.collect.mapping import record_of
from app.store.collected.records import AttemptRecord, JobRunRecord, TaskRunRecord, TryRecord
from databricks_client.errors import WorkspaceError
from databricks_client.job_runs import JobRun, RunAttempt

# Errors of failed tasks are read one by one; this is the limit for one turn.
TASK_ERRORS = 25

HISTORIES = 10
"""Runs with repeated tasks whose history is read in one turn, one call each."""

REPAIRABLE = timedelta(days=30)
"""How long after its start a run that did not succeed is looked at again, one run a turn: it may have been repaired."""

UNSUCCESSFUL = ("FAILED", "TIMEDOUT", "CANCELED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED", "INTERNAL_ERROR",
                "MAXIMUM_CONCURRENT_RUNS_REACHED")  # fmt: skip


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
    if not first:
        _repaired_runs(ctx, side, job_id, cursor)
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
    for run_id in ctx.store.runs_without_history(side, HISTORIES):
        _history(ctx, side, run_id)
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


def _repaired_runs(ctx: CollectContext, side: str, job_id: int, cursor: dict[str, Any]) -> None:
    """Reads ended runs again that are repaired now or may have been: a list of newer runs does not show them.

    A run under repair is in the list of active runs; when it leaves that list, it is read with its history. A repair
    that began and ended between two turns is found on runs that had failed, one of which is read in each turn.
    """
    ctx.check()
    active = ctx.workspace.jobs.active_runs(job_id, tasks=True)
    before = set(cursor.get("repairing") or ())
    repairing = {r.run_id for r in active if r.run_id in before or _ended(ctx, r.run_id)}
    _put_runs(ctx, side, [r for r in active if r.run_id in repairing])
    again = sorted(before - repairing)
    cursor["repairing"] = sorted(repairing)
    found = ctx.store.runs(side, since=ctx.clock() - REPAIRABLE, states=UNSUCCESSFUL)
    failed = [r.run_id for r in found if not r.generated and r.run_id not in again]
    if failed:
        # In turn, the newest first: the one after the run that was read last.
        at = failed.index(cursor["checked"]) + 1 if cursor.get("checked") in failed else 0
        cursor["checked"] = failed[at % len(failed)]
        again.append(cursor["checked"])
    for run_id in again:
        _history(ctx, side, run_id)


def _ended(ctx: CollectContext, run_id: int) -> bool:
    known = ctx.store.run(run_id)
    return known is not None and not known.active


def _history(ctx: CollectContext, side: str, run_id: int) -> None:
    """Reads a run with every try of its tasks and its repairs. A run that no longer exists keeps what is known."""
    ctx.check()
    try:
        run = ctx.workspace.jobs.run(run_id, history=True)
    except WorkspaceError as e:
        if e.not_found or e.status == 400:  # The service keeps runs for a limited time, and people delete some.
            ctx.store.history_gone(run_id)
            return
        raise
    _put_runs(ctx, side, [run])


def _put_runs(ctx: CollectContext, side: str, runs: Iterable[JobRun]) -> None:
    records: list[JobRunRecord] = []
    tasks: list[TaskRunRecord] = []
    attempts: list[AttemptRecord] = []
    tries: list[TryRecord] = []
    errors_left = TASK_ERRORS
    for run in runs:
        records.append(_run_record(side, run))
        attempts += [record_of(AttemptRecord, a, run_id=run.run_id) for a in run.attempts or ()]
        tries += [record_of(TryRecord, t, run_id=run.run_id) for t in run.earlier]
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
            tasks.append(
                record_of(TaskRunRecord, task, run_id=run.run_id, error=error, tries=_tries(run, task.task_key))
            )
    ctx.store.put_runs(records, tasks, attempts, tries)


def _tries(run: JobRun, task_key: str) -> int:
    """Tries of a task: by the number of its newest one, or as many as the run shows."""
    newest = next(t for t in run.tasks if t.task_key == task_key)
    return max(newest.attempt, sum(t.task_key == task_key for t in run.earlier)) + 1


def _task_error(ctx: CollectContext, task_run_id: int) -> str | None:
    try:
        return ctx.workspace.jobs.task_error(task_run_id)
    except WorkspaceError as e:
        if e.retryable:
            raise
        return None  # Some kinds of task have no output; the state's message remains.


def _run_record(side: str, run: JobRun) -> JobRunRecord:
    repairs = (run.attempts or ())[1:]
    first = run.attempts[0] if run.attempts and repairs else None
    repeated = [n for t in run.tasks if (n := _tries(run, t.task_key)) > 1]
    return record_of(
        JobRunRecord,
        run,
        setup_seconds=None,
        side=side,
        start_time=run.start,
        end_time=run.end,
        run_page_url=run.url,
        repairs=len(repairs),
        first_result=_first_result(run, first) if first else None,
        attempt_seconds=_together(run.attempts or ()) if repairs and not run.active else None,
        tries_read=0 if run.attempts is None or run.active else sum(repeated),
    )


def _first_result(run: JobRun, first: RunAttempt) -> str | None:
    """How the original attempt ended: as the service says, else by the tries that had started before the repair."""
    if first.state is not None:
        return first.state
    assert run.attempts is not None
    repaired = run.attempts[1].start
    before = [t for t in run.earlier if t.start and repaired and t.start < repaired]
    newest = {t.task_key: t.state for t in before}
    return "FAILED" if any(state in UNSUCCESSFUL for state in newest.values()) else None


def _together(attempts: Iterable[RunAttempt]) -> float | None:
    """Seconds of all attempts, without the pauses between them; None where one of them is unknown."""
    found = [a.seconds for a in attempts]
    return None if None in found else sum(s for s in found if s is not None)
