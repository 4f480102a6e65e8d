"""What the panel knows of a comparison and its report does not hold: which runs wrote the sides, and a warning."""

from __future__ import annotations

from app.moments import when
from app.store.parity_records import ParityRun
from app.store.parity_records import Producer as Stored
from validation.report import Producer, Provenance


def provenance_of(run: ParityRun, table: str | None = None) -> Provenance:
    """For `as_html` and `ParityReport.to_dict`, so that a report that leaves the panel says it too.

    table: whose report it is, which something else than the side's run may have written last.
    """
    return Provenance(_producer(run.baseline, table), _producer(run.candidate, table), run.warning)


def but_not(stored: Stored | None) -> list[str]:
    """The tables of a side that something else than its run or update wrote last, a clause each."""
    return [f"{o.table}: {o.what} at {when(o.at, seconds=True)}" for o in stored.others] if stored else []


def _producer(stored: Stored | None, table: str | None) -> Producer | None:
    if stored is None:
        return None
    for other in stored.others:
        if other.table == table:
            return Producer(f"{other.what}, not by {stored.kind} {stored.id}", other.at)
    by = f" of run {stored.job_run_id}" if stored.kind == "update" and stored.job_run_id is not None else ""
    state = "" if stored.succeeded else f", {stored.state}"
    return Producer(f"{stored.kind} {stored.id}{by}{state}", stored.ended_at)
