"""Datasets of the pipelines: duration and rows of each over time, and the results of expectations by update."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app.store.collected.records import ExpectationRecord, UpdateRecord
from app.web.components import charts, charts_runs, generated
from app.web.components.charts_runs import Duration
from app.web.components.panel import Panel
from app.web.components.runs_scope import Scope
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import count, literal, moment

LINES = 8
UPDATES = 50
"""Newest updates whose datasets are rows of the table."""
CHECKED = 100
"""Newest updates whose expectations are drawn."""

DATASET_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("pipeline", "Pipeline"),
    Column("state", "State"),
    Column("rows", "Rows written", "number"),
    Column("dropped", "Rows dropped", "number"),
    Column("seconds", "Seconds", "seconds"),
    Column("start", "Start", "time"),
    Column("update", "Update", "open"),
)


def dataset_rows(here: Panel, updates: Sequence[UpdateRecord]) -> list[dict[str, Any]]:
    """Rows of the datasets that these updates wrote."""
    names = {u.update_id: u.pipeline_name for u in updates}
    return [
        {
            "dataset": f.dataset,
            "pipeline": names.get(update_id),
            "state": mark(f.status).text,
            "rows": f.rows,
            "dropped": f.dropped,
            "seconds": f.seconds,
            "start": f.start,
            "update": update_id,
        }
        for update_id, flows in here.store.collected.flows([u.update_id for u in updates]).items()
        for f in flows
    ]


def draw(found: Scope) -> None:
    """Draws the view Datasets."""
    here = found.here
    points = here.store.collected.flow_points("production", found.since)
    shown = generated.shown()
    measured = [p for p in points if p.seconds is not None and (shown or not p.generated)]
    if measured:
        last = {p.dataset: p.seconds or 0.0 for p in measured}
        longest = sorted(last, key=lambda name: -last[name])[:LINES]
        drawn = [
            Duration(
                ("update", p.update_id), p.dataset.rsplit(".", 1)[-1], p.update_start, p.seconds or 0.0,
                mark(p.status).tone, f"{mark(p.status).word}, {count(p.rows, 'row')}",
            )
            for name in longest
            for p in measured
            if p.dataset == name
        ]  # fmt: skip
        rest = f"; the {LINES} longest of {len(last)} datasets" if len(last) > LINES else ""
        title = f"Duration of each dataset by update of the production pipeline{rest}"
        charts_runs.clickable(charts_runs.durations(drawn, here.zone, 280), title, key="runs_dataset_durations")
        newest = next((u for u in found.updates if u.environment == "production" and u.state == "COMPLETED"), None)
        of_newest = [p for p in measured if newest and p.update_id == newest.update_id]
        if newest and of_newest:
            bars = sorted(((p.dataset, p.seconds or 0.0) for p in of_newest), key=lambda bar: -bar[1])
            title = f"Duration of each dataset in the newest completed update, {moment(newest.start_time, here.zone)}"
            charts.show(charts.single_bars(bars, "seconds"), title, key="runs_datasets_chart")
    recent = [u for u in found.updates if not u.validate_only]
    if len(recent) > UPDATES:
        st.caption(literal(f"The table has the newest {UPDATES} of {count(len(recent), 'update')}; the chart has all."))
    table(
        dataset_rows(here, recent[:UPDATES]),
        DATASET_COLUMNS,
        key="runs_datasets",
        zone=here.zone,
        name="datasets",
        empty=found.hidden or "No update in this period wrote datasets; start one on the Operations page.",
    )


EXPECTATION_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("name", "Expectation"),
    Column("action", "On failure", width="small"),
    Column("state", "State"),
    Column("passed", "Rows passed", "number"),
    Column("failed", "Rows failed", "number"),
    Column("share", "Failed", "percent"),
    Column("when", "When", "time"),
    Column("update", "Update", "open"),
)


def expectation_rows(here: Panel, update_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the expectations that these updates checked, newest first."""
    if not update_ids:
        return []
    found = sorted(here.store.collected.expectations(update_ids), key=lambda e: e.timestamp, reverse=True)
    return [
        {
            "dataset": e.dataset,
            "name": e.name,
            "action": e.action,
            "state": mark("passed" if e.failed == 0 else "failed" if e.action == "fail" else "warn", _outcome(e)).text,
            "passed": e.passed,
            "failed": e.failed,
            "share": e.failed / (e.passed + e.failed) if e.passed + e.failed else None,
            "when": e.timestamp,
            "update": e.update_id,
        }
        for e in found
    ]


def _outcome(e: ExpectationRecord) -> str:
    if e.failed == 0:
        return "all passed"
    return {"drop": "rows dropped", "fail": "update failed", "warn": "rows kept"}.get(e.action or "", "rows failed")


def draw_expectations(found: Scope) -> None:
    """Draws the view Expectations."""
    here = found.here
    mine = [u.update_id for u in found.updates if u.environment == "production" and not u.validate_only]
    rows = expectation_rows(here, mine[:CHECKED])
    series: dict[str, list[tuple[datetime, int, int]]] = {}
    for r in reversed(rows):
        series.setdefault(f"{r['dataset']}: {r['name']}", []).append((r["when"], r["passed"], r["failed"]))
    failing = {name: values for name, values in series.items() if any(failed for _, _, failed in values)}
    if len(mine) > CHECKED:
        st.caption(literal(f"The newest {CHECKED} of {count(len(mine), 'update')} of this period."))
    if failing:
        worst = sorted(failing.items(), key=lambda item: -item[1][-1][2])[:8]
        title = "Share of rows that fail each expectation, by update" + (
            f" (8 of {len(failing)} with failures)" if len(failing) > 8 else ""
        )
        charts.show(charts.failed_share(worst, here.zone), title, key="runs_expectations_chart")
    elif rows:
        st.markdown(
            f"{mark('passed').badge} Every row of {literal(count(len(series), 'expectation'))} passed in "
            f"{literal(count(len({r['update'] for r in rows}), 'update'))}."
        )
    table(
        rows,
        EXPECTATION_COLUMNS,
        key="runs_expectations",
        zone=here.zone,
        name="expectations",
        empty=found.hidden
        or "There are no expectation results in this period; each update of the production pipeline adds some.",
    )
