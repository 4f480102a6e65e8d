"""Records and tables of comparisons: their states, producers and results, and the rows that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
)

from app.store.base import UtcDateTime, metadata
from app.store.text import CleanJson, ExactJson, FreeText, Identity, Label


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

ENDED = (ParityState.DONE, ParityState.FAILED, ParityState.CANCELLED)


def pair_of(baseline: Producer | None, candidate: Producer | None) -> str | None:
    """A text that names the pair of producing runs; None where one is unknown."""
    if baseline is None or candidate is None:
        return None
    return f"{baseline.kind}:{baseline.id}/{candidate.kind}:{candidate.id}"


def producer_json(producer: Producer | None) -> dict[str, Any] | None:
    """A producer as its column holds it."""
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


def run_of(row: Row[Any]) -> ParityRun:
    """A comparison from a whole row of `parity_runs`."""
    values = {k: v for k, v in row._mapping.items() if k not in ("worker", "alive_at", "hash_key")}
    values["tables"] = tuple(values["tables"])
    values["state"] = ParityState(values["state"])
    values["baseline"] = _producer(values["baseline"])
    values["candidate"] = _producer(values["candidate"])
    return ParityRun(**values)


def table_of(row: Row[Any]) -> ParityTable:
    """A table of a comparison from a row of `parity_tables` without its report."""
    values = dict(row._mapping)
    values["state"] = ParityState(values["state"])
    return ParityTable(**values)
