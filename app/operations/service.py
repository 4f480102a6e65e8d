"""What pages, command line and worker ask of operations: plan, submit, approve, cancel, apply, resume, roll back."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from app.config import Migration, Role
from app.operations import approvals, confirm, gates
from app.operations import plan as planning
from app.operations.actor import Actor, Refused, RolesOf
from app.operations.codec import CodecError, plan_from_json, plan_to_json
from app.operations.definition import GateVerdict, Kind, Observation, Plan
from app.operations.engine import LEASE, LEASE_SECONDS, Engine, Hold, Stopped, Timing
from app.operations.gates import Judge
from app.operations.observe import look_back, observe, relations, starts_old_job
from app.operations.past import PastCutover, last_cutover
from app.operations.perform import Performer, StepFailed, differences
from app.operations.preview import Preview, preview
from app.operations.steps import UnknownStep
from app.operations.world import World
from app.store.audit import AuditRepository
from app.store.base import now
from app.store.leases import LeaseLost, LeaseRepository, process_owner
from app.store.operations import (
    ApprovalRecord,
    JournalEntry,
    OperationRecord,
    OperationsRepository,
    Phase,
    State,
)
from app.workspace.errors import WorkspaceError

PLAN_VALID_FOR = {Kind.CUTOVER: timedelta(hours=24), Kind.REHEARSE: timedelta(hours=24)}
LIGHT_PLAN_VALID_FOR = timedelta(hours=1)
CONVERGING = frozenset({Kind.CUTOVER, Kind.ROLLBACK})
ASKED_FOR = frozenset(State) - {State.PLANNED}


class OperationsStore(Protocol):
    """The repositories that operations write to; `app.store.open.Store` has them."""

    @property
    def operations(self) -> OperationsRepository: ...
    @property
    def audit(self) -> AuditRepository: ...
    @property
    def leases(self) -> LeaseRepository: ...


@dataclass(frozen=True)
class OperationView:
    """One operation with all that a page shows of it.

    interrupted: it was begun and nobody holds the lease: `resume` or roll back.
    previews: the text of each step, in the order of `plan.steps`.
    """

    record: OperationRecord
    plan: Plan
    previews: tuple[Preview, ...]
    journal: tuple[JournalEntry, ...]
    approvals: tuple[ApprovalRecord, ...]
    interrupted: bool


@dataclass(frozen=True)
class Patience:
    """Seconds. lease: how long a dead process keeps others out. wait: how long an emergency waits for that lease."""

    lease: float = LEASE_SECONDS
    wait: float = 30.0
    timing: Timing = field(default_factory=Timing)
    parallel: int = 6
    beat: bool = True


class OperationsService:
    """Everything that changes the workspace goes through here; everything asked for or refused is audited.

    roles_of: looks up a user's roles now. judges: reads the evidence once and gives a judge of gates.
    evidence: names of the evidence that a cutover rests on (e.g. table to parity run), pinned in its plan.
    ended: whether this process is to end: an operation is then left between two steps, and Interrupted raised.
    """

    def __init__(
        self,
        store: OperationsStore,
        world: World,
        migration: Migration,
        *,
        roles_of: RolesOf,
        judges: Callable[[], Judge],
        evidence: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
        patience: Patience | None = None,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._world = world
        self._migration = migration
        self._roles_of = roles_of
        self._judges = judges
        self._evidence = evidence
        self._clock = clock
        self._sleep = sleep
        self._patience = patience or Patience()
        self._ended = ended

    # Asking

    def plan(self, kind: Kind, args: Mapping[str, Any], actor: Actor) -> Plan:
        """Looks at the world and makes a plan, kept in the store as PLANNED. Writes nothing to the workspace.

        args: start-update: pipeline, full_refresh, full_refresh_selection, refresh_selection, validate_only;
        run-now, pause, unpause: job (a side of `Migration.jobs`); cutover, rollback: none; rehearse: rows (None: all).
        Raises Refused where the actor may not or the world allows no such plan; WorkspaceError where it cannot be seen.
        """
        with self._audited(actor, "plan", str(kind)):
            approvals.require(actor.user_name, Role.OPERATOR, self._roles_of, f"planning {kind}")
            self._check_args(kind, args)
            made = self._plan(kind, dict(args), actor.user_name)
            self._store.operations.add(self._record(made, actor))
            self._audit(actor, "plan", "allowed", made.operation_id, made.hash, detail=_evidence_of(made))
            return made

    def submit(self, plan: Plan | str, actor: Actor, confirmation: str) -> str:
        """Asks for a plan (or its operation id) with the typed confirmation; returns the operation's id.

        Any number of submits of one plan make one operation. Raises Refused.
        """
        operation_id = plan if isinstance(plan, str) else plan.operation_id
        with self._audited(actor, "submit", operation_id):
            record, known = self._get(operation_id)
            if not isinstance(plan, str) and plan.hash != record.plan_hash:
                raise Refused("this is not the plan that was kept under its id: plan again")
            approvals.require(actor.user_name, Role.OPERATOR, self._roles_of, f"asking for {known.kind}")
            if not approvals.same_person(actor.user_name, record.requested_by):
                raise Refused(f"{record.requested_by} made this plan: make your own")
            if record.state is State.PLANNED:
                self._check_validity(record, known)
                if known.blocking:
                    raise Refused(_blocked(known.blocking))
            confirm.check(known.confirmation, confirmation)
            if record.state is not State.PLANNED:
                return operation_id  # Pressed twice.
            after = State.SUBMITTED if known.needs_approval else State.READY
            self._audit(actor, "submit", "allowed", operation_id, known.hash)
            self._store.operations.move(operation_id, [State.PLANNED], after, submitted_at=self._clock())
            return operation_id

    def approve(self, operation: str, actor: Actor, comment: str = "") -> str:
        """Approves an operation by its id or its plan's hash (at least 12 digits); returns its id. Raises Refused."""
        with self._audited(actor, "approve", operation):
            record, known = self._find(operation)
            if record.state is not State.SUBMITTED:
                raise Refused(f"operation {record.id} is {record.state}: it waits for no approval")
            self._check_validity(record, known)
            approvals.check_approver(actor.user_name, record.requested_by, self._roles_of)
            moment = self._clock()
            approval = ApprovalRecord(
                0, record.id, known.hash, actor.user_name, actor.source, actor.local, comment, moment,
                min(moment + approvals.VALID_FOR, record.expires_at),
            )  # fmt: skip
            number = self._store.operations.approve(approval)
            self._audit(
                actor,
                "approve",
                "allowed",
                record.id,
                known.hash,
                comment,
                {"approval": number, "until": approval.expires_at},
            )
            self._store.operations.move(record.id, [State.SUBMITTED], State.READY)
            return record.id

    def cancel(self, operation_id: str, actor: Actor, comment: str = "") -> None:
        """Withdraws an operation that was not begun, or asks a running one to stop and undo. Raises Refused."""
        with self._audited(actor, "cancel", operation_id):
            record, known = self._get(operation_id)
            approvals.require(actor.user_name, Role.OPERATOR, self._roles_of, "cancelling")
            begun_not = [State.PLANNED, State.SUBMITTED, State.READY]
            if known.kind in CONVERGING and self.interrupted(record):
                raise Refused(f"nobody carries out operation {operation_id} now: resume it, or roll back")
            values = {"ended_at": self._clock(), "reason": f"cancelled by {actor.user_name}: {comment or 'no comment'}"}
            if self._store.operations.move(operation_id, begun_not, State.CANCELLED, **values):
                self._audit(actor, "cancel", "allowed", operation_id, known.hash, comment)
            elif self.interrupted(record):
                self._store.operations.move(operation_id, [State.RUNNING], State.FAILED, **values)
                self._audit(actor, "cancel", "allowed", operation_id, known.hash, comment)
            elif known.kind is not Kind.ROLLBACK and self._store.operations.request_stop(operation_id):
                self._audit(actor, "stop", "allowed", operation_id, known.hash, comment)
            else:
                raise Refused(f"operation {operation_id} is {record.state} and cannot be cancelled")

    # Carrying out

    def apply(self, operation_id: str, executor: Actor | str) -> OperationRecord:
        """Carries out a READY operation, to its end. executor: who does it: a person, or the worker's name.

        Raises Refused where it may not begin: nothing was written then.
        """
        actor = executor if isinstance(executor, Actor) else Actor(executor, frozenset(), "worker")
        record, known = self._get(operation_id)
        with self._audited(actor, "apply", operation_id, known.hash):
            if isinstance(executor, Actor):
                approvals.require(actor.user_name, Role.OPERATOR, self._roles_of, "applying")
            if record.state is State.SUBMITTED:
                raise Refused(
                    f"operation {operation_id} waits for an approval by someone other than {record.requested_by}"
                )
            if record.state is not State.READY:
                raise Refused(f"operation {operation_id} is {record.state}: only one that is ready can be applied")
            with self._lease(wait=known.kind is Kind.ROLLBACK) as hold:
                return self._begin(record, known, hold, actor)

    def resume(self, operation_id: str, actor: Actor) -> OperationRecord:
        """Goes on with an interrupted operation from where the world is. Raises Refused.

        A cutover that failed, was asked to stop or was being undone goes back, never forward again. One by which no
        table serves the new side yet is checked again as at its beginning.
        """
        record, known = self._get(operation_id)
        with self._audited(actor, "resume", operation_id, known.hash):
            approvals.require(actor.user_name, Role.OPERATOR, self._roles_of, "resuming")
            if record.state not in (State.RUNNING, State.NEEDS_HUMAN):
                raise Refused(f"operation {operation_id} is {record.state}: there is nothing to resume")
            if known.kind is Kind.REHEARSE:
                raise Refused("a rehearsal is not resumed: cancel it and plan a new one, which clears what is left")
            with self._lease(wait=True) as hold:
                fresh, _ = self._get(operation_id)
                if fresh.state not in (State.RUNNING, State.NEEDS_HUMAN):
                    raise Refused(f"operation {operation_id} is {fresh.state}: there is nothing to resume")
                undoing = known.kind is Kind.CUTOVER and self._goes_back(fresh)
                if known.kind is Kind.CUTOVER and not undoing and self._all_serve_old(known):
                    try:
                        self._check_before(record, known, resumed=True)
                    except (Refused, WorkspaceError) as e:
                        raise Refused(f"not resumed, no table serves the new side yet: {e}; roll it back") from e
                self._store.operations.move(
                    operation_id, [State.RUNNING, State.NEEDS_HUMAN], State.RUNNING,
                    executor=actor.user_name, stop_requested=undoing and fresh.stop_requested, ended_at=None, reason="",
                )  # fmt: skip
                self._audit(
                    actor, "resume", "allowed", operation_id, known.hash, detail=self._journal_digest(operation_id)
                )
                if undoing:
                    why = (
                        "it was asked to stop" if fresh.stop_requested else "it had failed, or its undo was interrupted"
                    )
                    return self._undo(record, known, hold, actor, why)
                if known.kind is Kind.ROLLBACK:
                    return self._roll_back_again(record, known, hold, actor)
                return self._carry_out(record, known, hold, actor)

    def rollback(self, actor: Actor, confirmation: str) -> OperationRecord:
        """Plans, submits and carries out a rollback in this process: the emergency path. Raises Refused."""
        return self.apply_here(self.plan(Kind.ROLLBACK, {}, actor), actor, confirmation)

    def apply_here(self, made: Plan, actor: Actor, confirmation: str) -> OperationRecord:
        """Submits a plan that needs no approval and carries it out in this process, never the worker: the lease is held
        before the operation becomes ready. Raises Refused: nothing was written then.
        """
        with self._audited(actor, "apply", made.operation_id, made.hash):
            if made.needs_approval:
                raise Refused(f"{made.kind} needs an approval: submit it")
            confirm.check(made.confirmation, confirmation)
            with self._lease(wait=made.kind is Kind.ROLLBACK) as hold:
                self.submit(made, actor, confirmation)
                record, known = self._get(made.operation_id)
                return self._begin(record, known, hold, actor)

    # Looking

    def operation(self, operation_id: str) -> OperationView:
        """One operation with its plan, previews and journal. Raises Refused if there is none of that id."""
        record, known = self._get(operation_id)
        return OperationView(
            record,
            known,
            preview(known),
            tuple(self._store.operations.journal(operation_id)),
            tuple(self._store.operations.approvals(operation_id)),
            self.interrupted(record),
        )

    def interrupted(self, record: OperationRecord) -> bool:
        """Whether an operation was begun and nobody carries it out now."""
        return record.state is State.RUNNING and self._store.leases.holder(LEASE) is None

    def operations(self, limit: int = 50) -> Sequence[OperationRecord]:
        """Operations that were asked for, newest first."""
        return self._store.operations.find(states=ASKED_FOR, limit=limit)

    def ready(self) -> Sequence[OperationRecord]:
        """Operations that wait to be carried out, oldest first (for the worker). Those whose plan expired are ended."""
        moment = self._clock()
        waiting = (State.PLANNED, State.SUBMITTED, State.READY)
        for record in self._store.operations.find(states=waiting, limit=1000):
            if record.expires_at <= moment:
                reason = "its plan expired before it was begun"
                if self._store.operations.move(record.id, waiting, State.EXPIRED, ended_at=moment, reason=reason):
                    self._audit(
                        Actor("worker", frozenset(), "worker"), "expire", "failed", record.id, record.plan_hash, reason
                    )
        return self._store.operations.ready()

    def serving(self) -> Mapping[str, str]:
        """Which side serves each table, by fresh reads: table to `baseline`, `candidate` or what is wrong."""
        past = last_cutover(self._store.operations, self._migration)
        seen = Observation(self._clock(), tuple(relations(self._world, planning.names(self._migration))))
        all_swaps = planning.swaps(self._migration, seen, past.methods)
        found = planning.places(all_swaps, seen, past.before)
        return {t: p.serves if p.serves in ("baseline", "candidate") else p.text for t, p in found.items()}

    def gates(self) -> Sequence[GateVerdict]:
        """The migration file's gates as they are judged now. Never raises: what cannot be judged is INCONCLUSIVE."""
        return self._migration_gates()

    # Planning

    def _plan(self, kind: Kind, args: dict[str, Any], requested_by: str) -> Plan:
        operation_id = f"op-{uuid.uuid4().hex[:12]}"
        moment = self._clock()
        seen = self._observe(kind, args)
        past = last_cutover(self._store.operations, self._migration)
        draft = self._draft(kind, args, seen, requested_by, operation_id, past)
        found = self._gates(kind, seen)
        return Plan(
            operation_id=operation_id,
            kind=kind,
            args=args,
            requested_by=requested_by,
            created_at=moment,
            expires_at=moment + PLAN_VALID_FOR.get(kind, LIGHT_PLAN_VALID_FOR),
            migration=self._migration.name,
            digest=self._migration.digest,
            observation=seen,
            method={t: "rename" if m == "rename" else "view" for t, m in (draft.method or {}).items()},
            steps=draft.steps,
            inverse=draft.inverse,
            gates=found,
            notes=draft.notes,
            confirmation=confirm.text(kind, args, self._migration, seen),
            needs_approval=kind is Kind.CUTOVER,
        )

    def _draft(
        self,
        kind: Kind,
        args: Mapping[str, Any],
        seen: Observation,
        requested_by: str,
        operation_id: str,
        past: PastCutover,
    ) -> planning.Draft:
        match kind:
            case Kind.CUTOVER:
                return planning.cutover(self._migration, seen)
            case Kind.ROLLBACK:
                return planning.rollback(self._migration, seen, past.before, past.methods)
            case Kind.REHEARSE:
                rows = args.get("rows", planning.SCRATCH_ROWS)
                return planning.rehearse(self._migration, seen, requested_by, rows)
            case _:
                return planning.light(kind, args, seen, operation_id)

    def _observe(self, kind: Kind, args: Mapping[str, Any], but: str | None = None, counts: bool = True) -> Observation:
        evidence = self._evidence() if kind is Kind.CUTOVER else {}
        unfinished = self._unfinished(kind, args, but)
        return observe(self._world, self._migration, kind, args, self._clock(), evidence, unfinished, counts=counts)

    def _unfinished(self, kind: Kind, args: Mapping[str, Any], but: str | None) -> list[str]:
        """Cutovers and rollbacks begun and not at an end. One that needs a person blocks its like and the old job."""
        blocked = kind in CONVERGING or starts_old_job(kind, args)
        states = [State.RUNNING, State.NEEDS_HUMAN] if blocked else [State.RUNNING]
        found = self._store.operations.find(kinds=CONVERGING, states=states, limit=20)
        return [f"{o.kind} {o.id}" for o in found if o.id != but]

    def _gates(self, kind: Kind, seen: Observation) -> tuple[GateVerdict, ...]:
        past = last_cutover(self._store.operations, self._migration)
        of_world = gates.of_world(kind, self._migration, seen, past)
        return (*self._migration_gates(), *of_world) if kind is Kind.CUTOVER else of_world

    def _migration_gates(self) -> tuple[GateVerdict, ...]:
        try:
            judge = self._judges()
        except Exception as e:  # noqa: BLE001 (each gate then says why it cannot be judged, and blocks)
            problem = e

            def judge(_: object) -> Any:
                raise problem

        return gates.of_migration(self._migration, judge, self._clock())

    def _check_args(self, kind: Kind, args: Mapping[str, Any]) -> None:
        wanted = {
            Kind.START_UPDATE: {
                "pipeline",
                "full_refresh",
                "full_refresh_selection",
                "refresh_selection",
                "validate_only",
            },
            Kind.REHEARSE: {"rows"},
            Kind.CUTOVER: set[str](),
            Kind.ROLLBACK: set[str](),
        }.get(kind, {"job"})
        unknown = sorted(set(args) - wanted)
        if unknown:
            raise Refused(f"{kind} takes no {unknown[0]!r}")
        if kind is Kind.START_UPDATE and args.get("pipeline") not in {p.name for p in self._migration.pipelines}:
            raise Refused(
                f"pipeline {args.get('pipeline')!r} is none of {', '.join(p.name for p in self._migration.pipelines)}"
            )
        if "job" in wanted and args.get("job") not in self._migration.jobs:
            raise Refused(f"job {args.get('job')!r} is none of {', '.join(self._migration.jobs)}")
        rows = args.get("rows", 1)
        if kind is Kind.REHEARSE and rows is not None and (not isinstance(rows, int) or rows < 1):
            raise Refused("rows must be at least 1, or none for all")

    # Before the first write

    def _check_before(self, record: OperationRecord, known: Plan, resumed: bool = False) -> None:
        """Everything that must still hold at the moment of acting. Raises Refused, WorkspaceError; writes nothing."""
        self._check_validity(record, known)
        approvals.require(
            record.requested_by, Role.OPERATOR, self._roles_of, f"{known.kind} asked for by {record.requested_by}"
        )
        if known.needs_approval:
            found = self._store.operations.approvals(record.id)
            approvals.valid(found, known.hash, record.requested_by, self._clock(), self._roles_of)
        seen = self._observe(known.kind, known.args, but=record.id, counts=False)
        if resumed:
            seen = planning.unmoved(planning.swaps(self._migration, seen, known.method), seen, known.observation)
        was, is_now = known.observation.pinned(schedules=not resumed), seen.pinned(schedules=not resumed)
        if was != is_now:
            raise Refused(
                f"the world changed since the plan was made: {'; '.join(differences(was, is_now)[:6])}; plan again"
            )
        blocking = [g for g in self._gates(known.kind, seen) if g.blocks]
        if blocking:
            raise Refused(_blocked(blocking))

    def _check_validity(self, record: OperationRecord, known: Plan) -> None:
        if known.hash != record.plan_hash:
            raise Refused("the stored plan is not the one that was made: its hash differs")
        if known.digest != self._migration.digest:
            raise Refused("the migration file changed since the plan was made: plan again")
        if record.expires_at <= self._clock():
            raise Refused(f"the plan expired at {record.expires_at:%Y-%m-%d %H:%M} UTC: plan again")

    def _all_serve_old(self, known: Plan) -> bool:
        """Whether no table serves the new side yet, by fresh reads."""
        seen = Observation(self._clock(), tuple(relations(self._world, planning.names(self._migration))))
        all_swaps = planning.swaps(self._migration, seen, known.method)
        return all(p.serves != "candidate" for p in planning.places(all_swaps, seen, known.observation).values())

    def _goes_back(self, record: OperationRecord) -> bool:
        """Whether a cutover that was interrupted was on its way back, or had failed or been stopped before that."""
        if record.stop_requested or record.state is State.NEEDS_HUMAN:
            return True
        open_failures: set[int] = set()
        for entry in self._store.operations.journal(record.id):
            if entry.direction == "back":
                return True
            if entry.phase is Phase.FAILED:
                open_failures.add(entry.number)
            elif entry.phase in (Phase.DONE, Phase.ALREADY):
                open_failures.discard(entry.number)
        return bool(open_failures)

    # Doing

    def _begin(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Carries out what is READY, if all still holds. Raises Refused: nothing was written then."""
        if (current := self._store.operations.get(record.id)) is None or current.state is not State.READY:
            raise Refused(f"operation {record.id} was begun by another process")
        try:
            self._check_before(record, known)
        except (Refused, WorkspaceError) as e:
            refused = {"reason": str(e), "ended_at": self._clock(), "executor": actor.user_name}
            self._store.operations.move(record.id, [State.READY], State.REFUSED, **refused)
            raise Refused(f"refused, nothing was written: {e}") from e
        started = {"started_at": self._clock(), "executor": actor.user_name}
        if not self._store.operations.move(record.id, [State.READY], State.RUNNING, **started):
            raise Refused(f"operation {record.id} was begun by another process")
        self._audit(actor, "begin", "allowed", record.id, known.hash, detail=_evidence_of(known))
        return self._carry_out(record, known, hold, actor)

    def _carry_out(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        try:
            self._engine(known, hold, "forward", may_stop=known.kind is not Kind.ROLLBACK).run(known.steps)
        except (StepFailed, Stopped, WorkspaceError, UnknownStep) as e:
            if known.kind is Kind.CUTOVER:
                return self._undo(record, known, hold, actor, str(e))
            if known.kind is Kind.ROLLBACK:
                if _denied(e):
                    return self._roll_back_again(record, known, hold, actor)
                return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where(str(e)))
            return self._end(record, known, hold, actor, State.FAILED, str(e))
        if known.kind is Kind.ROLLBACK:
            self._close_cutovers(record.id, actor)
        return self._end(record, known, hold, actor, State.VERIFIED, "")

    def _roll_back_again(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Goes on with an interrupted rollback: its steps are planned anew from where the world is."""
        past = last_cutover(self._store.operations, self._migration)
        try:
            self._walk_back(known, hold, past.before, pause_new=True, since=known.observation)
        except (StepFailed, WorkspaceError, planning.NoWayBack) as e:
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where(str(e)))
        self._close_cutovers(record.id, actor)
        return self._end(record, known, hold, actor, State.VERIFIED, "")

    def _undo(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor, why: str) -> OperationRecord:
        """Brings a cutover that failed back to where it began. That it is to go back is journaled before anything else:
        whoever goes on with it must not go forward."""
        self._store.operations.write(
            hold.lease, record.id, direction="back", number=0, stage="undo", lane="", step="Undo", phase=Phase.NOTE,
            text=f"everything is to be as before: {why}",
        )  # fmt: skip
        try:
            seen = self._walk_back(known, hold, known.observation, pause_new=False)
        except (StepFailed, WorkspaceError, planning.NoWayBack) as e:
            return self._end(
                record, known, hold, actor, State.NEEDS_HUMAN, self._where(f"{why}; and undoing it failed: {e}")
            )
        unseen = planning.unseen_jobs(self._migration, seen)
        but = f", but {'; '.join(unseen)}" if unseen else ""
        return self._end(record, known, hold, actor, State.UNDONE, f"{why}; everything is as before{but}")

    def _walk_back(
        self,
        known: Plan,
        hold: Hold,
        before: Observation | None,
        *,
        pause_new: bool,
        since: Observation | None = None,
    ) -> Observation:
        """Plans the way back from where the world is, and walks it; gives what was seen.

        Where a view is not one's own, it cannot be pointed at the old table: then the old table takes its name.
        """
        parameters = planning.parallel_parameters(self._migration)
        for owned in (True, False):
            seen = look_back(self._world, self._migration, self._clock())
            all_swaps = planning.swaps(self._migration, seen, known.method)
            steps = planning.back(
                all_swaps, seen, before, pause_new=pause_new, parameters=parameters, since=since, owned=owned
            )
            try:
                self._engine(known, hold, "back", may_stop=False, seen=seen).run(planning.number(steps))
            except StepFailed as e:
                if owned and _denied(e):
                    continue
                raise
            return seen
        raise AssertionError("unreachable")

    def _engine(
        self, known: Plan, hold: Hold, direction: str, *, may_stop: bool, seen: Observation | None = None
    ) -> Engine:
        performer = Performer(
            self._world, seen or known.observation, lambda: engine.may_go_on(), self._clock, self._sleep
        )
        engine = Engine(
            performer,
            self._store.operations,
            hold,
            known.operation_id,
            direction,
            clock=self._clock,
            sleep=self._sleep,
            timing=self._patience.timing,
            parallel=self._patience.parallel,
            may_stop=may_stop,
            ended=self._ended,
        )
        return engine

    def _where(self, why: str) -> str:
        """The reason with what each name serves now, for the person who has to look."""
        try:
            found = "; ".join(f"{t}: {s}" for t, s in self.serving().items())
        except WorkspaceError as e:
            found = f"what the tables are cannot be seen: {e}"
        return f"NEEDS HUMAN: {why}. Now: {found}. Resume, or roll back, once the cause is removed."

    def _end(
        self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor, state: State, reason: str
    ) -> OperationRecord:
        """Says what became of an operation. Raises LeaseLost: then it is for whoever holds the lease now to say."""
        hold.check()
        values = {"ended_at": self._clock(), "reason": reason}
        detail = {"state": str(state), **self._journal_digest(record.id)}
        outcome = "done" if state is State.VERIFIED else "failed"
        # In the audit log first: an end that is in no log could never be mended, one that is there twice can be read.
        self._audit(actor, "end", outcome, record.id, known.hash, reason, detail)
        self._store.operations.move(record.id, [State.RUNNING], state, **values)
        return self._get(record.id)[0]

    def _close_cutovers(self, rollback_id: str, actor: Actor) -> None:
        """Cutovers that stopped midway are ended by the rollback that put everything back."""
        midway = [State.RUNNING, State.NEEDS_HUMAN]
        for other in self._store.operations.find(kinds=CONVERGING, states=midway):
            if other.id == rollback_id:
                continue
            reason = f"rolled back by {rollback_id}; {other.reason}".rstrip("; ")
            self._audit(actor, "end", "failed", other.id, other.plan_hash, reason, {"state": "undone"})
            self._store.operations.move(other.id, midway, State.UNDONE, ended_at=self._clock(), reason=reason)

    # Store

    @contextmanager
    def _lease(self, wait: bool) -> Iterator[Hold]:
        """The one lease of all operations. An emergency waits for a dead process's lease to run out; others do not."""
        owner = process_owner()
        waited = 0.0
        while (lease := self._store.leases.acquire(LEASE, owner, self._patience.lease)) is None:
            if not wait or waited >= self._patience.wait:
                holder = self._store.leases.holder(LEASE)
                who = f"{holder.owner} until {holder.expires_at:%H:%M:%S} UTC at least" if holder else "another process"
                raise Refused(f"another operation is being carried out by {who}: wait until it has ended, or cancel it")
            self._sleep(0.5)
            waited += 0.5
        with Hold(self._store.leases, lease, self._patience.lease, self._patience.beat) as hold:
            yield hold

    def _get(self, operation_id: str) -> tuple[OperationRecord, Plan]:
        record = self._store.operations.get(operation_id)
        if record is None:
            raise Refused(f"there is no operation {operation_id}")
        try:
            return record, plan_from_json(record.plan)
        except (CodecError, UnknownStep) as e:
            raise Refused(f"operation {operation_id}: {e}; plan again") from e

    def _find(self, operation: str) -> tuple[OperationRecord, Plan]:
        if self._store.operations.get(operation) is None and len(operation) >= 12:
            found = [o for o in self._store.operations.find(plan_hash=operation) if o.state is not State.PLANNED]
            if len(found) == 1 or (found and found[0].state is State.SUBMITTED and found[0].plan_hash == operation):
                return self._get(found[0].id)
            if found:
                raise Refused(f"{len(found)} operations have a plan of hash {operation}: name the operation")
        return self._get(operation)

    def _record(self, made: Plan, actor: Actor) -> OperationRecord:
        return OperationRecord(
            id=made.operation_id,
            kind=str(made.kind),
            migration=made.migration,
            plan_hash=made.hash,
            plan=plan_to_json(made),
            requested_by=actor.user_name,
            source=actor.source,
            local=actor.local,
            needs_approval=made.needs_approval,
            state=State.PLANNED,
            reason="",
            executor="",
            stop_requested=False,
            undoes=self._undoes() if made.kind is Kind.ROLLBACK else None,
            created_at=made.created_at,
            expires_at=made.expires_at,
            submitted_at=None,
            started_at=None,
            ended_at=None,
        )

    def _undoes(self) -> str | None:
        begun = (State.RUNNING, State.NEEDS_HUMAN, State.VERIFIED)
        found = self._store.operations.find(kinds=[Kind.CUTOVER], states=begun, limit=1)
        return found[0].id if found else None

    def _journal_digest(self, operation_id: str) -> dict[str, Any]:
        """SHA-256 over the journal so far, so that the audit chain covers every step too."""
        lines = [
            [e.seq, e.direction, e.number, e.step, str(e.phase), e.text, e.token, e.at.isoformat()]
            for e in self._store.operations.journal(operation_id)
        ]
        return {"journal_lines": len(lines), "journal_sha256": hashlib.sha256(json.dumps(lines).encode()).hexdigest()}

    def _audit(
        self,
        actor: Actor,
        action: str,
        outcome: str,
        subject: str,
        plan_hash: str | None = None,
        reason: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        self._store.audit.append(
            actor=actor.user_name,
            source=actor.source,
            local=actor.local,
            action=action,
            outcome=outcome,
            subject=subject,
            plan_hash=plan_hash,
            reason=reason,
            detail=detail,
        )

    @contextmanager
    def _audited(self, actor: Actor, action: str, subject: str, plan_hash: str | None = None) -> Iterator[None]:
        """Whatever is refused or fails inside is in the audit log before anyone hears of it."""
        try:
            yield
        except Refused as e:
            self._audit(actor, action, "refused", subject, plan_hash, str(e))
            raise
        except (WorkspaceError, LeaseLost, UnknownStep) as e:
            self._audit(actor, action, "failed", subject, plan_hash, str(e))
            raise


def _denied(problem: Exception) -> bool:
    """Whether a step failed for lack of a privilege."""
    cause = problem.__cause__
    return isinstance(problem, StepFailed) and isinstance(cause, WorkspaceError) and cause.denied


def _blocked(gates_: Sequence[GateVerdict]) -> str:
    return "blocked: " + "; ".join(f"{g.title}: {g.finding.summary}" for g in gates_)


def _evidence_of(made: Plan) -> dict[str, Any]:
    """What a plan rested on: its kind and arguments, evidence ids, and each gate with its verdict and references."""
    return {
        "kind": str(made.kind),
        "args": dict(made.args),
        "observation": made.observation.fingerprint,
        "evidence": dict(made.observation.evidence),
        "gates": {
            g.key: {
                "status": str(g.finding.status),
                "as_of": g.finding.as_of,
                "source": g.finding.source,
                "references": list(g.finding.references),
            }
            for g in made.gates
        },
    }
