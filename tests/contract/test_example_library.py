"""The library's loans, a migration that has nothing to do with the bundled one, from its installation to its rollback."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from app.access import Actor
from app.collect import CollectContext, Collector, sources
from app.config.migration import Migration, Role
from app.config.settings import IdentitySource, Settings
from app.context import Context, bind
from app.draft.look import Wanted, look
from app.draft.write import write
from app.operations.definition import Kind
from app.store.open import open_store
from app.store.operations import State
from databricks_client.client import Workspace
from examples.loans.install import NEW, OLD, PIPELINE, install
from scripts.local_workspace import LocalWorkspace

FILE = Path(__file__).resolve().parents[2] / "examples" / "loans" / "loans.yaml"
ERIN = Actor("engineer@example.com", frozenset({Role.OPERATOR}), "persona", local=True)
LARS = Actor("lead@example.com", frozenset(Role), "persona", local=True)


def run(workspace: Workspace, name: str) -> None:
    """Runs a job to its end."""
    client = workspace.client
    job = workspace.jobs.find(name)
    run_id = client.jobs.run_now(job.job_id).run_id
    deadline = time.monotonic() + 240
    while not (found := workspace.jobs.run(run_id)).result_state:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    assert found.result_state == "SUCCESS", [workspace.jobs.task_error(t.run_id) for t in found.tasks]


def collect(context: Context) -> None:
    """Reads every source once, as the worker does."""
    bind(context.store, context.workspace)
    ctx = CollectContext(context.store.collected, context.workspace, context.migration)
    assert Collector(sources(ctx), context.store.collected).once() == {}


@pytest.mark.timeout(900)
def test_it_is_installed_compared_cut_over_and_rolled_back(workspace: LocalWorkspace, tmp_path: Path) -> None:
    install(workspace.endpoint)
    install(workspace.endpoint)
    found = Workspace(workspace.endpoint)
    migration = Migration.load(FILE)
    run(found, OLD)
    run(found, NEW)
    settings = Settings(
        data=tmp_path, store_url=f"sqlite:///{tmp_path / 'store.db'}", migration_path=FILE,
        identity=IdentitySource.PERSONA,
    )  # fmt: skip
    store = open_store(settings.store_url)
    context = Context(settings=settings, migration=migration, store=store, workspace=found)
    collect(context)

    requested = context.parity.request([t.name for t in migration.tables], ERIN)
    assert context.parity_runner("test").run_next() is not None
    verdicts = {t.table: str(t.verdict) for t in store.parity.table_results(requested)}
    assert verdicts == {"open loans": "identical", "branch days": "identical"}

    collect(context)
    operations = context.operations
    plan = operations.plan(Kind.CUTOVER, {}, ERIN)
    assert {v.key: v.finding.summary for v in plan.gates if v.blocks} == {}
    operation = operations.submit(plan, ERIN, plan.confirmation)
    operations.approve(operation, LARS)
    done = operations.apply(operation, "test")
    assert done.state is State.VERIFIED, done.reason
    for table in migration.tables:
        assert found.tables.state(table.baseline).serves == table.candidate
    assert (paused(found, OLD), paused(found, NEW)) == (True, False)

    back = operations.rollback(ERIN, operations.plan(Kind.ROLLBACK, {}, ERIN).confirmation)
    assert back.state is State.VERIFIED, back.reason
    for table in migration.tables:
        assert not found.tables.state(table.baseline).is_view
    drafted(found, tmp_path)
    store.engine.dispose()


def paused(workspace: Workspace, name: str) -> Any:
    return workspace.jobs.find(name).timing.paused


def drafted(workspace: Workspace, folder: Path) -> None:
    """`cutover init` drafts the same pairs from the same workspace."""
    made = write(look(workspace, Wanted(OLD, PIPELINE, NEW, check_keys=True)), folder / "draft.yaml", force=False)
    pairs = {(t.baseline, t.candidate) for t in made.tables}
    assert pairs == {(t.baseline, t.candidate) for t in Migration.load(FILE).tables}
    loans = next(t for t in made.tables if t.name == "open_loans")
    assert loans.watermark == () or loans.watermark == ("lent_at",)
