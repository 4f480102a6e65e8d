"""How far the first comparison is: it follows the first runs of both jobs, and is no news once one has ended."""

from __future__ import annotations

from datetime import timedelta

from app.parity.first import FirstComparison, first_comparison
from app.store.open import Store
from tests.support.collecting import T, run, update

MINUTE = timedelta(minutes=1)
ENDED = {"end_time": T + MINUTE, "life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}


def both_ran(store: Store, generated: bool = False) -> None:
    store.collected.put_runs([run(1, generated=generated, **ENDED)], [])
    store.collected.put_updates([update("u1", state="COMPLETED", end_time=T + MINUTE, generated=generated)])


def test_nothing_is_announced_before_both_jobs_have_run(store: Store) -> None:
    assert first_comparison(store, T) is None
    both_ran(store, generated=True)
    assert first_comparison(store, T) is None


def test_a_first_comparison_is_announced_then_counted_then_no_news(store: Store) -> None:
    both_ran(store)
    assert first_comparison(store, T) == FirstComparison()
    parity_id = store.parity.request(["a", "b"], "worker", sides="production", trigger="auto")
    requested = store.parity.runs()[0].requested_at
    found = first_comparison(store, requested + 7 * timedelta(seconds=1))
    assert found == FirstComparison(0, 2, 7.0)
    assert found.sentence == "The first comparison is running: 0 of 2 tables, 7 s"
    store.parity.cancel(parity_id, "erin")
    assert first_comparison(store, requested) is None
