"""The panel as a person uses it: started beside a local workspace, driven in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from scripts.local_workspace import LocalWorkspace
from scripts.run import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SLOW = 30_000


def browser_executable() -> str:
    """The system's own browser. Fails, and does not skip, where there is none: the setup command installs one."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert found, "no chromium on this machine; `make test` installs it"
    return found


@dataclass
class RunningPanel:
    """`python -m app.serve` on a free port, with a store of its own."""

    workspace: LocalWorkspace
    store: Path
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What the panel, the worker and the command line are started with."""
        return os.environ | {
            "PYTHONPATH": str(ROOT),
            "CUTOVER_DATA": str(self.workspace.data),
            "CUTOVER_STORE_URL": f"sqlite:///{self.store}",
            "CUTOVER_IDENTITY": "persona",
            "CUTOVER_MIGRATION": str(self.migration()),
            "CUTOVER_PREPARATION_URL": f"{self.workspace.host}/emulator/status",
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "STREAMLIT_SERVER_HEADLESS": "true",
            "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        }

    def migration(self) -> Path:
        """The local migration file, but for the run times: with some hundred rows a table they say nothing."""
        file = self.store.parent / "migration.yaml"
        if not file.exists():
            local = ROOT / "migrations/00_rds_local.yaml"
            file.write_text(
                f"extends: {local}\ngates:\n  - key: runtime\n    title: New side at most 20 times as slow (test)\n"
                "    evidence: {kind: runtime_at_most, params: {factor: 20.0}}\n"
            )
        return file

    def start(self) -> None:
        """Starts pages and worker; returns once the pages answer."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.serve"],
            cwd=ROOT,
            env=self.environment | {"STREAMLIT_SERVER_PORT": str(port)},
            stderr=(self.store.parent / "panel.log").open("ab"),
            start_new_session=True,
        )
        wait(self._answers, 60, "the panel to answer")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """SIGTERM, as Databricks Apps sends it; both children must be gone within 15 s."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`cutover ...` with the panel's own settings."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli.main", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def wait(what: Callable[[], object], seconds: float, name: str, pause: float = 0.3) -> None:
    """Waits until `what` is true; fails naming what did not come."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {name}"
        time.sleep(pause)


class Served(Protocol):
    """Anything with the address of pages."""

    @property
    def url(self) -> str: ...


class Visitor:
    """A person at the panel, under a persona."""

    def __init__(self, page: Page, panel: Served, persona: str) -> None:
        self.page = page
        self.panel = panel
        self.persona = persona
        self.unanswered = 0

    def open(self, path: str, **query: str) -> None:
        """Opens a page by its address and waits until it is drawn."""
        self.page.goto(f"{self.panel.url}/{path}?{urlencode({'panel_persona': self.persona, **query})}")
        self.page.get_by_role("heading").first.wait_for(timeout=SLOW)
        self.settled()

    def settled(self) -> None:
        """Waits until the page runs nothing."""
        self.page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')", timeout=SLOW)

    def click(self, key: str) -> None:
        """Clicks the button with this key."""
        self.page.locator(f".st-key-{key} button").first.click(timeout=SLOW)

    def confirm(self, opener: str, key: str) -> None:
        """Opens a dialog and clicks its button."""
        button = self.page.locator(f".st-key-{key} button").first
        self.dialog(opener, button)
        button.click(timeout=SLOW)

    def dialog(self, opener: str, inside: Locator) -> None:
        """Clicks the opener until the dialog is there; like a person, loads the page anew before clicking again."""
        for again in (True, True, False):
            self.click(opener)
            try:
                inside.wait_for(timeout=SLOW)
                return
            except PlaywrightTimeout:
                self.unanswered += 1
                if not again:
                    raise
            self.page.reload()
            self.page.get_by_role("heading").first.wait_for(timeout=SLOW)
            self.settled()

    def leave(self) -> None:
        """Closes the page."""
        self.page.close()

    def says(self, text: str | re.Pattern[str], seconds: float = 30) -> None:
        """Waits for a text on the page."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=seconds * 1000)

    def no_error(self) -> None:
        """No exception box and no failed part is on the page."""
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        expect(self.page.get_by_text("This part of the page failed")).to_have_count(0)

    def plan(self, action: str, **choices: str) -> str:
        """Makes a plan on the Operations page; returns its operation id."""
        self.open("operations", action=action)
        for group, label in choices.items():
            self.page.locator(f".st-key-{group}").get_by_text(label).first.click(timeout=SLOW)
        self.click(f"plan_{action}")
        self.page.wait_for_url(re.compile(r"operation=op-"), timeout=60_000)
        self.settled()
        found = re.search(r"operation=(op-[0-9a-f]+)", self.page.url)
        assert found
        return found[1]

    def ask(self, operation: str, confirmation: str) -> None:
        """Types the confirmation of the open plan and asks for it."""
        box = self.page.get_by_role("dialog").get_by_label("Confirmation")
        self.dialog("submit_plan", box)
        box.fill(confirmation)
        button = self.page.locator(f".st-key-submit_{operation} button")
        expect(button).to_be_enabled(timeout=SLOW)
        button.click()
        self.says("Submitted.")
