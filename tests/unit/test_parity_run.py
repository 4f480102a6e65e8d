"""Execution of comparisons: how they end, what continues while the store is unavailable, where the tables are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.parity import runner as parity_run
from app.store.base import StoreError
from app.store.open import Store
from app.store.parity_records import ParityState, Producer, runs_table
from databricks_client.errors import WorkspaceError
from tests.support.collecting import MIGRATION, run, update
from tests.support.parity_running import HOUR, Compared, T, There, found, report, runner_of, silent
from tests.support.waiting import wait_until
from validation.report import ParityReport, Progress, Verdict

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def test_a_comparison_ends_with_its_report_and_with_what_produced_the_sides(store: Store, compared: Compared) -> None:
    store.collected.put_runs([run(1, start=T), run(3, start=T + 2 * HOUR, generated=True)])
    store.collected.put_updates([update("u1"), update("u2", T + HOUR, validate_only=True)])
    store.collected.put_update_ends({"u1": T + 2 * HOUR, "u2": T + 3 * HOUR})
    parity_id = store.parity.request(["t"], "x")
    assert runner_of(store).run_next() == parity_id
    done = found(store, parity_id)
    assert done.state is ParityState.DONE and done.verdict == "identical"
    assert done.baseline == Producer("run", "1", 1, T + HOUR, "SUCCESS"), "the newest real run"
    assert done.candidate == Producer("update", "u1", None, T + 2 * HOUR, "COMPLETED"), "the newest that wrote"
    assert done.pair == "run:1/update:u1"
    assert done.warning is not None and "1 h apart" in done.warning
    assert store.parity.report(parity_id, "t")["verdict"] == "identical"  # type: ignore[index]


def test_progress_is_in_the_store_while_it_runs(store: Store, compared: Compared) -> None:
    seen = []

    def during(progress: Callable[[Progress], None], **_: Any) -> ParityReport:
        progress(Progress("fingerprint", "", 1, 4, 0.1))
        (table,) = store.parity.table_results(parity_id)
        seen.append((table.state, table.step, table.fraction))
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    assert seen == [(ParityState.RUNNING, "fingerprint", 0.25)]


def test_a_cancelled_comparison_stops_its_statement_and_is_no_result(store: Store, compared: Compared) -> None:
    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        assert not cancelled()
        store.parity.cancel(parity_id, "lead@example.com")
        assert cancelled()
        return report(Verdict.NOT_PROVEN)

    compared.during = during
    parity_id = store.parity.request(["t", "other"], "x")
    runner_of(store).run_next()
    ended = found(store, parity_id)
    assert ended.state is ParityState.CANCELLED and ended.verdict == "not_proven"
    assert "lead@example.com" in (ended.error or "") and len(compared.specs) == 1
    assert store.parity.latest() == {}


def test_a_comparison_that_the_end_of_the_worker_interrupts_is_taken_up_by_the_next_of_whatever_name(
    store: Store, compared: Compared
) -> None:
    stop = threading.Event()

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        stop.set()
        assert cancelled()
        return report(Verdict.NOT_PROVEN)

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store, stop).run_next()
    assert found(store, parity_id).state is ParityState.RUNNING
    compared.during = lambda **_: report()
    assert runner_of(store).run_next() == parity_id
    assert found(store, parity_id).verdict == "identical"


@pytest.mark.parametrize("error", [WorkspaceError("read table c.s.t", "the client is closed"), ValueError("closed")])
def test_what_breaks_while_the_workspace_is_left_is_no_result(
    store: Store, compared: Compared, error: Exception
) -> None:
    stop = threading.Event()

    def during(**_: Any) -> ParityReport:
        stop.set()
        raise error

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store, stop).run_next()
    assert found(store, parity_id).state is ParityState.RUNNING
    assert [t.state for t in store.parity.table_results(parity_id)] == [ParityState.RUNNING]


def test_a_comparison_that_a_person_breaks_off_waits_for_the_worker(store: Store, compared: Compared) -> None:
    def during(**_: Any) -> ParityReport:
        raise KeyboardInterrupt

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    with pytest.raises(KeyboardInterrupt):
        runner_of(store).run_next()
    assert found(store, parity_id).state is ParityState.QUEUED


def silence(store: Store) -> timedelta:
    """How long nobody has said that he carries out the comparison."""
    with store.engine.connect() as c:
        told: datetime = c.execute(select(runs_table.c.alive_at)).scalar_one()
    return datetime.now(UTC) - told


# ------------------------------------------------------------------------------------- a store that is away a moment


class Away:
    """Makes calls of the store's comparisons fail: `times` times each, or for ever."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._parity, self._monkeypatch = store.parity, monkeypatch

    def __call__(self, name: str, times: float = float("inf")) -> None:
        real, failed = getattr(self._parity, name), 0

        def call(*args: Any, **options: Any) -> Any:
            nonlocal failed
            failed += 1
            if failed <= times:
                raise StoreError(f"comparisons cannot be written: {name}")
            return real(*args, **options)

        self._monkeypatch.setattr(self._parity, name, call)

    def back(self) -> None:
        self._monkeypatch.undo()


@pytest.fixture
def away(store: Store) -> Iterator[Away]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Away(store, monkeypatch)


def test_a_store_that_is_away_while_a_statement_runs_ends_nothing(store: Store, compared: Compared, away: Away) -> None:
    def during(cancelled: Callable[[], bool], progress: Callable[[Progress], None], **_: Any) -> ParityReport:
        away("cancel_requested", 2)
        away("progress", 2)
        assert not cancelled() and not cancelled()
        for step in ("schema", "state"):
            progress(Progress(step, "", 1, 4, 0.1))
        away("finish_table", 3)
        away("finish", 3)
        away("set_producers", 3)
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    assert found(store, parity_id).verdict == "identical" and len(compared.specs) == 1


@pytest.mark.parametrize("call", ["cancel_requested", "finish_table", "fail_table", "table_results", "finish"])
def test_what_a_store_that_stays_away_interrupts_is_taken_up_by_the_same_worker_with_what_was_done(
    store: Store, compared: Compared, away: Away, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(parity_run, "RETRY_SECONDS", 0.0)
    runner = runner_of(store)
    parity_id = store.parity.request(["gone", "t"], "x")

    def during(**_: Any) -> ParityReport:
        away(call)
        if call == "finish_table":
            away("fail_table")
        return report()

    compared.during = during
    if call == "fail_table":
        away(call)
    with pytest.raises(StoreError):
        runner.run_next()
    assert found(store, parity_id).state is ParityState.RUNNING
    away.back()
    compared.during = lambda **_: report()
    assert runner.run_next() == parity_id
    assert found(store, parity_id).state is ParityState.DONE
    assert [(t.table, t.verdict) for t in store.parity.table_results(parity_id)] == [
        ("gone", "not_proven"),
        ("t", "identical"),
    ]
    assert len(compared.specs) == (2 if call == "finish_table" else 1)


def test_a_report_that_the_store_never_takes_is_not_compared_for_ever(
    store: Store, compared: Compared, away: Away
) -> None:
    away("finish_table")
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    (table,) = store.parity.table_results(parity_id)
    assert found(store, parity_id).verdict == "not_proven" and "could not be stored" in (table.reason or "")
    assert len(compared.specs) == 1


def test_what_another_left_running_ends_when_somebody_cancels_it_and_not_before(store: Store) -> None:
    parity_id = store.parity.request(["t"], "x")
    store.parity.claim("killed")
    runner = runner_of(store)
    assert runner.run_next() is None and found(store, parity_id).state is ParityState.RUNNING
    store.parity.cancel(parity_id, "lead@example.com")
    assert runner.run_next() is None and found(store, parity_id).state is ParityState.CANCELLED


def test_what_another_left_running_who_is_silent_starts_again_beside_it(store: Store, compared: Compared) -> None:
    parity_id = store.parity.request(["t"], "x")
    store.parity.claim("killed")
    assert runner_of(store).run_next() is None
    silent(store)
    assert runner_of(store).run_next() == parity_id
    assert found(store, parity_id).verdict == "identical"


def test_who_carries_it_out_says_so_while_a_statement_runs(
    store: Store, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_run, "ALIVE_PAUSE", 0.01)

    def during(**_: Any) -> ParityReport:
        silent(store)
        wait_until(lambda: silence(store) < timedelta(seconds=5))
        assert store.parity.requeue_interrupted("other") == []
        return report()

    compared.during = during
    parity_id = store.parity.request(["t"], "x")
    runner_of(store).run_next()
    assert found(store, parity_id).verdict == "identical"


@pytest.mark.parametrize("error", [None, WorkspaceError("read table c.s.t", "no connection"), ValueError("broken")])
@pytest.mark.parametrize("pause", [0.01, 60.0])
def test_what_another_took_after_a_long_silence_is_left_to_it(
    store: Store, compared: Compared, monkeypatch: pytest.MonkeyPatch, pause: float, error: Exception | None
) -> None:
    """A process that was held up for long finds it out by itself, or else when it has a result or fails."""
    monkeypatch.setattr(parity_run, "ALIVE_PAUSE", pause)

    def during(cancelled: Callable[[], bool], **_: Any) -> ParityReport:
        with store.engine.begin() as c:
            c.execute(runs_table.update().values(worker="other"))
        if pause < 1:
            wait_until(cancelled)
        if error is not None:
            raise error
        return report()

    compared.during = during
    parity_id = store.parity.request(["t", "gone"], "x")
    runner_of(store).run_next()
    assert found(store, parity_id).state is ParityState.RUNNING
    store.parity.heartbeat(parity_id, "other")
    assert [t.verdict for t in store.parity.table_results(parity_id)] == [None, None]


def test_what_cannot_be_compared_is_not_proven_and_the_other_tables_go_on(store: Store, compared: Compared) -> None:
    def during(**_: Any) -> ParityReport:
        raise WorkspaceError("read table c.s.t", "no answer")

    compared.during = during
    parity_id = store.parity.request(["gone", "t"], "x")
    runner_of(store).run_next()
    results = {t.table: (t.verdict, t.reason) for t in store.parity.table_results(parity_id)}
    assert results == {
        "gone": ("not_proven", "the migration file has no table gone"),
        "t": ("not_proven", "read table c.s.t: no answer"),
    }
    assert store.parity.run(parity_id).verdict == "not_proven"  # type: ignore[union-attr]


@pytest.mark.parametrize("sensitive", [False, True])
def test_a_fault_of_the_comparison_ends_the_request_and_says_so_without_sensitive_values(
    store: Store, compared: Compared, caplog: pytest.LogCaptureFixture, sensitive: bool
) -> None:
    def during(**_: Any) -> ParityReport:
        raise ValueError("cannot read jane@example.com")

    compared.during = during
    (table,) = MIGRATION.tables
    tables = (table.model_copy(update={"sensitive": ("mail",) if sensitive else ()}),)
    parity_id = store.parity.request(["t"], "x")
    with caplog.at_level(logging.INFO):
        runner_of(store, migration=MIGRATION.model_copy(update={"tables": tables})).run_next()
    ended = found(store, parity_id)
    assert ended.state is ParityState.FAILED and (ended.error or "").startswith("ValueError")
    told = f"{ended.error} {store.parity.table_results(parity_id)} {caplog.text}"
    if sensitive:
        assert "jane" not in told and "ValueError in during (test_parity_run.py:" in told
    else:
        assert "cannot read jane" in (ended.error or "") and any(r.exc_info for r in caplog.records)


@pytest.mark.parametrize(
    ("there", "names"),
    [
        ({"c.s.t": "MANAGED", "c.s.v2_t": "MATERIALIZED_VIEW"}, ("c.s.t", "c.s.v2_t")),
        ({"c.s.t": "VIEW", "c.s.t_old": "MANAGED", "c.s.v2_t": "MATERIALIZED_VIEW"}, ("c.s.t_old", "c.s.v2_t")),
    ],
    ids=["before", "after a cutover by views"],
)
def test_the_old_and_the_new_table_are_compared_where_they_are(
    store: Store, compared: Compared, there: dict[str, str], names: tuple[str, str]
) -> None:
    store.parity.request(["t"], "x")
    runner_of(store, there=There(there)).run_next()
    assert (compared.specs[0].baseline, compared.specs[0].candidate) == names


@pytest.mark.parametrize("candidate", [{}, {"c.s.v2_t": "MANAGED"}])
def test_a_backup_or_a_renamed_table_is_not_proven_equal_to_anything(
    store: Store, compared: Compared, candidate: dict[str, str]
) -> None:
    parity_id = store.parity.request(["t"], "x")
    runner_of(store, there=There({"c.s.t": "MANAGED", "c.s.t_old": "MANAGED", **candidate})).run_next()
    (result,) = store.parity.table_results(parity_id)
    assert compared.specs == [] and result.verdict == "not_proven" and "is unknown" in (result.reason or "")
