"""`python -m emulator --data DIR --port P [--empty | --fill MODULE]`: one local workspace."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from emulator.filling import FillerError, filler_of_project, load_filler
from emulator.folder import ADDRESS, PRIVATE, FolderError, take_folder
from emulator.jars import JarsError
from emulator.rest.app import create_app
from emulator.shared.terminal import emit, log_to_stderr
from emulator.spark_server import SparkServerError
from emulator.workspace import FillError, Workspace

log = logging.getLogger("emulator")
STOP_SECONDS = 13.0


class StartError(Exception):
    """The workspace cannot start; the text is one line with the way out."""


def between(low: int, high: int) -> Callable[[str], int]:
    """An argument's type: a whole number within limits."""

    def number(text: str) -> int:
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
        return int(text)

    return number


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the workspace; made when missing")
    parser.add_argument("--port", type=between(0, 65535), default=0, help="port on 127.0.0.1; 0 takes a free one")
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--empty", action="store_true", help="fill nothing in")
    content.add_argument(
        "--fill",
        metavar="MODULE",
        help="fill the workspace with this module (default: the `filler` of [tool.emulator] in the pyproject.toml "
        "beside this package, if any)",
    )
    parser.add_argument("--entries", type=between(10, 5_000_000), default=20_000, help="size of the generated data")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated data")
    parser.add_argument("--idle-clock", action="store_true", help="schedules do not fire by themselves")
    parser.add_argument("--end-with", type=int, default=0, metavar="PID", help="stop when this process is gone")
    parser.add_argument("--driver-memory", default="", help="memory of Spark's driver, e.g. 4g")
    return parser.parse_args(argv)


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises StartError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except (OSError, OverflowError) as e:
        listener.close()
        if isinstance(e, OSError) and e.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} is in use: choose another with --port, or 0 for a free one") from e
        raise StartError(f"cannot listen on 127.0.0.1:{port}: {e}") from e
    return listener


def gone(process: int, parent: int) -> bool:
    """Whether a process has ended. parent: that of this one, whose end is seen though it is a zombie."""
    if process == parent:
        return os.getppid() != parent
    try:
        os.kill(process, 0)
    except OSError:
        return True
    return False


def write_address(workspace: Workspace) -> Path:
    """The file by which clients on this machine find the workspace; only its owner may read it."""
    file = workspace.data / ADDRESS
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    address = {
        "host": workspace.host,
        "token": workspace.admin_token,
        "warehouse_id": workspace.warehouse_id,
        "pid": os.getpid(),
    }
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(address, out)
    part.replace(file)
    return file


def prepare(workspace: Workspace, options: argparse.Namespace, failed: threading.Event) -> None:
    """Starts Spark, fills the workspace, then starts the schedules."""
    try:
        workspace.progress("starting", "Spark", message="Starting Spark")
        workspace.start_sql()
        emit("ready")
        workspace.fill(options.entries, options.seed)
        workspace.progress("ready", message="Ready", ready=True)
        workspace.scheduler.start()
    except Exception as e:
        if workspace.stopping.is_set():
            return
        expected = isinstance(e, (FillError, JarsError, SparkServerError, OSError))
        line = " ".join((str(e) if expected else f"{type(e).__name__}: {e}").split())[:400]
        log.error("preparation failed: %s", line, exc_info=not expected)
        workspace.progress("failed", workspace.status.step, message=line)
        if not workspace.sql_ready.is_set():
            emit(f"emulator: Spark did not start: {line}", error=True)
            failed.set()
            os.kill(os.getpid(), signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Exit status 0 stopped, 1 Spark did not start, 2 cannot start."""
    options = arguments(argv)
    log_to_stderr(logging.INFO, "%(asctime)s %(name)s %(levelname)s %(message)s")
    for noisy in ("py4j", "databricks"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    data = options.data.resolve()
    # For this process and its children: Spark and the runs write tables, logs and what notebooks print.
    os.umask(PRIVATE)
    try:
        name = "" if options.empty else options.fill or filler_of_project()
        filler = load_filler(name) if name else None
        lock = take_folder(data)
        listener = listen(options.port)
    except (FillerError, FolderError, StartError) as e:
        emit(f"emulator: {e}", error=True)
        return 2
    stop = threading.Event()
    parent = os.getppid()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    workspace = Workspace(
        data,
        driver_memory=options.driver_memory,
        idle_clock=options.idle_clock,
        entries=options.entries if filler else None,
        filler=filler,
    )
    workspace.host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    workspace.pipelines.tell_interrupted(workspace.state.end_interrupted()[1])
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(workspace),
            http="h11",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
    )
    web = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
    web.start()
    address = write_address(workspace)
    emit(f"DATABRICKS_HOST={workspace.host}")
    emit(f"DATABRICKS_TOKEN={workspace.admin_token}")
    emit(f"DATABRICKS_WAREHOUSE_ID={workspace.warehouse_id}")
    failed = threading.Event()
    threading.Thread(target=prepare, args=[workspace, options, failed], name="prepare", daemon=True).start()
    while not stop.wait(1.0):
        if options.end_with and gone(options.end_with, parent):
            break
    deadline = threading.Timer(STOP_SECONDS, os._exit, [1])
    deadline.daemon = True
    deadline.start()
    with contextlib.suppress(OSError):
        address.unlink()
    workspace.end_processes()
    server.should_exit = True
    web.join(3)
    workspace.state.close()
    lock.close()
    sys.stdout.flush()
    os._exit(1 if failed.is_set() else 0)


if __name__ == "__main__":
    sys.exit(main())
