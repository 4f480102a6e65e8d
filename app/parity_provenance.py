"""What the panel knows of a comparison and its report does not tell: which runs wrote the sides, and a warning."""

from __future__ import annotations

from app.store.parity import ParityRun
from app.store.parity import Producer as Stored
from validation.report import Producer, Provenance


def provenance_of(run: ParityRun) -> Provenance:
    """For `as_html` and `ParityReport.to_dict`, so that a report that leaves the panel says it too."""
    return Provenance(_producer(run.baseline), _producer(run.candidate), run.warning)


def _producer(stored: Stored | None) -> Producer | None:
    if stored is None:
        return None
    by = f" of run {stored.job_run_id}" if stored.kind == "update" and stored.job_run_id is not None else ""
    state = "" if stored.succeeded else f", {stored.state}"
    return Producer(f"{stored.kind} {stored.id}{by}{state}", stored.ended_at)
