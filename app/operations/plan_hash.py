"""The hash of a plan, computed from its stored JSON: what was approved is what is stored, whatever reads it later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.operations.steps import Step, dump
from app.store.audit import canonical

PLAN_FORMAT = 2
"""Of plans made now. 1: the hash covers kind, arguments, steps, inverse, the pinned part of the observation and the
migration file. 2: the hash covers every field but those of `NOT_HASHED`."""

NOT_HASHED = frozenset({"operation_id", "gates", "notes"})
"""Gates are judged again before the start, notes change nothing, and equal plans have equal hashes whatever their
operation. The audit record of the plan covers them too, by `digest_of`."""


def as_json(value: Any) -> Any:
    """A plan, or a part of one, as JSON-ready values. Raises TypeError, UnknownStep."""
    if isinstance(value, Step):
        return dump(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a plan")


def hash_of(plan: Mapping[str, Any]) -> str:
    """The hash of a plan's JSON. Raises KeyError, TypeError or ValueError for what is no plan."""
    if plan.get("format", 1) != 1:
        return _sha256({k: v for k, v in plan.items() if k not in NOT_HASHED})
    return _sha256(
        {
            "kind": plan["kind"],
            "args": plan["args"],
            "steps": plan["steps"],
            "inverse": plan["inverse"],
            "observation": _sha256(_pinned(plan["observation"])),
            "migration": plan["digest"],
        }
    )


def digest_of(plan: Mapping[str, Any]) -> str:
    """SHA-256 over a plan's whole JSON, for the audit record of the plan."""
    return _sha256(plan)


def _pinned(observation: Mapping[str, Any]) -> dict[str, Any]:
    """As `Observation.pinned` of the version that wrote it."""
    return {
        "relations": {r["name"]: r for r in observation["relations"]},
        "jobs": dict(observation["jobs"]),
        "pipelines": {p["name"]: p for p in observation["pipelines"]},
        "evidence": dict(observation["evidence"]),
    }


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()
