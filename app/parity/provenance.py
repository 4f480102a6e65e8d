"""What the panel knows of a comparison and its report does not hold: which runs wrote the sides, and a warning."""

from __future__ import annotations

from app.moments import when
from app.store.parity_records import ParityRun, Producer
from validation.report import Origin, Provenance


def provenance_of(run: ParityRun, table: str | None = None) -> Provenance:
    """For `as_html` and `ParityReport.to_dict`, so that a report that leaves the panel says it too.

    table: whose report it is, which something else than the side's run may have written last.
    """
    return Provenance(_origin(run.baseline, table), _origin(run.candidate, table), run.warning)


def but_not(producer: Producer | None) -> list[str]:
    """The tables of a side that something else than its run or update wrote last, a clause each."""
    return [f"{o.table}: {o.what} at {when(o.at, seconds=True)}" for o in producer.others] if producer else []


def _origin(producer: Producer | None, table: str | None) -> Origin | None:
    if producer is None:
        return None
    for other in producer.others:
        if other.table == table:
            return Origin(f"{other.what}, not by {producer.kind} {producer.id}", other.at)
    by = f" of run {producer.job_run_id}" if producer.kind == "update" and producer.job_run_id is not None else ""
    state = "" if producer.succeeded else f", {producer.state}"
    return Origin(f"{producer.kind} {producer.id}{by}{state}", producer.ended_at)
