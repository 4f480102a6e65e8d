"""What planning gives: steps in their places, and what people must know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.operations.steps import (
    PlannedStep,
    Step,
)

Staged = tuple[str, str, Step]
"""Stage, lane and step."""


class NoWayBack(Exception):
    """From here no statement of ours leads back; the text says what was found. A person has to look."""


@dataclass(frozen=True)
class Draft:
    """Steps with what would undo them, how each table is swapped, and what people must know."""

    steps: tuple[PlannedStep, ...]
    inverse: tuple[PlannedStep, ...] = ()
    method: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()


def number(steps: Iterable[Staged]) -> tuple[PlannedStep, ...]:
    """Gives each step its place."""
    return tuple(PlannedStep(i, stage, lane, step) for i, (stage, lane, step) in enumerate(steps, 1))
