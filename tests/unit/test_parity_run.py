"""Comparisons carried out and asked for: what ends, what goes on, what produced the sides, and what is tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import validation
from app import parity_run
from app.collect.context import Context
from app.collect.runs import read_runs
from app.collect.updates import read_updates
from app.config import ConfigError, Migration, Table, Tolerance
from app.operations.definition import Observation
from app.operations.past import PastCutover
from app.operations.world import Relation
from app.parity_producers import Producers, contradictions, far_apart, same
from app.parity_run import ParityRunner
from app.parity_spec import spec_of
from app.store.base import StoreError
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.open import Store, open_store
from app.store.parity import ParityRun, ParityState, Producer
from app.workspace.errors import WorkspaceError
from app.workspace.jobs import JobRun
from app.workspace.pipelines import Update
from app.workspace.tables import TableState
from tests.unit.test_collect import MIGRATION, MS, Fake
from tests.unit.test_collect_store import run, update
from tests.unit.workspace_server import serving
from validation.report import ParityReport, Progress, SideState, Verdict

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNNING = {"life_cycle_state": "RUNNING", "result_state": None, "end_time": None}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path}/store.db")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity_run, "INSIST_PAUSE", 0.0)
    monkeypatch.setattr(parity_run, "INSIST_SECONDS", 0.2)
    monkeypatch.setattr(parity_run, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(parity_run, "TELL_SECONDS", 0.0)


# ---------------------------------------------------------------------------------------------------- what is compared

TABLE = Table(
    name="t", baseline="c.s.t", candidate="c.s.v2_t", development="d.s.t", key=("a", "b"), watermark=("at", "other"),
    sensitive=("mail",), exclude=("loaded",), mapping={"x": "y"},
    tolerance={"n": Tolerance(absolute=0.5, relative=0.0, seconds=0.0), "at": Tolerance(absolute=0.0, relative=0.0, seconds=2)},
    row_threshold=3, where="a > 1", excluded_by="test",
)  # fmt: skip


def test_every_option_of_the_migration_file_reaches_the_comparison() -> None:
    spec = spec_of(TABLE, final=True)
    assert (spec.baseline, spec.candidate, spec.keys, spec.watermark_columns) == (
        "c.s.t",
        "c.s.v2_t",
        ("a", "b"),
        ("at", "other"),
    )
    assert (spec.excluded_columns, dict(spec.column_mapping), spec.sensitive_columns) == (
        {"loaded"},
        {"x": "y"},
        {"mail"},
    )
    assert spec.column_tolerances == {"n": validation.Tolerance(absolute=0.5), "at": validation.Tolerance(seconds=2)}
    assert spec.row_threshold == 3 and not spec.tolerance
    assert spec.where is not None and spec.baseline_exclusion == spec.candidate_exclusion and spec.final


def test_a_comparison_is_of_the_names_that_it_is_given() -> None:
    assert spec_of(TABLE, names=("c.s.t_old", "c.s.t")).baseline == "c.s.t_old"
    assert spec_of(TABLE, sides="development").candidate == "d.s.t"


def test_a_table_without_a_development_side_is_refused() -> None:
    with pytest.raises(ConfigError, match="no development side"):
        spec_of(TABLE.model_copy(update={"development": None}), sides="development")


# -------------------------------------------------------------------------------------------------------- comparisons


def report(verdict: Verdict = Verdict.IDENTICAL) -> ParityReport:
    return ParityReport(verdict, "", SideState("a"), SideState("b"), (), (), seconds=0.1)


class Compared:
    """Stands in for `validation.compare`: calls `during` and gives a report."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.during: Callable[..., ParityReport] = lambda **_: report()
        self.specs: list[Any] = []

        def compare(_warehouse: Any, spec: Any, **options: Any) -> ParityReport:
            self.specs.append(spec)
            return self.during(**options)

        @contextmanager
        def warehouse(_self: Any) -> Iterator[None]:
            yield None

        monkeypatch.setattr(parity_run, "compare", compare)
        monkeypatch.setattr(parity_run, "open_warehouse", warehouse)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    return Compared(monkeypatch)


class There:
    """The workspace as it is now, beside what was collected: runs of the old job, the newest update, tables by type."""

    def __init__(self, tables: Mapping[str, str] = MappingProxyType({})) -> None:
        self.runs: list[JobRunRecord] = []
        self.update: UpdateRecord | None = None
        self.error: WorkspaceError | None = None
        self.tables = SimpleNamespace(
            exists=lambda name: name in tables, state=lambda name: TableState(name, name in tables, tables.get(name))
        )
        self.jobs = SimpleNamespace(runs=self._runs, active_runs=lambda _: [])
        self.pipelines = SimpleNamespace(last_write=self._last_write)

    def _runs(self, job_id: int, *, start_from: datetime) -> list[JobRun]:
        if self.error is not None:
            raise self.error
        assert job_id == 1
        return [
            JobRun(
                r.job_id, r.run_id, r.number, r.trigger, r.life_cycle_state, r.result_state, "", r.start_time, r.end_time,
                r.run_seconds, r.queue_seconds, "u", "n", (), r.generated,
            )
            for r in self.runs if r.start_time >= start_from
        ]  # fmt: skip

    def _last_write(self, pipeline_id: str) -> Update | None:
        assert pipeline_id == "p"
        u = self.update
        return u and Update(u.pipeline_id, u.update_id, u.state, u.cause, u.start_time, False, False, (), (), "u")


def runner_of(
    store: Store,
    stop: threading.Event | None = None,
    there: There | None = None,
    migration: Migration = MIGRATION,
    later: timedelta = timedelta(0),
) -> ParityRunner:
    workspace: Any = there or There()
    return ParityRunner(store, workspace, migration, "w", stop, lambda: datetime.now(UTC) + later)


def found(store: Store, parity_id: str) -> ParityRun:
    run_ = store.parity.run(parity_id)
    assert run_ is not None
    return run_


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
    assert done.warning is not None and "60 min apart" in done.warning
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
    monkeypatch.setattr(parity_run, "INSIST_SECONDS", 0.0)
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
    assert found(store, parity_id).verdict == "not_proven" and "could not be kept" in (table.reason or "")
    assert len(compared.specs) == 1


def test_what_another_left_running_ends_when_somebody_cancels_it_and_not_before(store: Store) -> None:
    parity_id = store.parity.request(["t"], "x")
    store.parity.claim("killed")
    runner = runner_of(store)
    assert runner.run_next() is None and found(store, parity_id).state is ParityState.RUNNING
    store.parity.cancel(parity_id, "lead@example.com")
    assert runner.run_next() is None and found(store, parity_id).state is ParityState.CANCELLED


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
        assert "cannot read jane" in (ended.error or "") and "Traceback" in caplog.text


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
    assert compared.specs == [] and result.verdict == "not_proven" and "cannot be told" in (result.reason or "")


@pytest.mark.parametrize(
    ("method", "served", "kept", "names"),
    [
        ("rename", "id-new", "id-old", ("c.s.t_old", "c.s.t")),
        ("rename", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-new", "id-old", None),
        ("rename", "id-else", "id-old", None),
        ("rename", "id-new", "id-copy", None),
        ("rename", None, None, None),
    ],
)
def test_the_last_cutover_tells_a_renamed_table_from_a_backup(
    method: str, served: str | None, kept: str | None, names: tuple[str, str] | None
) -> None:
    ids = {"c.s.t": served, "c.s.t_old": kept}
    tables: Any = SimpleNamespace(
        exists=lambda name: name in ids, state=lambda name: TableState(name, True, "MANAGED", table_id=ids[name])
    )
    before = Observation(
        T,
        (Relation("c.s.t", "table", table_id="id-old"), Relation("c.s.v2_t", "table", table_id="id-new")),
    )
    past = PastCutover(before, {"t": method})
    if names is not None:
        assert parity_run.names_now(tables, TABLE, past) == names
    else:
        with pytest.raises(ConfigError, match="cannot be told"):
            parity_run.names_now(tables, TABLE, past)


# --------------------------------------------------------------------------------------------- what produced the sides


def pair(store: Store, n: int, at: datetime | None = None) -> None:
    at = at or datetime.now(UTC) + n * HOUR
    store.collected.put_runs([run(n, start=at - HOUR)])
    store.collected.put_updates([update(f"u{n}", at)])
    store.collected.put_update_ends({f"u{n}": at})


def done(store: Store, there: There | None = None, tables: Sequence[str] = ("t",)) -> ParityRun:
    """A comparison that was asked for and carried out."""
    parity_id = store.parity.request(list(tables), "x")
    assert runner_of(store, there=there).run_next() == parity_id
    return found(store, parity_id)


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "TIMEDOUT", None])
def test_a_run_that_did_not_succeed_may_have_written_and_so_is_named(
    store: Store, compared: Compared, state: str | None
) -> None:
    pair(store, 1, T)
    newer = run(2, start=T, result_state=state) if state else run(2, start=T, **RUNNING)
    store.collected.put_runs([newer])
    named = done(store)
    assert named.baseline is not None and (named.baseline.id, named.baseline.state) == ("2", state or "RUNNING")
    assert named.pair is None and f"2, is {state or 'RUNNING'}" in (named.warning or "")
    assert "counts for no pair" in (named.warning or "")


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "RUNNING"])
def test_an_update_that_did_not_succeed_may_have_written_and_so_is_named(
    store: Store, compared: Compared, state: str
) -> None:
    pair(store, 1, T)
    store.collected.put_updates([update("u2", T + HOUR, state=state)])
    named = done(store)
    assert named.candidate is not None and (named.candidate.id, named.candidate.state) == ("u2", state)
    assert named.pair is None and "u2, is " + state in (named.warning or "")


def test_a_run_that_is_at_work_may_write_after_one_that_ended_later_than_it_began(
    store: Store, compared: Compared
) -> None:
    pair(store, 2, T)
    store.collected.put_runs([run(1, start=T - 5 * HOUR, **RUNNING)])
    named = done(store)
    assert named.baseline is not None and named.baseline.id == "1" and named.pair is None


def test_a_comparison_that_fails_after_a_run_that_failed_is_of_no_pair(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    store.collected.put_runs([run(2, start=T + HOUR, result_state="FAILED")])
    compared.during = lambda **_: 1 / 0  # type: ignore[assignment,return-value]
    failed = done(store)
    assert failed.state is ParityState.FAILED and failed.pair is None and failed.warning is not None


def test_a_run_that_was_skipped_wrote_nothing(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    store.collected.put_runs([run(2, start=T + HOUR, life_cycle_state="SKIPPED", result_state=None)])
    assert done(store).pair == "run:1/update:u1"


def test_what_was_not_collected_yet_is_asked_of_the_workspace(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    store.collected.put_runs([run(2, start=T + HOUR, **RUNNING)])
    there = There()
    there.runs = [run(2, start=T + HOUR), run(3, start=T + 2 * HOUR, generated=True)]
    there.update = update("u2", T + HOUR)
    named = done(store, there)
    assert named.pair == "run:2/update:u2" and named.warning is None


def test_what_ran_since_the_collection_is_read_over_rest(store: Store) -> None:
    with serving() as server:
        fake, workspace = Fake(server), server.workspace()
        context = Context(store.collected, workspace, MIGRATION, clock=lambda: T + timedelta(days=1))
        fake.run(1)
        fake.updates = [{"pipeline_id": "p", "update_id": "u1", "creation_time": MS, "state": "COMPLETED"}]
        (ref,) = MIGRATION.pipelines
        read_runs(context, "baseline")
        read_updates(context, ref)
        producers = Producers(store.collected, workspace)
        assert same(producers.now("production"), producers.collected("production"))
        fake.run(2, state={"life_cycle_state": "TERMINATED", "result_state": "FAILED"})
        fake.updates.append({"pipeline_id": "p", "update_id": "u2", "creation_time": MS + 9, "state": "RUNNING"})
        old, new = producers.now("production")
        assert old is not None and (old.id, old.state) == ("2", "FAILED")
        assert new == Producer("update", "u2", None, None, "RUNNING")


def test_a_workspace_that_does_not_answer_at_the_beginning_leaves_what_was_collected(
    store: Store, compared: Compared
) -> None:
    pair(store, 1, T)
    there = There()
    there.error = WorkspaceError("list runs", "no answer", retryable=True)

    def during(**_: Any) -> ParityReport:
        there.error = None
        return report()

    compared.during = during
    assert done(store, there).pair == "run:1/update:u1"


@pytest.mark.parametrize("newer", ["run", "update"])
def test_what_ran_while_tables_were_compared_leaves_no_pair(store: Store, compared: Compared, newer: str) -> None:
    pair(store, 1, T)
    there = There()

    def during(**_: Any) -> ParityReport:
        there.runs = [run(2, start=T + HOUR)] if newer == "run" else []
        there.update = update("u2", T + HOUR) if newer == "update" else None
        return report()

    compared.during = during
    named = done(store, there)
    assert named.verdict == "identical" and named.pair is None
    assert named.baseline is not None and named.baseline.id == "1", "what was named at the beginning"
    assert "may have written the" in (named.warning or "") and "2, " in (named.warning or "")
    assert store.parity.streak(["t"]).runs == 0


def test_the_end_of_an_update_that_is_told_meanwhile_is_kept(store: Store, compared: Compared) -> None:
    store.collected.put_runs([run(1, start=T)])
    store.collected.put_updates([update("u1", T + HOUR)])

    def during(**_: Any) -> ParityReport:
        store.collected.put_update_ends({"u1": T + 2 * HOUR})
        return report()

    compared.during = during
    named = done(store)
    assert named.candidate is not None and named.candidate.ended_at == T + 2 * HOUR
    assert named.pair == "run:1/update:u1" and named.skew_seconds == 3600.0


@pytest.mark.parametrize(("verdict", "kept"), [(Verdict.IDENTICAL, False), (Verdict.NOT_PROVEN, True)])
def test_a_success_that_nobody_can_confirm_counts_for_no_pair(
    store: Store, compared: Compared, verdict: Verdict, kept: bool
) -> None:
    pair(store, 1, T)
    there = There()

    def during(**_: Any) -> ParityReport:
        there.error = WorkspaceError("list runs", "no answer", retryable=True)
        return report(verdict)

    compared.during = during
    named = done(store, there)
    assert (named.pair is not None) is kept
    assert ("could not be asked" in (named.warning or "")) is not kept


@pytest.mark.parametrize("newer", [True, False])
def test_a_comparison_taken_up_after_new_runs_compares_its_finished_tables_again(
    store: Store, compared: Compared, newer: bool
) -> None:
    (t,) = MIGRATION.tables
    migration = MIGRATION.model_copy(update={"tables": (t, t.model_copy(update={"name": "s"}))})
    pair(store, 1, T)
    stop = threading.Event()

    def during(**_: Any) -> ParityReport:
        if len(compared.specs) == 2:
            stop.set()
        return report()

    compared.during = during
    parity_id = store.parity.request(["t", "s"], "x")
    runner_of(store, stop, migration=migration).run_next()
    assert store.parity.report(parity_id, "t") is not None
    if newer:
        store.collected.put_runs([run(2, start=T + HOUR)])
    states = []

    def again(**_: Any) -> ParityReport:
        states.append([(r.table, r.state, r.verdict) for r in store.parity.table_results(parity_id)])
        return report()

    compared.during = again
    runner_of(store, migration=migration).run_next()
    assert found(store, parity_id).pair == f"run:{2 if newer else 1}/update:u1"
    assert len(compared.specs) == (4 if newer else 3)
    if newer:
        assert states[0] == [("t", ParityState.RUNNING, None), ("s", ParityState.INTERRUPTED, None)]


def test_tables_that_name_another_producer_leave_no_pair(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    other = SideState("b", version_before="update:u9", version_after="update:u9", produced_by="update u9")
    compared.during = lambda **_: replace(report(), candidate=other)
    named = done(store)
    assert named.pair is None and "update u9 wrote t of the new side last" in (named.warning or "")


@pytest.mark.parametrize(
    ("side", "produced_by", "last_write", "told"),
    [
        ("baseline", "job run 1", T, ""),
        ("baseline", "job run 77", T, ""),  # a task of the run, or an older run
        ("baseline", "job run 1", T + 2 * HOUR, ""),
        ("baseline", "job run 77", T + 2 * HOUR, "job run 77 wrote a, b of the old side last"),
        ("baseline", "update u9", T + 2 * HOUR, ""),
        ("baseline", None, T + 2 * HOUR, ""),  # as after OPTIMIZE
        ("candidate", "update u1", T + 2 * HOUR, ""),
        ("candidate", "update u9", None, "update u9 wrote a, b of the new side last"),
        ("candidate", "job run 77", T + 2 * HOUR, ""),
    ],
)
def test_only_what_wrote_after_the_pair_contradicts_it(
    side: str, produced_by: str | None, last_write: datetime | None, told: str
) -> None:
    state = {"produced_by": produced_by, "last_write": last_write and last_write.isoformat()}
    producers = Producer("run", "1", 1, T + HOUR), Producer("update", "u1", None, T + HOUR, "COMPLETED")
    assert "; ".join(contradictions({"a": {side: state}, "b": {side: state}}, producers)) == told
    assert contradictions({"a": {side: state}}, (None, None)) == []


# ------------------------------------------------------------------------------------------ comparisons by themselves


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


# ------------------------------------------------------------------------------------------------- what is tried again

MINUTE = timedelta(minutes=1)


def auto(store: Store, later: timedelta = timedelta(0)) -> ParityRun | None:
    """The automatic comparison that a worker, begun anew, asks for and carries out so much later; None where none is due."""
    runner = runner_of(store, later=later)
    if not runner.request_after_runs():
        return None
    parity_id = runner.run_next()
    assert parity_id is not None
    return found(store, parity_id)


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
    assert store.parity.streak(["t"]).broken_by is None


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
