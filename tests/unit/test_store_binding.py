"""A store belongs to one workspace, as the service itself reports it, and refuses every other with one line."""

from __future__ import annotations

from typing import Any

import pytest

from app.context import bind
from app.store.base import StoreError
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from databricks_client.workspace_id import WorkspaceId
from tests.support.workspace_server import Server

REMOTE = ("1234", "https://prod.example.com", False)


def workspace(server: Server, number: int | None) -> Workspace:
    answer: Any = {"workspace_id": str(number)} if number else {"oidc_endpoint": "x"}
    server.on("GET", "/.well-known/databricks-config", answer)
    return server.workspace()


@pytest.mark.parametrize(
    "other", [("99", "https://prod.example.com", False), ("1234", "http://127.0.0.1:1", True)], ids=["id", "local"]
)
def test_a_store_belongs_to_the_workspace_that_used_it_first(store: Store, other: tuple[str, str, bool]) -> None:
    first = store.binding.bind(*REMOTE)
    assert store.binding.bind("1234", "https://another-name.example.com", False) == first
    with pytest.raises(StoreError, match=r"belongs to workspace 1234 .* set CUTOVER_STORE_URL") as e:
        store.binding.bind(*other)
    assert "\n" not in str(e.value) and store.binding.current() == first and not store.binding.local()


def test_a_store_that_belongs_to_no_workspace_yet_lets_no_persona_count(store: Store) -> None:
    assert store.binding.current() is None and not store.binding.local()
    store.binding.bind("1", "http://127.0.0.1:1", local=True)
    assert store.binding.local()


def test_the_service_reports_which_workspace_it_is_and_the_environment_is_not_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_WORKSPACE_ID", "1234")
    assert workspace(server, 77).workspace_id == WorkspaceId("77", server.host, local=True)


def test_a_workspace_that_reports_no_number_is_known_by_its_host(server: Server) -> None:
    assert workspace(server, None).workspace_id.id == "host 127.0.0.1"


def test_a_workspace_that_does_not_say_which_it_is_binds_nothing(store: Store) -> None:
    with pytest.raises(WorkspaceError):
        bind(store, Workspace(Endpoint("http://127.0.0.1:9", "w", "t")))
    assert store.binding.current() is None


def test_a_laptops_workspace_never_opens_the_store_of_another(store: Store, server: Server) -> None:
    store.binding.bind(*REMOTE)
    with pytest.raises(StoreError, match="on this machine"):
        bind(store, workspace(server, 1234))
