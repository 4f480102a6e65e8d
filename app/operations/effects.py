"""What a cutover changes for people, in sentences: why a table goes which way, who reads it, what a view cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from app.moments import when
from app.operations.audience import Audience, Reader, Use
from app.operations.definition import Observation
from app.operations.positions import Swap
from app.operations.world import JobState, Relation

LISTED = 8
"""So many readers of a table are named; the rest is counted."""

_NOTICES = {
    "PIPELINE": "a streaming read of it fails, a batch read goes on",
    "JOB": "reads go on; a stream, a write or time travel fails",
    "NOTEBOOK": "reads go on; a stream, a write or time travel fails",
    "DASHBOARD_V3": "goes on",
    "DBSQL_DASHBOARD": "goes on",
    "DBSQL_QUERY": "goes on unless it uses time travel",
}


def notes(all_swaps: Sequence[Swap], observation: Observation, audience: Audience) -> tuple[str, ...]:
    """What people must know of a cutover beside its steps."""
    viewed = [s for s in all_swaps if s.method == "view"]
    found = [*_ways(all_swaps, observation)]
    if viewed:
        found.append(
            f"{_listed(s.served for s in viewed)} become views: on these names streaming reads, time travel, DESCRIBE "
            "HISTORY and writes (MERGE, UPDATE, DELETE, INSERT) stop working; the history stays with "
            f"{_listed(s.kept for s in viewed)}"
        )
        found.append(_compute(viewed))
        found += [_use(u) for u in audience.uses if u.table in {s.served for s in viewed}]
        if audience.unread:
            found.append(f"who uses what a view cannot do is not known: the history of statements: {audience.unread}")
    found += _readers(all_swaps, audience.readers)
    found += [_continuous(j) for _, j in observation.jobs if j.block == "continuous"]
    return tuple(found)


def after_rollback(observation: Observation) -> tuple[str, ...]:
    """What people must do after a rollback that pauses a continuous job."""
    return tuple(
        f"{j.name} runs continuously: the run that is active when it is paused goes on; end it: databricks jobs "
        f"cancel-all-runs --job-id {j.job_id}"
        for side, j in observation.jobs
        if side == "candidate" and j.block == "continuous"
    )


def _ways(all_swaps: Sequence[Swap], observation: Observation) -> list[str]:
    """Why each table goes by a view or by renaming, the tables of one reason together."""
    reasons = [(_why(s, observation.relation(s.candidate)), s) for s in all_swaps]
    reasons.sort(key=lambda r: r[0])
    return [f"{_listed(s.table for _, s in group)}: {reason}" for reason, group in groupby(reasons, key=lambda r: r[0])]


def _why(swap: Swap, candidate: Relation) -> str:
    if swap.method == "rename":
        return "swapped by renaming, as the candidate is an ordinary table"
    if candidate.kind == "pipeline":
        kind = candidate.table_type.lower().replace("_", " ")
        return f"swapped by a view, as a {kind} belongs to its pipeline and cannot be renamed"
    return "swapped by a view, as the candidate is a view"


def _compute(viewed: Sequence[Swap]) -> str:
    """What a reader's compute must be. The views' owner reads the tables below, so no reader needs a right on those."""
    return (
        f"{_listed(s.served for s in viewed)}: readers on SQL warehouses, serverless and standard compute need SELECT"
        " on the view alone. Dedicated compute needs runtime 15.4 or newer in a workspace with serverless compute; on"
        f" 15.3 or older, its user needs SELECT on {_listed(s.candidate for s in viewed)} too, and cannot read a"
        " materialized view, a streaming table or a table with a row filter or column mask"
    )


def _use(use: Use) -> str:
    who = use.user or "someone"
    return f"{use.table}: {who} used {use.what} on it, last at {when(use.at)}: this fails after the cutover"


def _readers(all_swaps: Sequence[Swap], readers: Iterable[Reader]) -> list[str]:
    """One sentence a table. Lineage is never complete."""
    served = {s.served: s for s in all_swaps}
    by_table: dict[str, list[Reader]] = {}
    for reader in sorted(readers, key=lambda r: r.last_seen, reverse=True):
        if reader.table in served:
            by_table.setdefault(reader.table, []).append(reader)
    found = []
    for table, some in sorted(by_table.items()):
        named = "; ".join(_reader(r, served[table].method) for r in some[:LISTED])
        more = f"; and {len(some) - LISTED} more" if len(some) > LISTED else ""
        found.append(f"readers of {table} by lineage, which is never complete: {named}{more}")
    return found


def _reader(reader: Reader, method: str) -> str:
    effect = _NOTICES.get(reader.kind, "reads go on") if method == "view" else "reads go on"
    return f"{reader.kind} {reader.name} (last {when(reader.last_seen)}): {effect}"


def _continuous(job: JobState) -> str:
    return (
        f"{job.name} runs continuously: a pause leaves its active run running, and a gate waits until it is paused and "
        f"has none: databricks jobs cancel-all-runs --job-id {job.job_id}; then compare again"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
