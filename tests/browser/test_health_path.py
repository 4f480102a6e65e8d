"""Health in a real browser: an operator opens an incident's evidence, closes it with a cause, and reopens it."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.people import OPERATOR, dialog_of, visitor
from tests.browser.stage import Stage


def test_an_incident_is_closed_with_a_cause_and_reopened(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage)
    who.open("health", incident="2")
    incident = who.page.locator(".st-key-incident")
    expect(incident.get_by_text("Run 10011 of the new job").first).to_be_visible()
    dialog = dialog_of(who, "incident_close")
    dialog.get_by_label("Cause").fill("the source was locked for a test")
    who.page.locator(".st-key-confirm_2 button").click()
    who.says("Incident 2 closed by")
    found = stage.store.incidents.incident(2)
    assert found is not None and not found.open and found.closed_by == OPERATOR
    who.open("health", incident="2")
    who.click("incident_reopen")
    who.says("Incident 2 reopened by")
    found = stage.store.incidents.incident(2)
    assert found is not None and found.open
    who.no_error()
    who.page.context.close()


def test_the_evidence_of_an_incident_is_one_click_away(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage)
    who.open("health", incident="3")
    who.page.locator(".st-key-incident").get_by_role("link", name="Comparison").click()
    who.page.wait_for_url("**/parity?*table=dim_fde*")
    expect(who.page.get_by_role("heading", level=1)).to_be_visible()
    who.page.context.close()
