"""The pages over one filled store, with a local workspace beside them that has people and jobs and no Spark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from app.config.migration import Migration
from app.context import bind
from app.store.open import Store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from demo.bootstrap import Bootstrap
from emulator.rest.app import create_app
from scripts.run import free_port
from tests.browser.panel import ROOT, wait
from tests.support.emulator_workspace import workspace_in
from tests.support.pages_seed import open_test_store, seed

FILE = ROOT / "migrations/00_rds_local.yaml"


@dataclass(frozen=True)
class Stage:
    """url: of the pages. store: theirs, for what a worker would write. There is no worker."""

    url: str
    store: Store


@contextmanager
def people_and_jobs(folder: Path) -> Iterator[Endpoint]:
    """A workspace with the demo's users, groups, jobs and pipelines. It has no tables, and its SQL does not answer."""
    workspace = workspace_in(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    workspace.host = f"http://127.0.0.1:{listener.getsockname()[1]}"
    demo = Bootstrap(workspace, 10, 1, lambda *_: None)
    demo.people()
    demo.jobs()
    config = uvicorn.Config(create_app(workspace), http="h11", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield Endpoint(workspace.host, workspace.warehouse_id, workspace.admin_token)
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def playing(folder: Path) -> Iterator[Stage]:
    """Store, workspace and pages until the end of the block; all they keep is in `folder`."""
    address = f"sqlite:///{folder / 'store.db'}"
    store = open_test_store(address)
    with people_and_jobs(folder / "workspace") as endpoint:
        workspace = Workspace(endpoint)
        bind(store, workspace)
        workspace.close()
        seed(store, Migration.load(FILE), differing=True, failing=True, under_way=False)
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "app.web.server"],
            cwd=ROOT,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "CUTOVER_DATA": str(folder),
                "CUTOVER_STORE_URL": address,
                "CUTOVER_IDENTITY": "persona",
                "CUTOVER_MIGRATION": str(FILE),
                "DATABRICKS_HOST": endpoint.host,
                "DATABRICKS_TOKEN": endpoint.token or "",
                "DATABRICKS_WAREHOUSE_ID": endpoint.warehouse_id,
                "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
                "STREAMLIT_SERVER_PORT": str(port),
            },
            stderr=(folder / "panel.log").open("ab"),
        )
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        try:
            wait(answers, 60, "the pages to answer")
            yield Stage(url, store)
        finally:
            process.terminate()
            process.wait(20)
            store.engine.dispose()
