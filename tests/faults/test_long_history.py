"""A store with a long history: every page draws, and readings stay fast."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from app.config.performance import USUAL
from app.performance.load import load_assessment
from app.store.collected.records import EventRecord
from app.store.open import Store, open_store
from tests.support.collecting import HOUR, T, run, update, usage
from tests.support.pages_open import Fill, open_page
from tests.support.pages_sound import PAGES, assert_sound


@pytest.mark.parametrize("path", PAGES)
def test_a_page_draws_ten_thousand_runs(fill: Fill, path: str) -> None:
    fill(runs=10_000)
    assert_sound(open_page(path), path)


def long_history(store: Store, n: int) -> None:
    states = ("SUCCESS", "FAILED")
    store.collected.put_runs(
        [
            run(i, "baseline" if i % 2 else "candidate", T - i * HOUR / 10, result_state=states[i % 50 == 0])
            for i in range(n)
        ]
    )
    store.collected.put_updates([update(f"u{i}", T - i * HOUR / 10, job_run_id=i) for i in range(n // 10)])
    store.collected.put_events(
        [
            EventRecord("p", f"e{i}", f"u{i // 40}", T - timedelta(seconds=i), "INFO", "flow_progress", "m", "d", {})
            for i in range(n)
        ]
    )
    store.collected.put_usage([usage(f"r{i}", 1.0, 0.5, job_run_id=i, start=T - i * HOUR / 10) for i in range(n)])


def test_pages_are_fast_with_a_long_history(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    long_history(store, 20_000)
    load_assessment(store, USUAL, T)  # imports and compiled statements are there after the first page
    began = time.perf_counter()
    shown = store.collected.snapshot(T - timedelta(days=14))
    assert len(shown.runs) == 1000 and len(shown.updates) == 500
    load_assessment(store, USUAL, T)
    store.collected.events(update_id="u3")
    store.collected.events(pipeline_id="p", limit=200)
    assert time.perf_counter() - began < 1.5
