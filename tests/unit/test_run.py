"""The start command: what it refuses, each in one line, before anything is started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from app import preparation
from databricks_client.endpoint import ADDRESS
from demo import tick
from emulator.__main__ import gone
from emulator.folder import take_folder
from scripts import run

ROOT = Path(__file__).resolve().parents[2]


def test_a_port_that_only_root_may_take_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert run.port_problem(80) == "port 80 is for root alone: choose another with `make run PORT=8501`"


def test_the_address_is_said_first_then_each_step_of_the_preparation_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(
        [
            preparation.Preparation(False),
            preparation.Preparation(True, step="Source data", done=1, total=2),
            preparation.Preparation(True, step="Source data", done=2, total=2),
            preparation.Preparation(True, step="First run of 00_RDS"),
            preparation.Preparation(True, ready=True),
        ]
    )
    monkeypatch.setattr(run, "answers", lambda url: True)
    monkeypatch.setattr(preparation, "read", lambda url: next(answers))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    class Panel:
        def poll(self) -> None:
            return None

    run.announce("http://127.0.0.1:1", "http://127.0.0.1:2", Panel(), time.monotonic())  # type: ignore[arg-type]
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].startswith("Cutover: http://127.0.0.1:1")
    assert lines[1:3] == ["Preparing: Source data", "Preparing: First run of 00_RDS"]
    assert lines[3].startswith("The workspace is ready for use after") and len(lines) == 4
    failed = preparation.Preparation(True, phase="failed", step="Source data", message="the disk is full")
    monkeypatch.setattr(preparation, "read", lambda url: failed)
    run.announce("http://127.0.0.1:1", "http://127.0.0.1:2", Panel(), time.monotonic())  # type: ignore[arg-type]
    assert capsys.readouterr().out.rstrip().endswith("The workspace could not be prepared: the disk is full")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(run.StartError, match=r"cannot be written \(Not a directory\)"):
        run.check(run.free_port(), tmp_path / "file" / "data")


def test_a_full_disk_is_said_with_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 100 * 2**20))
    with pytest.raises(run.StartError, match=r"100 MB free, 3072 MB are needed"):
        run.check(run.free_port(), tmp_path)


def test_a_folder_in_which_a_workspace_runs_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "workspace.json").write_text("{}")
    with take_folder(tmp_path), pytest.raises(run.StartError, match=rf"runs in .* already \(process {os.getpid()}\)"):
        run.check(run.free_port(), tmp_path)
    assert (tmp_path / "workspace.json").exists()
    run.check(run.free_port(), tmp_path)


def test_why_the_workspace_ended_is_told_from_its_log_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "workspace.log"
    log.write_text("emulator: of an earlier start\n")
    begun = log.stat().st_size
    assert run.last_words(tmp_path, begun) == ""
    with log.open("a") as out:
        out.write("Traceback\nemulator: Spark did not start: no jars\n2026 log line\n")
    assert run.last_words(tmp_path, begun) == " (Spark did not start: no jars)"


def test_the_workspace_sees_the_end_of_its_owner() -> None:
    """Its parent's though nobody has waited for that, any other's once somebody has."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert gone(ended.pid, os.getppid())
    assert not gone(os.getpid(), os.getppid())
    assert not gone(os.getppid(), os.getppid())
    assert gone(os.getpid(), os.getpid())  # Its parent was another when it was started.


def test_time_passes_only_where_a_workspace_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    assert tick.main([]) == 2
    assert capsys.readouterr().err.startswith("tick: no workspace: ")
    (tmp_path / ADDRESS).write_text('{"host": "http://127.0.0.1:9", "warehouse_id": "w", "token": "t"}')
    assert tick.main([]) == 1
    assert "does not answer" in capsys.readouterr().err
