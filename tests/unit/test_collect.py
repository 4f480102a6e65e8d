"""Collection: incremental from cursors, long histories in parts, each source by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.collect.billing import read_billing
from app.collect.collector import LONGEST_RETRY_AFTER, Collector, pause_after
from app.collect.context import OLDER_PAGES, CollectContext, Stopping
from app.collect.definitions import read_schedules
from app.collect.ended import Ended
from app.collect.events import read_events
from app.collect.flows import summarize
from app.collect.lineage import read_lineage
from app.collect.runs import read_runs
from app.collect.sources import Source, sources
from app.collect.tables import read_tables
from app.collect.updates import read_links, read_updates
from app.store.collected.records import EventRecord
from app.store.open import Store
from app.web.components.asof import troubles
from databricks_client.errors import WorkspaceError
from tests.support.collecting import JOBS, MIGRATION, MS, Fake, FakeSql, T, calls, run
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.workspace_server import Refusal, Request, Server

RUNS = "/api/2.2/jobs/runs/list"
UPDATES = "/api/2.0/pipelines/p/updates"
EVENTS = "/api/2.0/pipelines/p/events"


def test_the_newest_runs_come_first(fake: Fake, store: Store, collecting: CollectContext) -> None:
    for i in range(1, 1001):
        fake.run(i)
    backlog = read_runs(collecting, "baseline")
    assert backlog is not None and "not read yet" in backlog
    found = store.collected.runs("baseline", limit=2000)
    assert found[0].run_id == 1000 and len(found) == OLDER_PAGES * 24


def test_a_running_run_is_read_again_until_it_has_ended_though_newer_ones_ended_before(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    fake.run(1, end_time=0, state={"life_cycle_state": "RUNNING"})
    read_runs(collecting, "baseline")
    assert store.collected.run(1).active  # type: ignore[union-attr]
    for i in range(2, 60):
        fake.run(i)
        if i % 20 == 0:
            read_runs(collecting, "baseline")
    fake.run(1, state={"life_cycle_state": "TERMINATED", "result_state": "FAILED"})
    read_runs(collecting, "baseline")
    assert store.collected.run(1).state == "FAILED"  # type: ignore[union-attr]


def test_a_collection_that_was_killed_goes_on_without_a_gap(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    for i in range(1, 301):
        fake.run(i)
    answer = server.find("GET", RUNS)
    assert answer is not None
    seen = 0

    def dies(request: Request) -> Any:
        nonlocal seen
        seen += 1
        if seen in (4, 9):
            raise Refusal(403, "PERMISSION_DENIED", "gone")
        return answer(request)

    server.on("GET", RUNS, dies)
    failures = 0
    for _ in range(20):
        try:
            if read_runs(collecting, "baseline") is None:
                break
        except WorkspaceError:
            failures += 1
    assert failures == 2 and len(store.collected.runs(limit=2000)) == 300


def test_a_job_without_runs_is_no_error_and_its_first_run_is_seen(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    assert read_runs(collecting, "candidate") is None and read_runs(collecting, "candidate") is None
    fake.run(5, job_id=2)
    read_runs(collecting, "candidate")
    assert [r.run_id for r in store.collected.runs("candidate")] == [5]


def test_the_error_of_a_failed_task_is_read_once(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    failed = {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "see output"}
    fake.run(1, state=failed, tasks=[{"task_key": "a", "run_id": 11, "state": failed}])
    output = "/api/2.2/jobs/runs/get-output"
    assert calls(server, output, lambda: (read_runs(collecting, "baseline"), read_runs(collecting, "baseline"))) == 1
    assert store.collected.tasks([1])[1][0].error == "Traceback: the whole story"


def course(fake: Fake, update: str, at: int, mark: str = "") -> None:
    flow = {"status": "RUNNING"}
    fake.event(at, update, "flow_progress", {"flow_progress": flow}, dataset="c.s.v2_t")
    quality = {
        "dropped_records": 2,
        "expectations": [{"name": "ok", "dataset": "c.s.v2_t", "passed_records": 8, "failed_records": 2}],
    }
    done = {"status": "COMPLETED", "metrics": {"num_output_rows": 8}, "data_quality": quality}
    fake.event(at + 5, update, "flow_progress", {"flow_progress": done}, mark, dataset="c.s.v2_t")
    fake.event(at + 6, update, "update_progress", {"update_progress": {"state": "COMPLETED"}}, f"done {mark}")


def test_events_tell_rows_seconds_expectations_and_the_end_of_an_update(
    fake: Fake, store: Store, collecting: CollectContext
) -> None:
    ref = MIGRATION.pipelines[0]
    fake.updates.append({"update_id": "u", "pipeline_id": "p", "state": "COMPLETED", "creation_time": MS})
    course(fake, "u", 10)
    read_updates(collecting, ref)
    read_events(collecting, ref)
    update = store.collected.update("u")
    assert update is not None and update.seconds == 16.0 and not update.generated
    (flow,) = store.collected.flows(["u"])["u"]
    assert (flow.dataset, flow.status, flow.rows, flow.seconds, flow.dropped) == ("c.s.v2_t", "COMPLETED", 8, 5.0, 2)
    (expectation,) = store.collected.expectations(["u"])
    assert (expectation.name, expectation.passed, expectation.failed) == ("ok", 8, 2)


def test_counts_do_not_grow_when_events_are_read_again(fake: Fake, store: Store, collecting: CollectContext) -> None:
    ref = MIGRATION.pipelines[0]
    course(fake, "u", 10)
    for _ in range(3):
        read_events(collecting, ref)
    assert store.collected.expectations(["u"])[0].passed == 8
    assert store.collected.flows(["u"])["u"][0].rows == 8


def test_history_that_was_made_up_is_marked(fake: Fake, store: Store, collecting: CollectContext) -> None:
    ref = MIGRATION.pipelines[0]
    fake.updates.append({"update_id": "u", "pipeline_id": "p", "state": "COMPLETED", "creation_time": MS})
    course(fake, "u", 10, "(generated history)")
    read_events(collecting, ref)
    read_updates(collecting, ref)
    read_events(collecting, ref)
    fake.event(100, "u", "user_action", {})
    read_events(collecting, ref)
    assert store.collected.update("u").generated  # type: ignore[union-attr]
    fake.run(1, description="(generated) history")
    read_runs(collecting, "baseline")
    assert store.collected.run(1).generated  # type: ignore[union-attr]


def record(n: int, **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"r{n}", "record_type": "ORIGINAL", "usage_start_time": T, "usage_end_time": T, "sku_name": "S",
        "usage_unit": "DBU", "usage_quantity": 2, "billing_origin_product": "JOBS", "custom_tags": [], "job_id": "1",
        "job_run_id": "10", "pipeline_id": None, "update_id": None, "maintenance_id": None, "serverless": False,
        "photon": True, "dlt_tier": None, "list_price": "0.5", **more,
    }  # fmt: skip


def test_billing_reads_its_last_hours_again_and_takes_corrections(
    store: Store, collecting: CollectContext, sql: FakeSql
) -> None:
    rows = [record(1, list_price=None), record(2, job_id=None, pipeline_id="p", update_id="u")]
    sql.answers["system.billing.usage"] = rows
    while read_billing(collecting) is not None:
        pass
    assert {u.record_id: (u.side, u.usd) for u in store.collected.usage()} == {
        "r1": ("baseline", None),
        "r2": ("candidate", 1.0),
    }
    rows[0] = record(1)
    rows.append(record(1, record_type="RETRACTION", usage_quantity=-2))
    read_billing(collecting)
    assert sum(u.usd or 0 for u in store.collected.usage() if u.side == "baseline") == 0.0
    text, values = sql.asked[-1]
    assert values["start_from"] == T + timedelta(days=1) - timedelta(hours=48)
    assert "'1'" not in text and values["job0"] == "1" and values["pipeline0"] == "p", "values are bound"


def test_billing_is_that_of_this_workspace(collecting: CollectContext, sql: FakeSql, server: Server) -> None:
    sql.answers["system.billing.usage"] = []
    read_billing(collecting)
    text, values = sql.asked[-1]
    assert "u.workspace_id = :workspace" in text and values["workspace"] == "77"
    del server.routes["GET", "/.well-known/databricks-config"]
    nameless = CollectContext(collecting.store, server.workspace(), MIGRATION, clock=collecting.clock)
    nameless.workspace.sql = sql
    with pytest.raises(WorkspaceError, match="the workspace does not say its number"):
        read_billing(nameless)


@pytest.mark.parametrize("missing", ["old", "new", "both"])
def test_billing_lineage_and_links_go_on_without_a_job_or_a_pipeline(
    server: Server, fake: Fake, store: Store, collecting: CollectContext, sql: FakeSql, missing: str
) -> None:
    there = {"old", "new"} - {missing} if missing != "both" else set()
    server.on("GET", "/api/2.2/jobs/list", lambda r: fake.list_jobs(r) if r.one("name") in there else {"jobs": []})
    server.on(
        "GET", "/api/2.0/pipelines", {} if missing == "both" else {"statuses": [{"pipeline_id": "p", "name": "prod"}]}
    )
    consumer = {
        "table_name": "c.s.t", "kind": "NOTEBOOK", "consumer_id": "n", "user_name": "u", "last_seen": T, "reads": 1,
    }  # fmt: skip
    sql.answers |= {"system.billing.usage": [], "table_lineage": [consumer], "pipeline_update_timeline": []}
    read_lineage(collecting)
    read_links(collecting)
    read_billing(collecting)
    assert [c.consumer_id for c in store.collected.consumers()] == ["n"]
    asked = [values for text, values in sql.asked if "system.billing.usage" in text]
    bound = {k: v for values in asked for k, v in values.items() if k.startswith(("job", "pipeline"))}
    assert set(bound.values()) == {str(JOBS[name]) for name in there} | (set() if missing == "both" else {"p"})


def test_the_bills_of_a_job_that_is_new_are_read_from_the_start(
    server: Server, fake: Fake, collecting: CollectContext, sql: FakeSql
) -> None:
    sql.answers["system.billing.usage"] = []
    server.on("GET", "/api/2.2/jobs/list", lambda r: fake.list_jobs(r) if r.one("name") == "old" else {"jobs": []})
    while read_billing(collecting) is not None:
        pass
    read_billing(collecting)
    assert sql.asked[-1][1]["start_from"] == T + timedelta(days=1) - timedelta(hours=48)
    server.on("GET", "/api/2.2/jobs/list", fake.list_jobs)
    assert read_billing(collecting) is not None
    assert sql.asked[-1][1]["start_from"] == T + timedelta(days=1) - timedelta(days=30)


def table(kind: str, **more: Any) -> dict[str, Any]:
    return {"table_type": kind, "columns": [{"name": "a", "type_text": "int", "position": 0}], **more}


def test_tables_are_counted_when_something_may_have_written_them(
    fake: Fake, store: Store, collecting: CollectContext, sql: FakeSql
) -> None:
    fake.tables["c.s.t"] = table("MANAGED")
    fake.tables["c.s.v2_t"] = table("MATERIALIZED_VIEW", pipeline_id="p")
    metrics = {"numOutputRows": "5"}
    sql.answers["DESCRIBE HISTORY"] = [
        {"version": 3, "timestamp": T, "operation": "WRITE", "operationMetrics": metrics}
    ]
    sql.answers["count(*)"] = [{"n": 5}]
    read_tables(collecting)
    found = store.collected.tables()
    assert (found["c.s.t"].rows, found["c.s.t"].version, found["c.s.t"].grants) == (5, 3, (("a", "SELECT"),))
    assert found["c.s.v2_t"].rows == 5 and found["c.s.t_old"].exists is False
    asked = len(sql.asked)
    read_tables(collecting)
    assert len(sql.asked) == asked, "nothing was written since, so nothing is counted"


def test_a_name_that_became_a_view_forgets_what_was_counted_of_the_table(
    fake: Fake, store: Store, collecting: CollectContext, sql: FakeSql
) -> None:
    fake.tables["c.s.t"] = table("MANAGED")
    sql.answers["DESCRIBE HISTORY"] = [{"version": 3, "timestamp": T, "operation": "WRITE", "operationMetrics": {}}]
    sql.answers["count(*)"] = [{"n": 5}]
    read_tables(collecting)
    fake.tables["c.s.t_old"] = fake.tables["c.s.t"]
    fake.tables["c.s.t"] = table("VIEW", view_definition="SELECT * FROM `c`.`s`.`v2_t`")
    read_tables(collecting)
    found = store.collected.tables()
    assert (found["c.s.t"].serves, found["c.s.t"].rows) == ("c.s.v2_t", None)
    assert found["c.s.t_old"].rows == 5


def test_one_table_that_may_not_be_read_does_not_hide_the_others(
    server: Server, fake: Fake, store: Store, collecting: CollectContext, sql: FakeSql
) -> None:
    fake.tables["c.s.v2_t"] = table("VIEW", view_definition="SELECT 1")
    sql.answers["count(*)"] = [{"n": 1}]

    def denied(_: Request) -> Any:
        raise Refusal(403, "PERMISSION_DENIED", "no USE SCHEMA")

    server.on("GET", "/api/2.1/unity-catalog/tables/c.s.t", denied)
    with pytest.raises(WorkspaceError, match="no USE SCHEMA"):
        read_tables(collecting)
    assert store.collected.tables()["c.s.v2_t"].rows == 1


def test_a_job_that_is_missing_does_not_hide_the_other(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    server.on("GET", "/api/2.2/jobs/list", lambda r: fake.list_jobs(r) if r.one("name") == "new" else {"jobs": []})
    with pytest.raises(WorkspaceError, match="no job of this name"):
        read_schedules(collecting)
    found = store.collected.schedules()
    assert set(found) == {"candidate"} and found["candidate"].pause_status == "PAUSED"


def test_a_turn_stops_between_two_calls_when_the_worker_ends(fake: Fake, store: Store, server: Server) -> None:
    stop = threading.Event()
    collecting = CollectContext(store.collected, server.workspace(), MIGRATION, stop=stop)
    stop.set()
    with pytest.raises(Stopping):
        read_runs(collecting, "baseline")


# -------------------------------------------------------------------------------------------------------- summarize


def told_event(n: int, status: str, **progress: Any) -> EventRecord:
    details = {"flow_progress": {"status": status, **progress}}
    return EventRecord("p", f"e{n}", "u", T + timedelta(seconds=n), "INFO", "flow_progress", "m", "d", details)


def test_rows_and_expectations_of_several_batches_add_up() -> None:
    expectations = [{"name": "x", "dataset": "d", "passed_records": 3, "failed_records": 1}]
    batches = [
        told_event(
            n,
            "RUNNING",
            metrics={"num_output_rows": 4},
            data_quality={"dropped_records": 1, "expectations": expectations},
        )
        for n in (1, 2)
    ]
    told = summarize("u", [told_event(9, "COMPLETED"), *batches, told_event(0, "STARTING")])
    assert (told.flows[0].rows, told.flows[0].dropped, told.flows[0].seconds) == (8, 2, 8.0)
    assert (told.expectations[0].passed, told.expectations[0].failed) == (6, 2)


def test_a_flow_that_did_not_say_its_rows_has_unknown_rows() -> None:
    told = summarize("u", [told_event(1, "RUNNING"), told_event(2, "FAILED")])
    assert told.flows[0].rows is None and told.flows[0].status == "FAILED" and told.ended_at is None


# -------------------------------------------------------------------------------------------------------- collector


def collector_of(store: Store, *sources: Source) -> Collector:
    return Collector(sources, store.collected)


def wait_until(condition: Callable[[], bool], collector: Collector | None = None, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        if collector is not None:
            collector.tick()
        time.sleep(0.01)


def test_a_source_that_fails_or_hangs_holds_up_no_other(store: Store) -> None:
    hang, turns = threading.Event(), []

    def fails() -> None:
        raise WorkspaceError("read it", "throttled", retry_after=30.0, retryable=True)

    collector = collector_of(
        store,
        Source("hangs", 0.0, lambda: hang.wait(20) and None),
        Source("fails", 0.0, fails),
        Source("bug", 0.0, lambda: 1 / 0),  # type: ignore[arg-type,return-value]
        Source("works", 0.0, lambda: turns.append(1)),
    )
    wait_until(lambda: len(turns) >= 5 and {"fails", "bug"} <= set(store.collected.sources()), collector, 20)
    states = store.collected.sources()
    assert states["works"].error is None
    assert states["fails"].error == "read it: throttled" and states["fails"].failures == 1, (
        "it waits as it was asked to"
    )
    assert "ZeroDivisionError" in (states["bug"].error or "")
    assert "hangs" not in states
    hang.set()
    assert collector.idle(5)


def test_a_failure_is_said_once_and_that_it_is_over(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    answers = iter(["no such job", "no such job", "no rights", None, "no such job"])

    def read() -> None:
        if (error := next(answers)) is not None:
            raise WorkspaceError("read it", error)

    collector = collector_of(store, Source("jobs", 0.0, read))
    with caplog.at_level("INFO", "app.collect"):
        for _ in range(5):
            collector.once()
    said = [(r.levelname, r.getMessage()) for r in caplog.records]
    assert said == [
        ("WARNING", "source jobs: read it: no such job"),
        ("WARNING", "source jobs: read it: no rights"),
        ("INFO", "source jobs: recovered"),
        ("WARNING", "source jobs: read it: no such job"),
    ]


def test_what_fails_while_the_workspace_is_prepared_is_stored_but_said_only_after(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = iter([False, False, True])

    def read() -> None:
        raise WorkspaceError("read it", "no such job")

    source = Source("jobs", 0.0, read)
    collector = Collector([source], store.collected, awaited=lambda: not next(prepared))
    with caplog.at_level("INFO", "app.collect"):
        for turn in range(1, 4):
            collector.once()
            assert store.collected.sources()["jobs"].failures == turn
            assert len(caplog.records) == (turn == 3)


def test_a_failing_source_waits_ever_longer_but_not_for_ever() -> None:
    assert [pause_after(15, n) for n in (0, 1, 2, 3, 60)] == [15, 30, 60, 60, 60]
    assert [pause_after(15, n, burdened=True) for n in (3, 60)] == [120, 600]
    assert pause_after(15, 1, 900.0) == 900.0
    assert pause_after(900, 1) == 30, "a source with a long interval is not given up for that long"


def test_a_retry_after_of_hours_is_capped_and_the_next_attempt_is_known_and_shown(store: Store) -> None:
    assert pause_after(15, 1, 86_400.0) == pause_after(15, 1, float("inf")) == LONGEST_RETRY_AFTER

    def throttled() -> str | None:
        raise WorkspaceError("read", "throttled", status=429, retryable=True, retry_after=86_400.0)

    collector = Collector([Source("jobs", 30, throttled)], store.collected, clock=lambda: T)
    assert collector.once() == {"jobs": "read: throttled"}
    found = store.collected.sources()["jobs"]
    assert found.next_attempt == T + timedelta(seconds=LONGEST_RETRY_AFTER)
    assert "next attempt in 15 min: read: throttled" in troubles([found], T)[0]
    store.collected.source_succeeded("jobs", T, 30)
    assert store.collected.sources()["jobs"].next_attempt is None


def test_hanging_sources_however_many_hold_up_no_other(store: Store) -> None:
    hang, turns = threading.Event(), []
    hanging = [Source(f"hangs {n}", 0.0, lambda: hang.wait(20) and None) for n in range(8)]
    collector = collector_of(store, *hanging, Source("works", 0.0, lambda: turns.append(1)))
    wait_until(lambda: len(turns) >= 3, collector)
    hang.set()
    assert collector.idle(5)


def test_a_refresh_is_served_by_turns_that_began_after_it(store: Store) -> None:
    began, release = [], threading.Event()

    def slow() -> None:
        began.append(1)
        release.wait(5)

    collector = collector_of(store, Source("slow", 1000, slow), Source("lazy", 1000, lambda: None, quick=False))
    collector.tick()
    wait_until(lambda: len(began) == 1)
    number = store.collected.request_refresh("x")
    collector.tick()
    release.set()
    wait_until(lambda: store.collected.refresh_done(number), collector)
    assert len(began) == 2, "the turn that was under way does not count"


def test_a_refresh_is_done_even_when_a_source_fails(store: Store) -> None:
    def fails() -> None:
        raise WorkspaceError("x", "y")

    collector = collector_of(store, Source("fails", 1000, fails))
    number = store.collected.request_refresh("x")
    wait_until(lambda: store.collected.refresh_done(number), collector)


def test_older_history_goes_on_at_once_and_not_after_the_interval(store: Store) -> None:
    collector = collector_of(store, Source("old", 1000, lambda: "more is to come"))
    collector.tick()
    wait_until(lambda: bool(store.collected.sources()))
    assert collector.idle(5)
    assert store.collected.sources()["old"].backlog == "more is to come"
    assert collector._due["old"] - datetime.now(UTC) < timedelta(seconds=2)


def test_what_is_read_by_sql_lets_a_warehouse_stop_and_follows_what_ended(
    store: Store, fake: Fake, collecting: CollectContext
) -> None:
    by_sql = [s for s in sources(collecting) if s.name in ("links", "billing", "lineage")]
    assert {s.interval for s in by_sql} == {3600.0} and all(s.news is not None for s in by_sql)
    moment, ticks = [T + timedelta(days=1)], [0.0]
    ended = Ended(store.collected, lambda: moment[0], lambda: ticks[0])

    def mark(minutes: float = 0.0) -> object:
        moment[0] += timedelta(minutes=minutes)
        ticks[0] += 15
        return ended()

    before = mark()
    assert before == mark(60), "nothing ran"
    store.collected.put_runs([run(1, "candidate", moment[0] - timedelta(hours=1))])
    assert mark() != before
    marks = [mark(1) for _ in range(120)]
    assert len(set(marks)) == 4, "at the end, and three times more"
    assert marks[-1] == marks[20]


def test_news_begins_a_turn_at_once_but_not_of_a_source_that_fails_and_waits(store: Store) -> None:
    moment, news, turns = [T], [0], []
    failing = [False]

    def read() -> None:
        turns.append(moment[0])
        if failing[0]:
            raise WorkspaceError("x", "no", status=503)

    source = Source("billing", 3600, read, news=lambda: news[0])
    collector = Collector([source], store.collected, clock=lambda: moment[0])

    def ticked() -> int:
        collector.tick()
        collector.idle(20)
        return len(turns)

    assert ticked() == 1 and ticked() == 1
    news[0] = 1
    assert ticked() == 2 and ticked() == 2
    moment[0] += timedelta(hours=1)
    assert ticked() == 3
    failing[0], news[0] = True, 2
    assert ticked() == 4
    news[0] = 3
    assert ticked() == 4, "it waits as its failure says"
    failing[0] = False
    moment[0] += timedelta(hours=1)
    assert ticked() == 5
    news[0] = 4
    assert ticked() == 6
