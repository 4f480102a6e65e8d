"""Starts the panel: Streamlit and the worker as child processes; restarts a dead worker; stops both together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from databricks_client.signals import SIGNALS, status_of
from databricks_client.terminal import emit

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 10.0
"""Databricks Apps kills the process 15 s after SIGTERM; both children must have ended before."""

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Makes the system send this process SIGTERM when its parent ends, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _streamlit() -> subprocess.Popen[bytes]:
    # Address and port are preset on Databricks Apps and by the local start command, through STREAMLIT_SERVER_*.
    command = [sys.executable, "-m", "app.web.server"]
    return subprocess.Popen(command, cwd=ROOT, preexec_fn=end_with_parent)


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

    Returns the exit status: 128 + the signal's number, else Streamlit's.
    """
    stopping = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = stopping or number

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    if os.environ.pop("CUTOVER_END_WITH_PARENT", "") == "1":  # Set by the local start command.
        end_with_parent()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    pages, worker = _streamlit(), _worker()
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
