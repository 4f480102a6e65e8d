"""The banner of a local start: what is being prepared, then the first comparison, then nothing."""

from __future__ import annotations

import pytest
import streamlit as st

from app import preparation
from app.preparation import Preparation
from app.store.open import Store
from tests.support.collecting import T, run, update
from tests.support.pages_open import open_page

pytestmark = pytest.mark.usefixtures("page_settings")


def banner(monkeypatch: pytest.MonkeyPatch, found: Preparation) -> list[tuple[int, str]]:
    """Percentage and text of each bar on a page."""
    monkeypatch.setenv("CUTOVER_PREPARATION_URL", "http://127.0.0.1:1/status")
    monkeypatch.setattr(preparation, "read", lambda url: found)
    st.cache_data.clear()
    return [(bar.proto.value, bar.proto.text.replace("\\", "")) for bar in open_page("audit").get("progress")]


def test_the_banner_goes_from_the_preparation_to_the_first_comparison(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = "First run of both jobs"
    whole = f"Step 6 of 8, 61 s: {step}: 5 of 20 tasks, unity_fde"
    ((value, text),) = banner(monkeypatch, Preparation(True, False, "preparing", step, 5, 20, whole))
    assert value == 25 and text == f"The workspace is being prepared: {whole}"
    ready = Preparation(True, ready=True, phase="ready")
    assert banner(monkeypatch, ready) == []
    store.collected.put_runs([run(1)])
    store.collected.put_updates([update("u1", state="COMPLETED")])
    ((value, text),) = banner(monkeypatch, ready)
    assert value == 0 and "The worker compares their tables next" in text
    store.parity.request(["dim_fde", "iv_fde_ax"], "worker", trigger="auto")
    ((value, text),) = banner(monkeypatch, ready)
    assert text.startswith("The first comparison is running: 0 of 2 tables")
    store.parity.cancel(store.parity.runs()[0].id, "erin")
    assert banner(monkeypatch, ready) == []


def test_what_is_not_there_yet_is_no_trouble(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.collected.source_failed("runs:baseline", T, 10.0, "read job 1: Job 1 does not exist.")
    monkeypatch.setenv("CUTOVER_PREPARATION_URL", "http://127.0.0.1:1/status")
    for phase, shown in (("starting", False), ("preparing", False), ("failed", True), ("ready", True)):
        found = Preparation(True, phase == "ready", phase, "Source data", 1, 2, "Source data")
        monkeypatch.setattr(preparation, "read", lambda url, found=found: found)
        st.cache_data.clear()
        said = " ".join(w.value for w in open_page("runs").get("warning"))
        assert ("does not exist" in said) is shown
