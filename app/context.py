"""Wires the objects of one process: settings, migration file, store, workspace and the services over them.

Command line, pages and worker use the same class. Each part is made when first needed, and a test replaces any of them
by name: `Context(store=..., workspace=...)`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from app.access import Access, Refused, RolesFound, SignedIn

if TYPE_CHECKING:
    from app.config.migration import Migration
    from app.config.settings import Settings
    from app.doctor.setup import Setup
    from app.operations.audience import Audience
    from app.operations.service import OperationsService
    from app.parity.runner import ParityRunner
    from app.parity.service import ParityService
    from app.progress.facts import Facts
    from app.progress.incident_service import IncidentService
    from app.progress.sign_off import ChecklistService
    from app.store.open import Store
    from app.store.operations import OperationRecord
    from databricks_client.client import Workspace
    from databricks_client.endpoint import Endpoint
    from databricks_client.identity import Identity
    from validation.connector import DatabricksWarehouse

log = logging.getLogger("cutover.context")

# The Databricks SDK takes a second to import, all else half a second: what a command or a first page does not use is
# imported where it is made.


class Context:
    """What this process works with. Raises ConfigError, StoreError, EndpointError or WorkspaceError on first use."""

    def __init__(self, ended: Callable[[], bool] = lambda: False, **parts: Any) -> None:
        """ended: whether this process is about to end. parts: replaces properties of this class, by name."""
        self._ended = ended
        self._given = parts
        for name, part in parts.items():
            if not isinstance(getattr(type(self), name, None), cached_property):
                raise TypeError(f"a context has no part {name!r}")
            self.__dict__[name] = part

    @cached_property
    def settings(self) -> Settings:
        """Settings of this process."""
        from app.config.settings import Settings

        return Settings.from_environment()

    @cached_property
    def migration(self) -> Migration:
        """The migration file."""
        from app.config.migration import Migration

        return Migration.load(self.settings.migration_path).pinned(self.settings.baseline_job_id)

    @cached_property
    def store(self) -> Store:
        """The state store."""
        from app.store.open import open_store

        return open_store(self.settings.store_url)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the store belongs to. Raises EndpointError where there is none, StoreError for another."""
        from databricks_client.endpoint import Endpoint

        found = self.connect(Endpoint.discover(self.settings.data))
        bind(self.store, found)
        return found

    def connect(self, endpoint: Endpoint) -> Workspace:
        """A client of the workspace at this endpoint; a subclass may share one. Raises nothing: no call is made yet."""
        from databricks_client.client import Workspace

        return Workspace(endpoint)

    @cached_property
    def access(self) -> Access:
        """Roles, looked up in the workspace at each action, and the audited refusal."""
        return Access(self.store.audit, self.roles_of)

    @cached_property
    def operations(self) -> OperationsService:
        """Operations: roles from the workspace's groups, gates from the store's evidence, at each action."""
        from app.operations import compared
        from app.operations.databricks import DatabricksWorld
        from app.operations.old_data import last_run
        from app.operations.service import OperationsService
        from app.progress.judge import judges
        from databricks_client.running import RUNNING

        bind(self.store, self.workspace)
        return OperationsService(
            self.store,
            DatabricksWorld(self.workspace, self.settings.statement_seconds),
            self.migration,
            roles_of=self.roles_of,
            judges=lambda: judges(self.facts()),
            evidence=lambda: compared.of_store(self.store.parity),
            ended=lambda: self._ended() or RUNNING.ending,
            personas=self.store.binding.local,
            after=self._after,
            audience=self._audience,
            ephemeral=self.settings.store_is_ephemeral,
            last_run=lambda moment: last_run(self.store.collected, moment),
        )

    @cached_property
    def parity(self) -> ParityService:
        """Comparisons: requested, cancelled, one row in clear."""
        from app.parity.service import ParityService

        return ParityService(self.migration, self.store.parity, self.access, self.open_warehouse)

    @cached_property
    def checklist(self) -> ChecklistService:
        """Ticks and sign-offs."""
        from app.progress.sign_off import ChecklistService

        return ChecklistService(self.migration, self.store.checklist, self.access, self.facts)

    @cached_property
    def incidents(self) -> IncidentService:
        """Incidents, closed and reopened by people."""
        from app.progress.incident_service import IncidentService

        return IncidentService(self.store.incidents, self.access)

    @cached_property
    def signed_in(self) -> SignedIn | None:
        """Whose request this context serves; None outside a page that a proxy serves."""
        return None

    def roles_of(self, user: str) -> RolesFound:
        """A user's roles by a lookup now. Raises Refused where it cannot be made, RolesUnseen where no source says."""
        return self._roles(user, lambda: self.workspace)

    def _roles(self, user: str, workspace: Callable[[], Workspace]) -> RolesFound:
        from app.config.settings import IdentitySource
        from app.role_lookup import RoleLookup
        from app.store.base import StoreError
        from databricks_client.endpoint import EndpointError
        from databricks_client.errors import WorkspaceError

        try:
            return RoleLookup(
                self.migration.roles,
                lambda: workspace().identity,
                lambda token: _identity_with(workspace(), token),
                self.signed_in,
                own_principal=self.settings.identity is IdentitySource.TOKEN,
            ).of(user)
        except (WorkspaceError, EndpointError, StoreError) as e:
            raise Refused(f"the roles of {user} cannot be looked up: {e}") from e

    def open_warehouse(self) -> DatabricksWarehouse:
        """A new connection to the SQL warehouse, to be closed when done. Raises WorkspaceError, EndpointError."""
        from app.parity.warehouse import open_warehouse

        return open_warehouse(self.workspace)

    def parity_runner(self, owner: str, stop: threading.Event | None = None) -> ParityRunner:
        """What executes comparisons as `owner`, until `stop`. Raises EndpointError, StoreError."""
        from app.left_behind import cancel_left_behind
        from app.operations.past import last_cutover
        from app.parity.runner import ParityRunner

        store, workspace, migration = self.store, self.workspace, self.migration
        return ParityRunner(
            store,
            workspace,
            migration,
            owner,
            kept_is=lambda *of: last_cutover(store.operations, migration).kept_is(*of),
            stop=stop,
            tidy=lambda: cancel_left_behind(workspace, store),
        )

    def examined(self, *, start_warehouse: bool = False) -> Setup:
        """What `cutover doctor` checks. The store is not bound to the workspace, and not opened before it is known to
        be this program's. Raises ConfigError, EndpointError."""
        from app.doctor.setup import Setup
        from databricks_client.endpoint import Endpoint

        workspace = self.__dict__.get("workspace") or self.connect(Endpoint.discover(self.settings.data))
        return Setup(
            self.settings,
            self.migration,
            workspace,
            lambda user: self._roles(user, lambda: workspace),
            lambda: self.store,
            start_warehouse=start_warehouse,
        )

    def facts(self) -> Facts:
        """The evidence in the store now."""
        from app.progress.facts import load_facts

        return load_facts(self.store, self.migration)

    def _audience(self) -> Audience:
        """Who uses the tables: from collected lineage, and from the history of statements now."""
        from app.operations.audience import SINCE, Audience, Reader, read_uses
        from app.store.base import now

        names = [t.baseline for t in self.migration.tables]
        ours = {j.name for j in self.migration.jobs.values()} | {p.name for p in self.migration.pipelines}
        readers = tuple(
            Reader(c.table, c.kind, c.name or c.consumer_id, c.user or "", c.last_seen)
            for c in self.store.collected.consumers()
            if c.name not in ours
        )
        workspace = self.workspace
        found, unread = read_uses(
            lambda name: workspace.statement_history.containing(name, now() - SINCE, workspace.workspace_id.id), names
        )
        return Audience(readers, found, unread)

    def _after(self, ended: OperationRecord) -> None:
        """Reads again what an operation changed, records what becomes of the items, and leaves an anchor of the audit
        log in the workspace. Raises nothing."""
        from app.collect.after_operation import read_again
        from app.collect.context import CollectContext
        from app.operations.anchors import leave_anchor

        read_again(CollectContext(self.store.collected, self.workspace, self.migration), ended.kind, ended.id)
        try:
            self.record_progress()
        except Exception as e:  # noqa: BLE001 (the operation has ended; the worker records it with its next look)
            log.warning("after operation %s: %s: %s", ended.id, type(e).__name__, e)
        try:
            leave_anchor(self.workspace.sql, self.store.audit, self.migration.name)
        except Exception as e:  # noqa: BLE001 (the operation has ended; the next one leaves an anchor of this end too)
            log.warning("after operation %s: no anchor of the audit log was left: %s", ended.id, e)

    def record_progress(self, facts: Facts | None = None) -> None:
        """Writes what became of every item by the evidence in the store. facts: as just read. Raises StoreError."""
        from app.progress.recorder import record_progress

        record_progress(self.store, facts or self.facts())

    def at(self, workspace: Workspace, ended: Callable[[], bool]) -> Context:
        """A context with this one's settings, migration, store and replaced parts, and another workspace.

        The store is not bound to `workspace` yet: `bind` does so before anything of it gets into the store.
        """
        shared = {"settings": self.settings, "migration": self.migration, "store": self.store}
        return Context(ended, **self._given | shared | {"workspace": workspace})

    def close(self) -> None:
        """Closes the client of the workspace; a later use opens a new one."""
        if (workspace := self.__dict__.pop("workspace", None)) is not None:
            workspace.close()


def _identity_with(workspace: Workspace, token: str) -> Identity:
    """Users and groups as the bearer of a token may read them: a client of this one call, shared with nobody."""
    from databricks_client.client import Workspace

    return Workspace(replace(workspace.endpoint, token=token)).identity


def bind(store: Store, workspace: Workspace) -> None:
    """Binds the store to this workspace at its first use, later checks that it is the same.

    Raises StoreError where the store belongs to another one, WorkspaceError where this one does not say which it is.
    """
    found = workspace.workspace_id
    store.binding.bind(found.id, found.host, found.local)
