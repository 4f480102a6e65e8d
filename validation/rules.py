"""Rules for unlike types: for a pair of simple types, the common form in which their values are compared.

Two values are equal exactly where their common forms are. A form is NULL for NULL and for nothing else, so that a value
that does not convert never equals a NULL; and no conversion fails, whatever the session's ANSI mode. A rule is exact,
or it rounds and says so. Pairs without a rule cannot be compared.

A text beside another type is read by a grammar of this module, stricter than the engine's cast, which trims blanks,
takes `1d` for a number, cuts the time off a date and digits off a fraction. The form of a text that is read is `=` and
its value, that of any other text is `?` and the text: these never meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from validation.schema import DataType

Expression = Callable[[str], str]
"""SQL of a value to SQL of its form."""

INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
TEXT = frozenset({"string", "char", "varchar"})

_SMALL_INTEGERS = frozenset({"tinyint", "smallint", "int"})
_INTEGERS = frozenset(INTEGER_DIGITS)
_FLOATS = frozenset({"float", "double"})
_TIMES = frozenset({"timestamp", "timestamp_ntz"})

_KEPT_DIGITS = {"float": 6, "double": 15}
"""Significant digits of a decimal that survive the way into a float and back: so many, and no two share a float."""

_BIGINT_DIGITS = 18
"""Digits that every number fits a BIGINT with."""

_TEXT_SCALE = 10
"""Digits after the point, beyond those of the other side's type, to which a tolerance measures a text."""

_NUMBER = "-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]{1,4})?"
"""A number as JSON writes it: no blank, no plus sign, no leading zero as an identifier may have."""

_DAY = "[+-]?[0-9]{4,7}-[0-9]{1,2}-[0-9]{1,2}"
_MIDNIGHT = "(?:[ T]0?0:00(?::00(?:[.]0+)?)?)?"
_CLOCK = "[ T][0-9]{1,2}:[0-9]{1,2}(?::[0-9]{1,2}(?:[.][0-9]{1,6}0*)?)?"
_ZONE = " ?(?:[A-Za-z][A-Za-z0-9_/+:-]*|[+-][0-9:]{1,8})"

_DAY_MICROS = "CAST(86400000000 AS DECIMAL(11,0))"
_MICROS = "DECIMAL(22,0)"
"""Holds the microseconds between 1970 and any DATE, which a BIGINT does not."""


def same(x: str) -> str:
    """The form of a value that stays as it is."""
    return x


@dataclass(frozen=True)
class CommonForm:
    """How values of two types are compared.

    family: what tolerances and causes apply, as in `normalize.NormalForm`.
    left, right: the form of a value of the first and of the second type. rule: in words, for the report.
    rounds: whether values that are not quite the same number share a form.
    as_key: whether rows can be identified by it: no two numbers of one side share a form.
    scale: digits after the point of `number`, where that is a DECIMAL.
    number: from a form to the number or time that it stands for; NULL where it stands for none.
    read: whether a text is read, and forms begin with `=` or `?`.
    """

    family: str
    left: Expression
    right: Expression
    rule: str
    rounds: bool = False
    as_key: bool = True
    scale: int | None = None
    number: Expression = same
    read: bool = False

    @property
    def swapped(self) -> CommonForm:
        """The same for the types in the other order."""
        return replace(self, left=self.right, right=self.left)


@dataclass(frozen=True)
class Rule:
    """Pairs of kinds of types, in either order, and what makes their common form (None: not for these two)."""

    first: frozenset[str]
    second: frozenset[str]
    make: Callable[[DataType, DataType], CommonForm | None]


def common_form(a: DataType, b: DataType) -> CommonForm | None:
    """The common form of two simple types, None where no rule compares them."""
    for rule in RULES:
        if _kind(a) in rule.first and _kind(b) in rule.second:
            return rule.make(a, b)
        if _kind(b) in rule.first and _kind(a) in rule.second:
            found = rule.make(b, a)
            return None if found is None else found.swapped
    return None


def plain_text(kind: DataType) -> Expression:
    """A text by its bytes, whatever its collation; of a CHAR trailing blanks are padding."""
    collate = " COLLATE UTF8_BINARY" if kind.collation else ""
    if kind.name == "char":
        return lambda x: f"rtrim({x}{collate})"
    return (lambda x: f"({x}{collate})") if collate else same


def cast(target: str) -> Expression:
    """A cast that cannot fail for the types it is used for."""
    return lambda x: f"CAST({x} AS {target})"


def micros(x: str) -> str:
    """Microseconds of a TIMESTAMP since 1970."""
    return f"unix_micros({x})"


def micros_ntz(x: str) -> str:
    """Microseconds of a TIMESTAMP_NTZ since 1970, both read in one zone."""
    return f"timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', {x})"


def interval(kind: DataType) -> tuple[str, Expression] | None:
    """What an interval counts, and that count as an exact number; None for the old mixed interval type."""
    unit = kind.name.removeprefix("interval").split(" to ")[-1].strip()
    if unit in {"year", "month"}:
        return "months", lambda x: f"CAST(CAST({x} AS INTERVAL MONTH) AS BIGINT)"
    if unit in {"day", "hour", "minute", "second"}:
        return "seconds", lambda x: f"CAST(CAST({x} AS INTERVAL SECOND) AS DECIMAL(20,6))"
    return None


def _kind(kind: DataType) -> str:
    """A type's name; of an interval what it counts."""
    if kind.name.startswith("interval"):
        found = interval(kind)
        return kind.name if found is None else f"interval in {found[0]}"
    return kind.name


def _size(kind: DataType) -> tuple[int, int]:
    """Precision and scale of a DECIMAL, or of the one that holds an integer type."""
    if kind.name != "decimal":
        return INTEGER_DIGITS[kind.name], 0
    precision, scale = kind.arguments
    return precision, scale


# Numbers


def _integers(_a: DataType, _b: DataType) -> CommonForm:
    return CommonForm("number", cast("BIGINT"), cast("BIGINT"), "both as BIGINT")


def _decimals(a: DataType, b: DataType) -> CommonForm:
    sizes = [_size(t) for t in (a, b)]
    scale = max(s for _, s in sizes)
    whole = max(p - s for p, s in sizes)
    if whole + scale <= 38:
        target = f"DECIMAL({whole + scale},{scale})"
        return CommonForm("decimal", cast(target), cast(target), f"both as {target}", scale=scale)

    # A value too large for the finer scale cannot equal any value of the finer type: its own text distinguishes it.
    def as_text(x: str) -> str:
        return f"coalesce(CAST(try_cast({x} AS DECIMAL(38,{scale})) AS STRING), CAST({x} AS STRING))"

    def number(form: str) -> str:
        return f"try_cast({form} AS DECIMAL(38,{scale}))"

    return CommonForm("decimal", as_text, as_text, "both as decimal text", scale=scale, number=number)


def _as_double(x: str) -> str:
    # The sum makes one zero of both.
    return f"(CAST({x} AS DOUBLE) + 0D)"


def _floats(_a: DataType, _b: DataType) -> CommonForm:
    return CommonForm("float", _as_double, _as_double, "both as DOUBLE")


def _small_integer_and_float(_a: DataType, _b: DataType) -> CommonForm:
    return CommonForm("float", _as_double, _as_double, "both as DOUBLE, which holds every INT")


def _integer_and_float(a: DataType, b: DataType) -> CommonForm:
    """Integers of up to 64 bits: a float that is a whole number within BIGINT as that, any other by its own text.

    2^63 is not within BIGINT, though a cast makes 2^63-1 of it; NaN is greater than every number.
    """

    def of_float(x: str) -> str:
        d = f"CAST({x} AS DOUBLE)"
        whole = f"{d} >= -9223372036854775808D AND {d} < 9223372036854775808D AND {d} = rint({d})"
        return f"CASE WHEN {whole} THEN CAST(try_cast({d} AS BIGINT) AS STRING) ELSE CAST({d} AS STRING) END"

    return CommonForm(
        "integral",
        lambda x: f"CAST(CAST({x} AS BIGINT) AS STRING)",
        of_float,
        f"exact, a whole {b.name.upper()} as BIGINT",
        number=lambda form: f"try_cast({form} AS DOUBLE)",
    )


def _decimal_and_float(a: DataType, b: DataType) -> CommonForm:
    precision, scale = _size(a)
    if scale == 0 and precision <= _BIGINT_DIGITS:
        return _integer_and_float(a, b)
    target = b.name.upper()

    def rounded(x: str) -> str:
        return f"(CAST({x} AS {target}) + CAST(0 AS {target}))"

    return CommonForm(
        "float",
        rounded,
        rounded,
        f"rounded, the DECIMAL to the nearest {target}",
        rounds=True,
        as_key=precision <= _KEPT_DIGITS[b.name],
    )


# Times


def _moments(a: DataType, b: DataType) -> CommonForm:
    forms: dict[str, Expression] = {
        "date": lambda x: f"CAST(CAST(unix_date({x}) AS DECIMAL(10,0)) * {_DAY_MICROS} AS {_MICROS})",
        "timestamp": lambda x: f"CAST({micros(x)} AS {_MICROS})",
        "timestamp_ntz": lambda x: f"CAST({micros_ntz(x)} AS {_MICROS})",
    }
    rule = {
        "date timestamp": "a DATE as its midnight in UTC",
        "date timestamp_ntz": "a DATE as its midnight",
        "timestamp timestamp_ntz": "TIMESTAMP_NTZ read as UTC",
    }[f"{a.name} {b.name}"]
    return CommonForm("micros", forms[a.name], forms[b.name], rule)


def _times_of_day(a: DataType, b: DataType) -> CommonForm:
    finer = str(max(a, b, key=lambda t: t.arguments))
    return CommonForm("other", cast(finer), cast(finer), f"both as {finer}")


def _intervals(a: DataType, b: DataType) -> CommonForm | None:
    first, second = interval(a), interval(b)
    if first is None or second is None:
        return None
    return CommonForm("other", first[1], second[1], f"both as {first[0]}")


# Texts


def _is_wholly(x: str, grammar: str) -> str:
    # A `$` would also match before a line end.
    return f"({x} <> '' AND regexp_extract({x}, '^(?:{grammar})', 0) = {x})"


def _reading(text: DataType, read: Expression, write: Expression) -> tuple[Expression, Expression]:
    """Forms of a text and of a value. read: SQL of the text of the value that a text is, or NULL; write: of a value."""
    plain = plain_text(text)

    def of_text(x: str) -> str:
        return f"coalesce(concat('=', {read(plain(x))}), concat('?', {plain(x)}))"

    return of_text, lambda x: f"concat('=', {write(x)})"


def _value_of(form: str, target: str, where: str = "true") -> str:
    """SQL of the value in a form, NULL for a text that was not read."""
    return f"IF(left({form}, 1) = '=' AND {where}, try_cast(substring({form}, 2) AS {target}), NULL)"


def _canonical_number(x: str) -> str:
    """Significant digits and exponent of a decimal numeral of any length, as `15e-1`; zero is `0e0`."""
    digits = f"regexp_replace({x}, '[eE].*|[-.]', '')"
    significant = f"regexp_replace({digits}, '^0+|0+$', '')"
    exponent = (
        f"coalesce(try_cast(regexp_extract({x}, '[eE](.*)', 1) AS INT), 0) "
        f"- length(regexp_extract({x}, '[.]([0-9]+)', 1)) + length({digits}) - length(rtrim('0', {digits}))"
    )
    sign = f"IF(left({x}, 1) = '-', '-', '')"
    return f"IF({significant} = '', '0e0', concat({sign}, {significant}, 'e', CAST({exponent} AS STRING)))"


def _text_and_number(text: DataType, number: DataType) -> CommonForm:
    """By all digits: as many as the text has, where a cast would round to the type's."""
    precision, scale = _size(number)
    measured = min(scale + _TEXT_SCALE, 38 - (precision - scale))
    forms = _reading(
        text,
        lambda x: f"CASE WHEN {_is_wholly(x, _NUMBER)} THEN {_canonical_number(x)} END",
        lambda x: _canonical_number(f"CAST({x} AS STRING)"),
    )

    def value(form: str) -> str:
        # Of a text with more digits no distance is known: no tolerance reaches it.
        exact = f"try_cast(substring_index({form}, 'e', -1) AS INT) >= -{measured}"
        return _value_of(form, f"DECIMAL(38,{measured})", exact)

    rule = "exact, a text as the number that it writes"
    return CommonForm("decimal", *forms, rule, scale=measured, number=value, read=True)


def _text_and_float(text: DataType, number: DataType) -> CommonForm:
    target = number.name.upper()

    def written(x: str) -> str:
        return f"CAST({x} + CAST(0 AS {target}) AS STRING)"

    def read(x: str) -> str:
        value = f"try_cast({x} AS {target})"
        finite = f"({_is_wholly(x, _NUMBER)} AND abs({value}) < double('infinity'))"
        return f"CASE WHEN {x} IN ('NaN', 'Infinity', '-Infinity') OR {finite} THEN {written(value)} END"

    return CommonForm(
        "float",
        *_reading(text, read, written),
        f"rounded, a text to the nearest {target} of the number that it writes",
        rounds=True,
        as_key=False,
        number=lambda form: _value_of(form, target),
        read=True,
    )


def _text_and_boolean(text: DataType, _boolean: DataType) -> CommonForm:
    forms = _reading(text, lambda x: f"IF(lower({x}) IN ('true', 'false'), lower({x}), NULL)", cast("STRING"))
    return CommonForm("other", *forms, "exact, the texts true and false in any case", read=True)


def _text_and_date(text: DataType, _date: DataType) -> CommonForm:
    def written(x: str) -> str:
        return f"CAST(unix_date({x}) AS STRING)"

    def read(x: str) -> str:
        return f"CASE WHEN {_is_wholly(x, _DAY + _MIDNIGHT)} THEN {written(f'try_cast({x} AS DATE)')} END"

    def value(form: str) -> str:
        return f"date_from_unix_date({_value_of(form, 'INT')})"

    rule = "exact, a text as the day that it writes"
    return CommonForm("date", *_reading(text, read, written), rule, number=value, read=True)


def _text_and_time(text: DataType, time: DataType) -> CommonForm:
    """A text without a zone is UTC beside a TIMESTAMP; one with a zone is no TIMESTAMP_NTZ, though a cast drops it."""
    local, zoned = f"{_DAY}(?:{_CLOCK})?", _DAY + _CLOCK + _ZONE
    with_zone = time.name == "timestamp"

    def read(x: str) -> str:
        cases = f"WHEN {_is_wholly(x, local)} THEN {micros_ntz(f'try_cast({x} AS TIMESTAMP_NTZ)')}"
        if with_zone:
            cases += f" WHEN {_is_wholly(x, zoned)} THEN {micros(f'try_cast({x} AS TIMESTAMP)')}"
        return f"CAST(CASE {cases} END AS STRING)"

    def written(x: str) -> str:
        return f"CAST({(micros if with_zone else micros_ntz)(x)} AS STRING)"

    rule = "exact, a text as the time that it writes" + (", in UTC if it names no zone" if with_zone else "")
    forms = _reading(text, read, written)
    return CommonForm("micros", *forms, rule, number=lambda form: _value_of(form, _MICROS), read=True)


def _text_and_binary(text: DataType, _binary: DataType) -> CommonForm:
    plain = plain_text(text)
    return CommonForm("other", lambda x: f"hex({plain(x)})", lambda x: f"hex({x})", "exact, a text by its UTF-8 bytes")


RULES = (
    Rule(_INTEGERS, _INTEGERS, _integers),
    Rule(_INTEGERS | {"decimal"}, frozenset({"decimal"}), _decimals),
    Rule(frozenset({"float"}), frozenset({"double"}), _floats),
    Rule(_SMALL_INTEGERS, _FLOATS, _small_integer_and_float),
    Rule(frozenset({"bigint"}), _FLOATS, _integer_and_float),
    Rule(frozenset({"decimal"}), _FLOATS, _decimal_and_float),
    Rule(frozenset({"date"}), _TIMES, _moments),
    Rule(frozenset({"timestamp"}), frozenset({"timestamp_ntz"}), _moments),
    Rule(frozenset({"time"}), frozenset({"time"}), _times_of_day),
    Rule(frozenset({"interval in months"}), frozenset({"interval in months"}), _intervals),
    Rule(frozenset({"interval in seconds"}), frozenset({"interval in seconds"}), _intervals),
    Rule(TEXT, _INTEGERS | {"decimal"}, _text_and_number),
    Rule(TEXT, _FLOATS, _text_and_float),
    Rule(TEXT, frozenset({"boolean"}), _text_and_boolean),
    Rule(TEXT, frozenset({"date"}), _text_and_date),
    Rule(TEXT, _TIMES, _text_and_time),
    Rule(TEXT, frozenset({"binary"}), _text_and_binary),
)
"""All rules. A pair of types has one rule at most; a BOOLEAN has none beside a number, nor a time beside an integer,
whose unit is not known."""
