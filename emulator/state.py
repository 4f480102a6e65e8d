"""What the local workspace remembers: one SQLite file, typed records in and out, safe across threads and a kill."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from emulator.folder import private_file
from emulator.records import (
    ACTIVE_RUN,
    ACTIVE_UPDATE,
    Event,
    Job,
    Json,
    Pipeline,
    Principal,
    Run,
    TaskRun,
    Token,
    Update,
    Warehouse,
    WorkspaceObject,
    new_number,
    now_ms,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS principals (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, display_name TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1, external_id TEXT, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS members (group_id INTEGER NOT NULL, member_id INTEGER NOT NULL, PRIMARY KEY (group_id,
member_id));
CREATE TABLE IF NOT EXISTS tokens (
  token_id TEXT PRIMARY KEY, secret TEXT NOT NULL UNIQUE, principal_id INTEGER NOT NULL, comment TEXT NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER);
CREATE TABLE IF NOT EXISTS jobs (
  job_id INTEGER PRIMARY KEY, creator TEXT NOT NULL, created_ms INTEGER NOT NULL, name TEXT NOT NULL, settings TEXT
  NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  run_id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, start_ms INTEGER NOT NULL, life_cycle_state TEXT NOT NULL,
  trigger TEXT NOT NULL, generated INTEGER NOT NULL, idempotency_token TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job_id, start_ms DESC, run_id DESC);
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (start_ms DESC, run_id DESC);
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_token ON runs (job_id, idempotency_token) WHERE idempotency_token IS NOT NULL;
CREATE TABLE IF NOT EXISTS task_runs (
  run_id INTEGER PRIMARY KEY, parent_run_id INTEGER NOT NULL, ordinal INTEGER NOT NULL, life_cycle_state TEXT NOT NULL,
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS task_runs_by_parent ON task_runs (parent_run_id, ordinal);
CREATE TABLE IF NOT EXISTS pipelines (
  pipeline_id TEXT PRIMARY KEY, creator TEXT NOT NULL, created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL,
  name TEXT NOT NULL, spec TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS updates (
  update_id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL, created_ms INTEGER NOT NULL, state TEXT NOT NULL,
  generated INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS updates_by_pipeline ON updates (pipeline_id, created_ms DESC, update_id DESC);
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, pipeline_id TEXT NOT NULL, update_id TEXT,
  timestamp_ms INTEGER NOT NULL, level TEXT NOT NULL, event_type TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_pipeline ON events (pipeline_id, timestamp_ms DESC, seq DESC);
CREATE INDEX IF NOT EXISTS events_by_update ON events (update_id);
CREATE TABLE IF NOT EXISTS queries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, query_id TEXT NOT NULL UNIQUE, user_name TEXT NOT NULL, user_id INTEGER,
  warehouse_id TEXT NOT NULL, status TEXT NOT NULL, start_ms INTEGER NOT NULL, is_final INTEGER NOT NULL,
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS queries_open ON queries (is_final) WHERE is_final = 0;
CREATE TABLE IF NOT EXISTS permissions (
  object_type TEXT NOT NULL, object_id TEXT NOT NULL, principal_kind TEXT NOT NULL, principal TEXT NOT NULL,
  level TEXT NOT NULL, PRIMARY KEY (object_type, object_id, principal_kind, principal));
CREATE TABLE IF NOT EXISTS warehouses (id TEXT PRIMARY KEY, creator TEXT NOT NULL, state TEXT NOT NULL, settings TEXT
NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
  path TEXT PRIMARY KEY, object_id INTEGER NOT NULL UNIQUE, object_type TEXT NOT NULL, language TEXT,
  created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS records (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id));
"""


KEPT_QUERIES = 20_000
"""Statements that the query history keeps."""


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _dump_record(record: Run | TaskRun | Update) -> str:
    """As `_dump(asdict(record))`, which would copy all settings of a run's job first."""
    return json.dumps(vars(record), separators=(",", ":"), ensure_ascii=False, default=asdict)


class State:
    """The workspace's records on disk.

    Every public method is one transaction; `transaction()` groups several. WAL, synchronous=NORMAL: what a method has
    returned from survives a kill of the process (a power cut may lose the last commits, never corrupt the file).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(private_file(path), check_same_thread=False, isolation_level=None, timeout=30)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the file; no method may be called afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside becomes visible at once or not at all; may be nested, the outermost decides."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._db
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
            return row

    # -- small values ------------------------------------------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """A remembered text, e.g. the bootstrap's progress."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return row["value"] if row else None

    def set_meta(self, key: str, value: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # -- principals, tokens ------------------------------------------------------------------------------------------

    def create_principal(
        self, kind: str, name: str, display_name: str, external_id: str | None = None, id: int | None = None
    ) -> Principal:
        """Raises ValueError if one of that kind and name exists."""
        with self.transaction() as db:
            if self._one("SELECT 1 FROM principals WHERE kind = ? AND name = ?", kind, name):
                raise ValueError(f"{kind} {name} exists already")
            id = id or new_number()
            db.execute(
                "INSERT INTO principals (id, kind, name, display_name, external_id) VALUES (?, ?, ?, ?, ?)",
                (id, kind, name, display_name, external_id),
            )
        found = self.principal(id)
        assert found is not None
        return found

    def update_principal(self, id: int, *, display_name: str | None = None, active: bool | None = None) -> None:
        with self.transaction() as db:
            if display_name is not None:
                db.execute("UPDATE principals SET display_name = ? WHERE id = ?", (display_name, id))
            if active is not None:
                db.execute("UPDATE principals SET active = ? WHERE id = ?", (int(active), id))

    def delete_principal(self, id: int) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM members WHERE group_id = ? OR member_id = ?", (id, id))
            db.execute("DELETE FROM tokens WHERE principal_id = ?", (id,))
            db.execute("DELETE FROM principals WHERE id = ?", (id,))

    def _principal(self, row: sqlite3.Row) -> Principal:
        groups = self._all(
            """WITH RECURSIVE up(id) AS (
                 SELECT group_id FROM members WHERE member_id = ?
                 UNION SELECT m.group_id FROM members m JOIN up ON m.member_id = up.id)
               SELECT name FROM principals WHERE id IN (SELECT id FROM up)""",
            row["id"],
        )
        return Principal(
            row["id"],
            row["kind"],
            row["name"],
            row["display_name"],
            bool(row["active"]),
            row["external_id"],
            frozenset(g["name"] for g in groups),
        )

    def principal(self, id: int) -> Principal | None:
        row = self._one("SELECT * FROM principals WHERE id = ?", id)
        return self._principal(row) if row else None

    def principal_named(self, name: str, kind: str | None = None) -> Principal | None:
        """A principal by its name, of that kind or any; users first, then service principals, then groups."""
        rows = self._all("SELECT * FROM principals WHERE name = ? COLLATE NOCASE", name)
        order = ("user", "service_principal", "group")
        for row in sorted(rows, key=lambda r: order.index(r["kind"])):
            if kind in (None, row["kind"]):
                return self._principal(row)
        return None

    def principals(self, kind: str) -> list[Principal]:
        return [self._principal(r) for r in self._all("SELECT * FROM principals WHERE kind = ? ORDER BY name", kind)]

    def add_member(self, group_id: int, member_id: int) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (group_id, member_id))

    def remove_member(self, group_id: int, member_id: int) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM members WHERE group_id = ? AND member_id = ?", (group_id, member_id))

    def members(self, group_id: int) -> list[Principal]:
        rows = self._all(
            "SELECT p.* FROM principals p JOIN members m ON m.member_id = p.id WHERE m.group_id = ? ORDER BY p.name",
            group_id,
        )
        return [self._principal(r) for r in rows]

    def parents(self, member_id: int) -> list[Principal]:
        """The groups that hold this principal directly."""
        rows = self._all(
            "SELECT p.* FROM principals p JOIN members m ON m.group_id = p.id WHERE m.member_id = ? ORDER BY p.name",
            member_id,
        )
        return [self._principal(r) for r in rows]

    def create_token(self, principal_id: int, comment: str, lifetime_seconds: int | None = None) -> Token:
        created = now_ms()
        token = Token(
            uuid.uuid4().hex,
            "dapi" + secrets.token_hex(16),
            principal_id,
            comment,
            created,
            created + lifetime_seconds * 1000 if lifetime_seconds else None,
        )
        with self.transaction() as db:
            db.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)",
                (token.token_id, token.secret, principal_id, comment, token.created_ms, token.expires_ms),
            )
        return token

    def tokens(self, principal_id: int) -> list[Token]:
        return [
            Token(**dict(r))
            for r in self._all("SELECT * FROM tokens WHERE principal_id = ? ORDER BY created_ms", principal_id)
        ]

    def delete_token(self, token_id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM tokens WHERE token_id = ?", (token_id,))

    def principal_of_token(self, secret: str) -> Principal | None:
        """Who a bearer token belongs to; None for an unknown or expired token or an inactive principal."""
        row = self._one("SELECT principal_id, expires_ms FROM tokens WHERE secret = ?", secret)
        if row is None or (row["expires_ms"] is not None and row["expires_ms"] <= now_ms()):
            return None
        found = self.principal(row["principal_id"])
        return found if found and found.active else None

    # -- jobs --------------------------------------------------------------------------------------------------------

    def put_job(self, job: Job) -> None:
        """Creates the job or replaces the one with its id."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)",
                (job.job_id, job.creator, job.created_ms, job.name, _dump(job.settings)),
            )

    def job(self, job_id: int) -> Job | None:
        row = self._one("SELECT * FROM jobs WHERE job_id = ?", job_id)
        return Job(row["job_id"], row["creator"], row["created_ms"], json.loads(row["settings"])) if row else None

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""
        return [
            Job(r["job_id"], r["creator"], r["created_ms"], json.loads(r["settings"]))
            for r in self._all("SELECT * FROM jobs ORDER BY created_ms DESC, job_id DESC")
        ]

    def delete_job(self, job_id: int) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))

    # -- runs --------------------------------------------------------------------------------------------------------

    def put_runs(self, runs: Iterable[Run], tasks: Iterable[TaskRun] = ()) -> None:
        """Creates or replaces runs and task runs, in one transaction. Tasks of a run keep the order they first
        came in."""
        with self.transaction() as db:
            for run in runs:
                db.execute(
                    "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        run.run_id,
                        run.job_id,
                        run.start_ms,
                        run.life_cycle_state,
                        run.trigger,
                        int(run.generated),
                        run.idempotency_token,
                        _dump_record(run),
                    ),
                )
            for task in tasks:
                db.execute(
                    """INSERT INTO task_runs SELECT ?, ?, coalesce(max(ordinal), 0) + 1, ?, ? FROM task_runs
                       WHERE parent_run_id = ?
                       ON CONFLICT (run_id) DO UPDATE
                       SET life_cycle_state = excluded.life_cycle_state, body = excluded.body""",
                    (task.run_id, task.parent_run_id, task.life_cycle_state, _dump_record(task), task.parent_run_id),
                )

    def put_run(self, run: Run) -> Run:
        self.put_runs([run])
        return run

    def put_task(self, task: TaskRun) -> TaskRun:
        self.put_runs([], [task])
        return task

    @staticmethod
    def _run(row: sqlite3.Row) -> Run:
        body = json.loads(row["body"])
        return Run(**{**body, "only": tuple(body["only"]), "repairs": tuple(body["repairs"])})

    def run(self, run_id: int) -> Run | None:
        row = self._one("SELECT body FROM runs WHERE run_id = ?", run_id)
        return self._run(row) if row else None

    def run_of_token(self, job_id: int, idempotency_token: str) -> Run | None:
        row = self._one("SELECT body FROM runs WHERE job_id = ? AND idempotency_token = ?", job_id, idempotency_token)
        return self._run(row) if row else None

    def runs(
        self,
        *,
        job_id: int | None = None,
        active: bool | None = None,
        start_from_ms: int | None = None,
        start_to_ms: int | None = None,
        generated: bool | None = None,
        before: tuple[int, int] | None = None,
        after: tuple[int, int] | None = None,
        limit: int = -1,
    ) -> list[Run]:
        """Runs, newest first. before/after: (start_ms, run_id) of the row a page starts behind (in that direction)."""
        where, values = ["1"], []
        for clause, value in (
            ("job_id = ?", job_id),
            ("start_ms >= ?", start_from_ms),
            ("start_ms <= ?", start_to_ms),
            ("generated = ?", None if generated is None else int(generated)),
        ):
            if value is not None:
                where.append(clause)
                values.append(value)
        if active is not None:
            marks = ",".join("?" * len(ACTIVE_RUN))
            where.append(f"life_cycle_state {'' if active else 'NOT '}IN ({marks})")
            values.extend(ACTIVE_RUN)  # type: ignore[arg-type]
        order = "DESC"
        if before is not None:
            where.append("(start_ms, run_id) < (?, ?)")
            values.extend(before)
        if after is not None:
            where.append("(start_ms, run_id) > (?, ?)")
            values.extend(after)
            order = "ASC"
        rows = self._all(
            f"SELECT body FROM runs WHERE {' AND '.join(where)} ORDER BY start_ms {order}, run_id {order} LIMIT ?",
            *values,
            limit,
        )
        found = [self._run(r) for r in rows]
        return found[::-1] if after is not None else found

    def next_run_number(self, job_id: int) -> int:
        """The `number_in_job` of the next run: one more than the job has had."""
        row = self._one("SELECT count(*) AS n FROM runs WHERE job_id = ?", job_id)
        return int(row["n"]) + 1 if row else 1

    def delete_run(self, run_id: int) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            db.execute("DELETE FROM task_runs WHERE parent_run_id = ?", (run_id,))

    def task(self, run_id: int) -> TaskRun | None:
        row = self._one("SELECT body FROM task_runs WHERE run_id = ?", run_id)
        return TaskRun(**json.loads(row["body"])) if row else None

    def tasks(self, parent_run_id: int) -> list[TaskRun]:
        """Task runs of a job run in the order they were created, every attempt of every task."""
        rows = self._all("SELECT body FROM task_runs WHERE parent_run_id = ? ORDER BY ordinal", parent_run_id)
        return [TaskRun(**json.loads(r["body"])) for r in rows]

    # -- pipelines ---------------------------------------------------------------------------------------------------

    def put_pipeline(self, pipeline: Pipeline) -> None:
        """Creates the pipeline or replaces the one with its id."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO pipelines VALUES (?, ?, ?, ?, ?, ?)",
                (
                    pipeline.pipeline_id,
                    pipeline.creator,
                    pipeline.created_ms,
                    pipeline.modified_ms,
                    pipeline.name,
                    _dump(pipeline.spec),
                ),
            )

    @staticmethod
    def _pipeline(row: sqlite3.Row) -> Pipeline:
        return Pipeline(
            row["pipeline_id"], row["creator"], row["created_ms"], row["modified_ms"], json.loads(row["spec"])
        )

    def pipeline(self, pipeline_id: str) -> Pipeline | None:
        row = self._one("SELECT * FROM pipelines WHERE pipeline_id = ?", pipeline_id)
        return self._pipeline(row) if row else None

    def pipelines(self) -> list[Pipeline]:
        """All pipelines by name."""
        return [self._pipeline(r) for r in self._all("SELECT * FROM pipelines ORDER BY name, pipeline_id")]

    def delete_pipeline(self, pipeline_id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM pipelines WHERE pipeline_id = ?", (pipeline_id,))

    def put_updates(self, updates: Iterable[Update], events: Iterable[Event] = ()) -> None:
        """Creates or replaces updates and adds events, in one transaction."""
        with self.transaction() as db:
            for u in updates:
                db.execute(
                    "INSERT OR REPLACE INTO updates VALUES (?, ?, ?, ?, ?, ?)",
                    (u.update_id, u.pipeline_id, u.created_ms, u.state, int(u.generated), _dump_record(u)),
                )
            for e in events:
                db.execute(
                    """INSERT INTO events (event_id, pipeline_id, update_id, timestamp_ms, level, event_type, body)
                       VALUES (?, ?, ?, ?, ?, ?, ?)""",
                    (e.event_id, e.pipeline_id, e.update_id, e.timestamp_ms, e.level, e.event_type, _dump(e.body)),
                )

    def put_update(self, update: Update) -> Update:
        self.put_updates([update])
        return update

    def update(self, update_id: str) -> Update | None:
        row = self._one("SELECT body FROM updates WHERE update_id = ?", update_id)
        return Update(**json.loads(row["body"])) if row else None

    def updates(
        self,
        pipeline_id: str | None = None,
        *,
        active: bool | None = None,
        generated: bool | None = None,
        until_update_id: str | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Update]:
        """Updates, newest first. until_update_id: that update and older ones only."""
        where, values = ["1"], []
        if pipeline_id is not None:
            where.append("pipeline_id = ?")
            values.append(pipeline_id)
        if generated is not None:
            where.append("generated = ?")
            values.append(str(int(generated)))
        if active is not None:
            where.append(f"state {'' if active else 'NOT '}IN ({','.join('?' * len(ACTIVE_UPDATE))})")
            values.extend(ACTIVE_UPDATE)
        if until_update_id is not None:
            where.append("(created_ms, update_id) <= (SELECT created_ms, update_id FROM updates WHERE update_id = ?)")
            values.append(until_update_id)
        rows = self._all(
            f"""SELECT body FROM updates WHERE {" AND ".join(where)}
                ORDER BY created_ms DESC, update_id DESC LIMIT ? OFFSET ?""",
            *values,
            limit,
            offset,
        )
        return [Update(**json.loads(r["body"])) for r in rows]

    def add_event(self, event: Event) -> None:
        self.put_updates([], [event])

    def events(
        self,
        pipeline_id: str,
        *,
        condition: str = "1",
        values: Sequence[Any] = (),
        ascending: bool = False,
        behind: tuple[int, int] | None = None,
        limit: int = -1,
    ) -> list[Event]:
        """Events of a pipeline, newest first unless `ascending`.

        condition: SQL over the columns timestamp_ms, event_id, update_id, level (built by the caller, values bound).
        behind: (timestamp_ms, seq) of the row the page starts after.
        """
        order, sign = ("ASC", ">") if ascending else ("DESC", "<")
        where, bound = [f"({condition})", "pipeline_id = ?"], [*values, pipeline_id]
        if behind is not None:
            where.append(f"(timestamp_ms, seq) {sign} (?, ?)")
            bound.extend(behind)
        rows = self._all(
            f"""SELECT * FROM events WHERE {" AND ".join(where)}
                ORDER BY timestamp_ms {order}, seq {order} LIMIT ?""",
            *bound,
            limit,
        )
        return [
            Event(
                r["event_id"],
                r["pipeline_id"],
                r["update_id"],
                r["timestamp_ms"],
                r["level"],
                r["event_type"],
                json.loads(r["body"]),
                r["seq"],
            )
            for r in rows
        ]

    # -- query history -----------------------------------------------------------------------------------------------

    def put_query(self, body: Json) -> None:
        """Adds a statement to the query history or replaces the entry with its id; the oldest ones give way."""
        with self.transaction() as db:
            db.execute(
                """INSERT INTO queries (query_id, user_name, user_id, warehouse_id, status, start_ms, is_final, body)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (query_id) DO UPDATE
                   SET status = excluded.status, is_final = excluded.is_final, body = excluded.body""",
                (
                    body["query_id"],
                    body["user_name"],
                    body.get("user_id"),
                    body["warehouse_id"],
                    body["status"],
                    body["query_start_time_ms"],
                    int(body["is_final"]),
                    _dump(body),
                ),
            )
            db.execute("DELETE FROM queries WHERE seq <= (SELECT max(seq) FROM queries) - ?", (KEPT_QUERIES,))

    def query(self, query_id: str) -> Json | None:
        """One statement of the query history."""
        row = self._one("SELECT body FROM queries WHERE query_id = ?", query_id)
        return json.loads(row["body"]) if row else None

    def queries(
        self, *, among: Mapping[str, Sequence[Any]], times: tuple[int, int], before: int | None, limit: int
    ) -> list[tuple[int, Json]]:
        """Statements with their places in the history, newest first.

        among: column to the values of which it must have one. times: earliest and latest start, ms since 1970.
        before: the place that a page lies behind.
        """
        where, values = ["start_ms BETWEEN ? AND ?"], list[Any](times)
        for column, choices in among.items():
            where.append(f"{column} IN ({','.join('?' * len(choices))})")
            values += choices
        if before is not None:
            where.append("seq < ?")
            values.append(before)
        query = f"SELECT seq, body FROM queries WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
        return [(int(r["seq"]), json.loads(r["body"])) for r in self._all(query, *values, limit)]

    def _end_queries(self, at: int) -> None:
        """What ran when the process ended has failed; the rows of finished ones are no longer available."""
        for row in self._all("SELECT body FROM queries WHERE is_final = 0"):
            body = json.loads(row["body"]) | {"is_final": True, "query_end_time_ms": at}
            if body["status"] != "FINISHED":
                body |= {
                    "status": "FAILED",
                    "error_message": "The workspace restarted while this statement was running.",
                    "execution_end_time_ms": at,
                    "duration": at - body["query_start_time_ms"],
                }
            self.put_query(body)

    # -- permissions of workspace objects (not Unity Catalog's grants) ------------------------------------------------

    def permissions(self, object_type: str, object_id: str) -> dict[tuple[str, str], str]:
        """(principal kind, principal name) to level, of one object; object_type: jobs, pipelines, warehouses, ..."""
        rows = self._all(
            "SELECT principal_kind, principal, level FROM permissions WHERE object_type = ? AND object_id = ?",
            object_type,
            object_id,
        )
        return {(r["principal_kind"], r["principal"]): r["level"] for r in rows}

    def set_permissions(self, object_type: str, object_id: str, entries: Mapping[tuple[str, str], str]) -> None:
        """Replaces all direct permissions of one object."""
        with self.transaction() as db:
            db.execute("DELETE FROM permissions WHERE object_type = ? AND object_id = ?", (object_type, object_id))
            db.executemany(
                "INSERT INTO permissions VALUES (?, ?, ?, ?, ?)",
                [(object_type, object_id, kind, name, level) for (kind, name), level in entries.items()],
            )

    # -- warehouses --------------------------------------------------------------------------------------------------

    def put_warehouse(self, warehouse: Warehouse) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO warehouses VALUES (?, ?, ?, ?)",
                (warehouse.id, warehouse.creator, warehouse.state, _dump(warehouse.settings)),
            )

    def warehouse(self, id: str) -> Warehouse | None:
        row = self._one("SELECT * FROM warehouses WHERE id = ?", id)
        return Warehouse(row["id"], row["creator"], row["state"], json.loads(row["settings"])) if row else None

    def warehouses(self) -> list[Warehouse]:
        return [
            Warehouse(r["id"], r["creator"], r["state"], json.loads(r["settings"]))
            for r in self._all("SELECT * FROM warehouses ORDER BY id")
        ]

    def delete_warehouse(self, id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM warehouses WHERE id = ?", (id,))

    # -- workspace tree ----------------------------------------------------------------------------------------------

    @staticmethod
    def _object(row: sqlite3.Row) -> WorkspaceObject:
        return WorkspaceObject(**dict(row))

    def put_object(self, item: WorkspaceObject) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    item.path,
                    item.object_id,
                    item.object_type,
                    item.language,
                    item.created_ms,
                    item.modified_ms,
                    item.content,
                ),
            )

    def object(self, path: str) -> WorkspaceObject | None:
        row = self._one("SELECT * FROM objects WHERE path = ?", path)
        return self._object(row) if row else None

    def object_by_id(self, object_id: int) -> WorkspaceObject | None:
        row = self._one("SELECT * FROM objects WHERE object_id = ?", object_id)
        return self._object(row) if row else None

    def objects_below(self, path: str) -> list[WorkspaceObject]:
        """Everything below a folder at any depth, by path; the folder itself is not among it."""
        prefix = path.rstrip("/") + "/"
        rows = self._all(
            "SELECT * FROM objects WHERE substr(path, 1, ?) = ? AND path <> '/' ORDER BY path", len(prefix), prefix
        )
        return [self._object(r) for r in rows]

    def delete_object(self, path: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM objects WHERE path = ?", (path,))

    # -- other records (apps, statements) ----------------------------------------------------------------------------

    def put_record(self, kind: str, id: str, body: Json) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, id, _dump(body)))

    def record(self, kind: str, id: str) -> Json | None:
        row = self._one("SELECT body FROM records WHERE kind = ? AND id = ?", kind, id)
        return json.loads(row["body"]) if row else None

    def records(self, kind: str) -> list[Json]:
        return [json.loads(r["body"]) for r in self._all("SELECT body FROM records WHERE kind = ? ORDER BY id", kind)]

    def delete_record(self, kind: str, id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, id))

    # -- after a kill ------------------------------------------------------------------------------------------------

    def end_interrupted(self) -> tuple[list[Run], list[Update]]:
        """Ends what was active when the workspace last stopped, and returns runs and updates as ended.

        A run becomes INTERNAL_ERROR, FAILED, an update and a statement FAILED; each says that the workspace was
        restarted.
        """
        at = now_ms()
        message = "The workspace restarted while this run was active."
        with self.transaction():
            runs = [
                replace(
                    r,
                    end_ms=at,
                    life_cycle_state="INTERNAL_ERROR",
                    result_state="FAILED",
                    state_message=message,
                    termination_code="INTERNAL_ERROR",
                )
                for r in self.runs(active=True)
            ]
            tasks = [
                replace(
                    t,
                    end_ms=at,
                    life_cycle_state="INTERNAL_ERROR",
                    result_state="FAILED",
                    state_message=message,
                    termination_code="INTERNAL_ERROR",
                )
                for r in runs
                for t in self.tasks(r.run_id)
                if t.active
            ]
            self.put_runs(runs, tasks)
            updates = [replace(u, end_ms=at, state="FAILED") for u in self.updates(active=True)]
            self.put_updates(updates)
            self._end_queries(at)
        return runs, updates
