"""Signs of incidents in collected evidence: what failed, was missed, differs or changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.moments import when
from app.progress.adherence import Slot, SlotState
from app.progress.quality_trend import Trend
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.definitions import Definition
from app.store.incidents import Sign
from app.store.parity_records import ParityTable

FAILURE, MISSED, DIFFERENCE, SCHEMA, CONFIGURATION, QUALITY, DRIFT = (
    "failure", "missed_slot", "difference", "schema", "configuration", "quality", "drift",
)  # fmt: skip
KINDS: dict[str, str] = {
    FAILURE: "failed run",
    MISSED: "missed slot",
    DIFFERENCE: "tables differ",
    SCHEMA: "schema changed",
    CONFIGURATION: "configuration differs",
    QUALITY: "expectation changed",
    DRIFT: "drift",
}
"""Kinds of incidents, in words."""

JOBS = {"baseline": "the old job", "candidate": "the new job"}

HARMLESS = frozenset(
    {"SUCCESS", "CANCELED", "UPSTREAM_CANCELED", "EXCLUDED", "DISABLED", "SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"}
)
"""Ends of a run that are no failure. One that was cancelled or skipped may still leave its slot without a success."""


def of_runs(runs: Iterable[JobRunRecord]) -> list[Sign]:
    """A sign for each ended run of both sides that failed, timed out, or succeeded only after a repair."""
    found = []
    for run in runs:
        if run.generated or run.active or run.side not in JOBS:
            continue
        repaired = run.state == "SUCCESS" and run.repairs > 0
        if run.state in HARMLESS and not repaired:
            continue
        how = "succeeded after a repair" if repaired else f"ended {run.state}"
        at = run.end_time or run.start_time
        text = f"Run {run.run_id} of {JOBS[run.side]} {how}"
        found.append(Sign(FAILURE, run.side, run.side, f"run:{run.run_id}", at, text))
    return found


def of_updates(updates: Iterable[UpdateRecord]) -> list[Sign]:
    """A sign for each failed update of the production pipeline; it joins that of the run that started it.

    One that a job's task started counts once its run is known: until then it may be of generated history.
    """
    return [
        Sign(
            FAILURE, "candidate", "candidate", f"update:{u.update_id}", u.end_time or u.start_time,
            f"Update {u.update_id} of {u.pipeline_name} ended {u.state}",
        )
        for u in updates
        if u.environment == "production" and not u.generated and not u.validate_only and u.state == "FAILED"
        and (u.cause != "JOB_TASK" or u.job_run_id is not None)
    ]  # fmt: skip


def of_slots(slots: Iterable[Slot]) -> list[Sign]:
    """A sign for each slot that is over and that no run served; where a run failed, that is a sign by itself."""
    found = []
    for slot in slots:
        cancelled = slot.state is SlotState.FAILED and slot.run is not None and slot.run.state in HARMLESS
        if slot.state is not SlotState.MISSED and not cancelled:
            continue
        what = f"run {slot.run.run_id} was {slot.run.state}" if slot.run is not None else "no run started"
        evidence = f"slot:{slot.side}@{when(slot.due, seconds=True)}"
        found.append(
            Sign(
                MISSED, slot.side, slot.side, evidence, slot.due, f"Slot {when(slot.due)} of {JOBS[slot.side]}: {what}"
            )
        )
    return found


def of_parity(results: Iterable[ParityTable]) -> list[Sign]:
    """A sign for each table that a comparison of the production tables found different."""
    return [
        Sign(
            DIFFERENCE, r.table, "candidate", f"parity:{r.parity_id}/{r.table}", r.finished_at,
            f"Table {r.table} differs: {r.label or 'DIFFERENT'}",
        )
        for r in results
        if r.verdict == "different" and r.finished_at is not None
    ]  # fmt: skip


def of_schemas(history: Iterable[Definition], sides: Mapping[str, str]) -> list[Sign]:
    """A sign for each change of a table's columns. sides: three-level name to side; other tables have no sign."""
    newest: dict[str, Any] = {}
    found = []
    for seen in sorted(history, key=lambda d: d.id):
        before, side = newest.get(seen.name), sides.get(seen.name)
        newest[seen.name] = seen.value
        if before is None or side is None:
            continue
        text = f"The columns of {seen.name} changed: {_change(before, seen.value)}"
        found.append(Sign(SCHEMA, seen.name, side, f"schema:{seen.id}", seen.seen_at, text))
    return found


def of_settings(history: Iterable[Definition]) -> list[Sign]:
    """A sign for each setting of a pipeline or job that was as required, or differed otherwise, and differs now.

    What differed when it was first observed is a task of the migration, no incident.
    """
    newest: dict[str, set[tuple[str, ...]]] = {}
    found = []
    for seen in sorted(history, key=lambda d: d.id):
        differing = {tuple(d) for d in seen.value}
        before = newest.get(seen.name)
        newest[seen.name] = differing
        if before is None or not (new := sorted(differing - before)):
            continue
        kind, _, key = seen.name.partition(":")
        side = "baseline" if key == "baseline" else "candidate"
        what = JOBS[side] if kind == "job" else f"the {key} pipeline"
        text = f"Settings of {what} differ from the required ones: {_differing(new)}"
        found.append(Sign(CONFIGURATION, seen.name, side, f"settings:{seen.id}", seen.seen_at, text))
    return found


def of_drift(history: Iterable[Definition]) -> list[Sign]:
    """A sign for each difference from what the last verified operation left; one that came back has another."""
    newest: dict[str, Any] = {}
    found = []
    for seen in sorted(history, key=lambda d: d.id):
        before = newest.get(seen.name)
        newest[seen.name] = seen.value
        if seen.value and seen.value != before:
            text, side = str(seen.value["text"]), str(seen.value["side"])
            found.append(Sign(DRIFT, seen.name, side, f"drift:{seen.id}", seen.seen_at, text))
    return found


def _differing(fields: Sequence[tuple[str, ...]]) -> str:
    """At most three of the settings in words."""
    parts = [f"{field} is {found}, not {wanted}" for field, wanted, found in fields]
    return "; ".join(parts[:3]) + (f"; and {len(parts) - 3} more" if len(parts) > 3 else "")


def of_trends(trends: Iterable[Trend], since: datetime) -> list[Sign]:
    """A sign for each alert of an expectation of the production pipeline since then; generated ones are none."""
    found = []
    for trend in trends:
        for p in trend.alerts:
            if p.generated or p.at < since:
                continue
            text = (
                f"Expectation {trend.name} on {trend.dataset}: {p.failed:,} of {p.rows:,} rows failed, "
                f"usual is {p.usual or 0.0:.2%}"
            )
            evidence = f"expectation:{p.update_id}/{trend.dataset}/{trend.name}"
            found.append(Sign(QUALITY, f"{trend.dataset}.{trend.name}", "candidate", evidence, p.at, text))
    return found


def _change(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> str:
    """Added, removed and retyped columns, at most six of them; another order where the columns are the same."""
    old, new = {c[0]: c[1] for c in before}, {c[0]: c[1] for c in after}
    parts = [f"{c} added" for c in new if c not in old]
    parts += [f"{c} removed" for c in old if c not in new]
    parts += [f"{c} {old[c]} is now {t}" for c, t in new.items() if c in old and old[c] != t]
    more = f" and {len(parts) - 6} more" if len(parts) > 6 else ""
    return ", ".join(parts[:6]) + more if parts else "another order"
