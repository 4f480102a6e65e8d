"""Every page in a real browser, in both themes and on a narrow screen: what axe-core calls serious fails."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.pages import opened
from tests.browser.people import faults
from tests.support.pages_sound import PAGES


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(chromium: Browser, url: str, path: str, theme: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/{path}", theme, 1440)
    places = faults(page)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.context.close()
    assert not places, "\n".join(places)


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
