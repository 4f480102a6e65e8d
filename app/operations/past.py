"""What the store knows of the newest cutover: which names it moved, and how everything was before.

The rollback is planned from this and not from the migration file, which may have changed since: a table that was
removed from it or a candidate of another name is still what consumers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.config.migration import Migration, Table, spare_name
from app.operations import plan_swap
from app.operations.codec import CodecError, observation_from_json
from app.operations.definition import Kind, Observation
from app.operations.positions import Place, Swap
from app.store.operations import JournalEntry, OperationRecord, OperationsRepository, Phase, State

_STARTED = (State.RUNNING, State.NEEDS_HUMAN, State.VERIFIED, State.UNDONE)
MOST = 20
"""Operations that are read at most to find the newest."""


@dataclass(frozen=True)
class JobName:
    """How a job is found: by its id, where that is known."""

    side: str
    name: str
    job_id: int | None


@dataclass(frozen=True)
class PastCutover:
    """before: what a cutover saw before its first write. methods: table to how it was swapped (`view`, `rename`).
    swaps: the names that it moved. parameters: what the new job's parameters are set back to.

    Of a migration that never had one, all are empty; unknown then says why there is no memory.
    """

    before: Observation | None = None
    methods: dict[str, str] = field(default_factory=dict)
    swaps: tuple[Swap, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    unknown: str = plan_swap.NOT_STORED

    def names(self, migration: Migration) -> tuple[str, ...]:
        """Every relation that the way back looks at."""
        if not self.swaps:
            return plan_swap.names(migration)
        return tuple(n for s in self.swaps for n in (s.served, s.kept, s.candidate, s.spare))

    def swaps_in(self, migration: Migration, seen: Observation) -> tuple[Swap, ...]:
        """The swaps to take back: those of the cutover, or without memory those that the migration file names."""
        return self.swaps or plan_swap.swaps(migration, seen, self.methods)

    def every_name(self, migration: Migration) -> tuple[str, ...]:
        """The names of the cutover and those of the migration file."""
        return tuple(dict.fromkeys((*self.names(migration), *plan_swap.names(migration))))

    def every_swap(self, migration: Migration, seen: Observation) -> tuple[Swap, ...]:
        """The swaps of the cutover, and those of the migration file's tables that it did not move."""
        moved = {s.served for s in self.swaps}
        added = [s for s in plan_swap.swaps(migration, seen, self.methods) if s.served not in moved]
        taken = {s.table for s in self.swaps}
        return (*self.swaps, *(replace(s, table=s.served) if s.table in taken else s for s in added))

    def places(self, all_swaps: Iterable[Swap], seen: Observation) -> dict[str, Place]:
        """Where each table is, proven by the ids of the cutover's tables."""
        moved = {s.served for s in self.swaps} if self.swaps else None
        found: dict[str, Place] = {}
        for s in all_swaps:
            known = moved is None or s.served in moved
            found |= plan_swap.places([s], seen, self.before if known else None, self.unknown)
        return found

    def jobs(self, migration: Migration) -> tuple[tuple[JobName, JobName], ...]:
        """Both jobs, each as the cutover saw it, and as the migration file names it now should that one be gone."""
        found: list[tuple[JobName, JobName]] = []
        for side, ref in (("baseline", migration.baseline_job), ("candidate", migration.candidate_job)):
            now = JobName(side, ref.name, ref.id)
            was = self.before.find_job(side) if self.before is not None else None
            found.append((now if was is None else JobName(side, was.name, was.job_id), now))
        return tuple(found)

    def back_parameters(self, migration: Migration) -> tuple[tuple[str, str], ...]:
        """Name and value of what the new job's parameters are set back to."""
        return self.parameters if self.before is not None else plan_swap.parallel_parameters(migration)

    def unrestored(self, migration: Migration, seen: Observation, *, pause_new: bool) -> tuple[str, ...]:
        """A sentence for each schedule that the way back cannot set as it has to be."""
        found: list[str] = []
        for job, _ in self.jobs(migration):
            now = seen.find_job(job.side)
            if now is None:
                found.append(f"{job.name} cannot be read: its schedule and its parameters stay unchanged")
                continue
            was = self.before.find_job(job.side) if self.before is not None else None
            wanted_on = was is not None and was.paused is False and not (pause_new and job.side == "candidate")
            if wanted_on and now.paused is None:
                found.append(f"{now.name} no longer has a schedule: it cannot be unpaused")
        return tuple(found)

    def kept_is(self, table: Table, served_id: str | None, kept_id: str | None) -> Literal["old", "backup", "unknown"]:
        """What the kept name holds, by the ids of the tables that have the served and the kept name now.

        `old`: a cutover renamed both tables. `backup`: the old table has its own name, and the kept name holds a copy.
        """
        moved = next((s for s in self.swaps if s.served == table.baseline), None)
        candidate = moved.candidate if moved is not None else table.candidate
        return self.kept_holds(table.name, table.baseline, candidate, served_id, kept_id)

    def kept_holds(
        self, table: str, served: str, candidate: str, served_id: str | None, kept_id: str | None
    ) -> Literal["old", "backup", "unknown"]:
        """As `kept_is`, of a table that the migration file may not have any more."""
        ids = {} if self.before is None else {r.name: r.table_id for r in self.before.relations}
        old, new = ids.get(served), ids.get(candidate)
        if not old or not served_id or not kept_id:
            return "unknown"
        if served_id == old:
            return "backup"
        return "old" if (kept_id, served_id) == (old, new) and self.methods.get(table) == "rename" else "unknown"


def last_cutover(operations: OperationsRepository, migration: Migration) -> PastCutover:
    """The newest cutover of the migration (or of any of its tables) that was started. Raises StoreError.

    One whose plan cannot be read leaves no memory: `unknown` then says so, with what its journal holds.
    """
    for record in concerning(operations, migration, [Kind.CUTOVER], _STARTED):
        try:
            return of_record(record)
        except CodecError as e:
            return PastCutover(unknown=unreadable(record, e, operations.journal(record.id)))
    return PastCutover()


def concerning(
    operations: OperationsRepository, migration: Migration, kinds: Iterable[Kind], states: Iterable[State]
) -> list[OperationRecord]:
    """Cutovers and rollbacks of a migration, and those of another one that moved any of its tables; the one that
    started last comes first."""
    kinds, states = list(kinds), list(states)
    found = operations.find(kinds=kinds, states=states, migration=migration.name, limit=MOST)
    others = [o for o in operations.find(kinds=kinds, states=states, limit=MOST) if o.migration != migration.name]
    served = {t.baseline for t in migration.tables}
    found += [o for o in others if served & _served(o)]
    return sorted(found, key=lambda o: o.started_at or o.created_at, reverse=True)


def _served(record: OperationRecord) -> set[str]:
    """The names that an operation looked at; none where its plan cannot be read."""
    try:
        before, _ = observation_from_json(record.plan)
    except CodecError:
        return set()
    return {r.name for r in before.relations}


def of_record(record: OperationRecord) -> PastCutover:
    """What one stored cutover saw and moved, from its plan's JSON. Raises CodecError."""
    before, methods = observation_from_json(record.plan)
    try:
        steps = [(str(p["lane"]), dict(p["step"])) for p in record.plan["steps"]]
        swaps = tuple(s for lane, step in steps if (s := _swap(lane, step)) is not None)
        if {s.table: s.method for s in swaps} != methods or not swaps:
            raise ValueError("its steps do not say which names it moves")
        named = {name for _, step in steps if step.get("type") == "SetParameters" for name, _ in step["values"]}
    except (KeyError, TypeError, ValueError) as e:
        raise CodecError(f"the stored plan cannot be read: {type(e).__name__}: {e}") from e
    job = before.find_job("candidate")
    parameters = tuple((n, v) for n, v in job.parameters if n in named) if job is not None else ()
    return PastCutover(before, methods, swaps, parameters)


def unreadable(record: OperationRecord, problem: Exception, entries: Iterable[JournalEntry]) -> str:
    """What is known of an operation whose stored plan cannot be read: what its journal says was done last, by table."""
    last: dict[str, str] = {}
    for e in entries:
        if e.phase in (Phase.INTENT, Phase.DONE, Phase.FAILED):
            ending = {Phase.INTENT: "outcome unknown", Phase.DONE: "done", Phase.FAILED: "failed"}[e.phase]
            last[e.lane] = f"{e.text} ({ending})"
    endings = "; ".join(f"{lane or 'jobs'}: {text}" for lane, text in last.items()) or "nothing was started"
    cause = str(problem).removeprefix("the stored plan cannot be read: ")
    return f"the stored plan of {record.kind} {record.id} cannot be read ({cause}); its journal says last: {endings}"


def _swap(lane: str, step: Mapping[str, Any]) -> Swap | None:
    """What a step of the forward way moves, where it is the one that makes a name serve the candidate."""
    if step.get("type") == "FlipView":
        return Swap(lane, step["view"], step["source"], step["target"], "view", spare_name(step["view"]))
    if step.get("type") == "RenameTable" and step.get("successor"):
        return Swap(lane, step["source"], step["target"], step["successor"], "rename", spare_name(step["source"]))
    return None
