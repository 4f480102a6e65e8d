"""The worker: one at a time, comparisons and operations beside collection, and an end within seconds of SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import validation
from app import parity_run, preparation, worker
from app.collect.sources import Source
from app.config import ConfigError, Migration, Table, Tolerance
from app.operations.actor import Refused
from app.operations.definition import Observation
from app.operations.past import PastCutover
from app.operations.world import Relation
from app.parity_run import ParityRunner, far_apart
from app.parity_spec import spec_of
from app.store.open import Store, open_store
from app.store.parity import ParityState, Producer
from app.worker import Worker
from app.workspace.errors import WorkspaceError
from app.workspace.tables import TableState
from tests.unit.test_collect import MIGRATION
from tests.unit.test_collect_store import run, update
from tests.unit.workspace_server import Request, Server, serving
from validation.endpoint import Endpoint
from validation.report import ParityReport, Progress, SideState, Verdict

ROOT = Path(__file__).resolve().parent.parent.parent
T = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------------------- what is compared

TABLE = Table(
    name="t", baseline="c.s.t", candidate="c.s.v2_t", development="d.s.t", key=("a", "b"), watermark=("at", "other"),
    sensitive=("mail",), exclude=("loaded",), mapping={"x": "y"},
    tolerance={"n": Tolerance(absolute=0.5, relative=0.0, seconds=0.0), "at": Tolerance(absolute=0.0, relative=0.0, seconds=2)},
    row_threshold=3, where="a > 1", excluded_by="test",
)  # fmt: skip


def test_every_option_of_the_migration_file_reaches_the_comparison() -> None:
    spec = spec_of(TABLE, final=True)
    assert (spec.baseline, spec.candidate, spec.keys, spec.watermark_columns) == (
        "c.s.t",
        "c.s.v2_t",
        ("a", "b"),
        ("at", "other"),
    )
    assert (spec.excluded_columns, dict(spec.column_mapping), spec.sensitive_columns) == (
        {"loaded"},
        {"x": "y"},
        {"mail"},
    )
    assert spec.column_tolerances == {"n": validation.Tolerance(absolute=0.5), "at": validation.Tolerance(seconds=2)}
    assert spec.row_threshold == 3 and not spec.tolerance
    assert spec.where is not None and spec.baseline_exclusion == spec.candidate_exclusion and spec.final


def test_a_comparison_is_of_the_names_that_it_is_given() -> None:
    assert spec_of(TABLE, names=("c.s.t_old", "c.s.t")).baseline == "c.s.t_old"
    assert spec_of(TABLE, sides="development").candidate == "d.s.t"


def test_a_table_without_a_development_side_is_refused() -> None:
    with pytest.raises(ConfigError, match="no development side"):
        spec_of(TABLE.model_copy(update={"development": None}), sides="development")


# -------------------------------------------------------------------------------------------------------- comparisons


def report(verdict: Verdict = Verdict.IDENTICAL) -> ParityReport:
    return ParityReport(verdict, "", SideState("a"), SideState("b"), (), (), seconds=0.1)


class Compared:
    """Stands in for `validation.compare`: calls `during` and gives a report."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.during: Callable[..., ParityReport] = lambda **_: report()
        self.specs: list[Any] = []

        def compare(_warehouse: Any, spec: Any, **options: Any) -> ParityReport:
            self.specs.append(spec)
            return self.during(**options)

        @contextmanager
        def warehouse(_self: Any) -> Iterator[None]:
            yield None

        monkeypatch.setattr(parity_run, "compare", compare)
        monkeypatch.setattr(parity_run, "open_warehouse", warehouse)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    return Compared(monkeypatch)


def runner_of(
    store: Store,
    stop: threading.Event | None = None,
    there: Mapping[str, str] = MappingProxyType({}),
    active: Sequence[object] = (),
) -> ParityRunner:
    workspace: Any = SimpleNamespace(
        tables=SimpleNamespace(
            exists=lambda name: name in there, state=lambda name: TableState(name, name in there, there.get(name))
        ),
        jobs=SimpleNamespace(active_runs=lambda job_id: active),
        pipelines=SimpleNamespace(active_updates=lambda pipeline_id: ()),
    )
    return ParityRunner(store, workspace, MIGRATION, "w", stop)


def test_a_comparison_ends_with_its_report_and_with_what_produced_the_sides(store: Store, compared: Compared) -> None:
    store.collected.put_runs(
        [run(1, start=T), run(2, start=T + HOUR, result_state="FAILED"), run(3, start=T + 2 * HOUR, generated=True)]
    )
    store.collected.put_updates([update("u1"), update("u2", validate_only=True)])
    store.collected.put_update_ends({"u1": T + 2 * HOUR, "u2": T + 3 * HOUR})
    parity_id = store.parity.request(["t"], "x")
    assert runner_of(store).run_next() == parity_id
    found = store.parity.run(parity_id)
    assert found is not None and found.state is ParityState.DONE and found.verdict == "identical"
    assert found.baseline is not None and found.candidate is not None
    assert (found.baseline.id, found.candidate.id) == ("1", "u1"), "the last successful, real run and completed update"
    assert found.warning is not None and "60 min apart" in found.warning
    assert store.parity.report(parity_id, "t")["verdict"] == "identical"  # type: ignore[index]


def test_progress_is_in_the_store_while_it_runs(store: Store, compared: Compared) -> None:
    seen = []

    def during(progress: Callable[[Progress], None], **_: Any) -> ParityReport:
        progress(Progress("fingerprint", "", 1, 4, 0.1))
        (table,) = store.parity.table_results(parity_id)
        seen.append((table.state, table.step, table.fraction))
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    assert seen == [(ParityState.RUNNING, "fingerprint", 0.25)]


def test_a_cancelled_comparison_stops_its_statement_and_is_no_result(
    store: Store, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_run, "ASK_SECONDS", 0.0)

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        assert not cancelled()
        store.parity.cancel(parity_id, "lead@example.com")
        assert cancelled()
        return report(Verdict.NOT_PROVEN)

    compared.during = during
    parity_id = store.parity.request(["t", "other"], "x")
    runner_of(store).run_next()
    found = store.parity.run(parity_id)
    assert found is not None and found.state is ParityState.CANCELLED and found.verdict == "not_proven"
    assert "lead@example.com" in (found.error or "") and len(compared.specs) == 1
    assert store.parity.latest() == {}


def test_a_comparison_that_the_end_of_the_worker_interrupts_is_taken_up_by_the_next(
    store: Store, compared: Compared
) -> None:
    stop = threading.Event()

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        stop.set()
        assert cancelled()
        return report(Verdict.NOT_PROVEN)

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store, stop).run_next()
    assert store.parity.run(parity_id).state is ParityState.RUNNING  # type: ignore[union-attr]
    assert store.parity.requeue_interrupted("next") == [parity_id]
    compared.during = lambda **_: report()
    assert runner_of(store).run_next() == parity_id
    assert store.parity.run(parity_id).verdict == "identical"  # type: ignore[union-attr]


def test_what_cannot_be_compared_is_not_proven_and_the_other_tables_go_on(store: Store, compared: Compared) -> None:
    def during(**_: Any) -> ParityReport:
        raise WorkspaceError("read table c.s.t", "no answer")

    compared.during = during
    parity_id = store.parity.request(["gone", "t"], "x")
    runner_of(store).run_next()
    results = {t.table: (t.verdict, t.reason) for t in store.parity.table_results(parity_id)}
    assert results == {
        "gone": ("not_proven", "the migration file has no table gone"),
        "t": ("not_proven", "read table c.s.t: no answer"),
    }
    assert store.parity.run(parity_id).verdict == "not_proven"  # type: ignore[union-attr]


def test_a_fault_of_the_comparison_ends_the_request_and_says_so(store: Store, compared: Compared) -> None:
    compared.during = lambda **_: 1 / 0  # type: ignore[assignment,return-value]
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    found = store.parity.run(parity_id)
    assert found is not None and found.state is ParityState.FAILED and "ZeroDivisionError" in (found.error or "")


@pytest.mark.parametrize(
    ("there", "names"),
    [
        ({"c.s.t": "MANAGED", "c.s.v2_t": "MATERIALIZED_VIEW"}, ("c.s.t", "c.s.v2_t")),
        ({"c.s.t": "VIEW", "c.s.t_old": "MANAGED", "c.s.v2_t": "MATERIALIZED_VIEW"}, ("c.s.t_old", "c.s.v2_t")),
    ],
    ids=["before", "after a cutover by views"],
)
def test_the_old_and_the_new_table_are_compared_where_they_are(
    store: Store, compared: Compared, there: dict[str, str], names: tuple[str, str]
) -> None:
    store.parity.request(["t"], "x")
    runner_of(store, there=there).run_next()
    assert (compared.specs[0].baseline, compared.specs[0].candidate) == names


@pytest.mark.parametrize("candidate", [{}, {"c.s.v2_t": "MANAGED"}])
def test_a_backup_or_a_renamed_table_is_not_proven_equal_to_anything(
    store: Store, compared: Compared, candidate: dict[str, str]
) -> None:
    parity_id = store.parity.request(["t"], "x")
    runner_of(store, there={"c.s.t": "MANAGED", "c.s.t_old": "MANAGED", **candidate}).run_next()
    (found,) = store.parity.table_results(parity_id)
    assert compared.specs == [] and found.verdict == "not_proven" and "cannot be told" in (found.reason or "")


@pytest.mark.parametrize(
    ("method", "served", "kept", "names"),
    [
        ("rename", "id-new", "id-old", ("c.s.t_old", "c.s.t")),
        ("rename", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-new", "id-old", None),
        ("rename", "id-else", "id-old", None),
        ("rename", "id-new", "id-copy", None),
        ("rename", None, None, None),
    ],
)
def test_the_last_cutover_tells_a_renamed_table_from_a_backup(
    method: str, served: str | None, kept: str | None, names: tuple[str, str] | None
) -> None:
    ids = {"c.s.t": served, "c.s.t_old": kept}
    tables: Any = SimpleNamespace(
        exists=lambda name: name in ids, state=lambda name: TableState(name, True, "MANAGED", table_id=ids[name])
    )
    before = Observation(
        T,
        (Relation("c.s.t", "table", table_id="id-old"), Relation("c.s.v2_t", "table", table_id="id-new")),
    )
    past = PastCutover(before, {"t": method})
    if names is not None:
        assert parity_run.names_now(tables, TABLE, past) == names
    else:
        with pytest.raises(ConfigError, match="cannot be told"):
            parity_run.names_now(tables, TABLE, past)


def pair(store: Store, n: int) -> None:
    at = datetime.now(UTC) + n * HOUR
    store.collected.put_runs([run(n, start=at - HOUR)])
    store.collected.put_updates([update(f"u{n}", at)])
    store.collected.put_update_ends({f"u{n}": at})


def test_a_comparison_follows_each_pair_of_runs_once(store: Store, compared: Compared) -> None:
    runner = runner_of(store)
    assert runner.request_after_runs() == [], "nothing has run yet"
    pair(store, 1)
    (first,) = runner.request_after_runs()
    assert runner.request_after_runs() == [], "it waits already"
    runner.run_next()
    assert store.parity.run(first).requested_by == "worker"  # type: ignore[union-attr]
    assert runner.request_after_runs() == []
    store.collected.put_runs([run(9, start=datetime.now(UTC) + 9 * HOUR)])
    assert runner.request_after_runs() == [], "only one side has been written since"
    pair(store, 20)
    assert len(runner.request_after_runs()) == 1


def test_nothing_is_compared_by_itself_while_a_side_is_being_written(store: Store) -> None:
    runner = runner_of(store)
    pair(store, 1)
    running = {"life_cycle_state": "RUNNING", "result_state": None, "end_time": None}
    store.collected.put_runs([run(7, start=datetime.now(UTC) + 5 * HOUR, **running)])
    assert runner.request_after_runs() == []
    store.collected.put_runs([run(7, start=datetime.now(UTC) + 5 * HOUR)])
    store.collected.put_updates([update("u7", datetime.now(UTC) + 6 * HOUR, state="RUNNING")])
    assert runner.request_after_runs() == []


def test_a_run_that_was_not_collected_yet_is_seen_in_the_workspace_itself(store: Store) -> None:
    pair(store, 1)
    assert runner_of(store, active=("run 8",)).request_after_runs() == []
    assert len(runner_of(store).request_after_runs()) == 1


def test_a_comparison_that_proved_nothing_is_made_again_when_something_has_ended_since(
    store: Store, compared: Compared
) -> None:
    runner = runner_of(store)
    store.collected.put_runs([run(1, start=T)])
    store.collected.put_updates([update("u1")])
    store.collected.put_update_ends({"u1": T + HOUR})
    compared.during = lambda **_: report(Verdict.NOT_PROVEN)
    (first,) = runner.request_after_runs()
    runner.run_next()
    assert runner.request_after_runs() == [], "nothing has ended since"
    store.collected.put_runs([run(9, start=datetime.now(UTC) + 9 * HOUR)])
    (second,) = runner.request_after_runs()
    assert second != first


def test_an_automatic_comparison_that_a_person_cancelled_does_not_come_back(store: Store) -> None:
    runner = runner_of(store)
    store.collected.put_runs([run(1, start=T)])
    store.collected.put_updates([update("u1")])
    store.collected.put_update_ends({"u1": T + HOUR})
    (asked,) = runner.request_after_runs()
    store.parity.cancel(asked, "x")
    assert runner.request_after_runs() == []


def test_generated_history_is_never_compared(store: Store) -> None:
    store.collected.put_runs([run(1, generated=True)])
    store.collected.put_updates([update("u1", generated=True)])
    store.collected.put_update_ends({"u1": T})
    assert runner_of(store).request_after_runs() == []


def test_sides_far_apart_are_warned_about() -> None:
    old = Producer("run", "1", 1, T)
    assert far_apart(old, Producer("update", "u", None, T + timedelta(minutes=30))) is None
    assert "31 min apart (the old side first)" in (
        far_apart(old, Producer("update", "u", None, T + timedelta(minutes=31))) or ""
    )
    assert "new side" in (far_apart(old, None) or "")


# ------------------------------------------------------------------------------------------------------- the worker


class FakeOperations:
    """What the worker calls of the operations service."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.applied: list[tuple[str, str]] = []
        self.act: Callable[[str], None] = lambda _: None

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
        self.worker = Worker(store, migration, lambda *_: operations, lambda: self.endpoint)  # type: ignore[arg-type,return-value]
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
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.1)
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
    second = Running(store, endpoint(server), FakeOperations())
    time.sleep(6.0)
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
    running = Running(store, endpoint(server), FakeOperations())
    wait_until(lambda: store.parity.run(parity_id).state is ParityState.DONE)  # type: ignore[union-attr]
    running.stop()


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


def test_a_workspace_that_moves_is_followed(store: Store, server: Server) -> None:
    with serving() as other:
        running = Running(store, endpoint(server), FakeOperations())
        wait_until(lambda: server.requests)
        running.endpoint = endpoint(other)
        wait_until(lambda: other.requests)
        running.stop()


def test_the_process_ends_within_ten_seconds_of_sigterm_though_the_workspace_hangs(
    tmp_path: Path, server: Server
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
        "CUTOVER_STORE_URL": f"sqlite:///{tmp_path}/store.db",
    }
    process = subprocess.Popen([sys.executable, "-m", "app.worker"], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(server.requests) >= 2, 30)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert time.monotonic() - began < 10
        assert open_store(environment["CUTOVER_STORE_URL"]).leases.holder("worker") is None
    finally:
        release.set()
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
