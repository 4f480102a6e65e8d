"""Generated history, what it costs and how the system tables show it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from demo.bootstrap import IDS, definitions
from demo.history import MARK, NEW_DAYS, OLD_DAYS, History, Sides, history
from emulator import billing, lakeflow
from emulator.billing import HOUR_MS, Compute, compute_of_update, computes_of_run, usage_rows, usage_table
from emulator.records import Job, Pipeline, Run, TaskRun, Update
from emulator.state import State

UNTIL = datetime(2026, 3, 20, 14, 30, tzinfo=UTC)
NOW = int(UNTIL.timestamp() * 1000)
WORKSPACE = 1


@pytest.fixture(scope="module")
def sides() -> Sides:
    bundle = definitions("w")
    jobs = {k: Job(int(IDS[f"jobs.{k}"]), "admin@example.com", NOW, r.settings) for k, r in bundle.jobs.items()}
    pipelines = {
        k: Pipeline(IDS[f"pipelines.{k}"], "admin@example.com", NOW, NOW, r.settings)
        for k, r in bundle.pipelines.items()
    }
    return Sides(
        jobs["old"],
        jobs["new"],
        jobs["development_schedule"],
        pipelines["development"],
        pipelines["production"],
        "admin@example.com",
        20_000,
    )


@pytest.fixture(scope="module")
def made(sides: Sides) -> History:
    return history(sides, UNTIL)


@pytest.fixture(scope="module")
def tasks(made: History) -> dict[int, list[TaskRun]]:
    found: dict[int, list[TaskRun]] = defaultdict(list)
    for task in made.tasks:
        found[task.parent_run_id].append(task)
    return found


@pytest.fixture(scope="module")
def computes(made: History, tasks: dict[int, list[TaskRun]]) -> list[Compute]:
    found = [c for r in made.runs for c in computes_of_run(r, tasks[r.run_id])]
    return found + [c for u in made.updates if (c := compute_of_update(u))]


def of(made: History, job: Job) -> list[Run]:
    return [r for r in made.runs if r.job_id == job.job_id]


def test_everything_says_that_it_is_generated(made: History) -> None:
    assert all(r.generated and MARK in r.run_name for r in made.runs)
    assert all(u.generated for u in made.updates)
    assert all(MARK in e.body["message"] for e in made.events)


def test_a_run_is_billed_to_whom_its_job_runs_as_and_else_to_its_creator(
    made: History, tasks: dict[int, list[TaskRun]], sides: Sides
) -> None:
    run = next(r for r in of(made, sides.old) if computes_of_run(r, tasks[r.run_id]))
    for settings, payer in (
        ({"run_as": {"service_principal_name": "robot"}}, "robot"),
        ({"run_as": {"user_name": "erin@example.com"}}, "erin@example.com"),
        ({}, "admin@example.com"),
    ):
        kept = {k: v for k, v in run.settings.items() if k != "run_as"}
        found = computes_of_run(replace(run, settings=kept | settings, creator="admin@example.com"), tasks[run.run_id])
        rows = [row for c in found for row in usage_rows(c, NOW, WORKSPACE)]
        assert rows and {row["identity_metadata"]["run_as"] for row in rows} == {payer}


def test_the_old_job_ran_four_times_a_day_for_three_weeks_in_new_york(made: History, sides: Sides) -> None:
    scheduled = [r for r in of(made, sides.old) if r.trigger == "PERIODIC"]
    assert abs(len(scheduled) - 4 * OLD_DAYS) <= 1
    # The clocks went forward on 8 March 2026: 05:00:55 was 10:00:55 UTC before and is 09:00:55 since.
    before = datetime(2026, 3, 3, 10, 0, 55, tzinfo=UTC)
    since = datetime(2026, 3, 12, 9, 0, 55, tzinfo=UTC)
    starts = {r.start_ms for r in scheduled}
    assert {int(before.timestamp() * 1000), int(since.timestamp() * 1000)} <= starts


def test_the_new_side_ran_beside_it_for_two_weeks(made: History, sides: Sides) -> None:
    updates = Counter(u.pipeline_id for u in made.updates)
    assert abs(updates[sides.production_pipeline.pipeline_id] - 4 * NEW_DAYS) <= 1
    assert abs(updates[sides.development_pipeline.pipeline_id] - 3 * NEW_DAYS) <= 1


def test_history_holds_failures_repairs_a_rerun_and_a_cancelled_run(
    made: History, sides: Sides, tasks: dict[int, list[TaskRun]]
) -> None:
    old = of(made, sides.old)
    results = Counter(r.result_state for r in old)
    assert results["FAILED"] == 1
    assert results["CANCELED"] == 1
    repaired = [r for r in old if r.repairs]
    assert len(repaired) == 2
    for run in repaired:
        attempts = Counter(t.attempt for t in tasks[run.run_id])
        assert set(attempts) == {0, 1}
        assert set(run.repairs[0]["task_run_ids"]) == {t.run_id for t in tasks[run.run_id] if t.attempt == 1}
        assert run.result_state == "SUCCESS"
    assert Counter(u.state for u in made.updates)["FAILED"] == 2
    assert [r.trigger for r in old].count("ONE_TIME") == 1


def test_tasks_follow_what_they_depend_on(made: History, tasks: dict[int, list[TaskRun]]) -> None:
    for run in made.runs:
        if run.repairs:
            continue
        ended = {t.task_key: t for t in tasks[run.run_id]}
        for task in ended.values():
            for dependency in task.definition.get("depends_on", []):
                before = ended[dependency["task_key"]]
                assert task.start_ms >= before.end_ms or run.result_state == "CANCELED"
                if before.result_state in ("FAILED", "UPSTREAM_FAILED"):
                    assert task.result_state == "UPSTREAM_FAILED"
        assert run.start_ms <= min(t.start_ms for t in ended.values())
        assert max(t.end_ms for t in ended.values()) <= run.end_ms


def test_all_of_it_is_over_before_the_first_start(made: History) -> None:
    assert max(r.end_ms for r in made.runs) < NOW
    assert max(u.end_ms for u in made.updates) < NOW
    assert max(e.timestamp_ms for e in made.events) < NOW


def test_the_same_sides_and_seed_give_the_same_history(made: History, sides: Sides) -> None:
    assert history(sides, UNTIL) == made
    assert history(sides, UNTIL, seed=8) != made


def test_durations_follow_a_measured_run(sides: Sides) -> None:
    measured = {t["task_key"]: 3.0 for t in sides.old.settings["tasks"]}
    made = history(replace(sides, measured=measured), UNTIL)
    ran = [t.end_ms - t.start_ms for t in made.tasks if t.task_key == "unity_fde" and t.result_state == "SUCCESS"]
    assert 2_000 < sorted(ran)[len(ran) // 2] < 3_500


def test_each_completed_update_logs_rows_and_expectations_of_six_tables(made: History) -> None:
    by_update = defaultdict(list)
    for event in made.events:
        by_update[event.update_id].append(event)
    for update in made.updates:
        events = by_update[update.update_id]
        states = [e.body["details"]["update_progress"]["state"] for e in events if e.event_type == "update_progress"]
        assert states[-1] == update.state
        done = [
            e.body["details"]["flow_progress"]
            for e in events
            if e.event_type == "flow_progress" and e.body["details"]["flow_progress"]["status"] == "COMPLETED"
        ]
        if update.state == "COMPLETED":
            assert len(done) == 6
            assert all(f["metrics"]["num_output_rows"] > 0 for f in done)
            quality = [f["data_quality"] for f in done if "data_quality" in f]
            assert len(quality) == 2
            names = {x["name"] for q in quality for x in q["expectations"]}
            assert "valid_submission_datetime" in names
        else:
            assert len(done) < 6
            assert any(e.level == "ERROR" and e.body.get("error") for e in events)


def test_history_survives_the_state_file(made: History, tmp_path: object) -> None:
    from pathlib import Path

    state = State(Path(str(tmp_path)) / "state.db")
    state.put_runs(made.runs, made.tasks)
    state.put_updates(made.updates, made.events)
    assert {r.run_id: r for r in state.runs(generated=True)} == {r.run_id: r for r in made.runs}
    assert len(state.updates(generated=True)) == len(made.updates)
    state.close()


# -- cost ----------------------------------------------------------------------------------------------------------------


def cluster(**fields: object) -> Compute:
    base = Compute("JOBS", "c", "r6id.xlarge", 9, True, 0, HOUR_MS, "me", job_id=1, job_run_id=2)
    return replace(base, **fields)  # type: ignore[arg-type]


def test_dbu_are_machines_times_rate_times_photon_times_hours() -> None:
    row = usage_rows(cluster(), 2 * HOUR_MS, WORKSPACE)[0]
    expected = 9 * billing.DBU_PER_HOUR["r6id.xlarge"] * billing.PHOTON_MULTIPLIER
    assert float(row["usage_quantity"]) == pytest.approx(expected)
    assert row["sku_name"] == "ENTERPRISE_JOBS_COMPUTE_(PHOTON)"
    half = usage_rows(cluster(end_ms=HOUR_MS // 2), 2 * HOUR_MS, WORKSPACE)[0]
    assert float(half["usage_quantity"]) == pytest.approx(expected / 2)


def test_a_record_lies_within_one_clock_hour_and_none_is_lost() -> None:
    start, end = HOUR_MS // 2, 3 * HOUR_MS + 1234
    rows = usage_rows(cluster(start_ms=start, end_ms=end), 9 * HOUR_MS, WORKSPACE)
    assert len(rows) == 4
    for row in rows:
        first, last = row["usage_start_time"], row["usage_end_time"]
        assert last - first <= timedelta(hours=1)
        assert first.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) >= last
    whole = float(sum(r["usage_quantity"] for r in rows))
    assert whole == pytest.approx((end - start) / HOUR_MS * cluster().dbu_per_hour)
    assert len({r["record_id"] for r in rows}) == 4


def test_records_appear_after_their_lag_and_keep_their_ids() -> None:
    compute = cluster(end_ms=HOUR_MS // 2)
    assert usage_rows(compute, HOUR_MS // 2 + 59_000, WORKSPACE, 60) == []
    seen = usage_rows(compute, HOUR_MS // 2 + 60_000, WORKSPACE, 60)
    assert len(seen) == 1
    assert usage_rows(compute, 5 * HOUR_MS, WORKSPACE, 60) == seen


def test_of_a_running_cluster_only_whole_hours_are_billed() -> None:
    compute = cluster(start_ms=HOUR_MS // 2, end_ms=0)
    rows = usage_rows(compute, 2 * HOUR_MS + HOUR_MS // 2, WORKSPACE)
    assert [r["usage_end_time"] for r in rows] == [billing.moment(HOUR_MS), billing.moment(2 * HOUR_MS)]
    ended = usage_rows(replace(compute, end_ms=2 * HOUR_MS + HOUR_MS // 2), 9 * HOUR_MS, WORKSPACE)
    assert ended[:2] == rows


def test_a_pipeline_task_is_billed_to_the_pipeline_and_not_to_the_job(
    made: History, sides: Sides, tasks: dict[int, list[TaskRun]]
) -> None:
    run = of(made, sides.new)[0]
    (job_cluster,) = computes_of_run(run, tasks[run.run_id])
    pipeline_task = next(t for t in tasks[run.run_id] if t.definition.get("pipeline_task"))
    update = next(u for u in made.updates if u.job_task_run_id == pipeline_task.run_id)
    compute = compute_of_update(update)
    assert compute is not None
    assert compute.product == "DLT"
    assert compute.sku == "ENTERPRISE_DLT_ADVANCED_COMPUTE_(PHOTON)"
    assert compute.machines == 9
    assert job_cluster.machines == 3
    development = of(made, sides.development)[0]
    assert computes_of_run(development, tasks[development.run_id]) == []


def test_a_repair_is_billed_for_itself_and_not_for_the_pause_before_it(
    made: History, tasks: dict[int, list[TaskRun]]
) -> None:
    run = next(r for r in made.runs if r.repairs)
    found = computes_of_run(run, tasks[run.run_id])
    assert len(found) == 2
    assert found[1].start_ms - found[0].end_ms > 20 * 60_000


def test_generated_records_are_tagged_and_some_are_corrected(computes: list[Compute]) -> None:
    table = usage_table(computes, NOW, WORKSPACE, 60).to_pylist()
    assert all(dict(r["custom_tags"])["generated"] == "true" for r in table)
    kinds = Counter(r["record_type"] for r in table)
    assert kinds["RETRACTION"] == kinds["RESTATEMENT"] > 0
    assert len({r["record_id"] for r in table}) == len(table)
    taken_back = [r for r in table if r["record_type"] == "RETRACTION"]
    for row in taken_back:
        original = next(
            r
            for r in table
            if r["record_type"] == "ORIGINAL"
            and r["usage_metadata"] == row["usage_metadata"]
            and r["usage_start_time"] == row["usage_start_time"]
        )
        assert row["usage_quantity"] == -original["usage_quantity"]


def test_what_ran_is_not_tagged_as_generated() -> None:
    rows = usage_rows(cluster(), 9 * HOUR_MS, WORKSPACE)
    assert [r["custom_tags"] for r in rows] == [[]]
    assert {r["record_type"] for r in rows} == {"ORIGINAL"}


def test_every_sku_has_one_price_at_any_time(computes: list[Compute]) -> None:
    prices = billing.list_prices_table().to_pylist()
    for row in usage_table(computes, NOW, WORKSPACE, 60).to_pylist():
        holding = [
            p
            for p in prices
            if p["sku_name"] == row["sku_name"]
            and p["cloud"] == row["cloud"]
            and p["price_start_time"] <= row["usage_start_time"]
            and (p["price_end_time"] is None or row["usage_start_time"] < p["price_end_time"])
        ]
        assert len(holding) == 1
        assert holding[0]["pricing"]["default"] > Decimal(0)


def test_an_unknown_machine_has_no_made_up_rate() -> None:
    with pytest.raises(KeyError):
        usage_rows(cluster(node_type="weird.gigantic"), 9 * HOUR_MS, WORKSPACE)


# -- timelines -----------------------------------------------------------------------------------------------------------


def test_only_the_last_row_of_a_run_bears_its_result(made: History) -> None:
    run = replace(made.runs[0], start_ms=HOUR_MS // 2, end_ms=2 * HOUR_MS + 5)
    rows = lakeflow.run_rows(run, [], WORKSPACE, NOW)
    table = lakeflow.table("job_run_timeline", rows).to_pylist()
    assert [r["result_state"] for r in table] == [None, None, "SUCCEEDED"]
    assert table[0]["period_end_time"] == table[1]["period_start_time"]


def test_an_update_s_timeline_names_the_task_that_started_it(made: History) -> None:
    update = made.updates[0]
    (row,) = lakeflow.table("pipeline_update_timeline", lakeflow.update_rows(update, WORKSPACE, NOW)).to_pylist()
    assert row["trigger_details"]["job_task"]["job_task_run_id"] == str(update.job_task_run_id)
    by_hand: Update = replace(update, job_id=None, job_run_id=None, job_task_run_id=None, cause="API_CALL")
    (row,) = lakeflow.table("pipeline_update_timeline", lakeflow.update_rows(by_hand, WORKSPACE, NOW)).to_pylist()
    assert row["trigger_details"] is None


def test_jobs_tasks_and_pipelines_fit_their_tables(sides: Sides) -> None:
    jobs = lakeflow.table("jobs", [lakeflow.job_row(sides.old, WORKSPACE, "me")]).to_pylist()
    assert jobs[0]["name"] == "00_RDS"
    assert jobs[0]["paused"] is False
    tasks = lakeflow.table("job_tasks", lakeflow.task_rows(sides.old, WORKSPACE)).to_pylist()
    assert len(tasks) == 12
    found = lakeflow.table("pipelines", [lakeflow.pipeline_row(sides.production_pipeline, WORKSPACE, "me")]).to_pylist()
    assert found[0]["settings"]["photon"] is True
