"""What a reader without a role does in a real browser: save the report, follow an item, change a period, open a record."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.pages import opened


def test_one_click_saves_the_report_as_one_page_without_scripts(chromium: Browser, url: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/overview")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report", exact=True).click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    text = file.read_text(encoding="utf-8")
    assert "Gates of the cutover" in text and "This is the first report." in text
    assert "<script" not in text and "src=" not in text
    report = page.context.new_page()
    report.goto(file.as_uri())
    expect(report.get_by_role("heading", level=1)).to_be_visible()
    assert report.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()


def test_the_checklist_opens_one_item_by_its_address_and_filters(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/checklist?item=pre_workspace")
    expect(page.get_by_text("Databricks Workspace access").first).to_be_visible()
    page.get_by_role("radio", name="All", exact=True).click()
    page.wait_for_url("**/checklist?*show=all*")
    page.context.close()


def test_the_period_of_health_is_in_its_address(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/health")
    page.get_by_role("radio", name="30 days", exact=True).click()
    page.wait_for_url("**/health?*health_since=30*")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.context.close()


def test_the_filters_of_the_audit_log_are_in_its_address(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/audit")
    page.get_by_role("radio", name="24 h", exact=True).click()
    page.wait_for_url("**/audit?*audit_since=24h*")
    page.get_by_text("Refusals and failures only").click()
    page.wait_for_url("**/audit?*audit_bad=true*")
    again = opened(chromium, page.url)
    expect(again.get_by_role("radio", name="24 h", exact=True)).to_be_checked()
    expect(again.get_by_role("switch", name="Refusals and failures only")).to_be_checked()
    again.context.close()
    page.context.close()


def test_a_record_of_the_audit_log_opens_by_its_address(chromium: Browser, url: str) -> None:
    page = opened(chromium, f"{url}/audit?record=3")
    expect(page.get_by_text("Record 3").first).to_be_visible()
    page.context.close()
