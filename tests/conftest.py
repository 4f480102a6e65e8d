"""One local workspace with one Spark for all tests that need them, started when the first one asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from validation.endpoint import Endpoint

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = 400
START_SECONDS = 180
PREPARE_SECONDS = 600


@dataclass
class LocalWorkspace:
    """A running `python -m emulator` of the tests' own, with the bundled migration in it."""

    data: Path
    entries: int = ENTRIES
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    printed: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Starts the workspace and waits until it says `ready`."""
        log = (self.data / "emulator.log").open("a")
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "emulator", "--data", str(self.data), "--port", "0"),
                *("--entries", str(self.entries), *self.arguments),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, value = line.strip().partition("=")
            if value:
                self.printed[name] = value
            if line.strip() == "ready":
                return
            assert time.monotonic() < deadline, "the workspace did not become ready"
        tail = "".join((self.data / "emulator.log").read_text().splitlines(True)[-15:])
        raise AssertionError(f"the workspace ended with status {self.process.wait()}:\n{tail}")

    def status(self) -> dict[str, Any]:
        """What the workspace says of its preparation."""
        with urllib.request.urlopen(f"{self.host}/emulator/status", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def wait_prepared(self) -> None:
        """Waits until the bundled migration's data and first runs are there."""
        deadline = time.monotonic() + PREPARE_SECONDS
        while not (status := self.status()).get("ready_for_use"):
            assert status.get("phase") != "failed", status
            assert time.monotonic() < deadline, f"the workspace was not prepared in time: {status}"
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
        """kill -9 of the workspace's own process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def host(self) -> str:
        return self.printed["DATABRICKS_HOST"]

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.printed["DATABRICKS_TOKEN"]

    @property
    def warehouse_id(self) -> str:
        return self.printed["DATABRICKS_WAREHOUSE_ID"]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.warehouse_id, self.token)


@pytest.fixture(scope="session")
def raw_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """The workspace as soon as REST and SQL answer; its data may still be in preparation."""
    data = tmp_path_factory.mktemp("workspace")
    found = LocalWorkspace(data)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="session")
def workspace(raw_workspace: LocalWorkspace) -> LocalWorkspace:
    """The workspace with the bundled migration's data and first runs."""
    raw_workspace.wait_prepared()
    return raw_workspace


@pytest.fixture(scope="session")
def spark_remote(raw_workspace: LocalWorkspace) -> str:
    """Spark Connect address of the tests' one Spark server (two-level names; for tests of SQL text and of the pipeline)."""
    return str(raw_workspace.status()["spark_remote"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, then those that need Spark, the browser last; each test may run 10 minutes at most."""
    order = {"unit": 0, "spark": 1, "contract": 2, "browser": 3}
    items.sort(key=lambda item: order.get(item.path.parent.name, 0))
