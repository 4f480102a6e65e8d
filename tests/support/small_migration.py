"""A migration of tiny tables in a catalog of their own, on a local workspace, and processes that execute it.

Usually two: `a` is swapped by a view, as its candidate is a pipeline's; `b` by renaming. Both jobs have no tasks: nothing
runs.
"""

from __future__ import annotations

import base64
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from databricks.sdk.service import jobs, pipelines
from databricks.sdk.service.workspace import ImportFormat
from sqlalchemy import select, update

from app.access import Actor
from app.config.migration import DEFAULT_MIGRATION, CandidateJob, Gate, JobRef, Migration, PipelineRef, Role, Table
from app.config.migration import SwitchedParameter as Switched
from app.operations import compared
from app.operations.databricks import DatabricksWorld
from app.operations.definition import Kind, Plan
from app.operations.executor import Patience
from app.operations.observe import relations
from app.operations.service import OperationsService
from app.operations.world import Relation
from app.progress.evidence import Finding, Status
from app.store.base import now
from app.store.leases import leases
from app.store.open import Store, open_store
from app.store.operations import OperationRecord
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from tests.support.roles_held import in_groups
from tests.support.waiting import wait_until

ERIN = Actor("engineer@example.com", frozenset({Role.OPERATOR}), "persona", local=True)
LARS = Actor("lead@example.com", frozenset(Role), "persona", local=True)
LEASE = 6.0
"""Seconds: long enough for a process that has to share two cores, short enough to wait for."""

SOURCE = """
from pyspark import pipelines as dp

def make(name):
    @dp.materialized_view(name="new_" + name)
    def new():
        return spark.sql("SELECT id, 'new' AS side FROM range(4)")

for name in "{by_view}":
    make(name)
"""


def _passing() -> Callable[[Gate], Finding]:
    return lambda gate: Finding(Status.PASS, "taken as given by this test", now(), "test")


@dataclass(frozen=True)
class Small:
    """Where it is. Processes of its own get it, and make their own clients."""

    host: str
    warehouse_id: str
    token: str
    catalog: str
    old_job: int = 0
    new_job: int = 0
    evidence: tuple[tuple[str, str], ...] = ()
    """That the rows of every table were compared as they were at first: taken as given."""
    by_view: str = "a"
    by_renaming: str = "b"

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.warehouse_id, self.token)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.endpoint)

    @cached_property
    def world(self) -> DatabricksWorld:
        return DatabricksWorld(self.workspace)

    @cached_property
    def migration(self) -> Migration:
        s = f"{self.catalog}.s"
        return Migration.load(DEFAULT_MIGRATION).model_copy(
            update={
                "name": self.catalog,
                "baseline_job": JobRef(name=f"{self.catalog} old", id=self.old_job or None),
                "candidate_job": CandidateJob(
                    name=f"{self.catalog} new",
                    id=self.new_job or None,
                    parameters=(Switched(name="prefix", parallel="v2_", serving=""),),
                ),
                "development_job": None,
                "pipelines": (PipelineRef(name=self.catalog, environment="production"),),
                "tables": tuple(
                    Table(name=n, baseline=f"{s}.{n}", candidate=f"{s}.new_{n}")
                    for n in self.by_view + self.by_renaming
                ),
                "rehearsal_schema": s,
            }
        )

    @classmethod
    def make(cls, endpoint: Endpoint, by_view: str = "a", by_renaming: str = "b") -> Small:
        """Makes tables, jobs and pipeline; waits for the pipeline's first update. by_view, by_renaming: a letter a
        table."""
        place = cls(
            endpoint.host,
            endpoint.warehouse_id,
            str(endpoint.token),
            f"small_{uuid.uuid4().hex[:6]}",
            by_view=by_view,
            by_renaming=by_renaming,
        )
        client, c = endpoint.workspace(), place.catalog
        client.catalogs.create(c, comment="Small")
        client.schemas.create("s", c)
        folder = f"/Shared/{c}"
        client.workspace.mkdirs(folder)
        content = base64.b64encode(SOURCE.format(by_view=by_view).encode()).decode()
        client.workspace.import_(f"{folder}/pipeline.py", content=content, format=ImportFormat.RAW, overwrite=True)
        library = pipelines.PipelineLibrary(glob=pipelines.PathPattern(include=f"{folder}/**"))
        made = client.pipelines.create(name=c, catalog=c, schema="s", root_path=folder, libraries=[library])
        started = client.pipelines.start_update(str(made.pipeline_id)).update_id if by_view else None
        olds = [(n, "old") for n in by_view + by_renaming]
        for name, side in (*olds, *((f"new_{n}", "new") for n in by_renaming)):
            place.world.execute(
                f"CREATE TABLE {c}.s.{name} COMMENT 'All of {name}' AS SELECT id, '{side}' AS side FROM range(3)"
            )
            if side == "old":
                place.world.execute(f"GRANT SELECT ON TABLE {c}.s.{name} TO `account users`")
        ids = [
            client.jobs.create(
                name=f"{c} {side}",
                schedule=jobs.CronSchedule("0 0 6 1 1 ?", "UTC", jobs.PauseStatus[paused]),
                parameters=[jobs.JobParameterDefinition(name="prefix", default="v2_")],
                tasks=[],
            ).job_id
            for side, paused in (("old", "UNPAUSED"), ("new", "PAUSED"))
        ]
        if started:
            wait_until(lambda: place.world.update_state(str(made.pipeline_id), started) == "COMPLETED", 300)
        found = replace(place, old_job=int(ids[0] or 0), new_job=int(ids[1] or 0))
        names = [n for t in found.migration.tables for n in (t.baseline, t.candidate)]
        as_compared = [(compared.PREFIX + r.name, r.version or "") for r in relations(place.world, names, deep=True)]
        return replace(found, evidence=tuple(as_compared))

    def service(self, store: Store, **options: Any) -> OperationsService:
        """Operations with the gates of the migration file taken as passed, one table after the other."""
        return OperationsService(
            store,
            self.world,
            self.migration,
            **{
                "roles_of": lambda _: in_groups(*Role),
                "judges": _passing,
                "evidence": lambda: dict(self.evidence),
                "personas": lambda: True,
                "patience": Patience(lease=LEASE, wait=60.0, parallel=1),
                **options,
            },
        )

    # What is there

    def served(self) -> dict[str, str]:
        """Table to the side that its readers get; `nothing` where they get an error."""
        found = {}
        for t in self.migration.tables:
            try:
                (row,) = self.world.query(f"SELECT min(side), max(side), count(*) FROM {t.baseline}")
                low, high, rows = row
                assert low == high and rows == (4 if low == "new" and t.name in self.by_view else 3), row
                found[t.name] = str(low)
            except WorkspaceError:
                found[t.name] = "nothing"
        return found

    def names(self) -> dict[str, Relation]:
        """All names of both tables with everything that hangs on them."""
        asked = [n for t in self.migration.tables for n in (t.baseline, t.kept, t.candidate, t.spare)]
        return {r.name: r for r in relations(self.world, asked, deep=True)}

    def jobs(self) -> dict[str, tuple[bool | None, str, tuple[tuple[str, str], ...]]]:
        """Side to whether its job is paused, its schedule and its parameters."""
        m = self.migration
        states = {
            "old": self.world.job(m.baseline_job.name, m.baseline_job.id),
            "new": self.world.job(m.candidate_job.name),
        }
        return {side: (j.paused, j.settings, j.parameters) for side, j in states.items()}

    def position(self) -> tuple[Any, ...]:
        """What tells one step boundary from another: kinds, definitions and grants of all names; both jobs."""
        asked = [n for t in self.migration.tables for n in (t.baseline, t.kept, t.candidate, t.spare)]
        found = relations(self.world, asked)
        return (*((r.name, r.kind, r.over, r.grants) for r in found), *self.jobs().items())

    def state(self) -> tuple[dict[str, Relation], dict[str, Any], dict[str, str]]:
        """Everything that a rollback has to bring back."""
        return self.names(), self.jobs(), self.served()

    # Faults

    def fault(self, **rule: Any) -> str:
        """Adds a rule; gives its id."""
        return str(self.workspace.rest.send("add a fault", "POST", "/emulator/faults", rule).name("id"))

    def faults(self) -> Mapping[str, Any]:
        """The rules by id."""
        listed = self.workspace.rest.get("list the faults", "/emulator/faults").objects("faults")
        return {f.name("id"): f for f in listed}

    def effects(self, sql: str = "") -> list[dict[str, Any]]:
        """Rules' fields for the requests by which an operation on this changes something; sql: only for statements that
        contain this."""
        statement = {"method": "POST", "path": "^/api/2.0/sql/statements$"}
        if sql:
            return [{**statement, "sql_contains": sql, "body_contains": self.catalog}]
        update = {"method": "POST", "path": "^/api/2.2/jobs/update$"}
        return [
            {**statement, "body_contains": self.catalog},
            *({**update, "body_contains": f'"job_id": {job}'} for job in (self.old_job, self.new_job)),
            {"method": "PATCH", "path": f"^/api/2.1/unity-catalog/permissions/table/{self.catalog}"},
        ]

    @contextmanager
    def faulty(self, which: Sequence[Mapping[str, Any]], what: str, seconds: float) -> Iterator[Callable[[], int]]:
        """While this lasts, the first request of each of `which` is subject to `what` (a field of a rule) for so many
        seconds; gives how many are, or were. Leaving it lets go of what waits for the rule."""
        ids = [self.fault(**{"count": 1, **rule, what: seconds}) for rule in which]
        counted = "held" if what == "answer_seconds" else "applied"
        try:
            yield lambda: sum(f.whole(counted) for i, f in self.faults().items() if i in ids)
        finally:
            for i in ids:
                self.workspace.rest.send("remove a fault", "DELETE", f"/emulator/faults/{i}", {})


@dataclass
class Operations:
    """A store and the workspace: what a test sees of them, and processes that act on them."""

    small: Small
    url: str
    before: Any = None
    """What `Small.state` gave before anything was done."""
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = open_store(self.url)

    def service(self, **options: Any) -> OperationsService:
        return self.small.service(self.store, **options)

    def approved(self) -> str:
        """Id of a cutover that was submitted and approved."""
        service = self.service()
        made = service.plan(Kind.CUTOVER, {}, ERIN)
        assert not made.blocking, [(g.title, g.finding.summary) for g in made.blocking]
        service.submit(made, ERIN, made.confirmation)
        service.approve(made.operation_id, LARS, "go")
        return made.operation_id

    def rollback_plan(self) -> Plan:
        return self.service().plan(Kind.ROLLBACK, {}, ERIN)

    def roll_back(self, take_over: str = "") -> OperationRecord:
        """A rollback in this process."""
        made = self.rollback_plan()
        return self.service().apply_here(made, ERIN, made.confirmation, take_over)

    def assert_as_before(self) -> None:
        """Names, grants, comments, rows, schedules and parameters are those from before the cutover."""
        names, jobs, served = self.small.state()
        assert set(served.values()) == {"old"}
        assert jobs == self.before[1]
        assert names == self.before[0]

    def forced(self) -> bool:
        """Whether somebody took the lease from its holder by force."""
        return any(r.action == "take over" for r in self.store.audit.records(limit=20))

    def minute_later(self) -> None:
        """The lease of a process that was killed has run out, and nothing that it sent is under way any more."""
        with self.store.engine.begin() as c:
            past = c.execute(select(leases.c.expires_at)).scalar_one() - timedelta(seconds=60 + LEASE)
            c.execute(update(leases).values(expires_at=past))

    def record(self, operation: str) -> OperationRecord:
        found = self.store.operations.get(operation)
        assert found is not None
        return found


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class Process:
    """A process of its own that carries one thing out: `apply`, `resume`, `bring back`, `rollback`, or `take over` by a rollback."""

    def __init__(self, of: Operations, what: str, operation: str = "") -> None:
        self.answer, there = _PROCESSES.Pipe(duplex=False)
        self.process = _PROCESSES.Process(
            target=_execute, args=(there, replace(of.small), of.url, what, operation), daemon=True
        )
        self.process.start()
        there.close()

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> bool:
        """Waits for the condition; whether it came before the process's end."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.process.is_alive():
                return False
            assert time.monotonic() < deadline, "neither that nor the end of the process came in time"
            time.sleep(0.02)
        return True

    def signal(self, number: int) -> None:
        os.kill(int(self.process.pid or 0), number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.process.join(30)

    def outcome(self, seconds: float = 120) -> tuple[str, str]:
        """State of the operation and its reason; or an error's name and text."""
        assert self.answer.poll(seconds), "the process does not end"
        found: tuple[str, str] = self.answer.recv()
        self.process.join(30)
        return found


def _execute(answer: Any, small: Small, url: str, what: str, operation: str) -> None:
    try:
        service = small.service(open_store(url))
        match what:
            case "apply":
                record = service.apply(operation, "worker")
            case "resume":
                record = service.resume(operation, ERIN)
            case "bring back":
                record = service.bring_back(operation, "worker")
            case _:
                made = service.plan(Kind.ROLLBACK, {}, ERIN)
                why = "it does not get on" if what == "take over" else ""
                record = service.apply_here(made, ERIN, made.confirmation, why)
        answer.send((str(record.state), record.reason))
    except BaseException as e:  # noqa: BLE001 (the test asserts what it is)
        answer.send((type(e).__name__, str(e)))


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"
