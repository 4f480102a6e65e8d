"""An in-memory workspace for tests of operations: it parses the statements it gets, and can die at any point."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from app.access import Actor, RolesFound
from app.config.migration import DEFAULT_MIGRATION, Gate, Migration, Role
from app.operations import compared
from app.operations.definition import Kind
from app.operations.engine import Timing
from app.operations.executor import Patience
from app.operations.grants import union, without
from app.operations.requests import Call
from app.operations.service import OperationsService
from app.operations.world import (
    AccessEntry,
    Grant,
    JobAccess,
    JobState,
    PipelineState,
    Privileges,
    Relation,
    Views,
    Written,
    absent,
)
from app.progress.evidence import Finding, Status
from app.store.audit import AuditRepository
from app.store.base import metadata
from app.store.leases import LeaseRepository
from app.store.operations import OperationRecord, OperationsRepository, State
from databricks_client.errors import WorkspaceError
from databricks_client.fencing import check_fence
from databricks_client.running import tag_of, tagged
from databricks_client.statement_execution import Sent
from tests.support.roles_held import in_groups
from validation.state import TableUpdate

MIGRATION = Migration.load(DEFAULT_MIGRATION).pinned(314473856953682)
OLD_JOB, NEW_JOB, DEV_JOB = 314473856953682, 2, 3
PIPELINE = "pl-prod"
REPORTS = (("source_prefix", "dlt_v2_"), ("report_prefix", "v2_"))
T0 = datetime(2026, 1, 12, 6, 0, tzinfo=UTC)
ERIN = Actor("engineer@example.com", frozenset({Role.VIEWER, Role.OPERATOR}), "persona", local=True)
LARS = Actor("lead@example.com", frozenset(Role), "persona", local=True)
SOFIA = Actor("stakeholder@example.com", frozenset({Role.VIEWER}), "persona", local=True)
CONSUMERS = Grant("data-consumers", ("SELECT",))
OLD = {t.name: f"old {t.name}" for t in MIGRATION.tables}
NEW = {t.name: f"new {t.name}" for t in MIGRATION.tables}
CUT, BACK = "cutover product.fde", "rollback product.fde"


class Crash(BaseException):
    """The process died here."""


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.moment = T0

    def __call__(self) -> datetime:
        return self.moment

    def go_on(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def ticks(self) -> float:
        """As a clock that nobody sets."""
        return (self.moment - T0).total_seconds()


WRITES = {"add": "plan", "move": "state", "write": "journal", "approve": "approval", "append": "audit"}
"""Methods of the store's repositories that write, and how their points are called."""


@dataclass
class Faults:
    """What goes wrong, by the number of the point or of the effect (from 1), or by the text of a statement.

    die_at: the process dies at this point. lose: the effect lands and its answer is lost. fail: it does not land.
    refuse: the workspace refuses every statement that holds this text. passing: called at each point with its number.
    """

    die_at: int | None = None
    lose: set[int] = field(default_factory=set)
    fail: dict[str, WorkspaceError] = field(default_factory=dict)
    refuse: dict[str, WorkspaceError] = field(default_factory=dict)
    points: int = 0
    effects: int = 0
    dead: bool = False
    named: list[str] = field(default_factory=list)
    passing: Callable[[int], object] = lambda _: None
    stalls: dict[int, Callable[[], object]] = field(default_factory=dict)
    """What happens while the process stands still at a point; right before an effect lands it is on its way already, and
    the process stands still at the next point instead."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def point(self, name: str) -> None:
        """Passes a point where the process may die or stand still; once dead, it passes none."""
        with self.lock:
            if self.dead:
                raise Crash(name)
            self.points += 1
            self.named.append(name)
            self.passing(self.points)
            if self.points == self.die_at:
                self.dead = True
                raise Crash(name)
            stall = self.stalls.pop(self.points, None)
            if stall is not None and name.startswith("before ") and name.removeprefix("before ") not in WRITES.values():
                self.stalls[self.points + 1], stall = stall, None
        if stall is not None:
            stall()


@dataclass(frozen=True)
class Hook:
    """What happens before or after the effects whose name has a text."""

    when: str
    text: str
    action: Callable[[], object]
    once: bool


@dataclass
class Late:
    """An effect that was sent and has not landed. A statement is in the query history until it ends; a call is not.

    due: when it lands by itself; None: when the test says so. deaf: whether it goes on though it is cancelled.
    """

    name: str
    change: Callable[[], None]
    due: datetime | None
    statement: Sent | None
    deaf: bool = False


@dataclass(frozen=True)
class Postponed:
    """From which effect (its number, from 1) on effects are sent late, and what their sender gets in place of an
    answer."""

    number: int
    error: BaseException
    seconds: float | None
    call_seconds: float | None
    deaf: bool


def _raise(error: BaseException) -> None:
    raise error


ACCESS = (
    ("group_name", "engineers", "CAN_MANAGE"),
    ("group_name", "viewers", "CAN_MANAGE_RUN"),
    ("user_name", "cutover-app", "CAN_MANAGE"),
    ("user_name", "owner@example.com", "IS_OWNER"),
)
JOB_PERMISSIONS = "/api/2.0/permissions/jobs/"
PERMISSIONS = "/api/2.1/unity-catalog/permissions/table/"


class FakeWorld:
    """Tables, views, jobs and a pipeline in memory, with the service's refusals."""

    def __init__(self, migration: Migration = MIGRATION, rename: Sequence[str] = ()) -> None:
        self.migration = migration
        self.faults = Faults()
        self.lock = threading.RLock()
        self.log: list[str] = []
        """Names of the effects that landed."""
        self.sent: list[str] = []
        """The statements, queries and calls as they came, of those that landed."""
        self.hooks: list[Hook] = []
        self.watchers: list[tuple[str, Callable[[str], object]]] = []
        self.runs: dict[int, list[str]] = {OLD_JOB: [], NEW_JOB: [], DEV_JOB: []}
        self.attempts = 0
        """How many effects came as far as their sending, those that were kept back too."""
        self.stalls: dict[int, Callable[[], object]] = {}
        """What happens while the sender of effect number n (from 1) stands still, right before its fence is asked."""
        self.lies: set[int] = set()
        """Numbers of the effects that are answered as done and do not land."""
        self.postponed: Postponed | None = None
        self.late: list[Late] = []
        self.history: WorkspaceError | None = None
        """Why the query history cannot be read; None where it can."""
        self.blind = False
        """Whether the history shows nothing of other principals."""
        self.warehouse = "RUNNING"
        self.start_seconds = 0.0
        self.pause: Callable[[float], None] = lambda _: None
        self.updates: list[tuple[str, datetime, bool, Mapping[str, Any] | None]] = []
        self.tokens: dict[str, str] = {}
        self.made = 0
        """How many views and tables were created: their ids are numbered."""
        self.numbers = itertools.count(1)
        self.me = "cutover-app"
        self.managers = {"cutover-app", "engineer@example.com"}
        """Who has MANAGE on the schema."""
        self.clock: Callable[[], datetime] = lambda: T0
        self.privilege_answer = Privileges()
        self.jobs = {
            OLD_JOB: JobState(OLD_JOB, "00_RDS", False, "schedule", '{"quartz_cron_expression":"0 0 6 * * ?"}'),
            NEW_JOB: JobState(
                NEW_JOB, "00_RDS_v2", True, "schedule", '{"quartz_cron_expression":"0 0 6 * * ?"}', "", REPORTS
            ),
            DEV_JOB: JobState(
                DEV_JOB, "00_RDS_FDE_DEV_schedule", False, "schedule", '{"quartz_cron_expression":"0 0 7 * * ?"}'
            ),
        }
        self.access: dict[int, tuple[AccessEntry, ...]] = dict.fromkeys(self.jobs, ACCESS)
        """Who was given what on each job itself."""
        self.reads: dict[str, list[tuple[str, datetime]]] = {}
        """Table to what lineage saw reading it, and when."""
        self.views: dict[str, Views] = {}
        """Table to the views elsewhere that name it."""
        self.names: dict[str, Relation] = {}
        self.following: set[str | None] = set()
        """Ids of the views that follow the columns of what they serve."""
        self.rows: dict[str, str] = {}
        for t in migration.tables:
            self.names[t.baseline] = Relation(
                t.baseline, "table", "MANAGED", table_id=f"id-{t.name}", owner="owner@example.com",
                columns=(("a", "bigint"), ("b", "string")), comment=f"the {t.name}", version=compared.delta(7, T0),
                grants=(Grant("cutover-app", ("ALL_PRIVILEGES", "MANAGE")), CONSUMERS, Grant("writers", ("MODIFY", "SELECT"))),
                tags=(("domain", "fde"),) if t.name == "dim_fde" else (),
            )  # fmt: skip
            own = t.name not in rename
            self.names[t.candidate] = Relation(
                t.candidate, "pipeline" if own else "table", "MATERIALIZED_VIEW" if own else "MANAGED",
                table_id=f"id-new-{t.name}", owner="owner@example.com", pipeline_id=PIPELINE if own else None,
                columns=(("a", "bigint"), ("b", "string")), version=TableUpdate("u1", "COMPLETED").version,
            )  # fmt: skip
            self.rows[t.baseline], self.rows[t.candidate] = f"old {t.name}", f"new {t.name}"
        self._start = dict(self.names)

    def as_compared(self) -> dict[str, str]:
        """Evidence that the rows of every table as they are now were compared."""
        return {compared.PREFIX + n: r.version for n, r in self.names.items() if r.version is not None}

    # What a consumer sees

    def read(self, name: str) -> str:
        """What a SELECT gives: which side's rows."""
        found = self.names.get(name, absent(name))
        if found.kind == "absent":
            raise WorkspaceError(f"read {name}", "[TABLE_OR_VIEW_NOT_FOUND]", sql_state="42P01")
        return self.read(found.over) if found.kind == "view" and found.over else self.rows[name]

    def served(self) -> dict[str, str]:
        """Table to the rows it serves; `nothing` where its name is gone."""
        found = {}
        for t in self.migration.tables:
            try:
                found[t.name] = self.read(t.baseline)
            except WorkspaceError:
                found[t.name] = "nothing"
        return found

    def as_at_start(self) -> bool:
        """Whether every name is exactly as it was."""
        return {n: r for n, r in self.names.items() if r.kind != "absent"} == self._start

    # World

    def relation(self, name: str) -> Relation:
        self._alive()
        with self.lock:
            self._fail("read " + name)
            return replace(self._existing(name), **NOT_OF_A_RELATION)

    def inspect(self, name: str) -> Relation:
        self._alive()
        with self.lock:
            self._fail("read " + name)
            found = self._existing(name)
            return found if found.kind == "table" else replace(found, tags=(), hangers=(), unknown=())

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        self._alive()
        with self.lock:
            self._fail("read tags " + name)
            return self._existing(name).tags

    def _existing(self, name: str) -> Relation:
        found = self.names.get(name, absent(name))
        if found.kind == "view" and found.table_id in self.following and found.over in self.names:
            return replace(found, columns=self._existing(found.over).columns)
        return found

    def job(self, name: str, job_id: int | None = None) -> JobState:
        self._alive()
        self._fail("read job " + name)
        found = [j for j in self.jobs.values() if (j.name == name if job_id is None else j.job_id == job_id)]
        if not found:
            raise WorkspaceError("find job", "no job of this name can be seen", status=404)
        return found[0]

    def job_access(self, job_id: int) -> JobAccess:
        self._alive()
        self._fail(f"read permissions of job {job_id}")
        return JobAccess(self.access[job_id], self.me)

    def views_naming(self, name: str) -> Views:
        self._alive()
        self._fail("read views")
        found = self.views.get(name, Views())
        views = [r for r in self.names.values() if r.kind == "view"]
        naming = [r.name for r in views if r.owner == self.me and r.over == name]
        # A definition is shown to the view's owner alone.
        hidden = [r.name for r in views if r.owner != self.me]
        return Views(tuple(sorted((*found.naming, *naming))), tuple(sorted((*found.hidden, *hidden))))

    def readers(self, name: str, since: datetime) -> Sequence[str]:
        self._alive()
        self._fail("read lineage")
        return [what for what, at in self.reads.get(name, []) if at >= since]

    def pipeline(self, name: str) -> PipelineState:
        self._alive()
        if name not in {p.name for p in self.migration.pipelines}:
            raise WorkspaceError("find pipeline", "no pipeline of this name can be seen", status=404)
        last = self.updates[0][0] if self.updates else "u1"
        return PipelineState(PIPELINE, name, last)

    def active_runs(self, job_id: int) -> Sequence[str]:
        self._alive()
        return list(self.runs[job_id])

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        self._alive()
        return [u for u, _, active, _ in self.updates if active]

    def privileges(self, swap: Sequence[str], read: Sequence[str], jobs: Sequence[int]) -> Privileges:
        self._alive()
        return self.privilege_answer

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        self._alive()
        self._check_warehouse(sql)
        name = _names(sql)[0]
        self._hooked("before", f"query {name}")
        self.sent.append(sql)
        return [(self.read(name),)]

    def execute(self, sql: str, seconds: float | None = None) -> str:
        def change() -> None:
            self._run(sql)
            self.sent.append(sql)

        text = tagged(sql)
        tag = tag_of(text)
        assert tag is not None
        sent = Sent(f"statement-{next(self.numbers)}", tag, "QUEUED", text)
        self._effect(sql, change, sent)
        return sent.statement_id

    def open_statements(self) -> Sequence[Sent]:
        self._alive()
        if self.history is not None:
            raise self.history
        return [found.statement for found in self.late if found.statement is not None and not self.blind]

    def cancel_statement(self, statement_id: str) -> None:
        self._alive()
        self.late = [f for f in self.late if f.statement is None or f.deaf or f.statement.statement_id != statement_id]

    def sees_statement(self, statement_id: str) -> bool:
        self._alive()
        return not self.blind

    def ensure_running(self, say: Callable[[str], object], check: Callable[[], object]) -> float:
        self._alive()
        waited = 0.0
        while self.warehouse != "RUNNING":
            say(f"SQL warehouse is {self.warehouse}: waiting until it runs")
            self.warehouse = "STARTING" if waited < self.start_seconds else "RUNNING"
            check()
            self.pause(2.0)
            waited += 2.0
        return waited

    def keep_running(self) -> None:
        self._alive()

    def send(self, call: Call) -> str:
        """Understands the calls of the steps, and no other."""
        path, body = call.path, json.loads(json.dumps(call.body))
        answer: list[str] = []
        if path.startswith(PERMISSIONS):
            name, change = self._changed_grants(unquote(path.removeprefix(PERMISSIONS)), body["changes"])
        elif path.startswith(JOB_PERMISSIONS) and call.method == "PUT":
            name, change = self._set_access(int(path.removeprefix(JOB_PERMISSIONS)), body["access_control_list"])
        elif path == "/api/2.2/jobs/update":
            name, change = self._updated_job(int(body["job_id"]), body["new_settings"])
        elif path == "/api/2.2/jobs/run-now":
            name, change = "run now", lambda: answer.append(self._run_now(body["job_id"], body["idempotency_token"]))
        elif path == f"/api/2.0/pipelines/{PIPELINE}/updates":
            name, change = "start update", lambda: answer.append(self._start_update(body))
        else:
            raise AssertionError(f"the fake knows no such call: {call}")

        def landing() -> None:
            change()
            self.sent.append(str(call))

        self._effect(name, landing)
        return answer[0] if call.answer else ""

    def _changed_grants(self, relation: str, changes: Sequence[Mapping[str, Any]]) -> tuple[str, Callable[[], None]]:
        more = tuple(Grant(c["principal"], tuple(c["add"])) for c in changes if "add" in c)
        less = tuple(Grant(c["principal"], tuple(c["remove"])) for c in changes if "remove" in c)

        def change() -> None:
            found = self._existing(relation)
            if found.kind == "absent":
                raise WorkspaceError(f"change grants on {relation}", f"table '{relation}' does not exist", status=404)
            if found.kind == "view" and any("MODIFY" in g.privileges for g in more):
                raise WorkspaceError("grant", "MODIFY does not apply to a view", status=400)
            self.names[relation] = replace(found, grants=without(union(found.grants, more), less))

        return f"{'grant' if more else 'revoke'} {relation}", change

    def _set_access(self, job_id: int, listed: Sequence[Mapping[str, str]]) -> tuple[str, Callable[[], None]]:
        entries = [(f, e[f], e["permission_level"]) for e in listed for f in e if f != "permission_level"]
        owners = [e for e in entries if e[2] == "IS_OWNER" and e[0] != "group_name"]
        levels = {"CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"}

        def change() -> None:
            if len(owners) != 1 or not {level for _, _, level in entries} <= levels:
                raise WorkspaceError("set permissions", "The job must have exactly one owner.", status=400)
            self.access[job_id] = tuple(sorted(entries))

        return f"permissions {self.jobs[job_id].name}", change

    def _updated_job(self, job_id: int, settings: Mapping[str, Any]) -> tuple[str, Callable[[], None]]:
        """What the call does not name stays as it is when the call lands."""
        job = self.jobs[job_id]
        changed: dict[str, Any]
        if "name" in settings:
            name = f"rename job {job.name}"
            changed = {"name": settings["name"]}
        elif "parameters" in settings:
            name = f"parameters {job.name}"
            changed = {"parameters": tuple({p["name"]: p["default"] for p in settings["parameters"]}.items())}
        else:
            block = dict(settings[job.block])
            paused = block.pop("pause_status") == "PAUSED"
            name = f"{'pause' if paused else 'unpause'} {job.name}"
            changed = {"paused": paused, "settings": json.dumps(block, separators=(",", ":"))}

        def change() -> None:
            self.jobs[job_id] = replace(self.jobs[job_id], **changed)

        return name, change

    def _run_now(self, job_id: int, token: str) -> str:
        if token not in self.tokens:
            self.tokens[token] = f"run-{len(self.tokens) + 1}"
            self.runs[job_id].append(self.tokens[token])
        return self.tokens[token]

    def _start_update(self, body: Mapping[str, Any]) -> str:
        if any(active for _, _, active, _ in self.updates):
            raise WorkspaceError("start update", "an update is active", status=409)
        self.updates.insert(0, (f"u{len(self.updates) + 2}", self.clock(), True, body))
        return self.updates[0][0]

    def newest_updates(self, pipeline_id: str) -> Sequence[str]:
        self._alive()
        self._fail("read updates")
        return [u for u, *_ in self.updates]

    def updates_like(self, pipeline_id: str, body: Mapping[str, Any], known: Sequence[str]) -> Sequence[str]:
        self._alive()
        self._fail("read updates")
        newer = itertools.takewhile(lambda u: u[0] not in known, self.updates)
        return [u for u, _, _, asked in newer if asked == body]

    def run_state(self, run_id: str) -> str:
        self._alive()
        return "RUNNING" if run_id in self.tokens.values() else ""

    def update_state(self, pipeline_id: str, update_id: str) -> str:
        self._alive()
        return "RUNNING" if update_id in [u for u, *_ in self.updates] else ""

    def written(self, table: str, old: str, new: str, watermark: Sequence[str]) -> Written:
        for name in (old, new):
            if self._existing(name).kind == "absent":
                return Written(table, None, None, None, f"[TABLE_OR_VIEW_NOT_FOUND] {name}")
        return Written(table, 100, 130, 30 if watermark else None)

    def fingerprint(self, relation: str) -> tuple[int, str]:
        self._alive()
        return 100, self.read(relation)

    # What goes wrong, and what others do meanwhile

    def before(self, text: str, action: Callable[[], object], *, once: bool = False) -> None:
        """Calls `action` before each effect (or only the next) whose name has this text; what it raises, is raised."""
        self.hooks.append(Hook("before", text, action, once))

    def after(self, text: str, action: Callable[[], object], *, once: bool = False) -> None:
        """Calls `action` after each effect (or only the next) whose name has this text has landed."""
        self.hooks.append(Hook("after", text, action, once))

    def crash_before(self, text: str) -> None:
        """The process dies once, right before such an effect."""
        self.before(text, lambda: _raise(Crash(f"before {text}")), once=True)

    def crash_after(self, text: str) -> None:
        """The process dies once, right after such an effect."""
        self.after(text, lambda: _raise(Crash(f"after {text}")), once=True)

    def lose_answer(self, text: str) -> None:
        """The next such effect lands, and its answer is lost."""
        lost = WorkspaceError(text, "no answer from the workspace", retryable=True, uncertain=True)
        self.after(text, lambda: _raise(lost), once=True)

    def fail(self, text: str, error: WorkspaceError) -> None:
        """Each such effect or query fails with this error and does not land."""
        self.before(text, lambda: _raise(error))

    def ignore(self, text: str) -> None:
        """Each such effect is answered as done and does not land."""
        self.hooks.append(Hook("ignore", text, lambda: None, False))

    def watch(self, see: Callable[[str], object], *, landed: bool = False, sent: bool = False) -> None:
        """Calls `see` with the name of each effect, before it (or as its bytes are sent, or once it has landed)."""
        self.watchers.append(("after" if landed else "sent" if sent else "before", see))

    def undisturbed(self) -> None:
        """Nothing goes wrong any more."""
        self.hooks.clear()
        self.watchers.clear()

    def _hooked(self, when: str, name: str) -> None:
        for hook in [h for h in self.hooks if h.when == when and h.text in name]:
            if hook.once:
                self.hooks.remove(hook)
            hook.action()

    # Effects

    def _effect(self, name: str, change: Callable[[], None], sent: Sent | None = None) -> None:
        self._alive()
        self._watched("before", name)
        self._hooked("before", name)
        with self.lock:
            self.attempts += 1
            number = self.attempts
        if number in self.stalls:
            self.stalls.pop(number)()
        check_fence()
        self._watched("sent", name)
        if sent is not None:
            self._check_warehouse(name)
        if (late := self.postponed) is not None and number >= late.number:
            seconds = late.seconds if sent is not None or late.seconds is not None else late.call_seconds
            due = None if seconds is None else self.clock() + timedelta(seconds=seconds)
            self.late.append(Late(name, change, due, sent, late.deaf))
            self.postponed = None
            self.faults.dead = isinstance(late.error, Crash)
            raise late.error
        if number in self.lies or any(h.when == "ignore" and h.text in name for h in self.hooks):
            return
        self._land(name, change)
        self._watched("after", name)
        self._hooked("after", name)

    def postpone(
        self,
        number: int,
        error: BaseException,
        *,
        seconds: float | None = None,
        call_seconds: float | None = None,
        deaf: bool = False,
    ) -> None:
        """Effect `number` is sent and lands later: after these seconds, or by `land_late`. Its sender gets `error`.

        call_seconds: where it is a call, which cannot wait to be cancelled, and `seconds` is None.
        """
        self.postponed = Postponed(number, error, seconds, call_seconds, deaf)

    def land_late(self, until: datetime | None = None) -> list[str]:
        """Lands what was sent and has not landed (until a moment: what is due then); gives the names of what did."""
        landed = []
        with self.lock:  # Reads come from several threads, and each lands what is due.
            for found in list(self.late):
                if until is None or (found.due is not None and found.due <= until):
                    self.late.remove(found)
                    with contextlib.suppress(WorkspaceError):
                        found.change()
                        self.log.append(found.name)
                        landed.append(found.name)
        return landed

    def _check_warehouse(self, what: str) -> None:
        if self.warehouse != "RUNNING":
            raise WorkspaceError(what, "the SQL warehouse is starting", retryable=True, status=503)

    def _watched(self, when: str, name: str) -> None:
        for moment, see in self.watchers:
            if moment == when:
                see(name)

    def _land(self, name: str, change: Callable[[], None]) -> None:
        self.faults.point(f"before {name}")
        with self.lock:
            self.faults.effects += 1
            number = self.faults.effects
            self._fail(name)
            change()
            self.log.append(name)
        self.faults.point(f"after {name}")
        if number in self.faults.lose:
            raise WorkspaceError(name, "no answer from the workspace", retryable=True, uncertain=True)

    def _fail(self, name: str) -> None:
        for text, error in self.faults.fail.items():
            if text in name:
                raise error

    def _alive(self) -> None:
        """Called first by every read and effect."""
        if self.faults.dead:
            raise Crash("dead")
        if self.late:
            self.land_late(self.clock())

    def _run(self, sql: str) -> None:
        for text, error in self.faults.refuse.items():
            if text in sql:
                raise error
        names = _names(sql)
        first = self.names.get(names[0], absent(names[0]))
        if re.fullmatch(r"ALTER TABLE \S+ RENAME TO \S+", sql):
            if first.kind != "table" or self.names.get(names[1], absent(names[1])).kind != "absent":
                raise WorkspaceError(sql, f"[CANNOT_RENAME] {first.kind}", sql_state="42P07")
            self.names[names[1]] = replace(first, name=names[1])
            self.names[names[0]] = absent(names[0])
            self.rows[names[1]] = self.rows.pop(names[0])
        elif re.fullmatch(r"ALTER VIEW \S+ RENAME TO \S+", sql):
            if first.kind != "view" or self.names.get(names[1], absent(names[1])).kind != "absent":
                raise WorkspaceError(sql, f"[CANNOT_RENAME] {first.kind}", sql_state="42P07")
            if not self._manages(first):
                raise WorkspaceError(sql, "[INSUFFICIENT_PERMISSIONS] User does not have MANAGE", sql_state="42501")
            self.names[names[1]] = replace(first, name=names[1])
            self.names[names[0]] = absent(names[0])
        elif sql.startswith("CREATE VIEW"):
            if first.kind != "absent":
                raise WorkspaceError(sql, "[TABLE_OR_VIEW_ALREADY_EXISTS]", sql_state="42P07")
            over = self._found(sql, names[1])
            said = re.match(r"CREATE VIEW \S+(?: WITH SCHEMA EVOLUTION)? COMMENT ('(?:[^'\\]|\\.)*')", sql)
            self.names[names[0]] = Relation(
                names[0], "view", "VIEW", table_id=self._new_id("view"), owner=self.me,
                definition=_query(sql), over=names[1], columns=over.columns,
                comment=_text(said[1]) if said else None, column_comments=over.column_comments,
            )  # fmt: skip
            if " WITH SCHEMA EVOLUTION" in sql.split(" AS ", 1)[0]:
                self.following.add(self.names[names[0]].table_id)
        elif sql.startswith("ALTER VIEW") and " AS SELECT" in sql:
            if first.kind != "view":
                raise WorkspaceError(sql, "[EXPECT_VIEW_NOT_TABLE]", sql_state="42809")
            if first.owner != self.me:
                raise WorkspaceError(sql, "[INSUFFICIENT_PERMISSIONS] User is not an owner of View", sql_state="42501")
            over = self._found(sql, names[1])
            self.names[names[0]] = replace(first, over=names[1], definition=_query(sql), columns=over.columns)
            # Documented as equivalent to CREATE OR REPLACE VIEW, save for grants: the strict reading.
            self.following.discard(first.table_id)
        elif re.fullmatch(r"ALTER VIEW \S+ WITH SCHEMA EVOLUTION", sql):
            if first.kind != "view":
                raise WorkspaceError(sql, "[EXPECT_VIEW_NOT_TABLE]", sql_state="42809")
            if first.owner != self.me:
                raise WorkspaceError(sql, "[INSUFFICIENT_PERMISSIONS] User is not an owner of View", sql_state="42501")
            self.following.add(first.table_id)
        elif added := re.fullmatch(r"ALTER TABLE \S+ ADD COLUMN (\w+) (\w+)", sql):
            if first.kind != "table":
                raise WorkspaceError(sql, "[EXPECT_TABLE_NOT_VIEW]", sql_state="42809")
            self.names[names[0]] = replace(first, columns=(*first.columns, (added[1], added[2].lower())))
        elif set_tags := re.fullmatch(rf"ALTER (VIEW|TABLE) \S+ SET TAGS \(({PAIR}(?:, {PAIR})*)\)", sql):
            if first.kind == "absent" or (set_tags[1] == "VIEW") != (first.kind == "view"):
                raise WorkspaceError(sql, "[EXPECT_VIEW_NOT_TABLE]", sql_state="42809")
            given = {_text(k): _text(v) for k, v in re.findall(r"('(?:[^'\\]|\\.)*') = ('(?:[^'\\]|\\.)*')", sql)}
            self.names[names[0]] = replace(first, tags=tuple(sorted({**dict(first.tags), **given}.items())))
        elif sql.startswith(("DROP VIEW", "DROP TABLE")):
            if first.kind != ("view" if sql.startswith("DROP VIEW") else "table"):
                raise WorkspaceError(sql, "[WRONG_COMMAND_FOR_OBJECT_TYPE]", sql_state="42809")
            self.names[names[0]] = absent(names[0])
        elif sql.startswith("CREATE TABLE"):
            if first.kind != "absent":
                raise WorkspaceError(sql, "[TABLE_OR_VIEW_ALREADY_EXISTS]", sql_state="42P07")
            self.names[names[0]] = Relation(
                names[0], "table", "MANAGED", table_id=self._new_id("made"), owner=self.me,
                columns=self._found(sql, names[1]).columns, version=compared.delta(0, self.clock()),
            )  # fmt: skip
            self.rows[names[0]] = self.read(names[1])
        else:
            raise AssertionError(f"the fake knows no such statement: {sql}")

    def _new_id(self, kind: str) -> str:
        self.made += 1
        return f"id-{kind}-{self.made}"

    def _manages(self, view: Relation) -> bool:
        return view.owner == self.me or self.me in self.managers

    def _found(self, sql: str, name: str) -> Relation:
        found = self._existing(name)
        if found.kind == "absent":
            raise WorkspaceError(sql, f"[TABLE_OR_VIEW_NOT_FOUND] {name}", sql_state="42P01")
        return found


PAIR = r"'(?:[^'\\]|\\.)*' = '(?:[^'\\]|\\.)*'"
NOT_OF_A_RELATION: dict[str, Any] = {
    "comment": None, "tags": (), "hangers": (), "unknown": (), "version": None, "column_comments": (),
}  # fmt: skip
"""What `relation` does not read, as on Databricks: only `inspect` and `tags` do."""


def _text(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def _query(sql: str) -> str:
    return sql.rsplit(" AS ", 1)[1]


def _names(sql: str) -> list[str]:
    return [n.replace("`", "") for n in re.findall(r"`[^`]+`\.`[^`]+`\.`[^`]+`", sql)]


class FakeStore:
    """The three repositories over one engine and one clock; the process may die before and after each write."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], faults: Callable[[], Faults]) -> None:
        self.engine = engine

        def mortal(method: Callable[..., Any], name: str | None) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                if name is None:
                    if faults().dead:
                        raise Crash("dead")
                    return method(*args, **kwargs)
                faults().point(f"before {name}")
                result = method(*args, **kwargs)
                faults().point(f"after {name}")
                return result

            return call

        # A server's own clock cannot be turned on; tests that let a lease expire turn theirs.
        self.leases = LeaseRepository(engine, clock, server_time=False)
        self.operations = OperationsRepository(engine, clock, LeaseRepository(engine, clock, server_time=False))
        self.audit = AuditRepository(engine, clock)
        for repository, names in (
            (self.operations, {n: WRITES[n] for n in ("add", "move", "write", "approve")} | {"get": None}),
            (self.audit, {"append": WRITES["append"]}),
            (self.leases, {"acquire": None, "renew": None, "check": None, "release": None}),
        ):
            for method, name in names.items():
                setattr(repository, method, mortal(getattr(repository, method), name))


class Given:
    """A world, a store and services over them; `restart` is a new process after a crash."""

    def __init__(
        self,
        engine: Engine | None = None,
        rename: Sequence[str] = (),
        parallel: int = 1,
        migration: Migration = MIGRATION,
        *,
        tables: bool = True,
    ) -> None:
        self.migration = migration
        self.world = FakeWorld(migration, rename)
        self.clock = Clock()
        self.world.clock = self.clock
        self.world.pause = self._sleep
        self.parallel = parallel
        self.engine = engine or create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        if tables:
            metadata.create_all(self.engine, tables=[metadata.tables[n] for n in TABLES])
        self.store = FakeStore(self.engine, self.clock, lambda: self.world.faults)
        self.roles = {a.user_name: a.roles for a in (ERIN, LARS, SOFIA)}
        self.verdict: Callable[[Gate], Finding] = lambda g: Finding(Status.PASS, "fine", self.clock(), "test")
        self.evidence = {"parity dim_fde": "parity-1", **self.world.as_compared()}
        self.slept = 0.0
        self._in_memory = engine is None
        self._rename = tuple(rename)
        self._parts = self._replaceable()

    def copy(self, engine: Engine | None = None) -> Given:
        """The same world once more; over `engine`, which holds a copy of the store, or with a store copied in memory."""
        twin = Given(engine, parallel=self.parallel, migration=self.migration, tables=False)
        twin.world.made = self.world.made
        for name in ("jobs", "access", "names", "rows", "tokens", "_start"):
            setattr(twin.world, name, dict(getattr(self.world, name)))
        twin.world.following = set(self.world.following)
        twin.clock.moment = self.clock.moment
        if engine is None:
            self._copy_store(twin)
        return twin

    def _copy_store(self, twin: Given) -> None:
        with self.engine.connect() as mine, twin.engine.connect() as other:
            mine.connection.dbapi_connection.backup(other.connection.dbapi_connection)  # type: ignore[union-attr]

    def roles_of(self, user: str) -> RolesFound:
        """Roles as groups that everybody may read give them."""
        return in_groups(*self.roles[user])

    def left_by_kills(self, operation: str, points: Container[int]) -> dict[int, Given]:
        """By point, what a process leaves that is killed there: as it is when the point is passed, in one execution."""
        left: dict[int, Given] = {}

        def passing(point: int) -> None:
            if point in points:
                left[point] = self.copy()

        self.world.faults.passing = passing
        self.service.apply(operation, "worker")
        return left

    @property
    def service(self) -> OperationsService:
        """A service as a new process would make it."""
        return self.service_with()

    def service_with(self, migration: Migration | None = None, **options: Any) -> OperationsService:
        """One that sleeps otherwise, is told that its process is to end, or has another migration file."""
        return OperationsService(
            self.store,
            self.world,
            migration or self.migration,
            judges=lambda: self.verdict,
            evidence=lambda: self.evidence,
            **{
                "roles_of": self.roles_of,
                "clock": self.clock,
                "sleep": self._sleep,
                "personas": lambda: True,
                "patience": Patience(
                    lease=15,
                    wait=30,
                    timing=Timing(0.01, 0.01),
                    parallel=self.parallel,
                    beat=False,
                    ticks=self.clock.ticks,
                ),
                **options,
            },
        )

    def approved(self) -> str:
        """A cutover that was submitted and approved."""
        return self._as_before(_approved) or self.approve_anew()

    def approve_anew(self) -> str:
        """The same, though it was done before in another world."""
        service = self.service
        made = service.plan(Kind.CUTOVER, {}, ERIN)
        operation = service.submit(made, ERIN, "cutover product.fde")
        service.approve(operation, LARS, "go")
        return operation

    def cut_over(self) -> str:
        """A cutover that the worker has executed."""
        return self._as_before(_cut_over) or self.cut_over_anew()

    def cut_over_anew(self) -> str:
        """The same, though it was done before in another world."""
        operation = self.approved()
        record = self.service.apply(operation, "worker")
        assert record.state is State.VERIFIED, record.reason
        return operation

    def _as_before(self, done: Callable[[tuple[str, ...], int], tuple[Given, str]]) -> str | None:
        """Takes over what was done once in another world and store; None where this world or store is not as new."""
        if not self.is_as_new():
            return None
        new = _new(self._rename, self.parallel)
        other, operation = done(self._rename, self.parallel)
        for mine, theirs, at_first in (
            (self.world, other.world, new.world),
            (self.world.faults, other.world.faults, new.world.faults),
        ):
            for name, value in vars(theirs).items():
                if name not in OF_ITSELF and value != vars(at_first)[name]:
                    setattr(mine, name, copy.copy(value))
        self.clock.moment, self.slept = other.clock.moment, other.slept
        other._copy_store(self)
        return operation

    def is_as_new(self) -> bool:
        """Whether nothing of the world, the store in memory or the parts was changed since they were made."""
        if not self._in_memory or self._parts != self._replaceable():
            return False
        return self.state() == _new(self._rename, self.parallel).state()

    def _replaceable(self) -> list[object]:
        repositories = (self.store.operations, self.store.audit, self.store.leases)
        return [
            *(self.verdict, self.world.clock, self.world.pause, type(self.roles), type(self.evidence), self.engine),
            *(v for part in (self.store, *repositories) for v in vars(part).values()),
            *(getattr(self.clock, n) for n in ("go_on", "ticks")),
        ]

    def state(self) -> dict[str, object]:
        """All that a test may have changed. `writes`: how many rows of the store were written."""
        world, faults = (
            {k: v for k, v in vars(of).items() if k not in OF_ITSELF} for of in (self.world, self.world.faults)
        )
        with self.engine.connect() as c:
            writes = c.connection.dbapi_connection.total_changes  # type: ignore[union-attr]
        own = (
            self.clock(),
            self.roles,
            self.evidence,
            self.slept,
            self.parallel,
            self._rename,
            self.migration,
            sorted(vars(self)),
        )
        return {**world, "faults": faults, "own": own, "writes": writes}

    def restart(self) -> None:
        """A new process, after the dead one's lease has run out."""
        self.world.faults = Faults()
        self.clock.go_on(16)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.go_on(seconds)


OF_ITSELF = ("lock", "numbers", "clock", "pause", "passing", "faults")
"""What a world does not take over from another."""


@cache
def _new(rename: tuple[str, ...], parallel: int) -> Given:
    return Given(rename=rename, parallel=parallel)


@cache
def _approved(rename: tuple[str, ...], parallel: int) -> tuple[Given, str]:
    made = Given(rename=rename, parallel=parallel)
    return made, made.approve_anew()


@cache
def _cut_over(rename: tuple[str, ...], parallel: int) -> tuple[Given, str]:
    made = Given(rename=rename, parallel=parallel)
    return made, made.cut_over_anew()


TABLES = ("operations", "operation_journal", "operation_approvals", "audit_log", "audit_head", "leases")


def all_new(given: Given) -> bool:
    """Whether the cutover is done, whole."""
    jobs = given.world.jobs
    granted = all(CONSUMERS in given.world.names[t.baseline].grants for t in MIGRATION.tables)
    switched = jobs[OLD_JOB].paused is True and jobs[NEW_JOB].paused is False
    named = dict(jobs[NEW_JOB].parameters) == {**dict(REPORTS), "report_prefix": ""}
    return given.world.served() == NEW and switched and named and granted


def all_old(given: Given) -> bool:
    """Whether everything is as it was."""
    jobs = given.world.jobs
    switched = jobs[OLD_JOB].paused is False and jobs[NEW_JOB].paused is True
    return given.world.as_at_start() and switched and jobs[NEW_JOB].parameters == REPORTS


def an_operation(identifier: str, state: State, at: datetime) -> OperationRecord:
    """A stored operation without a plan."""
    return OperationRecord(
        id=identifier, kind="cutover", migration="m", plan_hash="0" * 64, plan={}, requested_by=ERIN.user_name,
        source="test", local=True, needs_approval=True, state=state, reason="", executor="", stop_requested=False,
        undoes=None, created_at=at, expires_at=at, submitted_at=None, started_at=at, ended_at=None,
    )  # fmt: skip


def change_data(g: Given) -> None:
    """Written by hand: no run and no update tells of it."""
    g.world.names["product.fde.unity_av_fde"] = replace(
        g.world.names["product.fde.unity_av_fde"], version=compared.delta(8, T0 + timedelta(hours=1))
    )


def take_kept_name(g: Given) -> None:
    """A table stands where the old one is to be kept."""
    g.world.names["product.fde.dim_fde_old"] = Relation("product.fde.dim_fde_old", "table", "MANAGED")


def raising(g: Given) -> Callable[[object], Finding]:
    """A judge of gates that breaks."""

    def judge(gate: object) -> Finding:
        raise RuntimeError("store is broken")

    return judge
