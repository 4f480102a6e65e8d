"""The section `performance` of a migration file: how run time and cost of both sides are judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.config.base import Frozen

Share = Annotated[float, Field(gt=0, lt=1, strict=True)]


class Performance(Frozen):
    """What a verdict about run time or cost needs. The defaults are the strictest that a production file should use.

    margin: how far a ratio of new to old may be from 1 and still count as equal, as a fraction. minimum_pairs: of old
    and new deliveries, below which there is no verdict. window_days: pairs older than that do not count. confidence: of
    the interval of the median ratio. minimum_days: settled days that a monthly projection needs.
    """

    margin: Share = 0.05
    minimum_pairs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 12
    window_days: Annotated[int, Field(ge=1, le=92, strict=True)] = 28
    confidence: Annotated[float, Field(ge=0.5, lt=1, strict=True)] = 0.95
    minimum_days: Annotated[int, Field(ge=2, le=92, strict=True)] = 7

    @property
    def relaxed(self) -> tuple[str, ...]:
        """What is less strict for a verdict than the defaults, each as a short text: `1 pair instead of 12`."""
        usual = USUAL
        pairs = "pair" if self.minimum_pairs == 1 else "pairs"
        told = {
            f"{self.minimum_pairs} {pairs} instead of {usual.minimum_pairs}": self.minimum_pairs < usual.minimum_pairs,
            f"margin {self.margin:.0%} instead of {usual.margin:.0%}": self.margin > usual.margin,
            f"confidence {self.confidence:.0%} instead of {usual.confidence:.0%}": self.confidence < usual.confidence,
        }
        return tuple(text for text, holds in told.items() if holds)

    @property
    def relaxed_projection(self) -> str:
        """What is less strict for a projection than the default: `2 days instead of 7`; empty where nothing is."""
        least = USUAL.minimum_days
        return f"{self.minimum_days} days instead of {least}" if self.minimum_days < least else ""


USUAL = Performance()
"""What a migration file without the section has."""
