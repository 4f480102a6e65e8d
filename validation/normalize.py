"""Normal forms: for a column of both sides, SQL that gives equal values exactly where the column's values are equal.

A normal form can be hashed, ordered and compared with `<=>`. Simple types stay as they are; `rules` has what two unlike
ones become. Nested values and variants become a text in which every part carries its own end or length, so that no two
different values share a text; NULL has its own mark. What has no exact form gets a reason.

Where equality needs a rule: both zeros are equal (not so inside a VARIANT or a shape, which keep what was written) and
NaN is equal to NaN (as `<=>` has it); strings compare by their bytes whatever their collation; trailing blanks of CHAR
are padding; maps compare as sets of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from databricks_client.names import named_alike
from validation.rules import (
    INTEGER_DIGITS,
    TEXT,
    CommonForm,
    Expression,
    cast,
    common_form,
    interval,
    micros,
    micros_ntz,
    plain_text,
    same,
)
from validation.schema import ColumnPair, DataType
from validation.sqltext import quote

_SENTINELS = {
    "string": "'no such element'",
    "tinyint": "CAST(-101 AS TINYINT)",
    "smallint": "CAST(-10007 AS SMALLINT)",
    "int": "-1000003",
    "bigint": "-1000000007L",
    "date": "DATE'0001-02-03'",
    "timestamp": "TIMESTAMP'0001-02-03 04:05:06'",
    "timestamp_ntz": "TIMESTAMP_NTZ'0001-02-03 04:05:06'",
}
"""Of each element type whose arrays can be hashed as they are, a value that hardly any array holds."""

_SPATIAL = {"geometry", "geography"}

_VARIANT_DEPTH = 4


class NoExactForm(Exception):
    """Two types that cannot be compared; the text says why."""


@dataclass(frozen=True)
class NormalForm:
    """How to compare one column.

    family: `number`, `decimal`, `float`, `integral` (BIGINT beside floats), `text`, `timestamp`, `micros`, `date` or
        `other`: what tolerances and causes apply.
    baseline, candidate: normal form on each side. show_baseline, show_candidate: text for people.
    hashed: what to hash for a value instead of its normal form, where that is faster and as exact; None for most types.
    doubt: SQL that is true for a value whose normal form is not exact; None if there is no such value.
    note: the rule that made the types comparable, "" if none was needed.
    scale, number, rounds, as_key, read: as in `rules.CommonForm`.
    """

    family: str
    baseline: Expression
    candidate: Expression
    show_baseline: Expression
    show_candidate: Expression
    doubt: Expression | None = None
    note: str = ""
    scale: int | None = None
    hashed: Callable[[str], tuple[str, ...]] | None = None
    number: Expression = same
    rounds: bool = False
    as_key: bool = True
    read: bool = False

    @property
    def empty(self) -> str | None:
        """SQL of the form of an empty text, None where there is none."""
        return "'?'" if self.read else "''" if self.family == "text" else None


def normal_form(pair: ColumnPair) -> NormalForm:
    """The normal form of a column pair. Raises NoExactForm when its types cannot be compared without loss."""
    return _Builder().column(pair.baseline.type, pair.candidate.type)


def _is_inside(names: set[str], kind: DataType) -> bool:
    return _base(kind.name) in names or any(_is_inside(names, c) for c in kind.children)


class _Builder:
    """Builds the expressions of one column; numbers its lambda variables and notes the rules that it follows."""

    def __init__(self) -> None:
        self._numbers = count()
        self._inside: list[CommonForm] = []

    def column(self, a: DataType, b: DataType) -> NormalForm:
        show = (self._show(a), self._show(b))
        if a.children or b.children or a.name == "variant" or b.name == "variant":
            left, right = self._encoder(a, b)
            doubt, notes = None, list(dict.fromkeys(f"inside {form.rule}" for form in self._inside if form.rule))
            if all(_is_inside({"variant"}, kind) for kind in (a, b)):
                doubt = self._doubt(a)
                notes.append("in a VARIANT -0.0 and 0.0 are two values")
            hashed = _plain_array(a) if a == b else None
            if any(_is_inside(_SPATIAL, kind) for kind in (a, b)):
                show = (_strict(left), _strict(right))  # JSON holds no shapes.
            return NormalForm(
                "other",
                _strict(left),
                _strict(right),
                *show,
                doubt,
                "; ".join(notes),
                hashed=hashed,
                rounds=any(form.rounds for form in self._inside),
                as_key=all(form.as_key for form in self._inside),
            )
        form = self._simple(a, b)
        return NormalForm(
            form.family,
            form.left,
            form.right,
            *show,
            note=form.rule,
            scale=form.scale,
            number=form.number,
            rounds=form.rounds,
            as_key=form.as_key,
            read=form.read,
        )

    def _simple(self, a: DataType, b: DataType) -> CommonForm:
        """The common form of two types without parts."""
        names = {a.name, b.name}
        if names <= TEXT:
            # Two lengths pad alike values unlike. Beside another type a CHAR counts as it is read, padding and all.
            if names == {"char"}:
                rule = "trailing blanks of CHAR are padding" if a != b else ""
                return CommonForm("text", plain_text(a), plain_text(b), rule)
            return CommonForm("text", _unpadded(a), _unpadded(b), "")
        if all(_base(n) in _SPATIAL for n in names) and _base(a.name) == _base(b.name):
            return CommonForm(
                "other", _spatial, _spatial, "a shape by its coordinates as they are stored, and its SRID"
            )
        if a == b:
            return self._same_type(a)
        found = common_form(a, b)
        if found is None:
            raise NoExactForm(_no_rule(a, b))
        return found

    def _same_type(self, kind: DataType) -> CommonForm:
        if kind.name in INTEGER_DIGITS:
            return CommonForm("number", same, same, "")
        if kind.name == "decimal":
            return CommonForm("decimal", same, same, "", scale=kind.arguments[1])
        if kind.name in {"float", "double"}:
            zero = "CAST(0 AS FLOAT)" if kind.name == "float" else "0D"

            def no_minus_zero(x: str) -> str:
                return f"({x} + {zero})"

            return CommonForm("float", no_minus_zero, no_minus_zero, "")
        family = {"timestamp": "timestamp", "timestamp_ntz": "timestamp", "date": "date"}.get(kind.name, "other")
        if kind.name in {"boolean", "binary", "date", "timestamp", "timestamp_ntz", "time"}:
            return CommonForm(family, same, same, "")
        if kind.name == "void":
            return CommonForm("other", cast("STRING"), cast("STRING"), "")
        if kind.name.startswith("interval"):
            found = interval(kind)
            if found is not None:
                return CommonForm("other", found[1], found[1], "")
            if kind.name == "interval":
                # The old mixed type holds months, days and microseconds; its text shows each of them.
                return CommonForm("other", cast("STRING"), cast("STRING"), "")
        raise NoExactForm(f"{kind} has no exact normal form")

    def _encoder(self, a: DataType, b: DataType) -> tuple[Expression, Expression]:
        """Texts of a value, NULL for NULL; for two types that may differ inside."""
        if a.name == b.name == "array":
            pair = self._encoder(a.children[0], b.children[0])
            return self._array(pair[0]), self._array(pair[1])
        if a.name == b.name == "map":
            keys = self._encoder(a.children[0], b.children[0])
            values = self._encoder(a.children[1], b.children[1])
            return self._map(keys[0], values[0]), self._map(keys[1], values[1])
        if a.name == b.name == "struct":
            if sorted(a.field_names) != sorted(b.field_names):
                raise NoExactForm(f"{a} and {b} have other fields")
            alike = named_alike(a.field_names)
            if alike is not None:
                raise NoExactForm(f"{a} has two fields, {alike[0]} and {alike[1]}, between which a query cannot choose")
            fields = [
                (name, self._encoder(kind, b.children[b.field_names.index(name)]))
                for name, kind in zip(a.field_names, a.children, strict=True)
            ]
            return _struct([(n, e[0]) for n, e in fields]), _struct([(n, e[1]) for n, e in fields])
        if a.name == b.name == "variant":
            return self._variant, self._variant
        if a.children or b.children or "variant" in {a.name, b.name}:
            raise NoExactForm(_no_rule(a, b))
        form = self._simple(a, b)
        if a != b:
            self._inside.append(form)
        kind = a if a == b else None
        return _plain(form, kind, form.left), _plain(form, kind, form.right)

    def _variable(self) -> str:
        return f"e{next(self._numbers)}"

    def _array(self, element: Expression) -> Expression:
        v = self._variable()
        inner = _or_null_mark(element)(v)
        return lambda x: f"concat('[', size({x}), ':', array_join(transform({x}, {v} -> {inner}), ''), ']')"

    def _map(self, key: Expression, value: Expression) -> Expression:
        v = self._variable()
        inner = f"concat({_or_null_mark(key)(v + '.key')}, {_or_null_mark(value)(v + '.value')})"
        return lambda x: (
            f"concat('<', size({x}), ':', array_join(array_sort(transform(map_entries({x}), {v} -> {inner})), ''), '>')"
        )

    def _variant(self, x: str) -> str:
        """JSON text distinguishes neither a date from a string nor two number types: the types stand beside it.

        The schema of an array is the common type of its elements, so the elements' own schemas are added, level by
        level.
        """
        json = f"to_json({x})"
        return f"concat(octet_length({json}), ':', {json}, {self._variant_types(x, _VARIANT_DEPTH)})"

    def _variant_types(self, x: str, depth: int) -> str:
        own = f"concat(schema_of_variant({x}), ';')"
        if depth == 0:
            return own
        v = self._variable()
        inner = f"coalesce({self._variant_types(v, depth - 1)}, 'N')"
        parts = _variant_parts(x)
        return (
            f"concat({own}, CASE WHEN schema_of_variant({x}) LIKE '%ARRAY<%' "
            f"THEN concat('(', array_join(transform({parts}, {v} -> {inner}), ''), ')') ELSE '' END)"
        )

    def _doubt(self, kind: DataType) -> Expression | None:
        """True for a value with a variant that may mix types deeper than the normal form looks."""
        if kind.name == "variant":
            return lambda x: f"coalesce({self._deep_mix(x, _VARIANT_DEPTH)}, false)"
        if kind.name == "array":
            inner = self._doubt(kind.children[0])
            v = self._variable()
            if inner is None:
                return None
            test = inner(v)
            return lambda x: f"coalesce(exists({x}, {v} -> {test}), false)"
        if kind.name == "map":
            inner = self._doubt(kind.children[1])
            v = self._variable()
            if inner is None:
                return None
            test = inner(v)
            return lambda x: f"coalesce(exists(map_values({x}), {v} -> {test}), false)"
        if kind.name == "struct":
            parts = [(n, self._doubt(c)) for n, c in zip(kind.field_names, kind.children, strict=True)]
            known = [(n, d) for n, d in parts if d is not None]
            return (lambda x: " OR ".join(f"({d(f'{x}.{quote(n)}')})" for n, d in known)) if known else None
        return None

    def _deep_mix(self, x: str, depth: int) -> str:
        if depth == 0:
            # Any array: its schema is one type that holds all elements, DOUBLE for decimals beside doubles.
            return f"schema_of_variant({x}) LIKE '%ARRAY<%'"
        v = self._variable()
        inner = f"coalesce({self._deep_mix(v, depth - 1)}, false)"
        return f"(schema_of_variant({x}) LIKE '%ARRAY<%' AND exists({_variant_parts(x)}, {v} -> {inner}))"

    def _show(self, kind: DataType) -> Expression:
        if kind.children or kind.name == "variant":
            return lambda x: f"to_json({x}, map('ignoreNullFields', 'false'))"
        if kind.name == "binary":
            return lambda x: f"hex({x})"
        if kind.collation:
            return lambda x: f"({x} COLLATE UTF8_BINARY)"
        if _base(kind.name) in _SPATIAL:
            return _spatial
        return cast("STRING")


def _plain_array(kind: DataType) -> Callable[[str], tuple[str, ...]] | None:
    """What to hash of an array whose elements `xxhash64` takes as they are; None for every other type.

    The normal form needs a lambda: Spark does not compile it, nor what stands beside it, and all columns get slower.
    Hashed are the size, the places of NULLs (0 where there are none) and the elements, which `xxhash64` takes one after
    the other and without the NULLs. `array_contains` gives NULL if it meets a NULL and not the value; where it meets
    the value, there may be NULLs all the same. NULL sorts first: of two arrays with the same elements in the same order
    the sorted pairs begin with the places of the NULLs.
    """
    element = kind.children[0] if kind.name == "array" else None
    if element is None or element.collation or element.name not in _SENTINELS:
        return None
    sentinel = _SENTINELS[element.name]

    def hashed(x: str) -> tuple[str, ...]:
        places = f"xxhash64(sort_array(arrays_zip({x}, sequence(1, size({x})))))"
        return (
            f"size({x})",
            f"CASE WHEN coalesce(array_contains({x}, {sentinel}), true) THEN {places} ELSE 0L END",
            x,
        )

    return hashed


def _variant_parts(x: str) -> str:
    """The elements of an array, the values of an object in the order of its names, nothing else."""
    return (
        f"CASE WHEN schema_of_variant({x}) LIKE 'ARRAY<%' THEN try_cast({x} AS ARRAY<VARIANT>) "
        f"WHEN schema_of_variant({x}) LIKE 'OBJECT<%' "
        f"THEN map_values(try_cast({x} AS MAP<STRING, VARIANT>)) ELSE array() END"
    )


def _no_rule(a: DataType, b: DataType) -> str:
    return f"no rule compares {a} with {b} without loss: cast one side in a view, or exclude the column"


def _unpadded(kind: DataType) -> Expression:
    """A text by its bytes, blanks at its end included."""
    return plain_text(replace(kind, name="string"))


def _base(name: str) -> str:
    """`geometry` of `geometry(any)`, which has no number for an argument."""
    return name.partition("(")[0]


def _spatial(x: str) -> str:
    return f"concat(st_srid({x}), ':', hex(st_asbinary({x})))"


def _strict(encode: Expression) -> Expression:
    return lambda x: f"CASE WHEN {x} IS NOT NULL THEN {encode(x)} END"


def _or_null_mark(encode: Expression) -> Expression:
    return lambda x: f"CASE WHEN {x} IS NULL THEN 'N' ELSE {encode(x)} END"


def _struct(fields: list[tuple[str, Expression]]) -> Expression:
    def encode(x: str) -> str:
        parts = ", ".join(_or_null_mark(e)(f"{x}.{quote(n)}") for n, e in fields)
        return f"concat('{{', {parts}, '}}')" if parts else "'{}'"

    return encode


def _plain(common: CommonForm, kind: DataType | None, form: Expression) -> Expression:
    """The text of a simple value inside a nested one: its end is marked, or its length stands before it."""
    if common.family == "text" or common.read:
        return lambda x: f"concat(octet_length({form(x)}), ':', {form(x)})"
    if kind is not None and kind.name == "binary":
        return lambda x: f"concat(hex({x}), ';')"
    if kind is not None and kind.name == "timestamp":
        return lambda x: f"concat({micros(x)}, ';')"
    if common.family == "timestamp":
        return lambda x: f"concat({micros_ntz(form(x))}, ';')"
    return lambda x: f"concat(CAST({form(x)} AS STRING), ';')"
