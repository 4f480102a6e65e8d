"""Warm runner processes: one parent that has Spark's client imported forks a fresh process for every task."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Message = dict[str, Any]
GRACE_SECONDS = 5.0


class ProcessDied(Exception):
    """A runner process ended without an answer (killed, out of memory, or the workspace stops)."""


class Execution:
    """One task in a process of its own, from its request to its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()
        self.pid = 0
        self.cancelled = False

    def wait(self, on_message: Callable[[Message], None] | None = None) -> Message:
        """The process's answer (message type `result`). on_message sees every other message as it comes.

        Raises ProcessDied if the process ends without an answer.
        """
        try:
            for line in self._lines:
                message = json.loads(line)
                if message["type"] == "started":
                    self.pid = message["pid"]
                if message["type"] == "result":
                    return dict(message)
                if on_message is not None:
                    on_message(message)
        except (OSError, ValueError):
            pass
        finally:
            self._close()
        raise ProcessDied("the process ended without an answer")

    def go(self) -> None:
        """Lets a task on that waits for it."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(b"go\n")

    def cancel(self) -> None:
        """Interrupts the task's Spark operations and ends its process; at most GRACE_SECONDS later by SIGKILL."""
        self.cancelled = True
        with self._lock:
            try:
                self._connection.sendall(b"cancel\n")
            except OSError:
                return
        threading.Thread(target=self._kill_later, daemon=True).start()

    def _kill_later(self) -> None:
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end:
            if not self._alive():
                return
            time.sleep(0.1)
        if self.pid:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return

    def _alive(self) -> bool:
        if not self.pid:
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _close(self) -> None:
        with self._lock:
            self._lines.close()
            self._connection.close()


class RunnerProcesses:
    """The parent of all runner processes; started at first use, again if it died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._running: set[Execution] = set()

    def start(self) -> None:
        """Starts the parent process, which imports Spark's client in the background; returns at once."""
        with self._lock:
            self._ensure()

    def _ensure(self) -> socket.socket:
        if self._process is not None and self._control is not None and self._process.poll() is None:
            return self._control
        self.folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        log = (self.folder / "runner.log").open("ab")
        with theirs, log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "emulator.runner.child", str(theirs.fileno())],
                cwd=Path(__file__).resolve().parents[2],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._control = ours
        return ours

    def run(self, request: Mapping[str, Any]) -> Execution:
        """Starts a task. request: see `emulator.runner.child`."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            control = self._ensure()
            try:
                socket.send_fds(control, [b"1"], [theirs.fileno()])
            except OSError:
                self._process = None
                socket.send_fds(self._ensure(), [b"1"], [theirs.fileno()])
        ours.sendall(json.dumps(request).encode() + b"\n")
        execution = Execution(ours)
        self._running.add(execution)
        return execution

    def done(self, execution: Execution) -> None:
        """Forgets an execution that has answered."""
        self._running.discard(execution)

    def stop(self) -> None:
        """Cancels what runs and ends the parent process, within a few seconds."""
        for execution in list(self._running):
            execution.cancel()
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
