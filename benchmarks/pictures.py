"""Draws the pictures of README anew: Overview and Parity over generated data, which the title beside them says.

The store is that of the other benchmarks, with a start date of the plan. There is no workspace.

Usage: python -m benchmarks.pictures
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import sync_playwright

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.store.open import open_store
from benchmarks.long_store import fill
from benchmarks.pages import COMPLETE, ROOT, serving, settings

DAYS = 45
PICTURES = {"overview": 1500, "parity": 1250}
"""Height in pixels by page."""


def main() -> int:
    """Fills a store, opens both pages, writes docs/images."""
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory(prefix="cutover-pictures-") as name, sync_playwright() as playwright:
        folder = Path(name)
        address = f"sqlite:///{folder / 'store.db'}"
        file = folder / "migration.yaml"
        start = (datetime.now(UTC) - timedelta(days=DAYS)).date()
        title = Migration.load(DEFAULT_MIGRATION).title
        file.write_text(
            f"extends: {DEFAULT_MIGRATION}\ntitle: {title} (generated data)\nschedule: {{start: '{start}'}}\n"
        )
        store = open_store(address)
        fill(store, Migration.load(file), DAYS)
        store.engine.dispose()
        with serving(["app.web.server"], settings(address, folder) | {"CUTOVER_MIGRATION": str(file)}) as (url, _):
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
            for path, height in PICTURES.items():
                page = browser.new_page(viewport={"width": 1440, "height": height}, color_scheme="light")
                page.goto(f"{url}/{path}")
                page.wait_for_function(COMPLETE, timeout=60_000)
                page.wait_for_timeout(1500)
                page.screenshot(path=ROOT / "docs" / "images" / f"{path}.png")
                page.close()
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
