"""Plans as JSON and back, exactly: what was approved is what is executed, in any process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from app.operations.definition import Observation, Plan
from app.operations.plan_hash import as_json, hash_of
from app.operations.steps import Step, load


class CodecError(Exception):
    """What was read is not a plan of this version."""


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON-ready values."""
    result: dict[str, Any] = as_json(plan)
    return result


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan that `plan_to_json` wrote, with the hash of what was written. Raises CodecError, UnknownStep."""
    try:
        found: Plan = _read(Plan, data)
        # Of the stored text: a field that this version adds to a step must not change the hash of an older plan.
        found.__dict__["hash"] = hash_of(data)
    except (KeyError, TypeError, ValueError) as e:
        raise CodecError(f"the stored plan cannot be read: {type(e).__name__}: {e}") from e
    return found


def observation_from_json(data: Mapping[str, Any]) -> tuple[Observation, dict[str, str]]:
    """What a kept plan had seen, and its methods, even if its steps are not known any more. Raises CodecError."""
    try:
        found: Observation = _read(Observation, data["observation"])
        return found, dict(data["method"])
    except (KeyError, TypeError, ValueError) as e:
        raise CodecError(f"the stored plan cannot be read: {type(e).__name__}: {e}") from e


Reader = Callable[[Any], Any]


def _read(wanted: Any, value: Any) -> Any:
    return _reader(wanted)(value)


@cache
def _reader(wanted: Any) -> Reader:
    """What makes a value of this type of what JSON has of it. Made once a type: a plan has thousands of values."""
    origin, args = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        inner = _reader(next(a for a in args if a is not NoneType))
        return (lambda value: None if value is None else inner(value)) if NoneType in args else inner
    if origin is tuple:
        return _tuple_reader(args)
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        member = _reader(args[1])
        return lambda value: {k: member(v) for k, v in value.items()}
    if isinstance(wanted, type):
        if issubclass(wanted, Step):
            return load
        if issubclass(wanted, datetime):
            return datetime.fromisoformat
        if issubclass(wanted, StrEnum):
            return wanted
        if is_dataclass(wanted):
            return _dataclass_reader(wanted)
    return lambda value: value


def _tuple_reader(args: tuple[Any, ...]) -> Reader:
    readers = [_reader(a) for a in args if a is not Ellipsis]
    if args[-1] is Ellipsis:
        return lambda value: tuple(map(readers[0], value))
    return lambda value: tuple(read(v) for read, v in zip(readers, value, strict=True))


def _dataclass_reader(wanted: type) -> Reader:
    hints = get_type_hints(wanted)
    readers = [(f.name, _reader(hints[f.name])) for f in fields(wanted)]
    return lambda value: wanted(**{name: read(value[name]) for name, read in readers if name in value})
