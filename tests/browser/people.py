"""Personas of the local workspace at the pages, and what axe-core finds on what they see."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.panel import Visitor
from tests.browser.stage import Stage

OPERATOR, APPROVER, STAKEHOLDER = "engineer@example.com", "lead@example.com", "stakeholder@example.com"
SERIOUS = {"serious", "critical"}


def visitor(chromium: Browser, stage: Stage, persona: str = OPERATOR) -> Visitor:
    """A person with a browser of their own."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, color_scheme="light")
    return Visitor(context.new_page(), stage, persona)


def faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical, with its place."""
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in SERIOUS]
    return [
        f"{v['id']}: {n['target']} {n['html'][:160]} {n['failureSummary'][:200]}" for v in found for n in v["nodes"]
    ][:30]


def dialog_of(who: Visitor, opener: str) -> Locator:
    """Opens a dialog by keyboard, and checks it: its name, axe, and that Tab stays inside."""
    button = who.page.locator(f".st-key-{opener} button").first
    expect(button).to_be_visible()
    who.settled()
    button.focus()
    who.page.keyboard.press("Enter")
    dialog = who.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    who.settled()
    assert faults(who.page) == []
    for _ in range(12):
        who.page.keyboard.press("Tab")
        assert who.page.evaluate("() => !!document.activeElement.closest('[role=dialog]')"), "Tab left the dialog"
    return dialog
