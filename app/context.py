"""Wires the objects of one process: settings, migration file, store, workspace and the services over them.

Command line, pages and worker use the same class. Each part is made when first needed, and a test replaces any of them
by name: `Context(store=..., workspace=...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from app.access import Access, Refused
from app.config.migration import Migration, Role
from app.config.settings import Settings
from app.store.open import Store, open_store
from databricks_client.endpoint import Endpoint, EndpointError

if TYPE_CHECKING:
    from app.operations.service import OperationsService
    from app.progress.facts import Facts
    from app.progress.sign_off import ChecklistService
    from databricks_client.client import Workspace

# The Databricks SDK takes a second to import: what a command or a first page does not use is imported where it is made.


class Context:
    """What this process works with. Raises ConfigError, StoreError, EndpointError or WorkspaceError on first use."""

    def __init__(self, ended: Callable[[], bool] = lambda: False, **parts: Any) -> None:
        """ended: whether this process is about to end. parts: replaces properties of this class, by name."""
        self._ended = ended
        for name, part in parts.items():
            if not isinstance(getattr(type(self), name, None), cached_property):
                raise TypeError(f"a context has no part {name!r}")
            self.__dict__[name] = part

    @cached_property
    def settings(self) -> Settings:
        """Settings of this process."""
        return Settings.from_environment()

    @cached_property
    def migration(self) -> Migration:
        """The migration file."""
        return Migration.load(self.settings.migration_path)

    @cached_property
    def store(self) -> Store:
        """The state store."""
        return open_store(self.settings.store_url)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the store belongs to. Raises EndpointError where there is none, StoreError for another."""
        from databricks_client.client import Workspace

        found = Workspace(Endpoint.discover(self.settings.data))
        bind(self.store, found)
        return found

    @cached_property
    def access(self) -> Access:
        """Roles, looked up in the workspace at each action, and the audited refusal."""
        return Access(self.store.audit, self.roles_of)

    @cached_property
    def operations(self) -> OperationsService:
        """Operations: roles from the workspace's groups, gates from the store's evidence, at each action."""
        from app.operations import compared
        from app.operations.databricks import DatabricksWorld
        from app.operations.service import OperationsService
        from app.progress.rules import judges
        from databricks_client.running import RUNNING

        return OperationsService(
            self.store,
            DatabricksWorld(self.workspace),
            self.migration,
            roles_of=self.roles_of,
            judges=lambda: judges(self.facts()),
            evidence=lambda: compared.of_store(self.store.parity),
            ended=lambda: self._ended() or RUNNING.ending,
            personas=self.store.binding.local,
        )

    @cached_property
    def checklist(self) -> ChecklistService:
        """Ticks and sign-offs."""
        from app.progress.sign_off import ChecklistService

        return ChecklistService(self.migration, self.store.checklist, self.store.audit, self.roles_of)

    def roles_of(self, user: str) -> frozenset[Role]:
        """A user's roles by a lookup now. Raises Refused where it cannot be made."""
        from databricks_client.errors import WorkspaceError

        try:
            return self.workspace.identity.roles_of(user, self.migration.roles.groups)
        except (WorkspaceError, EndpointError) as e:
            raise Refused(f"the roles of {user} cannot be looked up: {e}") from e

    def facts(self) -> Facts:
        """The evidence in the store now."""
        from app.progress.facts import load_facts

        return load_facts(self.store, self.migration)

    def close(self) -> None:
        """Closes what was opened on the workspace; what is needed after that is opened anew."""
        if (workspace := self.__dict__.pop("workspace", None)) is not None:
            workspace.close()


def bind(store: Store, workspace: Workspace) -> None:
    """Binds the store to this workspace at its first use, later checks that it is the same.

    Raises StoreError where the store belongs to another one, WorkspaceError where this one does not say which it is.
    """
    found = workspace.workspace_id
    store.binding.bind(found.id, found.host, found.local)
