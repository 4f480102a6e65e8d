"""A local workspace without Spark, for tests of what it answers: its records are real, notebooks and SQL are not run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from emulator.rest.app import Application
from emulator.rest.errors import ServiceError
from emulator.workspace import Filler, Workspace


class Execution:
    """A runner process that does nothing: ends when told to."""

    def __init__(self, answer: dict[str, Any], seconds: float) -> None:
        self.answer, self.seconds, self.stopped = answer, seconds, threading.Event()

    def wait(self, on_message: Any = None) -> dict[str, Any]:
        from emulator.runner.zygote import ProcessDied

        if self.stopped.wait(self.seconds):
            raise ProcessDied("killed")
        return self.answer

    def cancel(self) -> None:
        self.stopped.set()


class Processes:
    """Stands in for the runner processes: a notebook's first word says how it ends and after how long."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def run(self, request: dict[str, Any]) -> Execution:
        with self.lock:
            self.requests.append(request)
        body = request["content"].split("\n")[-1].split()
        answer = {"ok": True, "result": "done", "truncated": False, "logs": ""}
        if body[0] == "fail":
            answer = {"ok": False, "error": "ValueError: no", "error_trace": "Traceback", "logs": ""}
        return Execution(answer, float(body[1]) if len(body) > 1 else 0.0)

    def done(self, execution: Execution) -> None:
        return

    def stop(self) -> None:
        return

    def start(self) -> None:
        return


class SqlHalf:
    """What is asked of the SQL half, without Spark; the catalog is the real one."""

    remote_url = "sc://127.0.0.1:1"

    def __init__(self, data: Path, groups_of: Callable[[str], set[str]]) -> None:
        from emulator.catalog import Catalog

        self.catalog_db = data / "catalog.sqlite"
        self.catalog = Catalog(self.catalog_db, groups_of)

    def table(self, full_name: str) -> Any:
        return self.catalog.get_table(full_name)

    def stop(self) -> None:
        return


def workspace_in(folder: Path, filler: Filler | None = None) -> Workspace:
    """A workspace whose SQL half and processes are stand-ins."""
    workspace = Workspace(folder, idle_clock=True, filler=filler)
    workspace.__dict__["sql"] = SqlHalf(workspace.data, workspace.groups_of)
    workspace.__dict__["processes"] = Processes()
    workspace.host = "http://127.0.0.1:1"
    return workspace


class Caller:
    """Calls the REST API without a network, as the owner of a token. Whatever is no ServiceError is a test's failure."""

    def __init__(self, workspace: Workspace, token: str | None = None) -> None:
        self.app = Application(workspace)
        self.token = workspace.admin_token if token is None else token

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | str = "",
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """Status and document; body: bytes as they are, anything else as JSON; query: a mapping or the text itself."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        text = query if isinstance(query, str) else urlencode(query)
        headers = {"content-type": content_type} | ({"authorization": f"Bearer {self.token}"} if self.token else {})
        try:
            answer = self.app.answer(method, path, text, headers, raw)
        except ServiceError as e:
            return e.status, e.body()
        document = (
            json.loads(answer.content)
            if answer.media_type == "application/json"
            else answer.content.decode("utf-8", "replace")
        )
        return answer.status, document
