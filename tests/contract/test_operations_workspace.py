"""Operations through the real SDK and connector: the swap of six tables there and back, kills in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.access import Actor, Refused
from app.config.migration import Role
from app.operations.databricks import DatabricksWorld
from app.operations.definition import Kind
from app.operations.service import OperationsService
from app.operations.steps import RestoreGrants, RevokeGrants, UnpauseSchedule
from app.operations.world import Grant
from app.store.operations import State
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from tests.contract.operations_process import MIGRATION, service
from tests.support.world_contract import do, tag_table

ERIN = Actor("engineer@example.com", frozenset({Role.OPERATOR}), "persona", local=True)
LARS = Actor("lead@example.com", frozenset(Role), "persona", local=True)
SOFIA = Actor("stakeholder@example.com", frozenset({Role.VIEWER}), "persona", local=True)
CUT, BACK = "cutover product.fde", "rollback product.fde"


@pytest.fixture
def operations(workspace: Any, tmp_path: Path) -> Iterator[tuple[OperationsService, DatabricksWorld, str]]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    found = service(url, workspace.endpoint)
    world = DatabricksWorld(Workspace(workspace.endpoint))
    quiet(world)
    yield found, world, url
    if set(found.serving().values()) != {"baseline"}:
        found.rollback(ERIN, BACK)


def quiet(world: DatabricksWorld) -> None:
    """Waits until nothing runs: schedules are part of the prepared workspace."""
    pipeline = world.pipeline(MIGRATION.production_pipeline.name)
    jobs = [world.job(j.name, j.id) for j in (MIGRATION.baseline_job, MIGRATION.candidate_job)]
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if not any(world.active_runs(j.job_id) for j in jobs) and not world.active_updates(pipeline.pipeline_id):
            return
        time.sleep(1)
    raise AssertionError("the workspace is not idle")


def names(world: DatabricksWorld) -> dict[str, Any]:
    """All that must be as before: kind, columns, grants, and what hangs on the six names and their candidates."""
    return {n: world.inspect(n) for t in MIGRATION.tables for n in (t.baseline, t.kept, t.candidate)}


def schedules(world: DatabricksWorld) -> dict[str, bool | None]:
    jobs = [world.job(j.name, j.id) for j in (MIGRATION.baseline_job, MIGRATION.candidate_job)]
    return {j.name: j.paused for j in jobs}


def report_prefix(world: DatabricksWorld) -> str:
    return dict(world.job(MIGRATION.candidate_job.name).parameters)["report_prefix"]


def rows_of(world: DatabricksWorld, name: str) -> tuple[int, str]:
    return world.fingerprint(name)


def approved(found: OperationsService) -> str:
    made = found.plan(Kind.CUTOVER, {}, ERIN)
    assert not made.blocking, [(g.title, g.finding.summary) for g in made.blocking]
    found.submit(made, ERIN, CUT)
    found.approve(made.operation_id, LARS, "go")
    return made.operation_id


class Reader:
    """A consumer that reads the six names all the time, and remembers what it got and when it got nothing."""

    def __init__(self, workspace: Workspace, right: dict[str, set[int]]) -> None:
        self.workspace, self.right = workspace, right
        self.wrong: list[str] = []
        self.reads = 0
        self.unreadable = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        since: dict[str, float] = {}
        while not self._end.is_set():
            for name, right in self.right.items():
                try:
                    found = self.workspace.tables.count(name)
                except WorkspaceError:
                    since.setdefault(name, time.monotonic())
                    continue
                self.reads += 1
                if name in since:
                    self.unreadable = max(self.unreadable, time.monotonic() - since.pop(name))
                if found not in right:
                    self.wrong.append(f"{name}: {found}")

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)


def test_six_tables_are_cut_over_and_rolled_back_while_a_consumer_reads(operations: Any, workspace: Any) -> None:
    found, world, _ = operations
    tagged = MIGRATION.tables[0].baseline
    world.execute(tag_table(tagged, {"domain": "fde"}))
    before, paused = names(world), schedules(world)
    assert before[tagged].tags == (("domain", "fde"),)
    sides = {t.baseline: {rows_of(world, t.baseline)[0], rows_of(world, t.candidate)[0]} for t in MIGRATION.tables}
    prints = {t.candidate: rows_of(world, t.candidate) for t in MIGRATION.tables}
    old_prints = {t.baseline: rows_of(world, t.baseline) for t in MIGRATION.tables}
    with Reader(Workspace(workspace.endpoint), sides) as reader:
        record = found.apply(approved(found), "worker")
        assert record.state is State.VERIFIED, record.reason
        assert set(found.serving().values()) == {"candidate"}
        for t in MIGRATION.tables:
            x = world.relation(t.baseline)
            assert (x.kind, x.over) == ("view", t.candidate)
            assert rows_of(world, t.baseline) == prints[t.candidate]
            readers = {g.principal for g in before[t.baseline].grants if "SELECT" in g.privileges}
            assert readers <= {g.principal for g in x.grants if "SELECT" in g.privileges}
        assert world.tags(tagged) == (("domain", "fde"),), "read back on the view"
        assert schedules(world) == {MIGRATION.baseline_job.name: True, MIGRATION.candidate_job.name: False}
        assert report_prefix(world) == "", "the new job renews the reports that people know"
        back = found.rollback(ERIN, BACK)
        assert back.state is State.VERIFIED, back.reason
    assert reader.wrong == []
    assert reader.reads > 10
    print(f"\na name was unreadable for {reader.unreadable:.1f} s at the longest")
    after = names(world)
    for name, was in before.items():
        now = after[name]
        assert (now.kind, now.columns, now.owner) == (was.kind, was.columns, was.owner), name
        assert set(now.grants) == set(was.grants), name
        assert now.tags == was.tags, name
    assert {t.baseline: rows_of(world, t.baseline) for t in MIGRATION.tables} == old_prints
    assert schedules(world) == {**paused, MIGRATION.candidate_job.name: True}
    assert report_prefix(world) == "v2_", "the old job writes its reports again"


def cutover(endpoint: Endpoint, store: str, *command: str) -> dict[str, Any]:
    """What the command of this name prints, as somebody would type it after an accident."""
    found = subprocess.run(
        [str(Path(sys.executable).with_name("cutover")), *command, "--as", ERIN.user_name, "--json"],
        env=os.environ
        | {"DATABRICKS_HOST": endpoint.host, "DATABRICKS_TOKEN": str(endpoint.token)}
        | {"DATABRICKS_WAREHOUSE_ID": endpoint.warehouse_id}
        | {"CUTOVER_STORE_URL": store, "CUTOVER_IDENTITY": "persona"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    printed: dict[str, Any] = json.loads(found.stdout)
    return printed


@pytest.mark.parametrize(("way", "lines"), [("resume", 45), ("rollback", 75)])
def test_kill_9_in_the_middle_of_a_cutover_converges(operations: Any, workspace: Any, way: str, lines: int) -> None:
    found, world, url = operations
    before = names(world)
    operation = approved(found)
    e = workspace.endpoint
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("operations_process.py")),
            url,
            e.host,
            e.warehouse_id,
            e.token,
            operation,
        ],
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(found.operation(operation).journal) < lines:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert found.operation(operation).record.state is State.RUNNING
    if way == "resume":
        assert found.resume(operation, ERIN).state is State.VERIFIED
        assert set(found.serving().values()) == {"candidate"} and report_prefix(world) == ""
    assert cutover(e, url, "rollback", "--confirm", BACK)["state"] == State.VERIFIED
    assert report_prefix(world) == "v2_"
    after = names(world)
    assert {n: (r.kind, r.columns, r.version) for n, r in after.items()} == {
        n: (r.kind, r.columns, after[n].version) for n, r in before.items()
    }
    assert set(found.serving().values()) == {"baseline"}


def test_pausing_sends_the_complete_schedule_and_is_read_back(operations: Any) -> None:
    found, world, _ = operations
    ref = MIGRATION.baseline_job
    before = world.job(ref.name, ref.id)
    assert before.paused is False
    try:
        for kind, paused in ((Kind.PAUSE, True), (Kind.UNPAUSE, False)):
            made = found.plan(kind, {"job": "baseline"}, ERIN)
            found.submit(made, ERIN, f"{kind} {ref.name}")
            assert found.apply(made.operation_id, "worker").state is State.VERIFIED
            now = world.job(ref.name, ref.id)
            assert now.paused is paused
            assert now.settings == before.settings
    finally:
        if world.job(ref.name, ref.id).paused:
            do(world, UnpauseSchedule(before.job_id, before.name))


def test_an_update_that_validates_only_is_started_once(operations: Any) -> None:
    found, world, _ = operations
    args = {"pipeline": MIGRATION.production_pipeline.name, "validate_only": True}
    made = found.plan(Kind.START_UPDATE, args, ERIN)
    found.submit(made, ERIN, made.confirmation)
    record = found.apply(made.operation_id, "worker")
    assert record.state is State.VERIFIED, record.reason
    started = [e.detail["update_id"] for e in found.operation(record.id).journal if "update_id" in e.detail]
    assert len(started) == 1
    pipeline = world.pipeline(MIGRATION.production_pipeline.name)
    assert world.update_state(pipeline.pipeline_id, started[0])
    quiet(world)


def test_roles_come_from_the_workspace_and_nothing_else(operations: Any) -> None:
    found, _, _ = operations
    with pytest.raises(Refused, match="needs the role operator"):
        found.plan(Kind.PAUSE, {"job": "baseline"}, SOFIA)
    with pytest.raises(Refused, match="needs the role operator"):
        found.plan(Kind.PAUSE, {"job": "baseline"}, Actor("analyst@example.com", frozenset(Role), "proxy"))
    with pytest.raises(Refused):
        found.plan(Kind.PAUSE, {"job": "baseline"}, Actor("nobody@example.com", frozenset(Role), "proxy"))
    made = found.plan(Kind.CUTOVER, {}, ERIN)
    found.submit(made, ERIN, CUT)
    with pytest.raises(Refused, match="needs the role approver"):
        found.approve(made.operation_id, SOFIA)
    found.cancel(made.operation_id, ERIN)


def test_grants_are_added_and_taken_back_and_nothing_else_is_touched(operations: Any) -> None:
    _, world, _ = operations
    name = MIGRATION.tables[0].candidate
    before = world.relation(name).grants
    extra = (Grant("rds-viewers", ("SELECT",)),)
    do(world, RestoreGrants(name, extra))
    try:
        assert "rds-viewers" in {g.principal for g in world.relation(name).grants}
    finally:
        if "rds-viewers" not in {g.principal for g in before}:
            do(world, RevokeGrants(name, extra))
            assert world.relation(name).grants == before
