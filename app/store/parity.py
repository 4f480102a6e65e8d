"""Parity: requests to compare, progress by table and step, reports, history and the streak of clean runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine


class ParityState(StrEnum):
    """Where a comparison of several tables stands, and each table of it."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Producer:
    """What last wrote one side before it was read: a job run, or a pipeline update (perhaps of a job run)."""

    kind: str
    id: str
    job_run_id: int | None
    ended_at: datetime | None


@dataclass(frozen=True)
class ParityRun:
    """One comparison of one or more tables.

    sides: `production` (old against new) or `development` (old against the development pipeline's tables).
    trigger: `manual` or `auto` (follows a pair of runs). verdict: identical, different, not_proven; None before the end.
    baseline, candidate: what produced the sides. skew_seconds: time between the ends of those two.
    """

    id: str
    tables: tuple[str, ...]
    requested_by: str
    requested_at: datetime
    trigger: str
    final: bool
    sides: str
    state: ParityState
    cancel_requested_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    verdict: str | None
    error: str | None
    baseline: Producer | None
    candidate: Producer | None
    skew_seconds: float | None
    warning: str | None


@dataclass(frozen=True)
class ParityTable:
    """One table of a comparison: its progress, then its result. fraction is 0 to 1; seconds of the comparison."""

    parity_id: str
    table: str
    state: ParityState
    step: str
    fraction: float
    verdict: str | None
    reason: str | None
    baseline_rows: int | None
    candidate_rows: int | None
    missing_rows: int | None
    extra_rows: int | None
    modified_rows: int | None
    seconds: float | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Streak:
    """Whole comparisons in a row, one for each pair of runs, whose every table was identical; newest backwards.

    runs: how many pairs. tables: clean table comparisons in them. since: when the first of them finished.
    days: from then to the newest. broken_by: the comparison that ended the row before it, None where there is none.
    """

    runs: int
    tables: int
    since: datetime | None
    until: datetime | None
    days: float
    broken_by: str | None


class ParityRepository:
    """Requests, progress and results of comparisons."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(
        self,
        tables: Sequence[str],
        requested_by: str,
        *,
        final: bool = False,
        sides: str = "production",
        trigger: str = "manual",
    ) -> str:
        """Asks for a comparison and gives its id. An equal request that still waits is not doubled: its id is given."""
        raise NotImplementedError

    def cancel(self, parity_id: str, by: str) -> bool:
        """Asks to cancel; False where it has ended already."""
        raise NotImplementedError

    # the worker
    def claim(self, worker: str) -> ParityRun | None:
        """Takes the oldest waiting request, or None."""
        raise NotImplementedError

    def requeue_interrupted(self, worker: str) -> list[str]:
        """Puts back what another worker left running when it died; gives the ids."""
        raise NotImplementedError

    def cancel_requested(self, parity_id: str) -> bool:
        """Someone asked to cancel it."""
        raise NotImplementedError

    def set_producers(
        self, parity_id: str, baseline: Producer | None, candidate: Producer | None, warning: str | None
    ) -> None:
        """Records what produced the sides, and a warning where they are far apart."""
        raise NotImplementedError

    def progress(self, parity_id: str, table: str, step: str, fraction: float) -> None:
        """Where one table's comparison is."""
        raise NotImplementedError

    def finish_table(self, parity_id: str, table: str, report: Mapping[str, Any], html: str | None = None) -> None:
        """Keeps one table's report (validation's JSON object)."""
        raise NotImplementedError

    def fail_table(self, parity_id: str, table: str, error: str) -> None:
        """Records that a table could not be compared: not proven."""
        raise NotImplementedError

    def finish(self, parity_id: str, state: ParityState, error: str | None = None) -> None:
        """Ends a comparison; its verdict is the worst of its tables (different, then not_proven, then identical)."""
        raise NotImplementedError

    # reading
    def run(self, parity_id: str) -> ParityRun | None: ...
    def runs(self, *, sides: str | None = None, limit: int = 100) -> list[ParityRun]: ...  # type: ignore[empty-body]
    def table_results(self, parity_id: str) -> list[ParityTable]: ...  # type: ignore[empty-body]
    def active(self) -> list[ParityRun]: ...  # type: ignore[empty-body]
    def latest(self, sides: str = "production", *, final: bool | None = None) -> dict[str, ParityTable]:
        """The newest finished result of each table."""
        raise NotImplementedError

    def history(self, table: str | None = None, *, sides: str = "production", limit: int = 500) -> list[ParityTable]:
        """Finished results, newest first."""
        raise NotImplementedError

    def report(self, parity_id: str, table: str) -> dict[str, Any] | None:
        """One table's whole report."""
        raise NotImplementedError

    def streak(self, tables: Sequence[str], sides: str = "production") -> Streak:
        """The present row of clean pairs of runs over all of `tables`."""
        raise NotImplementedError
