"""What the panel's process does before its first page, so that the first reader does not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.context import Context
from app.progress.facts import Facts
from app.web import server
from app.web.components import evidence, panel
from tests.support.pages_open import ROOT, Fill, open_page
from tests.support.pages_sound import assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")


def facts_now() -> Facts:
    return panel.facts(panel.Panel(panel.PageContext(), ZoneInfo("UTC"), datetime.now(UTC)))


def test_the_evidence_is_read_before_the_first_page(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    reads: list[Facts] = []
    read = Context.facts
    monkeypatch.setattr(Context, "facts", lambda self: reads.append(read(self)) or reads[-1])
    monkeypatch.setattr(evidence, "OLDEST", 600.0)
    server.warm()
    assert len(reads) == 1
    assert facts_now() is reads[0]
    assert_sound(open_page("overview"), "overview")
    assert len(reads) == 1


def test_a_store_that_does_not_open_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUTOVER_STORE_URL", "no address")
    server.warm()
    assert "evidence: " in caplog.text


def test_the_first_page_imports_nothing_slow_and_inspects_no_frame() -> None:
    script = """
import os
import subprocess
import sys
from app.web import server
server.preload()
from streamlit import delta_generator, env_util
env_util.is_repl = lambda: sys.exit("frames are inspected")
delta_generator._maybe_print_use_warning()
sys.exit(not {"PIL.Image", "streamlit.emojis", "app.web.pages.overview"} <= sys.modules.keys())
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
