"""Operations in a real browser: plan, type the confirmation, submit, withdraw; open a step of one under way."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from app.store.operations import State
from tests.browser.pages import opened, place
from tests.browser.people import dialog_of, visitor
from tests.browser.stage import Stage


def test_a_plan_is_submitted_only_once_its_words_are_typed(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage)
    operation = who.plan("run-now", **{"job_run-now": "00_RDS_v2"})
    who.says("Nothing has been changed yet")
    dialog = dialog_of(who, "submit_plan")
    words = dialog.get_by_text(re.compile("^Type .* to submit it")).locator("code").inner_text()
    button = who.page.locator(f".st-key-submit_{operation} button")
    box = dialog.get_by_label("Confirmation")
    box.fill("run something else")
    expect(button).to_be_disabled()
    box.fill(words)
    expect(button).to_be_enabled()
    button.click()
    expect(dialog).to_have_count(0)
    who.says("Submitted.")
    who.says("waiting for the worker")
    record = stage.store.operations.get(operation)
    assert record is not None and record.state is State.READY
    withdraw = dialog_of(who, "cancel_operation")
    withdraw.get_by_label("Why").fill("only a test")
    who.page.locator(f".st-key-cancel_{operation} button").click()
    expect(withdraw).to_have_count(0)
    who.says(re.compile("^Withdrawn"))
    record = stage.store.operations.get(operation)
    assert record is not None and record.state is State.CANCELLED
    who.no_error()
    who.page.context.close()


def test_a_dialog_closes_by_escape_and_gives_the_focus_back(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage)
    operation = who.plan("run-now", **{"job_run-now": "00_RDS_v2"})
    dialog = dialog_of(who, "submit_plan")
    who.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(who.page.locator(".st-key-submit_plan button").first).to_be_focused()
    record = stage.store.operations.get(operation)
    assert record is not None and record.state is State.PLANNED
    who.page.context.close()


def test_a_step_opens_with_what_it_sends(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/operations?operation=op-0003")
    box = place(page, page.get_by_test_id("stDataFrame").nth(1))
    page.mouse.click(box["x"] + 24, box["y"] + 52)
    page.wait_for_url("**/operations?operation=op-0003&step=1")
    step = page.locator(".st-key-operation_step")
    expect(step.get_by_text("Step 1 of 26")).to_be_visible()
    expect(step.get_by_text("No change needed if:")).to_be_visible()
    step.get_by_role("button", name="Close").click()
    expect(step).to_have_count(0)
    page.context.close()
