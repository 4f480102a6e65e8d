"""Seconds of a plan, a cutover and a rollback of six tables on a workspace that takes 300 ms a call and 1 s a DDL.

The engine, the store (SQLite, a file) and the clock are real; the workspace is the tests' model with these delays.
`CALL` (0.3) and `DDL` (1.0) are seconds. Per table: how long nothing had its name; over all: how long old and new rows
were served beside each other. A reader looks every 20 ms.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.operations.definition import Kind
from app.operations.executor import Patience
from app.operations.requests import Call
from app.operations.service import OperationsService
from app.operations.world import JobState, PipelineState, Privileges, Relation
from app.progress.evidence import Finding, Status
from app.store.base import now
from app.store.connect import open_engine
from app.store.operations import State
from benchmarks.table import show
from tests.support.operations_world import BACK, ERIN, LARS, MIGRATION, FakeStore, FakeWorld, Given

CALL, DDL = float(os.environ.get("CALL", "0.3")), float(os.environ.get("DDL", "1.0"))
LOOK = 0.02


class SlowWorld(FakeWorld):
    """The model workspace; every call and statement takes its time."""

    def relation(self, name: str) -> Relation:
        time.sleep(CALL)
        return super().relation(name)

    def inspect(self, name: str) -> Relation:
        time.sleep(2 * CALL)  # The table, then what is attached to it.
        return super().inspect(name)

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        time.sleep(CALL)
        return super().tags(name)

    def job(self, name: str, job_id: int | None = None) -> JobState:
        time.sleep(CALL)
        return super().job(name, job_id)

    def pipeline(self, name: str) -> PipelineState:
        time.sleep(2 * CALL)
        return super().pipeline(name)

    def active_runs(self, job_id: int) -> Sequence[str]:
        time.sleep(CALL)
        return super().active_runs(job_id)

    def active_updates(self, pipeline_id: str) -> Sequence[str]:
        time.sleep(CALL)
        return super().active_updates(pipeline_id)

    def privileges(self, swap: Sequence[str], read: Sequence[str], jobs: Sequence[int]) -> Privileges:
        time.sleep(2 * CALL)
        return super().privileges(swap, read, jobs)

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        time.sleep(CALL)
        return super().query(sql)

    def execute(self, sql: str, seconds: float | None = None) -> str:
        time.sleep(DDL)
        return super().execute(sql, seconds)

    def send(self, call: Call) -> str:
        time.sleep(CALL)
        return super().send(call)


class Watch:
    """What readers would get, every 20 ms: seconds without each name, with both sides beside each other, and until the
    old side alone is served."""

    def __init__(self, world: FakeWorld) -> None:
        self.world = world
        self.absent: dict[str, float] = {}
        self.mixed = 0.0
        self.old_since: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self.started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._end.is_set():
            with self.world.lock:
                served = self.world.served()
            moment = time.monotonic()
            for table, rows in served.items():
                if rows == "nothing":
                    self.absent[table] = self.absent.get(table, 0.0) + moment - before
            sides = {rows.split()[0] for rows in served.values()} - {"nothing"}
            if len(sides) > 1:
                self.mixed += moment - before
            if sides == {"old"} and self.old_since is None:
                self.old_since = moment - self.started
            before = moment
            time.sleep(LOOK)


def service_of(given: Given) -> OperationsService:
    """Operations in real time over the slow world."""
    store = FakeStore(given.engine, now, lambda: given.world.faults)
    given.world.clock = now
    return OperationsService(
        store,
        given.world,
        MIGRATION,
        roles_of=given.roles_of,
        judges=lambda: given.verdict,
        evidence=lambda: given.evidence,
        clock=now,
        personas=lambda: True,
        patience=Patience(),
    )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    found = call()
    return time.monotonic() - started, found


def main() -> None:
    """Prints the figures."""
    lines: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'store.db'}")
        given = Given(engine, parallel=6)
        slow = SlowWorld()
        slow.names, slow.rows, slow.jobs = given.world.names, given.world.rows, given.world.jobs
        given.world = slow
        given.verdict = lambda gate: Finding(Status.PASS, "taken as given by this benchmark", now(), "benchmark")
        service = service_of(given)
        planning, made = timed(lambda: service.plan(Kind.CUTOVER, {}, ERIN))
        service.submit(made, ERIN, made.confirmation)
        service.approve(made.operation_id, LARS)
        with Watch(slow) as there:
            forward, record = timed(lambda: service.apply(made.operation_id, "worker"))
        assert record.state is State.VERIFIED, record.reason
        with Watch(slow) as home:
            back, record = timed(lambda: service.rollback(ERIN, BACK))
        assert record.state is State.VERIFIED, record.reason
        engine.dispose()
        lines = [
            ("a cutover's plan", f"{planning:.1f} s"),
            ("cutover, verified", f"{forward:.1f} s"),
            ("... longest time without one name, both sides mixed", f"{_longest(there)}, {there.mixed:.2f} s"),
            ("rollback, planned and verified", f"{back:.1f} s"),
            ("... old rows alone served again after", f"{home.old_since or 0:.1f} s"),
            ("... longest time without one name, both sides mixed", f"{_longest(home)}, {home.mixed:.2f} s"),
        ]
    show((f"{CALL} s a call, {DDL} s a DDL, six tables", "figure"), lines)


def _longest(watch: Watch) -> str:
    return f"{max(watch.absent.values(), default=0.0):.2f} s"


if __name__ == "__main__":
    main()
