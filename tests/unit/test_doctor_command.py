"""`cutover doctor` as a command: exit status, JSON, one line for each finding and each fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from app.cli import main as cli
from app.cli.context import context
from app.config.settings import IdentitySource, Settings
from app.doctor.model import report_of
from databricks_client.client import Workspace as Client
from databricks_client.endpoint import Endpoint
from emulator.workspace import Workspace
from tests.support.doctored import Answers, Doctored

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def built(local: Workspace, client: WorkspaceClient, tmp_path: Path) -> Doctored:
    return Doctored(local, client, tmp_path).built()


@pytest.fixture
def command(built: Doctored, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command as the app's principal, in its own process's settings."""
    vars(context).clear()
    context.settings = Settings(  # type: ignore[misc]
        data=built.folder, store_url=built.store_url, migration_path=Path("m.yaml"), identity=IdentitySource.TOKEN
    )
    context.migration = built.migration  # type: ignore[misc]
    host = built.local.host

    def run(*arguments: str, host: str = host) -> tuple[int, str, str]:
        workspace = Client(Endpoint(host, built.local.warehouse_id, built.local.token_for(built.principal)))
        workspace.__dict__["sql"] = Answers({})
        context.workspace = workspace  # type: ignore[misc]
        capsys.readouterr()
        status = cli.main(("doctor", *arguments))
        return status, *capsys.readouterr()

    yield run
    vars(context).clear()


def test_a_setup_that_passes_ends_with_0(command: Command, built: Doctored, spark_up: None) -> None:
    built.granted().administered()
    status, out, err = command("--json")
    found: dict[str, Any] = json.loads(out)
    assert (status, err) == (0, "") and found["passed"] and report_of(found).passed
    assert {c["state"] for c in found["checks"]} <= {"ok", "warning"}


def test_a_fault_ends_with_1_and_its_fix_stands_alone(command: Command, built: Doctored) -> None:
    built.granted(f"MANAGE on schema {built.catalog}.s")
    status, out, _ = command("--problems")
    lines = [line.strip() for line in out.splitlines()]
    assert status == 1 and f"GRANT MANAGE ON SCHEMA `{built.catalog}`.`s` TO `{built.principal}`" in lines
    assert lines[-1].startswith("The setup does not pass: ") and not [x for x in lines if x.startswith("ok ")]
    assert f"Checked as {built.principal} on {built.local.host}." in lines


def test_a_workspace_that_cannot_be_reached_ends_with_2(command: Command) -> None:
    status, out, _ = command("--json", host="http://127.0.0.1:1")
    assert status == 2 and json.loads(out)["reached"] is False


def test_no_workspace_at_all_is_one_line(command: Command, built: Doctored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    assert cli.main(("doctor", "--json")) == 2


def test_the_store_is_neither_made_nor_opened(command: Command, built: Doctored) -> None:
    command()
    assert not (built.folder / "store.db").exists()
