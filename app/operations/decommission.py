"""The end of the old side: its job is archived, later its tables are dropped. What it rests on, and its gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from app.access import Refused
from app.config.migration import Migration
from app.moments import when
from app.operations import job_access, plan_swap
from app.operations.definition import GateVerdict, Kind, Observation
from app.operations.past import PastCutover
from app.operations.positions import Swap
from app.operations.steps.base import what_it_is
from app.operations.world import Relation, World
from app.progress.evidence import pass_or_fail, unknown
from app.store.operations import OperationRecord
from databricks_client.errors import WorkspaceError
from databricks_client.names import folded_path

SUFFIX = " (archived)"
"""Of an archived job's name."""

ARCHIVE_DAYS, KEEP_DAYS = 7.0, 30.0
"""Days after the cutover from which the old job may be archived and the old tables dropped, by the migration guide.
Where the migration file's checklist has other days, those count."""

READ_DAYS = 7
"""An old table that lineage saw read within so many days is not dropped."""

LISTED = 5
READERS, VIEWS, HIDDEN, CUTOVER, BACKUP = "readers", "views", "hidden views", "cutover", "backup"
"""Keys of an observation's evidence."""
NONE, PROBLEM = "none", "unknown: "


def archived_name(name: str) -> str:
    """The name of a job once it is archived."""
    return name if name.endswith(SUFFIX) else name + SUFFIX


def days(migration: Migration, kind: Kind) -> float:
    """After how many days since the cutover this may be done."""
    of, default = {
        Kind.ARCHIVE: ("days_since_cutover", ARCHIVE_DAYS), Kind.DROP_BACKUP: ("kept_tables_gone", KEEP_DAYS),
    }[kind]  # fmt: skip
    return max((float(e.params["days"]) for _, e in migration.evidence() if e.kind == of), default=default)


def backup_of(table: str, swaps: Iterable[Swap]) -> str:
    """The name under which a cutover kept a table. Raises Refused."""
    found = {s.table: s.kept for s in swaps}
    if table not in found:
        raise Refused(f"table {table!r} is none of {', '.join(found)}")
    return found[table]


def uses(world: World, name: str, moment: datetime, known: Iterable[Relation]) -> tuple[tuple[str, str], ...]:
    """What reads a table, as an observation keeps it. What cannot be read is said so.

    known: relations that were looked at: of those that are views over one table it is known what they read, whoever
    owns them.
    """
    read_already = {folded_path(r.name) for r in known if r.over is not None}
    found = []
    try:
        read = world.readers(name, moment - timedelta(days=READ_DAYS))
        found.append((READERS, _short(read)))
    except WorkspaceError as e:
        found.append((READERS, f"{PROBLEM}{e.cause}"))
    try:
        views = world.views_naming(name)
        hidden = [v for v in views.hidden if folded_path(v) not in read_already]
        found += [(VIEWS, _short(views.naming)), (HIDDEN, _short(hidden))]
    except WorkspaceError as e:
        found.append((VIEWS, f"{PROBLEM}{e.cause}"))
    return tuple(found)


def standing(newest: OperationRecord | None) -> dict[str, str]:
    """The cutover that holds, as an observation keeps it; empty where none does. newest: cutover or rollback that was
    verified last."""
    if newest is None or newest.kind != Kind.CUTOVER or newest.ended_at is None:
        return {}
    return {CUTOVER: f"{newest.id} {newest.ended_at.isoformat()}"}


def of_decommission(kind: Kind, migration: Migration, seen: Observation, past: PastCutover) -> tuple[GateVerdict, ...]:
    """Gates of archiving the old job, of bringing it back, and of dropping an old table."""
    if kind is Kind.UNARCHIVE:
        return (_keeps_access(seen),)
    if kind is Kind.ARCHIVE:
        return (
            _stood(kind, migration, seen),
            _serving(past.swaps_in(migration, seen), seen, past),
            _by_id(migration, seen),
            _idle(seen),
            _keeps_access(seen),
        )
    swap = next(s for s in past.swaps_in(migration, seen) if s.kept == dict(seen.evidence)[BACKUP])
    return (
        _stood(kind, migration, seen),
        _serving((swap,), seen, past),
        _archived(seen),
        _is_old(swap, seen, past),
        _not_served(swap, seen),
        _not_read(swap, seen),
    )


def _gate(key: str, title: str, problems: Iterable[str], fine: str, seen: Observation) -> GateVerdict:
    found = "; ".join(problems)
    return GateVerdict(key, title, pass_or_fail(not found, found or fine, seen.as_of, "workspace"))


def _unknown(key: str, title: str, text: str, seen: Observation) -> GateVerdict:
    return GateVerdict(key, title, unknown(text, "workspace", seen.as_of))


def _stood(kind: Kind, migration: Migration, seen: Observation) -> GateVerdict:
    after = days(migration, kind)
    title = f"The cutover is {after:g} days old"
    text = dict(seen.evidence).get(CUTOVER)
    if text is None:
        return _gate("world.stood", title, ["no cutover holds: nothing of the old side may be ended"], "", seen)
    ended = datetime.fromisoformat(text.split(" ")[1])
    due = ended + timedelta(days=after)
    early = [f"the cutover ended at {when(ended)}: from {when(due)} on"] if seen.as_of < due else []
    return _gate("world.stood", title, early, f"the cutover ended at {when(ended)}", seen)


def _serving(swaps: Sequence[Swap], seen: Observation, past: PastCutover) -> GateVerdict:
    title = "The new side serves"
    problems = [f"{s.served} does not serve it: {what_it_is(seen.relation(s.served))}" for s in swaps if not (
        serves_new(s, seen, past))]  # fmt: skip
    return _gate("world.serving", title, problems, ", ".join(s.served for s in swaps), seen)


def serves_new(swap: Swap, seen: Observation, past: PastCutover) -> bool:
    """Whether the name of a table serves its candidate: by a view over it, or by being it."""
    served = seen.relation(swap.served)
    if swap.method == "view":
        return served.kind == "view" and served.over == swap.candidate
    new_id = None if past.before is None else past.before.relation(swap.candidate).table_id
    return served.kind == "table" and new_id is not None and served.table_id == new_id


def _by_id(migration: Migration, seen: Observation) -> GateVerdict:
    job = seen.job("baseline")
    problems = [f"its name changes: set CUTOVER_BASELINE_JOB_ID={job.job_id}, or baseline_job.id in the migration file"]
    found = migration.baseline_job.id is not None
    fine = f"baseline_job.id is {job.job_id}"
    return _gate("world.job_id", "The old job is named by its id", [] if found else problems, fine, seen)


def _idle(seen: Observation) -> GateVerdict:
    problems = [f"{a} is active: wait until it has ended" for a in seen.active]
    return _gate("world.idle", "The old job is not running", problems, "it has no active run", seen)


def _keeps_access(seen: Observation) -> GateVerdict:
    job = seen.job("baseline")
    access = seen.model.job_access(job.job_id)
    problem = (
        f"{access.me} may manage job {job.job_id} by a group alone: give CAN_MANAGE on it to {access.me} itself, or the"
        " job cannot be brought back"
    )
    fine = f"{access.me} may manage it whatever others may"
    ok = job_access.may_manage(access)
    return _gate("world.job_access", "The executing principal keeps the old job", [] if ok else [problem], fine, seen)


def _archived(seen: Observation) -> GateVerdict:
    title, job = "The old job is archived", seen.find_job("baseline")
    if job is None:
        return _gate("world.archived", title, [], "there is no such job any more", seen)
    problems = []
    if not job.name.endswith(SUFFIX):
        problems.append(f"{job.name} is not archived: archive it first")
    if job.paused is False:
        problems.append(f"{job.name} is not paused")
    return _gate("world.archived", title, problems, f"it is {job.name}, and nothing starts it", seen)


def _is_old(swap: Swap, seen: Observation, past: PastCutover) -> GateVerdict:
    title, kept = "It is the old table", seen.relation(swap.kept)
    old = plan_swap.old_id(swap, past.before)
    if kept.kind == "absent":  # A plan is made only where it exists: this operation has dropped it.
        return _gate("world.backup", title, [], f"{swap.kept} is gone", seen)
    if old is None:
        return _unknown("world.backup", title, f"which id {swap.served} had before the cutover is not known", seen)
    wrong = kept.kind != "table" or kept.table_id != old
    problems = [f"{swap.kept} is not the table that {swap.served} was: {what_it_is(kept)}, with another id"]
    return _gate("world.backup", title, problems if wrong else [], f"{swap.kept} has the id that it had before", seen)


def _not_served(swap: Swap, seen: Observation) -> GateVerdict:
    title, evidence = "Nothing serves it", dict(seen.evidence)
    over = [f"{r.name} is a view over it" for r in seen.relations if r.over == swap.kept]
    views = evidence.get(VIEWS, PROBLEM)
    if not over and views.startswith(PROBLEM):
        return _unknown("world.served", title, f"views over it are {views}", seen)
    named = [] if views == NONE else [f"views whose definition names it: {views}"]
    if not over and not named and (hidden := evidence.get(HIDDEN, NONE)) != NONE:
        text = (
            f"the definitions of these views are shown to their owners alone: {hidden}; have their owners look, and"
            " drop it by hand"
        )
        return _unknown("world.served", title, text, seen)
    return _gate("world.served", title, [*over, *named], "no name and no view that is shown reads it", seen)


def _not_read(swap: Swap, seen: Observation) -> GateVerdict:
    title, found = f"Nothing has read it for {READ_DAYS} days", dict(seen.evidence).get(READERS, PROBLEM)
    if found.startswith(PROBLEM):
        return _unknown("world.read", title, f"lineage is {found}", seen)
    problems = [] if found == NONE else [f"lineage shows readers of {swap.kept}: {found}"]
    return _gate("world.read", title, problems, "lineage, which is never complete, shows no reader", seen)


def _short(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(sorted(names)[:LISTED]) + more if names else NONE
