"""Keeps and reads what the worker collected from the workspace."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select
from sqlalchemy import insert as plain_insert
from sqlalchemy import update as plain_update

from app.store.base import Repository, UtcDateTime, now
from app.store.collected.costs import CostsReading
from app.store.collected.event_search import EventSearch
from app.store.collected.records import (
    AttemptRecord,
    ColumnRecord,
    ConsumerRecord,
    EventRecord,
    ExpectationRecord,
    FlowRecord,
    JobRunRecord,
    PipelineRecord,
    ScheduleRecord,
    Snapshot,
    SourceStatus,
    TableRecord,
    TaskRunRecord,
    TryRecord,
    UpdateRecord,
    UsageRecord,
)
from app.store.collected.series import Series
from app.store.collected.sql import between, parts, rows_of, upsert
from app.store.collected.tables import (
    attempts_table,
    consumers_table,
    cursors_table,
    events_table,
    expectations_table,
    flows_table,
    pipelines_table,
    refreshes_table,
    runs_table,
    schedules_table,
    sources_table,
    tables_table,
    tasks_table,
    tries_table,
    updates_table,
    usage_table,
)
from app.store.collected.tries import TriesReading

# A pipeline task that started longer ago than this is not taken for the one that started an update.
_LONGEST_TASK = timedelta(days=2)


class CollectedRepository(CostsReading, TriesReading, EventSearch, Series, Repository):
    """Reads and writes what was collected. Writes are upserts: a record read twice is kept once, in its newest form.

    All methods raise StoreError when the store cannot be read or written.
    """

    _what = "what was collected"

    # ---------------------------------------------------------------------------------------------- writing (worker)

    def put_runs(
        self,
        runs: Sequence[JobRunRecord],
        tasks: Sequence[TaskRunRecord] = (),
        attempts: Sequence[AttemptRecord] = (),
        tries: Sequence[TryRecord] = (),
    ) -> None:
        """Keeps runs and tasks, together or not at all. A task's error, once known, stays with its try; repairs and
        tries, once known, stay."""
        with self._write() as c:
            upsert(
                c,
                runs_table,
                rows_of(runs),
                keep=("first_result", "attempt_seconds", "setup_seconds"),
                grow=("repairs", "tries_read"),
            )
            upsert(c, tasks_table, rows_of(tasks), keep=("error",), grow=("tries",), same="task_run_id")
            upsert(c, attempts_table, rows_of(attempts))
            upsert(c, tries_table, rows_of(tries), keep=("error",))

    def put_setups(self, seconds: Mapping[int, float]) -> None:
        """Sets how long runs only waited for their compute: run id -> seconds."""
        with self._write() as c:
            for run_id, value in seconds.items():
                c.execute(plain_update(runs_table).where(runs_table.c.run_id == run_id).values(setup_seconds=value))

    def put_updates(self, updates: Sequence[UpdateRecord]) -> None:
        """Keeps updates. Their end, the job run that started them and that they are generated, once known, stay."""
        rows = rows_of(updates)
        for row in rows:
            row["refresh_selection"] = list(row["refresh_selection"])
            row["full_refresh_selection"] = list(row["full_refresh_selection"])
        with self._write() as c:
            upsert(c, updates_table, rows, keep=("end_time", "seconds", "job_run_id"), once_true=("generated",))

    def put_update_ends(self, ends: Mapping[str, datetime]) -> None:
        """Sets when updates ended (from the event log), and with it their seconds."""
        with self._write() as c:
            for part in parts(list(ends)):
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
            for part in parts(list(update_ids)):
                c.execute(plain_update(updates_table).where(updates_table.c.update_id.in_(part)).values(generated=True))

    def put_events(self, events: Sequence[EventRecord]) -> None:
        """Keeps events."""
        rows = rows_of(events)
        for row in rows:
            row["details"] = dict(row["details"])
            row["error"] = None if row["error"] is None else dict(row["error"])
        with self._write() as c:
            upsert(c, events_table, rows)

    def known_events(self, pipeline_id: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the ids that are kept already."""
        found: set[str] = set()
        t = events_table.c
        for part in parts(list(event_ids)):
            query = select(t.event_id).where(t.pipeline_id == pipeline_id, t.event_id.in_(part))
            found.update(str(r.event_id) for r in self._all(query))
        return found

    def put_flows(self, flows: Sequence[FlowRecord], expectations: Sequence[ExpectationRecord]) -> None:
        """Keeps flows and expectation results, together or not at all."""
        rows = rows_of(flows)
        for row in rows:
            row["inputs"] = None if row["inputs"] is None else list(row["inputs"])
        with self._write() as c:
            upsert(c, flows_table, rows, keep=("inputs",))
            upsert(c, expectations_table, rows_of(expectations))

    def put_usage(self, usage: Sequence[UsageRecord]) -> None:
        """Keeps billing records; one that was read before is replaced, so a late price or correction takes effect."""
        with self._write() as c:
            upsert(c, usage_table, rows_of(usage))

    def put_tables(self, tables: Sequence[TableRecord]) -> None:
        """Keeps table states."""
        rows = rows_of(tables)
        for row in rows:
            row["columns"] = [asdict(c) for c in row["columns"]]
            row["grants"] = [list(g) for g in row["grants"]]
            row["hangers"] = dict(row["hangers"])
        with self._write() as c:
            upsert(c, tables_table, rows)

    def put_schedules(self, schedules: Sequence[ScheduleRecord]) -> None:
        """Keeps each side's job: its definition and what starts it."""
        rows = rows_of(schedules)
        for row in rows:
            row["definition"] = dict(row["definition"])
        with self._write() as c:
            upsert(c, schedules_table, rows)

    def put_pipelines(self, pipelines: Sequence[PipelineRecord]) -> None:
        """Keeps pipeline definitions."""
        rows = rows_of(pipelines)
        for row in rows:
            row["configuration"], row["definition"] = dict(row["configuration"]), dict(row["definition"])
        with self._write() as c:
            upsert(c, pipelines_table, rows)

    def put_consumers(self, consumers: Sequence[ConsumerRecord]) -> None:
        """Keeps consumers; `reads` are those within the time that was read last."""
        with self._write() as c:
            upsert(c, consumers_table, rows_of(consumers))

    def cursor(self, source: str) -> dict[str, Any]:
        """Where the collection of a source is; empty before its first."""
        found = self._one(select(cursors_table.c.cursor).where(cursors_table.c.source == source))
        return {} if found is None else dict(found[0])

    def set_cursor(self, source: str, cursor: Mapping[str, Any]) -> None:
        """Moves a source's cursor."""
        with self._write() as c:
            upsert(c, cursors_table, [{"source": source, "cursor": dict(cursor)}])

    def forget_cursors(self) -> None:
        """Has every source read from its beginning again; what was collected stays."""
        with self._write() as c:
            c.execute(delete(cursors_table))

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
            "next_attempt": None,
        }
        with self._write() as c:
            upsert(c, sources_table, [row])

    def source_failed(
        self,
        source: str,
        at: datetime,
        interval_seconds: float,
        error: str,
        next_attempt: Callable[[int], datetime | None] = lambda _: None,
    ) -> int:
        """Records that reading a source failed; gives how often in a row. Its last success stays.

        next_attempt: when it is read again after so many failures in a row.
        """
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
                "next_attempt": next_attempt(failures),
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
            sources=self.sources(),
            schedules=self.schedules(),
            pipelines=self.pipelines(),
            tables=self.tables(),
            runs=tuple(sorted(found, key=lambda r: (r.start_time, r.run_id), reverse=True)),
            updates=tuple(self.updates(since=since, limit=updates)),
        )

    def run_counts(self, since: datetime) -> tuple[int, int]:
        """Number of measured and of generated runs of both sides that started since then."""
        t = runs_table.c
        return self._counts(t.generated, t.start_time >= since, t.side.in_(("baseline", "candidate")))

    def update_counts(self, since: datetime) -> tuple[int, int]:
        """Number of measured and of generated updates that were requested since then."""
        t = updates_table.c
        return self._counts(t.generated, t.start_time >= since)

    def _counts(self, generated: ColumnElement[bool], *conditions: ColumnElement[bool]) -> tuple[int, int]:
        columns: tuple[Any, ...] = (generated, func.count().label("number"))
        query = select(*columns).where(*conditions).group_by(generated)
        found = {bool(r[0]): int(r.number) for r in self._all(query)}
        return found.get(False, 0), found.get(True, 0)

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
        query = between(select(runs_table), t.start_time, since, until)
        if side is not None:
            query = query.where(t.side == side)
        if states:
            query = query.where(func.coalesce(t.result_state, t.life_cycle_state).in_(list(states)))
        query = query.order_by(t.start_time.desc(), t.run_id.desc()).limit(limit)
        return [JobRunRecord(**r._mapping) for r in self._all(query)]

    def successful_runs(self, side: str, since: datetime) -> list[tuple[str, datetime]]:
        """Id and end of each run that ended with success after `since`, in any order; generated ones are left out."""
        t = runs_table.c
        query = select(t.run_id, t.end_time).where(
            t.side == side, t.result_state == "SUCCESS", t.generated.is_(False), t.end_time > since
        )
        return [(str(r.run_id), r.end_time) for r in self._all(query)]

    def completed_updates(self, environment: str, since: datetime) -> list[tuple[str, datetime]]:
        """Id and end of each completed update after `since`, in any order; generated and validating ones are left out.

        The event log says when an update ended, perhaps late: until then it counts with its start, as it did not end
        before that.
        """
        t = updates_table.c
        ended = func.coalesce(t.end_time, t.start_time, type_=UtcDateTime)
        query = select(t.update_id, ended.label("ended_at")).where(
            t.environment == environment, t.state == "COMPLETED", t.generated.is_(False), t.validate_only.is_(False),
            ended > since,
        )  # fmt: skip
        return [(r.update_id, r.ended_at) for r in self._all(query)]

    def complete_until(self, source: str) -> datetime | None:
        """Up to when a source was read completely; None where older history of it is still to come."""
        s = sources_table.c
        found = self._one(select(s.last_success).where(s.source == source, s.backlog.is_(None)))
        return None if found is None else found.last_success

    def run(self, run_id: int) -> JobRunRecord | None:
        """One run."""
        found = self._one(select(runs_table).where(runs_table.c.run_id == run_id))
        return None if found is None else JobRunRecord(**found._mapping)

    def tasks(self, run_ids: Collection[int]) -> dict[int, list[TaskRunRecord]]:
        """Tasks of runs, in the order in which they started (those that did not start last)."""
        found: dict[int, list[TaskRunRecord]] = {run_id: [] for run_id in run_ids}
        for part in parts(list(run_ids)):
            query = select(tasks_table).where(tasks_table.c.run_id.in_(part))
            for row in self._all(query):
                found[row.run_id].append(TaskRunRecord(**row._mapping))
        for tasks in found.values():
            tasks.sort(key=lambda t: (t.start is None, t.start or now(), t.task_key))
        return found

    def run_of_task(self, task_run_ids: Collection[int]) -> dict[int, int]:
        """Task run id -> job run id, of every try of a task."""
        found: dict[int, int] = {}
        for part in parts(list(task_run_ids)):
            for t in (tasks_table.c, tries_table.c):
                query = select(t.task_run_id, t.run_id).where(t.task_run_id.in_(part))
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
        """Updates requested within [since, until), newest first."""
        t = updates_table.c
        query = between(select(updates_table), t.start_time, since, until)
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

    def newest_end(self) -> datetime | None:
        """When the newest of the runs and updates that have ended did; None where none has."""
        ends = [self._one(select(func.max(t.c.end_time))) for t in (runs_table, updates_table)]
        return max((row[0] for row in ends if row is not None and row[0] is not None), default=None)

    def updates_without_run(self, since: datetime, limit: int = 5000) -> list[tuple[str, int]]:
        """(update, job run) for updates whose job run is not known yet and that were requested while a task ran their
        pipeline: a pipeline has one active update at a time, so the task that ran then started it."""
        u = updates_table.c
        lone = self._all(
            select(u.update_id, u.pipeline_id, u.start_time)
            .where(u.job_run_id.is_(None), u.cause == "JOB_TASK", u.start_time >= since)
            .order_by(u.start_time.desc())
            .limit(limit)
        )
        found: list[tuple[str, int]] = []
        for pipeline_id in {r.pipeline_id for r in lone}:
            unassigned = [(r.start_time, str(r.update_id)) for r in lone if r.pipeline_id == pipeline_id]
            tasks = sorted(
                (
                    r
                    for t in (tasks_table.c, tries_table.c)
                    for r in self._all(
                        select(t.start, t.end, t.run_id)
                        .where(t.pipeline_id == pipeline_id, t.start.is_not(None), t.start <= max(unassigned)[0])
                        .where(t.start >= min(unassigned)[0] - _LONGEST_TASK)
                    )
                ),
                key=lambda r: r.start,
            )
            starts = [r.start for r in tasks]
            for at, update_id in unassigned:
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
        query = between(select(events_table), t.timestamp, since, before)
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
        for part in parts(list(update_ids)):
            for row in self._all(select(flows_table).where(flows_table.c.update_id.in_(part))):
                found[row.update_id].append(_flow(row))
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
        for part in parts(list(update_ids)) if update_ids else [[]]:
            query = between(select(expectations_table), t.timestamp, since, None)
            if part:
                query = query.where(t.update_id.in_(part))
            query = query.order_by(t.timestamp.desc()).limit(limit)
            found += [ExpectationRecord(**r._mapping) for r in self._all(query)]
        return sorted(found, key=lambda e: (e.timestamp, e.dataset, e.name))

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


def _update(row: Row[Any]) -> UpdateRecord:
    values = dict(row._mapping)
    values["refresh_selection"] = tuple(values["refresh_selection"])
    values["full_refresh_selection"] = tuple(values["full_refresh_selection"])
    return UpdateRecord(**values)


def _flow(row: Row[Any]) -> FlowRecord:
    values = dict(row._mapping)
    values["inputs"] = None if values["inputs"] is None else tuple(values["inputs"])
    return FlowRecord(**values)


def _table_record(row: Row[Any]) -> TableRecord:
    values = dict(row._mapping)
    values["columns"] = tuple(ColumnRecord(**c) for c in values["columns"])
    values["grants"] = tuple((g[0], g[1]) for g in values["grants"])
    return TableRecord(**values)
