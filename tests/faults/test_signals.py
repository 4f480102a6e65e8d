"""A signal ends a command, the worker and what hangs, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from app.store.open import open_store
from tests.support.waiting import wait_until
from tests.support.workspace_server import Request, Server

ROOT = Path(__file__).resolve().parents[2]
STUCK = """
import socket, sys, threading
from databricks_client.running import RUNNING
from databricks_client.signals import ends_on_signals

cancelled = threading.Event()
with ends_on_signals(lambda name: print("last words:", name, cancelled.is_set(), flush=True)):
    with RUNNING.watch(cancelled.set):
        lock = threading.Lock(); lock.acquire()
        ready = False
        while True:
            try:
                if not ready:
                    ready = True
                    print("ready", flush=True)
                lock.acquire()
            except KeyboardInterrupt:
                pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("command", "last"),
    [
        (["validation", "a.b.c", "a.b.d", "--json"], '"reason": "cancelled by {} before the comparison was complete"'),
        (
            ["app.cli.main", "plan", "cutover", "--json"],
            '{{"error": "stopped; the journal has every step that was started"}}',
        ),
    ],
)
def test_a_signal_ends_a_command_that_connects(
    tmp_path: Path, command: list[str], last: str, number: signal.Signals
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        silent.settimeout(60)
        environment = {
            **os.environ,
            "DATABRICKS_HOST": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "DATABRICKS_TOKEN": "token",
            "DATABRICKS_WAREHOUSE_ID": "w",
            "CUTOVER_STORE_URL": f"sqlite:///{tmp_path}/store.db",
            "CUTOVER_IDENTITY": "token",
            "no_proxy": "*",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # As `nohup` ignores one.
        )  # fmt: skip
        connection, _ = silent.accept()
        with connection:
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number, err
    assert last.format(number.name) in out and "Traceback" not in err


def test_a_main_thread_that_never_ends_is_ended_and_its_statement_cancelled() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "last words: SIGTERM True\n")


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    text = (
        "import os, signal\nfrom databricks_client.signals import ends_on_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ends_on_signals():\n    os.kill(os.getpid(), signal.SIGHUP)\n    print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr


def test_the_process_ends_within_ten_seconds_of_sigterm_though_the_workspace_hangs(
    store_url: str, server: Server
) -> None:
    release = threading.Event()

    def hang(_: Request) -> Any:
        release.wait(600)
        return {}

    for path in ("/api/2.2/jobs/list", "/api/2.2/jobs/get", "/api/2.0/pipelines"):
        server.on("GET", path, hang)
    environment = {
        **os.environ,
        "DATABRICKS_HOST": server.host,
        "DATABRICKS_TOKEN": "t",
        "DATABRICKS_WAREHOUSE_ID": "w",
        "CUTOVER_STORE_URL": store_url,
    }
    process = subprocess.Popen([sys.executable, "-m", "app.worker"], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: len(server.requests) >= 2, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 128 + signal.SIGTERM, "the calls hang for 10 minutes"
        assert open_store(store_url).leases.holder("worker") is None
    finally:
        release.set()
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
