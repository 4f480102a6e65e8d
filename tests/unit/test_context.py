"""The context wires the objects of a process; a part is replaced by name, and no other workspace gets into a store."""

from __future__ import annotations

import pytest

from app.access import Actor, Refused
from app.collect.refresh import request_refresh
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.config.settings import Settings
from app.context import Context
from app.store.base import StoreError
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from tests.support.workspace_server import Server

MIGRATION = Migration.load(DEFAULT_MIGRATION)
ADA = Actor("ada@example.com", frozenset(Role), "persona", local=True)


def context(store: Store, **parts: object) -> Context:
    return Context(store=store, migration=MIGRATION, **parts)


def test_only_a_known_part_can_be_replaced(store: Store) -> None:
    with pytest.raises(TypeError, match="no part 'stor'"):
        Context(stor=store)


def test_a_context_at_another_workspace_keeps_replaced_parts_and_shares_the_store(store: Store) -> None:
    operations = object()
    settings = Settings.from_environment()
    workspace = Workspace(Endpoint("http://127.0.0.1:9", "w", "t"))
    moved = context(store, settings=settings, operations=operations).at(workspace, lambda: True)
    assert (moved.store, moved.operations, moved.workspace) == (store, operations, workspace)
    assert moved.settings is settings


def test_operations_refuse_a_workspace_that_the_store_does_not_belong_to(store: Store, server: Server) -> None:
    store.binding.bind("1234", "https://prod.example.com", False)
    server.on("GET", "/.well-known/databricks-config", {"workspace_id": "77"})
    with pytest.raises(StoreError, match="belongs to workspace 1234"):
        _ = context(store, workspace=server.workspace()).operations


def test_roles_that_cannot_be_looked_up_refuse_the_action_and_the_refusal_is_audited(store: Store) -> None:
    away = context(store, workspace=Workspace(Endpoint("http://127.0.0.1:9", "w", "t")))
    with pytest.raises(Refused, match="cannot be looked up"):
        request_refresh(ADA, store.collected, away.access)
    refused = store.audit.records(limit=1)[0]
    assert (refused.action, refused.subject, refused.outcome, refused.local) == (
        "collect", "every source", "refused", True,
    )  # fmt: skip
    assert store.collected.pending_refresh() is None
