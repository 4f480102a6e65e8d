"""Parameters as SQL text: each value becomes a literal of exactly its type.

They are put into the text before Spark sees it: Delta's parser (4.4) hides Spark's own parameter markers.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from emulator.dialect.names import literal
from emulator.sql.errors import SqlError


@dataclass(frozen=True)
class Parameter:
    """A bound value. text: its SQL literal. value: the plain value, for `IDENTIFIER(:name)`."""

    text: str
    value: Any


Parameters = Mapping[str, Parameter] | Sequence[Parameter]
NO_PARAMETERS: tuple[Parameter, ...] = ()

_WHOLE = {
    "TINYINT": ("Y", 7),
    "BYTE": ("Y", 7),
    "SMALLINT": ("S", 15),
    "SHORT": ("S", 15),
    "INT": ("", 31),
    "INTEGER": ("", 31),
} | {
    "BIGINT": ("L", 63),
    "LONG": ("L", 63),
}
_CAST = ("TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "DATE", "VARIANT")


def bad(text: object, kind: str) -> SqlError:
    return SqlError(
        "CAST_INVALID_INPUT",
        f'The value {str(text)!r} of the type "STRING" cannot be cast to "{kind}" because it is malformed.',
        "22018",
    )


def typed(text: str | None, kind: str) -> Parameter:
    """A value given as text with a Databricks type, as the protocols send it. Raises CAST_INVALID_INPUT."""
    name = kind.strip().upper()
    base = re.split(r"[(<\s]", name, maxsplit=1)[0]
    if text is None or base in ("VOID", "NULL"):
        return Parameter("NULL" if base in ("VOID", "NULL", "") else f"CAST(NULL AS {kind})", None)
    if base in ("STRING", "", "CHAR", "VARCHAR"):
        plain = literal(text)
        return Parameter(plain if base in ("STRING", "") or "(" not in name else f"CAST({plain} AS {name})", text)
    if base in _WHOLE:
        suffix, bits = _WHOLE[base]
        try:
            number = int(text.strip())
        except ValueError as e:
            raise bad(text, name) from e
        if not -(2**bits) <= number < 2**bits:
            raise bad(text, name)
        return Parameter(
            _signed(f"{abs(number)}{suffix}", number < 0) if number != -(2**bits) else f"CAST('{number}' AS {base})",
            number,
        )
    if base in ("BOOLEAN",):
        if text.strip().lower() not in ("true", "false", "1", "0"):
            raise bad(text, name)
        value = text.strip().lower() in ("true", "1")
        return Parameter("TRUE" if value else "FALSE", value)
    if base in ("DOUBLE", "FLOAT", "REAL"):
        try:
            floating = float(text)
        except ValueError as e:
            raise bad(text, name) from e
        return Parameter(f"CAST({literal(text)} AS {'DOUBLE' if base == 'DOUBLE' else 'FLOAT'})", floating)
    if base in ("DECIMAL", "NUMERIC", "DEC"):
        try:
            decimal = Decimal(text)
        except ArithmeticError as e:
            raise bad(text, name) from e
        return Parameter(f"CAST({literal(text)} AS {name if '(' in name else _decimal_type(decimal)})", decimal)
    if base == "BINARY":
        return Parameter(f"X'{text.encode().hex()}'", text)
    if base in _CAST:
        inner = f"parse_json({literal(text)})" if base == "VARIANT" else f"CAST({literal(text)} AS {base})"
        return Parameter(inner, text)
    if base == "INTERVAL":
        return Parameter(f"CAST({literal(text)} AS {name})", text)
    raise SqlError("UNSUPPORTED_FEATURE", f"Parameters of type {kind} are not supported.")


def _signed(text: str, negative: bool) -> str:
    return f"(-{text})" if negative else text


def _decimal_type(value: Decimal) -> str:
    exponent = int(value.as_tuple().exponent)
    scale = max(0, -exponent)
    digits = len(value.as_tuple().digits) + max(0, exponent)
    return f"DECIMAL({min(38, max(digits, scale, 1))},{min(38, scale)})"


def of_python(value: Any) -> Parameter:
    """A Python value as a notebook passes it to `spark.sql(text, args)`."""
    if value is None:
        return Parameter("NULL", None)
    if isinstance(value, Parameter):
        return value
    if isinstance(value, bool):
        return Parameter("TRUE" if value else "FALSE", value)
    if isinstance(value, int):
        return typed(str(value), "INT" if -(2**31) <= value < 2**31 else "BIGINT")
    if isinstance(value, float):
        special = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN" if math.isnan(value) else repr(value))
        return Parameter(f"CAST('{special}' AS DOUBLE)", value)
    if isinstance(value, Decimal):
        return typed(str(value), "DECIMAL")
    if isinstance(value, str):
        return Parameter(literal(value), value)
    if isinstance(value, bytes | bytearray):
        return Parameter(f"X'{bytes(value).hex()}'", value)
    if isinstance(value, dt.datetime):
        zone = "TIMESTAMP" if value.tzinfo is not None else "TIMESTAMP_NTZ"
        return Parameter(f"{zone}'{value.isoformat(sep=' ')}'", value)
    if isinstance(value, dt.date):
        return Parameter(f"DATE'{value.isoformat()}'", value)
    if isinstance(value, dt.timedelta):
        return Parameter(f"make_dt_interval({value.days}, 0, 0, {value.seconds + value.microseconds / 1e6})", value)
    if isinstance(value, list | tuple):
        return Parameter("array(" + ", ".join(of_python(item).text for item in value) + ")", value)
    if isinstance(value, dict):
        pairs = ", ".join(f"{of_python(k).text}, {of_python(v).text}" for k, v in value.items())
        return Parameter(f"map({pairs})", value)
    raise SqlError("UNSUPPORTED_FEATURE", f"A parameter of the Python type {type(value).__name__} is not supported.")


def bound(parameters: Sequence[Any] | Mapping[str, Any]) -> Parameters:
    """Python values as parameters. Raises SqlError for a value of a type that no parameter can have."""
    if isinstance(parameters, Mapping):
        return {str(name): of_python(value) for name, value in parameters.items()}
    return [value if isinstance(value, Parameter) else of_python(value) for value in parameters]
