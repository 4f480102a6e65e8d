"""Pages over a filled store, and a browser, for all tests that need no workspace."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from app.config.migration import Migration
from scripts.run import free_port
from tests.browser.panel import ROOT, SLOW, browser_executable, wait
from tests.support.pages_seed import open_test_store, seed

FILE = ROOT / "migrations/00_rds_local.yaml"


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of pages over a filled store. There is no workspace and no worker: pages read only the store."""
    folder = tmp_path_factory.mktemp("pages")
    address = f"sqlite:///{folder / 'store.db'}"
    store = open_test_store(address)
    seed(store, Migration.load(FILE), differing=True, failing=True)
    store.engine.dispose()
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
            "DATABRICKS_HOST": "http://127.0.0.1:9",
            "DATABRICKS_TOKEN": "none",
            "DATABRICKS_WAREHOUSE_ID": "none",
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "STREAMLIT_SERVER_PORT": str(port),
        },
        stderr=(folder / "panel.log").open("ab"),
    )
    found = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{found}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    try:
        wait(answers, 60, "the pages to answer")
        yield found
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    expect.set_options(timeout=SLOW)
    browser = playwright.chromium.launch(executable_path=browser_executable(), args=["--no-sandbox", "--disable-gpu"])
    yield browser
    browser.close()
