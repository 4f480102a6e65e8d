"""What fills a local workspace: a module from outside of it, named by the command line or by the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo import bootstrap
from emulator.__main__ import arguments
from emulator.filling import FillerError, filler_of_project, load_filler
from emulator.rest.errors import ServiceError
from emulator.workspace import Progress, Workspace
from scripts import run
from tests.support.emulator_workspace import Caller, workspace_in


class Filler:
    """Says what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def fill(self, workspace: Workspace, entries: int, seed: int, progress: Progress) -> None:
        self.calls.append(("fill", entries, seed))
        progress("Source data", 1, 2, "half")

    def tick(self, workspace: Workspace, share: float) -> dict[str, Any]:
        self.calls.append(("tick", share))
        return {"number": 1}


def test_this_project_fills_with_the_bundled_migration() -> None:
    assert filler_of_project() == run.FILLER
    assert load_filler(run.FILLER) is bootstrap


def test_a_package_that_lies_in_no_project_has_no_filler(tmp_path: Path) -> None:
    assert filler_of_project(tmp_path / "pyproject.toml") == ""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert filler_of_project(tmp_path / "pyproject.toml") == ""


@pytest.mark.parametrize("text", ["[tool.emulator", "[tool.emulator]\nfiller = 1\n"])
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(FillerError, match=r"pyproject.toml"):
        filler_of_project(tmp_path / "pyproject.toml")


@pytest.mark.parametrize(
    ("name", "why"), [("no_such_module", "cannot be imported"), ("emulator.folder", "has no function fill")]
)
def test_what_is_no_filler_is_refused_in_one_line(name: str, why: str) -> None:
    with pytest.raises(FillerError, match=why) as refused:
        load_filler(name)
    assert "\n" not in str(refused.value)


def test_empty_and_fill_exclude_each_other() -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(["--data", "x", "--empty", "--fill", "demo.bootstrap"])


def test_the_filler_fills_and_its_progress_is_shown(tmp_path: Path) -> None:
    filler = Filler()
    workspace = workspace_in(tmp_path, filler)
    workspace.fill(10, 7)
    assert filler.calls == [("fill", 10, 7)]
    assert (workspace.status.phase, workspace.status.step, workspace.status.done) == ("preparing", "Source data", 1)


def test_scheduled_runs_that_start_together_see_one_change(tmp_path: Path) -> None:
    filler = Filler()
    workspace = workspace_in(tmp_path, filler)
    workspace.fill(10, 7)
    workspace.progress("ready", ready=True)
    workspace.scheduler.before_firing()
    workspace.scheduler.before_firing()
    assert filler.calls[1:] == [("tick", 0.01)]


def test_a_tick_is_refused_until_the_workspace_is_filled(tmp_path: Path) -> None:
    filler = Filler()
    workspace = workspace_in(tmp_path, filler)
    workspace.sql_ready.set()
    call = Caller(workspace)
    status, body = call("POST", "/emulator/tick", {"share": 0.5})
    assert (status, body["error_code"]) == (400, "INVALID_STATE") and "not filled yet" in body["message"]
    workspace.progress("ready", ready=True)
    assert call("POST", "/emulator/tick", {"share": 0.5}) == (200, {"number": 1})
    assert filler.calls == [("tick", 0.5)]


def test_an_empty_workspace_has_nothing_that_changes_with_time(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    workspace.fill(10, 7)
    workspace.progress("ready", ready=True)
    with pytest.raises(ServiceError, match="is empty"):
        workspace.tick()
