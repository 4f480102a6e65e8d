"""Overview in a real browser: every status is reached by keyboard or click, and leads to its evidence."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.pages import click_point, opened


def test_a_gate_opens_its_evidence_by_keyboard(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/overview")
    gate = page.get_by_role("button", name="All six tables identical")
    gate.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Different: income_verification").first).to_be_visible()
    page.get_by_role("link", name="Open comparisons").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("income_verification")
    page.context.close()


def test_a_verdict_in_the_grid_opens_its_report(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/overview")
    click_point(page, page.locator(".st-key-overview_grid .scatterlayer .point").last)
    page.wait_for_url("**/parity?table=*&report=*")
    page.context.close()


def test_an_item_of_a_phase_opens_on_the_checklist(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/overview", width=390)
    page.locator("summary").filter(has_text="Phase 0: Preparation").click()
    expect(page.get_by_text("GitHub access to").last).to_be_visible()
    page.locator(".st-key-overview_tools_access").get_by_role("link", name="Open item").first.click()
    page.wait_for_url("**/checklist?item=pre_workspace")
    page.context.close()
