"""A process of its own that carries one operation out, so that a test can kill it: URL, host, warehouse, token, id."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from app.config.migration import DEFAULT_MIGRATION, Gate, Migration
from app.operations import compared
from app.operations.databricks import DatabricksWorld
from app.operations.executor import Patience
from app.operations.observe import relations
from app.operations.service import OperationsService
from app.progress.evidence import Finding, Status
from app.role_lookup import RoleLookup
from app.store.base import now
from app.store.open import open_store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint

MIGRATION = Migration.load(DEFAULT_MIGRATION)


def passing() -> Callable[[Gate], Finding]:
    """A judge that lets everything pass: these tests are of the swap, not of the evidence."""
    return lambda gate: Finding(Status.PASS, "taken as given by this test", now(), "test")


def service(store_url: str, endpoint: Endpoint) -> OperationsService:
    """Operations over a running workspace with gates of the migration file taken as passed."""
    workspace = Workspace(endpoint)
    world = DatabricksWorld(workspace)

    @cache
    def as_compared() -> dict[str, str]:
        """Evidence that the rows of every table were compared as they are at the first call: taken as given, too."""
        names = [n for t in MIGRATION.tables for n in (t.baseline, t.candidate)]
        return {compared.PREFIX + r.name: r.version for r in relations(world, names, deep=True) if r.version}

    return OperationsService(
        open_store(store_url),
        world,
        MIGRATION,
        roles_of=RoleLookup(
            MIGRATION.roles,
            lambda: workspace.identity,
            lambda token: Workspace(replace(endpoint, token=token)).identity,
        ).of,
        judges=passing,
        evidence=as_compared,
        personas=lambda: True,
        patience=Patience(lease=4.0, wait=20.0),
    )


if __name__ == "__main__":
    url, host, warehouse, token, operation = sys.argv[1:]
    print(service(url, Endpoint(host, warehouse, token)).apply(operation, "process").state, flush=True)
