"""What the checks of one run share: settings, migration, workspace, and what several of them read, read once."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, TypeVar

from app.access import RolesOf
from app.config.migration import Migration
from app.config.settings import Settings
from app.store.base import now
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.connection import START_SECONDS
from databricks_client.errors import WorkspaceError
from databricks_client.identity import Principal
from databricks_client.jobs import Job
from databricks_client.pipelines import Pipeline
from databricks_client.warehouse import WarehouseInfo

T = TypeVar("T")

_APPLICATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ANSWERS = "answers"


class Setup:
    """One run's view. Threads share it. Its methods raise WorkspaceError where they read the workspace."""

    def __init__(
        self,
        settings: Settings,
        migration: Migration,
        workspace: Workspace,
        roles_of: RolesOf,
        store: Callable[[], Store],
        *,
        start_warehouse: bool = False,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """store: opens the store; only called once its schema is known to be this program's."""
        self.settings = settings
        self.migration = migration
        self.workspace = workspace
        self.roles_of = roles_of
        self.store = store
        self.start_warehouse = start_warehouse
        self.clock = clock
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._read: dict[Hashable, tuple[bool, Any]] = {}

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives or raises, the first time for all callers of this key."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._read:
                try:
                    self._read[key] = (True, read())
                except WorkspaceError as e:
                    self._read[key] = (False, e)
        good, found = self._read[key]
        if not good:
            raise found
        result: T = found
        return result

    def me(self) -> Principal:
        """The acting principal."""
        return self.once("me", self.workspace.identity.me)

    def principal(self) -> str:
        """The name of the acting principal for statements; a placeholder where it is not known."""
        try:
            return self.me().user_name
        except WorkspaceError:
            return "<application id of the app>"

    def job(self, side: str) -> Job:
        """The job of a side of the migration."""
        ref = self.migration.jobs[side]
        return self.once(("job", side), lambda: self.workspace.jobs.find(ref.name, ref.id))

    def pipeline(self, environment: str) -> Pipeline:
        """The pipeline of an environment of the migration."""
        name = next(p.name for p in self.migration.pipelines if p.environment == environment)
        return self.once(("pipeline", environment), lambda: self.workspace.pipelines.find(name))

    def warehouse(self) -> WarehouseInfo:
        """The SQL warehouse as it is, before this run may have started it."""
        return self.once("warehouse", self.workspace.warehouse.describe)

    def sql(self) -> str:
        """ANSWERS where the SQL warehouse has answered a query of this run; else why none was sent.

        A warehouse that does not run is started only where that was requested: a statement would start it.
        """
        return self.once("sql", self._sql)

    def _sql(self) -> str:
        state = self.warehouse().state
        if state != "RUNNING":
            if not self.start_warehouse:
                return f"the warehouse is {state} and was not started for this"
            self.workspace.warehouse.ensure_running(seconds=START_SECONDS)
        self.workspace.sql.query("SELECT 1 AS one", what="query the SQL warehouse")
        return ANSWERS


def permission_command(kind: str, object_id: str | int, principal: str, level: str) -> str:
    """The command that gives a principal a level on an object, beside what it has for others."""
    field = "service_principal_name" if _is_service(principal) else "user_name"
    entry = {"access_control_list": [{field: principal, "permission_level": level}]}
    return f"databricks permissions update {kind} {object_id} --json {shlex.quote(json.dumps(entry))}"


def _is_service(principal: str) -> bool:
    return _APPLICATION_ID.fullmatch(principal) is not None or principal.startswith("<application id")
