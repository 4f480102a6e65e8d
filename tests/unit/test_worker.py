"""The worker: one at a time, comparisons and operations beside collection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import preparation, worker
from app.access import Refused
from app.collect.sources import Source
from app.config.alerts import FileChannel
from app.config.items import Deliverable, Phase, Step
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.progress.facts import Facts, load_facts
from app.store.base import now
from app.store.incidents import Sign
from app.store.open import Store
from app.store.parity_records import ParityState
from databricks_client.endpoint import Endpoint, EndpointError
from tests.support.collecting import MIGRATION
from tests.support.health_records import job_run, open_incidents
from tests.support.parity_running import Compared, report, silent
from tests.support.waiting import wait_until
from tests.support.worker_running import QUICK, FakeOperations, Running, endpoint
from tests.support.workspace_server import Server, serving
from validation.report import ParityReport

TICKED = MIGRATION.model_copy(
    update={
        "phases": (
            Phase(
                key="p",
                title="P",
                weeks="1",
                steps=(Step(key="s", title="S", deliverables=(Deliverable(key="told", title="Told"),)),),
            ),
        )
    }
)
"""A migration with one item, which a person ticks."""

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    return Compared(monkeypatch)


def test_only_one_worker_works_and_the_next_takes_over(store: Store, server: Server) -> None:
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


def test_an_operation_is_executed(store: Store, server: Server) -> None:
    operations = FakeOperations()
    operations.waiting.append("op1")
    running = Running(store, endpoint(server), operations)
    wait_until(lambda: operations.applied)
    assert operations.applied == [("op1", running.worker.owner)]
    running.stop()


def test_what_becomes_of_an_item_is_recorded(store: Store, server: Server) -> None:
    running = Running(store, endpoint(server), FakeOperations(), TICKED)
    store.checklist.mark("told", True, by="ann@example.com", local=False, source="proxy")
    wait_until(lambda: "told" in store.progress.records())
    store.checklist.mark("told", False, by="ann@example.com", local=False, source="proxy")
    wait_until(lambda: len(store.progress.transitions("told")) == 2)
    running.stop()


def test_a_look_reads_the_facts_once_for_incidents_and_progress(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    used: list[tuple[str, object]] = []

    def facts(self: Context) -> Facts:
        read.append(load_facts(self.store, self.migration))
        return read[-1]  # type: ignore[return-value]

    monkeypatch.setattr(Context, "facts", facts)
    monkeypatch.setattr(worker, "configuration", lambda found: used.append(("incidents", found)) or ())
    monkeypatch.setattr(Context, "record_progress", lambda self, found: used.append(("progress", found)))
    running = Running(store, endpoint(server), FakeOperations(), TICKED)
    wait_until(lambda: len(used) >= 4)
    running.stop()
    assert [name for name, _ in used[:4]] == ["incidents", "progress"] * 2
    assert [found for _, found in used[:4]] == [read[0], read[0], read[1], read[1]]


def test_alerts_are_sent_whether_or_not_the_workspace_answers(store: Store, server: Server, tmp_path: Path) -> None:
    file = FileChannel(kind="file", key="local", path=str(tmp_path / "alerts.jsonl"))
    context = Context(
        store=store,
        migration=TICKED.model_copy(update={"alerts": (file,)}),
        settings=Settings(data=tmp_path, store_url="", migration_path=tmp_path, identity=IdentitySource.PERSONA),
        operations=FakeOperations(),
    )

    def nowhere() -> Endpoint:
        raise EndpointError("there is no workspace")

    working = worker.Worker(context, nowhere, pace=QUICK)
    thread = threading.Thread(target=working.run, daemon=True)
    thread.start()
    wait_until(lambda: store.leases.holder("worker"))
    store.alerts.begin("local")
    store.incidents.record([Sign("drift", "name:x", "candidate", "drift:1", now(), "x is absent")])
    wait_until(
        lambda: (tmp_path / "alerts.jsonl").exists() and "x is absent" in (tmp_path / "alerts.jsonl").read_text()
    )
    working.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_a_rule_that_fails_does_not_end_the_worker(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("no rows")

    monkeypatch.setattr("app.progress.recorder.record_progress", broken)
    operations = FakeOperations()
    running = Running(store, endpoint(server), operations, TICKED)
    wait_until(lambda: "no rows" in caplog.text)
    operations.waiting.append("op1")
    wait_until(lambda: operations.applied)
    assert running.stop() == 0


def test_an_operation_is_resumed_when_that_is_requested(store: Store, server: Server) -> None:
    operations = FakeOperations()
    operations.requested.append("op1")
    running = Running(store, endpoint(server), operations)
    wait_until(lambda: operations.applied)
    assert operations.applied == [("op1", running.worker.owner)]
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
    checked = running.discovered
    wait_until(lambda: running.discovered > checked + 5)
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


def test_a_worker_opens_incidents_by_itself(store: Store, server: Server) -> None:
    store.collected.put_runs([job_run("candidate", 7, now() - timedelta(hours=1), "FAILED")])
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: open_incidents(store))
    wait_until(lambda: store.audit.records(limit=1))
    assert store.audit.records(limit=1)[0].action == "incident.open"
    running.stop()
    assert open_incidents(store) == 1
