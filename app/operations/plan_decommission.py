"""Archiving the old job, bringing it back, dropping an old table: from what was observed to steps. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.access import Refused
from app.operations import job_access, plan_swap
from app.operations.decommission import BACKUP, SUFFIX, archived_name
from app.operations.definition import Observation
from app.operations.draft import Draft, Staged, number
from app.operations.past import PastCutover
from app.operations.plan_swap import ROLLBACK_IDLE_SECONDS
from app.operations.positions import Swap
from app.operations.steps import (
    AwaitIdle,
    DropBackup,
    LimitAccess,
    PauseSchedule,
    RenameJob,
    RestoreAccess,
    SaveState,
    VerifyOutcome,
)
from app.operations.world import AccessEntry


def archive(seen: Observation) -> Draft:
    """The old job is kept: paused, under another name, and nobody but its owner and this principal may start it."""
    job = seen.job("baseline")
    access = seen.model.job_access(job.job_id)
    name, limited = archived_name(job.name), job_access.limited(access)
    if job.name == name and job.paused is not False and limited == access.entries:
        raise Refused(f"{job.name} is archived already")
    scheduled = ((job.job_id, name),) if job.paused is not None else ()
    steps: list[Staged] = [
        ("save", "", SaveState((), (job.name,))),
        *(("pause", "", PauseSchedule(job.job_id, job.name)) for _ in scheduled),
        ("idle", "", AwaitIdle(((job.job_id, job.name),), (), ROLLBACK_IDLE_SECONDS)),
        ("rename", "", RenameJob(job.job_id, job.name.removesuffix(SUFFIX), name)),
        ("permissions", "", LimitAccess(job.job_id, name, access.entries)),
        ("outcome", "", VerifyOutcome((), paused=scheduled, unpaused=())),
    ]
    changed = sorted(set(access.entries) - set(limited))
    return Draft(
        number(steps),
        inverse=number(_back(job.job_id, name, access.entries)),
        notes=(
            f"the job is kept, with its runs; it stays paused. Reduced to CAN_VIEW: {job_access.told(changed)}",
            f"unchanged: {job_access.told(e for e in access.entries if e in limited)}; and what is inherited,"
            " such as of administrators",
            "a bundle that deploys the job sets its name, schedule and permissions again: take it out of the bundle",
            "its inverse is `cutover unarchive`; a rollback works too until an old table is dropped",
        ),
    )


def unarchive(seen: Observation, entries: Iterable[AccessEntry]) -> Draft:
    """The old job has its name and permissions again; it stays paused. entries: what archives took from it."""
    job = seen.job("baseline")
    access, wanted = seen.model.job_access(job.job_id), job_access.highest(entries)
    if not job.name.endswith(SUFFIX) and job_access.given_back(access, wanted) == access.entries:
        raise Refused(f"{job.name} is not archived")
    name = job.name.removesuffix(SUFFIX)
    notes: tuple[str, ...] = ("it stays paused: unpausing it is an operation of its own",)
    if not wanted:
        notes += ("which permissions it had is not recorded here: none is given back",)
    return Draft(
        number(_back(job.job_id, job.name, wanted)),
        inverse=number(
            [
                ("rename", "", RenameJob(job.job_id, name, archived_name(name))),
                ("permissions", "", LimitAccess(job.job_id, archived_name(name), wanted)),
            ]
        ),
        notes=notes,
    )


def _back(job_id: int, name: str, entries: Sequence[AccessEntry]) -> list[Staged]:
    given: list[Staged] = [("permissions", "", RestoreAccess(job_id, name, tuple(entries)))] if entries else []
    return [*given, ("rename", "", RenameJob(job_id, archived_name(name), name.removesuffix(SUFFIX)))]


def drop_backup(swaps: Sequence[Swap], seen: Observation, past: PastCutover) -> Draft:
    """One old table is dropped. Raises Refused where there is none."""
    backup = dict(seen.evidence)[BACKUP]
    swap = next(s for s in swaps if s.kept == backup)
    if seen.relation(backup).kind == "absent":
        raise Refused(f"{backup} does not exist: there is nothing to drop")
    over = swap.candidate if swap.method == "view" else None
    old = plan_swap.old_id(swap, past.before) or "unknown"
    steps: list[Staged] = [
        ("drop", swap.table, DropBackup(backup, old, swap.served, over)),
        ("outcome", "", VerifyOutcome(((swap.served, over),), paused=(), unpaused=())),
    ]
    return Draft(
        number(steps),
        notes=(
            "this has no inverse: within 7 days its owner brings a managed table back by UNDROP TABLE, after that "
            "nothing does; the files of an external table stay",
            f"once {backup} is gone, the cutover cannot be rolled back any more",
        ),
    )


def archived_note(seen: Observation) -> tuple[str, ...]:
    """What people must know of a rollback after the old job was archived."""
    job = seen.find_job("baseline")
    if job is None or not job.name.endswith(SUFFIX):
        return ()
    return (
        f"the old job is archived: it runs again as {job.name}, and few may manage it; `cutover unarchive` gives its"
        " name and permissions back",
    )
