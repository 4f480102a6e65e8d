"""The local workspace as one object: wires state, SQL, runners, schedules and faults, for REST and the filler."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from emulator.constants import ADMIN, WAREHOUSE_NAME, WAREHOUSE_START_SECONDS
from emulator.faults import Faults
from emulator.files import Files
from emulator.query_history import QueryHistory
from emulator.records import Json, Pipeline, Principal, Run, Update, Warehouse, WorkspaceObject
from emulator.rest.errors import ServiceError
from emulator.runner.child import quiet_spark
from emulator.runner.jobs import JobRunner
from emulator.runner.pipelines import PipelineRunner
from emulator.runner.zygote import RunnerProcesses
from emulator.scheduler import Scheduler
from emulator.spark_server import SMALL_DATA, SMALL_ENTRIES
from emulator.state import State
from emulator.system_tables import note_lineage, register
from emulator.warehouse import SqlWorkspace

TICK_SECONDS = 600.0
"""Scheduled runs that start within this time of each other see the source tables change once."""

SIZE = "bootstrap.entries"
"""Key of the record that says how many entries a filler first put in. Spark's settings depend on it."""


@dataclass(frozen=True)
class Status:
    """What the workspace is preparing. phase: starting, preparing, ready or failed; done and total count `step`'s
    items.

    ready_for_use: REST and SQL answer, and the filler, if there is one, has finished.
    """

    phase: str = "starting"
    step: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    ready_for_use: bool = False


class Progress(Protocol):
    """Takes what is being prepared: the step, how many of its `total` items are done, and a line to show."""

    def __call__(self, step: str, done: int = 0, total: int = 0, message: str = "") -> None: ...


class FillError(Exception):
    """The workspace could not be filled; the text is one line: which step failed, why, and the way out."""


class Filler(Protocol):
    """A module that puts catalogs, jobs, data or anything else into a workspace, from outside of this package."""

    def fill(self, workspace: Workspace, entries: int, seed: int, progress: Progress) -> None:
        """Puts everything in, or what of it is missing; runs once Spark is up. Raises FillError.

        entries, seed: size and seed of generated data.
        """

    def tick(self, workspace: Workspace, share: float) -> Json:
        """Changes the generated data as it changes between two runs. Returns a JSON object that says what changed.

        share: of the entries, above 0 and at most 1.
        """


class Workspace:
    """One local workspace, living in the folder `data`.

    What others use: `state` (records), `files` (the tree of notebooks), `jobs` and `pipelines` (create, run, wait),
    `sql` (the SQL half), `faults`, `status`, `use_warehouse`, `ensure_user/group/service_principal`. Objects are
    created on first use; tests replace them.
    """

    def __init__(
        self,
        data: Path,
        *,
        driver_memory: str = "",
        idle_clock: bool = False,
        entries: int | None = None,
        filler: Filler | None = None,
    ) -> None:
        """entries: how many the filler will put in, if it has not yet."""
        self.data = data
        self.filler = filler
        self.driver_memory = driver_memory
        self.entries = entries
        self.idle_clock = idle_clock
        self.host = ""
        self.status = Status()
        self.sql_ready = threading.Event()
        self.stopping = threading.Event()
        # Of the SQL protocol's server, once that is there.
        self.sessions_of: Callable[[str], int] = lambda warehouse_id: 0
        self.warehouse_start_seconds = WAREHOUSE_START_SECONDS
        self._warehouses = threading.Lock()
        self._starting: dict[str, float] = {}
        self._status_lock = threading.Lock()
        self._tick_lock = threading.Lock()
        self._ticked = float("-inf")
        self.first_admin()

    # -- parts ---------------------------------------------------------------------------------------------------------

    @cached_property
    def state(self) -> State:
        return State(self.data / "workspace.db")

    @cached_property
    def queries(self) -> QueryHistory:
        return QueryHistory(self.state)

    @cached_property
    def files(self) -> Files:
        return Files(self.state)

    @cached_property
    def faults(self) -> Faults:
        return Faults()

    @cached_property
    def sql(self) -> SqlWorkspace:
        # A folder that has its data keeps it, whatever size is requested later.
        entries = int(self.state.meta(SIZE) or self.entries or 0)
        return SqlWorkspace(
            self.data,
            self.groups_of,
            driver_memory=self.driver_memory or "4g",
            spark_conf=SMALL_DATA if 0 < entries <= SMALL_ENTRIES else None,
            on_statement=self._statement_finished,
        )

    @cached_property
    def processes(self) -> RunnerProcesses:
        return RunnerProcesses(self.data / "run")

    @cached_property
    def jobs(self) -> JobRunner:
        return JobRunner(self)

    @cached_property
    def pipelines(self) -> PipelineRunner:
        return PipelineRunner(self)

    @cached_property
    def scheduler(self) -> Scheduler:
        return Scheduler(self)

    # -- identity ------------------------------------------------------------------------------------------------------

    def first_admin(self) -> None:
        """Creates what every workspace has: its administrator with a token, the group `admins` and a warehouse."""
        state = self.state
        with state.transaction():
            if state.meta("admin_token"):
                return
            admins = state.create_principal("group", "admins", "admins")
            state.create_principal("group", "users", "users")
            admin = state.create_principal("user", ADMIN, "Workspace administrator")
            state.add_member(admins.id, admin.id)
            state.set_meta("admin_token", state.create_token(admin.id, "workspace administrator").secret)
            warehouse = Warehouse(
                f"{admin.id:x}".rjust(16, "0")[-16:],
                ADMIN,
                "RUNNING",
                {
                    "name": WAREHOUSE_NAME,
                    "cluster_size": "2X-Small",
                    "min_num_clusters": 1,
                    "max_num_clusters": 1,
                    "auto_stop_mins": 0,
                    "warehouse_type": "PRO",
                    "enable_serverless_compute": False,
                    "enable_photon": False,
                    "spot_instance_policy": "COST_OPTIMIZED",
                },
            )
            state.put_warehouse(warehouse)
            state.set_permissions("warehouses", warehouse.id, {("group", "users"): "CAN_USE"})
            state.set_meta("warehouse_id", warehouse.id)

    @property
    def admin_token(self) -> str:
        return str(self.state.meta("admin_token"))

    @property
    def warehouse_id(self) -> str:
        return str(self.state.meta("warehouse_id"))

    def principal(self, token: str) -> Principal | None:
        """Who a bearer token belongs to, None if unknown or expired."""
        return self.state.principal_of_token(token)

    def groups_of(self, name: str) -> set[str]:
        """Names of all groups that a principal is in, directly or not."""
        found = self.state.principal_named(name)
        return set(found.groups) if found else set()

    def ensure_user(self, email: str, display_name: str) -> Principal:
        """The user of that name, created when missing."""
        return self._ensure("user", email, display_name)

    def ensure_service_principal(self, application_id: str, display_name: str) -> Principal:
        """The service principal of that application id, created when missing."""
        return self._ensure("service_principal", application_id, display_name)

    def ensure_group(self, name: str, members: tuple[str, ...] = ()) -> Principal:
        """The group of that name with at least these members (names of users, service principals, groups)."""
        group = self._ensure("group", name, name)
        for member in members:
            found = self.state.principal_named(member)
            if found is None:
                raise ValueError(f"group {name}: there is no principal {member}; create it first")
            self.state.add_member(group.id, found.id)
        return group

    def _ensure(self, kind: str, name: str, display_name: str) -> Principal:
        return self.state.principal_named(name, kind) or self.state.create_principal(kind, name, display_name)

    def token_for(self, name: str, comment: str = "local") -> str:
        """A token of that user or service principal: the first one with this comment, or a new one."""
        found = self.state.principal_named(name)
        if found is None or found.kind == "group":
            raise ValueError(f"there is no user or service principal {name}")
        for token in self.state.tokens(found.id):
            if token.comment == comment and token.expires_ms is None:
                return token.secret
        return self.state.create_token(found.id, comment).secret

    def use_warehouse(self, warehouse_id: str) -> bool:
        """Whether the warehouse answers statements; a stopped one is started, as on the service."""
        with self._warehouses:
            found = self.state.warehouse(warehouse_id)
            if found is not None and found.state == "STOPPED":
                self._starting[warehouse_id] = time.monotonic() + self.warehouse_start_seconds
                self.state.put_warehouse(replace(found, state="STARTING"))
        return self.warehouse_state(warehouse_id) == "RUNNING"

    def stop_warehouse(self, warehouse_id: str) -> None:
        """Stops it; what runs or waits on it is cancelled."""
        with self._warehouses:
            found = self.state.warehouse(warehouse_id)
            if found is None:
                return
            self._starting.pop(warehouse_id, None)
            self.state.put_warehouse(replace(found, state="STOPPED"))
        among = {"warehouse_id": [warehouse_id], "status": ["QUEUED", "RUNNING"]}
        for _, entry in self.state.queries(among=among, times=(0, 2**63 - 1), before=None, limit=1000):
            self.queries.cancel(str(entry["query_id"]))

    def warehouse_state(self, warehouse_id: str) -> str:
        """RUNNING only once SQL really answers; empty where there is no such warehouse."""
        with self._warehouses:
            found = self.state.warehouse(warehouse_id)
            if found is None:
                return ""
            # One that was starting when this process was ended is started anew.
            until = self._starting.setdefault(warehouse_id, time.monotonic() + self.warehouse_start_seconds)
            if found.state == "STARTING" and time.monotonic() >= until:
                found = replace(found, state="RUNNING")
                self.state.put_warehouse(found)
            if found.state != "STARTING":
                self._starting.pop(warehouse_id, None)
        return "STARTING" if found.state == "RUNNING" and not self.sql_ready.is_set() else found.state

    def wait_for_warehouse(self, warehouse_id: str, seconds: float) -> bool:
        """Whether the warehouse runs, at once or within these seconds."""
        if self.warehouse_state(warehouse_id) == "RUNNING":
            return True
        time.sleep(seconds)
        return self.warehouse_state(warehouse_id) == "RUNNING"

    # -- status --------------------------------------------------------------------------------------------------------

    def progress(
        self, phase: str, step: str = "", done: int = 0, total: int = 0, message: str = "", ready: bool = False
    ) -> None:
        """Says what is being prepared; shown at GET /emulator/status."""
        with self._status_lock:
            self.status = Status(phase, step, done, total, message, ready)

    def status_document(self) -> dict[str, Any]:
        remote = self.sql.remote_url if self.sql_ready.is_set() else None
        return {**asdict(self.status), "spark_remote": remote}

    def wait_for_sql(self, timeout: float = 180.0) -> None:
        """Returns once Spark answers. Raises TEMPORARILY_UNAVAILABLE after `timeout` seconds or when stopping."""
        end = time.monotonic() + timeout
        while not self.sql_ready.wait(0.2):
            if self.stopping.is_set() or time.monotonic() > end:
                raise ServiceError("TEMPORARILY_UNAVAILABLE", "The workspace's Spark is not up.")

    def note_lineage(self, pipeline: Pipeline, update: Update, reads: Mapping[str, Sequence[str]]) -> None:
        """An update's datasets and what each read, into `system.access.table_lineage`."""
        for target, sources in reads.items():
            note_lineage(
                self.state,
                entity_type="PIPELINE",
                entity_id=pipeline.pipeline_id,
                entity_run_id=update.update_id,
                created_by=update.creator,
                sources=sources,
                targets=[target],
                metadata={
                    "dlt_pipeline_info": {"dlt_pipeline_id": pipeline.pipeline_id, "dlt_update_id": update.update_id}
                },
            )

    def note_notebook(
        self, item: WorkspaceObject, run: Run, task_run_id: int, principal: str, reads: list[str], writes: list[str]
    ) -> None:
        """What a statement of a notebook's run read and wrote, into `system.access.table_lineage`."""
        note_lineage(
            self.state,
            entity_type="NOTEBOOK" if item.object_type == "NOTEBOOK" else "JOB",
            entity_id=str(item.object_id) if item.object_type == "NOTEBOOK" else str(run.job_id),
            entity_run_id=str(task_run_id),
            created_by=principal,
            sources=reads,
            targets=writes,
            metadata={
                "job_info": {"job_id": str(run.job_id), "job_run_id": str(run.run_id)},
                "notebook_id": str(item.object_id) if item.object_type == "NOTEBOOK" else None,
            },
        )

    def _statement_finished(
        self, *, principal: str, reads: Sequence[str], writes: Sequence[str], error: str | None = None, **_: object
    ) -> None:
        """Called by the SQL half after each statement: into lineage, once a day and reader."""
        sources = [n for n in reads if not n.startswith("system.") and ".information_schema." not in n]
        if error or not (sources or writes):
            return
        tables = "/".join([principal, *sorted(sources), "", *sorted(writes)])
        note_lineage(
            self.state,
            entity_type="DBSQL_QUERY",
            entity_id=str(uuid.uuid5(uuid.UUID(int=0), tables)),
            entity_run_id=datetime.now(UTC).date().isoformat(),
            created_by=principal,
            sources=sources,
            targets=writes,
        )

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start_sql(self) -> None:
        """Brings Spark up; runner processes import its client meanwhile. Raises what the SQL half raises."""
        self.processes.start()
        quiet_spark()
        self.sql.start()
        register(self)
        self.sql_ready.set()

    def fill(self, entries: int, seed: int) -> None:
        """Lets the filler put in what is missing, and change it before scheduled runs. Raises FillError."""
        if self.filler is not None:
            self.filler.fill(self, entries, seed, self.progress_of_step)
            self.scheduler.before_firing = self.time_passes

    def time_passes(self) -> None:
        """Lets the source tables change as they do between two scheduled runs; runs that start together see one
        change."""
        with self._tick_lock:
            if time.monotonic() - self._ticked < TICK_SECONDS:
                return
            self.tick()

    def tick(self, share: float = 0.01) -> Json:
        """Lets the filler change its data once, and returns what changed. share: of the entries.

        Raises INVALID_STATE if the workspace is empty or not filled yet.
        """
        if self.filler is None or not self.status.ready_for_use:
            why = "is empty: start it without --empty" if self.filler is None else "is not filled yet"
            raise ServiceError("INVALID_STATE", f"The workspace {why}.")
        done = self.filler.tick(self, share)
        self._ticked = time.monotonic()
        return done

    def progress_of_step(self, step: str, done: int = 0, total: int = 0, message: str = "") -> None:
        """One step of a preparation."""
        self.progress("preparing", step, done, total, message)

    def end_processes(self) -> None:
        """Stops schedules, runs and updates, runner processes and Spark. What was active is ended as interrupted."""
        self.stopping.set()
        self.scheduler.stop()
        self.jobs.stop()
        self.pipelines.stop_all()
        self.processes.stop()
        if "sql" in self.__dict__:
            self.sql.stop()
        self.state.end_interrupted()
