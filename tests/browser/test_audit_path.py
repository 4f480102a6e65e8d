"""Audit in a real browser: the chain is verified, a filter narrows what is shown, the export is the whole log."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.pages import opened
from tests.browser.stage import Stage


def test_the_chain_is_verified_and_the_export_is_the_log(chromium: Browser, stage: Stage, tmp_path: Path) -> None:
    page = opened(chromium, f"{stage.url}/audit")
    expect(page.get_by_role("heading", level=1)).to_contain_text("The audit log is intact")
    expect(page.get_by_role("heading", level=1)).to_contain_text("hash chain verified")
    with page.expect_download() as download:
        page.locator(".st-key-audit_json_all button").first.click()
    file = tmp_path / "audit.json"
    download.value.save_as(file)
    exported = json.loads(file.read_text(encoding="utf-8"))
    assert exported == json.loads(stage.store.audit.export_json())
    page.context.close()


def test_what_is_typed_filters_the_log(chromium: Browser, url: str, tmp_path: Path) -> None:
    page = opened(chromium, f"{url}/audit")
    search = page.get_by_role("searchbox").or_(page.get_by_label(re.compile("^Filter by"))).first
    search.fill("lacks approver op-0001")
    search.press("Enter")
    page.wait_for_url("**/audit?*audit_text=*")
    with page.expect_download() as download:
        page.locator(".st-key-audit_table_csv button").first.click()
    file = tmp_path / "filtered.csv"
    download.value.save_as(file)
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    assert lines and all("op-0001" in line and "lacks the role approver" in line for line in lines)
    search.fill("no such words at all")
    search.press("Enter")
    expect(page.get_by_text("No record matches; clear the filter.")).to_be_visible()
    page.context.close()
