"""The result of a comparison: frozen typed objects, and JSON as one view of them (text, CSV and HTML: `views.py`)."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import types
import typing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class Verdict(StrEnum):
    """What a comparison proved. NOT_PROVEN is neither a pass nor a difference."""

    IDENTICAL = "identical"
    DIFFERENT = "different"
    NOT_PROVEN = "not_proven"


class SampleKind(StrEnum):
    """What is wrong with a sampled row."""

    MISSING = "missing"
    EXTRA = "extra"
    MODIFIED = "modified"


@dataclass(frozen=True)
class TableWrite:
    """The last commit of a Delta table that may have changed its rows, as its history describes it.

    at: UTC. operation: Delta's word (`MERGE`, `UPDATE`, `CREATE OR REPLACE TABLE AS SELECT`, ...). user: who committed.
    job_id, job_run_id, run_id: the job, its run and the task's run, where a job committed it and the history says so.
    trigger: what started that run.
    """

    version: int
    at: datetime | None
    operation: str
    user: str | None = None
    job_id: str | None = None
    job_run_id: str | None = None
    run_id: str | None = None
    trigger: str | None = None

    @property
    def run(self) -> str | None:
        """The job run as `SideState.produced_by` names it; None where the history names none."""
        found = self.job_run_id or self.run_id
        return f"job run {found}" if found else None

    @property
    def what(self) -> str:
        """Operation, user and run in words, without the time."""
        by = f" by {self.user}" if self.user else ""
        return f"{self.operation or 'a write'}{by} (version {self.version}{f', {self.run}' if self.run else ''})"


@dataclass(frozen=True)
class SideState:
    """One side as it was found.

    name: as requested. table_type: MANAGED, EXTERNAL, VIEW, MATERIALIZED_VIEW, STREAMING_TABLE, ... or "" (unknown).
    version_before, version_after: what identifies the data before and after reading: `delta:12` for a Delta table,
        `update:<id>` where the caller knows the pipeline's update (`update:<id> (failed)` where it did not complete),
        `refreshed:`, `altered:` or `definition:` and what the service says of a view or materialized view; None where
        nothing can be known.
    pinned: exactly `version_before` was read, so a later write does not matter.
    rows: counted rows (None if not counted). bytes: size of the current files (None where the service does not say).
    last_write: time of the newest version, where known. written: the last write at or before it, of a Delta table;
        maintenance such as OPTIMIZE may be newer. produced_by: the run or update that wrote it, where one is known.
    watermark: greatest value of the watermark column, as text (None without one, or for an empty side).
    hidden: what may keep rows or values from who compared, as `row filter`; None if the description names nothing.
    writer: what was writing the side while it was read, as `update <id>, running`; None if nothing is known to.
    """

    name: str
    table_type: str = ""
    version_before: str | None = None
    version_after: str | None = None
    pinned: bool = False
    rows: int | None = None
    bytes: int | None = None
    last_write: datetime | None = None
    produced_by: str | None = None
    watermark: str | None = None
    writer: str | None = None
    hidden: str | None = None
    written: TableWrite | None = None

    @property
    def written_by(self) -> str | None:
        """What wrote it last, in words: the table's own history, else the pipeline's update; None if not known."""
        return self.produced_by if self.written is None else self.written.what

    @property
    def written_at(self) -> datetime | None:
        """When that was."""
        return self.last_write if self.written is None else self.written.at

    @property
    def changed(self) -> bool:
        """Whether the side changed while it was read."""
        return not self.pinned and self.version_before != self.version_after


@dataclass(frozen=True)
class SchemaDifference:
    """One difference of the schemas. aspect: a `spec.SchemaAspect` value; decides: makes the tables different."""

    aspect: str
    column: str
    baseline: str | None
    candidate: str | None
    decides: bool
    note: str = ""


@dataclass(frozen=True)
class TypeRule:
    """How the values of a column whose types differ were compared.

    baseline, candidate: the types. rule: the common form in words. tolerance: in words, "" without one.
    method: `exact`, `rounding`, or `tolerance` where a tolerance of the request applies to the common form.
    """

    baseline: str
    candidate: str
    method: str
    rule: str
    tolerance: str = ""

    def __str__(self) -> str:
        return f"{self.rule}, within {self.tolerance}" if self.tolerance else self.rule


@dataclass(frozen=True)
class Cause:
    """Differing rows that have the same explanation.

    name: a stable identifier, as `timing`, `time_zone`, `null_or_empty`. rows: differing rows it covers (for a cause of
    columns: differing values). columns: affected columns, most affected first. hint: what to look at, in one sentence.
    """

    name: str
    title: str
    rows: int
    columns: tuple[str, ...]
    hint: str


@dataclass(frozen=True)
class Cell:
    """One column of a sampled row, baseline beside candidate, as text (None is NULL or "no such row").

    masked: both values are keyed hashes. difference: `equal`, `value`, `null_or_empty`, `case`, `space`, ...
    """

    column: str
    baseline: str | None
    candidate: str | None
    masked: bool = False
    difference: str = "value"


@dataclass(frozen=True)
class Sample:
    """One differing row. key: key column to text (masked if sensitive).

    locator: finds rows with this key again (`reveal`). rows: of each side, which of these it is; None of a side without
    one.
    """

    kind: SampleKind
    key: dict[str, str | None]
    cells: tuple[Cell, ...]
    locator: str = ""
    rows: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class Fingerprint:
    """Rows of one side, summed: bucket to (rows, sum of each half of each row hash)."""

    buckets: dict[str, tuple[int, ...]]
    digest: str
    """SHA-256 over the buckets, as hex; equal digests on equal column lists mean equal fingerprints."""
    keyed: bool = False
    """Whether the digest is keyed and the buckets are left out, as where columns are sensitive."""

    def sealed(self, key: str) -> Fingerprint:
        """The same with nothing that a value could be guessed from: of a bucket with one row the sums are its hash."""
        return Fingerprint({}, hmac.new(key.encode(), self.digest.encode(), hashlib.sha256).hexdigest(), True)


@dataclass(frozen=True)
class Timing:
    """Seconds of one step."""

    step: str
    seconds: float


@dataclass(frozen=True)
class Origin:
    """What last may have written a side, for who keeps the runs. what: as `run 42`. ended_at: None where not known."""

    what: str
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Provenance:
    """What the requester knows of a comparison and the tables do not show; a filed report has it too.

    baseline, candidate: None where nothing is known to have written the side.
    warning: why the sides may differ for that alone, or why that is unknown; None where there is none.
    """

    baseline: Origin | None = None
    candidate: Origin | None = None
    warning: str | None = None

    @property
    def apart(self) -> float | None:
        """Seconds between the ends of the two runs, None where one is not known."""
        ends = [p.ended_at for p in (self.baseline, self.candidate) if p is not None and p.ended_at is not None]
        return abs((ends[0] - ends[1]).total_seconds()) if len(ends) == 2 else None


@dataclass(frozen=True)
class ParityReport:
    """The whole result; counts are None where they were not or could not be counted (then `reason` says why).

    Counts treat rows as multisets. With a key: within a key equal rows cancel first, what then remains on both sides
    counts pair by pair as modified, the rest as missing (only in the baseline) or extra (only in the candidate).
    duplicate_rows: per side, rows beyond the first of their key; without a key, beyond the first of equal rows.
    column_mismatches: column to modified rows in which it differs; only columns with any.
    missed_difference_probability: chance that an IDENTICAL verdict hides a difference, if the hash were ideal; 0.0 when
        the deterministic comparison ran.
    """

    verdict: Verdict
    reason: str
    baseline: SideState
    candidate: SideState
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    missing_rows: int | None = None
    extra_rows: int | None = None
    modified_rows: int | None = None
    duplicate_rows: dict[str, int | None] = field(default_factory=lambda: {"baseline": None, "candidate": None})
    column_mismatches: dict[str, int] = field(default_factory=dict)
    schema_differences: tuple[SchemaDifference, ...] = ()
    causes: tuple[Cause, ...] = ()
    samples: tuple[Sample, ...] = ()
    notes: tuple[str, ...] = ()
    not_compared: dict[str, str] = field(default_factory=dict)
    """Columns that could not be compared exactly, and why."""
    compared_as: dict[str, TypeRule] = field(default_factory=dict)
    """Columns whose types differ and were compared all the same, and how."""
    explained_by_time: bool = False
    within_threshold: bool = False
    within_tolerance_rows: int = 0
    """Rows that differ by less than the tolerances and so count as equal."""
    final: bool = False
    """The deterministic comparison ran and found no difference."""
    sql_hash: str = ""
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    started_at: datetime | None = None
    seconds: float = 0.0
    timings: tuple[Timing, ...] = ()
    requested_by: str = ""
    missed_difference_probability: float | None = None
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def baseline_rows(self) -> int | None:
        """Rows of the baseline (after the filter)."""
        return self.baseline.rows

    @property
    def candidate_rows(self) -> int | None:
        """Rows of the candidate (after the filter)."""
        return self.candidate.rows

    @property
    def label(self) -> str:
        """The verdict in words for people."""
        if self.verdict is Verdict.DIFFERENT and self.explained_by_time:
            return "DIFFERENT, all explained by time"
        return {
            Verdict.IDENTICAL: "IDENTICAL",
            Verdict.DIFFERENT: "DIFFERENT",
            Verdict.NOT_PROVEN: "NOT PROVEN",
        }[self.verdict]

    def to_dict(self, provenance: Provenance | None = None) -> dict[str, Any]:
        """JSON values only; `from_dict` is the inverse. provenance: goes along under its own name, to be filed."""
        out: dict[str, Any] = _to_json(self)
        if provenance is not None:
            out["provenance"] = {**_to_json(provenance), "seconds_apart": provenance.apart}
        out["label"] = self.label
        out["baseline_rows"] = self.baseline_rows
        out["candidate_rows"] = self.candidate_rows
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """A report from `to_dict`, less provenance. Raises ValueError if something is missing or of the wrong kind."""
        derived = {"label", "baseline_rows", "candidate_rows", "provenance"}
        made: Self = _from_json(cls, {k: v for k, v in values.items() if k not in derived})
        return made


@dataclass(frozen=True)
class Estimate:
    """What a comparison would read: rows and bytes of both sides together, None where unknown."""

    rows: int | None
    bytes: int | None
    baseline: SideState
    candidate: SideState


class RecheckState(StrEnum):
    """Whether a stored report still describes the tables."""

    HOLDS = "holds"
    """Both sides are what they were when the report was made."""
    STALE = "stale"
    """A side has been written since, or its state cannot be known: the report is about older data."""
    CHANGED = "changed"
    """The fingerprints of today's data differ from the report's, or the schema does."""


@dataclass(frozen=True)
class Recheck:
    """Answer of `recheck`."""

    state: RecheckState
    reason: str


@dataclass(frozen=True)
class Progress:
    """Where a comparison is; seconds since its start. Steps: those of a comparison, `done` last."""

    step: str
    message: str
    done: int
    total: int
    seconds: float


def _to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return value


def _from_json(kind: Any, value: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _from_json(next(a for a in args if a is not type(None)), value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise ValueError(f"{kind.__name__} is not an object: {value!r}")
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints)
        if unknown:
            raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        try:
            return kind(**{k: _from_json(hints[k], v) for k, v in value.items()})
        except TypeError as e:
            raise ValueError(f"{kind.__name__} is incomplete: {e}") from e
    if origin is tuple:
        return tuple(_from_json(args[0], v) for v in value)
    if origin is dict:
        return {k: _from_json(args[1], v) for k, v in value.items()}
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if kind is float and isinstance(value, int):
        return float(value)
    return value
