"""What is read of each side: the compared columns with their normal forms, and SQL that hashes the rows of one side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from types import MappingProxyType

from databricks_client.names import all_folded, folded
from validation.errors import SpecError
from validation.normalize import NoExactForm, NormalForm, normal_form
from validation.schema import Alignment, Column, excluded_names
from validation.spec import ComparisonSpec
from validation.sqltext import quote, quote_table

_BITS = 63
"""NULL flags that fit one BIGINT without its sign."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TOGETHER = 16
"""Columns that are hashed together."""

_TIME_FORMS = {
    "timestamp": "unix_micros({0})",
    "timestamp_ntz": "timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', {0})",
    "date": "CAST(unix_date({0}) AS BIGINT)",
    "tinyint": "CAST({0} AS BIGINT)",
    "smallint": "CAST({0} AS BIGINT)",
    "int": "CAST({0} AS BIGINT)",
    "bigint": "{0}",
}


class Side(IntEnum):
    """Which of the two tables; the value stands in the SQL."""

    BASELINE = 0
    CANDIDATE = 1


@dataclass(frozen=True)
class Compared:
    """A column that is compared. index: its place in the row struct (`c0`, `c1`, ...)."""

    index: int
    baseline: Column
    candidate: Column
    form: NormalForm
    is_key: bool
    sensitive: bool

    @property
    def name(self) -> str:
        """The baseline's name, which reports use."""
        return self.baseline.name

    @property
    def field(self) -> str:
        """The column's name in the row struct."""
        return f"c{self.index}"

    def source(self, side: Side) -> str:
        """The quoted column of the table `t`."""
        return "t." + quote((self.baseline if side is Side.BASELINE else self.candidate).name)

    def normal(self, side: Side) -> str:
        """SQL of the normal form."""
        form = self.form.baseline if side is Side.BASELINE else self.form.candidate
        return form(self.source(side))

    def hashed(self, side: Side) -> tuple[str, ...]:
        """SQL of what is hashed for a value."""
        return self.form.hashed(self.source(side)) if self.form.hashed is not None else (self.normal(side),)

    def shown(self, side: Side) -> str:
        """SQL of the value as text for people."""
        show = self.form.show_baseline if side is Side.BASELINE else self.form.show_candidate
        return show(self.source(side))


@dataclass(frozen=True)
class Watermark:
    """How late a row is, by one column or the latest of several, as a BIGINT on each side (SQL over the table `t`)."""

    type_name: str
    baseline: str
    candidate: str

    def text(self, value: int) -> str:
        """A value of the watermark for people: times as UTC ISO-8601, numbers as they are.

        A time that Python cannot hold (SQL's years go beyond 9999) is given as its count since 1970.
        """
        try:
            return self._text(value)
        except OverflowError:
            return f"{value} {'days' if self.type_name == 'date' else 'microseconds'} since 1970-01-01"

    def _text(self, value: int) -> str:
        if self.type_name == "date":
            return (_EPOCH + timedelta(days=value)).date().isoformat()
        if self.type_name == "timestamp_ntz":
            return (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=None).isoformat()
        if self.type_name == "timestamp":
            return (_EPOCH + timedelta(microseconds=value)).isoformat()
        return str(value)


@dataclass(frozen=True)
class Plan:
    """The comparison in terms of SQL: what both statements are built from.

    partition_by: extra columns by which a result is broken down; rows of different partitions never meet.
    versions: the Delta versions that are read, None for the current data; by side.
    """

    spec: ComparisonSpec
    columns: tuple[Compared, ...]
    not_compared: dict[str, str]
    watermark: Watermark | None
    partition_by: tuple[str, ...] = ()
    versions: tuple[int | None, int | None] = (None, None)

    @property
    def keys(self) -> tuple[Compared, ...]:
        """The key columns in the order of the specification."""
        by_name = {folded(c.name): c for c in self.columns if c.is_key}
        return tuple(by_name[folded(k)] for k in self.spec.keys)

    @property
    def values(self) -> tuple[Compared, ...]:
        """The columns outside the key."""
        return tuple(c for c in self.columns if not c.is_key)

    @property
    def rounded(self) -> tuple[str, ...]:
        """Names of the columns whose values are compared after rounding."""
        return tuple(c.name for c in self.columns if c.form.rounds)

    @property
    def has_doubt(self) -> bool:
        """Whether some column can hold values whose normal form is not exact."""
        return any(c.form.doubt for c in self.columns)

    def relation(self, side: Side, also: str = "") -> str:
        """The FROM and WHERE of one side; the table is `t`. also: a further condition."""
        spec = self.spec
        version = self.versions[side]
        name, where = (
            (spec.baseline, spec.where)
            if side is Side.BASELINE
            else (spec.candidate, spec.candidate_where or spec.where)
        )
        pinned = f" VERSION AS OF {version}" if version is not None else ""
        conditions = " AND ".join(f"({c})" for c in (where, also) if c)
        return f"FROM {quote_table(name)}{pinned} AS t" + (f" WHERE {conditions}" if conditions else "")

    def hashes(self, side: Side) -> tuple[str, str, str, str]:
        """SQL of k1, k2, h1 and h2 of a row of `t`.

        k1, k2: two hashes of the key; h1, h2: two halves, 32 bits each, of a hash of k1 and all other columns, as
        BIGINT. Without a key the row is the key. Hashes skip NULLs, so the NULLs' places are hashed as a bitmap.

        The columns are hashed some at a time and these hashes are hashed, once forwards and once backwards: as each
        occurs twice, Spark compiles it as a method of its own. All columns in one method would be more than Java
        translates to machine code (8,000 bytes), and three times as slow.
        """
        parts = [
            f"xxhash64({', '.join(_hash_input(some, side))})"
            for some in _groups(self.values if self.keys else self.columns)
        ]
        key = [*self._partition, *(_hash_input(self.keys, side) if self.keys else parts)]
        k1 = f"xxhash64({', '.join(key)})"
        k2 = f"xxhash64('second', {', '.join(key)})"
        backwards = list(reversed(parts))
        whole = (f"xxhash64({', '.join([k1, *parts])})", f"xxhash64({', '.join(['2L', k1, *backwards])})")
        first, second = whole if self.keys else (k1, k2)
        return k1, k2, f"shiftright({first}, 32)", f"({second} & 4294967295L)"

    @property
    def _partition(self) -> list[str]:
        return [f"t.{quote(c)}" for c in self.partition_by]

    def _select(self, side: Side, items: Iterable[str], only: str = "") -> str:
        by = [f"{b} AS p{i}" for i, b in enumerate(self._partition)]
        return f"SELECT {', '.join([f'{int(side)} AS side', *by, *items])} {self.relation(side, only)}"

    def hashed(self, side: Side, extra: tuple[str, ...] = ()) -> str:
        """SELECT of one side's rows as (side, k1, h1, h2, extra...)."""
        k1, _, h1, h2 = self.hashes(side)
        return self._select(side, (f"{k1} AS k1", f"{h1} AS h1", f"{h2} AS h2", *extra))

    def keyed(self, side: Side, extra: tuple[str, ...] = ()) -> str:
        """SELECT of one side's rows as (side, k1, k2, extra...): reads no column but the key's and those of `extra`."""
        k1, k2, _, _ = self.hashes(side)
        return self._select(side, (f"{k1} AS k1", f"{k2} AS k2", *extra))

    def rows(self, side: Side, extra: tuple[str, ...], buckets: int, chosen: tuple[int, ...] | None) -> str:
        """SELECT of one side's rows as (side, k1, k2, h1, h2, extra...).

        chosen: only rows whose fine bucket is one of these; None for all.
        """
        hashes = self.hashes(side)
        chosen_only = f"pmod({hashes[0]}, {buckets}L) IN ({', '.join(f'{f}L' for f in chosen)})" if chosen else ""
        named = [f"{sql} AS {name}" for sql, name in zip(hashes, ("k1", "k2", "h1", "h2"), strict=True)]
        return self._select(side, (*named, *extra), chosen_only)

    def doubt(self, side: Side) -> str:
        """SQL of 1 for a row with a value whose normal form is not exact, else 0."""
        tests = [f"({c.form.doubt(c.source(side))})" for c in self.columns if c.form.doubt is not None]
        return f"CAST({' OR '.join(tests)} AS INT)" if tests else "0"

    def time(self, side: Side) -> str:
        """SQL of the watermark as a BIGINT that grows with time; NULL without a watermark column."""
        if self.watermark is None:
            return "CAST(NULL AS BIGINT)"
        return self.watermark.baseline if side is Side.BASELINE else self.watermark.candidate


def _groups(columns: tuple[Compared, ...]) -> list[tuple[Compared, ...]]:
    return [columns[i : i + _TOGETHER] for i in range(0, len(columns), _TOGETHER)]


def _hash_input(columns: tuple[Compared, ...], side: Side) -> list[str]:
    """What is hashed for `columns`: a bitmap of their NULLs, 63 a BIGINT, and their values."""
    bitmaps = []
    for start in range(0, len(columns), _BITS):
        flags = [f"IF({c.source(side)} IS NULL, {1 << i}L, 0L)" for i, c in enumerate(columns[start : start + _BITS])]
        bitmaps.append("(" + " | ".join(flags) + ")")
    return bitmaps + [part for c in columns for part in c.hashed(side)]


def make_plan(spec: ComparisonSpec, alignment: Alignment, partition_by: tuple[str, ...] = ()) -> Plan | None:
    """The plan for the columns that both sides have; None when a key column is missing on one side.

    Raises SpecError when a named column (key, watermark, sensitive, tolerance) is on neither side, or when a column of
    the key has no exact normal form.
    """
    spec = _in_baseline_names(spec, alignment)
    known = all_folded(p.name for p in alignment.pairs)
    keys, sensitive = all_folded(spec.keys), all_folded(spec.sensitive_columns)
    if not keys <= known:
        return None
    columns: list[Compared] = []
    not_compared: dict[str, str] = {}
    versions = (spec.baseline_version, spec.candidate_version)
    for pair in alignment.pairs:
        if pair.name in partition_by:
            continue
        is_key = folded(pair.name) in keys
        try:
            form = normal_form(pair)
            if is_key and not form.as_key:
                raise NoExactForm(
                    f"a key of {pair.baseline.type} beside {pair.candidate.type} would be compared {form.note}, which "
                    "makes one key of several: cast one side in a view, or choose another key"
                )
        except NoExactForm as e:
            not_compared[pair.name] = str(e)
            if is_key:
                return Plan(spec, (), not_compared, None, partition_by, versions)
            continue
        columns.append(
            Compared(len(columns), pair.baseline, pair.candidate, form, is_key, folded(pair.name) in sensitive)
        )
    return Plan(spec, tuple(columns), not_compared, _watermark(spec, alignment), partition_by, versions)


def _in_baseline_names(spec: ComparisonSpec, alignment: Alignment) -> ComparisonSpec:
    """`spec` with every column by its name in the baseline, where both sides have it.

    A name that a column of the baseline has means that column, else the column that the candidate calls so. What may be
    sensitive by either is. Raises SpecError for a name that is in neither table, and for a column that is named twice.
    """
    of_baseline = {folded(p.name): p.name for p in alignment.pairs}
    of_candidate = {folded(p.candidate.name): p.name for p in alignment.pairs}
    one_sided = all_folded(d.column for d in alignment.differences if d.aspect == "columns")
    excluded = excluded_names(spec)

    def meant(what: str, name: str) -> str:
        key = folded(name)
        if key in of_baseline or key in one_sided:
            return of_baseline.get(key, name)
        if key not in of_candidate and key not in excluded:
            raise SpecError(f"{what} {name} is in neither table: check its spelling")
        return of_candidate.get(key, name)

    keys = tuple(meant("key column", k) for k in spec.keys)
    for key, name in zip(keys, spec.keys, strict=True):
        if folded(key) in excluded:
            raise SpecError(f"{name} is both a key and excluded: keep one of the two")
    sensitive = {meant("sensitive column", c) for c in spec.sensitive_columns}
    sensitive |= {of_candidate[folded(c)] for c in spec.sensitive_columns if folded(c) in of_candidate}
    tolerances = {meant("column with a tolerance", c): t for c, t in spec.column_tolerances.items()}
    if len(tolerances) < len(spec.column_tolerances):
        raise SpecError(f"a column has two tolerances: {', '.join(spec.column_tolerances)}")
    return replace(
        spec,
        keys=keys,
        sensitive_columns=frozenset(sensitive),
        column_tolerances=MappingProxyType(tolerances),
        watermark_columns=tuple(dict.fromkeys(meant("watermark column", c) for c in spec.watermark_columns)),
    )


def _watermark(spec: ComparisonSpec, alignment: Alignment) -> Watermark | None:
    """The watermark, None without one or where its columns do not all count time in one type."""
    named = all_folded(spec.watermark_columns)
    pairs = [p for p in alignment.pairs if folded(p.name) in named]
    types = {c.type for p in pairs for c in (p.baseline, p.candidate)}
    kind = next(iter(types)).name if len(types) == 1 else ""
    if len(pairs) < len(named) or kind not in _TIME_FORMS:
        return None

    def latest(columns: list[Column]) -> str:
        times = [_TIME_FORMS[kind].format("t." + quote(c.name)) for c in columns]
        return times[0] if len(times) == 1 else f"greatest({', '.join(times)})"

    return Watermark(kind, latest([p.baseline for p in pairs]), latest([p.candidate for p in pairs]))
