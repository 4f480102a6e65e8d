"""What the page Runs shows: the runs and updates of the chosen period, and the marks of their states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st

from app.store.collected.records import JobRunRecord, UpdateRecord
from app.web.components import generated, sides
from app.web.components.panel import Panel
from app.web.components.status import Mark, mark
from app.web.components.text import count

SPANS: dict[str, timedelta | None] = {
    "24 h": timedelta(hours=24),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "all": None,
}
EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

MOST = 5_000
"""Runs of a side, and updates, that the page reads: three years of four a day."""

SIDES = ("baseline", "candidate", "development")


@dataclass(frozen=True)
class Scope:
    """Runs and updates of the period, newest first, without generated ones unless they are shown.

    hidden: what the switch hides, left_out: what exceeds MOST, each as a sentence or None.
    """

    here: Panel
    since: datetime
    runs: list[JobRunRecord]
    updates: list[UpdateRecord]
    hidden: str | None
    left_out: str | None

    def of(self, side: str) -> list[JobRunRecord]:
        """The runs of one side."""
        return [r for r in self.runs if r.side == side]


def since(here: Panel) -> datetime:
    """Start of the chosen period."""
    span = SPANS.get(st.session_state.get("since") or "7 days", SPANS["7 days"])
    return here.now - span if span else EARLIEST


def scope(here: Panel) -> Scope:
    """What is in the chosen period."""
    first, store = since(here), here.store.collected
    runs = [r for side in SIDES for r in store.runs(side, since=first, limit=MOST)]
    updates = store.updates(since=first, limit=MOST)
    out = []
    for records, numbers, unit in (
        ([r for r in runs if r.side != "development"], store.run_counts, "run"),
        (updates, store.update_counts, "update"),
    ):
        if len(records) >= MOST and len(records) < sum(of := numbers(first)):
            out.append(f"{len(records):,} of {generated.Counts(*of).of(unit)}")
    return Scope(
        here,
        first,
        sorted(generated.visible(runs), key=lambda r: (r.start_time, r.run_id), reverse=True),
        generated.visible(updates),
        generated.hidden(generated.counts([*runs, *updates]), "record"),
        f"Older ones are left out: the newest {' and '.join(out)} are shown." if out else None,
    )


def run_mark(run: JobRunRecord) -> Mark:
    """State of a run. A repaired one is no plain success, and one under repair no plain run."""
    plain = mark(run.state)
    if not run.repairs:
        return plain
    repairs = count(run.repairs, "repair")
    if run.active:
        return Mark(f"{plain.word}, {repairs}", plain.tone)
    return Mark(f"{plain.word} after {repairs}", "warn" if plain.tone == "good" else plain.tone)


def job_name(here: Panel, side: str) -> str:
    """The name of a side's job."""
    refs = {
        "baseline": here.migration.baseline_job,
        "candidate": here.migration.candidate_job,
        "development": here.migration.development_job,
    }
    ref = refs.get(side)
    return ref.name if ref is not None else sides.NAMES.get(side, side)


def elapsed(record: JobRunRecord | UpdateRecord, now: datetime) -> float | None:
    """Seconds of a run or update: measured, or since its start while it is active."""
    known = record.run_seconds if isinstance(record, JobRunRecord) else record.seconds
    return max(0.0, (now - record.start_time).total_seconds()) if known is None and record.active else known


def origin(made_up: bool) -> str:
    """Where a record comes from, for tables."""
    return "generated" if made_up else "measured"


def generated_badge(made_up: bool) -> str:
    """Markdown behind a title of generated history; empty for what was measured."""
    return " :gray-badge[generated history]" if made_up else ""
