"""Starts the panel: Streamlit and the worker as child processes; restarts a dead worker; stops both together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from databricks_client.signals import SIGNALS, status_of
from databricks_client.terminal import emit

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 10.0
"""Both children must have ended before KILLED_SECONDS, and end by themselves before this."""
KILLED_SECONDS = 15.0
"""Databricks Apps kills the process so long after SIGTERM."""

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Makes the system send this process SIGTERM when its parent ends, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def address(environment: Mapping[str, str]) -> dict[str, str]:
    """Streamlit's settings of where the panel is served, in Databricks Apps: the port that the proxy speaks to.

    Elsewhere none: the start command or the user sets STREAMLIT_SERVER_*. Raises ValueError where it is no port.
    """
    port = environment.get("DATABRICKS_APP_PORT", "").strip()
    if not port:
        return {}
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"DATABRICKS_APP_PORT={port!r} is no port: give a number from 1 to 65535")
    return {
        "STREAMLIT_SERVER_PORT": port,
        "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",  # noqa: S104 (the proxy is on another machine; it alone reaches this one)
        "STREAMLIT_SERVER_HEADLESS": "true",
    }


def _streamlit(where: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.web.server"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **where}, preexec_fn=end_with_parent)


def _worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "app.worker"], cwd=ROOT, preexec_fn=end_with_parent)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def main() -> int:
    """Runs until SIGTERM, SIGINT, SIGHUP or the end of Streamlit.

    Returns the exit status: 128 + the signal's number, else Streamlit's; 2 for an unusable setting.
    """
    stopping = 0
    try:
        where = address(os.environ)
    except ValueError as e:
        emit(f"cutover: {e}", error=True)
        return 2

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = stopping or number

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    if os.environ.pop("CUTOVER_END_WITH_PARENT", "") == "1":  # Set by the local start command.
        end_with_parent()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    pages, worker = _streamlit(where), _worker()
    pause, started = 1.0, time.monotonic()
    try:
        while not stopping and pages.poll() is None:
            if worker.poll() is not None:
                # A worker that ran for a minute restarts after 1 s; one that fails at its start, with doubling pauses.
                pause = 1.0 if time.monotonic() - started > 60 else min(pause * 2, 30.0)
                emit(f"worker ended with status {worker.returncode}; next start in {pause:.0f} s", error=True)
                until = time.monotonic() + pause
                while time.monotonic() < until and not stopping and pages.poll() is None:
                    time.sleep(0.2)
                if stopping or pages.poll() is not None:
                    break
                worker, started = _worker(), time.monotonic()
            time.sleep(0.2)
    finally:
        _stop([pages, worker])
    return status_of(stopping) if stopping else (pages.returncode or 0)


if __name__ == "__main__":
    sys.exit(main())
