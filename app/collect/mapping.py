"""Copies an object of the client into a record of the store."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

R = TypeVar("R")


def record_of(record: type[R], found: object, **own: Any) -> R:
    """A `record` (a dataclass): `own` gives some of its fields, the others are copied from `found` by name.

    Raises AttributeError where `found` lacks a field.
    """
    names = (f.name for f in fields(record) if f.name not in own)  # type: ignore[arg-type]
    return record(**{name: getattr(found, name) for name in names}, **own)
