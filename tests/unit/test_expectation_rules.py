"""Rules over expectations: judged by dataset, by its newest refresh, and never from nothing or from old counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config.items import Evidence
from app.progress.evidence import Finding, Status
from app.progress.expectation_counts import counts_of, load_counts
from app.progress.judge import judge
from app.store.base import metadata
from app.store.collected.records import ExpectationRecord, FlowRecord, UpdateRecord
from app.store.open import open_store
from tests.support.progress_facts import ago, facts, update

Flows = Mapping[str, Sequence[FlowRecord]]


def counted(
    n: int,
    dataset: str,
    failed: int,
    passed: int = 1000,
    *,
    hours: float = 1,
    name: str = "e",
    action: str | None = "warn",
) -> ExpectationRecord:
    return ExpectationRecord(f"u{n}", dataset, name, action, passed, failed, ago(hours))


def flow(n: int, dataset: str, state: str = "COMPLETED") -> FlowRecord:
    return FlowRecord(f"u{n}", dataset, state, 1000, 1.0, ago(1), ago(1))


def told(
    updates: Sequence[UpdateRecord],
    *expectations: ExpectationRecord,
    flows: Flows | None = None,
    kind: str = "expectations_passing",
    **params: Any,
) -> Finding:
    counts = counts_of(updates, expectations, flows or {})
    evidence = Evidence(kind=kind, params={"environment": "production", **params})
    return judge(evidence, facts(expectations={"production": counts}))


def test_rows_that_all_hold_pass_and_name_their_update() -> None:
    found = told([update(1, 1)], counted(1, "a", 0), counted(1, "b", 0))
    assert (found.status, found.references) == (Status.PASS, ("u1",))
    assert found.summary == "2 expectations on 2 datasets hold (0 rows failed one)"


def test_an_older_success_does_not_hide_a_newer_failed_update_with_violations() -> None:
    updates = [update(2, 1, "FAILED"), update(1, 7)]
    found = told(updates, counted(2, "a", 40, 960, action="fail"), counted(1, "a", 0, hours=7))
    assert (found.status, found.references) == (Status.FAIL, ("u2",))
    assert found.summary == "1 of 1 expectations do not hold: e on a: 40 of 1,000 rows (4.00%), none may"


def test_a_refresh_of_one_table_does_not_hide_another_tables_failure() -> None:
    updates = [update(2, 1, refresh_selection=("b",)), update(1, 7)]
    found = told(updates, counted(1, "a", 500, 500, hours=7), counted(1, "b", 9, hours=7), counted(2, "b", 0))
    assert (found.status, found.references) == (Status.FAIL, ("u1",))
    assert "e on a: 500 of 1,000 rows (50.00%)" in found.summary and "on b" not in found.summary


def test_a_refresh_that_failed_before_it_counted_is_no_success() -> None:
    updates = [update(2, 1, "FAILED"), update(1, 7)]
    flows = {"u2": [flow(2, "a", "FAILED"), flow(2, "b", "SKIPPED")]}
    found = told(updates, counted(1, "a", 0, hours=7), counted(1, "b", 0, hours=7), flows=flows)
    assert (found.status, found.summary) == (Status.INCONCLUSIVE, "A newer refresh failed: a (update u2)")
    repaired = [update(3, 0.5), *updates]
    assert told(repaired, counted(3, "a", 0), counted(1, "a", 0), counted(1, "b", 0), flows=flows).passed


def test_a_table_that_the_pipeline_no_longer_has_is_left_out() -> None:
    updates = [update(2, 1), update(1, 7)]
    gone, kept = counted(1, "gone", 500, hours=7), counted(2, "a", 0)
    flows = {"u1": [flow(1, "gone"), flow(1, "a")], "u2": [flow(2, "a")]}
    assert told(updates, gone, kept, flows=flows).passed
    view = {"u1": [flow(1, "a")], "u2": [flow(2, "a")]}
    assert told(updates, gone, kept, flows=view).status is Status.FAIL, "a view has no refresh of its own"
    selected = [update(2, 1, refresh_selection=("a",)), update(1, 7)]
    assert told(selected, gone, kept, flows=flows).status is Status.FAIL


@pytest.mark.parametrize("kind", ["expectations_passing", "expectations_hold", "expectations_tracked"])
def test_no_rows_checked_and_old_counts_never_pass(kind: str) -> None:
    none = told([update(1, 1)], counted(1, "a", 0, 0), kind=kind)
    assert (none.status, none.summary) == (Status.INCONCLUSIVE, "1 expectations checked no rows: e on a")
    old = told([update(1, 400)], counted(1, "a", 0, hours=400), kind=kind)
    assert old.status is Status.INCONCLUSIVE and "evidence is 16.7 days old, valid for 2 days" in old.summary
    one = told([update(2, 1), update(1, 60)], counted(1, "a", 0, hours=60), counted(2, "b", 0), kind=kind)
    assert one.status is Status.INCONCLUSIVE, "the oldest of the newest counts decides"
    assert told([update(1, 60)], counted(1, "a", 0, hours=60), kind=kind, max_age_hours=72).passed
    assert told([], kind=kind).status is Status.INCONCLUSIVE


def test_all_passing_is_stricter_than_holding() -> None:
    some = counted(1, "d", 10, 990)
    assert told([update(1, 1)], some).status is Status.FAIL
    assert told([update(1, 1)], some, kind="expectations_hold").passed
    assert told([update(1, 1)], some, kind="expectations_hold", max_share=0.001).status is Status.FAIL


def test_rows_that_are_dropped_by_design_are_judged_apart() -> None:
    dropped = counted(1, "d", 30, 970, action="drop")
    assert told([update(1, 1)], dropped).passed, "3 % of 5 % that may be dropped"
    many = told([update(1, 1)], dropped, max_dropped_share=0.02)
    assert many.status is Status.FAIL
    assert "e on d: 30 of 1,000 rows (3.00%) were dropped, at most 2.00% may" in many.summary


def test_the_migration_file_sets_the_share_of_one_expectation() -> None:
    # The event log of the service does not say what happens to a row: such an expectation is judged as a warning.
    unsaid = counted(1, "d", 30, 970, action=None)
    assert told([update(1, 1)], unsaid).status is Status.FAIL
    assert told([update(1, 1)], unsaid, allowed={"e": 0.03}).passed
    assert told([update(1, 1)], unsaid, allowed={"e": 0.03, "d.e": 0.01}).status is Status.FAIL
    with pytest.raises(ValueError, match="allowed"):
        Evidence(kind="expectations_passing", params={"environment": "production", "allowed": {"e": 2}})


def test_counts_are_read_from_the_store_with_the_flows_that_they_need(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(store.engine)
    updates = [update(3, 1, "FAILED"), update(2, 2, refresh_selection=("b",)), update(1, 7)]
    store.collected.put_updates(updates)
    store.collected.put_flows(
        [flow(3, "a", "FAILED"), flow(2, "b"), flow(1, "a"), flow(1, "b")],
        [counted(1, "a", 5), counted(1, "b", 7), counted(2, "b", 0)],
    )
    found = load_counts(store.collected, updates)
    assert {d: [e.failed for e in c] for d, c in found.newest.items()} == {"a": [5], "b": [0]}
    assert found.failed == {"a": "u3"}
    assert load_counts(store.collected, [replace(u, update_id="x") for u in updates[:1]]).newest == {}
