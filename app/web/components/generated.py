"""The switch "Generated history", the same on every page: off by default, its state in the page's address.

A local workspace invents history from before its first start, so that charts have weeks to draw. It measures nothing:
no figure, verdict or gate uses it, and wherever records are counted the two kinds are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import streamlit as st

from app.web.components.text import count

KEY = "generated"
"""Key of the switch, and its query parameter: `?generated=true` shows generated history."""


class Record(Protocol):
    """A collected record that may be generated."""

    @property
    def generated(self) -> bool: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Counts:
    """Number of measured and of generated records."""

    measured: int
    generated: int

    def of(self, unit: str, plural: str | None = None) -> str:
        """`3 runs measured, 56 generated`; without generated ones only `3 runs measured`."""
        rest = f", {self.generated:,} generated" if self.generated else ""
        return f"{count(self.measured, unit, plural)} measured{rest}"


def counts(records: Iterable[Record]) -> Counts:
    """Counts both kinds apart."""
    kinds = [r.generated for r in records]
    return Counts(len(kinds) - sum(kinds), sum(kinds))


def switch() -> None:
    """Draws the switch, once on a page."""
    st.toggle(
        "Generated history",
        value=False,
        key=KEY,
        bind="query-params",
        help="Invented records from before the first start of a local workspace. They measure nothing: "
        "no verdict, gate or figure uses them.",
    )


def shown() -> bool:
    """Whether the reader wants to see generated history."""
    return bool(st.session_state.get(KEY, False))


def visible(records: Iterable[R]) -> list[R]:
    """The records to show, in the given order."""
    every = shown()
    return [r for r in records if every or not r.generated]


def hidden(found: Counts, unit: str, plural: str | None = None) -> str | None:
    """What the switch hides, as `56 generated runs are hidden.`; None where it hides nothing."""
    if shown() or not found.generated:
        return None
    verb = "is" if found.generated == 1 else "are"
    return f"{count(found.generated, f'generated {unit}', plural and f'generated {plural}')} {verb} hidden."
