"""Plans as JSON and back, exactly: what was approved is what is executed, in any process."""

from __future__ import annotations

from collections.abc import Mapping
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


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _read(wanted: Any, value: Any) -> Any:
    origin, args = get_origin(wanted), get_args(wanted)
    if wanted is Any or origin is Literal:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return None
        return _read(next(a for a in args if a is not NoneType), value)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_read(args[0], v) for v in value)
        return tuple(_read(a, v) for a, v in zip(args, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {k: _read(args[1], v) for k, v in value.items()}
    if isinstance(wanted, type):
        if issubclass(wanted, Step):
            return load(value)
        if issubclass(wanted, datetime):
            return datetime.fromisoformat(value)
        if issubclass(wanted, StrEnum):
            return wanted(value)
        if is_dataclass(wanted):
            hints = _hints(wanted)
            return wanted(**{f.name: _read(hints[f.name], value[f.name]) for f in fields(wanted) if f.name in value})
    return value
