"""The worker: one at a time, comparisons and operations beside collection, and an end within seconds of SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app import preparation, worker
from app.access import Refused
from app.collect.sources import Source
from app.config.migration import Migration
from app.context import Context
from app.store.open import Store, open_store
from app.store.parity import ParityState
from app.worker import Worker
from databricks_client.endpoint import Endpoint
from tests.support.parity_running import Compared, report, silent
from tests.support.workspace_server import Request, Server, serving
from tests.unit.test_collect import MIGRATION
from validation.report import ParityReport

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    return Compared(monkeypatch)


# ------------------------------------------------------------------------------------------------------- the worker


class FakeOperations:
    """What the worker calls of the operations service."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.interrupted: list[str] = []
        self.brought_back: list[tuple[str, str]] = []
        self.applied: list[tuple[str, str]] = []
        self.act: Callable[[str], None] = lambda _: None

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


class Running:
    """A worker in a thread."""

    def __init__(
        self, store: Store, endpoint: Endpoint, operations: FakeOperations, migration: Migration = MIGRATION
    ) -> None:
        self.endpoint = endpoint
        context = Context(store=store, migration=migration, operations=operations)
        self.worker = Worker(context, lambda: self.endpoint)
        self.status: int | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.status = self.worker.run()

    def stop(self) -> int | None:
        self.worker.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.status


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(worker, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(worker, "PAUSE_AFTER_FAILURE", 0.1)
    monkeypatch.setattr(worker, "LEASE_SECONDS", 10.0)


def endpoint(server: Server) -> Endpoint:
    return Endpoint(server.host, "w1", "t")


def test_only_one_worker_works_and_the_next_takes_over(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LEASE_SECONDS", 5.0)
    first = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: store.leases.holder("worker"))
    granted = store.leases.holder("worker")
    assert granted is not None
    second = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: (h := store.leases.holder("worker")) and h.expires_at > granted.expires_at)
    assert store.leases.holder("worker").owner == first.worker.owner, "the heartbeat keeps it"  # type: ignore[union-attr]
    assert first.stop() == 0
    wait_until(lambda: (h := store.leases.holder("worker")) and h.owner == second.worker.owner)
    assert second.stop() == 0
    assert store.leases.holder("worker") is None


def test_a_worker_that_lost_its_lease_ends(store: Store, server: Server) -> None:
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: store.leases.holder("worker"))
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE leases SET owner = 'thief', token = token + 1 WHERE name = 'worker'")
    running.thread.join(20)
    assert running.status == 1


def test_an_operation_is_carried_out_and_the_news_are_asked_for(store: Store, server: Server) -> None:
    operations = FakeOperations()
    operations.waiting.append("op1")
    running = Running(store, endpoint(server), operations)
    wait_until(lambda: operations.applied)
    assert operations.applied == [("op1", running.worker.owner)]
    wait_until(lambda: store.collected.refresh_done(1))
    running.stop()


def test_a_refused_operation_does_not_stop_the_next(store: Store, server: Server) -> None:
    operations = FakeOperations()

    def act(operation_id: str) -> None:
        if operation_id == "bad":
            raise Refused("another operation runs")

    operations.act = act
    operations.waiting += ["bad", "good"]
    running = Running(store, endpoint(server), operations)
    wait_until(lambda: operations.applied)
    assert operations.applied[0][0] == "good"
    running.stop()


def test_an_operation_never_waits_for_a_comparison(store: Store, server: Server, compared: Compared) -> None:
    release = threading.Event()

    def during(**_: Any) -> ParityReport:
        release.wait(20)
        return report()

    compared.during = during
    server.on("GET", "/api/2.1/unity-catalog/tables/*", {"full_name": "x", "table_type": "VIEW", "owner": "o"})
    store.parity.request(["t"], "x")
    operations = FakeOperations()
    running = Running(store, endpoint(server), operations)
    wait_until(lambda: compared.specs)
    operations.waiting.append("op1")
    wait_until(lambda: operations.applied)
    assert not release.is_set()
    release.set()
    running.stop()


def test_a_comparison_left_by_a_dead_worker_is_done(store: Store, server: Server, compared: Compared) -> None:
    server.on("GET", "/api/2.1/unity-catalog/tables/*", {"full_name": "x", "table_type": "VIEW", "owner": "o"})
    parity_id = store.parity.request(["t"], "x")
    store.parity.claim("dead")
    silent(store)
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: store.parity.run(parity_id).state is ParityState.DONE)  # type: ignore[union-attr]
    running.stop()


def test_a_worker_that_is_stopped_leaves_its_comparison_to_the_next(
    store: Store, server: Server, compared: Compared
) -> None:
    server.on("GET", "/api/2.1/unity-catalog/tables/*", {"full_name": "x", "table_type": "VIEW", "owner": "o"})

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        wait_until(cancelled)
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: compared.specs)
    running.stop()
    assert store.parity.run(parity_id).state is ParityState.QUEUED  # type: ignore[union-attr]


def test_what_a_workspace_held_while_it_was_prepared_is_read_anew_once_it_is_ready(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, turns = threading.Event(), []

    def read() -> None:
        turns.append(store.collected.cursor("history"))
        store.collected.set_cursor("history", {"newest": len(turns)})

    monkeypatch.setattr(worker, "sources", lambda _: [Source("history", 3600.0, read)])
    monkeypatch.setattr(preparation, "under_way", lambda: not ready.is_set())
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: turns)
    ready.set()
    wait_until(lambda: len(turns) == 2)
    time.sleep(0.5)
    assert turns == [{}, {}] and store.collected.cursor("history") == {"newest": 2}
    running.stop()


def test_a_comparison_that_a_move_of_the_workspace_interrupts_is_done_in_the_new_place(
    store: Store, server: Server, compared: Compared
) -> None:
    tables = {"full_name": "x", "table_type": "VIEW", "owner": "o"}
    server.on("GET", "/api/2.1/unity-catalog/tables/*", tables)

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        if len(compared.specs) == 1:
            wait_until(cancelled)
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    with serving() as other:
        other.on("GET", "/api/2.1/unity-catalog/tables/*", tables)
        running = Running(store, endpoint(server), FakeOperations())
        wait_until(lambda: compared.specs)
        running.endpoint = endpoint(other)
        wait_until(lambda: store.parity.run(parity_id).state is ParityState.DONE)  # type: ignore[union-attr]
        assert len(compared.specs) == 2
        running.stop()


def test_a_workspace_that_moves_is_followed(store: Store, server: Server) -> None:
    with serving() as other:
        running = Running(store, endpoint(server), FakeOperations())
        wait_until(lambda: server.requests)
        running.endpoint = endpoint(other)
        wait_until(lambda: other.requests)
        running.stop()


def test_the_process_ends_within_ten_seconds_of_sigterm_though_the_workspace_hangs(
    store_url: str, server: Server
) -> None:
    release = threading.Event()

    def hang(_: Request) -> Any:
        release.wait(60)
        return {}

    for path in ("/api/2.2/jobs/list", "/api/2.2/jobs/get", "/api/2.0/pipelines"):
        server.on("GET", path, hang)
    environment = {
        **os.environ,
        "DATABRICKS_HOST": server.host,
        "DATABRICKS_TOKEN": "t",
        "DATABRICKS_WAREHOUSE_ID": "w",
        "CUTOVER_STORE_URL": store_url,
    }
    process = subprocess.Popen([sys.executable, "-m", "app.worker"], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(server.requests) >= 2, 30)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 10
        assert open_store(store_url).leases.holder("worker") is None
    finally:
        release.set()
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
