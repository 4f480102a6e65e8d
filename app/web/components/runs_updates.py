"""Pipeline updates: the tables of one update as a graph and along time, and the table of all updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.store.collected.records import ExpectationRecord, FlowRecord, UpdateRecord
from app.web.components import charts, charts_runs, generated
from app.web.components.charts import Bar
from app.web.components.charts_runs import Node
from app.web.components.native import safe
from app.web.components.panel import Panel
from app.web.components.runs_scope import Scope, elapsed, generated_badge, origin
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import code, count, literal, moment, percent, seconds

LOOKED = 20
"""Updates before one that are searched for the definition of its flows, where its own events have none."""


def draw(found: Scope) -> None:
    """Draws the view Updates: the newest production update, then all of the period."""
    here = found.here
    newest = next((u for u in found.updates if u.environment == "production" and not u.validate_only), None)
    if newest is not None:
        st.markdown(
            f"**{'Running' if newest.active else 'Newest'} update of the production pipeline** "
            f"{code(newest.update_id)} {mark(newest.state).badge}{generated_badge(newest.generated)}"
        )
        progress(here, newest)
        figures(here, newest, key="newest")
    table(
        [_row(u) for u in found.updates],
        [c for c in UPDATE_COLUMNS if generated.shown() or c.key != "origin"],
        key="updates_table",
        zone=here.zone,
        name="updates",
        empty=found.hidden or "There is no pipeline update in this period.",
    )


def progress(here: Panel, update: UpdateRecord) -> None:
    """Draws when an update started, how long it took or has run, and how many of its tables are finished."""
    flows = here.store.collected.flows([update.update_id])[update.update_id]
    took = seconds(elapsed(update, here.now))
    st.caption(literal(f"{moment(update.start_time, here.zone)}, {took}{' so far' if update.active else ''}"))
    if update.active and flows:
        done = sum(mark(f.status).tone in ("good", "quiet") for f in flows)
        st.progress(done / len(flows), text=literal(f"{done} of {count(len(flows), 'table')} finished, {took} so far"))


def figures(here: Panel, update: UpdateRecord, *, key: str) -> None:
    """Draws the graph of an update's tables, and their flows along time. key: unique on the page."""
    store = here.store.collected
    flows = store.flows([update.update_id])[update.update_id]
    if not flows:
        st.caption("No table of this update has been collected yet.")
        return
    nodes = graph(flows, store.expectations([update.update_id]), definitions(here, update, flows))
    joined = any(n.inputs for n in nodes)
    title = (
        "Tables of this update: what each reads, rows, seconds, failed rows"
        if joined
        else "Tables of this update: rows, seconds, failed rows (its event log does not say what each reads)"
    )
    charts.show(charts_runs.tables_graph(nodes), title, key=f"{key}_graph")
    bars = [
        Bar(f.dataset, f.dataset.rsplit(".", 1)[-1], "candidate", f.start, f.end, f.status, mark(f.status).tone)
        for f in flows
        if f.start is not None
    ]
    if bars:
        charts.show(charts_runs.gantt(bars, here.zone, here.now), "Tables along time", key=f"{key}_gantt")


def definitions(here: Panel, update: UpdateRecord, flows: Sequence[FlowRecord]) -> dict[str, tuple[str, ...]]:
    """What each dataset reads: dataset -> inputs, by this update's events, else by those of the newest one before."""
    own = {f.dataset: f.inputs for f in flows if f.inputs is not None}
    if own:
        return own
    store = here.store.collected
    before = [u.update_id for u in store.updates(update.environment, until=update.start_time, limit=LOOKED)]
    known = store.flows(before)
    for update_id in before:
        found = {f.dataset: f.inputs for f in known[update_id] if f.inputs is not None}
        if found:
            return found
    return {}


def graph(
    flows: Sequence[FlowRecord], expectations: Sequence[ExpectationRecord], inputs: Mapping[str, tuple[str, ...]]
) -> list[Node]:
    """The nodes of an update's graph: its datasets, and what they read from outside of the pipeline."""
    quality: dict[str, list[ExpectationRecord]] = {}
    for e in expectations:
        quality.setdefault(e.dataset, []).append(e)
    nodes = []
    for f in flows:
        state = mark(f.status)
        nodes.append(
            Node(f.dataset, inputs.get(f.dataset, ()), state.tone, state.word, _figures(f, quality.get(f.dataset, ())))
        )
    known = {n.name for n in nodes}
    outer = dict.fromkeys(i for n in nodes for i in n.inputs if i not in known)
    return [Node(name, inputs.get(name, ()), "quiet", "source", "", source=True) for name in outer] + nodes


def _figures(flow: FlowRecord, expectations: Sequence[ExpectationRecord]) -> str:
    parts = []
    if flow.rows is not None:
        parts.append(count(flow.rows, "row"))
    if flow.seconds is not None:
        parts.append(seconds(flow.seconds))
    failed, checked = sum(e.failed for e in expectations), sum(e.failed + e.passed for e in expectations)
    if failed:
        parts.append(f"▲ {count(failed)} failed ({percent(failed / checked)})")
    elif expectations and checked:
        parts.append("✓ quality")
    return ", ".join(parts) or mark(flow.status).word


UPDATE_COLUMNS = (
    Column("update", "Update", "open", help="Opens the update's tables, expectations and events"),
    Column("pipeline", "Pipeline"),
    Column("state", "State"),
    Column("start", "Start", "time"),
    Column("seconds", "Seconds", "seconds"),
    Column("what", "Kind"),
    Column("cause", "Cause"),
    Column("run", "Job run", "open"),
    Column("origin", "Origin", width="small"),
    Column("url", "Databricks", "link"),
)


def _row(update: UpdateRecord) -> dict[str, object]:
    return {
        "update": update.update_id,
        "pipeline": update.pipeline_name,
        "state": mark(update.state).text,
        "start": update.start_time,
        "seconds": update.seconds,
        "what": kind_of(update),
        "cause": (update.cause or "").replace("_", " ").lower() or None,
        "run": str(update.job_run_id) if update.job_run_id else None,
        "origin": origin(update.generated),
        "url": safe(update.url),
    }


def kind_of(update: UpdateRecord) -> str:
    """What an update was asked to do."""
    if update.validate_only:
        return "validate only"
    if update.full_refresh:
        return "full refresh"
    if update.full_refresh_selection:
        return "full refresh of " + ", ".join(update.full_refresh_selection)
    if update.refresh_selection:
        return "refresh of " + ", ".join(update.refresh_selection)
    return "refresh"
