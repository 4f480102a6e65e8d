"""A store with a long history: every page draws, and readings stay fast."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.event import listen

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


@pytest.mark.parametrize("n", [2_000, 20_000])
def test_a_page_reads_no_more_of_a_longer_history(tmp_path: Path, n: int) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    long_history(store, n)
    statements: list[str] = []
    listen(store.engine, "before_cursor_execute", lambda _c, _cur, statement, *_: statements.append(statement))
    shown = store.collected.snapshot(T - timedelta(days=14))
    assert len(shown.runs) == 1000 and len(shown.updates) == min(500, n // 10)
    load_assessment(store, USUAL, T)
    assert len(store.collected.events(update_id="u3")) == 40
    assert len(store.collected.events(pipeline_id="p", limit=200)) == 200
    assert len(statements) < 40
