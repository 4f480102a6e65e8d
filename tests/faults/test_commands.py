"""Commands as processes of their own: what they print, refuse and leave behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.workspace_server import Refusal, Request, serving

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "dapi0f1e2d3c4b5a69788796a5b4c3d2e1f0"
COMPARE = """
import sys
from tests.support.validation_warehouse import DESCRIBED, Scripted, bucket
from validation.__main__ import main
described = [{**d, "col_name": d["col_name"] + "é\\u202e"} if d["col_name"] == "x" else d for d in DESCRIBED]
other = [{**d, "data_type": "int"} if d["col_name"].startswith("x") else d for d in described]
answers = iter([described, other] * 2)
class Sides(Scripted):
    def execute(self, sql, *rest):
        return next(answers) if sql.startswith("DESCRIBE TABLE") else super().execute(sql, *rest)
sys.exit(main(["ä", "b", "--key", "id", *sys.argv[1:]], Sides(WITH=[bucket(na=1, nb=1)])))
"""


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_a_token_with_a_line_end_works_and_is_printed_nowhere(tmp_path: Path, end: str) -> None:
    def refuse(request: Request) -> None:
        raise Refusal(403, "PERMISSION_DENIED", "Invalid access token.")

    with serving() as server:
        for method in ("GET", "POST"):
            server.on(method, "/*", refuse)
        environment = {
            **os.environ,
            "DATABRICKS_HOST": server.host + end,
            "DATABRICKS_TOKEN": TOKEN + end,
            "DATABRICKS_WAREHOUSE_ID": "w" + end,
            "CUTOVER_STORE_URL": f"sqlite:///{tmp_path}/store.db" + end,
            "CUTOVER_LOG": "DEBUG",
        }
        for command in (
            ["validation", "a.b.c", "a.b.d"],
            ["app.cli.main", "plan", "cutover"],
            ["app.cli.main", "status"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
            )
            assert TOKEN not in done.stdout + done.stderr
            assert done.returncode in (0, 1, 3), done.stderr
    assert server.requests


def _python(code: str, *arguments: str, out: int = subprocess.PIPE, **settings: str) -> tuple[int, bytes, bytes]:
    """Status, standard output and standard error of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=out,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout or b"", done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
@pytest.mark.parametrize("form", ["--json", "--html", "--csv", "--quiet"])
def test_a_comparison_keeps_its_status_and_writes_utf_8_in_any_locale(encoding: str, form: str) -> None:
    status, out, err = _python(COMPARE, form, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert (status, err) == (1, b"")
    shown = out.decode("utf-8")
    assert form == "--csv" or "é" in shown
    if form == "--json":
        assert json.loads(shown)["schema_differences"][0]["column"] == "xé\u202e"


def test_a_reader_that_leaves_changes_no_status_and_leaves_no_complaint() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert _python(COMPARE, "--json", out=write) == (1, b"", b"")
    finally:
        os.close(write)


def test_the_console_goes_on_without_its_reader() -> None:
    code = "\n".join(
        (
            "import os, sys",
            "from app.cli.terminal import Terminal",
            "read, write = os.pipe(); os.close(read); os.dup2(write, 1)",
            "console = Terminal()",
            "for n in range(3): console.say('x' * 100_000)",
            "print('on', file=sys.stderr)",
        )
    )
    assert _python(code) == (0, b"", b"on\n")


def said(*arguments: str) -> tuple[int, str]:
    """Exit status and the one line that the command prints."""
    command = [sys.executable, "-m", "scripts.run", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("cutover: ")
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("port", "x"), ("port", "0"), ("port", "70000"), ("entries", "9"), ("entries", "1e6")]
)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: str) -> None:
    status, line = said("--data", str(tmp_path / "data"), f"--{name}", value)
    assert status == 2 and f"{name.upper()}={value} is not a whole number" in line
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_said_with_another_to_take(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, line = said("--data", str(tmp_path / "data"), "--port", str(port))
    assert status == 2 and f"port {port} is in use" in line and f"PORT={port + 1}" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("wrong", ["--entries=0", "--entries=x", "--port=70000"])
def test_a_workspace_with_a_wrong_value_does_not_start(tmp_path: Path, wrong: str) -> None:
    command = [sys.executable, "-m", "emulator", "--data", str(tmp_path / "data"), wrong]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "is not a whole number from" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_killed_starter_leaves_no_process_behind() -> None:
    """As `app.serve` starts the pages and the worker."""
    text = (
        "import subprocess, sys, time; from app.serve import end_with_parent;"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=end_with_parent);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 10
    while running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
