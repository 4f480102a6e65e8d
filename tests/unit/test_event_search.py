"""Search over all stored events: conditions, paging, totals, export; each condition alone and together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.store.collected import event_search
from app.store.collected.event_search import EventQuery
from app.store.collected.records import EventRecord, FlowRecord, TaskRunRecord
from app.store.open import Store, open_store
from tests.support.collecting import T, run, update


def event(n: int, **more: Any) -> EventRecord:
    values: dict[str, Any] = {
        "pipeline_id": "p", "event_id": f"e{n:04}", "update_id": "u", "timestamp": T + timedelta(seconds=n),
        "level": "INFO", "event_type": "flow_progress", "message": f"m {n}", "dataset": "d", "details": {"n": n},
    }  # fmt: skip
    return EventRecord(**{**values, **more})


def found(store: Store, **conditions: Any) -> list[str]:
    return [e.event_id for e in store.collected.search_events(EventQuery(**conditions), limit=100).events]


@pytest.fixture
def filled(store: Store) -> Store:
    store.collected.put_updates([update("u"), update("v", environment="development", pipeline_id="q")])
    store.collected.put_events(
        [
            event(1, message="Flow 'A_b' has 100% done"),
            event(2, level="WARN", event_type="planning", dataset="c.s.Other", message="a\\b"),
            event(3, update_id="v", pipeline_id="q", message="AXb has 100 done"),
            event(4, level="ERROR", error={"exceptions": [{"message": "Division by zero"}]}, dataset=None),
        ]
    )
    return store


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({}, ["e0004", "e0003", "e0002", "e0001"]),
        ({"text": "a_b"}, ["e0001"]),
        ({"text": "100%"}, ["e0001"]),
        ({"text": "a\\b"}, ["e0002"]),
        ({"text": "OTHER"}, ["e0002"]),
        ({"text": "planning"}, ["e0002"]),
        ({"text": "division BY"}, ["e0004"]),
        ({"text": "'; DROP TABLE collected_events; --"}, []),
        ({"levels": ("WARN", "ERROR")}, ["e0004", "e0002"]),
        ({"event_types": ("planning",)}, ["e0002"]),
        ({"dataset": "c.s.Other"}, ["e0002"]),
        ({"update_id": "v"}, ["e0003"]),
        ({"environment": "development"}, ["e0003"]),
        ({"environment": "nowhere"}, []),
        ({"since": T + timedelta(seconds=2), "before": T + timedelta(seconds=4)}, ["e0003", "e0002"]),
        ({"levels": ("INFO",), "text": "done", "environment": "production"}, ["e0001"]),
    ],
)
def test_each_condition_selects(filled: Store, conditions: dict[str, Any], ids: list[str]) -> None:
    assert found(filled, **conditions) == ids
    assert filled.collected.search_events(EventQuery(**conditions), limit=1).total == len(ids)
    assert [e.event_id for e in filled.collected.matching_events(EventQuery(**conditions))] == ids


def test_pages_cover_all_matches_once(store: Store) -> None:
    store.collected.put_events([event(n, timestamp=T) for n in range(25)])
    pages = [store.collected.search_events(EventQuery(), limit=10, offset=o) for o in (0, 10, 20)]
    ids = [e.event_id for page in pages for e in page.events]
    assert len(set(ids)) == 25 and [p.total for p in pages] == [25] * 3
    assert ids == sorted(ids, reverse=True), "events of one moment have one order"


def test_an_export_has_every_match_whatever_the_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_search, "BATCH", 7)
    store.collected.put_events([event(n, timestamp=T + timedelta(seconds=n // 4)) for n in range(30)])
    ids = [e.event_id for e in store.collected.matching_events(EventQuery(text="m"))]
    assert len(ids) == len(set(ids)) == 30


def test_details_are_left_in_the_store(filled: Store) -> None:
    assert all(e.details == {} for e in filled.collected.search_events(EventQuery(), limit=9).events)


def test_types_and_datasets_are_listed_once(filled: Store) -> None:
    filled.collected.put_flows([FlowRecord("u", "b", "COMPLETED", 1, 1.0, T, T), FlowRecord("v", "b", "X", 1, 1.0, T, T),
                                FlowRecord("u", "a", "COMPLETED", 1, 1.0, T, T)], [])  # fmt: skip
    assert filled.collected.event_types() == ["flow_progress", "planning"]
    assert filled.collected.datasets() == ["a", "b"]


def test_an_empty_store_has_no_types(store: Store) -> None:
    assert store.collected.event_types() == [] and store.collected.search_events(EventQuery(), limit=1).total == 0


def test_searches_use_an_index_for_their_order(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    order = "ORDER BY timestamp DESC, event_id DESC LIMIT 100"
    conditions = ["1 = 1", "pipeline_id IN ('p')", "event_type IN ('x')", "dataset = 'd'", "update_id = 'u'"]
    with store.engine.connect() as c:
        for condition in conditions:
            plan = c.execute(text(f"EXPLAIN QUERY PLAN SELECT message FROM collected_events WHERE {condition} {order}"))
            assert "USING INDEX" in plan.all()[0].detail, condition


def test_durations_of_tasks_and_datasets_come_oldest_first(store: Store) -> None:
    c = store.collected
    hour = timedelta(hours=1)
    c.put_runs(
        [run(2, start=T + hour), run(1), run(3, side="candidate")],
        [TaskRunRecord(r, "a", r * 10, "SUCCESS", T, T, float(r), None, tries=r) for r in (1, 2, 3)],
    )
    points = c.task_points("baseline", T)
    assert [(p.run_id, p.seconds, p.tries) for p in points] == [(1, 1.0, 1), (2, 2.0, 2)]
    assert [p.run_id for p in c.task_points("baseline", T + hour)] == [2]
    c.put_updates([update("u"), update("w", T + hour, validate_only=True), update("d", environment="development")])
    c.put_flows([FlowRecord(u, "t", "COMPLETED", 5, 2.0, T, T) for u in ("u", "w", "d")], [])
    assert [(p.update_id, p.rows) for p in c.flow_points("production", T)] == [("u", 5)]
