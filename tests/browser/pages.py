"""A page in a real browser, once it is drawn."""

from __future__ import annotations

from playwright.sync_api import Browser, Page

DRAWN = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app && app.getAttribute('data-test-script-state') === 'notRunning' && document.querySelector('h1')
    && [...document.querySelectorAll('.stPlotlyChart')].every(c => c.querySelector('.main-svg'));
}"""


def opened(chromium: Browser, address: str, theme: str = "light", width: int = 1440) -> Page:
    """Opens an address in a browser context of its own; returns once script and charts have finished."""
    context = chromium.new_context(
        viewport={"width": width, "height": 1000},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_function(DRAWN, timeout=30_000)
    page.wait_for_timeout(300)
    return page
