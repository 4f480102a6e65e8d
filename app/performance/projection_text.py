"""The cost of the parallel period and of a month in sentences, for the command line and reports."""

from __future__ import annotations

from app.moments import when
from app.performance.money import Amount
from app.performance.projection import Projection
from app.performance.statistic import Estimate

SIDES = {"baseline": "old", "candidate": "new"}


def sentences(found: Projection) -> list[tuple[str, str]]:
    """(what, how much) of the parallel period so far, of a month of each side, and of what the new side saves."""
    return [
        ("Parallel period so far", _parallel(found)),
        ("A month of the old side", _month(found.baseline, found)),
        ("A month of the new side", _month(found.candidate, found)),
        ("The new side saves a month", _month(found.saving, found)),
    ]


def _parallel(found: Projection) -> str:
    if found.since is None or found.until is None:
        return "none: no run of the new side ran beside one of the old side"
    sides = ", ".join(f"{SIDES[side]} {_dollars(found.spent[side])}" for side in SIDES if side in found.spent)
    total = _dollars(sum((found.spent[side] for side in SIDES if side in found.spent), Amount()))
    open_end = f"; usage after {when(found.settled_until)} may still be billed" if found.settled_until else ""
    return f"{total} ({sides or 'nothing billed'}), {when(found.since)} to {when(found.until)}{open_end}"


def _month(found: Estimate | None, projection: Projection) -> str:
    if found is None:
        return f"unknown: {len(projection.days)} of {projection.needed} settled days that it needs"
    interval = f"${found.low:,.2f} to ${found.high:,.2f} at {found.coverage:.0%} confidence"
    return f"${found.value:,.2f} ({interval}, {len(projection.days)} settled days)"


def _dollars(amount: Amount) -> str:
    if amount.records == amount.unpriced:
        return "unknown"
    known = f"${amount.nano_usd / 1e9:,.2f}"
    return f"{known} and {amount.unpriced} records without a price" if amount.unpriced else known
