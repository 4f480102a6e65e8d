"""Parity in a real browser: start a comparison and cancel it, open a table's evidence, export what is shown."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.pages import opened
from tests.browser.people import OPERATOR, visitor
from tests.browser.stage import Stage


def test_an_operator_starts_a_comparison_and_cancels_it(chromium: Browser, stage: Stage) -> None:
    who = visitor(chromium, stage)
    who.open("parity")
    who.page.locator("summary").filter(has_text="Start a comparison").click()
    expect(who.page.get_by_text("It runs in the worker")).to_be_visible()
    who.click("parity_start")
    who.says("Requested a comparison of")
    who.says("Queued: waits for the worker.")
    (run,) = stage.store.parity.active()
    assert run.requested_by == OPERATOR
    who.click(f"cancel_{run.id}")
    expect(who.page.get_by_text("Queued: waits for the worker.")).to_have_count(0)
    assert stage.store.parity.active() == []
    who.no_error()
    who.page.context.close()


def test_a_difference_opens_its_evidence(chromium: Browser, url: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/parity")
    page.get_by_role("link", name="Open report").first.click()
    page.wait_for_url("**/parity?*table=income_verification*")
    expect(page.get_by_text("12 rows missing, 3 extra, 40 modified").last).to_be_visible()
    evidence = page.locator("summary").filter(has_text="versions, columns, hashes, times")
    evidence.click()
    expect(page.get_by_text("Chance of a hidden difference")).to_be_visible()
    with page.expect_download() as download:
        page.locator(".st-key-parity_csv button").first.click()
    file = tmp_path / "samples.csv"
    download.value.save_as(file)
    assert download.value.suggested_filename.startswith("parity_income_verification_")
    assert "iv_submission_id" in file.read_text(encoding="utf-8")
    page.get_by_role("button", name="Close").first.click()
    expect(page.get_by_text("Chance of a hidden difference")).to_have_count(0)
    page.context.close()


def test_the_newest_comparisons_are_exported_with_their_reasons(chromium: Browser, url: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/parity")
    with page.expect_download() as download:
        page.locator(".st-key-parity_glance_csv button").first.click()
    file = tmp_path / "parity.csv"
    download.value.save_as(file)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6 and head.endswith('"Reason"')
    assert any("12 rows missing, 3 extra, 40 modified" in line for line in lines)
    page.context.close()
