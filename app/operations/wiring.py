"""Puts the operations service together over the store and a workspace, as pages, command line and worker use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.config import Gate, Migration, Role
from app.operations import compared
from app.operations.databricks import DatabricksWorld
from app.operations.gates import Judge
from app.operations.service import OperationsService
from app.progress.evidence import Finding
from app.progress.facts import load_facts
from app.progress.rules import judge
from app.workspace.client import Workspace
from validation.running import RUNNING

if TYPE_CHECKING:
    from app.store.open import Store


def bind(store: Store, workspace: Workspace) -> None:
    """Binds the store to this workspace at its first use, later checks that it is the same.

    Raises StoreError where the store belongs to another one, WorkspaceError where this one does not say which it is.
    """
    found = workspace.workspace_id
    store.binding.bind(found.id, found.host, found.local)


def operations_service(
    store: Store, workspace: Workspace, migration: Migration, ended: Callable[[], bool] = lambda: False
) -> OperationsService:
    """The service over a real workspace: roles from its groups, gates from the store's evidence, at each action.

    ended: see `OperationsService`. Raises StoreError where the store belongs to another workspace, WorkspaceError where
    this one does not say which it is.
    """

    bind(store, workspace)

    def roles_of(user: str) -> frozenset[Role]:
        return workspace.identity.roles_of(user, migration.roles)

    def judges() -> Judge:
        facts = load_facts(store, migration)

        def judged(gate: Gate) -> Finding:
            return judge(gate.evidence, facts, key=gate.key, max_age_hours=gate.max_age_hours)

        return judged

    def evidence() -> dict[str, str]:
        found: dict[str, str] = {}
        for table, result in store.parity.latest("production").items():
            found[f"parity {table}"] = result.parity_id
            found |= compared.of_report(store.parity.report(result.parity_id, table) or {})
        return found

    return OperationsService(
        store,
        DatabricksWorld(workspace),
        migration,
        roles_of=roles_of,
        judges=judges,
        evidence=evidence,
        ended=lambda: ended() or RUNNING.ending,
        personas=store.binding.local,
    )
