"""Ground truth for comparisons: random tables, random mutations, and a brute-force comparison in plain Python.

A value is a pair: what it means (plain Python, equal exactly where the values are equal) and its SQL. The brute force
looks only at meanings and knows nothing of hashes, normal forms or SQL.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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


def variant(r: random.Random) -> Value:
    """JSON documents whose texts differ only in types or boundaries."""
    choices: list[tuple[Meaning, str]] = [
        (("int", 1), "parse_json('1')"),
        (("str", "1"), "parse_json('\"1\"')"),
        (("null",), "parse_json('null')"),
        (("arr", 1, "x"), "parse_json('[1,\"x\"]')"),
        (("arr", "1", "x"), 'parse_json(\'["1","x"]\')'),
        (("arr", (1,), ("x",)), "parse_json('[[1],[\"x\"]]')"),
        (("arr", (1, "x")), "parse_json('[[1,\"x\"]]')"),
        (("obj", "a", 1), "parse_json('{\"a\":1}')"),
        (("obj", "a", 1, "b", None), 'parse_json(\'{"b":null,"a":1}\')'),
        (("date", "2024-01-01"), "to_variant_object(struct(DATE'2024-01-01' AS d))"),
        (("datestr", "2024-01-01"), 'parse_json(\'{"d":"2024-01-01"}\')'),
        (("mixed", 1), "to_variant_object(array(parse_json('1'), CAST(DATE'2024-01-01' AS VARIANT)))"),
        (("mixed", 2), "parse_json('[1,\"2024-01-01\"]')"),
        (("dec", 15), "parse_json('1.5')"),
        (("dbl", 15), "parse_json('1.5e0')"),
    ]
    meaning, sql = r.choice(choices)
    return Value(meaning, sql)


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
    "TIMESTAMP": [],
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
    return f"CAST({value.sql} AS {kind.sql})"


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
class Shape:
    """The schemas of both sides: columns (name and type) in order, keys, and what the candidate has otherwise."""

    columns: tuple[tuple[str, Kind], ...]
    candidate: tuple[tuple[str, Kind], ...]
    keys: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether names, types or order differ."""
        return [(n, k.sql) for n, k in self.columns] != [(n, k.sql) for n, k in self.candidate]


Row = tuple[Value, ...]


@dataclass(frozen=True)
class Truth:
    """What a right comparison must say. columns is None where the pairing of several leftover rows is a matter of taste."""

    missing: int
    extra: int
    modified: int
    duplicates: tuple[int, int]
    columns: dict[str, int] | None
    rows: tuple[int, int]

    @property
    def equal(self) -> bool:
        """Whether the rows are equal as multisets."""
        return not (self.missing or self.extra or self.modified)


def random_shape(r: random.Random, change_schema: bool) -> Shape:
    """Keys first or in the middle, neighbouring strings and arrays often, all types in time."""
    names = ["id", "k2", "v1", "v2", "v3", "V 4", "v5"]
    kinds: list[Kind] = [SIMPLE[r.choice(["INT", "STRING", "BIGINT", "DATE", "DECIMAL(9,2)", "DOUBLE", "TIMESTAMP"])]]
    kinds.append(SIMPLE[r.choice(["STRING", "INT", "BINARY", "BOOLEAN", "STRING COLLATE UTF8_LCASE"])])
    pattern = r.random()
    if pattern < 0.3:
        kinds += [SIMPLE["STRING"], SIMPLE["STRING"]]
    elif pattern < 0.5:
        element = r.choice([SIMPLE["STRING"], SIMPLE["INT"], array_of(SIMPLE["INT"])])
        kinds += [array_of(element), array_of(element)]
    else:
        kinds += [random_kind(r), random_kind(r)]
    kinds += [random_kind(r) for _ in range(r.randint(0, 3))]
    columns = list(zip(names, kinds, strict=False))
    keys = r.choice([(), ("id",), ("id",), ("id", "k2"), ("id", "k2"), ("k2",)])
    candidate = list(columns)
    if change_schema:
        change = r.choice(["order", "type", "type", "case"])
        if change == "order":
            i = r.randrange(len(candidate) - 1)
            candidate[i], candidate[i + 1] = candidate[i + 1], candidate[i]
        elif change == "type":
            can = [i for i, (_, k) in enumerate(candidate) if WIDER.get(k.sql)]
            for i in can[:1]:
                name, kind = candidate[i]
                wide = r.choice(WIDER[kind.sql])
                candidate[i] = (name, Kind(wide, kind.make, kind.ordered))
        else:
            i = r.randrange(len(candidate))
            candidate[i] = (candidate[i][0].swapcase(), candidate[i][1])
    return Shape(tuple(columns), tuple(candidate), keys)


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
        kind = r.choice(["value", "value", "null", "copy", "drop", "add", "shift", "swap"])
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


def truth(shape: Shape, baseline: Sequence[Row], candidate: Sequence[Row]) -> Truth:
    """The brute force: multisets by key, equal rows cancel first, the rest pairs."""
    names = [n for n, _ in shape.columns]
    at = [names.index(k) for k in shape.keys]

    def key(row: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
        return tuple(row[i] for i in at) if at else row

    a = Counter(tuple(v.meaning for v in row) for row in baseline)
    b = Counter(tuple(v.meaning for v in row) for row in candidate)
    left, right = a - b, b - a
    rows = (sum(a.values()), sum(b.values()))
    if not at:
        return Truth(sum(left.values()), sum(right.values()), 0, (0, 0), {}, rows)
    missing = extra = modified = 0
    columns: dict[str, int] | None = {}
    for k in {key(row) for row in [*left, *right]}:
        of_a = sorted_rows(shape, [row for row in left.elements() if key(row) == k])
        of_b = sorted_rows(shape, [row for row in right.elements() if key(row) == k])
        pairs = min(len(of_a[0]), len(of_b[0]))
        modified += pairs
        missing += len(of_a[0]) - pairs
        extra += len(of_b[0]) - pairs
        if pairs and not (of_a[1] and of_b[1]):
            columns = None
        if columns is not None:
            for x, y in zip(of_a[0], of_b[0], strict=False):
                for name, v, w in zip(names, x, y, strict=True):
                    if v != w:
                        columns[name] = columns.get(name, 0) + 1
    duplicates = tuple(n - len({key(row) for row in side}) for n, side in zip(rows, (a, b), strict=True))
    return Truth(missing, extra, modified, (duplicates[0], duplicates[1]), columns, rows)


def sorted_rows(shape: Shape, rows: list[tuple[Meaning, ...]]) -> tuple[list[tuple[Meaning, ...]], bool]:
    """Leftover rows of a key in the order of their values, and whether that order is certain.

    It is when columns whose order Python shares with the engine tell the rows apart before the first other column.
    """
    if len(rows) < 2:
        return rows, True
    prefix = 0
    for (_, kind), (_, other) in zip(shape.columns, shape.candidate, strict=True):
        if not (kind.ordered and kind.sql == other.sql):
            break
        prefix += 1

    def order(row: tuple[Meaning, ...]) -> tuple[Any, ...]:
        return tuple((v is not None, v if v is not None else 0) for v in row[:prefix])

    ordered = sorted(rows, key=order)
    certain = all(order(x) != order(y) or x == y for x, y in pairwise(ordered))
    return ordered, certain


def select(shape: Shape, columns: Sequence[tuple[str, Kind]], rows: Sequence[tuple[str, Row]]) -> str:
    """SELECT of `rows` (each with its case) as one side of `shape`, whose columns are `columns`; `case_id` comes first."""
    names = [n.casefold() for n, _ in shape.columns]
    out = ", ".join(f"CAST(c{names.index(n.casefold())} AS {k.sql}) AS `{n}`" for n, k in columns)
    aliases = ", ".join(["case_id", *(f"c{i}" for i in range(len(names)))])
    given = list(rows) or [("none", tuple(NULL for _ in names))]
    lines = ",\n".join(
        f"({_text(case)}, {', '.join(cast(v, k) for v, (_, k) in zip(row, shape.columns, strict=True))})"
        for case, row in given
    )
    return f"SELECT case_id, {out} FROM VALUES {lines} AS t({aliases})" + ("" if rows else " WHERE false")
