"""Pages over a filled store, and a browser, for all tests that need no Spark. One panel for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.panel import SLOW, browser_executable
from tests.browser.stage import Stage, playing


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Pages, their store and a workspace. What a test changes it takes back: all tests share them."""
    with playing(tmp_path_factory.mktemp("pages")) as found:
        yield found


@pytest.fixture(scope="session")
def url(stage: Stage) -> str:
    """The address of the pages."""
    return stage.url


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    expect.set_options(timeout=SLOW)
    browser = playwright.chromium.launch(executable_path=browser_executable(), args=["--no-sandbox", "--disable-gpu"])
    yield browser
    browser.close()
