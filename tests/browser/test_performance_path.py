"""Performance in a real browser: a figure opens the runs behind it, a link brings them back, a switch is in the address."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.browser.pages import opened


def test_a_figure_opens_its_pairs_by_keyboard_and_by_link(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/performance")
    page.get_by_role("button", name=re.compile(r"\d pairs?$")).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("pairs behind the figures")).to_be_visible()
    page.wait_for_url("**/performance?behind=run_time")
    page.reload()
    expect(page.get_by_text("pairs behind the figures")).to_be_visible()
    page.get_by_role("button", name="Close").first.click()
    expect(page.get_by_text("pairs behind the figures")).to_have_count(0)
    page.context.close()


def test_generated_history_is_in_the_address_and_changes_no_answer(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/performance", width=390)
    answer = page.get_by_role("heading", level=1).inner_text()
    expect(page.get_by_text("generated runs are hidden")).to_be_visible()
    page.get_by_text("Generated history", exact=True).click()
    page.wait_for_url("**generated=true**")
    expect(page.get_by_text(re.compile(r"runs measured, \d+ generated")).first).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(r"runs measured, \d+ generated")).first).to_be_visible()
    assert page.get_by_role("heading", level=1).inner_text() == answer
    page.context.close()
