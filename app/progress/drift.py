"""Drift: what differs now from what the last verified operations left, with its probable cause and the way back. Pure.

The expected state is that of the plans of verified operations: what their last step read back (`VerifyOutcome`), the
grants and owners that they left. Only what was collected after the operation is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from app.config.migration import Migration
from app.moments import when
from app.store.base import now as current_time
from app.store.collected.records import ScheduleRecord, TableRecord
from app.store.operations import OperationRecord, State
from databricks_client.redact import HIDDEN

if TYPE_CHECKING:
    from app.store.open import Store

SWAPS = ("cutover", "rollback")
SWITCHES = ("pause", "unpause", "archive")
UNDER_WAY = (State.RUNNING, State.NEEDS_HUMAN)
READ = 20
"""Newest verified operations that are read: a swap, and what paused or unpaused jobs since."""


@dataclass(frozen=True)
class Drift:
    """One difference. key: what it is about, the same while it lasts; side: `baseline` or `candidate`.

    wanted: what `operation` left; found: what was collected at `as_of`. cause: the probable one. restore: how it is set
    right; action: the kind of operation that does so, empty where a person has to.
    """

    key: str
    side: str
    subject: str
    wanted: str
    found: str
    cause: str
    restore: str
    operation: str
    as_of: datetime
    action: str = ""

    @property
    def text(self) -> str:
        """The difference as a sentence without its end."""
        return f"{self.subject} {self.found}, {self.operation} left it {self.wanted}; probably {self.cause}"


@dataclass(frozen=True)
class Switched:
    """A job's schedule as an operation left it."""

    name: str
    paused: bool
    operation: str
    at: datetime


@dataclass(frozen=True)
class Left:
    """What the verified operations left. ended_at: of the newest swap; operation: it in words.

    serving: name to the table that a view of that name serves, None for a table of its own. grants: name to (principal,
    privilege); complete: names on which nobody else was granted anything. owners, kept: names that are tables.
    jobs: job id to its schedule. parameters: job id to those that were set.
    """

    operation: str = ""
    ended_at: datetime | None = None
    serving: Mapping[str, str | None] = field(default_factory=dict)
    grants: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    jobs: Mapping[int, Switched] = field(default_factory=dict)
    parameters: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    @property
    def complete(self) -> frozenset[str]:
        """Views are created without a grant: all that they have is known. A table may have had others."""
        return frozenset(n for n, over in self.serving.items() if over is not None)


def left_by(operations: Iterable[OperationRecord]) -> Left:
    """What these verified operations left: the newest cutover or rollback, and each job's newest pause or unpause.

    Nothing is expected of what no operation touched. Raises ValueError where a stored plan cannot be read.
    """
    found = Left()
    ended = sorted((o for o in operations if o.ended_at is not None), key=lambda o: o.ended_at or o.created_at)
    for o in ended:
        try:
            steps = [p["step"] for p in o.plan["steps"]]
            if o.kind in SWAPS:
                found = _swapped(o, steps)
            elif o.kind in SWITCHES:
                found = replace(found, jobs={**found.jobs, **dict(_switched(o, steps))})
        except (KeyError, TypeError, ValueError) as e:
            raise ValueError(f"the plan of {o.kind} {o.id} cannot be read: {type(e).__name__}: {e}") from e
    return found


def _word(o: OperationRecord) -> str:
    return f"{o.kind} {o.id}"


def _swapped(o: OperationRecord, steps: Sequence[Mapping[str, Any]]) -> Left:
    outcome = next((s for s in reversed(steps) if s["type"] == "VerifyOutcome"), None)
    if outcome is None or o.ended_at is None:
        return Left()
    serving = {str(name): over for name, over in outcome["serving"]}
    grants = {
        str(s["relation"]): frozenset((str(g["principal"]), str(p)) for g in s["grants"] for p in g["privileges"])
        for s in steps
        if s["type"] == "VerifyServing" and s["relation"] in serving
    }
    moved = {str(s["target"]): str(s["source"]) for s in steps if s["type"] == "RenameTable" and s["source"] in serving}
    before = {str(r["name"]): r for r in o.plan["observation"].get("relations", ())}
    owners = {
        kept: str(before[served]["owner"]) for kept, served in moved.items() if before.get(served, {}).get("owner")
    }
    jobs = {
        int(job): Switched(str(name), paused, _word(o), o.ended_at)
        for paused, of in ((True, outcome["paused"]), (False, outcome["unpaused"]))
        for job, name in of
    }
    parameters = {int(job): {str(k): str(v) for k, v in values} for job, _, values in outcome.get("parameters", ())}
    return Left(_word(o), o.ended_at, serving, grants, owners, tuple(moved), jobs, parameters)


def _switched(o: OperationRecord, steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Switched]]:
    for s in steps:
        if s["type"] in ("PauseSchedule", "UnpauseSchedule") and o.ended_at is not None:
            yield int(s["job_id"]), Switched(str(s["job"]), s["type"] == "PauseSchedule", _word(o), o.ended_at)


def drifts(
    left: Left, tables: Mapping[str, TableRecord], schedules: Mapping[str, ScheduleRecord], sides: Mapping[str, str]
) -> tuple[Drift, ...]:
    """What differs. tables: by three-level name; schedules: by side; sides: name of a table to its side."""
    found: list[Drift] = []
    for name in (*left.serving, *left.kept):
        record = tables.get(name)
        if record is None or left.ended_at is None or record.as_of < left.ended_at:
            continue
        about = Drift(name, sides.get(name, "candidate"), name, "", "", "", "", left.operation, record.as_of)
        found += _of_name(about, left, record)
    for side, schedule in schedules.items():
        found += _of_job(side, schedule, left)
    return tuple(found)


def _of_name(about: Drift, left: Left, record: TableRecord) -> Iterator[Drift]:
    name, over = record.name, left.serving.get(record.name)
    is_now = _what(record)
    wanted = f"a view over {over}" if over is not None else "a table"
    by = _altered(record)
    if is_now != wanted:
        restore, action = _way_of_names(left, name)
        yield replace(
            about, key=f"name:{name}", wanted=wanted, found=f"is {is_now}", cause=_cause_of_name(record, over) + by,
            restore=restore, action=action,
        )  # fmt: skip
        return
    owner = left.owners.get(name)
    if owner and record.owner and record.owner != owner:
        yield replace(
            about, key=f"owner:{name}", wanted=f"with the owner {owner}", found=f"has the owner {record.owner}",
            cause="someone gave it another owner" + by, restore=f"its owner runs ALTER TABLE {name} OWNER TO `{owner}`",
        )  # fmt: skip
    if name not in left.grants:
        return
    now, then = frozenset(record.grants), left.grants[name]
    for verb, pairs, way in (
        ("lacks", then - now, "GRANT {1} ON TABLE {2} TO `{0}`"),
        ("has also", now - then if name in left.complete else frozenset(), "REVOKE {1} ON TABLE {2} FROM `{0}`"),
    ):
        if pairs:
            told = ", ".join(f"{privilege} of {principal}" for principal, privilege in sorted(pairs))
            ways = "; ".join(way.format(principal, privilege, name) for principal, privilege in sorted(pairs))
            yield replace(
                about, key=f"grants:{name}:{verb}", wanted="otherwise", found=f"{verb} {told}",
                cause=f"someone {'revoked' if verb == 'lacks' else 'granted'} it", restore=f"its owner runs {ways}",
            )  # fmt: skip


def _what(record: TableRecord) -> str:
    if not record.exists:
        return "absent"
    if record.table_type == "VIEW":
        return f"a view over {record.serves}" if record.serves else "a view over something else"
    return "a table"


def _cause_of_name(record: TableRecord, over: str | None) -> str:
    if not record.exists:
        return "someone dropped or renamed it"
    if record.table_type == "VIEW":
        return "someone altered the view" if over is not None else "someone put a view in the table's place"
    return "someone replaced the view by a table, or a job wrote a table of that name"


def _altered(record: TableRecord) -> str:
    """Who changed its definition last and when, as the catalog says."""
    last = record.hangers.get("altered") or {}
    by, at = last.get("by"), last.get("at")
    return (f", last altered by {by}" if by else "") + (f" at {at}" if by and at else "")


def _way_of_names(left: Left, name: str) -> tuple[str, str]:
    if name in left.kept:
        return "it is what a rollback brings back: restore it (UNDROP TABLE within 7 days), then rehearse", ""
    if left.operation.startswith("cutover"):
        return "a rollback serves the old side again on every name; after it a cutover serves the new side", "rollback"
    return "a rollback serves the old side again on every name", "rollback"


def _of_job(side: str, schedule: ScheduleRecord, left: Left) -> Iterator[Drift]:
    wanted = left.jobs.get(schedule.job_id)
    name = schedule.name
    bundle = " or a bundle deploy set it as its file says" if schedule.definition.get("bundle", True) else ""
    about = Drift("", side, name, "", "", "", "", "", schedule.as_of)
    if wanted is not None and schedule.as_of >= wanted.at:
        word = {True: "paused", False: "not paused"}
        paused = None if schedule.pause_status is None else schedule.pause_status == "PAUSED"
        if paused is not wanted.paused:
            action = "pause" if wanted.paused else "unpause"
            yield replace(
                about, key=f"schedule:{side}", wanted=word[wanted.paused], operation=wanted.operation, action=action,
                found="has no schedule any more" if paused is None else f"is {word[paused]}",
                cause=f"someone changed its schedule{bundle}",
                restore="give it its schedule back" if paused is None else f"the operation {action} of this job",
            )  # fmt: skip
    if left.ended_at is None or schedule.as_of < left.ended_at:
        return
    now: Mapping[str, Any] = schedule.definition.get("parameters", {}) if schedule.definition else {}
    for parameter, value in left.parameters.get(schedule.job_id, {}).items():
        if not schedule.definition or now.get(parameter) in (value, HIDDEN):
            continue
        yield replace(
            about, key=f"parameter:{side}:{parameter}", subject=f"Parameter {parameter} of {name}",
            wanted=f"as {value!r}", found=f"is {now.get(parameter)!r}", operation=left.operation,
            cause=f"someone changed it{bundle}",
            restore=f"set it to {value!r} in the job's settings" + (", and in the bundle" if bundle else ""),
        )  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """Whether there is drift now. unknown: why that is not known; empty where `found` is all there is."""

    found: tuple[Drift, ...] = ()
    unknown: str = ""


def load_drift(store: Store, migration: Migration, now: datetime | None = None) -> Watched:
    """Compares what was collected with what was left, by a few queries. Nothing is expected while an operation changes
    the world. Raises StoreError."""
    kinds = (*SWAPS, *SWITCHES)
    if moving := store.operations.find(kinds=kinds, states=UNDER_WAY, migration=migration.name, limit=1):
        return Watched(unknown=f"{_word(moving[0])} {'runs' if moving[0].state is State.RUNNING else 'needs a person'}")
    verified = store.operations.find(kinds=kinds, states=[State.VERIFIED], migration=migration.name, limit=READ)
    if not verified:
        return Watched()
    try:
        left = left_by(verified)
    except ValueError as e:
        return Watched(unknown=str(e))
    if left.ended_at is not None and (now or current_time()) >= left.ended_at + _keep(migration):
        left = replace(left, kept=())
    sides = {n: side for t in migration.tables for n, side in (
        (t.baseline, "candidate"), (t.candidate, "candidate"), (t.kept, "baseline"))}  # fmt: skip
    return Watched(drifts(left, store.collected.tables(), store.collected.schedules(), sides))


def _keep(migration: Migration) -> timedelta:
    """How long the old tables are kept after a cutover; those that are deleted later are no drift."""
    days = [float(e.params["days"]) for _, e in migration.evidence() if e.kind == "kept_tables_gone"]
    return timedelta(days=min(days, default=30))


def as_json(found: Drift) -> dict[str, Any]:
    """For `cutover status --json`, and what is kept as observed."""
    return {
        "key": found.key, "subject": found.subject, "wanted": found.wanted, "found": found.found, "cause": found.cause,
        "restore": found.restore, "operation": found.operation, "as_of": when(found.as_of, seconds=True),
    }  # fmt: skip
