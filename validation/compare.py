"""The comparison, top to bottom: schema, state, fingerprint, details, state again, verdict."""

from __future__ import annotations

from collections.abc import Callable

from validation.report import Estimate, ParityReport, Progress, Recheck
from validation.spec import ComparisonSpec
from validation.warehouse import Warehouse, never

UpdateOf = Callable[[str], str | None]
"""Table name to the id of the pipeline update that last refreshed it (None: not a pipeline's table, or unknown)."""


def quiet(progress: Progress) -> None:
    """The progress callback of a caller who does not watch."""


def compare(
    warehouse: Warehouse,
    spec: ComparisonSpec,
    *,
    progress: Callable[[Progress], None] = quiet,
    cancelled: Callable[[], bool] = never,
    requested_by: str = "",
    update_of: UpdateOf | None = None,
) -> ParityReport:
    """Compare the two tables of `spec`, row for row.

    Never raises for what a side or the warehouse does: a missing table, a refused or failed statement, a side that
    changed and a cancelled run give a NOT_PROVEN report with the reason. Raises SpecError for wrong use (a key that
    neither side has). Nothing is written or cached on the warehouse.
    """
    raise NotImplementedError


def estimate(warehouse: Warehouse, spec: ComparisonSpec) -> Estimate:
    """What a comparison would read, from metadata alone (no scan). Raises SideUnreadable or StatementError."""
    raise NotImplementedError


def recheck(warehouse: Warehouse, report: ParityReport, *, update_of: UpdateOf | None = None) -> Recheck:
    """Whether `report` still describes the tables: same states of both sides, or else the same fingerprints."""
    raise NotImplementedError
