"""Charts of runs: layers of the graph of tables, signs of the grid, shapes of states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.store.collected.records import ExpectationRecord, FlowRecord
from app.web.components import charts_runs
from app.web.components.charts import Bar
from app.web.components.charts_runs import Cell, Dot, Duration, Node
from app.web.components.runs_updates import graph
from tests.support.drawn import drawn

ZONE = ZoneInfo("America/New_York")
T = datetime(2026, 7, 1, 12, tzinfo=UTC)


def node(name: str, *inputs: str, **more: Any) -> Node:
    return Node(name, inputs, **{"tone": "good", "word": "completed", "figures": "", **more})


def test_a_table_lies_behind_the_last_of_those_that_it_reads() -> None:
    nodes = [node("gold", "silver", "bronze"), node("silver", "bronze"), node("bronze", "outside"), node("alone")]
    assert charts_runs.layers(nodes) == {"gold": 2, "silver": 1, "bronze": 0, "alone": 0}


def test_a_circle_of_definitions_ends() -> None:
    found = charts_runs.layers([node("a", "b"), node("b", "a"), node("c", "c")])
    assert set(found) == {"a", "b", "c"} and found["c"] == 0


def test_the_graph_has_sources_and_says_rows_seconds_and_quality() -> None:
    flows = [
        FlowRecord("u", "c.s.a", "COMPLETED", 1000, 2.0, T, T),
        FlowRecord("u", "c.s.b", "RUNNING", None, None, T, None),
    ]
    checks = [ExpectationRecord("u", "c.s.a", "e", "warn", 990, 10, T)]
    found = {n.name: n for n in graph(flows, checks, {"c.s.a": ("raw.x",), "c.s.b": ("c.s.a",)})}
    assert found["raw.x"].source and not found["c.s.a"].source
    assert found["c.s.a"].figures == "1,000 rows, 2.00 s, ▲ 10 failed (1.0 %)"
    assert (found["c.s.b"].tone, found["c.s.b"].figures) == ("busy", "running")


@pytest.mark.parametrize(
    ("cell", "sign"),
    [
        (Cell(1.0, "good", "success", 1), ""),
        (Cell(1.0, "warn", "success in try 3", 3), "3"),
        (Cell(1.0, "bad", "failed", 1), "✕"),
        (Cell(1.0, "bad", "failed", 2), "✕2"),
        (Cell(None, "busy", "running", 1), "◐"),
    ],
)
def test_a_cell_shows_its_state_and_tries_without_colour(cell: Cell, sign: str) -> None:
    figure = drawn(charts_runs.task_grid([(7, T)], {"a": {7: cell}}, ZONE))
    assert figure.data[1].text == (sign,) and figure.data[1].customdata[0] == "run=7"


def test_the_grid_measures_each_task_by_its_own_median() -> None:
    runs = [(n, T + timedelta(hours=n)) for n in range(3)]
    cells = {"a": {n: Cell(float(s), "good", "success", 1) for n, s in enumerate((10, 20, 40))}}
    assert list(drawn(charts_runs.task_grid(runs, cells, ZONE)).data[0].z[0]) == [0.5, 1.0, 2.0]


def test_dots_differ_by_shape_and_their_words_are_in_the_legend() -> None:
    found = [Dot(("run", "3"), "bad", "failed", ""), Dot(("run", "2"), "warn", "success after 1 repair", ""),
             Dot(("run", "1"), "good", "success", "<b>")]  # fmt: skip
    figure = drawn(charts_runs.dots({"old job": found}))
    assert {t.name: t.marker.symbol for t in figure.data} == {
        "success": "circle", "failed": "x", "success after 1 repair": "diamond"}  # fmt: skip
    assert [x for t in figure.data if t.name == "failed" for x in t.x] == [0], "the newest is on the right"
    assert "&lt;b&gt;" in figure.data[0].hovertext[0]


def test_durations_mark_what_did_not_simply_succeed() -> None:
    points = [Duration(("run", str(n)), "s", T + timedelta(hours=n), 1.0, tone, "w")
              for n, tone in enumerate(("good", "bad", "warn"))]  # fmt: skip
    line, odd = drawn(charts_runs.durations(points, ZONE)).data
    assert len(line.x) == 3 and list(odd.customdata) == ["run=1", "run=2"]
    assert list(odd.marker.symbol) == ["x", "diamond"]
    assert str(line.x[0]) == "2026-07-01T08:00:00", "in the reader's zone"


def test_a_running_bar_ends_now() -> None:
    bar = Bar("1", "t", "candidate", T, None, "RUNNING", "busy")
    figure = drawn(charts_runs.gantt([bar], ZONE, T + timedelta(seconds=30)))
    assert figure.data[0].x == (30_000.0,) and figure.data[0].text == ("still running",)
