"""One task's connection, as its own process sees it: the request in, messages out, the request to cancel.

The lines are those of `emulator.runner.child`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Channel:
    """The child's end of its task's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._lock = threading.Lock()
        self.on_cancel: Callable[[], None] = lambda: None
        self.go = threading.Event()

    def request(self) -> Message | None:
        line = self._reader.readline()
        return json.loads(line) if line else None

    def send(self, type: str, **fields: Any) -> None:
        with self._lock:
            self._connection.sendall(json.dumps({"type": type, **fields}, default=str).encode() + b"\n")

    def watch(self) -> None:
        """In a thread: a cancel request or a lost parent interrupts Spark and ends this process."""
        while (line := self._reader.readline()) == b"go\n":
            self.go.set()
        timer = threading.Timer(3.0, os._exit, [1])
        timer.daemon = True
        timer.start()
        with contextlib.suppress(Exception):
            self.on_cancel()
        if line:
            with contextlib.suppress(OSError):
                self.send("cancelled")
        os._exit(1)
