"""Setup apart from run time: what of a run was only waiting for its compute, and where it is subtracted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.collect.context import CollectContext
from app.collect.setups import store_setups
from app.config.performance import Performance
from app.performance.load import load_assessment
from app.performance.setup import StartUp, TaskTimes, setup_seconds
from app.store.collected.records import FlowRecord, TaskRunRecord
from app.store.open import Store
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.performance import HOUR, NOW, job_run, pipeline_update, schedule, slots

AT = slots(1)[0]


def s(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def test_setup_is_what_lies_before_the_execution_of_a_task() -> None:
    assert setup_seconds([TaskTimes(s(0), s(100), 70.0)], ()) == 30.0
    assert setup_seconds([TaskTimes(s(0), s(100), 100.0)], ()) == 0.0


def test_tasks_that_wait_for_one_cluster_wait_once() -> None:
    assert setup_seconds([TaskTimes(s(0), s(100), 70.0), TaskTimes(s(0), s(90), 70.0)], ()) == 20.0


def test_setup_of_one_task_while_another_executes_is_no_waiting() -> None:
    assert setup_seconds([TaskTimes(s(0), s(100), 90.0), TaskTimes(s(50), s(120), 30.0)], ()) == 10.0


def test_the_start_of_a_pipelines_compute_is_setup_though_its_task_has_begun() -> None:
    task = TaskTimes(s(0), s(300), 300.0, "p")
    start_up = StartUp("p", s(5), s(125))
    assert setup_seconds([task], [start_up]) == 120.0
    beside = TaskTimes(s(60), s(200), 140.0)
    assert setup_seconds([task, beside], [start_up]) == 55.0


def put(store: Store, *, flows: bool) -> None:
    c = store.collected
    runs = [job_run("baseline", 1, AT, 400.0, queue_seconds=7.0), job_run("candidate", 2, AT, 300.0, queue_seconds=0.0)]
    tasks = [
        TaskRunRecord(1, "t", 10, "SUCCESS", s(0), s(400), 300.0, None),
        TaskRunRecord(2, "dlt", 20, "SUCCESS", s(0), s(300), 300.0, None, "p"),
        TaskRunRecord(2, "skipped", 21, "SKIPPED", None, None, None, None),
    ]
    c.put_runs(runs, tasks)
    c.put_updates([pipeline_update("u", s(10), 2)])
    c.put_schedules([schedule(side) for side in ("baseline", "candidate")])
    if flows:
        c.put_flows(
            [FlowRecord("u", name, "COMPLETED", 1, 1.0, s(at), s(300), 0) for name, at in (("a", 70), ("b", 90))], []
        )


def test_run_time_is_execution_and_setup_and_queue_stand_beside_it(store: Store) -> None:
    put(store, flows=True)
    found = load_assessment(store, Performance(minimum_pairs=1), AT + HOUR)
    assert (found.run_time.baseline.median, found.run_time.candidate.median) == (300.0, 240.0)
    assert (found.setup.baseline.median, found.setup.candidate.median) == (100.0, 60.0)
    assert (found.queue.baseline.median, found.queue.candidate.median) == (7.0, 0.0)
    assert (found.run_times, found.setups) == ({1: 300.0, 2: 240.0}, {1: 100.0, 2: 60.0})


def test_a_pair_of_which_one_setup_is_not_known_is_compared_by_the_whole_run(store: Store) -> None:
    put(store, flows=False)
    found = load_assessment(store, Performance(minimum_pairs=1), NOW)
    assert (found.run_time.baseline.median, found.run_time.candidate.median) == (400.0, 300.0)
    assert found.setup.left_out == {"not measured": 1}
    assert found.run_times == {1: 400.0, 2: 300.0}, "a list shows the run times that were compared"


def test_a_repaired_run_took_the_time_of_its_attempts(store: Store) -> None:
    c = store.collected
    c.put_runs([job_run("baseline", 1, AT), job_run("candidate", 2, AT, 7200.0, repairs=1, attempt_seconds=150.0)])
    c.put_schedules([schedule(side) for side in ("baseline", "candidate")])
    found = load_assessment(store, Performance(minimum_pairs=1), NOW)
    assert found.run_time.ratio == pytest.approx(1.5)


def test_the_worker_stores_the_setup_of_runs_and_a_later_reading_of_the_run_keeps_it(
    collecting: CollectContext, store: Store
) -> None:
    put(store, flows=True)
    cursor: dict[str, Any] = {}
    store_setups(collecting, cursor, NOW)
    assert cursor == {}, "older events may still come: all runs are looked at again"
    store.collected.source_succeeded("events:production", NOW, 15)
    store_setups(collecting, cursor, NOW)
    assert cursor == {"setups": NOW.isoformat()}
    put(store, flows=True)
    assert {r.run_id: r.setup_seconds for r in store.collected.runs()} == {1: 100.0, 2: 60.0}
    long_after = load_assessment(store, Performance(minimum_pairs=1), NOW + 200 * HOUR)
    assert long_after.run_time.baseline.median == 300.0


def test_the_setup_of_a_run_that_just_ended_is_known_before_the_worker_stores_it(store: Store) -> None:
    put(store, flows=True)
    early, late = (load_assessment(store, Performance(minimum_pairs=1), AT + n * HOUR) for n in (1, 12))
    assert (early.run_time.baseline.median, late.run_time.baseline.median) == (300.0, 400.0)
