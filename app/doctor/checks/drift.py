"""What was changed since the last operation, and statements that a dead process left on the warehouse."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.checks.store import current
from app.doctor.model import Finding, missing, ok, unknown
from app.doctor.setup import Setup
from app.left_behind import left_behind
from app.progress.drift import load_drift
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError


def find(setup: Setup) -> Iterator[Finding]:
    """Drift as the store has it; nothing is expected before the first operation."""
    if not current(setup):
        yield ok("drift", "the store has no operation yet")
        return
    store = setup.store()
    found = load_drift(store, setup.migration)
    if found.unknown:
        yield unknown("drift", found.unknown, "cutover status", required=False)
    for d in found.found:
        yield missing(d.subject, d.text, d.restore)
    if not found.found and not found.unknown:
        yield ok("drift", "everything is as the last verified operation left it")
    try:
        left = left_behind(setup.workspace, store)
    except (WorkspaceError, EndpointError) as e:
        yield unknown("statements left behind", str(e), required=False)
        return
    for statement, owner in left:
        fix = f"databricks api post /api/2.0/sql/statements/{statement}/cancel"
        yield missing(
            "statement left behind", f"{statement} of {owner}, which is dead, still runs", fix, required=False
        )
    if not left:
        yield ok("statements left behind", "none")
