"""Comparisons in the store: requests, progress by table and step, reports, history."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    Table,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from app.store.base import Repository, UtcDateTime, metadata, now
from app.store.text import CleanJson, ExactJson, FreeText, Identity, Label

SIDES = ("production", "development")

ALIVE_SECONDS = 20.0
"""A comparison sends heartbeats. One without a heartbeat for this long has no live worker: it is requeued."""


class ParityState(StrEnum):
    """Where a comparison of several tables stands, and each table of it."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class OtherWrite:
    """A table of a side whose last write is not of the side's producer, as the table's own history says.

    what: operation, user, version and run in words. at: when it was committed.
    """

    table: str
    what: str
    at: datetime


@dataclass(frozen=True)
class Producer:
    """What last may have written one side before it was read: a job run, or a pipeline update (perhaps of a job run).

    state: the service's word for how it ended or where it stands (SUCCESS, COMPLETED, FAILED, RUNNING, ...). Records
    from before it was kept name only what had succeeded. others: tables that something else wrote last; known once the
    tables were compared.
    """

    kind: str
    id: str
    job_run_id: int | None
    ended_at: datetime | None
    state: str = "SUCCESS"
    started_at: datetime | None = field(default=None, compare=False)
    others: tuple[OtherWrite, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether it wrote all that it writes, and writes no more."""
        return self.state in ("SUCCESS", "COMPLETED")


@dataclass(frozen=True)
class ParityRun:
    """One comparison of one or more tables.

    sides: `production` (old against new) or `development` (old against the development pipeline's tables).
    trigger: `manual` or `auto` (follows a pair of runs). verdict: identical, different,
        not_proven; None before the end.
    baseline, candidate: what produced the sides. skew_seconds: time between the ends of those two.
    pair: names the two if it is proven that they produced what was compared; None: it counts for no pair of runs.
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
    pair: str | None


@dataclass(frozen=True)
class ParityTable:
    """One table of a comparison: its progress, then its result. fraction is 0 to 1; seconds of the comparison.

    label: the verdict for people, as `DIFFERENT, all explained by time`. final: the deterministic comparison ran too
    (before the end: was requested).
    """

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
    label: str | None = None
    final: bool = False


runs_table = Table(
    "parity_runs",
    metadata,
    Column("id", Identity(40), primary_key=True),
    Column("tables", ExactJson, nullable=False),
    Column("requested_by", Identity(320), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("trigger", Identity(20), nullable=False),
    Column("final", Boolean, nullable=False),
    Column("sides", Identity(20), nullable=False),
    Column("state", Identity(20), nullable=False),
    Column("cancel_requested_by", Identity(320)),
    Column("worker", Identity(200)),
    Column("alive_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("verdict", Identity(20)),
    Column("error", FreeText),
    Column("baseline", CleanJson),
    Column("candidate", CleanJson),
    Column("pair", Label(200)),
    Column("skew_seconds", Float),
    Column("warning", FreeText),
    Column("hash_key", Identity(64)),
    Index("ix_parity_runs_state", "state", "requested_at"),
    Index("ix_parity_runs_sides_requested", "sides", "requested_at"),
)

tables_table = Table(
    "parity_tables",
    metadata,
    Column("parity_id", Identity(40), ForeignKey(runs_table.c.id), primary_key=True),
    Column("table", Identity(200), primary_key=True),
    Column("sides", Identity(20), nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", Identity(20), nullable=False),
    Column("step", Label(60), nullable=False),
    Column("fraction", Float, nullable=False),
    Column("verdict", Identity(20)),
    Column("label", Label(60)),
    Column("reason", FreeText),
    Column("final", Boolean, nullable=False),
    Column("baseline_rows", BigInteger),
    Column("candidate_rows", BigInteger),
    Column("missing_rows", BigInteger),
    Column("extra_rows", BigInteger),
    Column("modified_rows", BigInteger),
    Column("seconds", Float),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("report", CleanJson),
    Index("ix_parity_tables_history", "sides", "table", "finished_at"),
)

_WORST_FIRST = ("different", "not_proven", "identical")
_ENDED = (ParityState.DONE, ParityState.FAILED, ParityState.CANCELLED)


class ComparisonTaken(Exception):
    """The worker does not own the comparison any more: it ended, or another worker claimed it."""


class ParityRepository(Repository):
    """Requests, progress and results of comparisons. All methods raise StoreError where the store cannot be used.

    State changes compare and swap: a request is claimed once, and an ended comparison stays as it ended. A worker names
    itself with each record of a comparison that it executes: the record is kept only while that worker owns it, and is
    a heartbeat too. Otherwise ComparisonTaken is raised and nothing recorded.
    """

    _what = "comparisons"

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
                .where(t.c.parity_id == parity_id, t.c.state.in_(_ENDED))
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
                    baseline=_producer_json(baseline),
                    candidate=_producer_json(candidate),
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
                .where(t.c.parity_id == parity_id, t.c.table == table, t.c.state.not_in(_ENDED))
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
        if state not in _ENDED:
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
                .where(runs_table.c.id == parity_id, runs_table.c.state.not_in(_ENDED))
                .values(state=state, finished_at=now(), verdict=verdict, error=error)
            )
        return verdict

    @staticmethod
    def _end_open_tables(c: Connection, parity_id: str, state: ParityState, reason: str) -> None:
        t = tables_table
        c.execute(
            update(t)
            .where(t.c.parity_id == parity_id, t.c.state.not_in(_ENDED))
            .values(
                state=state, step=str(state), verdict="not_proven", label="NOT PROVEN", reason=reason, finished_at=now()
            )
        )

    # ---------------------------------------------------------------------------------------------------- reading

    def run(self, parity_id: str) -> ParityRun | None:
        """One comparison."""
        found = self._one(select(runs_table).where(runs_table.c.id == parity_id))
        return None if found is None else _run(found)

    def runs(self, *, sides: str | None = None, limit: int = 100) -> list[ParityRun]:
        """Comparisons, newest request first."""
        query = select(runs_table).order_by(runs_table.c.requested_at.desc(), runs_table.c.id.desc()).limit(limit)
        if sides is not None:
            query = query.where(runs_table.c.sides == sides)
        return [_run(r) for r in self._all(query)]

    def ended(self, sides: str, limit: int = 2000) -> list[ParityRun]:
        """Comparisons that ended without being cancelled, newest end first."""
        r = runs_table.c
        query = select(runs_table).where(r.sides == sides, r.state.in_([ParityState.DONE, ParityState.FAILED]))
        return [_run(row) for row in self._all(query.order_by(r.finished_at.desc()).limit(limit))]

    def table_results(self, parity_id: str) -> list[ParityTable]:
        """Progress and results of one comparison's tables, in its order."""
        query = _without_report().where(tables_table.c.parity_id == parity_id).order_by(tables_table.c.position)
        return [_table(r) for r in self._all(query)]

    def active(self) -> list[ParityRun]:
        """Comparisons that wait or run, oldest first."""
        query = (
            select(runs_table)
            .where(runs_table.c.state.in_([ParityState.QUEUED, ParityState.RUNNING]))
            .order_by(runs_table.c.requested_at)
        )
        return [_run(r) for r in self._all(query)]

    def latest(self, sides: str = "production", *, final: bool | None = None) -> dict[str, ParityTable]:
        """The newest finished result of each table. final: only those of a final (or an ordinary) comparison.

        Cancelled ones do not count: nothing was found out. Failed ones do, as not proven.
        """
        t = tables_table.c
        conditions = [t.sides == sides, t.state.in_([ParityState.DONE, ParityState.FAILED])]
        if final is not None:
            conditions.append(t.final == final)
        newest = (
            select(t.table.label("name"), func.max(t.finished_at).label("at"))
            .where(*conditions)
            .group_by(t.table)
            .subquery()
        )
        query = (
            _without_report()
            .join(newest, (t.table == newest.c.name) & (t.finished_at == newest.c.at))
            .where(*conditions)
        )
        return {r.table: _table(r) for r in self._all(query)}

    def history(self, table: str | None = None, *, sides: str = "production", limit: int = 500) -> list[ParityTable]:
        """Finished results, newest first."""
        t = tables_table.c
        query = _without_report().where(t.sides == sides, t.finished_at.is_not(None))
        if table is not None:
            query = query.where(t.table == table)
        query = query.order_by(t.finished_at.desc(), t.position).limit(limit)
        return [_table(r) for r in self._all(query)]

    def report(self, parity_id: str, table: str) -> dict[str, Any] | None:
        """One table's whole report; None where it has none."""
        t = tables_table.c
        found = self._one(select(t.report).where(t.parity_id == parity_id, t.table == table))
        return None if found is None else found[0]

    def hash_key(self, parity_id: str) -> str | None:
        """Secret of the keyed hashes in a comparison's samples; None for one of before such secrets were kept."""
        found = self._one(select(runs_table.c.hash_key).where(runs_table.c.id == parity_id))
        return None if found is None else found[0]


def pair_of(baseline: Producer | None, candidate: Producer | None) -> str | None:
    """A text that names the pair of producing runs; None where one is unknown."""
    if baseline is None or candidate is None:
        return None
    return f"{baseline.kind}:{baseline.id}/{candidate.kind}:{candidate.id}"


def _producer_json(producer: Producer | None) -> dict[str, Any] | None:
    if producer is None:
        return None
    return {
        "kind": producer.kind,
        "id": producer.id,
        "job_run_id": producer.job_run_id,
        "ended_at": producer.ended_at.isoformat() if producer.ended_at else None,
        "state": producer.state,
        "started_at": producer.started_at.isoformat() if producer.started_at else None,
        "others": [{"table": o.table, "what": o.what, "at": o.at.isoformat()} for o in producer.others],
    }


def _producer(value: Mapping[str, Any] | None) -> Producer | None:
    if value is None:
        return None
    started, ended = (
        None if value.get(k) is None else datetime.fromisoformat(value[k]) for k in ("started_at", "ended_at")
    )
    others = (OtherWrite(o["table"], o["what"], datetime.fromisoformat(o["at"])) for o in value.get("others", ()))
    state = value.get("state", "SUCCESS")
    return Producer(value["kind"], value["id"], value["job_run_id"], ended, state, started, tuple(others))


def _run(row: Row[Any]) -> ParityRun:
    values = {k: v for k, v in row._mapping.items() if k not in ("worker", "alive_at", "hash_key")}
    values["tables"] = tuple(values["tables"])
    values["state"] = ParityState(values["state"])
    values["baseline"] = _producer(values["baseline"])
    values["candidate"] = _producer(values["candidate"])
    return ParityRun(**values)


def _without_report() -> Select[Any]:
    return select(*(c for c in tables_table.columns if c.name not in ("report", "sides", "position")))


def _table(row: Row[Any]) -> ParityTable:
    values = dict(row._mapping)
    values["state"] = ParityState(values["state"])
    return ParityTable(**values)
