"""Ground truth for comparisons: random tables, random mutations, and a brute-force comparison in plain Python.

A value is a pair: what it means (plain Python, equal exactly where the values are equal) and its SQL. The brute force
looks only at meanings and knows nothing of hashes, normal forms or SQL.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from validation import ComparisonSpec, Tolerance

Meaning = Any


@dataclass(frozen=True)
class Value:
    """A value: its meaning (None is NULL) and its SQL without the cast to the column's type."""

    meaning: Meaning
    sql: str


NULL = Value(None, "NULL")


@dataclass(frozen=True)
class Kind:
    """A column type: its SQL name, a generator of values, and whether Python's order of meanings is the engine's."""

    sql: str
    make: Callable[[random.Random], Value]
    ordered: bool = True


def _text(s: str) -> str:
    return "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'"


_STRINGS = [
    "",
    " ",
    "a",
    "A",
    "b",
    "ab",
    "a ",
    " a",
    "N",
    "null",
    "1:a",
    ";",
    "é",
    "e\u0301",
    "ß",
    "日本",
    "😀",
    "a'b",
    "x\\y",
    "0",
]
_DOUBLES = [0.0, -0.0, 1.0, 0.1, 0.30000000000000004, 0.3, math.nan, math.inf, -math.inf, 1e300, 5e-324, -1.5]


def string(r: random.Random) -> Value:
    """Short strings from a small set that is full of near misses."""
    s = r.choice(_STRINGS) if r.random() < 0.8 else r.choice(_STRINGS) + r.choice(_STRINGS)
    return Value(s.encode(), _text(s))


def _float_value(x: float, sql: str) -> Value:
    if math.isnan(x):
        return Value((1, 0.0), f"{sql}('NaN')")
    if math.isinf(x):
        return Value((0, x), f"{sql}('{'-' if x < 0 else ''}Infinity')")
    return Value((0, x + 0.0), f"{sql}('{x!r}')")


def double(r: random.Random) -> Value:
    """Doubles with NaN, infinities, both zeros and neighbours."""
    return _float_value(r.choice(_DOUBLES), "double")


def real(r: random.Random) -> Value:
    """Floats that are exact in 32 bits."""
    return _float_value(r.choice([0.0, -0.0, 1.5, -2.25, math.nan, math.inf, 16777216.0]), "float")


def integer(low: int, high: int) -> Callable[[random.Random], Value]:
    """Small numbers mostly, the limits of the type sometimes."""

    def make(r: random.Random) -> Value:
        n = r.choice([low, high, high - 1]) if r.random() < 0.2 else r.randint(-2, 4)
        return Value(n, f"CAST('{n}' AS DECIMAL(20,0))")

    return make


def decimal(precision: int, scale: int) -> Callable[[random.Random], Value]:
    """Decimals that fit, near each other in the last place."""

    def make(r: random.Random) -> Value:
        near = r.random() < 0.5
        n = r.randint(-3, 3) if near else r.choice([0, 1, -1, 10, 100, 10**precision - 1, 1 - 10**precision])
        digits = str(abs(n)).rjust(scale + 1, "0")
        text = f"{'-' if n < 0 else ''}{digits[: len(digits) - scale]}.{digits[len(digits) - scale :]}"
        return Value(n, f"CAST('{text}' AS DECIMAL({precision},{scale}))")

    return make


def boolean(r: random.Random) -> Value:
    """TRUE or FALSE."""
    b = r.random() < 0.5
    return Value(b, str(b).upper())


def binary(r: random.Random) -> Value:
    """A few bytes, zero bytes and invalid UTF-8 among them."""
    b = r.choice([b"", b"\0", b"a", b"\0a", b"\xff", b"a\0"])
    return Value(b, f"X'{b.hex()}'")


def date(r: random.Random) -> Value:
    """Dates around an epoch and far away."""
    d = r.choice(["1970-01-01", "1969-12-31", "2024-02-29", "0001-01-01", "9999-12-31"])
    return Value(d, f"DATE'{d}'")


def _moment(r: random.Random) -> str:
    day = r.choice(["1970-01-01", "1969-12-31", "2024-02-29"])
    clock = r.choice(["00:00:00.000000", "00:00:00.000001", "23:59:59.999999", "12:30:00.123456", "12:30:00.123000"])
    return f"{day} {clock}"


def timestamp(r: random.Random) -> Value:
    """Instants that differ by a microsecond."""
    t = _moment(r)
    return Value(t, f"TIMESTAMP'{t} UTC'")


def timestamp_ntz(r: random.Random) -> Value:
    """Wall-clock times that differ by a microsecond."""
    t = _moment(r)
    return Value(t, f"TIMESTAMP_NTZ'{t}'")


def months(r: random.Random) -> Value:
    """Year-month intervals."""
    n = r.choice([0, 1, 11, 12, 13, -1, -13])
    return Value(n, f"(INTERVAL '1' MONTH * {n})")


def seconds(r: random.Random) -> Value:
    """Day-second intervals, microseconds included."""
    n = r.choice([0, 1, 1_000_000, 86_400_000_000, -1, 3_600_000_001])
    return Value(n, f"make_dt_interval(0, 0, 0, CAST({n} AS DECIMAL(20,6)) / 1000000)")


_LEAVES: list[tuple[Meaning, str]] = [
    (("int", 1), "1"),
    (("int", 2), "2"),
    (("str", "1"), '"1"'),
    (("null",), "null"),
    (("bool", True), "true"),
    (("dec", "1.5"), "1.5"),
    (("dbl", 1.5), "1.5e0"),
    (("str", "1.5"), '"1.5"'),
    (("str", "2024-01-01"), '"2024-01-01"'),
    (("str", "],["), '"],["'),
]
_DATE = ("date", "2024-01-01")
_BUILT: list[tuple[Meaning, str]] = [
    (("obj", (("d", _DATE),)), "to_variant_object(struct(DATE'2024-01-01' AS d))"),
    (("obj", (("d", ("str", "2024-01-01")),)), 'parse_json(\'{"d":"2024-01-01"}\')'),
    (
        ("arr", (("int", 1), _DATE)),
        "to_variant_object(array(parse_json('1'), CAST(DATE'2024-01-01' AS VARIANT)))",
    ),
    (("arr", (_DATE,)), "to_variant_object(array(DATE'2024-01-01'))"),
]
VARIANT_DEPTH = 4
"""Levels to which the types in a variant are told apart; what has arrays further down is in doubt."""


def variant(r: random.Random) -> Value:
    """Variants whose texts differ only in types or boundaries, sometimes deeper than types can be told apart."""
    if r.random() < 0.15:
        meaning, sql = r.choice(_BUILT)
        return Value(meaning, sql)
    meaning, text = _json(r, r.choice([0, 1, 2, 2, 3, 4, 6]))
    return Value(meaning, f"parse_json({_text(text)})")


def _json(r: random.Random, depth: int) -> tuple[Meaning, str]:
    """Meaning and text of a document of at most `depth` levels."""
    if depth == 0:
        return r.choice(_LEAVES)
    parts = [_json(r, r.choice([0, depth - 1, depth - 1])) for _ in range(r.choice([0, 1, 1, 1, 2, 2]))]
    if r.random() < 0.65:
        return ("arr", tuple(m for m, _ in parts)), f"[{','.join(t for _, t in parts)}]"
    named = list(zip("abc", parts, strict=False))
    r.shuffle(named)
    text = ",".join(f'"{n}":{t}' for n, (_, t) in named)
    return ("obj", tuple(sorted((n, m) for n, (m, _) in named))), f"{{{text}}}"


def _has_array(meaning: Meaning) -> bool:
    return meaning[0] == "arr" or (meaning[0] == "obj" and any(_has_array(m) for _, m in meaning[1]))


def is_doubtful(meaning: Meaning, depth: int = VARIANT_DEPTH) -> bool:
    """Whether a variant has an array below the levels whose types are told apart."""
    if depth == 0:
        return _has_array(meaning)
    parts = {"arr": lambda: meaning[1], "obj": lambda: [m for _, m in meaning[1]]}.get(meaning[0], list)()
    return any(is_doubtful(m, depth - 1) for m in parts)


def char(size: int) -> Callable[[random.Random], Value]:
    """Texts of a CHAR: trailing blanks mean nothing."""

    def make(r: random.Random) -> Value:
        s = r.choice(_STRINGS)[:size]
        return Value(s.rstrip(" ").encode(), _text(s))

    return make


def varchar(size: int) -> Callable[[random.Random], Value]:
    """Texts of a VARCHAR: trailing blanks count."""

    def make(r: random.Random) -> Value:
        s = r.choice(_STRINGS)[:size]
        return Value(s.encode(), _text(s))

    return make


def or_null(make: Callable[[random.Random], Value], share: float = 0.2) -> Callable[[random.Random], Value]:
    """`make`, NULL sometimes."""
    return lambda r: NULL if r.random() < share else make(r)


SIMPLE = {
    "BOOLEAN": Kind("BOOLEAN", boolean),
    "TINYINT": Kind("TINYINT", integer(-128, 127)),
    "SMALLINT": Kind("SMALLINT", integer(-(2**15), 2**15 - 1)),
    "INT": Kind("INT", integer(-(2**31), 2**31 - 1)),
    "BIGINT": Kind("BIGINT", integer(-(2**63), 2**63 - 1)),
    "FLOAT": Kind("FLOAT", real),
    "DOUBLE": Kind("DOUBLE", double),
    "DECIMAL(9,2)": Kind("DECIMAL(9,2)", decimal(9, 2)),
    "DECIMAL(38,10)": Kind("DECIMAL(38,10)", decimal(38, 10)),
    "STRING": Kind("STRING", string),
    "STRING COLLATE UNICODE_CI": Kind("STRING COLLATE UNICODE_CI", string),
    "STRING COLLATE UTF8_LCASE": Kind("STRING COLLATE UTF8_LCASE", string),
    "BINARY": Kind("BINARY", binary),
    "DATE": Kind("DATE", date),
    "TIMESTAMP": Kind("TIMESTAMP", timestamp),
    "TIMESTAMP_NTZ": Kind("TIMESTAMP_NTZ", timestamp_ntz),
    "INTERVAL YEAR TO MONTH": Kind("INTERVAL YEAR TO MONTH", months),
    "INTERVAL DAY TO SECOND": Kind("INTERVAL DAY TO SECOND", seconds),
}
VARIANT = Kind("VARIANT", variant, ordered=False)
PADDED = {
    "CHAR(6)": Kind("CHAR(6)", char(6)),
    "VARCHAR(6)": Kind("VARCHAR(6)", varchar(6)),
    "ARRAY<CHAR(4)>": Kind("ARRAY<CHAR(4)>", lambda r: array_value(Kind("STRING", char(4)), [char(4)(r)]), False),
}
"""Types that only tables have: a query makes strings of them."""

# What a type may become without losing a value: then the rows are compared and the schema alone decides.
WIDER = {
    "TINYINT": ["SMALLINT", "BIGINT", "DECIMAL(9,2)"],
    "SMALLINT": ["INT", "BIGINT"],
    "INT": ["BIGINT", "DECIMAL(38,10)", "DOUBLE"],
    "BIGINT": ["DECIMAL(38,10)"],
    "FLOAT": ["DOUBLE"],
    "DECIMAL(9,2)": ["DECIMAL(12,2)", "DECIMAL(12,5)", "DECIMAL(38,10)", "DECIMAL(38,31)"],
    "STRING": ["STRING COLLATE UNICODE_CI"],
    "DATE": ["TIMESTAMP_NTZ"],
    "CHAR(6)": ["CHAR(9)"],
    "VARCHAR(6)": ["VARCHAR(9)", "STRING"],
}


def array_of(element: Kind) -> Kind:
    """An array type over `element`, NULL elements included."""

    def make(r: random.Random) -> Value:
        parts = [or_null(element.make)(r) for _ in range(r.choice([0, 1, 1, 2, 2, 3]))]
        return array_value(element, parts)

    return Kind(f"ARRAY<{element.sql}>", make, ordered=False)


def array_value(element: Kind, parts: Sequence[Value]) -> Value:
    """An array with these elements."""
    inner = ", ".join(cast(p, element) for p in parts)
    return Value(tuple(p.meaning for p in parts), f"array({inner})")


def struct_of(fields: dict[str, Kind]) -> Kind:
    """A struct type, NULL fields included."""

    def make(r: random.Random) -> Value:
        parts = {n: or_null(k.make)(r) for n, k in fields.items()}
        inner = ", ".join(f"'{n}', {cast(p, fields[n])}" for n, p in parts.items())
        return Value(tuple((n, p.meaning) for n, p in parts.items()), f"named_struct({inner})")

    return Kind(f"STRUCT<{', '.join(f'{n}: {k.sql}' for n, k in fields.items())}>", make, ordered=False)


def map_of(key: Kind, value: Kind) -> Kind:
    """A map type in random entry order, NULL values included."""

    def make(r: random.Random) -> Value:
        entries: dict[Meaning, tuple[Value, Value]] = {}
        for _ in range(r.choice([0, 1, 2, 3])):
            k = key.make(r)
            entries.setdefault(k.meaning, (k, or_null(value.make)(r)))
        items = list(entries.values())
        r.shuffle(items)
        inner = ", ".join(f"{cast(k, key)}, {cast(v, value)}" for k, v in items)
        meaning = frozenset((k.meaning, v.meaning) for k, v in items)
        return Value(meaning, f"map({inner})" if items else f"CAST(map() AS MAP<{key.sql}, {value.sql}>)")

    return Kind(f"MAP<{key.sql}, {value.sql}>", make, ordered=False)


def cast(value: Value, kind: Kind) -> str:
    """SQL of `value` as the type of `kind`."""
    if value.meaning is not None and kind.sql == "VARIANT":
        return value.sql
    return f"CAST({value.sql} AS {_queried(kind)})"


def random_kind(r: random.Random, depth: int = 2) -> Kind:
    """Any type; nested ones `depth` levels deep at most."""
    roll = r.random()
    if depth == 0 or roll < 0.55:
        return r.choice(list(SIMPLE.values()))
    if roll < 0.62:
        return VARIANT
    if roll < 0.78:
        return array_of(random_kind(r, depth - 1))
    if roll < 0.9:
        return struct_of({n: random_kind(r, depth - 1) for n in ["x", "y", "z"][: r.randint(1, 3)]})
    keys = [SIMPLE[n] for n in ("STRING", "INT", "DATE", "BOOLEAN", "DOUBLE")]
    return map_of(r.choice(keys), random_kind(r, depth - 1))


@dataclass(frozen=True)
class Target:
    """A column of the candidate: its name and type there, and the place of its baseline column."""

    name: str
    kind: Kind
    source: int


@dataclass(frozen=True)
class Shape:
    """One comparison: the columns of both sides, in order, and what is asked.

    mapping: baseline name to candidate name. excluded: baseline names. filtered: baseline column that the filter wants
    to be not NULL. in_tables: the columns need real tables, a query would lose their types.
    """

    columns: tuple[tuple[str, Kind], ...]
    candidate: tuple[Target, ...]
    keys: tuple[str, ...]
    mapping: dict[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    filtered: str | None = None
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - frozen
    in_tables: bool = False

    @property
    def compared(self) -> list[int]:
        """Places of the columns that are compared."""
        return [i for i, (n, _) in enumerate(self.columns) if n not in self.excluded]

    @property
    def differs(self) -> bool:
        """Whether names, types or order of the compared columns differ."""
        left = [(self.mapping.get(n, n), k.sql) for n, k in self.columns if n not in self.excluded]
        kept = [t for t in self.candidate if self.columns[t.source][0] not in self.excluded]
        return left != [(t.name, t.kind.sql) for t in kept]

    @property
    def candidate_kinds(self) -> dict[int, Kind]:
        """Place of a baseline column to its type in the candidate."""
        return {t.source: t.kind for t in self.candidate}

    def spec(self, baseline: str, candidate: str, **options: Any) -> ComparisonSpec:
        """The comparison to ask for; `case_id` is no column of it."""
        where = f"`{self.filtered}` IS NOT NULL" if self.filtered else None
        there = next((t.name for t in self.candidate if self.filtered == self.columns[t.source][0]), None)
        return ComparisonSpec(
            baseline,
            candidate,
            keys=self.keys,
            column_mapping=self.mapping,  # type: ignore[arg-type]
            excluded_columns=self.excluded | options.pop("excluded", frozenset()),
            where=where,
            candidate_where=f"`{there}` IS NOT NULL" if there else None,
            tolerance=self.tolerance,
            **options,
        )


Row = tuple[Value, ...]


@dataclass(frozen=True)
class Truth:
    """What a right comparison must say.

    columns is None where the pairing of several leftover rows is a matter of taste; with a tolerance all counts of
    pairs are, then modified is None too. doubtful: a variant is too deep to be compared: equal is NOT PROVEN then.
    """

    missing: int
    extra: int
    modified: int | None
    duplicates: tuple[int, int]
    columns: dict[str, int] | None
    rows: tuple[int, int]
    doubtful: bool

    @property
    def equal(self) -> bool | None:
        """Whether the rows are equal as multisets, within the tolerance; None where that is a matter of taste."""
        if self.missing or self.extra or self.modified:
            return False
        return None if self.modified is None else True


def random_shape(r: random.Random, change_schema: bool, in_tables: bool = False) -> Shape:
    """Keys first or in the middle, neighbouring strings and arrays often, all types in time."""
    names = ["id", "k2", "v1", "v2", "v3", "V 4", "v5", "v6"]
    kinds: list[Kind] = [SIMPLE[r.choice(["INT", "STRING", "BIGINT", "DATE", "DECIMAL(9,2)", "DOUBLE", "TIMESTAMP"])]]
    kinds.append(SIMPLE[r.choice(["STRING", "INT", "BINARY", "BOOLEAN", "STRING COLLATE UTF8_LCASE"])])
    pattern = r.random()
    if in_tables:
        kinds[r.randrange(2)] = PADDED[r.choice(["CHAR(6)", "VARCHAR(6)"])]
        kinds += [r.choice(list(PADDED.values())), r.choice(list(SIMPLE.values()))]
    elif pattern < 0.3:
        kinds += [SIMPLE["STRING"], SIMPLE["STRING"]]
    elif pattern < 0.5:
        element = r.choice([SIMPLE["STRING"], SIMPLE["INT"], array_of(SIMPLE["INT"])])
        kinds += [array_of(element), array_of(element)]
    elif pattern < 0.6:
        kinds += [VARIANT, random_kind(r)]
    else:
        kinds += [random_kind(r), random_kind(r)]
    kinds += [random_kind(r, 3 if r.random() < 0.1 else 2) for _ in range(r.randint(0, 3))]
    columns = list(zip(names, kinds, strict=False))
    keys: tuple[str, ...] = r.choice([(), ("id",), ("id",), ("id", "k2"), ("id", "k2"), ("k2",)])
    tolerance = Tolerance()
    if keys and r.random() < 0.3:
        tolerance = r.choice(_TOLERANCES)
        near = SIMPLE[r.choice(["INT", "INT", "DOUBLE", "DECIMAL(9,2)", "DECIMAL(38,10)", "TIMESTAMP"])]
        columns.insert(r.choice([2, 2, len(columns)]), ("near", near))
    candidate = [Target(n, k, i) for i, (n, k) in enumerate(columns)]
    mapping: dict[str, str] = {}
    excluded: frozenset[str] = frozenset()
    if r.random() < 0.25:
        i = r.randrange(len(columns))
        mapping[columns[i][0]] = "renamed"
        candidate[i] = replace(candidate[i], name="renamed")
    if r.random() < 0.25:
        loaded = (r.choice(["loaded", "v0"]), random_kind(r))
        excluded = frozenset({loaded[0]})
        candidate.insert(r.randint(0, len(candidate)), Target(loaded[0], loaded[1], len(columns)))
        columns.append(loaded)
    filtered = r.choice([None, None, None, columns[0][0], columns[1][0], columns[2][0]])
    if change_schema:
        change = r.choice(["order", "type", "type", "case"])
        if change == "order":
            i = r.randrange(len(candidate) - 1)
            candidate[i], candidate[i + 1] = candidate[i + 1], candidate[i]
        elif change == "type":
            can = [i for i, t in enumerate(candidate) if WIDER.get(t.kind.sql)]
            for i in r.sample(can, min(1, len(can))):
                kind = candidate[i].kind
                wide = r.choice(WIDER[kind.sql])
                candidate[i] = replace(candidate[i], kind=Kind(wide, kind.make, kind.ordered))
        else:
            # The name of an excluded column in another case is another name.
            can = [i for i, t in enumerate(candidate) if columns[t.source][0] not in excluded]
            i = r.choice(can)
            candidate[i] = replace(candidate[i], name=candidate[i].name.swapcase())
    return Shape(tuple(columns), tuple(candidate), keys, mapping, excluded, filtered, tolerance, in_tables)


_TOLERANCES = [
    Tolerance(absolute=1.0, seconds=1.0),
    Tolerance(relative=0.5),
    Tolerance(absolute=0.01, relative=0.1, seconds=0.0005),
    Tolerance(seconds=100_000_000.0),
]


def random_rows(r: random.Random, shape: Shape) -> list[Row]:
    """Few rows over a small domain, so that keys and whole rows repeat; NULL in keys too."""
    rows = [tuple(or_null(k.make, 0.12)(r) for _, k in shape.columns) for _ in range(r.choice([0, 1, 2, 3, 4, 6, 8]))]
    while rows and r.random() < 0.3:
        rows.append(r.choice(rows))
    while rows and r.random() < 0.3:
        a, b = r.choice(rows), r.choice(rows)
        keys = {i for i, (n, _) in enumerate(shape.columns) if n in shape.keys}
        rows.append(tuple(a[i] if i in keys else b[i] for i in range(len(a))))
    return rows


def mutate(r: random.Random, shape: Shape, rows: list[Row]) -> list[Row]:
    """A candidate: the rows in another order, with none to four mutations."""
    out = list(rows)
    for _ in range(r.choice([0, 0, 1, 1, 1, 2, 4])):
        kinds = ["value", "value", "null", "copy", "drop", "add", "shift", "swap", "cross"]
        kind = r.choice(kinds + ["cross"] * 5 if shape.tolerance else kinds)
        if kind == "add" or not out:
            out.append(tuple(or_null(k.make, 0.12)(r) for _, k in shape.columns))
            continue
        at = r.randrange(len(out))
        row = list(out[at])
        column = r.randrange(len(row))
        if kind == "value":
            row[column] = shape.columns[column][1].make(r)
        elif kind == "null":
            row[column] = NULL
        elif kind == "copy":
            out.append(out[at])
            continue
        elif kind == "drop":
            del out[at]
            continue
        elif kind == "cross":
            # What a tolerance reaches changes places among the rows of a key: then it matters how these are paired.
            keys = [i for i, (n, _) in enumerate(shape.columns) if n in shape.keys]
            same = [i for i, o in enumerate(out) if all(o[k].meaning == row[k].meaning for k in keys)]
            other = r.choice(same)
            column = next((i for i, (n, _) in enumerate(shape.columns) if n == "near"), column)
            row[column], out[other] = out[other][column], (*out[other][:column], row[column], *out[other][column + 1 :])
            if other == at:
                continue
        elif kind == "swap":
            other = (column + 1) % len(row)
            if shape.columns[column][1].sql == shape.columns[other][1].sql:
                row[column], row[other] = row[other], row[column]
        else:
            row = _shift(r, shape, row)
        out[at] = tuple(row)
    r.shuffle(out)
    return out


def _shift(r: random.Random, shape: Shape, row: list[Value]) -> list[Value]:
    """Move the boundary between two neighbouring strings or arrays: ('ab', 'c') becomes ('a', 'bc')."""
    pairs = [
        i
        for i in range(len(row) - 1)
        if shape.columns[i][1].sql == shape.columns[i + 1][1].sql
        and row[i].meaning is not None
        and row[i + 1].meaning is not None
        and (shape.columns[i][1].sql == "STRING" or shape.columns[i][1].sql.startswith("ARRAY<"))
    ]
    if not pairs:
        return row
    i = r.choice(pairs)
    a, b = row[i], row[i + 1]
    if shape.columns[i][1].sql == "STRING":
        joined = (a.meaning + b.meaning).decode()
        cut = r.randint(0, len(joined))
        parts = (joined[:cut], joined[cut:])
        row[i : i + 2] = [Value(p.encode(), _text(p)) for p in parts]
    else:
        row[i], row[i + 1] = (
            Value(a.meaning + b.meaning, f"concat({a.sql}, {b.sql})"),
            Value((), f"CAST(array() AS {shape.columns[i][1].sql})"),
        )
    return row


def _doubts(value: Value, kind: Kind) -> bool:
    """Whether a value has a variant in it that is in doubt: variants are marked tuples wherever they are."""
    return "VARIANT" in kind.sql and value.meaning is not None and any(is_doubtful(m) for m in _variants(value.meaning))


_TAGS = {"int", "str", "null", "bool", "dec", "dbl", "date", "arr", "obj"}


def _variants(meaning: Meaning) -> list[Meaning]:
    if isinstance(meaning, tuple) and meaning and isinstance(meaning[0], str) and meaning[0] in _TAGS:
        return [meaning]
    return [v for m in meaning for v in _variants(m)] if isinstance(meaning, tuple | frozenset) else []


def within(shape: Shape, place: int, a: Meaning, b: Meaning) -> bool:
    """Whether two unequal values of a column are equal within the tolerance."""
    tolerance = shape.tolerance
    if a is None or b is None or not has_tolerance(shape, place):
        return False
    kind, there = shape.columns[place][1].sql, shape.candidate_kinds[place].sql
    if kind.startswith("TIMESTAMP") or there.startswith("TIMESTAMP"):
        return abs(_instant(a) - _instant(b)) <= tolerance.seconds
    x, y = (_number(kind, v) for v in (a, b))
    gap = abs(float(x - y))
    return gap < math.inf and gap <= max(tolerance.absolute, tolerance.relative * max(abs(float(x)), abs(float(y))))


def has_tolerance(shape: Shape, place: int) -> bool:
    """Whether the tolerance reaches a column: numbers and timestamps outside the key."""
    name, kind = shape.columns[place]
    if name in shape.keys:
        return False
    if kind.sql.startswith("TIMESTAMP") or shape.candidate_kinds[place].sql.startswith("TIMESTAMP"):
        return bool(shape.tolerance.seconds)
    numbers = ("TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")
    is_number = kind.sql.split("(")[0] in numbers
    return is_number and bool(shape.tolerance.absolute or shape.tolerance.relative)


def _instant(meaning: str) -> float:
    moment = datetime.fromisoformat(meaning)
    return (moment - datetime(1970, 1, 1)) / timedelta(seconds=1)


def _number(kind: str, meaning: Meaning) -> Fraction | float:
    if kind in ("FLOAT", "DOUBLE"):
        return math.nan if meaning[0] else float(meaning[1])
    return (
        Fraction(meaning, 10 ** int(kind.rstrip(")").split(",")[1]))
        if kind.startswith("DECIMAL")
        else Fraction(meaning)
    )


def truth(shape: Shape, baseline: Sequence[Row], candidate: Sequence[Row]) -> Truth:
    """The brute force: multisets by key, equal rows cancel first, the rest pairs."""
    names = [n for n, _ in shape.columns]
    places = shape.compared
    at = [places.index(names.index(k)) for k in shape.keys]
    wanted = names.index(shape.filtered) if shape.filtered else None

    def kept(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if wanted is None or row[wanted].meaning is not None]

    def key(row: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
        return tuple(row[i] for i in at) if at else row

    sides = kept(baseline), kept(candidate)
    doubtful = any(_doubts(row[i], shape.columns[i][1]) for side in sides for row in side for i in places)
    a, b = (Counter(tuple(row[i].meaning for i in places) for row in side) for side in sides)
    left, right = a - b, b - a
    rows = (sum(a.values()), sum(b.values()))
    duplicates = (rows[0] - len({key(row) for row in a}), rows[1] - len({key(row) for row in b}))
    if not at:
        return Truth(sum(left.values()), sum(right.values()), 0, duplicates, {}, rows, doubtful)
    missing = extra = 0
    modified: int | None = 0
    columns: dict[str, int] | None = {}
    for k in {key(row) for row in [*left, *right]}:
        of_a = [row for row in left.elements() if key(row) == k]
        of_b = [row for row in right.elements() if key(row) == k]
        pairs = min(len(of_a), len(of_b))
        missing += len(of_a) - pairs
        extra += len(of_b) - pairs
        met, certain = pairs_of(shape, of_a, of_b)
        if not certain:
            columns = None
            if shape.tolerance:
                modified = None
        for x, y in met:
            differing = [
                names[place]
                for place, v, w in zip(places, x, y, strict=True)
                if v != w and not within(shape, place, v, w)
            ]
            if modified is not None:
                modified += bool(differing)
            if columns is not None:
                for name in differing:
                    columns[name] = columns.get(name, 0) + 1
    return Truth(missing, extra, modified, duplicates, columns, rows, doubtful)


Meanings = tuple[Meaning, ...]


def pairs_of(shape: Shape, a: list[Meanings], b: list[Meanings]) -> tuple[list[tuple[Meanings, Meanings]], bool]:
    """Which leftover rows of a key meet, and whether that is certain. Those that are equal in all columns without a
    tolerance meet first, then the rest, both in the order of their values."""

    def exact(row: Meanings) -> Meanings:
        return tuple(v for v, place in zip(row, shape.compared, strict=True) if not has_tolerance(shape, place))

    met: list[tuple[Meanings, Meanings]] = []
    certain = True
    for group in {exact(row) for row in a} if shape.tolerance else ():
        some = [sorted_rows(shape, [row for row in side if exact(row) == group], loose=True) for side in (a, b)]
        together = list(zip(some[0][0], some[1][0], strict=False))
        if together and not (some[0][1] and some[1][1]):
            certain = False
        for x, y in together:
            met.append((x, y))
            a.remove(x)
            b.remove(y)
    rest = sorted_rows(shape, a), sorted_rows(shape, b)
    if a and b and not (rest[0][1] and rest[1][1]):
        certain = False
    return [*met, *zip(rest[0][0], rest[1][0], strict=False)], certain


def sorted_rows(shape: Shape, rows: list[Meanings], *, loose: bool = False) -> tuple[list[Meanings], bool]:
    """Leftover rows of a key in the order of their values, columns with a tolerance last, and whether it is certain.

    It is when columns whose order Python shares with the engine tell the rows apart before the first other column.
    loose: by the columns with a tolerance alone: the others are equal.
    """
    if len(rows) < 2:
        return rows, True
    prefix = []
    places = shape.compared
    for i in sorted(range(len(places)), key=lambda i: (has_tolerance(shape, places[i]), i)):
        if loose and not has_tolerance(shape, places[i]):
            continue
        kind = shape.columns[places[i]][1]
        if not (kind.ordered and kind.sql == shape.candidate_kinds[places[i]].sql):
            break
        prefix.append(i)

    def order(row: tuple[Meaning, ...]) -> tuple[Any, ...]:
        return tuple((row[i] is not None, row[i] if row[i] is not None else 0) for i in prefix)

    ordered = sorted(rows, key=order)
    certain = all(order(x) != order(y) or x == y for x, y in pairwise(ordered))
    return ordered, certain


def select(shape: Shape, side: int, rows: Sequence[tuple[str, Row]]) -> str:
    """SELECT of `rows` (each with its case) as one side of `shape`; `case_id` comes first."""
    given = list(rows) or [("none", tuple(NULL for _ in shape.columns))]
    targets = [Target(n, k, i) for i, (n, k) in enumerate(shape.columns)] if side == 0 else shape.candidate
    out = ", ".join(f"CAST(c{t.source} AS {_queried(t.kind)}) AS `{t.name}`" for t in targets)
    aliases = ", ".join(["case_id", *(f"c{i}" for i in range(len(shape.columns)))])
    lines = ",\n".join(
        f"({_text(case)}, {', '.join(cast(v, k) for v, (_, k) in zip(row, shape.columns, strict=True))})"
        for case, row in given
    )
    return f"SELECT case_id, {out} FROM VALUES {lines} AS t({aliases})" + ("" if rows else " WHERE false")


def column_list(shape: Shape, side: int) -> str:
    """The columns of one side for a CREATE TABLE."""
    targets = [(n, k) for n, k in shape.columns] if side == 0 else [(t.name, t.kind) for t in shape.candidate]
    return ", ".join(["case_id STRING", *(f"`{n}` {k.sql}" for n, k in targets)])


def _queried(kind: Kind) -> str:
    """The type as a query has it."""
    return re.sub(r"(VAR)?CHAR\(\d+\)", "STRING", kind.sql)
