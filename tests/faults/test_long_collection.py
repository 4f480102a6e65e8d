"""Long histories are collected in parts, newest first; after that one call finds what is new."""

from __future__ import annotations

from app.collect.context import CollectContext
from app.collect.events import read_events
from app.collect.runs import read_runs
from app.collect.updates import read_updates
from app.store.open import Store
from tests.support.collecting import MIGRATION, MS, Fake, calls
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.workspace_server import Server

RUNS = "/api/2.2/jobs/runs/list"
UPDATES = "/api/2.0/pipelines/p/updates"
EVENTS = "/api/2.0/pipelines/p/events"


def test_new_runs_cost_two_calls_however_long_the_history(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    for i in range(1, 1001):
        fake.run(i)
    turns = 0
    while read_runs(collecting, "baseline") is not None:
        turns += 1
        assert turns < 20
    assert turns >= 3, "a long history comes in parts"
    assert len(store.collected.runs("baseline", limit=2000)) == 1000
    fake.run(1001)
    assert calls(server, RUNS, lambda: read_runs(collecting, "baseline")) == 2, "the new ones and the active ones"
    assert store.collected.runs("baseline", limit=1)[0].run_id == 1001


def test_updates_are_collected_in_parts_and_then_with_one_call(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    ref = MIGRATION.pipelines[0]
    for i in range(2500):
        fake.updates.append(
            {"update_id": f"u{i}", "pipeline_id": "p", "state": "COMPLETED", "creation_time": MS + i * 1000}
        )
    turns = 1
    while read_updates(collecting, ref) is not None:
        turns += 1
    assert turns > 1 and len(store.collected.updates(limit=5000)) == 2500
    fake.updates.append({"update_id": "new", "pipeline_id": "p", "state": "RUNNING", "creation_time": MS + 10**7})
    assert calls(server, UPDATES, lambda: read_updates(collecting, ref)) == 1
    fake.updates[-1]["state"] = "COMPLETED"
    read_updates(collecting, ref)
    assert store.collected.update("new").state == "COMPLETED"  # type: ignore[union-attr]


def test_a_long_event_log_comes_in_parts_and_late_events_are_found(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    ref = MIGRATION.pipelines[0]
    for i in range(3000):
        fake.event(i * 10, f"u{i // 30}", "user_action", {})
    turns = 1
    while read_events(collecting, ref) is not None:
        turns += 1
    assert turns > 1 and len(store.collected.events(limit=5000)) == 3000
    fake.event(29_985, "late", "user_action", {})  # before the newest, as events may arrive
    fake.event(30_005, "new", "user_action", {})
    assert calls(server, EVENTS, lambda: read_events(collecting, ref)) == 1
    assert len(store.collected.events(limit=5000)) == 3002
