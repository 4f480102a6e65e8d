"""What to compare and what decides: a frozen specification that refuses bad values when it is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from databricks_client.names import all_folded, folded, same_name
from validation.errors import SpecError
from validation.sqltext import check_predicate, columns_of, split_name


class SchemaAspect(StrEnum):
    """The ways in which two schemas can differ."""

    COLUMNS = "columns"
    """A column is on one side only."""
    NAMES = "names"
    """Names that agree only when case is ignored."""
    TYPES = "types"
    ORDER = "order"
    NULLABILITY = "nullability"
    COMMENTS = "comments"


DECIDING_BY_DEFAULT = frozenset({SchemaAspect.COLUMNS, SchemaAspect.NAMES, SchemaAspect.TYPES, SchemaAspect.ORDER})


def _check_size(what: str, value: Any) -> None:
    if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
        raise SpecError(f"{what} is {value!r}: give a finite number, zero or more")


@dataclass(frozen=True)
class Tolerance:
    """How far apart two values outside the key may be and still count as equal; 0 is exact.

    absolute: in the unit of a number. relative: as a fraction of the greater one; either of the two suffices.
    seconds: for times. Raises SpecError for what is not a finite number, zero or more.
    """

    absolute: float = 0.0
    relative: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for f in fields(self):
            _check_size(f"{f.name} tolerance", getattr(self, f.name))

    def __bool__(self) -> bool:
        return bool(self.absolute or self.relative or self.seconds)

    def __str__(self) -> str:
        parts = (
            f"{self.absolute:g}" if self.absolute else "",
            f"{self.relative:g} of the value" if self.relative else "",
            f"{self.seconds:g} s" if self.seconds else "",
        )
        return " or ".join(p for p in parts if p)


EXACT = Tolerance()


@dataclass(frozen=True)
class ComparisonSpec:
    """One comparison of two tables, views or materialized views.

    baseline, candidate: one- to three-level names, completed by the warehouse's defaults.
    keys: columns, in baseline names, that identify a row; empty means whole rows as multisets.
    excluded_columns: baseline or candidate names that are left out of schema and rows.
    column_mapping: baseline name to candidate name, where they differ by intention (then the names do not decide). A
        column may be named by its candidate name wherever no column of the baseline has that name.
    tolerance: of every column of a fitting type that `column_tolerances` does not name.
    column_tolerances: baseline name to the tolerance of that column.
    row_threshold: rows that may differ before the report says "beyond its threshold"; the verdict does not change.
    where: condition on both sides, in baseline names; candidate_where replaces it for the candidate.
    allow_empty: two sides without a row under a condition are identical; else they prove nothing.
    deciding: the schema aspects that make tables DIFFERENT; the others are reported as warnings.
    watermark_columns: columns (baseline names) of one type that grow with time; a row is as late as the latest of
        them. They separate late rows from errors.
    sensitive_columns: baseline names whose values leave the warehouse only as keyed hashes.
    sample_size: differing rows to bring back at most, for each kind of difference.
    baseline_exclusion, candidate_exclusion: a condition true for rows that a known exclusion rule drops; differing
        rows that satisfy it on their own side are grouped under that cause.
    baseline_version, candidate_version: read this Delta version instead of the current one.
    final: add the deterministic comparison (equal counts and an empty EXCEPT ALL) to the hashes.
    hash_key: secret of the keyed hashes of sensitive values; empty draws a new one that is not kept.
    skew_warning: seconds between the last writes of the two sides from which the report warns.
    """

    baseline: str
    candidate: str
    keys: tuple[str, ...] = ()
    excluded_columns: frozenset[str] = frozenset()
    column_mapping: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tolerance: Tolerance = EXACT
    column_tolerances: MappingProxyType[str, Tolerance] = field(default_factory=lambda: MappingProxyType({}))
    row_threshold: int = 0
    where: str | None = None
    candidate_where: str | None = None
    allow_empty: bool = False
    deciding: frozenset[SchemaAspect] = DECIDING_BY_DEFAULT
    watermark_columns: tuple[str, ...] = ()
    sensitive_columns: frozenset[str] = frozenset()
    sample_size: int = 20
    baseline_exclusion: str | None = None
    candidate_exclusion: str | None = None
    baseline_version: int | None = None
    candidate_version: int | None = None
    final: bool = False
    hash_key: str = field(default="", repr=False)
    skew_warning: float = 3600.0

    def __post_init__(self) -> None:
        freeze = object.__setattr__
        for name in ("keys", "watermark_columns", "excluded_columns", "sensitive_columns"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise SpecError(f"{name} is one text: give a collection of names")
            freeze(self, name, tuple(value) if name in ("keys", "watermark_columns") else frozenset(value))
        freeze(self, "column_mapping", MappingProxyType(dict(self.column_mapping)))
        freeze(self, "tolerance", _tolerance(self.tolerance))
        named = {column: _tolerance(t) for column, t in dict(self.column_tolerances).items()}
        freeze(self, "column_tolerances", MappingProxyType(named))
        freeze(self, "deciding", frozenset(SchemaAspect(a) for a in self.deciding))
        split_name(self.baseline)
        split_name(self.candidate)
        if len(all_folded(self.keys)) != len(self.keys):
            raise SpecError(f"a key column is given twice: {', '.join(self.keys)}")
        if len(all_folded(self.column_tolerances)) != len(self.column_tolerances):
            raise SpecError(f"a column has two tolerances: {', '.join(self.column_tolerances)}")
        if any(not k for k in self.keys):
            raise SpecError("a key column has no name")
        excluded, sensitive = all_folded(self.excluded_columns), all_folded(self.sensitive_columns)
        for key in self.keys:
            if folded(key) in excluded:
                raise SpecError(f"{key} is both a key and excluded: keep one of the two")
        for column in self.watermark_columns:
            if folded(column) in sensitive:
                raise SpecError(f"{column} is both a watermark, which reports show, and sensitive: keep one of the two")
        if len(all_folded(self.column_mapping)) != len(self.column_mapping):
            raise SpecError("column_mapping sends one baseline column to two candidate columns")
        if len(all_folded(self.column_mapping.values())) != len(self.column_mapping):
            raise SpecError("column_mapping sends two baseline columns to one candidate column")
        _check_size("skew_warning", self.skew_warning)
        if self.has_tolerance and not self.keys:
            raise SpecError("a tolerance needs a key: without one rows cannot be paired; give --key or drop it")
        if self.row_threshold < 0:
            raise SpecError(f"row_threshold is {self.row_threshold}: give zero or more rows")
        if not 0 <= self.sample_size <= 1000:
            raise SpecError(f"sample_size is {self.sample_size}: give 0 to 1000 rows")
        for name in ("where", "candidate_where", "baseline_exclusion", "candidate_exclusion"):
            value = getattr(self, name)
            if value is not None:
                freeze(self, name, check_predicate(value, name))
        if self.where is not None and self.candidate_where is None:
            in_condition = all_folded(columns_of(self.where))
            for name, target in self.column_mapping.items():
                if not same_name(name, target) and folded(name) in in_condition:
                    raise SpecError(f"where names {name}, which is {target} in the candidate: give candidate_where too")
        for name in ("baseline_version", "candidate_version"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise SpecError(f"{name} is {value}: a Delta version is zero or more")

    @property
    def has_condition(self) -> bool:
        """Whether rows of a side may be left out of the comparison."""
        return self.where is not None or self.candidate_where is not None

    @property
    def has_tolerance(self) -> bool:
        """Whether any value may differ and still count as equal."""
        return bool(self.tolerance) or any(self.column_tolerances.values())

    def tolerance_of(self, column: str) -> Tolerance:
        """What applies to a column, whatever the case of its name."""
        return next((t for name, t in self.column_tolerances.items() if same_name(name, column)), self.tolerance)

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON values, without the secret of the hashes."""
        out: dict[str, Any] = {}
        for f in fields(self):
            if f.name == "hash_key":
                continue
            value = getattr(self, f.name)
            if isinstance(value, frozenset):
                value = sorted(str(v) for v in value)
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Tolerance):
                value = asdict(value)
            elif isinstance(value, MappingProxyType):
                value = {k: asdict(v) if isinstance(v, Tolerance) else v for k, v in value.items()}
            out[f.name] = value
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; unknown names are refused. Raises SpecError."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SpecError(f"unknown options: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except (TypeError, ValueError) as e:
            raise SpecError(f"not a comparison: {e}") from e


def _tolerance(value: Any) -> Tolerance:
    return value if isinstance(value, Tolerance) else Tolerance(**value)
