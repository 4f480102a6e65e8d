"""Draws run time and cost of both sides for several commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.cli.output import rows
from app.performance.assessment import Assessment

if TYPE_CHECKING:
    from app.cli.terminal import Terminal


def performance_table(found: Assessment) -> Callable[[Terminal], None]:
    """Draws each judged measure with its verdict and figures."""
    relaxed = f"; relaxed: {', '.join(found.settings.relaxed)}" if found.settings.relaxed else ""
    title = f"Run time and cost, pairs of the last {found.settings.window_days} days{relaxed}"
    lines = [(m.title, m.verdict.value.upper(), m.sentence()) for m in found.measures]
    return rows(title, ["measure", "new side", "evidence"], lines)
