"""Checks request fields against the SDK's own signatures and dataclasses: what the SDK cannot send, the service
refuses."""

from __future__ import annotations

import dataclasses
import inspect
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
    """Field name to type of an SDK dataclass."""
    return typing.get_type_hints(cls)


def check_fields(body: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> None:
    """Raises INVALID_PARAMETER_VALUE for an unknown field or enum value, MALFORMED_REQUEST for a wrong type."""
    for name, value in body.items():
        path = f"{where}.{name}" if where else name
        if name not in known:
            raise bad(f"Unknown field '{path}' in the request")
        check_value(value, known[name], path)


def check_value(value: Any, kind: Any, path: str) -> None:
    """One value against one annotation, recursively; None is always allowed (an unset field)."""
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
            check_value(item, get_args(kind)[0], f"{path}[{i}]")
    elif origin is dict:
        _expect(isinstance(value, dict), path, "an object")
        for key, item in value.items():
            check_value(item, get_args(kind)[1], f"{path}.{key}")
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
        _expect(not isinstance(value, bool) and _is_int(value), path, "an integer")
    elif kind is str:
        _expect(isinstance(value, str), path, "a string")


def _is_int(value: Any) -> bool:
    if isinstance(value, int):
        return True
    return isinstance(value, str) and value.lstrip("-").isdigit()


def _expect(holds: bool, path: str, kind: str) -> None:
    if not holds:
        raise ServiceError("MALFORMED_REQUEST", f"Could not parse request object: {path} must be {kind}")
