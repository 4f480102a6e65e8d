"""Comparisons executed without a workspace: its stand-ins, and how a test requests and executes one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any, Literal

import pytest

from app.config.migration import Migration, Table
from app.operations.past import last_cutover
from app.parity import runner as parity_run
from app.parity.runner import ParityRunner
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.open import Store
from app.store.parity import ALIVE_SECONDS
from app.store.parity_records import ParityRun, runs_table
from databricks_client.errors import WorkspaceError
from databricks_client.job_runs import JobRun
from databricks_client.pipelines import Update
from databricks_client.tables import TableState
from tests.support.collecting import MIGRATION, run, update
from validation.report import ParityReport, SideState, Verdict

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNNING = {"life_cycle_state": "RUNNING", "result_state": None, "end_time": None}


@pytest.fixture
def quick_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries, questions and progress without pauses."""
    monkeypatch.setattr(parity_run, "RETRY_PAUSE", 0.0)
    monkeypatch.setattr(parity_run, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(parity_run, "CANCEL_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(parity_run, "PROGRESS_SECONDS", 0.0)


def report(verdict: Verdict = Verdict.IDENTICAL) -> ParityReport:
    return ParityReport(verdict, "", SideState("a"), SideState("b"), (), (), seconds=0.1)


class Compared:
    """Stands in for `validation.comparison`: calls `during` and gives a report."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.during: Callable[..., ParityReport] = lambda **_: report()
        self.specs: list[Any] = []

        def compare(_warehouse: Any, spec: Any, **options: Any) -> ParityReport:
            self.specs.append(spec)
            return self.during(**options)

        @contextmanager
        def warehouse(_self: Any, _stopped: Any) -> Iterator[None]:
            yield None

        monkeypatch.setattr(parity_run, "compare", compare)
        monkeypatch.setattr(parity_run, "open_warehouse", warehouse)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    return Compared(monkeypatch)


class There:
    """The workspace as it is now, beside what was collected: runs of the old job, the newest update, tables by type."""

    def __init__(self, tables: Mapping[str, str] = MappingProxyType({})) -> None:
        self.runs: list[JobRunRecord] = []
        self.update: UpdateRecord | None = None
        self.error: WorkspaceError | None = None
        self.tables = SimpleNamespace(
            exists=lambda name: name in tables, state=lambda name: TableState(name, name in tables, tables.get(name))
        )
        self.jobs = SimpleNamespace(runs=self._runs, active_runs=lambda _: [])
        self.pipelines = SimpleNamespace(last_write=self._last_write)

    def _runs(self, job_id: int, *, start_from: datetime) -> list[JobRun]:
        if self.error is not None:
            raise self.error
        assert job_id == 1
        return [
            JobRun(
                r.job_id, r.run_id, r.number, r.trigger, r.life_cycle_state, r.result_state, "", r.start_time, r.end_time,
                r.run_seconds, r.queue_seconds, "u", "n", (), r.generated,
            )
            for r in self.runs if r.start_time >= start_from
        ]  # fmt: skip

    def _last_write(self, pipeline_id: str) -> Update | None:
        assert pipeline_id == "p"
        u = self.update
        return u and Update(u.pipeline_id, u.update_id, u.state, u.cause, u.start_time, False, False, (), (), "u")


def runner_of(
    store: Store,
    stop: threading.Event | None = None,
    there: There | None = None,
    migration: Migration = MIGRATION,
    later: timedelta = timedelta(0),
    tidy: Callable[[], object] = lambda: None,
) -> ParityRunner:
    workspace: Any = there or There()

    def kept_is(table: Table, served_id: str | None, kept_id: str | None) -> Literal["old", "backup", "unknown"]:
        return last_cutover(store.operations, migration).kept_is(table, served_id, kept_id)

    return ParityRunner(
        store, workspace, migration, "w", kept_is, stop, clock=lambda: datetime.now(UTC) + later, tidy=tidy
    )


def found(store: Store, parity_id: str) -> ParityRun:
    run_ = store.parity.run(parity_id)
    assert run_ is not None
    return run_


def pair(store: Store, n: int, at: datetime | None = None) -> None:
    at = at or datetime.now(UTC) + n * HOUR
    store.collected.put_runs([run(n, start=at - HOUR)])
    store.collected.put_updates([update(f"u{n}", at)])
    store.collected.put_update_ends({f"u{n}": at})


def silent(store: Store) -> None:
    """No comparison has had a heartbeat for longer than ALIVE_SECONDS."""
    with store.engine.begin() as c:
        c.execute(runs_table.update().values(alive_at=datetime.now(UTC) - timedelta(seconds=ALIVE_SECONDS + 1)))


def done(store: Store, there: There | None = None, tables: Sequence[str] = ("t",)) -> ParityRun:
    """A comparison that was requested and executed."""
    parity_id = store.parity.request(list(tables), "x")
    assert runner_of(store, there=there).run_next() == parity_id
    return found(store, parity_id)
