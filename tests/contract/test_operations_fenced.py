"""A real process that is stopped or killed in a cutover, and a rollback by another: nothing of the first lands after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.access import Actor
from app.config.migration import Role
from app.operations.databricks import DatabricksWorld
from app.operations.definition import Kind
from app.operations.service import OperationsService
from app.store.operations import State
from databricks_client.client import Workspace
from tests.contract.operations_process import MIGRATION, service

ERIN = Actor("engineer@example.com", frozenset({Role.OPERATOR}), "persona", local=True)
LARS = Actor("lead@example.com", frozenset(Role), "persona", local=True)
CUT, BACK = "cutover product.fde", "rollback product.fde"
ROOT = Path(__file__).resolve().parent.parent.parent
LATENCY = 9.0
"""Seconds that a request is held back on its way: longer than the lease of these processes."""


@pytest.fixture
def operations(workspace: Any, tmp_path: Path) -> Iterator[tuple[OperationsService, DatabricksWorld, str]]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    found = service(url, workspace.endpoint)
    world = DatabricksWorld(Workspace(workspace.endpoint))
    yield found, world, url
    if set(found.serving().values()) != {"baseline"}:
        found.rollback(ERIN, BACK)


def approved(found: OperationsService) -> str:
    made = found.plan(Kind.CUTOVER, {}, ERIN)
    assert not made.blocking, [(g.title, g.finding.summary) for g in made.blocking]
    found.submit(made, ERIN, CUT)
    found.approve(made.operation_id, LARS, "go")
    return made.operation_id


def schedules(world: DatabricksWorld) -> dict[str, bool | None]:
    jobs = [world.job(j.name, j.id) for j in (MIGRATION.baseline_job, MIGRATION.candidate_job)]
    return {j.name: j.paused for j in jobs}


def started(workspace: Any, url: str, operation: str) -> subprocess.Popen[str]:
    e = workspace.endpoint
    script = ROOT / "tests" / "contract" / "operations_process.py"
    return subprocess.Popen(
        [sys.executable, str(script), url, e.host, e.warehouse_id, e.token, operation],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < end
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)


def intended(found: OperationsService, operation: str, step: str) -> bool:
    return any(e.step == step for e in found.operation(operation).journal)


def as_before(world: DatabricksWorld, before: dict[str, Any]) -> bool:
    return plain(world) == before


def plain(world: DatabricksWorld) -> dict[str, Any]:
    found = [world.relation(n) for t in MIGRATION.tables for n in (t.baseline, t.kept, t.candidate)]
    return {r.name: (r.kind, r.columns, r.table_id) for r in found}


@pytest.mark.parametrize("step", ["RenameTable", "FlipView"])
def test_a_stopped_process_sends_nothing_when_it_wakes_up(operations: Any, workspace: Any, step: str) -> None:
    found, world, url = operations
    before, paused = plain(world), {**schedules(world), MIGRATION.candidate_job.name: True}
    operation = approved(found)
    process = started(workspace, url, operation)
    try:
        wait_for(process, lambda: intended(found, operation, step))
        os.kill(process.pid, signal.SIGSTOP)
        record = found.rollback(ERIN, BACK)
        assert record.state is State.VERIFIED, record.reason
        assert as_before(world, before) and schedules(world) == paused
        os.kill(process.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0 and "LeaseLost" in output
    assert as_before(world, before) and schedules(world) == paused
    assert set(found.serving().values()) == {"baseline"}


def test_a_statement_that_a_killed_process_had_sent_does_not_land_after_the_rollback(
    operations: Any, workspace: Any
) -> None:
    found, world, url = operations
    before, paused = plain(world), {**schedules(world), MIGRATION.candidate_job.name: True}
    operation = approved(found)
    e = workspace.endpoint
    faults, header = f"{e.host}/emulator/faults", {"Authorization": f"Bearer {e.token}"}
    rule = {
        "method": "POST", "path": "/api/2.0/sql/statements$", "sql_contains": "ALTER VIEW", "latency_seconds": LATENCY,
        "count": 6,
    }  # fmt: skip
    requests.post(faults, json=rule, headers=header, timeout=20).raise_for_status()
    process = started(workspace, url, operation)
    try:
        wait_for(process, lambda: intended(found, operation, "FlipView"))
        time.sleep(2.0)  # Until the requests are on their way.
    finally:
        process.kill()
        process.wait()
    requests.delete(faults, headers=header, timeout=20).raise_for_status()
    record = found.rollback(ERIN, BACK)
    assert record.state is State.VERIFIED, record.reason
    assert as_before(world, before) and schedules(world) == paused
    time.sleep(LATENCY)
    assert as_before(world, before) and set(found.serving().values()) == {"baseline"}
