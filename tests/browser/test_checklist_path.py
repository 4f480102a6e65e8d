"""Checklist in a real browser: a sign-off with a comment and a link, and what reopens it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from playwright.sync_api import Browser, expect

from tests.browser.panel import wait
from tests.browser.people import STAKEHOLDER, dialog_of, visitor
from tests.browser.stage import Stage

LINK = "https://minutes.example.com/17"


def test_a_sign_off_keeps_comment_and_link_and_reopens_when_a_gate_gets_worse(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage, STAKEHOLDER)
    who.open("checklist", item="stakeholder")
    dialog = dialog_of(who, "act_stakeholder")
    dialog.get_by_label("Comment").fill("seen on Monday")
    dialog.get_by_role("textbox", name="Link (optional)").fill(LINK)
    who.page.locator(".st-key-confirm_stakeholder button").click()
    expect(dialog).to_have_count(0)
    who.says("ticked by")
    who.open("checklist", item="stakeholder")
    item = who.page.locator(".st-key-checklist_item")
    expect(item.get_by_text("seen on Monday").first).to_be_visible()
    expect(item.get_by_role("link", name="Open link").first).to_have_attribute("href", LINK)
    tick = stage.store.checklist.latest()["stakeholder"]
    assert (tick.done, tick.by, tick.link) == (True, STAKEHOLDER, LINK)

    new = stage.store.collected.schedules()["candidate"]
    stage.store.collected.put_schedules([replace(new, quartz="0 0 3 * * ?", as_of=datetime.now(UTC))])
    try:

        def reopened() -> bool:
            # The page keeps the evidence for seconds, and is drawn when it is opened.
            who.open("checklist", item="stakeholder")
            expect(item.get_by_text("Evidence").first).to_be_visible()
            return item.get_by_text("reopened").count() > 0

        wait(reopened, 60, "the sign-off to reopen", pause=2)
        expect(who.page.get_by_role("button", name="Sign again").first).to_be_visible()
    finally:
        stage.store.collected.put_schedules([replace(new, as_of=datetime.now(UTC))])
        stage.store.checklist.mark("stakeholder", False, by=STAKEHOLDER, local=True, comment="a test's end")
    who.no_error()
    who.page.context.close()


def test_whoever_lacks_the_role_is_refused_in_words(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage, STAKEHOLDER)
    who.open("checklist", item="owner")
    dialog_of(who, "act_owner")
    who.page.locator(".st-key-confirm_owner button").click()
    who.says("Refused: ")
    assert "owner" not in stage.store.checklist.latest()
    who.page.context.close()
