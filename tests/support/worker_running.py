"""A worker in a thread, and operations that stand in for the service's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from app.config.migration import Migration
from app.context import Context
from app.store.open import Store
from app.worker import Pace, Worker
from databricks_client.endpoint import Endpoint
from tests.support.collecting import MIGRATION
from tests.support.workspace_server import Server


class FakeOperations:
    """What the worker calls of the operations service."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.requested: list[str] = []
        self.interrupted: list[str] = []
        self.brought_back: list[tuple[str, str]] = []
        self.applied: list[tuple[str, str]] = []
        self.act: Callable[[str], None] = lambda _: None

    def to_resume(self) -> Any:
        return [SimpleNamespace(id=i) for i in self.requested]

    def resume_requested(self, operation_id: str, executor: str) -> Any:
        self.act(operation_id)
        self.requested.remove(operation_id)
        self.applied.append((operation_id, executor))
        return SimpleNamespace(state="verified")

    def left(self) -> Any:
        return [SimpleNamespace(id=i) for i in self.interrupted]

    def bring_back(self, operation_id: str, executor: str) -> Any:
        self.interrupted.remove(operation_id)
        self.brought_back.append((operation_id, executor))
        return SimpleNamespace(state="undone")

    def ready(self) -> Any:
        return [SimpleNamespace(id=i) for i in self.waiting]

    def apply(self, operation_id: str, executor: str) -> Any:
        self.act(operation_id)
        self.waiting.remove(operation_id)
        self.applied.append((operation_id, executor))
        return SimpleNamespace(state="verified")


QUICK = Pace(lease=20.0, renew=0.05, retry=0.02, tick=0.02, check=0.04, look=0.04, failure=0.04)
"""No test waits for a worker's intervals; a lease that is not renewed outlives its test."""


class Running:
    """A worker in a thread. `discovered` counts how often it has looked for the workspace."""

    def __init__(
        self, store: Store, endpoint: Endpoint, operations: FakeOperations, migration: Migration = MIGRATION
    ) -> None:
        self.endpoint = endpoint
        self.discovered = 0
        context = Context(store=store, migration=migration, operations=operations)
        self.worker = Worker(context, self._discover, pace=QUICK)
        self.status: int | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _discover(self) -> Endpoint:
        self.discovered += 1
        return self.endpoint

    def _run(self) -> None:
        self.status = self.worker.run()

    def stop(self) -> int | None:
        self.worker.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.status


def endpoint(server: Server) -> Endpoint:
    return Endpoint(server.host, "w1", "t")
