"""Every page in a real browser, in both themes and on a narrow screen: what axe-core calls serious fails."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright

from app.config.migration import Migration
from scripts.run import free_port
from tests.browser.panel import ROOT, browser_executable, wait
from tests.support.pages_seed import open_test_store, seed
from tests.support.pages_sound import PAGES

FILE = ROOT / "app/migrations/00_rds_local.yaml"
SERIOUS = {"serious", "critical"}
DRAWN = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app && app.getAttribute('data-test-script-state') === 'notRunning' && document.querySelector('h1')
    && [...document.querySelectorAll('.stPlotlyChart')].every(c => c.querySelector('.main-svg'));
}"""


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=browser_executable(), args=["--no-sandbox", "--disable-gpu"])
    yield browser
    browser.close()


def opened(chromium: Browser, address: str, theme: str, width: int) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 1000},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_function(DRAWN, timeout=30_000)
    page.wait_for_timeout(300)
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(chromium: Browser, url: str, path: str, theme: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/{path}", theme, 1440)
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in SERIOUS]
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.context.close()
    places = [
        f"{v['id']}: {n['target']} {n['html'][:160]} {n['failureSummary'][:200]}" for v in found for n in v["nodes"]
    ]
    assert not places, "\n".join(places[:30])


@pytest.mark.parametrize("path", PAGES)
def test_headings_are_in_order_and_nothing_lies_off_a_narrow_screen(chromium: Browser, url: str, path: str) -> None:
    page = opened(chromium, f"{url}/{path}", "light", 390)
    levels: list[int] = page.evaluate(
        "() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => Number(h.tagName[1]))"
    )
    widest: int = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
    page.context.close()
    assert levels[0] == 1 and levels.count(1) == 1, levels
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    assert widest <= 390
