"""The world of operations on Databricks: what they need, said with `databricks_client`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from app.moments import when
from app.operations import compared
from app.operations.requests import CALL_SECONDS, Call
from app.operations.world import (
    Grant,
    JobAccess,
    JobState,
    Kind,
    PipelineState,
    Privileges,
    Relation,
    Views,
    Written,
)
from databricks_client import policies, tables
from databricks_client.client import Workspace
from databricks_client.connection import STATEMENT_SECONDS
from databricks_client.errors import WorkspaceError
from databricks_client.fencing import given_up
from databricks_client.pipelines import Update
from databricks_client.quoting import quote, quote_table
from databricks_client.statement_execution import Sent
from validation.state import TableUpdate

PARALLEL = 8

KEEP_SECONDS = 30.0
"""A warehouse may be set to stop after one idle minute."""

_QUERY = re.compile(r"\*/\s*SELECT\b", re.IGNORECASE)
R = TypeVar("R")


class DatabricksWorld:
    """A workspace as `app.operations.world.World`. Threads may share it. All methods raise WorkspaceError."""

    def __init__(self, workspace: Workspace, statement_seconds: float = STATEMENT_SECONDS) -> None:
        """statement_seconds: how long a statement may take where its step says nothing else."""
        self._workspace = workspace
        self._statement_seconds = statement_seconds
        self._kept = 0.0

    # Names

    def relation(self, name: str) -> Relation:
        """What a name stands for, with columns and grants."""
        return _looked_again(lambda: self._relation(self._workspace.tables.state(name)))

    def inspect(self, name: str) -> Relation:
        """As `relation`, with everything attached to the name and the version of its data."""
        return _looked_again(lambda: self._inspect(name))

    def _inspect(self, name: str) -> Relation:
        of = self._workspace.tables
        state = of.state(name)
        if not state.exists:
            return Relation(name, "absent")
        bare = _bare(state)
        with ThreadPoolExecutor(2) as pool:
            # With the context: statements are tagged by it, and calls are limited by it.
            grants = pool.submit(copy_context().run, of.grants, name)
            version = pool.submit(copy_context().run, self._version, bare)
            hangs = of.hangers(name, state) if bare.kind == "table" else tables.Hangers()
        return replace(
            bare,
            grants=_grouped(grants.result()),
            comment=state.comment,
            tags=tuple(sorted(hangs.tags.items())),
            hangers=_lost_by_view(hangs),
            unknown=(*hangs.unknown, *_may_be_lost(hangs)),
            version=version.result(),
            column_comments=tuple((c.name, c.comment) for c in state.columns if c.comment),
        )

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        """Tags set on a table or view itself."""
        return tuple(sorted(self._workspace.tables.tags(name).items()))

    def _version(self, found: Relation) -> str | None:
        """What identifies the rows, in the words of `app.operations.compared`."""
        if found.kind == "table" or found.table_type == "STREAMING_TABLE":
            newest = self._workspace.tables.rows_version(found.name)
            return compared.delta(newest.version, newest.timestamp)
        if found.kind != "pipeline" or found.pipeline_id is None:
            return None
        update = self._workspace.pipelines.last_write(found.pipeline_id)
        return None if update is None else TableUpdate(update.update_id, update.state).version

    def _relation(self, state: tables.TableState) -> Relation:
        if not state.exists:
            return Relation(state.name, "absent")
        return replace(_bare(state), grants=_grouped(self._workspace.tables.grants(state.name)))

    def privileges(self, swap: Sequence[str], read: Sequence[str], jobs: Sequence[int]) -> Privileges:
        """Whether the acting principal may rename and replace `swap`, read `read`, and pause `jobs`."""
        of = self._workspace.tables
        calls = [partial(of.swap_privileges, n) for n in swap] + [partial(of.read_privileges, n) for n in read]
        found = _parallel(calls)
        missing = list(dict.fromkeys(m for p in found for m in p.missing))
        unknown = list(dict.fromkeys(u for p in found for u in p.unknown))
        for job_id in jobs:
            try:
                if not self._workspace.jobs.may_manage(job_id):
                    missing.append(f"CAN MANAGE on job {job_id}")
            except WorkspaceError as e:
                unknown.append(f"permissions of job {job_id}: {e.cause}")
        return Privileges(tuple(missing), tuple(unknown))

    def views_naming(self, name: str) -> Views:
        """Views of every catalog whose definition names this table, or cannot be read."""
        return Views(*self._workspace.tables.views_naming(name))

    def readers(self, name: str, since: datetime) -> Sequence[str]:
        """What read a table since then, by lineage, each in a few words; what this principal queried is left out."""
        me = self._workspace.identity.me().user_name
        found = self._workspace.lineage.consumers([name], since)
        # The panel's own reads: statements of this principal that belong to no job, notebook, pipeline or dashboard.
        others = [c for c in found if not (c.user == me and c.kind in ("UNKNOWN", "DBSQL_QUERY"))]
        return [f"{c.kind} {c.consumer_id} of {c.user or 'someone'} (last {when(c.last_seen)})" for c in others]

    # SQL

    def execute(self, sql: str, seconds: float | None = None) -> str:
        """Runs one statement that changes something, sent once; gives its id."""
        return self._workspace.statements.run(sql, what=sql, seconds=seconds or self._statement_seconds)

    def open_statements(self) -> Sequence[Sent]:
        """Statements of operations that have not ended; queries of steps change nothing and are left out."""
        found = self._workspace.statements.open()
        return [s for s in found if s.tag.kind == "operation" and (s.tag.statement or not _QUERY.search(s.text))]

    def cancel_statement(self, statement_id: str) -> None:
        """Requests the end of a statement."""
        self._workspace.statements.cancel(statement_id)

    def sees_statement(self, statement_id: str) -> bool:
        """Whether the query history shows a statement to this principal."""
        return self._workspace.statements.visible(statement_id)

    def ensure_running(self, say: Callable[[str], object], check: Callable[[], object]) -> float:
        """Starts the SQL warehouse where it does not run, and waits until it does; gives the seconds waited."""
        return self._workspace.warehouse.ensure_running(say, check)

    def keep_running(self) -> None:
        """Sends a query where none was sent here for KEEP_SECONDS: a warehouse stops after some idle minutes."""
        if time.monotonic() - self._kept >= KEEP_SECONDS:
            self.query("SELECT 1")
            self._kept = time.monotonic()

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of one query."""
        limit = self._statement_seconds
        return [
            tuple(row.values()) for row in self._workspace.sql.query(sql, what=sql, cancelled=given_up, limit=limit)
        ]

    def fingerprint(self, relation: str) -> tuple[int, str]:
        """Row count and the sum of a hash of each row's JSON (NULLs kept, microseconds kept), whatever the order."""
        as_json = (
            "to_json(struct(*), map('ignoreNullFields', 'false', 'timestampFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSSXXX',"
            " 'timestampNTZFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSS'))"
        )
        text = (
            f"SELECT count(*) AS n, CAST(coalesce(sum(CAST(xxhash64({as_json}) AS DECIMAL(38, 0))), 0) AS STRING) AS h"
            f" FROM {quote_table(relation)}"
        )
        row = self._workspace.sql.query(text, what=f"fingerprint of {relation}")[0]
        return int(row["n"]), str(row["h"])

    def written(self, table: str, old: str, new: str, watermark: Sequence[str]) -> Written:
        """How many rows `new` has that are later than `old`'s latest; a problem is returned as text, never raised."""
        latest = ", ".join(quote(c) for c in watermark)
        latest = f"greatest({latest})" if len(watermark) > 1 else latest
        a, b = quote_table(old), quote_table(new)
        newer = (
            f", (SELECT count(*) FROM {b} WHERE {latest} > (SELECT max({latest}) FROM {a})) AS newer"
            if watermark
            else ""
        )
        text = f"SELECT (SELECT count(*) FROM {a}) AS old_rows, (SELECT count(*) FROM {b}) AS new_rows{newer}"
        try:
            row = self._workspace.sql.query(text, what=f"count rows of {old} and {new}")[0]
        except WorkspaceError as e:
            return Written(table, None, None, None, e.cause)
        return Written(table, int(row["old_rows"]), int(row["new_rows"]), int(row["newer"]) if watermark else None)

    # Jobs and pipelines

    def job(self, name: str, job_id: int | None = None) -> JobState:
        """A job by name; by id where that is given."""
        found = self._workspace.jobs.find(name, job_id)
        block: Any = {k: v for k, v in found.timing.block.items() if k != "pause_status"}
        if found.timing.kind == "triggers":
            block = [{k: v for k, v in t.items() if k != "pause_status"} for t in found.timing.block["triggers"]]
        return JobState(
            job_id=found.job_id,
            name=found.name,
            paused=found.timing.paused,
            block=found.timing.kind,
            settings=json.dumps(block, sort_keys=True, default=str),
            url=found.url,
            parameters=found.parameters,
        )

    def job_access(self, job_id: int) -> JobAccess:
        """Who may do what with a job. Only who may manage it can read that."""
        me = self._workspace.identity.me()
        return JobAccess(self._workspace.jobs.access(job_id), me.user_name, "admins" in (me.groups or ()))

    def pipeline(self, name: str) -> PipelineState:
        """A pipeline by name, with its last update that completed and refreshed something."""
        of = self._workspace.pipelines
        found = of.find(name)
        token: str | None = None
        while True:
            page = of.updates_page(found.pipeline_id, page_token=token)
            for update in page.updates:
                if update.state == "COMPLETED" and not update.validate_only:
                    return PipelineState(found.pipeline_id, found.name, update.update_id, url=found.url)
            token = page.next_page_token
            if token is None:
                return PipelineState(found.pipeline_id, found.name, None, url=found.url)

    def active_runs(self, job_id: int) -> Sequence[str]:
        """Runs of a job that have not ended."""
        return [str(r.run_id) for r in self._workspace.jobs.active_runs(job_id)]

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        """Updates of a pipeline that have not ended."""
        return [u.update_id for u in self._workspace.pipelines.active_updates(pipeline_id)]

    def send(self, call: Call) -> str:
        """Sends one REST call, once; gives the id in its answer."""
        with self._workspace.rest.limited(CALL_SECONDS):
            answer = self._workspace.rest.send(call.what, call.method, call.path, dict(call.body))
        match call.answer:
            case "run_id":
                return str(answer.whole("run_id", 1))
            case "update_id":
                return answer.name("update_id")
            case "":
                return ""

    def run_state(self, run_id: str) -> str:
        """State of a run."""
        return self._workspace.jobs.run(int(run_id)).state

    def newest_updates(self, pipeline_id: str) -> Sequence[str]:
        """Ids of a pipeline's updates, newest first: one page of them."""
        return [u.update_id for u in self._workspace.pipelines.updates_page(pipeline_id).updates]

    def updates_like(self, pipeline_id: str, body: Mapping[str, Any], known: Sequence[str]) -> Sequence[str]:
        """Ids of updates newer than all `known` ones that an API call with this body created."""

        def alike(update: Update) -> bool:
            return (
                update.cause == "API_CALL"
                and update.full_refresh == body.get("full_refresh", False)
                and update.validate_only == body.get("validate_only", False)
                and set(update.refresh_selection) == set(body.get("refresh_selection", ()))
                and set(update.full_refresh_selection) == set(body.get("full_refresh_selection", ()))
            )

        return [u.update_id for u in self._workspace.pipelines.updates_after(pipeline_id, known) if alike(u)]

    def update_state(self, pipeline_id: str, update_id: str) -> str:
        """State of an update."""
        return self._workspace.pipelines.update(pipeline_id, update_id).state


def _bare(state: tables.TableState) -> Relation:
    """What the table's own record says, without grants."""
    return Relation(
        name=state.name,
        kind=_kind(state),
        table_type=state.table_type or "",
        table_id=state.table_id,
        owner=state.owner,
        pipeline_id=state.pipeline_id,
        definition=state.view_definition if state.is_view else None,
        over=state.serves,
        columns=tuple((c.name, c.type) for c in state.columns),
    )


def _looked_again(look: Callable[[], Relation]) -> Relation:
    """What `look` gives. It reads a name more than once: a name that moved in between is looked at anew, once."""
    try:
        return look()
    except WorkspaceError as e:
        if not e.not_found:
            raise
        return look()


def _kind(state: tables.TableState) -> Kind:
    if state.is_view:
        return "view"
    if state.is_pipeline_owned:
        return "pipeline"
    return "table" if state.table_type in ("MANAGED", "EXTERNAL") else "other"


def _grouped(grants: frozenset[tables.Grant]) -> tuple[Grant, ...]:
    found: dict[str, list[str]] = {}
    for grant in sorted(grants):
        found.setdefault(grant.principal, []).append(grant.privilege)
    return tuple(Grant(principal, tuple(privileges)) for principal, privileges in found.items())


def _lost_by_view(found: tables.Hangers) -> tuple[tuple[str, str], ...]:
    """What no view carries: each would be lost, and a filter or mask lost shows rows that were hidden."""
    listed: list[tuple[str, str]] = []
    if found.row_filter:
        listed.append(("row filter", found.row_filter))
    listed += [("column mask", f"{column}: {mask}") for column, mask in sorted(found.masks.items())]
    listed += [("constraint", text) for text in found.constraints]
    listed += [("share", text) for text in found.shares]
    listed += [(policies.HIDING[p.kind], p.text) for p in found.policies if _hides(p) and not p.conditions]
    listed += [("column tag", f"{column}: {', '.join(sorted(t))}") for column, t in sorted(found.column_tags.items())]
    return tuple(listed)


def _may_be_lost(found: tables.Hangers) -> tuple[str, ...]:
    """Policies that may reach the table: their conditions, and kinds that are not known here, are not evaluated."""
    return tuple(
        f"policy {p.text}: "
        + ("whether it reaches this table is not evaluated" if _hides(p) else f"{p.kind} is not a known kind")
        for p in found.policies
        if p.conditions or not _hides(p)
    )


def _hides(policy: policies.Policy) -> bool:
    return policy.kind in policies.HIDING


def _parallel(calls: Sequence[Callable[[], R]]) -> list[R]:
    if not calls:
        return []
    with ThreadPoolExecutor(min(PARALLEL, len(calls))) as pool:
        # With the context: statements are tagged by it, and calls are limited by it.
        futures = [pool.submit(copy_context().run, call) for call in calls]
        return [f.result() for f in futures]
