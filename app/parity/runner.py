"""Executes queued comparisons, and requests one after each pair of runs."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.config.base import ConfigError
from app.config.migration import Migration, Table
from app.parity.due import AUTO, due
from app.parity.names import KeptIs, names_now
from app.parity.producers import Pair, Producers, contradictions, doubts, far_apart, same, with_others
from app.parity.spec import spec_of
from app.parity.warehouse import open_warehouse
from app.store.base import StoreError, now
from app.store.heartbeat import Heartbeat
from app.store.open import Store
from app.store.parity import ALIVE_SECONDS, ComparisonTaken
from app.store.parity_records import ParityRun, ParityState
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError, one_line
from databricks_client.running import working_on
from validation.comparison import compare
from validation.errors import SpecError
from validation.report import ParityReport, Progress
from validation.updates import table_updates

log = logging.getLogger(__name__)

R = TypeVar("R")

# How often a running comparison checks the store for a request to cancel, and records its progress (seconds).
CANCEL_CHECK_SECONDS = 1.0
PROGRESS_SECONDS = 0.5
# Between two heartbeats of a running comparison (seconds); see `app.store.parity.ALIVE_SECONDS`.
ALIVE_PAUSE = 5.0
# How long, and how often, what must not be lost is retried while store or workspace are unavailable (seconds).
RETRY_SECONDS = 60.0
RETRY_PAUSE = 2.0


class ParityRunner:
    """Takes requests from the store and compares table by table. One thread of one `owner` uses it."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        migration: Migration,
        owner: str,
        kept_is: KeptIs,
        stop: threading.Event | None = None,
        clock: Callable[[], datetime] = now,
        tidy: Callable[[], object] = lambda: None,
    ) -> None:
        """kept_is: what the last cutover says of a table's kept name.

        tidy: cancels what dead processes left on the warehouse: called first, and when a comparison is requeued.
        """
        self._parity = store.parity
        self._producers = Producers(store.collected, workspace)
        self._workspace = workspace
        self._migration = migration
        self._kept_is = kept_is
        self._owner = owner
        self._stop = stop or threading.Event()
        self._claimed_elsewhere = threading.Event()
        self._clock = clock
        self._away = False
        self._tidy = tidy
        self._tidied = False

    def run_next(self) -> str | None:
        """Executes the oldest queued comparison; returns its id, None where none is queued.

        Raises StoreError where the store stays unavailable. Then, and when the worker stops, the comparison is left as
        it is, and the next call requeues it, as it does with comparisons of dead workers. Where another worker claimed
        this one, nothing more of it is recorded.
        """
        left = self._parity.requeue_interrupted(self._owner)
        if left:
            log.info("requeued interrupted comparisons: %s", ", ".join(left))
        if left or not self._tidied:
            self._tidied = True
            self._tidy()
        run = self._parity.claim(self._owner)
        if run is None:
            return None
        log.info("comparison %s of %s starts", run.id, ", ".join(run.tables))
        try:
            with self._alive(run), working_on("comparison", run.id):
                self._execute_or_fail(run)
        except ComparisonTaken as e:
            log.warning("%s: nothing more of it is recorded", e)
        except KeyboardInterrupt:
            self._parity.requeue_interrupted(self._owner)
            raise
        return run.id

    def _execute_or_fail(self, run: ParityRun) -> None:
        try:
            self._execute(run)
        except (StoreError, ComparisonTaken):
            raise
        except Exception as e:
            fault = self._fault(run, e)
            log.error("comparison %s: %s", run.id, fault, exc_info=None if self._sensitive(run) else e)
            # What breaks while the workspace is being left says nothing of the comparison.
            if not self._leaving():
                self._retry(lambda: self._parity.finish(run.id, ParityState.FAILED, fault, self._owner))

    def _sensitive(self, run: ParityRun) -> bool:
        return any(t.sensitive for t in self._migration.tables if t.name in run.tables)

    def _fault(self, run: ParityRun, error: Exception) -> str:
        """An unforeseen error in one line. Its text may quote values: where some are sensitive, its type and place."""
        kind = type(error).__name__
        if not self._sensitive(run):
            return one_line(f"{kind}: {error}")
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{kind} in {place.name} ({Path(place.filename).name}:{place.lineno})"

    def _execute(self, run: ParityRun) -> None:
        before = self._begin(run)
        tables = {t.name: t for t in self._migration.tables}
        finished = self._finished(run)
        for name in run.tables:
            if name in finished:
                continue
            if self._leaving() or self._cancelled(run):
                return
            if name in tables:
                self._compare(run, tables[name])
            else:
                self._fail_table(run, name, f"the migration file has no table {name}")
        if self._leaving() or self._cancelled(run):
            return
        self._end(run, before)

    @contextmanager
    def _alive(self, run: ParityRun) -> Iterator[None]:
        """Sends a heartbeat every ALIVE_PAUSE until the block ends.

        The comparison is left where another worker claimed it, and after ALIVE_SECONDS without a stored heartbeat.
        """
        self._claimed_elsewhere.clear()

        def lose(reason: str) -> None:
            log.warning("%s: nothing more of it is recorded", reason)
            self._claimed_elsewhere.set()

        with Heartbeat(
            f"comparison {run.id}",
            partial(self._parity.heartbeat, run.id, self._owner),
            every=ALIVE_PAUSE,
            within=ALIVE_SECONDS,
            on_lost=lose,
        ):
            yield

    def _leaving(self) -> bool:
        return self._stop.is_set() or self._claimed_elsewhere.is_set()

    def _begin(self, run: ParityRun) -> Pair:
        """Records what produced the sides, and gives it. What was compared while others had is compared again."""
        try:
            before = self._retry(lambda: self._producers.now(run.sides), patient=False)
        except WorkspaceError as e:
            log.warning("comparison %s: what produced its sides is taken from what was collected: %s", run.id, e)
            before = self._retry(lambda: self._producers.collected(run.sides))
        if self._finished(run) and not same(before, (run.baseline, run.candidate)):
            self._retry(lambda: self._parity.forget_results(run.id, self._owner))
        self._record(run, before, doubts(before, before))
        return before

    def _end(self, run: ParityRun, before: Pair) -> None:
        """Ends it as done. Of what speaks against the pair of the beginning there is a warning."""
        results = self._retry(lambda: self._parity.table_results(run.id))
        reports = {t.table: self._retry(partial(self._parity.report, run.id, t.table)) for t in results}
        found: list[str] = []
        try:
            after = self._retry(lambda: self._producers.now(run.sides))
        except WorkspaceError as e:
            if self._leaving():
                return
            after = before
            # Only a success must be beyond doubt: what proved nothing stays its pair's, and is tried again.
            if all(t.verdict == "identical" for t in results):
                found.append(f"whether a side was written while tables were compared could not be asked ({e})")
        # The end of an update is in its events, which may have arrived meanwhile.
        pair = after if same(before, after) else before
        known = {t: r for t, r in reports.items() if r is not None}
        found += doubts(before, after) + contradictions(known, before)
        at_work = self._retry(lambda: self._producers.at_work(run.sides))
        pair, others = with_others(known, pair, at_work)
        self._record(run, pair, found + others)
        verdict = self._retry(lambda: self._parity.finish(run.id, ParityState.DONE, worker=self._owner))
        log.info("comparison %s: %s", run.id, verdict)

    def _record(self, run: ParityRun, pair: Pair, found: Sequence[str]) -> None:
        warnings = [w for w in (far_apart(*pair), *found) if w]
        if found:
            warnings.append("this comparison counts for no pair of runs")
        self._retry(
            lambda: self._parity.set_producers(
                run.id, *pair, "; ".join(warnings) or None, proven=not found, worker=self._owner
            )
        )

    def _finished(self, run: ParityRun) -> set[str]:
        results = self._retry(lambda: self._parity.table_results(run.id))
        return {t.table for t in results if t.state in (ParityState.DONE, ParityState.FAILED)}

    def _cancelled(self, run: ParityRun) -> bool:
        """Whether a cancel was requested; then it has ended."""
        by = self._retry(lambda: self._parity.cancel_requested(run.id))
        if by is not None:
            self._retry(lambda: self._parity.finish(run.id, ParityState.CANCELLED, f"cancelled by {by}", self._owner))
        return by is not None

    def _compare(self, run: ParityRun, table: Table) -> None:
        checked = 0.0
        reported = (-1.0, "")
        cancelled_by: str | None = None

        def cancelled() -> bool:
            nonlocal checked, cancelled_by
            if self._leaving() or cancelled_by is not None:
                return True
            if time.monotonic() - checked >= CANCEL_CHECK_SECONDS:
                checked = time.monotonic()
                cancelled_by = self._try(lambda: self._parity.cancel_requested(run.id))
            return cancelled_by is not None

        def progress(p: Progress) -> None:
            nonlocal reported
            moment = time.monotonic()
            if self._leaving() or (p.step == reported[1] and moment - reported[0] < PROGRESS_SECONDS):
                return
            reported = (moment, p.step)
            fraction = p.done / p.total if p.total else 0.0
            self._try(lambda: self._parity.progress(run.id, table.name, p.step, fraction, self._owner))

        self._retry(lambda: self._parity.progress(run.id, table.name, "start", 0.0, self._owner))
        try:
            spec = spec_of(
                table,
                sides=run.sides,
                final=run.final,
                names=names_now(self._workspace.tables, table, self._kept_is),
                hash_key=self._parity.hash_key(run.id) or "",
            )
            with open_warehouse(self._workspace, cancelled) as warehouse:
                report: ParityReport = compare(
                    warehouse,
                    spec,
                    progress=progress,
                    cancelled=cancelled,
                    requested_by=run.requested_by,
                    update_of=table_updates(self._workspace),
                )
        except (WorkspaceError, SpecError, ConfigError) as e:
            if not self._leaving():
                self._fail_table(run, table.name, str(e))
            return
        if self._leaving() or cancelled_by is not None:
            return  # What was cancelled is no result; the caller ends the request, or leaves it to the next worker.
        try:
            self._retry(lambda: self._parity.finish_table(run.id, table.name, report.to_dict(), self._owner))
        except StoreError:
            if self._leaving():
                raise
            # A store that takes this and not the report will not take it after another comparison either.
            self._fail_table(run, table.name, "its result could not be stored: see the worker's log")

    def _fail_table(self, run: ParityRun, table: str, why: str) -> None:
        self._retry(lambda: self._parity.fail_table(run.id, table, why, self._owner))

    # ------------------------------------------------------------------------------------ a store that is away a moment

    def _retry(self, act: Callable[[], R], patient: bool = True) -> R:
        """What `act` returns. Retries while store or workspace are unavailable, for RETRY_SECONDS at most.

        patient: retries for the workspace too. Raises what `act` raises, at once when the worker stops or when another
        worker claimed the comparison.
        """
        until = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return act()
            except (StoreError, WorkspaceError) as e:
                again = isinstance(e, StoreError) or (patient and e.retryable)
                if not again or time.monotonic() >= until or self._leaving() or self._stop.wait(RETRY_PAUSE):
                    raise
                log.warning("retrying: %s", e)

    def _try(self, act: Callable[[], R]) -> R | None:
        """What `act` returns, None where the store is unavailable: the comparison continues without it."""
        try:
            found = act()
        except ComparisonTaken:
            self._claimed_elsewhere.set()
            return None
        except StoreError as e:
            if not self._away:
                log.warning("the comparison continues: %s", e)
            self._away = True
            return None
        self._away = False
        return found

    # --------------------------------------------------------------------------------------- comparisons by themselves

    def request_after_runs(self) -> list[str]:
        """Requests a comparison of each pair of sides that is due (`due`); returns the ids.

        That is after a run of the old job and an update of the new side that both succeeded, with nothing after them or
        at work: the comparison would only find that a side changed, or it would not be known what wrote it.
        """
        names = [t.name for t in self._migration.tables]
        requested = []
        for sides in ("production", "development"):
            if sides == "development" and not all(t.development for t in self._migration.tables):
                continue
            pair = self._producers.collected(sides)
            baseline, candidate = pair
            if baseline is None or candidate is None or any(r.sides == sides for r in self._parity.active()):
                continue
            past = self._parity.runs(sides=sides, limit=200)
            if not due(past, names, baseline, candidate, self._clock()) or not self._still(sides, pair):
                continue
            requested.append(self._parity.request(names, "worker", sides=sides, trigger=AUTO))
            log.info("comparison %s follows run %s and update %s", requested[-1], baseline.id, candidate.id)
        return requested

    def _still(self, sides: str, pair: Pair) -> bool:
        """Checks with the workspace, as what was collected is some seconds old; False where it is unknown."""
        try:
            return same(pair, self._producers.now(sides))
        except WorkspaceError as e:
            log.warning("no comparison requested: %s", e)
            return False
