"""Parameters of a statement as the protocol sends them, as SQL literals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.sql.errors import SqlError
from emulator.sql.literals import Parameter, Parameters, typed


def parameters_of(sent: Sequence[Any]) -> Parameters:
    """TSparkParameters as literals; named ones as a mapping, positional ones in order."""
    named: dict[str, Parameter] = {}
    listed: list[Parameter] = []
    for parameter in sent:
        value = _parameter(parameter.type or "STRING", _plain(parameter.value), parameter.arguments)
        if parameter.name:
            named[parameter.name] = value
        else:
            listed.append(value)
    if named and listed:
        raise SqlError("INVALID_PARAMETER_VALUE", "Named and positional parameters cannot be mixed.")
    return named or listed


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if value.stringValue is not None:
        return str(value.stringValue)
    if value.doubleValue is not None:
        return repr(value.doubleValue)
    return None if value.booleanValue is None else str(value.booleanValue).lower()


def _parameter(kind: str, value: str | None, arguments: Sequence[Any] | None) -> Parameter:
    base = kind.upper()
    if base in ("ARRAY", "MAP"):
        inner = [_parameter(a.type or "STRING", a.value, a.arguments) for a in arguments or []]
        text = ", ".join(item.text for item in inner)
        return Parameter(f"{base.lower()}({text})", [item.value for item in inner])
    return typed(value, kind)
