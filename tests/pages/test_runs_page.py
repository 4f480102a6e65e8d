"""The page Runs: what it says of repairs, long histories, running runs, the graph of tables, and events."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.store.base import now
from app.store.collected.records import EventRecord, FlowRecord, JobRunRecord, TaskRunRecord, UpdateRecord
from app.store.open import Store
from tests.support import pages_seed
from tests.support.pages_open import MIGRATION, Fill, frames, open_page, text_of
from tests.support.pages_sound import assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")

VIEWS = ("Runs", "Tasks", "Updates", "Datasets", "Expectations", "Errors", "Event log")


def figures(at: AppTest) -> dict[str, Any]:
    """The charts of a page by their titles, as Plotly specifications."""
    return {c.proto.alt: json.loads(c.proto.spec) for c in at.get("plotly_chart")}


def titled(at: AppTest, start: str) -> Any:
    return next(spec for title, spec in figures(at).items() if title.startswith(start))


def a_run(run_id: int, side: str = "candidate", **more: Any) -> JobRunRecord:
    start = now() - timedelta(minutes=5)
    values: dict[str, Any] = {
        "side": side, "job_id": 200, "run_id": run_id, "number": 1, "trigger": "ONE_TIME",
        "life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": "", "start_time": start,
        "end_time": start + timedelta(seconds=90), "run_seconds": 90.0, "queue_seconds": 0.0, "run_page_url": "",
    }  # fmt: skip
    return JobRunRecord(**{**values, **more})


def an_update(update_id: str, state: str = "COMPLETED", **more: Any) -> UpdateRecord:
    values: dict[str, Any] = {
        "pipeline_id": "pl-production", "pipeline_name": "P", "environment": "production", "update_id": update_id,
        "state": state, "cause": "JOB_TASK", "full_refresh": False, "validate_only": False, "refresh_selection": (),
        "start_time": now() - timedelta(minutes=4), "end_time": None, "seconds": None, "job_run_id": None, "url": "",
    }  # fmt: skip
    return UpdateRecord(**{**values, **more})


def flow(dataset: str, status: str = "COMPLETED", update_id: str = "u", **more: Any) -> FlowRecord:
    start = now() - timedelta(minutes=3)
    end = None if status == "RUNNING" else start + timedelta(seconds=20)
    values: dict[str, Any] = {
        "update_id": update_id, "dataset": dataset, "status": status, "rows": None if end is None else 1234,
        "seconds": None if end is None else 20.0, "start": start, "end": end,
    }  # fmt: skip
    return FlowRecord(**{**values, **more})


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_one_run_that_is_all_there_is(store: Store, view: str) -> None:
    store.collected.put_runs([a_run(1)], [TaskRunRecord(1, "a", 11, "SUCCESS", None, None, None, None)])
    assert_sound(open_page("runs", view=view), "runs")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_an_update_without_a_run(store: Store, view: str) -> None:
    store.collected.put_updates([an_update("u")])
    assert_sound(open_page("runs", view=view), "runs")


def test_a_repaired_run_is_no_plain_success_anywhere(fill: Fill) -> None:
    fill()
    at = open_page("runs", run=str(pages_seed.REPAIRED_RUN))
    text = text_of(at)
    assert "▲ success after 1 repair" in text and "its first attempt ended failed, then 1 repair" in text
    assert "repair 1" in frames(at) and "ZeroDivisionError" in frames(at), "its attempts, and the try that failed"
    assert "▲ success after 1 repair" in frames(open_page("runs"))
    words = [trace["name"] for trace in titled(at, "Last 40 runs")["data"]]
    assert "success after 1 repair" in words
    errors = open_page("runs", view="Errors")
    assert "then a repair: success" in text_of(errors)


def test_a_run_under_repair_is_running_and_says_so(store: Store) -> None:
    store.collected.put_runs(
        [a_run(1, life_cycle_state="RUNNING", result_state=None, end_time=None, run_seconds=None, repairs=1)]
    )
    assert "◐ running, 1 repair" in frames(open_page("runs"))


def test_runs_that_needed_a_repair_are_counted_apart(store: Store) -> None:
    store.collected.put_runs([a_run(1), a_run(2, repairs=1, first_result="FAILED")])
    assert "1 of 2 runs at once, 1 more after a repair" in text_of(open_page("runs"))


def test_the_share_of_successes_is_rounded_down_and_leaves_cancelled_runs_out(store: Store) -> None:
    ends = ("SUCCESS", "SUCCESS", "FAILED", "CANCELED")
    store.collected.put_runs([a_run(n, result_state=end) for n, end in enumerate(ends)])
    text = text_of(open_page("runs"))
    assert "66.6 %" in text and "2 of 3 runs at once" in text


def test_all_of_a_long_history_is_drawn(store: Store) -> None:
    pages_seed.many(store, 1600)
    at = open_page("runs", since="all")
    assert_sound(at, "runs")
    spec = titled(at, "Run time of every run")
    drawn = sum(len(trace["customdata"]) for trace in spec["data"] if trace.get("showlegend"))
    assert drawn == 1600
    assert "left out" not in text_of(at)


def test_what_is_too_much_to_draw_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.components.runs_scope.MOST", 100)
    pages_seed.many(store, 300)
    text = text_of(open_page("runs", since="all"))
    counted = "the newest 200 of 300 runs measured and 100 of 300 updates measured are shown."
    assert f"Older ones are left out: {counted}" in text


def test_an_active_run_shows_its_progress_and_elapsed_time(store: Store) -> None:
    running = a_run(1, life_cycle_state="RUNNING", result_state=None, end_time=None, run_seconds=None)
    tasks = [
        TaskRunRecord(1, "a", 11, "SUCCESS", running.start_time, now(), 9.0, None),
        TaskRunRecord(1, "b", 12, "RUNNING", now(), None, None, None),
    ]
    store.collected.put_runs([running], tasks)
    at = open_page("runs", run="1")
    assert_sound(at, "runs")
    (progress,) = at.get("progress")
    assert progress.proto.value == 50 and "1 of 2 tasks ended" in progress.proto.text
    assert "so far" in text_of(at)


def test_the_graph_shows_what_each_table_reads_with_rows_seconds_and_quality(fill: Fill) -> None:
    fill()
    at = open_page("runs", view="Updates")
    spec = titled(at, "Tables of this update: what each reads")
    names = spec["layout"]["yaxis"]["ticktext"]
    assert {t.candidate.rsplit(".", 1)[1] for t in MIGRATION.tables} < set(names) and "submissions" in names
    texts = [str(text) for trace in spec["data"] if trace.get("mode") == "text" for text in trace["text"]]
    assert any("20,000 rows" in text and "failed" in text for text in texts)
    lines = next(trace for trace in spec["data"] if trace.get("mode") == "lines")
    assert lines["x"].count(None) == len(MIGRATION.tables), "one line for each input"


def test_a_running_update_shows_its_finished_tables_and_keeps_the_graph_of_the_one_before(store: Store) -> None:
    store.collected.put_updates([an_update("old", start_time=now() - timedelta(hours=6)), an_update("u", "RUNNING")])
    store.collected.put_flows(
        [flow("a", update_id="old", inputs=()), flow("b", update_id="old", inputs=("a",)), flow("a"), flow("b", "RUNNING")],
        [],
    )  # fmt: skip
    at = open_page("runs", update="u")
    assert_sound(at, "runs")
    (progress,) = at.get("progress")
    assert progress.proto.value == 50 and "1 of 2 tables finished" in progress.proto.text
    assert titled(at, "Tables of this update: what each reads")
    at = open_page("runs", view="Updates")
    assert "Running update of the production pipeline" in text_of(at)


def test_an_update_whose_events_name_no_inputs_says_so(store: Store) -> None:
    store.collected.put_updates([an_update("u")])
    store.collected.put_flows([flow("a")], [])
    assert titled(open_page("runs", update="u"), "Tables of this update: rows, seconds, failed rows (its event log")


def test_the_grid_counts_tries_and_opens_runs(fill: Fill) -> None:
    fill(failing=True)
    at = open_page("runs", view="Tasks", side="baseline", task="unity_fde")
    assert_sound(at, "runs")
    spec = titled(at, "Tasks by run")
    cells = next(trace for trace in spec["data"] if trace["type"] == "scatter")
    signs = list(zip(cells["customdata"], cells["y"], cells["text"], strict=True))
    assert (f"run={pages_seed.REPAIRED_RUN}", "unity_fde", "2") in signs
    assert ("run=10000", "unity_fde", "✕") in signs
    assert "2 failed, 1 needed more than one try" in text_of(at)


def events(store: Store, count: int, **more: Any) -> None:
    at = now() - timedelta(hours=1)
    store.collected.put_events(
        [
            EventRecord(**{
                "pipeline_id": "pl-production", "event_id": f"x{n:05}", "update_id": "u",
                "timestamp": at - timedelta(seconds=n), "level": "INFO", "event_type": "flow_progress",
                "message": f"message {n}", "dataset": "d", **more,
            })
            for n in range(count)
        ]
    )  # fmt: skip


def test_events_are_searched_over_the_whole_store_and_paged(store: Store) -> None:
    events(store, 1234)
    at = open_page("runs", view="Event log")
    assert "1-100 of 1,234 events, newest first" in text_of(at)
    at = open_page("runs", view="Event log", event_text="MESSAGE 1233")
    assert "1-1 of 1 events" in text_of(at) and "message 1233" in frames(at), "the oldest of all is found"
    at = open_page("runs", view="Event log", event_page="13")
    assert "1,201-1,234 of 1,234 events" in text_of(at) and "message 1233" in frames(at)


def test_a_page_of_events_behind_the_last_one_is_the_last_one(store: Store) -> None:
    events(store, 150)
    at = open_page("runs", view="Event log")
    at.session_state["event_page"] = 2
    at.run()
    assert "101-150 of 150" in text_of(at)
    at.text_input(key="event_text").set_value("message 1").run()
    assert "1-61 of 61 events" in text_of(at), "another search starts with its first page"


def test_conditions_of_a_search_are_kept_in_the_address(store: Store) -> None:
    events(store, 5)
    store.collected.put_events(
        [EventRecord("pl-production", "e1", "u", now(), "ERROR", "update_progress", "it broke", None, {},
                     {"exceptions": [{"class_name": "X", "message": "100% of disk"}]})]
    )  # fmt: skip
    at = open_page("runs", view="Event log", event_level="ERROR")
    assert "1-1 of 1 events" in text_of(at) and "100% of disk" in frames(at)
    at = open_page("runs", view="Event log", event_text="100% of")
    assert "1-1 of 1 events" in text_of(at), "errors are searched, and % stands for itself"
    at = open_page("runs", view="Event log", event_type="update_progress")
    assert "1-1 of 1 events" in text_of(at)
    at = open_page("runs", view="Event log", event_text="no such thing")
    assert "No stored event matches" in text_of(at)


def test_failures_are_summed_up_with_the_guides_hints(store: Store, fill: Fill) -> None:
    fill(failing=True)
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE collected_tries SET error = '[UNRESOLVED_COLUMN] `x` cannot be resolved'")
    st.cache_resource.clear()
    at = open_page("runs", view="Errors")
    assert {"Migration guide: Schema differences"} == {str(e.label).replace("\\", "") for e in at.expander}
    assert titled(at, "Failed tries by task")
    assert "Runs repaired" in text_of(at)
