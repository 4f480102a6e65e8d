"""`make run`: the local workspace and the panel, started together, stopped together."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from app import preparation
from databricks_client.endpoint import ADDRESS
from databricks_client.terminal import emit
from emulator.folder import PRIVATE, FolderError, take_folder

ROOT = Path(__file__).resolve().parent.parent
FREE_BYTES = 3 * 2**30
STOP_SECONDS = 20.0
FILLER = "demo.bootstrap"
"""The module that puts the bundled migration into the workspace."""


class StartError(Exception):
    """The panel or the workspace cannot start; one line."""


def port_problem(port: int) -> str | None:
    """Why no server may listen on 127.0.0.1:port; None where one may."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is for root alone: choose another with `make run PORT=8501`"
        except OSError:
            another = f"make run PORT={port % 65535 + 1}"
            return f"port {port} is in use: stop what listens there, or choose another with `{another}`"
    return None


def free_port() -> int:
    """A port of 127.0.0.1 on which no server listens now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def arguments() -> argparse.Namespace:
    """The command line, checked; raises StartError."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="8501", help="port of the panel (8501)")
    parser.add_argument("--data", default=".data", help="folder of the workspace and the store (.data)")
    parser.add_argument("--entries", default="20000", help="size of the generated source data (20000)")
    found = parser.parse_args()
    for name, low, high in (("port", 1, 65535), ("entries", 10, 5_000_000)):
        text = getattr(found, name)
        if not text.isdigit() or not low <= int(text) <= high:
            raise StartError(f"{name.upper()}={text} is not a whole number from {low} to {high}")
        setattr(found, name, int(text))
    found.data = Path(found.data).resolve()
    return found


def check(port: int, data: Path) -> None:
    """Raises StartError for a port in use, a data folder that cannot be written or is in use, a full disk."""
    problem = port_problem(port)
    if problem is not None:
        raise StartError(problem)
    try:
        take_folder(data).close()
    except FolderError as e:
        raise StartError(f"{e} with `make run DATA=...`") from e
    free = shutil.disk_usage(data).free
    if free < FREE_BYTES:
        raise StartError(
            f"the disk of {data} has {free >> 20} MB free, {FREE_BYTES >> 20} MB are needed: make room, or set DATA"
        )


def leave_settings(data: Path, migration: str) -> None:
    """Leaves word in the data folder of what the panel runs with, for `cutover` commands beside it."""
    (data / "panel.json").write_text(json.dumps({"identity": "persona", "migration": migration}))


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def announce(url: str, status_url: str, panel: subprocess.Popen[bytes], started: float) -> None:
    """Prints the panel's address once its page answers, then what of the workspace is being prepared, until it is."""
    while panel.poll() is None and not answers(f"{url}/_stcore/health"):
        time.sleep(0.2)
    if panel.poll() is None:
        emit(f"\n  Cutover: {url}    (page up after {_since(started)}; Ctrl-C stops all)\n\n")
    said = ""
    while panel.poll() is None:
        found = preparation.read(status_url)
        if found.ready:
            emit(f"  The workspace is ready for use after {_since(started)}.\n\n")
            return
        if found.phase == "failed":
            emit(f"  {found.sentence}\n\n")
            return
        if found.step and found.step != said:
            said = found.step
            emit(f"  Preparing: {found.step}")
        time.sleep(0.5)


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def last_words(data: Path, start: int) -> str:
    """Why the workspace says that it ended, from its log behind position `start`; "" where it does not say."""
    with (data / "workspace.log").open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.removeprefix("emulator: ") for line in lines if line.startswith("emulator: ")]
    return f" ({said[-1]})" if said else ""


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to each, SIGKILL to what is left after STOP_SECONDS."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Runs until Ctrl-C, SIGTERM, SIGHUP, or the end of either part."""
    started = time.monotonic()
    try:
        chosen = arguments()
        # The workspace's log holds its token, the store what people approved: for the owner of the folder only.
        os.umask(PRIVATE)
        check(chosen.port, chosen.data)
    except StartError as e:
        emit(f"cutover: {e}", error=True)
        return 2
    workspace_port = free_port()
    # A workspace that was killed leaves its address; no workspace runs here now.
    (chosen.data / ADDRESS).unlink(missing_ok=True)
    migration = os.environ.get("CUTOVER_MIGRATION") or str(ROOT / "migrations/00_rds_local.yaml")
    leave_settings(chosen.data, migration)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "CUTOVER_DATA": str(chosen.data),
        "CUTOVER_IDENTITY": "persona",
        "CUTOVER_MIGRATION": migration,
        "CUTOVER_END_WITH_PARENT": "1",
        "CUTOVER_PREPARATION_URL": f"http://127.0.0.1:{workspace_port}/emulator/status",
        "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
        "STREAMLIT_SERVER_PORT": str(chosen.port),
        "STREAMLIT_SERVER_HEADLESS": "true",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_WAREHOUSE_ID", "DATABRICKS_CONFIG_PROFILE"):
        environment.pop(name, None)
    # Each in a session of its own: Ctrl-C reaches this process alone, which then ends both in order.
    panel = subprocess.Popen([sys.executable, "-m", "app.serve"], cwd=ROOT, env=environment, start_new_session=True)
    log = (chosen.data / "workspace.log").open("ab")
    log_start = log.tell()
    workspace = subprocess.Popen(
        [
            sys.executable,
            *("-m", "emulator", "--data", str(chosen.data)),
            *("--fill", FILLER, "--entries", str(chosen.entries)),
            *("--port", str(workspace_port), "--end-with", str(os.getpid())),
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    page, status_url = f"http://127.0.0.1:{chosen.port}", environment["CUTOVER_PREPARATION_URL"]
    threading.Thread(target=announce, args=(page, status_url, panel, started), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGHUP):  # The latter when its terminal is closed.
        signal.signal(number, _interrupt)
    status = 0
    try:
        while True:
            time.sleep(0.3)
            if panel.poll() is not None:
                emit(f"cutover: the panel ended with status {panel.returncode}", error=True)
                status = 1
                break
            if workspace.poll() is not None:
                how = f"status {workspace.returncode}{last_words(chosen.data, log_start)}"
                emit(f"cutover: the workspace ended with {how}; see {chosen.data}/workspace.log", error=True)
                status = 1
                break
    except KeyboardInterrupt:
        emit("\ncutover: stopping")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop([panel, workspace])
    return status


if __name__ == "__main__":
    sys.exit(main())
