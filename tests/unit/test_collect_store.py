"""What was collected, in the store: upserts, cost of runs, snapshots, comparisons and their streak; SQLite and Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.parity.current_streak import current_streak
from app.parity.streak import NotCollected, NotCompared, Streak
from app.store.collected.records import (
    EventRecord,
    TableRecord,
    TaskRunRecord,
)
from app.store.open import Store, open_store
from app.store.parity import ALIVE_SECONDS, ComparisonTaken
from app.store.parity_records import ParityState, Producer, runs_table
from tests.support.collecting import HOUR, T, run, update, usage


def test_a_run_read_twice_is_kept_once_in_its_newest_form(store: Store) -> None:
    c = store.collected
    c.put_runs([run(1, life_cycle_state="RUNNING", result_state=None, end_time=None, run_seconds=None)])
    assert c.runs("baseline")[0].active
    c.put_runs([run(1)], [TaskRunRecord(1, "a", 11, "FAILED", T, T, 1.0, "boom")])
    c.put_runs([run(1)], [TaskRunRecord(1, "a", 11, "FAILED", T, T, 1.0, None)])
    (kept,) = c.runs("baseline")
    assert kept == run(1) and kept.start_time.tzinfo is not None
    assert c.tasks([1])[1][0].error == "boom"


def test_runs_are_cut_by_time_state_and_number(store: Store) -> None:
    c = store.collected
    c.put_runs([run(i, start=T + i * HOUR, result_state="FAILED" if i == 3 else "SUCCESS") for i in range(6)])
    assert [r.run_id for r in c.runs(since=T + 2 * HOUR, until=T + 5 * HOUR)] == [4, 3, 2]
    assert [r.run_id for r in c.runs(states=("FAILED",))] == [3]
    assert [r.run_id for r in c.runs(limit=2)] == [5, 4]
    assert c.run(99) is None


def test_measured_and_generated_history_is_counted_apart(store: Store) -> None:
    c = store.collected
    c.put_runs([run(i, start=T + i * HOUR, generated=i < 2) for i in range(6)])
    c.put_updates([update("u1"), update("u2", generated=True)])
    assert (c.run_counts(T), c.run_counts(T + HOUR), c.run_counts(T + 9 * HOUR)) == ((4, 2), (4, 1), (0, 0))
    assert (c.update_counts(T - HOUR), c.update_counts(T + 9 * HOUR)) == ((1, 1), (0, 0))


def test_what_is_known_of_an_update_is_not_forgotten_when_its_state_is_read_again(store: Store) -> None:
    c = store.collected
    c.put_runs([run(5, "candidate", generated=True)])
    c.put_updates([update("u1"), update("u2")])
    c.put_update_ends({"u1": T + timedelta(seconds=90)})
    c.put_update_runs({"u1": 5})
    c.put_updates([update("u1"), update("u2")])
    known = c.update("u1")
    assert known is not None
    assert (known.seconds, known.job_run_id, known.generated, known.refresh_selection) == (90.0, 5, True, ("a",))
    assert not c.update("u2").generated  # type: ignore[union-attr]


def test_an_update_belongs_to_the_task_that_ran_its_pipeline_then(store: Store) -> None:
    c = store.collected
    task = TaskRunRecord(7, "dlt", 70, "SUCCESS", T, T + HOUR, 1.0, None, "p")
    other = TaskRunRecord(8, "dlt", 80, "SUCCESS", T + 2 * HOUR, T + 3 * HOUR, 1.0, None, "p")
    c.put_runs([run(7, "candidate"), run(8, "candidate", T + 2 * HOUR)], [task, other])
    c.put_updates(
        [
            update("in", T + HOUR / 2),
            update("between", T + 1.5 * HOUR),
            update("own", T + HOUR / 2, cause="USER_ACTION"),
        ]
    )
    assert c.updates_without_run(T) == [("in", 7)]


def test_a_billing_record_that_is_read_again_is_replaced(store: Store) -> None:
    c = store.collected
    c.put_usage([usage("job", 1.0, 0.5, job_run_id=2), usage("job", -1.0, -0.5, "RETRACTION", job_run_id=2)])
    c.put_usage([usage("job", 1.0, 0.75, job_run_id=2, maintenance_id="m")])
    assert {(u.record_type, u.usd, u.maintenance_id) for u in c.usage()} == {
        ("ORIGINAL", 0.75, "m"),
        ("RETRACTION", -0.5, None),
    }


def test_what_was_billed_is_summed_by_side_in_whole_billionths(store: Store) -> None:
    c = store.collected
    c.put_usage([usage(str(n), 0.1, 0.1, start=T + n * HOUR) for n in range(10)])
    c.put_usage([usage("old", 2.0, None, side="baseline"), usage("made up", 9.0, 9.0, generated=True)])
    assert c.billed(T, T + 3 * HOUR) == {
        "candidate": (300_000_000, 300_000_000, 3, 0),
        "baseline": (2_000_000_000, 0, 1, 1),
    }


def test_a_delivery_is_read_from_the_success_before_it_else_from_the_first_run(store: Store) -> None:
    c = store.collected
    assert c.delivered_from("baseline", T) is None
    c.put_runs([run(1, start=T - 5 * HOUR), run(2, start=T - 2 * HOUR, result_state="FAILED"), run(3, start=T)])
    c.put_runs([run(4, start=T - HOUR, generated=True)])
    assert c.delivered_from("baseline", T) == T - 5 * HOUR
    assert c.delivered_from("baseline", T - 5 * HOUR) == T - 5 * HOUR
    assert c.delivered_from("candidate", T) is None


def test_a_failing_source_keeps_its_last_success(store: Store) -> None:
    c = store.collected
    c.source_succeeded("billing", T, 300, "more")
    assert c.source_failed("billing", T + HOUR, 300, "no") == 1
    assert c.source_failed("billing", T + 2 * HOUR, 300, "no again") == 2
    status = c.sources()["billing"]
    assert (status.last_success, status.last_attempt, status.error, status.failures) == (T, T + 2 * HOUR, "no again", 2)
    c.source_succeeded("billing", T + 3 * HOUR, 300)
    assert c.sources()["billing"].error is None


def test_events_are_filtered_in_the_store(store: Store) -> None:
    c = store.collected
    events = [
        EventRecord(
            "p",
            f"e{i}",
            f"u{i % 2}",
            T + i * HOUR,
            "ERROR" if i == 3 else "INFO",
            "flow_progress",
            "m",
            "d",
            {"k": [i]},
        )
        for i in range(6)
    ]
    c.put_events(events)
    c.put_events(events)
    assert [e.event_id for e in c.events(update_id="u1")] == ["e5", "e3", "e1"]
    assert [e.details for e in c.events(levels=("ERROR",))] == [{"k": [3]}]
    assert [e.event_id for e in c.events(since=T + HOUR, before=T + 3 * HOUR)] == ["e2", "e1"]
    assert c.known_events("p", ["e1", "x"]) == {"e1"} and c.known_events("q", ["e1"]) == set()


def test_table_states_come_back_as_they_went_in(store: Store) -> None:
    record = TableRecord(
        name="c.s.t", table="t", side="kept", exists=True, table_type="VIEW", owner="o", pipeline_id=None,
        view_definition="SELECT * FROM c.s.u", serves="c.s.u", columns=(), grants=(("a", "SELECT"),),
        hangers={"row_filter": "f"}, rows=1, version=None, updated_at=T, rows_as_of=T, as_of=T,
    )  # fmt: skip
    store.collected.put_tables([record])
    assert store.collected.tables() == {"c.s.t": record}


def test_a_refresh_is_done_when_the_worker_says_so(store: Store) -> None:
    c = store.collected
    first, second = c.request_refresh("a"), c.request_refresh("b")
    assert second > first and c.pending_refresh() == second and not c.refresh_done(first)
    c.finish_refresh(first)
    assert c.refresh_done(first) and not c.refresh_done(second) and c.pending_refresh() == second
    c.finish_refresh(second)
    assert c.pending_refresh() is None and not c.refresh_done(10_000)


def test_no_reading_scans_a_whole_history(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    queries = {
        "collected_runs": "side = 'baseline' AND start_time >= '2026' ORDER BY start_time DESC, run_id DESC LIMIT 9",
        "collected_updates": "environment = 'production' AND start_time >= '2026' ORDER BY start_time DESC LIMIT 9",
        "collected_events": "update_id = 'u' ORDER BY timestamp DESC LIMIT 9",
        "collected_usage": "job_run_id IN (1, 2)",
        "collected_tasks": "run_id IN (1, 2)",
        "collected_expectations": "timestamp >= '2026'",
        "parity_tables": "sides = 'production' AND \"table\" = 't' AND finished_at > '2026'",
    }
    with store.engine.connect() as c:
        for table, condition in queries.items():
            plan = c.execute(text(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {condition}")).all()
            assert "SEARCH" in plan[0].detail, (table, plan)


# ------------------------------------------------------------------------------------------------------- comparisons

OLD = Producer("run", "10", 10, T)
NEW = Producer("update", "u1", 20, T + timedelta(minutes=5))


def compared(store: Store, verdicts: dict[str, str], pair: tuple[Producer, Producer] = (OLD, NEW)) -> str:
    p = store.parity
    parity_id = p.request(list(verdicts), "x")
    assert p.claim("w").id == parity_id  # type: ignore[union-attr]
    p.set_producers(parity_id, *pair, None)
    for table, verdict in verdicts.items():
        p.progress(parity_id, table, "schema", 0.5)
        p.finish_table(
            parity_id, table, {"verdict": verdict, "label": verdict.upper(), "baseline_rows": 3, "seconds": 1.5}
        )
    p.finish(parity_id, ParityState.DONE)
    return parity_id


def test_an_equal_request_that_waits_is_not_doubled(store: Store) -> None:
    p = store.parity
    first = p.request(["a", "b"], "x")
    assert p.request(["a", "b"], "y") == first
    assert p.request(["a"], "y") != first and p.request(["a", "b"], "y", final=True) != first
    for wrong in ([], ["a"]):
        with pytest.raises(ValueError, match=r"at least one|none of"):
            p.request(wrong, "x", sides="production" if not wrong else "other")


def test_people_go_before_automatic_requests_and_each_is_claimed_once(store: Store) -> None:
    p = store.parity
    auto = p.request(["a"], "worker", trigger="auto")
    mine = p.request(["b"], "x")
    assert [c.id if (c := p.claim("w")) else None for _ in range(3)] == [mine, auto, None]


def test_the_worst_table_decides_a_comparison(store: Store) -> None:
    worst = compared(store, {"a": "identical", "b": "not_proven", "c": "different"})
    assert store.parity.run(worst).verdict == "different"  # type: ignore[union-attr]
    assert store.parity.run(compared(store, {"a": "identical", "b": "not_proven"})).verdict == "not_proven"  # type: ignore[union-attr]
    assert store.parity.run(compared(store, {"a": "identical"})).verdict == "identical"  # type: ignore[union-attr]


def test_what_was_not_finished_is_never_identical(store: Store) -> None:
    p = store.parity
    parity_id = p.request(["a", "b"], "x")
    p.claim("w")
    p.finish_table(parity_id, "a", {"verdict": "identical"})
    p.finish(parity_id, ParityState.FAILED, "the worker broke")
    assert p.run(parity_id).verdict == "not_proven"  # type: ignore[union-attr]
    assert [t.verdict for t in p.table_results(parity_id)] == ["identical", "not_proven"]
    done = p.request(["a", "b"], "x")
    p.claim("w")
    p.finish_table(done, "a", {"verdict": "identical"})
    assert p.finish(done, ParityState.DONE) == "not_proven"


def test_a_waiting_request_is_cancelled_at_once_and_a_running_one_is_told(store: Store) -> None:
    p = store.parity
    waiting = p.request(["a"], "x")
    assert p.cancel(waiting, "y") and p.run(waiting).state is ParityState.CANCELLED  # type: ignore[union-attr]
    assert p.claim("w") is None and not p.cancel(waiting, "y")
    running = p.request(["a"], "x")
    p.claim("w")
    assert p.cancel_requested(running) is None
    assert p.cancel(running, "y") and p.cancel_requested(running) == "y"


def test_what_a_dead_worker_left_running_starts_again_from_the_table_it_was_at(store: Store) -> None:
    p = store.parity
    parity_id = p.request(["a", "b"], "x")
    p.claim("dead")
    p.finish_table(parity_id, "a", {"verdict": "identical"})
    p.progress(parity_id, "b", "fingerprint", 0.4)
    p.heartbeat(parity_id, "dead")
    assert p.executor(parity_id) == "dead"
    assert p.requeue_interrupted("new") == [], "it may be at work"
    with store.engine.begin() as c:
        c.execute(runs_table.update().values(alive_at=datetime.now(UTC) - timedelta(seconds=ALIVE_SECONDS + 1)))
    assert p.executor(parity_id) is None and p.requeue_interrupted("new") == [parity_id]
    states = {t.table: t.state for t in p.table_results(parity_id)}
    assert states == {"a": ParityState.DONE, "b": ParityState.INTERRUPTED}
    assert p.claim("new").id == parity_id  # type: ignore[union-attr]
    before = p.run(parity_id), p.table_results(parity_id)
    for record in (
        lambda: p.heartbeat(parity_id, "dead"),
        lambda: p.progress(parity_id, "b", "details", 0.9, "dead"),
        lambda: p.finish_table(parity_id, "b", {"verdict": "identical"}, "dead"),
        lambda: p.fail_table(parity_id, "a", "no connection", "dead"),
        lambda: p.set_producers(parity_id, None, None, None, worker="dead"),
        lambda: p.forget_results(parity_id, "dead"),
        lambda: p.finish(parity_id, ParityState.FAILED, "no connection", "dead"),
    ):
        with pytest.raises(ComparisonTaken):
            record()
    assert (p.run(parity_id), p.table_results(parity_id)) == before


def test_what_a_worker_left_running_itself_starts_again_and_what_it_compares_is_forgotten_if_written_since(
    store: Store,
) -> None:
    p = store.parity
    parity_id = p.request(["a"], "x", final=True)
    p.claim("w")
    p.finish_table(parity_id, "a", {"verdict": "different", "label": "DIFFERENT", "baseline_rows": 3, "final": False})
    assert p.requeue_interrupted("w") == [parity_id]
    p.claim("w")
    p.forget_results(parity_id)
    (table,) = p.table_results(parity_id)
    assert (table.state, table.verdict, table.baseline_rows, table.finished_at) == (
        ParityState.INTERRUPTED,
        None,
        None,
        None,
    )
    assert table.final and p.report(parity_id, "a") is None and p.latest() == {}
    p.progress(parity_id, "a", "schema", 0.1)
    assert p.table_results(parity_id)[0].state is ParityState.RUNNING


def test_producers_keep_their_state_and_older_records_are_of_what_succeeded(store: Store) -> None:
    p = store.parity
    failed = Producer("run", "1", 1, T, "FAILED")
    parity_id = p.request(["a"], "x")
    p.claim("w")
    p.set_producers(parity_id, failed, NEW, "written by halves", proven=False)
    found = p.run(parity_id)
    assert found is not None and found.baseline == failed and not failed.succeeded and found.pair is None
    with store.engine.begin() as c:
        old = {"kind": "update", "id": "u1", "job_run_id": None, "ended_at": None}
        c.execute(runs_table.update().where(runs_table.c.id == parity_id).values(candidate=old))
    found = p.run(parity_id)
    assert found is not None and found.candidate == Producer("update", "u1", None, None) and found.candidate.succeeded


def test_what_was_cancelled_before_the_worker_died_stays_cancelled(store: Store) -> None:
    p = store.parity
    parity_id = p.request(["a"], "x")
    p.claim("dead")
    p.cancel(parity_id, "y")
    p.requeue_interrupted("new")
    assert p.run(parity_id).state is ParityState.CANCELLED and p.claim("new") is None  # type: ignore[union-attr]


def test_the_latest_result_of_a_table_leaves_out_cancelled_ones(store: Store) -> None:
    p = store.parity
    first = compared(store, {"a": "identical", "b": "different"})
    cancelled = p.request(["a"], "x")
    p.claim("w")
    p.finish(cancelled, ParityState.CANCELLED, "cancelled by y")
    latest = p.latest()
    assert {t: (r.parity_id, r.verdict, r.baseline_rows) for t, r in latest.items()} == {
        "a": (first, "identical", 3),
        "b": (first, "different", 3),
    }
    assert p.latest("development") == {}
    assert [h.parity_id for h in p.history("a")] == [cancelled, first]
    assert p.report(first, "a")["label"] == "IDENTICAL"  # type: ignore[index]


def pair(n: int) -> tuple[Producer, Producer]:
    """The run and the update of the n-th six hours."""
    ended = T + 6 * n * HOUR
    return Producer("run", str(n), n, ended), Producer("update", f"u{n}", None, ended)


def collected(store: Store, *numbers: int, backlog: str | None = None) -> None:
    """These pairs succeeded, and both sources were read until far beyond them."""
    for n in numbers:
        store.collected.put_runs([run(n, start=T + (6 * n - 1) * HOUR)])
        store.collected.put_updates([update(f"u{n}", T + (6 * n - 1) * HOUR)])
        store.collected.put_update_ends({f"u{n}": T + 6 * n * HOUR})
    for source in ("runs:baseline", "updates:production"):
        store.collected.source_succeeded(source, T + 1000 * HOUR, 15.0, backlog)


def test_the_streak_counts_pairs_of_runs_and_the_newest_comparison_of_a_pair_decides(store: Store) -> None:
    clean, bad = {"a": "identical", "b": "identical"}, {"a": "identical", "b": "different"}
    tables = ["a", "b"]
    collected(store, *range(1, 5))
    assert current_streak(store, tables).runs == 0
    compared(store, clean, pair(1))
    broken = compared(store, bad, pair(2))
    assert current_streak(store, tables).broken_by == broken and current_streak(store, tables).runs == 0
    compared(store, bad, pair(3))
    compared(store, clean, pair(3))
    compared(store, clean, pair(4))
    compared(store, clean, pair(4))
    compared(store, {"a": "different"}, pair(5))
    found = current_streak(store, tables)
    assert (found.runs, found.tables, found.broken_by) == (2, 4, broken)
    assert found.since is not None and found.until is not None and found.since < found.until


def test_one_old_run_against_many_updates_is_one_clean_pair(store: Store) -> None:
    (run_, first), (_, second) = pair(1), pair(2)
    collected(store, 1)
    compared(store, {"a": "identical"}, (run_, first))
    compared(store, {"a": "identical"}, (run_, second))
    compared(store, {"a": "identical"}, pair(3))
    assert current_streak(store, ["a"]).runs == 2
    compared(store, {"a": "identical"}, (None, None))
    assert current_streak(store, ["a"]).runs == 2


def test_pairs_of_runs_that_were_collected_and_not_compared_end_the_row(store: Store) -> None:
    collected(store, *range(1, 6))
    for n in (1, 2, 5):
        compared(store, {"a": "identical"}, pair(n))
    found = current_streak(store, ["a"])
    assert isinstance(found.ended, NotCompared) and (found.runs, found.days().days) == (1, 0.0)
    assert [(p.run.id, p.update.id) for p in found.ended.pairs] == [("3", "u3"), ("4", "u4")]
    assert current_streak(store, ["a"], "development") == Streak()


def test_neither_a_comparison_of_other_tables_nor_a_cancelled_one_covers_a_pair(store: Store) -> None:
    collected(store, *range(1, 5))
    compared(store, {"a": "identical"}, pair(1))
    compared(store, {"b": "identical"}, pair(2))
    cancelled = store.parity.request(["a"], "x")
    store.parity.claim("w")
    store.parity.set_producers(cancelled, *pair(3), None)
    store.parity.finish(cancelled, ParityState.CANCELLED, "cancelled by y")
    compared(store, {"a": "identical"}, pair(4))
    found = current_streak(store, ["a"])
    assert found.runs == 1 and isinstance(found.ended, NotCompared) and len(found.ended.pairs) == 2


@pytest.mark.parametrize("made_up", ["generated", "failed", "validate_only"])
def test_what_was_made_up_failed_or_only_validated_makes_no_pair(store: Store, made_up: str) -> None:
    collected(store, 1, 2, 3)
    start = T + 11 * HOUR
    if made_up != "validate_only":
        result = "FAILED" if made_up == "failed" else "SUCCESS"
        store.collected.put_runs([run(2, start=start, result_state=result, generated=made_up == "generated")])
    else:
        store.collected.put_updates([update("u2", start, validate_only=True)])
    for n in (1, 3):
        compared(store, {"a": "identical"}, pair(n))
    assert current_streak(store, ["a"]).runs == 2


def test_an_update_whose_end_is_not_told_yet_counts_from_when_it_was_asked_for(store: Store) -> None:
    collected(store, 1, 2, 4)
    store.collected.put_runs([run(3, start=T + 17 * HOUR)])
    store.collected.put_updates([update("u3", T + 17 * HOUR)])
    for n in (1, 2, 4):
        compared(store, {"a": "identical"}, pair(n))
    found = current_streak(store, ["a"]).ended
    assert isinstance(found, NotCompared) and [w.id for w in found.updates] == ["u3"]


def test_a_comparison_that_counts_for_no_pair_leaves_its_runs_uncompared(store: Store) -> None:
    collected(store, 1, 2, 3)
    compared(store, {"a": "identical"}, pair(1))
    blind = compared(store, {"a": "identical"}, pair(2))
    with store.engine.begin() as c:
        c.execute(runs_table.update().where(runs_table.c.id == blind).values(pair=None))
    compared(store, {"a": "identical"}, pair(3))
    found = current_streak(store, ["a"])
    assert found.runs == 1 and isinstance(found.ended, NotCompared) and found.ended.uncertain == (blind,)


def test_history_that_is_still_to_come_leaves_of_the_row_what_can_be_shown(store: Store) -> None:
    for n in (1, 2, 3):
        compared(store, {"a": "identical"}, pair(n))
    assert current_streak(store, ["a"]).runs == 1, "nothing was collected"
    collected(store, 1, 2, 3, backlog="older history is still to come")
    found = current_streak(store, ["a"])
    assert found.runs == 1 and isinstance(found.ended, NotCollected)
    collected(store)
    assert current_streak(store, ["a"]).runs == 3


def test_a_comparison_that_proved_nothing_breaks_the_streak(store: Store) -> None:
    compared(store, {"a": "identical"}, pair(1))
    compared(store, {"a": "not_proven"}, pair(2))
    assert current_streak(store, ["a"]).runs == 0


def test_the_time_between_what_produced_the_sides_is_kept(store: Store) -> None:
    run_of = store.parity.run(compared(store, {"a": "identical"}))
    assert run_of is not None and run_of.skew_seconds == 300.0 and run_of.baseline == OLD and run_of.candidate == NEW
