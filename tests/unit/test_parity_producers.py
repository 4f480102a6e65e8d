"""What produced the sides of a comparison, and what speaks against naming it as their pair."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.collect.context import CollectContext
from app.collect.runs import read_runs
from app.collect.updates import read_updates
from app.parity.current_streak import current_streak
from app.parity.producers import AtWork, Producers, contradictions, same, with_others
from app.parity.provenance import provenance_of
from app.store.open import Store
from app.store.parity_records import ParityState, Producer
from databricks_client.errors import WorkspaceError
from tests.support.collecting import MIGRATION, MS, Fake, run, update
from tests.support.parity_running import HOUR, RUNNING, Compared, T, There, done, found, pair, report, runner_of
from tests.support.workspace_server import serving
from validation.report import ParityReport, SideState, TableWrite, Verdict

pytestmark = pytest.mark.usefixtures("quick_comparisons")


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
        context = CollectContext(store.collected, workspace, MIGRATION, clock=lambda: T + timedelta(days=1))
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
    assert current_streak(store, ["t"]).runs == 0


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


def side(operation: str, at: datetime, user: str = "ann@x", **job: str) -> SideState:
    """A Delta table as a report has it, last written so."""
    return SideState(
        "a",
        version_before="delta:9",
        version_after="delta:9",
        last_write=at,
        written=TableWrite(9, at, operation, user, **job),
    )


@pytest.mark.parametrize(
    ("operation", "user"), [("UPDATE", "ann@x"), ("DELETE", "bob@x"), ("MERGE", "the job's own@x")]
)
def test_a_manual_write_after_the_run_is_named_and_leaves_no_pair(
    store: Store, compared: Compared, operation: str, user: str
) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: replace(report(), baseline=side(operation, T + timedelta(minutes=16), user))
    named = done(store)
    assert named.verdict == "identical" and named.pair is None
    assert (
        f"t of the old side was last written by {operation} by {user} (version 9) at 2026-03-01T12:16:00Z, "
        "not by run 1" in (named.warning or "")
    )
    assert "counts for no pair" in (named.warning or "")
    assert current_streak(store, ["t"]).runs == 0
    told = provenance_of(named, "t").baseline
    assert told is not None and told.what == f"{operation} by {user} (version 9), not by run 1"
    assert told.ended_at == T + timedelta(minutes=16)


def test_the_same_comparison_counts_where_the_run_wrote_last(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: replace(report(), baseline=side("MERGE", T - timedelta(minutes=16)))
    named = done(store)
    assert (named.pair, named.warning) == ("run:1/update:u1", None) and current_streak(store, ["t"]).runs == 1


RUNS = AtWork(((T - 7 * HOUR, T - 6 * HOUR), (T, T + HOUR)), job_id=9)
UPDATES = AtWork(((T - 7 * HOUR, T - 6 * HOUR), (T, T + HOUR)))
MINE = {"job_id": "9", "job_run_id": "1"}
OTHER = {"job_id": "8", "job_run_id": "5"}


@pytest.mark.parametrize(
    ("at", "job", "others"),
    [
        (T + timedelta(minutes=30), {}, False),
        (T + timedelta(minutes=30), MINE, False),
        (T + 2 * HOUR, MINE, False),  # the run's own id decides, whatever the clocks say
        (T + timedelta(minutes=30), {"job_id": "7", "run_id": "6"}, False),  # a notebook that the run started
        (T + timedelta(minutes=30), {**OTHER, "trigger": "RUN_JOB_TASK"}, False),  # a job that a task started
        (T + timedelta(minutes=30), OTHER, True),
        (T - 390 * timedelta(minutes=1), {}, False),  # an earlier run: a run need not rewrite every table
        (T - 3 * HOUR, {"job_id": "9", "job_run_id": "0"}, False),
        (T - 3 * HOUR, {}, True),  # between two runs
        (T + 2 * HOUR, {}, True),
        (T + 2 * HOUR, {"job_id": "9", "job_run_id": "2"}, True),  # a later run
        (T - 9 * HOUR, {}, False),  # before all that was collected: not known
        (None, {}, False),
    ],
)
def test_a_write_is_the_runs_by_its_id_or_else_by_its_time(
    at: datetime | None, job: dict[str, str], others: bool
) -> None:
    written = {**vars(TableWrite(3, at, "UPDATE", **job)), "at": at and at.isoformat()}
    producers = Producer("run", "1", 1, T + HOUR, started_at=T), Producer("update", "u1", None, T + HOUR, "COMPLETED")
    named, told = with_others({"t": {"baseline": {"written": written}}}, producers, (RUNS, UPDATES))
    assert named[0] is not None and bool(named[0].others) is others and bool(told) is others


@pytest.mark.parametrize(
    ("at", "others"), [(T + timedelta(minutes=30), False), (T - 3 * HOUR, True), (T + 2 * HOUR, True)]
)
def test_a_write_beside_the_pipelines_updates_is_not_of_the_new_side(at: datetime, others: bool) -> None:
    written = {**vars(TableWrite(3, at, "DELETE", "ann@x")), "at": at.isoformat()}
    producers = Producer("run", "1", 1, T + HOUR), Producer("update", "u1", None, T + HOUR, "COMPLETED")
    named, told = with_others({"t": {"candidate": {"written": written}}}, producers, (RUNS, UPDATES))
    assert named[1] is not None and bool(named[1].others) is others and named[0] == producers[0]
    assert bool(told) is others and all("of the new side" in t and "not by update u1" in t for t in told)


def test_a_run_that_was_not_collected_yet_has_its_time_from_the_workspace() -> None:
    written = {**vars(TableWrite(3, T + timedelta(minutes=5), "MERGE")), "at": (T + timedelta(minutes=5)).isoformat()}
    older = AtWork(((T - 7 * HOUR, T - 6 * HOUR),), job_id=9)
    for started, others in ((T, False), (None, True)):
        producers = Producer("run", "1", 1, T + HOUR, started_at=started), None
        named, _ = with_others({"t": {"baseline": {"written": written}}}, producers, (older, AtWork()))
        assert named[0] is not None and bool(named[0].others) is others


def test_what_produced_a_side_comes_back_from_the_store_whole(store: Store, compared: Compared) -> None:
    pair(store, 1, T)
    compared.during = lambda **_: replace(report(), baseline=side("DELETE", T + HOUR))
    named = done(store)
    kept = store.parity.run(named.id)
    assert kept is not None and kept.baseline is not None and kept.baseline.started_at == T - HOUR
    assert [(o.table, o.what, o.at) for o in kept.baseline.others] == [("t", "DELETE by ann@x (version 9)", T + HOUR)]
