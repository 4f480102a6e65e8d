"""The text of each step: what it does in words, and exactly what it will send. A step it does not know raises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preview:
    """One step as people read it.

    text: one sentence. sends: the exact SQL statements and REST calls, empty if it only looks.
    probe: how it is known to be done already. inverse: what undoes it.
    """

    number: int
    stage: str
    lane: str
    text: str
    sends: tuple[str, ...]
    probe: str
    inverse: str
