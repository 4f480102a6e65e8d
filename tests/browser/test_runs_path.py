"""Runs in a real browser: a click on a run, in a chart or a table, opens it at once; closing it closes it."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.pages import click_point, opened, place
from tests.browser.panel import SLOW


def test_a_dot_opens_its_run_and_opens_it_again_after_closing(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/runs")
    close = page.get_by_role("button", name="Close")
    for _ in range(2):
        click_point(page, page.locator('[class*="st-key-runs_dots"] .scatterlayer .point').first)
        page.wait_for_url("**/runs?run=*")
        expect(page.get_by_text("Tasks of this run along time")).to_be_visible(timeout=SLOW)
        close.click()
        expect(close).to_have_count(0, timeout=SLOW)
    page.context.close()


def test_an_id_in_a_table_opens_its_run(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/runs")
    box = place(page, page.locator("[data-testid=stDataFrame]").first)
    page.mouse.click(box["x"] + 30, box["y"] + 52)
    page.wait_for_url("**/runs?run=99999")
    expect(page.get_by_role("button", name="Close")).to_be_visible(timeout=SLOW)
    page.context.close()
