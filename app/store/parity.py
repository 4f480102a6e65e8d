"""Comparisons in the store: requested, cancelled, claimed by a worker, kept alive, finished."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from app.store.base import UtcDateTime, now
from app.store.parity_reading import ParityReader
from app.store.parity_records import (
    ENDED,
    ParityRun,
    ParityState,
    Producer,
    pair_of,
    producer_json,
    runs_table,
    tables_table,
)

SIDES = ("production", "development")

ALIVE_SECONDS = 20.0
"""A comparison sends heartbeats. One without a heartbeat for this long has no live worker: it is requeued."""

_WORST_FIRST = ("different", "not_proven", "identical")


class ComparisonTaken(Exception):
    """The worker does not own the comparison any more: it ended, or another worker claimed it."""


class ParityRepository(ParityReader):
    """Requests, progress and results of comparisons. All methods raise StoreError where the store cannot be used.

    State changes compare and swap: a request is claimed once, and an ended comparison stays as it ended. A worker names
    itself with each record of a comparison that it executes: the record is kept only while that worker owns it, and is
    a heartbeat too. Otherwise ComparisonTaken is raised and nothing recorded.
    """

    def request(
        self,
        tables: Sequence[str],
        requested_by: str,
        *,
        final: bool = False,
        sides: str = "production",
        trigger: str = "manual",
    ) -> str:
        """Queues a comparison; returns its id, or that of an equal request which is still queued.

        Raises ValueError for no tables or unknown sides.
        """
        if not tables:
            raise ValueError("a comparison needs at least one table")
        if sides not in SIDES:
            raise ValueError(f"{sides!r} is none of {', '.join(SIDES)}")
        wanted = list(dict.fromkeys(tables))
        with self._write() as c:
            waiting = c.execute(
                select(runs_table.c.id, runs_table.c.tables).where(
                    runs_table.c.state == ParityState.QUEUED,
                    runs_table.c.sides == sides,
                    runs_table.c.final == final,
                    runs_table.c.cancel_requested_by.is_(None),
                )
            ).all()
            for row in waiting:
                if row.tables == wanted:
                    return str(row.id)
            parity_id = f"{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
            c.execute(
                insert(runs_table).values(
                    id=parity_id,
                    tables=wanted,
                    requested_by=requested_by,
                    requested_at=now(),
                    trigger=trigger,
                    final=final,
                    sides=sides,
                    state=ParityState.QUEUED,
                    hash_key=secrets.token_hex(32),
                )
            )
            c.execute(
                insert(tables_table),
                [
                    {
                        "parity_id": parity_id,
                        "table": table,
                        "sides": sides,
                        "position": position,
                        "state": ParityState.QUEUED,
                        "step": "",
                        "fraction": 0.0,
                        "final": final,
                    }
                    for position, table in enumerate(wanted)
                ],
            )
        return parity_id

    def cancel(self, parity_id: str, by: str) -> bool:
        """Cancels: a queued comparison ends at once, a running one soon. False where it has ended already."""
        with self._write() as c:
            r = runs_table
            requested = c.execute(
                update(r)
                .where(r.c.id == parity_id, r.c.state.in_([ParityState.QUEUED, ParityState.RUNNING]))
                .values(cancel_requested_by=by)
            ).rowcount
            waiting = c.execute(
                update(r)
                .where(r.c.id == parity_id, r.c.state == ParityState.QUEUED)
                .values(state=ParityState.CANCELLED, finished_at=now())
            ).rowcount
            if waiting:
                self._end_open_tables(c, parity_id, ParityState.CANCELLED, f"cancelled by {by}")
        return requested == 1

    # ------------------------------------------------------------------------------------------------ the worker

    def claim(self, worker: str) -> ParityRun | None:
        """Claims the oldest queued comparison for `worker`; None without one. Manual requests go first."""
        r = runs_table
        with self._write() as c:
            waiting = c.execute(
                select(r.c.id)
                .where(r.c.state == ParityState.QUEUED)
                .order_by(r.c.trigger.desc(), r.c.requested_at)  # `manual` sorts after `auto`
                .limit(1)
            ).scalar_one_or_none()
            if waiting is None:
                return None
            taken = c.execute(
                update(r)
                .where(r.c.id == waiting, r.c.state == ParityState.QUEUED)
                .values(state=ParityState.RUNNING, worker=worker, started_at=now(), alive_at=self._moment(c))
            ).rowcount
        return self.run(str(waiting)) if taken == 1 else None

    def heartbeat(self, parity_id: str, worker: str) -> None:
        """Records that `worker` still executes it. Raises ComparisonTaken where it does not own it."""
        with self._write() as c:
            self._own(c, parity_id, worker)

    def _own(self, c: Connection, parity_id: str, worker: str | None) -> None:
        """Raises ComparisonTaken unless `worker` owns it now, and records a heartbeat. None: no check."""
        r = runs_table
        if worker is None:
            return
        mine = c.execute(
            update(r)
            .where(r.c.id == parity_id, r.c.state == ParityState.RUNNING, r.c.worker == worker)
            .values(alive_at=self._moment(c))
        ).rowcount
        if mine != 1:
            raise ComparisonTaken(f"comparison {parity_id} ended, or another process claimed it")

    def executor(self, parity_id: str) -> str | None:
        """The worker that executes it and sent a heartbeat within ALIVE_SECONDS; None where there is none."""
        r = runs_table
        with self._read() as c:
            found: str | None = c.execute(
                select(r.c.worker).where(
                    r.c.id == parity_id, r.c.state == ParityState.RUNNING, r.c.alive_at >= self._silence(c)
                )
            ).scalar_one_or_none()
        return found

    def _silence(self, c: Connection) -> datetime:
        """A worker whose last heartbeat is older than this is dead."""
        return self._moment(c) - timedelta(seconds=ALIVE_SECONDS)

    def requeue_interrupted(self, worker: str) -> list[str]:
        """Requeues comparisons that were interrupted; returns their ids.

        Those are what `worker`, which executes none now, had claimed, and those of other workers without a heartbeat.
        A comparison only reads, so starting it again is safe. Finished tables keep their result. A comparison with a
        request to cancel ends as cancelled, whichever worker had it.
        """
        r, t = runs_table, tables_table
        with self._write() as c:
            dead = or_(r.c.alive_at.is_(None), r.c.alive_at < self._silence(c))
            left_by = or_(r.c.worker == worker, dead, r.c.cancel_requested_by.is_not(None))
            put_back: list[str] = []
            left = c.execute(
                select(r.c.id, r.c.cancel_requested_by).where(r.c.state == ParityState.RUNNING, left_by)
            ).all()
            for row in left:
                cancelled = row.cancel_requested_by is not None
                state: dict[str, Any] = {"state": ParityState.QUEUED, "worker": None}
                if cancelled:
                    state = {"state": ParityState.CANCELLED, "finished_at": now()}
                # It may have ended, or been taken by another who is alive, since it was read.
                still = (r.c.id == row.id, r.c.state == ParityState.RUNNING, left_by)
                if c.execute(update(r).where(*still).values(**state)).rowcount != 1:
                    continue
                put_back.append(str(row.id))
                if cancelled:
                    self._end_open_tables(c, row.id, ParityState.CANCELLED, f"cancelled by {row.cancel_requested_by}")
                else:
                    c.execute(
                        update(t)
                        .where(t.c.parity_id == row.id, t.c.state == ParityState.RUNNING)
                        .values(state=ParityState.INTERRUPTED, step="interrupted, starts again", fraction=0.0)
                    )
        return put_back

    def forget_results(self, parity_id: str, worker: str | None = None) -> None:
        """Drops the results of a running comparison, to compare all tables again: their sides were written since."""
        t = tables_table
        kept = {"parity_id", "table", "sides", "position", "state", "step", "fraction", "final"}
        with self._write() as c:
            self._own(c, parity_id, worker)
            c.execute(
                update(t)
                .where(t.c.parity_id == parity_id, t.c.state.in_(ENDED))
                .values(
                    state=ParityState.INTERRUPTED,
                    step="written since, starts again",
                    fraction=0.0,
                    final=select(runs_table.c.final).where(runs_table.c.id == parity_id).scalar_subquery(),
                    **{column.name: None for column in t.columns if column.name not in kept},
                )
            )

    def cancel_requested(self, parity_id: str) -> str | None:
        """Who requested to cancel it; None without a request."""
        found = self._one(select(runs_table.c.cancel_requested_by).where(runs_table.c.id == parity_id))
        return None if found is None else found[0]

    def set_producers(
        self,
        parity_id: str,
        baseline: Producer | None,
        candidate: Producer | None,
        warning: str | None,
        *,
        proven: bool = True,
        worker: str | None = None,
    ) -> None:
        """Records what produced the sides, and a warning as where they are far apart.

        proven: these two produced what was compared, as far as is known; otherwise it counts for no pair.
        """
        skew = None
        if baseline and candidate and baseline.ended_at and candidate.ended_at:
            skew = abs((baseline.ended_at - candidate.ended_at).total_seconds())
        with self._write() as c:
            self._own(c, parity_id, worker)
            c.execute(
                update(runs_table)
                .where(runs_table.c.id == parity_id)
                .values(
                    baseline=producer_json(baseline),
                    candidate=producer_json(candidate),
                    pair=pair_of(baseline, candidate) if proven else None,
                    skew_seconds=skew,
                    warning=warning,
                )
            )

    def progress(self, parity_id: str, table: str, step: str, fraction: float, worker: str | None = None) -> None:
        """Where one table's comparison is; the first call starts its clock."""
        t = tables_table
        with self._write() as c:
            self._own(c, parity_id, worker)
            c.execute(
                update(t)
                .where(t.c.parity_id == parity_id, t.c.table == table, t.c.state.not_in(ENDED))
                .values(
                    state=ParityState.RUNNING,
                    step=step,
                    fraction=min(1.0, max(0.0, fraction)),
                    started_at=func.coalesce(t.c.started_at, literal(now(), UtcDateTime)),
                )
            )

    def finish_table(self, parity_id: str, table: str, report: Mapping[str, Any], worker: str | None = None) -> None:
        """Keeps one table's report (validation's JSON object)."""
        t = tables_table
        with self._write() as c:
            self._own(c, parity_id, worker)
            c.execute(
                update(t)
                .where(t.c.parity_id == parity_id, t.c.table == table)
                .values(
                    state=ParityState.DONE,
                    step="done",
                    fraction=1.0,
                    verdict=report["verdict"],
                    label=report.get("label"),
                    reason=report.get("reason"),
                    final=bool(report.get("final", False)),
                    baseline_rows=report.get("baseline_rows"),
                    candidate_rows=report.get("candidate_rows"),
                    missing_rows=report.get("missing_rows"),
                    extra_rows=report.get("extra_rows"),
                    modified_rows=report.get("modified_rows"),
                    seconds=report.get("seconds"),
                    finished_at=now(),
                    report=dict(report),
                )
            )

    def fail_table(self, parity_id: str, table: str, error: str, worker: str | None = None) -> None:
        """Records that a table could not be compared: not proven."""
        t = tables_table
        with self._write() as c:
            self._own(c, parity_id, worker)
            c.execute(
                update(t)
                .where(t.c.parity_id == parity_id, t.c.table == table)
                .values(
                    state=ParityState.FAILED,
                    step="failed",
                    verdict="not_proven",
                    label="NOT PROVEN",
                    reason=error,
                    finished_at=now(),
                )
            )

    def finish(
        self, parity_id: str, state: ParityState, error: str | None = None, worker: str | None = None
    ) -> str | None:
        """Ends a comparison and gives its verdict: the worst of its tables (different, not_proven, identical).

        A comparison that did not end as DONE never is identical: what is not finished is not proven.
        """
        if state not in ENDED:
            raise ValueError(f"a comparison cannot end as {state}")
        t = tables_table
        with self._write() as c:
            self._own(c, parity_id, worker)
            if state is not ParityState.DONE:
                self._end_open_tables(c, parity_id, state, error or str(state))
            found = list(c.execute(select(t.c.verdict).where(t.c.parity_id == parity_id)).scalars())
            verdicts = [v or "not_proven" for v in found]
            verdict = next((v for v in _WORST_FIRST if v in verdicts), "not_proven")
            c.execute(
                update(runs_table)
                .where(runs_table.c.id == parity_id, runs_table.c.state.not_in(ENDED))
                .values(state=state, finished_at=now(), verdict=verdict, error=error)
            )
        return verdict

    @staticmethod
    def _end_open_tables(c: Connection, parity_id: str, state: ParityState, reason: str) -> None:
        t = tables_table
        c.execute(
            update(t)
            .where(t.c.parity_id == parity_id, t.c.state.not_in(ENDED))
            .values(
                state=state, step=str(state), verdict="not_proven", label="NOT PROVEN", reason=reason, finished_at=now()
            )
        )
