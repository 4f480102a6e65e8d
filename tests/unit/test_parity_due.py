"""Comparisons that the worker requests: after which runs, and when one is retried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.parity.current_streak import current_streak
from app.parity.producers import far_apart
from app.store.open import Store
from app.store.parity_records import ParityRun, ParityState, Producer
from databricks_client.errors import WorkspaceError
from tests.support.collecting import MIGRATION, run, update
from tests.support.parity_running import HOUR, RUNNING, Compared, T, There, done, found, pair, report, runner_of
from validation.report import ParityReport, SideState, Verdict

pytestmark = pytest.mark.usefixtures("quick_comparisons")


MINUTE = timedelta(minutes=1)


def auto(store: Store, later: timedelta = timedelta(0)) -> ParityRun | None:
    """The automatic comparison that a worker, begun anew, asks for and carries out so much later; None where none is due."""
    runner = runner_of(store, later=later)
    if not runner.request_after_runs():
        return None
    parity_id = runner.run_next()
    assert parity_id is not None
    return found(store, parity_id)


def test_a_comparison_follows_each_pair_of_runs_once(store: Store, compared: Compared) -> None:
    runner = runner_of(store)
    assert runner.request_after_runs() == [], "nothing has run yet"
    pair(store, 1)
    (first,) = runner.request_after_runs()
    assert runner.request_after_runs() == [], "it waits already"
    runner.run_next()
    assert store.parity.run(first).requested_by == "worker"  # type: ignore[union-attr]
    assert runner.request_after_runs() == []
    store.collected.put_runs([run(9, start=datetime.now(UTC) + 9 * HOUR)])
    assert runner.request_after_runs() == [], "only one side has been written since"
    pair(store, 20)
    assert len(runner.request_after_runs()) == 1


@pytest.mark.parametrize("newer", [RUNNING, {"result_state": "FAILED"}])
def test_nothing_is_compared_by_itself_while_a_side_is_being_written_or_after_a_failure(
    store: Store, newer: Mapping[str, Any]
) -> None:
    runner = runner_of(store)
    pair(store, 1)
    store.collected.put_runs([run(7, start=datetime.now(UTC) + 5 * HOUR, **newer)])
    assert runner.request_after_runs() == []
    store.collected.put_runs([run(7, start=datetime.now(UTC) + 5 * HOUR)])
    store.collected.put_updates([update("u7", datetime.now(UTC) + 6 * HOUR, state=newer["result_state"] or "RUNNING")])
    assert runner.request_after_runs() == []


def test_a_run_that_was_not_collected_yet_is_seen_in_the_workspace_itself(store: Store) -> None:
    pair(store, 1)
    there = There()
    there.runs = [run(8, start=datetime.now(UTC) + 2 * HOUR, **RUNNING)]
    assert runner_of(store, there=there).request_after_runs() == []
    there.error = WorkspaceError("list runs", "no answer")
    assert runner_of(store, there=there).request_after_runs() == []
    assert len(runner_of(store).request_after_runs()) == 1


def test_a_comparison_that_was_not_of_its_pair_uses_up_neither_side(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    there = There()

    def during(**_: Any) -> ParityReport:
        there.runs = [run(2, start=datetime.now(UTC) + HOUR)]
        return report()

    compared.during = during
    (asked,) = runner_of(store).request_after_runs()
    runner_of(store, there=there).run_next()
    assert found(store, asked).pair is None
    store.collected.put_runs(there.runs)
    assert len(runner_of(store).request_after_runs()) == 1, "run 2 and update u1 were never compared"


def test_a_comparison_that_proved_nothing_is_made_again_when_something_has_ended_since(
    store: Store, compared: Compared
) -> None:
    runner = runner_of(store)
    store.collected.put_runs([run(1, start=T)])
    store.collected.put_updates([update("u1")])
    store.collected.put_update_ends({"u1": T + HOUR})
    compared.during = lambda **_: report(Verdict.NOT_PROVEN)
    (first,) = runner.request_after_runs()
    runner.run_next()
    assert runner.request_after_runs() == [], "nothing has ended since"
    store.collected.put_runs([run(9, start=datetime.now(UTC) + 9 * HOUR)])
    (second,) = runner.request_after_runs()
    assert second != first


def test_an_automatic_comparison_that_a_person_cancelled_does_not_come_back(store: Store) -> None:
    runner = runner_of(store)
    store.collected.put_runs([run(1, start=T)])
    store.collected.put_updates([update("u1")])
    store.collected.put_update_ends({"u1": T + HOUR})
    (asked,) = runner.request_after_runs()
    store.parity.cancel(asked, "x")
    assert runner.request_after_runs() == []


def test_generated_history_is_never_compared(store: Store) -> None:
    store.collected.put_runs([run(1, generated=True)])
    store.collected.put_updates([update("u1", generated=True)])
    store.collected.put_update_ends({"u1": T})
    assert runner_of(store).request_after_runs() == []


def test_sides_far_apart_are_warned_about() -> None:
    old = Producer("run", "1", 1, T)
    assert far_apart(old, Producer("update", "u", None, T + timedelta(minutes=30))) is None
    assert "31 min apart (the old side first)" in (
        far_apart(old, Producer("update", "u", None, T + timedelta(minutes=31))) or ""
    )
    assert "new side" in (far_apart(old, None) or "")


def test_what_proved_nothing_is_tried_again_after_one_five_and_fifteen_minutes(
    store: Store, compared: Compared
) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: report(Verdict.NOT_PROVEN)
    first = auto(store)
    assert first is not None and first.pair == "run:1/update:u1"
    for wait in (1, 5, 15):
        assert auto(store, wait * MINUTE - timedelta(seconds=20)) is None
        assert auto(store, wait * MINUTE + timedelta(seconds=1)) is not None
    assert auto(store, timedelta(days=1)) is None, "three times at most"
    pair(store, 2, T + 3 * HOUR)
    assert auto(store) is not None, "another pair"


def test_a_hiccup_that_a_later_try_heals_does_not_break_the_streak(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    assert auto(store) is not None
    pair(store, 2, T + 3 * HOUR)
    compared.during = lambda **_: report(Verdict.NOT_PROVEN)
    assert auto(store) is not None
    compared.during = lambda **_: 1 / 0  # type: ignore[assignment,return-value]
    assert (failed := auto(store, 2 * MINUTE)) is not None and failed.state is ParityState.FAILED
    compared.during = lambda **_: report()
    assert (healed := auto(store, 6 * MINUTE)) is not None and healed.verdict == "identical"
    assert auto(store, HOUR) is None
    assert current_streak(store, ["t"]).broken_by is None


@pytest.mark.parametrize("writer", ["update u1", "update u9"])
@pytest.mark.parametrize("verdict", [Verdict.IDENTICAL, Verdict.DIFFERENT])
def test_what_proved_something_is_not_tried_again_be_it_of_no_pair(
    store: Store, compared: Compared, verdict: Verdict, writer: str
) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: replace(report(verdict), candidate=SideState("b", produced_by=writer))
    first = auto(store)
    assert first is not None and (first.pair is None) is (writer == "update u9")
    assert auto(store, HOUR) is None


def test_a_try_that_a_person_cancelled_is_the_last(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: report(Verdict.NOT_PROVEN)
    assert auto(store) is not None

    def during(**_: Any) -> ParityReport:
        store.parity.cancel(store.parity.active()[0].id, "lead@example.com")
        return report(Verdict.NOT_PROVEN)

    compared.during = during
    assert (second := auto(store, 2 * MINUTE)) is not None and second.state is ParityState.CANCELLED
    assert auto(store, HOUR) is None


def test_a_whole_comparison_of_the_pair_by_a_person_spares_the_automatic_one(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    assert done(store).verdict == "identical"
    assert auto(store) is None
    store.collected.put_runs([run(2, start=T + 3 * HOUR)])
    assert auto(store) is None, "only one side was written since"
    assert done(store).pair == "run:2/update:u1"
    pair(store, 2, T + 4 * HOUR)
    assert auto(store) is not None, "what a person looked at between the two spares nothing"


@pytest.mark.parametrize("tables", [2, 1])
def test_what_proved_nothing_or_is_of_some_tables_only_spares_nothing(
    store: Store, compared: Compared, tables: int
) -> None:
    (t,) = MIGRATION.tables
    migration = MIGRATION.model_copy(update={"tables": (t, t.model_copy(update={"name": "s"}))[:tables]})
    pair(store, 1, T)
    compared.during = lambda **_: report(Verdict.NOT_PROVEN if tables == 1 else Verdict.IDENTICAL)
    done(store)
    assert len(runner_of(store, migration=migration).request_after_runs()) == 1
