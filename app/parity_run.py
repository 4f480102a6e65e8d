"""Carries out requested comparisons and asks for one after each pair of runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from app.config import ConfigError, Migration, Table
from app.operations.past import PastCutover, last_cutover
from app.parity_spec import FAR_APART_SECONDS, spec_of
from app.parity_workspace import open_warehouse, table_updates
from app.store.base import StoreError, now
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.open import Store
from app.store.parity import ParityRun, ParityState, Producer
from app.workspace.client import Workspace
from app.workspace.errors import WorkspaceError, one_line
from app.workspace.tables import Tables
from validation.compare import compare
from validation.errors import SpecError
from validation.report import ParityReport, Progress

log = logging.getLogger(__name__)

AUTO = "auto"
# How often a running comparison asks the store whether somebody cancelled it, and says how far it is (seconds).
ASK_SECONDS = 1.0
TELL_SECONDS = 0.5


class ParityRunner:
    """Takes requests from the store and compares table by table. One thread uses it."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        migration: Migration,
        owner: str,
        stop: threading.Event | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._parity = store.parity
        self._collected = store.collected
        self._operations = store.operations
        self._workspace = workspace
        self._migration = migration
        self._owner = owner
        self._stop = stop or threading.Event()
        self._clock = clock

    def run_next(self) -> str | None:
        """Carries out the oldest waiting request; gives its id, None where none waits.

        Raises StoreError. When the worker is told to stop the comparison is left as it is, and the next worker puts it
        back into the queue.
        """
        run = self._parity.claim(self._owner)
        if run is None:
            return None
        log.info("comparison %s of %s begins", run.id, ", ".join(run.tables))
        try:
            self._carry_out(run)
        except StoreError:
            raise
        except Exception as e:
            log.exception("comparison %s", run.id)
            self._parity.finish(run.id, ParityState.FAILED, one_line(f"{type(e).__name__}: {e}"))
        return run.id

    def _carry_out(self, run: ParityRun) -> None:
        baseline, candidate = self.producers(run.sides)
        self._parity.set_producers(run.id, baseline, candidate, far_apart(baseline, candidate))
        tables = {t.name: t for t in self._migration.tables}
        finished = {
            t.table for t in self._parity.table_results(run.id) if t.state in (ParityState.DONE, ParityState.FAILED)
        }
        for name in run.tables:
            if name in finished:
                continue
            if self._stop.is_set():
                return
            by = self._parity.cancel_requested(run.id)
            if by is not None:
                self._parity.finish(run.id, ParityState.CANCELLED, f"cancelled by {by}")
                return
            if name not in tables:
                self._parity.fail_table(run.id, name, f"the migration file has no table {name}")
                continue
            self._compare(run, tables[name])
        if self._stop.is_set():
            return
        by = self._parity.cancel_requested(run.id)
        if by is not None:
            self._parity.finish(run.id, ParityState.CANCELLED, f"cancelled by {by}")
            return
        verdict = self._parity.finish(run.id, ParityState.DONE)
        log.info("comparison %s: %s", run.id, verdict)

    def _compare(self, run: ParityRun, table: Table) -> None:
        asked = 0.0
        told = (-1.0, "")
        cancelled_by: str | None = None

        def cancelled() -> bool:
            nonlocal asked, cancelled_by
            if self._stop.is_set() or cancelled_by is not None:
                return True
            if time.monotonic() - asked >= ASK_SECONDS:
                asked = time.monotonic()
                cancelled_by = self._parity.cancel_requested(run.id)
            return cancelled_by is not None

        def progress(p: Progress) -> None:
            nonlocal told
            moment = time.monotonic()
            if p.step == told[1] and moment - told[0] < TELL_SECONDS:
                return
            told = (moment, p.step)
            self._parity.progress(run.id, table.name, p.step, p.done / p.total if p.total else 0.0)

        self._parity.progress(run.id, table.name, "start", 0.0)
        try:
            spec = spec_of(
                table,
                sides=run.sides,
                final=run.final,
                names=names_now(self._workspace.tables, table, last_cutover(self._operations, self._migration)),
                hash_key=self._parity.hash_key(run.id) or "",
            )
            with open_warehouse(self._workspace) as warehouse:
                report: ParityReport = compare(
                    warehouse,
                    spec,
                    progress=progress,
                    cancelled=cancelled,
                    requested_by=run.requested_by,
                    update_of=table_updates(self._workspace),
                )
        except (WorkspaceError, SpecError, ConfigError) as e:
            self._parity.fail_table(run.id, table.name, str(e))
            return
        if self._stop.is_set() or cancelled_by is not None:
            return  # What was cancelled is no result; the caller ends the request, or leaves it to the next worker.
        self._parity.finish_table(run.id, table.name, report.to_dict())

    # ------------------------------------------------------------------------------------------- what produced a side

    def producers(self, sides: str) -> tuple[Producer | None, Producer | None]:
        """The last successful run of the old job and the last completed update of the new side, as far as collected."""
        run, update = self._newest(sides)
        baseline = None if run is None else Producer("run", str(run.run_id), run.run_id, run.end_time)
        candidate = None if update is None else Producer("update", update.update_id, update.job_run_id, update.end_time)
        return baseline, candidate

    def _newest(self, sides: str) -> tuple[JobRunRecord | None, UpdateRecord | None]:
        runs = self._collected.runs("baseline", states=("SUCCESS",), limit=50)
        updates = self._collected.updates(sides, states=("COMPLETED",), limit=50)
        run = max(
            (r for r in runs if r.end_time and not r.generated), key=lambda r: r.end_time or r.start_time, default=None
        )
        update = max(
            (u for u in updates if u.end_time and not u.generated and not u.validate_only),
            key=lambda u: u.end_time or u.start_time,
            default=None,
        )
        return run, update

    def request_after_runs(self) -> list[str]:
        """Asks for a comparison of each side pair of which both sides have been written since the last automatic one.

        Nothing is asked for while a run or an update is active (the comparison would only find that a side changed).
        """
        asked = []
        for sides in ("production", "development"):
            if sides == "development" and not all(t.development for t in self._migration.tables):
                continue
            run, update = self._newest(sides)
            if run is None or update is None or self._writing(sides):
                continue
            if any(r.sides == sides for r in self._parity.active()):
                continue
            ended = max(run.end_time or run.start_time, update.end_time or update.start_time)
            last = next((r for r in self._parity.runs(sides=sides, limit=200) if r.trigger == AUTO), None)
            if last is not None:
                if last.requested_at >= ended:
                    continue
                # One that proved nothing, as when a side was being written, used up neither side.
                proved = last.verdict != "not_proven"
                if proved and last.baseline and last.baseline.id == str(run.run_id):
                    continue
                if proved and last.candidate and last.candidate.id == update.update_id:
                    continue
            if self._writes_now(run, update):
                continue
            names = [t.name for t in self._migration.tables]
            asked.append(self._parity.request(names, "worker", sides=sides, trigger=AUTO))
            log.info("comparison %s follows run %s and update %s", asked[-1], run.run_id, update.update_id)
        return asked

    def _writes_now(self, run: JobRunRecord, update: UpdateRecord) -> bool:
        """Asks the workspace itself, since what was collected is some seconds old; True where it cannot be told."""
        try:
            return bool(
                self._workspace.jobs.active_runs(run.job_id)
                or self._workspace.pipelines.active_updates(update.pipeline_id)
            )
        except WorkspaceError as e:
            log.warning("no comparison asked for: %s", e)
            return True

    def _writing(self, sides: str) -> bool:
        newest_runs = self._collected.runs("baseline", limit=5)
        newest_updates = self._collected.updates(sides, limit=5)
        return any(r.active for r in newest_runs) or any(u.active for u in newest_updates)


def names_now(tables: Tables, table: Table, past: PastCutover) -> tuple[str, str]:
    """Names of the old and the new table as they are: a cutover keeps the old one under another name.

    Raises WorkspaceError; ConfigError where both names are tables and the last cutover does not tell whether they were
    renamed or one is a backup: the wrong pair could be found identical.
    """
    if not tables.exists(table.kept):
        return table.baseline, table.candidate
    served = tables.state(table.baseline)
    if served.is_view:
        return table.kept, table.candidate
    match past.kept_is(table, served.table_id, tables.state(table.kept).table_id):
        case "old":
            return table.kept, table.baseline
        case "backup":
            return table.baseline, table.candidate
    raise ConfigError(
        f"both {table.baseline} and {table.kept} are tables: which of them is the old one cannot be told; "
        "rename what is only a backup, or roll back"
    )


def far_apart(baseline: Producer | None, candidate: Producer | None) -> str | None:
    """A warning where what produced the sides is unknown or lies far apart."""
    if baseline is None or candidate is None:
        side = "old" if baseline is None else "new"
        return f"it is not known what produced the {side} side: no successful run of it was collected"
    if baseline.ended_at is None or candidate.ended_at is None:
        return None
    apart = abs((baseline.ended_at - candidate.ended_at).total_seconds())
    if apart <= FAR_APART_SECONDS:
        return None
    older = "old" if baseline.ended_at < candidate.ended_at else "new"
    return (
        f"the sides were written {apart / 60:.0f} min apart (the {older} side first): "
        "rows that changed in between differ for that reason alone"
    )
