"""Runs in a real browser: a click on a run, in a chart or a table, opens it at once; closing it closes it."""

from __future__ import annotations

from playwright.sync_api import Browser, Error, FloatRect, Locator, Page, expect

from tests.browser.pages import opened


def place(page: Page, point: Locator) -> FloatRect:
    """Where a point is, once it is in view. The chart is drawn anew when data arrives: then it is looked up again."""
    for _ in range(20):
        try:
            point.scroll_into_view_if_needed(timeout=5_000)
            if (box := point.bounding_box(timeout=5_000)) is not None:
                return box
        except Error as e:
            if "not attached" not in e.message:
                raise
        page.wait_for_timeout(250)
    raise AssertionError("the chart never stood still")


def click(page: Page, point: Locator) -> None:
    # The path itself lies under the layer that takes the chart's clicks.
    box = place(page, point)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def test_a_dot_opens_its_run_and_opens_it_again_after_closing(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/runs")
    close = page.get_by_role("button", name="Close")
    for _ in range(2):
        click(page, page.locator('[class*="st-key-runs_dots"] .scatterlayer .point').first)
        page.wait_for_url("**/runs?run=*")
        expect(page.get_by_text("Tasks of this run along time")).to_be_visible(timeout=15_000)
        close.click()
        expect(close).to_have_count(0, timeout=15_000)
    page.context.close()


def test_an_id_in_a_table_opens_its_run(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/runs")
    table = page.locator("[data-testid=stDataFrame]").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 30, box["y"] + 52)
    page.wait_for_url("**/runs?run=99999")
    expect(page.get_by_role("button", name="Close")).to_be_visible(timeout=15_000)
    page.context.close()
