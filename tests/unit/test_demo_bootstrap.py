"""A first start without Spark: people, files, jobs, history, and going on after a kill. SQL is written down, not run."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import demo.bootstrap as bootstrap_module
from demo.bootstrap import (
    APP,
    GROUPS,
    IDS,
    NOTEBOOKS,
    OUTPUTS,
    PEOPLE,
    PIPELINE,
    Bootstrap,
    fill,
    spark_name,
)
from emulator.constants import ADMIN
from emulator.records import Run, TaskRun
from emulator.system_tables import LINEAGE_SCHEMA, SystemTables, note_lineage, register
from emulator.workspace import FillError, Workspace


class SqlNotes:
    """In the place of the SQL half: takes statements, grants and virtual tables down."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.grants: list[tuple[str, str, str, tuple[str, ...]]] = []
        self.virtual: dict[str, Any] = {}
        self.catalog = SimpleNamespace(update_grants=self.update_grants, find_table=lambda name: None)
        self._lock = threading.Lock()

    def execute(self, principal: str, text: str) -> None:
        assert principal == ADMIN
        with self._lock:
            self.statements.append(text)

    def update_grants(self, kind: str, name: str, changes: list[tuple[str, tuple[str, ...], Any]], actor: str) -> None:
        assert actor == ADMIN
        self.grants += [(kind, name, principal, tuple(given)) for principal, given, _ in changes]

    def register_virtual(self, name: str, schema: pa.Schema, provider: Any) -> None:
        self.virtual[name] = (schema, provider)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(tmp_path, idle_clock=True)
    made.__dict__["sql"] = SqlNotes()
    yield made
    made.stopping.set()
    made.state.close()


FIRST_RUN = Bootstrap.first_run
"""The step itself; `without_spark` puts another in its place."""


class FakeJobs:
    """Runs that end at once: the first attempt of a job in `failing` fails, its repair does not unless `for_good`."""

    def __init__(self, workspace: Workspace, failing: tuple[str, ...] = (), for_good: bool = False) -> None:
        self.state, self.failing, self.for_good = workspace.state, failing, for_good
        self.calls: list[tuple[str, str]] = []

    def run_now(self, job_id: int, creator: str) -> Run:
        job = self.state.job(job_id)
        assert job is not None
        self.calls.append(("run", job.name))
        result = "FAILED" if job.name in self.failing else "SUCCESS"
        values = {"life_cycle_state": "TERMINATED", "result_state": result, "end_ms": 2}
        run = Run(job_id % 1000, job_id, creator, job.name, "ONE_TIME", 1, job.settings, 1, **values)  # type: ignore[arg-type]
        self.state.put_runs([run], [TaskRun(run.run_id + 1, run.run_id, "t", {}, **values)])  # type: ignore[arg-type]
        return run

    def repair(self, run_id: int, _only: None, *, all_failed: bool) -> None:
        run = self.state.run(run_id)
        assert run is not None and all_failed
        self.calls.append(("repair", run.run_name))
        self.state.put_run(replace(run, result_state="FAILED" if self.for_good else "SUCCESS"))

    def wait(self, run_id: int) -> Run:
        run = self.state.run(run_id)
        assert run is not None
        return run


def first_runs(workspace: Workspace, jobs: FakeJobs) -> list[tuple[str, str]]:
    """The calls of the step "first run" where no job has run yet."""
    workspace.__dict__["jobs"] = jobs
    FIRST_RUN(Bootstrap(workspace, 500, 3, lambda *_, **__: None))
    return jobs.calls


@pytest.fixture
def reported() -> list[tuple[str, int, int, str]]:
    return []


@pytest.fixture(autouse=True)
def without_spark(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Source data is counted instead of written; the old job's first run succeeds at once."""
    counted = {"generate": 0, "runs": 0}

    def generate(spark: Any, names: Any, *, entries: int, seed: int, as_of: datetime, progress: Any) -> None:
        counted["generate"] += 1
        counted["entries"] = entries
        progress("rds.pg_rds_public.companies", 1, 22)

    def first_run(self: Bootstrap) -> None:
        counted["runs"] += 1
        job = self.state.job(int(IDS["jobs.old"]))
        assert job is not None
        at = int(datetime.now(UTC).timestamp() * 1000)
        ended = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "end_ms": at + 1}
        self.state.put_run(Run(1, job.job_id, ADMIN, job.name, "ONE_TIME", 1, job.settings, at, **ended))  # type: ignore[arg-type]

    monkeypatch.setattr(bootstrap_module, "generate", generate)
    monkeypatch.setattr(bootstrap_module, "local_spark", lambda workspace: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(Bootstrap, "first_run", first_run)
    return counted


def start(workspace: Workspace, reported: list[tuple[str, int, int, str]], entries: int = 500, seed: int = 3) -> None:
    fill(
        workspace,
        entries,
        seed,
        lambda step, done=0, total=0, message="": reported.append((step, done, total, message)),
    )


def sql(workspace: Workspace) -> SqlNotes:
    return workspace.sql  # type: ignore[return-value]


def test_people_and_groups_are_those_of_the_migration(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    for email in PEOPLE:
        assert workspace.state.principal_named(email, "user") is not None
    assert workspace.state.principal_named(APP, "service_principal") is not None
    for group, members in GROUPS.items():
        for member in members:
            assert group in workspace.groups_of(member)
    assert "rds-approvers" not in workspace.groups_of("engineer@example.com")
    assert workspace.groups_of("analyst@example.com") == {"data-consumers"}


def test_notebooks_and_pipeline_source_lie_where_jobs_look_for_them(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    notebook = workspace.files.get(f"{NOTEBOOKS}/unity_fde")
    assert (notebook.object_type, notebook.language) == ("NOTEBOOK", "PYTHON")
    assert workspace.files.get(f"{NOTEBOOKS}/iv_fde_ax").language == "SQL"
    source = workspace.files.get(f"{PIPELINE}/transformations/fde_pipeline.py")
    assert source.object_type == "FILE"
    for job in workspace.state.jobs():
        for task in job.settings["tasks"]:
            if "notebook_task" in task:
                assert workspace.files.find(task["notebook_task"]["notebook_path"]) is not None


def test_jobs_and_pipelines_have_their_ids_owners_and_permissions(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    old = workspace.state.job(314473856953682)
    assert old is not None
    assert old.name == "00_RDS"
    assert {p.name for p in workspace.state.pipelines()} == {"00_RDS_FDE_Pipeline_DEV", "00_RDS_FDE_Pipeline_PROD"}
    permissions = workspace.state.permissions("jobs", str(old.job_id))
    assert permissions[("service_principal", APP)] == "CAN_MANAGE"
    assert permissions[("group", "rds-operators")] == "CAN_MANAGE_RUN"
    assert permissions[("user", ADMIN)] == "IS_OWNER"


def test_consumers_may_read_the_six_tables_and_nothing_else(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    given = [(kind, name, p) for kind, name, who, p in sql(workspace).grants if who == "data-consumers"]
    assert {name for kind, name, _ in given if kind == "TABLE"} == set(OUTPUTS)
    assert all(p == ("SELECT",) for kind, _, p in given if kind == "TABLE")
    assert not any("SELECT" in p for kind, _, p in given if kind != "TABLE")


def test_every_source_table_is_declared_once_in_databricks_names(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    declared = [s for s in sql(workspace).statements if s.startswith("CREATE TABLE")]
    assert len(declared) == 22
    assert any("`rds`.`pg_rds_public`.`entries`" in s and "Generated data" in s for s in declared)
    assert spark_name("rds.pg_rds_public.entries") == "`rds__pg_rds_public`.`entries`"


def test_a_second_start_does_nothing_again(
    workspace: Workspace, reported: list[Any], without_spark: dict[str, int]
) -> None:
    start(workspace, reported)
    statements, runs = list(sql(workspace).statements), workspace.state.runs()
    reported.clear()
    start(workspace, reported, entries=9_999, seed=99)
    assert reported == []
    assert sql(workspace).statements == statements
    assert workspace.state.runs() == runs
    assert without_spark == {"generate": 1, "runs": 1, "entries": 500}


@pytest.mark.parametrize("step", ["people", "catalogs", "jobs", "sources", "first_run", "grants", "history"])
def test_a_start_after_a_kill_goes_on_from_the_step_that_was_cut_off(
    workspace: Workspace, reported: list[Any], without_spark: dict[str, int], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    whole = getattr(Bootstrap, step)

    def cut_off(self: Bootstrap) -> None:
        whole(self)
        raise RuntimeError("cut off")

    monkeypatch.setattr(Bootstrap, step, cut_off)
    with pytest.raises(FillError, match="cut off; start again"):
        start(workspace, reported)
    assert workspace.state.meta(f"bootstrap.{step}") is None
    as_of = workspace.state.meta("bootstrap.as_of")
    monkeypatch.setattr(Bootstrap, step, whole)
    start(workspace, reported, entries=1)
    assert workspace.state.meta(f"bootstrap.{step}") is not None
    assert workspace.state.meta("bootstrap.as_of") == as_of
    assert without_spark["entries"] == 500
    assert len(workspace.state.jobs()) == 3
    assert len({r.run_id for r in workspace.state.runs(generated=True)}) == len(workspace.state.runs(generated=True))


def test_an_edited_notebook_is_left_alone_and_a_changed_project_file_is_brought(
    workspace: Workspace, reported: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(workspace, reported)
    edited, changed = f"{NOTEBOOKS}/unity_fde", f"{NOTEBOOKS}/iv_fde_ax"
    workspace.files.import_source(edited, "# Databricks notebook source\nprint('mine')\n")
    newer = tmp_path / "newer.sql"
    newer.write_text("-- Databricks notebook source\nSELECT 2\n")
    files = [(p, newer if p in (edited, changed) else f) for p, f in Bootstrap.files()]
    monkeypatch.setattr(Bootstrap, "files", staticmethod(lambda: files))
    start(workspace, reported)
    assert b"mine" in workspace.files.get(edited).content
    assert b"SELECT 2" in workspace.files.get(changed).content


def test_history_comes_with_the_jobs_ages_and_before_the_first_start(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    generated = workspace.state.runs(generated=True)
    as_of = datetime.fromisoformat(str(workspace.state.meta("bootstrap.as_of")))
    assert len(generated) > 150
    assert max(r.end_ms for r in generated) < as_of.timestamp() * 1000
    for job in workspace.state.jobs():
        assert job.created_ms < min(r.start_ms for r in workspace.state.runs(job_id=job.job_id))


def test_system_tables_are_answered_from_the_workspace_s_records(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    virtual = sql(workspace).virtual
    assert {
        "system.billing.usage",
        "system.billing.list_prices",
        "system.access.table_lineage",
        "system.query.history",
        "system.lakeflow.jobs",
        "system.lakeflow.job_tasks",
        "system.lakeflow.job_run_timeline",
        "system.lakeflow.job_task_run_timeline",
        "system.lakeflow.pipelines",
        "system.lakeflow.pipeline_update_timeline",
    } == set(virtual)
    for name, (schema, provider) in virtual.items():
        table = provider()
        assert table.schema == schema
        # No statement came by the protocols: the filling works beside them.
        assert table.num_rows > 0 or name == "system.query.history"


def test_lineage_names_sources_and_targets_of_one_event_once(workspace: Workspace) -> None:
    for _ in range(2):
        note_lineage(
            workspace.state,
            entity_type="PIPELINE",
            entity_id="p",
            entity_run_id="u",
            created_by=ADMIN,
            sources=["rds.a.x", "rds.a.y", "not_three_level"],
            targets=["product.fde.t"],
        )
    rows = SystemTables(workspace, 1).table_lineage().to_pylist()
    assert [(r["source_table_full_name"], r["target_table_full_name"]) for r in rows] == [
        ("rds.a.x", "product.fde.t"),
        ("rds.a.y", "product.fde.t"),
    ]
    assert len({r["event_id"] for r in rows}) == 1
    assert len({r["record_id"] for r in rows}) == 2
    assert set(rows[0]) == set(LINEAGE_SCHEMA.names)


def test_system_tables_can_be_registered_again(workspace: Workspace) -> None:
    register(workspace)
    register(workspace)
    assert len(sql(workspace).virtual) == 10


@pytest.fixture
def unrun(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A filled workspace in which no job has run."""
    monkeypatch.setattr(Bootstrap, "first_run", lambda self: None)
    start(workspace, [])
    return workspace


def test_both_jobs_run_once(unrun: Workspace) -> None:
    assert first_runs(unrun, FakeJobs(unrun)) == [("run", "00_RDS"), ("run", "00_RDS_v2")]
    assert first_runs(unrun, FakeJobs(unrun)) == [], "a start after a kill repeats no run that succeeded"


def test_a_first_run_that_fails_is_repaired_once(unrun: Workspace) -> None:
    calls = first_runs(unrun, FakeJobs(unrun, failing=("00_RDS_v2",)))
    assert calls == [("run", "00_RDS"), ("run", "00_RDS_v2"), ("repair", "00_RDS_v2")]


def test_a_first_run_that_fails_twice_stops_the_preparation_and_names_the_job(unrun: Workspace) -> None:
    with pytest.raises(FillError, match="of 00_RDS ended FAILED"):
        first_runs(unrun, FakeJobs(unrun, failing=("00_RDS",), for_good=True))
    assert first_runs(unrun, FakeJobs(unrun)) == [("run", "00_RDS")], "the new job's run succeeded and stays"


def test_progress_names_step_and_time(workspace: Workspace, reported: list[Any]) -> None:
    start(workspace, reported)
    assert all(re.match(r"Step \d of 8, \d+ s: ", message) for *_, message in reported) and reported
