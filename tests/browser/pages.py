"""A page in a real browser, once it is drawn."""

from __future__ import annotations

from playwright.sync_api import Browser, Error, FloatRect, Locator, Page

from tests.browser.panel import SLOW

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
    page.wait_for_function(DRAWN, timeout=SLOW)
    page.wait_for_timeout(300)
    return page


def place(page: Page, point: Locator) -> FloatRect:
    """Where a chart's point or a table is, once it is in view. When data arrives it is drawn anew, then looked up again."""
    for _ in range(20):
        try:
            point.scroll_into_view_if_needed(timeout=SLOW)
            if (box := point.bounding_box(timeout=SLOW)) is not None:
                return box
        except Error as e:
            if "not attached" not in e.message:
                raise
        page.wait_for_timeout(250)
    raise AssertionError("it never stood still")


def click_point(page: Page, point: Locator) -> None:
    """Clicks a point of a chart, once it stays where it is."""
    # The path itself lies under the layer that takes the chart's clicks.
    for _ in range(20):
        box = place(page, point)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.wait_for_timeout(300)
        if place(page, point) == box:
            page.mouse.click(x, y)
            return
    raise AssertionError("the chart never stood still")
