"""The first runs of the new job after the cutover that holds: result, rows, expectations, refreshed tables. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.durations import duration, measured
from app.progress.cutover import standing_cutover
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.store.collected.records import ExpectationRecord, FlowRecord, JobRunRecord, UpdateRecord

if TYPE_CHECKING:
    from app.store.open import Store

FIRST = 3
"""Runs that are reported."""


@dataclass(frozen=True)
class FirstRun:
    """One run. number: from 1, counted from the cutover; state: its result, or its life cycle while it runs.

    rows: that its update wrote into the tables; None where no event says so. failed: rows that failed an expectation,
    of `checked`. refreshed: tables of `tables` that the update completed. seconds: duration; after: time from the
    cutover to its end, None while it runs.
    """

    number: int
    run_id: int
    state: str
    started: datetime
    ended: datetime | None
    seconds: float | None
    after: timedelta | None
    update_id: str | None
    rows: int | None
    checked: int
    failed: int
    refreshed: int
    tables: int

    @property
    def good(self) -> bool | None:
        """Whether it succeeded and refreshed every table; None while it runs or its update is not collected."""
        if self.ended is None or (self.state == "SUCCESS" and self.update_id is None):
            return None
        return self.state == "SUCCESS" and self.refreshed == self.tables

    @property
    def text(self) -> str:
        """Result, rows, expectations and freshness in a sentence."""
        if self.ended is None:
            return f"{self.state.capitalize()}"
        parts = [f"{self.state} in {measured(self.seconds)}" if self.seconds is not None else self.state]
        if self.update_id is None:
            return f"{parts[0]}; its update is not collected yet"
        parts.append("rows not reported" if self.rows is None else f"{self.rows:,} rows")
        parts.append(f"{self.failed:,} of {self.checked:,} checked rows failed" if self.checked else "nothing checked")
        fresh = f"{self.refreshed} of {self.tables} tables refreshed"
        parts.append(fresh + (f", {duration(self.after)} after the cutover" if self.after is not None else ""))
        return "; ".join(parts)


def first_runs(
    cutover_ended: datetime,
    runs: Sequence[JobRunRecord],
    updates: Sequence[UpdateRecord],
    flows: Mapping[str, Sequence[FlowRecord]],
    expectations: Sequence[ExpectationRecord],
    tables: Collection[str],
) -> tuple[FirstRun, ...]:
    """The first runs of the new job that started after the cutover ended, oldest first.

    updates: of the production pipeline; flows: by update; tables: three-level names of the tables of the new side.
    """
    mine = sorted((r for r in runs if not r.generated and r.start_time >= cutover_ended), key=lambda r: r.start_time)
    of_run = {u.job_run_id: u for u in sorted(updates, key=lambda u: u.start_time) if u.job_run_id is not None}
    names = {t.rpartition(".")[2] for t in tables}
    found = []
    for number, run in enumerate(mine[:FIRST], 1):
        update = of_run.get(run.run_id)
        ours = [] if update is None else [f for f in flows.get(update.update_id, ()) if _last(f.dataset) in names]
        checks = [] if update is None else [e for e in expectations if e.update_id == update.update_id]
        known = [f.rows for f in ours if f.rows is not None]
        ended = None if run.active else run.end_time
        found.append(
            FirstRun(
                number, run.run_id, run.state, run.start_time, ended, run.run_seconds,
                None if ended is None else ended - cutover_ended, None if update is None else update.update_id,
                sum(known) if known else None, sum(e.passed + e.failed for e in checks), sum(e.failed for e in checks),
                len({_last(f.dataset) for f in ours if f.status == "COMPLETED"}), len(names),
            )
        )  # fmt: skip
    return tuple(found)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def load_first_runs(store: Store, facts: Facts) -> tuple[FirstRun, ...] | None:
    """Those of the cutover that holds; None where none does. Raises StoreError."""
    cutover = standing_cutover(facts)
    if isinstance(cutover, Finding) or cutover.ended_at is None:
        return None
    since = cutover.ended_at
    runs = [r for r in facts.snapshot.runs if r.side == "candidate"]
    updates = [u for u in facts.snapshot.updates if u.environment == "production" and u.start_time >= since]
    first = {r.run_id for r in sorted(runs, key=lambda r: r.start_time) if r.start_time >= since and not r.generated}
    ids = [u.update_id for u in updates if u.job_run_id in first]
    names = [t.candidate for t in facts.migration.tables]
    expectations = store.collected.expectations(ids) if ids else []
    return first_runs(since, runs, updates, store.collected.flows(ids), expectations, names)
