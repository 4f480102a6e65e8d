"""The doctor against the local workspace with the bundled migration in it, as its administrator and as who has nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.doctor.model import Report, State
from app.doctor.run import examine
from databricks_client.client import Workspace
from scripts.local_workspace import LocalWorkspace
from tests.support.users import as_user


def run(workspace: Workspace, folder: Path) -> Report:
    settings = Settings(
        data=folder, store_url=f"sqlite:///{folder / 'store.db'}", migration_path=DEFAULT_MIGRATION,
        identity=IdentitySource.TOKEN,
    )  # fmt: skip
    context = Context(settings=settings, migration=Migration.load(DEFAULT_MIGRATION), workspace=workspace)
    return examine(context.examined(), 120)


def test_the_administrator_passes(workspace: LocalWorkspace, tmp_path: Path) -> None:
    report = run(Workspace(workspace.endpoint), tmp_path)
    assert [f for c in report.checks for f in c.findings if not f.passes] == []
    states = {c.key: c.state for c in report.checks}
    assert {states[k] for k in ("system", "jobs", "pipelines", "roles", "clock", "store")} == {State.OK}
    assert [f for c in report.checks if c.key == "permissions" for f in c.findings if f.state is not State.OK] == []
    # No update has written the development tables yet.
    lacking = [f for c in report.checks if c.key == "data" for f in c.findings if f.state is not State.OK]
    assert {f.fix for f in lacking} <= {"cutover start-update development"}


@pytest.mark.parametrize("user", ["stakeholder@example.com"])
def test_a_viewer_is_told_what_is_missing(workspace: LocalWorkspace, tmp_path: Path, user: str) -> None:
    report = run(as_user(workspace, user), tmp_path)
    assert report.reached and not report.passed and report.principal == user
    failed = [f for c in report.checks for f in c.findings if f.state is State.FAILED]
    assert any(f.fix == f"GRANT MANAGE ON SCHEMA `product`.`fde` TO `{user}`" for f in failed)
    assert all(f.fix for f in failed)
