"""What commands work with: settings, migration file, store and workspace, each opened when first needed."""

from __future__ import annotations

from functools import cached_property

from app.checklist import ChecklistService
from app.commands.ending import WrongUse
from app.commands.terminal import Terminal
from app.config import IdentitySource, Migration, Role, Settings
from app.operations.actor import Actor, Refused
from app.operations.service import OperationsService
from app.operations.wiring import bind, operations_service
from app.progress.facts import Facts, load_facts
from app.store.open import Store, open_store
from app.workspace.client import Workspace
from app.workspace.errors import WorkspaceError
from validation.endpoint import Endpoint

POLL_SECONDS = 0.5


class Context:
    """What commands work with, each part made when first needed."""

    out = Terminal()
    err = Terminal(stderr=True)

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
        found = Workspace(Endpoint.discover(self.settings.data))
        bind(self.store, found)
        return found

    @cached_property
    def service(self) -> OperationsService:
        """Operations over this workspace."""
        return operations_service(self.store, self.workspace, self.migration)

    @cached_property
    def checklist(self) -> ChecklistService:
        """Ticks and sign-offs."""
        return ChecklistService(self.migration, self.store.checklist, self.store.audit, self.roles_of)

    def close(self) -> None:
        """Closes what was opened on the workspace; what is needed after that is opened anew."""
        if (workspace := self.__dict__.pop("workspace", None)) is not None:
            workspace.close()

    def roles_of(self, user: str) -> frozenset[Role]:
        """A user's roles by a lookup now. Raises Refused where it cannot be made."""
        try:
            return self.workspace.identity.roles_of(user, self.migration.roles)
        except WorkspaceError as e:
            raise Refused(f"the roles of {user} cannot be looked up: {e}") from e

    def facts(self) -> Facts:
        """The evidence in the store."""
        return load_facts(self.store, self.migration)

    def actor(self, persona: str | None) -> Actor:
        """Who acts: the persona where one may be chosen, otherwise the token's user. Raises WrongUse."""
        if self.settings.identity is IdentitySource.PERSONA:
            if not persona:
                raise WrongUse("say who you are: --as USER (CUTOVER_IDENTITY=persona lets a persona be chosen)")
            return Actor(persona, frozenset(), "persona", local=True)
        me = self.workspace.identity.me().user_name
        if persona and persona.casefold() != me.casefold():
            raise WrongUse(f"--as {persona}: you are {me}; a persona can be chosen only with CUTOVER_IDENTITY=persona")
        return Actor(me, frozenset(), "token")


context = Context()
