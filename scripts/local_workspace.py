"""A local workspace as a child process: started, watched, stopped or killed by tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from databricks_client.endpoint import ADDRESS, Endpoint, EndpointError
from emulator.folder import private_file

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180
PREPARE_SECONDS = 600


class WorkspaceFailed(Exception):
    """The workspace did not start or did not become ready; the text has the end of its log."""


@dataclass
class LocalWorkspace:
    """A running `python -m emulator` of the tests' own, with the bundled migration in it.

    owner: the process with which it ends, though another one starts it anew. environment: variables beside those of
    this process.
    """

    data: Path
    entries: int
    arguments: tuple[str, ...] = ()
    owner: int = field(default_factory=os.getpid)
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    address: Endpoint | None = None

    def start(self) -> None:
        """Starts the workspace and waits until it says `ready`."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Starts the process and waits for nothing."""
        (self.data / ADDRESS).unlink(missing_ok=True)  # Of one that was killed.
        log = private_file(self.data / "emulator.log").open("a")
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "emulator", "--data", str(self.data), "--port", "0", "--end-with", str(self.owner)),
                *("--entries", str(self.entries), *self.arguments),
            ],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        """Waits until REST and SQL answer; another process may have launched it."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(EndpointError, OSError):
                self.address = Endpoint.local(self.data)
                if self.status()["spark_remote"]:
                    return
            if self.process is not None and self.process.poll() is not None:
                tail = "".join((self.data / "emulator.log").read_text().splitlines(True)[-15:])
                raise WorkspaceFailed(f"the workspace ended with status {self.process.returncode}:\n{tail}")
            if time.monotonic() > deadline:
                raise WorkspaceFailed("the workspace did not become ready in time")
            time.sleep(0.2)

    def status(self) -> dict[str, Any]:
        """What the workspace says of its preparation."""
        with urllib.request.urlopen(f"{self.host}/emulator/status", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def wait_prepared(self, timeout: float = PREPARE_SECONDS) -> None:
        """Waits until the bundled migration's data and first runs are there. timeout: seconds."""
        deadline = time.monotonic() + timeout
        while not (status := self.status()).get("ready_for_use"):
            if status.get("phase") == "failed" or time.monotonic() > deadline:
                raise WorkspaceFailed(f"the workspace was not prepared: {status}")
            time.sleep(0.5)

    def stop(self, timeout: float = 20) -> None:
        """SIGTERM, as Ctrl-C of the start command does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def kill(self) -> None:
        """kill -9 of the workspace's own process; another process may have launched it."""
        file = self.data / ADDRESS
        os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)
        file.unlink()
        if self.process is not None:
            self.process.wait()

    @property
    def endpoint(self) -> Endpoint:
        """The administrator's way in. Raises WorkspaceFailed before it is ready."""
        if self.address is None:
            raise WorkspaceFailed("the workspace is not ready yet")
        return self.address

    @property
    def host(self) -> str:
        """Its address, with scheme and port."""
        return self.endpoint.host

    @property
    def token(self) -> str:
        """The administrator's token."""
        return str(self.endpoint.token)

    @property
    def warehouse_id(self) -> str:
        """Its one SQL warehouse."""
        return self.endpoint.warehouse_id
