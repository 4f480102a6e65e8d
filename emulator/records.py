"""Records of the local workspace: principals, jobs, runs, pipelines, updates, events, warehouses, its tree."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

ACTIVE_RUN = ("QUEUED", "BLOCKED", "PENDING", "RUNNING", "TERMINATING", "WAITING_FOR_RETRY")
ACTIVE_UPDATE = (
    "QUEUED",
    "CREATED",
    "WAITING_FOR_RESOURCES",
    "INITIALIZING",
    "RESETTING",
    "SETTING_UP_TABLES",
    "RUNNING",
    "STOPPING",
)


def now_ms() -> int:
    """Milliseconds since 1970 UTC, the unit of every time in the REST API."""
    return time.time_ns() // 1_000_000


def new_number() -> int:
    """A fresh 15-digit id, the size of the service's job and run ids."""
    return secrets.randbelow(9 * 10**14) + 10**14


@dataclass(frozen=True)
class Principal:
    """A user, service principal or group.

    kind: `user`, `service_principal` or `group`. name: e-mail address, application id or group name; unique in its
    kind.
    groups: names of the groups it is in (direct and indirect), `admins` among them for a workspace administrator.
    """

    id: int
    kind: str
    name: str
    display_name: str
    active: bool = True
    external_id: str | None = None
    groups: frozenset[str] = frozenset()

    @property
    def admin(self) -> bool:
        return "admins" in self.groups

    @property
    def names(self) -> frozenset[str]:
        """Every name a grant can reach it by: its own, its groups', and the group of all users."""
        everyone = {"users", "account users"} if self.kind != "group" else set()
        return frozenset({self.name, *self.groups, *everyone})


@dataclass(frozen=True)
class Token:
    """A bearer token of one principal. expires_ms: None for one that does not expire."""

    token_id: str
    secret: str
    principal_id: int
    comment: str
    created_ms: int
    expires_ms: int | None = None


def run_as_of(settings: Mapping[str, Any]) -> str:
    """The user or service principal that a job's settings say it runs as, "" where they say none."""
    run_as = settings.get("run_as") or {}
    return str(run_as.get("user_name") or run_as.get("service_principal_name") or "")


@dataclass(frozen=True)
class Job:
    """A job: its settings exactly as `JobSettings.as_dict()` of the SDK has them."""

    job_id: int
    creator: str
    created_ms: int
    settings: Json

    @property
    def name(self) -> str:
        return str(self.settings.get("name", "Untitled"))


@dataclass(frozen=True)
class TaskRun:
    """One attempt at one task of a job run. Times in ms since 1970; 0 = not yet.

    definition: the task's settings at the start of the run (`Task.as_dict()`), parameters resolved.
    output: what `jobs/runs/get-output` adds: `notebook_output`, `error`, `error_trace`, `logs`, `info`.
    """

    run_id: int
    parent_run_id: int
    task_key: str
    definition: Json
    attempt: int = 0
    life_cycle_state: str = "PENDING"
    result_state: str | None = None
    state_message: str = ""
    termination_code: str | None = None
    start_ms: int = 0
    end_ms: int = 0
    setup_ms: int = 0
    execution_ms: int = 0
    queue_ms: int = 0
    output: Json = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.life_cycle_state in ACTIVE_RUN


@dataclass(frozen=True)
class Run:
    """One run of a job. Times in ms since 1970; 0 = not yet.

    trigger: `PERIODIC`, `ONE_TIME`, `RETRY`, `RUN_JOB_TASK`, ... settings: the job's settings when it was triggered.
    generated: True for history made up for the charts; such runs were never executed and carry `(generated)` in their
    names and descriptions.
    """

    run_id: int
    job_id: int
    creator: str
    run_name: str
    trigger: str
    number_in_job: int
    settings: Json
    start_ms: int
    end_ms: int = 0
    queue_ms: int = 0
    life_cycle_state: str = "PENDING"
    result_state: str | None = None
    state_message: str = ""
    termination_code: str | None = None
    job_parameters: dict[str, str] = field(default_factory=dict)
    overriding: Json = field(default_factory=dict)
    only: tuple[str, ...] = ()
    idempotency_token: str | None = None
    repairs: tuple[Json, ...] = ()
    generated: bool = False

    @property
    def active(self) -> bool:
        return self.life_cycle_state in ACTIVE_RUN


@dataclass(frozen=True)
class Pipeline:
    """A declarative pipeline: its spec exactly as `PipelineSpec.as_dict()` of the SDK has it."""

    pipeline_id: str
    creator: str
    created_ms: int
    modified_ms: int
    spec: Json

    @property
    def name(self) -> str:
        return str(self.spec.get("name", ""))

    @property
    def hidden_schema(self) -> str:
        """Spark schema that this pipeline's datasets are written to before they are published."""
        return "__pipeline_" + self.pipeline_id.replace("-", "_")


@dataclass(frozen=True)
class Update:
    """One update of a pipeline. Times in ms since 1970; 0 = not yet.

    request: the body of the start call (`full_refresh`, `refresh_selection`, ...). job_run_id, job_task_run_id: the run
    that started it, for cause `JOB_TASK`. spec: the pipeline's spec when the update was created.
    """

    update_id: str
    pipeline_id: str
    cause: str
    state: str
    creator: str
    created_ms: int
    spec: Json
    request: Json = field(default_factory=dict)
    start_ms: int = 0
    end_ms: int = 0
    cluster_id: str = ""
    job_id: int | None = None
    job_run_id: int | None = None
    job_task_run_id: int | None = None
    generated: bool = False

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_UPDATE


@dataclass(frozen=True)
class Event:
    """One row of a pipeline's event log. body: the event as the REST API gives it, `details` included."""

    event_id: str
    pipeline_id: str
    update_id: str | None
    timestamp_ms: int
    level: str
    event_type: str
    body: Json
    seq: int = 0


@dataclass(frozen=True)
class Warehouse:
    """A SQL warehouse. state: RUNNING, STOPPED, ...; settings: name, cluster_size, auto_stop_mins, ... of the API."""

    id: str
    creator: str
    state: str
    settings: Json

    @property
    def name(self) -> str:
        return str(self.settings.get("name", ""))


@dataclass(frozen=True)
class WorkspaceObject:
    """A notebook, file or folder of the workspace tree. object_type: NOTEBOOK, FILE, DIRECTORY, REPO.

    language: PYTHON, SQL, SCALA, R for notebooks. content: source text of a notebook, bytes of a file.
    """

    path: str
    object_id: int
    object_type: str
    language: str | None
    created_ms: int
    modified_ms: int
    content: bytes = b""
