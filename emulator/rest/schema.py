"""Checks request fields against the SDK's signatures and dataclasses: what the SDK cannot send is refused."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin

from emulator.rest.errors import ServiceError, bad


@cache
def fields_of(call: Callable[..., Any]) -> dict[str, Any]:
    """Field name to type of an SDK method's parameters, e.g. of `JobsAPI.create`."""
    module = inspect.getmodule(call)
    names = dict(vars(module)) if module else {}
    signature = inspect.signature(call)
    hints: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if name in ("self", "timeout"):
            continue
        annotation = parameter.annotation
        hints[name.rstrip("_")] = eval(annotation, names) if isinstance(annotation, str) else annotation  # noqa: S307
    return hints


@cache
def fields_of_dataclass(cls: type) -> dict[str, Any]:
    """Field name to type of a dataclass."""
    return typing.get_type_hints(cls)


def check_fields(body: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> None:
    """Raises INVALID_PARAMETER_VALUE for an unknown field or enum value, MALFORMED_REQUEST for a wrong type."""
    for name, value in body.items():
        path = f"{where}.{name}" if where else name
        if name not in known:
            raise bad(f"Unknown field '{path}' in the request")
        check_value(value, known[name], path)


def check_value(value: Any, kind: Any, path: str) -> None:
    """One value against one annotation, recursively; None is an unset field, and no element of a list or map."""
    if value is None or kind is Any:
        return
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        choices = [a for a in get_args(kind) if a is not type(None)]
        if len(choices) == 1:
            check_value(value, choices[0], path)
        return
    if origin is list:
        _expect(isinstance(value, list), path, "an array")
        for i, item in enumerate(value):
            check_element(item, get_args(kind)[0], f"{path}[{i}]")
    elif origin is dict:
        _expect(isinstance(value, dict), path, "an object")
        for key, item in value.items():
            check_element(item, get_args(kind)[1], f"{path}.{key}")
    elif inspect.isclass(kind) and issubclass(kind, Enum):
        if value not in [e.value for e in kind]:
            raise bad(f"Invalid value '{value}' for {path}: expected one of {', '.join(str(e.value) for e in kind)}")
    elif inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), path, "an object")
        check_fields(value, fields_of_dataclass(kind), path)
        for field in dataclasses.fields(kind):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and value.get(field.name) is None:
                raise bad(f"Missing required field: {path}.{field.name}")
    elif kind is bool:
        _expect(isinstance(value, bool), path, "a boolean")
    elif kind is int:
        _expect(int64(value) is not None, path, INTEGER)
    elif kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _expect(number and math.isfinite(value), path, "a number")
    elif kind is str:
        _expect(isinstance(value, str), path, "a string")


def check_element(value: Any, kind: Any, path: str) -> None:
    """One element of a list or map against its annotation."""
    _expect(value is not None or kind is Any, path, "a value, not null")
    check_value(value, kind, path)


def check_text(text: str, kind: Any, path: str) -> None:
    """A parameter of the query against its annotation; an empty one counts as not given."""
    choices = [a for a in get_args(kind) if a is not type(None)]
    if get_origin(kind) in (Union, types.UnionType) and len(choices) == 1:
        kind = choices[0]
    if not text:
        return
    if kind is bool:
        _expect(text.lower() in ("true", "false"), path, "a boolean")
    elif kind is int or (inspect.isclass(kind) and issubclass(kind, Enum)):
        check_value(text, kind, path)


INTEGER = "an integer of at most 64 bits"


def int64(value: Any) -> int | None:
    """A whole number that the service and its records can hold, also written as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    fits = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return value if fits else None


def _expect(holds: bool, path: str, kind: str) -> None:
    if not holds:
        raise ServiceError("MALFORMED_REQUEST", f"Could not parse request object: {path} must be {kind}")
