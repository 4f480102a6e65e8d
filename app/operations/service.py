"""Operations for pages, command line and worker: plan, submit, approve, cancel, apply, resume, roll back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import access
from app.access import Actor, Refused, RolesFound, RolesOf, RolesUnknown
from app.config.migration import Migration, Role
from app.moments import when
from app.operations import approvals, break_glass, confirm, resumption, risks, seen_roles
from app.operations.audience import Audience
from app.operations.by_hand import ByHand
from app.operations.definition import CONVERGING, Kind, Plan
from app.operations.engine import LEASE, Hold
from app.operations.executor import Executor, Patience
from app.operations.gates import Judge
from app.operations.ledger import Ledger, OperationsStore, PlanUnreadable
from app.operations.old_data import LastRunBefore
from app.operations.past import unreadable
from app.operations.planner import Planner, blocked
from app.operations.world import World
from app.store.base import now
from app.store.leases import process_owner
from app.store.operations import ApprovalRecord, JournalEntry, OperationRecord, State
from app.store.risks import ACCEPT_RISK, AcceptedRisk, recorded

FORGOTTEN = (
    "the store is SQLite on the app's own disk, and the next restart loses the journal, the approvals and the audit "
    "log: add a database to the app's resources, or set ephemeral_store_accepted: true in the migration file"
)
SUBMITTED_STATES = frozenset(State) - {State.PLANNED}


@dataclass(frozen=True)
class OperationView:
    """One operation with all that a page shows of it.

    interrupted: it was started and no process holds the lease: resume it or roll back.
    risks: every risk that was accepted for it, newest first, expired ones too.
    """

    record: OperationRecord
    plan: Plan
    journal: tuple[JournalEntry, ...]
    approvals: tuple[ApprovalRecord, ...]
    interrupted: bool
    risks: tuple[AcceptedRisk, ...] = ()


class OperationsService:
    """Everything that changes the workspace goes through here; every request and refusal is audited.

    roles_of: looks up a user's roles now. judges: reads the evidence once and gives a judge of gates.
    evidence: names of the evidence that a cutover rests on (e.g. table to parity run), pinned in its plan.
    ended: whether this process is to end: an operation is then left between two steps, and Interrupted raised.
    personas: whether what personas chosen locally request and approve counts: on a local workspace alone.
    ephemeral: whether a restart loses the store: then no cutover is made and nothing approved, unless the migration
    file accepts it. A rollback always is.
    audience: who uses the tables, for the notes of a cutover's plan; raises nothing.
    last_run: the old job's last successful run by a moment: it says how old the data is that a rollback serves.
    after: called once an operation has ended and its lease is free, to read again what it changed; raises nothing.
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
        personas: Callable[[], bool] = lambda: False,
        after: Callable[[OperationRecord], None] = lambda _: None,
        audience: Callable[[], Audience] = Audience,
        ephemeral: bool = False,
        last_run: LastRunBefore = lambda _: None,
    ) -> None:
        self._forgets = ephemeral and not migration.ephemeral_store_accepted
        self._after = after
        self._world = world
        self._store = store
        self._migration = migration
        self._personas = personas
        self._roles_of = roles_of
        self._clock = clock
        self._sleep = sleep
        self._patience = patience or Patience()
        self._ledger = Ledger(store)
        self._planner = Planner(
            store.operations,
            world,
            migration,
            roles_of=roles_of,
            judges=judges,
            evidence=evidence,
            clock=clock,
            audit=store.audit,
            personas=personas,
            audience=audience,
            last_run=last_run,
        )
        self._executor = Executor(
            store.operations,
            self._ledger,
            self._planner,
            world,
            migration,
            clock=clock,
            sleep=sleep,
            patience=self._patience,
            ended=ended,
        )

    # Requests

    def plan(
        self,
        kind: Kind,
        args: Mapping[str, Any],
        actor: Actor,
        say: Callable[[str], object] = lambda _: None,
        *,
        break_glass_reason: str | None = None,
        progress: Callable[[int, int, str], object] = lambda *_: None,
    ) -> Plan:
        """Reads the workspace and creates a plan, kept in the store as PLANNED. Writes nothing to the workspace.

        args: start-update: pipeline, full_refresh, full_refresh_selection, refresh_selection, validate_only;
        run-now, pause, unpause: job (a side of `Migration.jobs`); cutover, rollback: none; rehearse: rows (None: all).
        A rollback first starts the SQL warehouse and waits for it; say: gets a line now and then meanwhile.
        progress: gets how many parts of the planning are done, of how many, and what comes next.
        break_glass_reason: where given, a rollback is planned though the actor's roles cannot be looked up; it is
        recorded as such, and two other people must account for it.
        Raises Refused where the actor may not or the world allows no such plan; WorkspaceError where it cannot be seen.
        """
        with self._ledger.audited(actor, "plan", str(kind)):
            self._check_persona(actor)
            self._check_kept(kind)
            unknown = ""
            try:
                access.require(actor.user_name, Role.OPERATOR, self._roles_of, f"planning {kind}")
            except RolesUnknown as e:
                if break_glass_reason is None:
                    raise
                break_glass.check(kind, break_glass_reason)
                unknown = str(e)
            if kind is Kind.ROLLBACK:
                self._world.ensure_running(say, lambda: None)
            made = self._planner.plan(kind, args, actor.user_name, progress)
            self._ledger.keep(made, actor)
            if unknown:
                subject, why = made.operation_id, (break_glass_reason or "").strip()
                self._ledger.audit(actor, break_glass.BREAK, "allowed", subject, made.hash, why, {"roles": unknown})
            return made

    def submit(self, plan: Plan | str, actor: Actor, confirmation: str) -> str:
        """Submits a plan (or its operation id) with the typed confirmation; returns the operation's id.

        Any number of submits of one plan make one operation. Raises Refused.
        """
        operation_id = plan if isinstance(plan, str) else plan.operation_id
        with self._ledger.audited(actor, "submit", operation_id):
            self._check_persona(actor)
            record, known = self._own(operation_id)
            if not isinstance(plan, str) and plan.hash != record.plan_hash:
                raise Refused("this is not the plan that was kept under its id: plan again")
            self._check_kept(known.kind)
            held = self._require_operator(actor, f"submitting {known.kind}", record)
            if not access.same_person(actor.user_name, record.requested_by):
                raise Refused(f"{record.requested_by} made this plan: make your own")
            if record.state is State.PLANNED:
                self._planner.check_validity(record, known)
                if blocking := self._planner.unaccepted(record, known, known.blocking):
                    raise Refused(blocked(blocking))
            confirm.check(known.confirmation, confirmation)
            if record.state is not State.PLANNED:
                return operation_id  # Pressed twice.
            after = State.SUBMITTED if known.needs_approval else State.READY
            moment = self._clock()
            self._ledger.move(
                actor, "submit", "allowed", record, [State.PLANNED], after, detail=seen_roles.detail(held),
                columns={"submitted_at": moment},
            )  # fmt: skip
            return operation_id

    def approve(self, operation: str, actor: Actor, comment: str = "") -> str:
        """Approves an operation by its id or its plan's hash (at least 12 digits); returns its id. Raises Refused."""
        with self._ledger.audited(actor, "approve", operation):
            self._check_persona(actor)
            record, known = self._ledger.find(operation)
            self._check_own(record)
            if self._forgets:
                raise Refused(FORGOTTEN)
            if record.state is not State.SUBMITTED:
                raise Refused(f"operation {record.id} is {record.state}: it waits for no approval")
            self._planner.check_validity(record, known)
            held = approvals.check_approver(actor.user_name, record.requested_by, self._roles_of)
            moment = self._clock()
            approval = ApprovalRecord(
                0, record.id, known.hash, actor.user_name, actor.source, actor.local, comment, moment,
                min(moment + approvals.VALID_FOR, record.expires_at),
            )  # fmt: skip
            if not self._ledger.move(
                actor, "approve", "allowed", record, [State.SUBMITTED], State.READY, reason=comment,
                detail={"until": approval.expires_at, **seen_roles.detail(held)},
                also=lambda c: {"approval": self._store.operations.approving(approval, c)},
            ):  # fmt: skip
                raise Refused(f"operation {record.id} waits for no approval any more")
            return record.id

    def accept_risk(self, operation_id: str, gate: str, actor: Actor, reason: str) -> AcceptedRisk:
        """Accepts that one gate of one plan blocks, for 24 hours or until the plan expires. Raises Refused.

        Only an approver other than the requester may, only for gates that the migration file marks, and not once the
        operation was started.
        """
        with self._ledger.audited(actor, ACCEPT_RISK, operation_id):
            self._check_persona(actor)
            record, known = self._ledger.get(operation_id)
            if record.state not in (State.PLANNED, State.SUBMITTED, State.READY):
                raise Refused(f"operation {operation_id} is {record.state}: its risks cannot be accepted any more")
            if not reason.strip():
                raise Refused("accepting a risk needs a reason")
            self._planner.check_validity(record, known)
            held = risks.check_approver(actor.user_name, record.requested_by, self._roles_of)
            stale = {v.key: v for v in self._planner.judged_now(known)}
            # As planned where it blocked then, so that the plan can be submitted; else as it is judged now.
            verdicts = tuple(v if v.blocks else stale.get(v.key, v) for v in known.gates)
            verdict = risks.check_gate(gate, self._migration, verdicts)
            until = min(self._clock() + risks.VALID_FOR, record.expires_at)
            self._ledger.audit(
                actor, ACCEPT_RISK, "allowed", record.id, known.hash, reason.strip(),
                {**risks.detail(verdict, until), **seen_roles.detail(held)},
            )  # fmt: skip
            return recorded(self._store.audit, record.id)[0]

    def cancel(self, operation_id: str, actor: Actor, comment: str = "") -> None:
        """Cancels an operation that was not started, or requests a running one to stop and undo. Raises Refused."""
        with self._ledger.audited(actor, "cancel", operation_id):
            self._check_persona(actor)
            record, known = self._own(operation_id)
            access.require(actor.user_name, Role.OPERATOR, self._roles_of, "cancelling")
            not_started = [State.PLANNED, State.SUBMITTED, State.READY]
            if known.kind in CONVERGING and self.interrupted(record):
                raise Refused(f"operation {operation_id} is interrupted: resume it, or roll back")
            if self._cancelled(record, not_started, State.CANCELLED, actor, comment):
                return
            if self.interrupted(record):
                self._cancelled(record, [State.RUNNING], State.FAILED, actor, comment)
                return
            if record.state is State.RUNNING and self._goes_back(operation_id):
                raise Refused(f"operation {operation_id} is being undone already")
            if not self._ledger.request_stop(actor, record, comment):
                raise Refused(self._why_no_stop(record))

    def _cancelled(
        self, record: OperationRecord, before: Sequence[State], after: State, actor: Actor, comment: str
    ) -> bool:
        reason = f"cancelled by {actor.user_name}: {comment or 'no comment'}"
        return self._ledger.move(
            actor, "cancel", "allowed", record, before, after, reason=comment,
            detail=self._ledger.journal_digest(record.id), columns={"ended_at": self._clock(), "reason": reason},
        )  # fmt: skip

    def _why_no_stop(self, before: OperationRecord) -> str:
        """before: the operation as it was before its stop was refused."""
        state = self._ledger.get(before.id)[0].state
        if state is State.RUNNING:
            return f"operation {before.id} is a {before.kind} under way: it is not stopped"
        done = ": its last step has been done" if before.state is State.RUNNING else ""
        return f"operation {before.id} is {state} and cannot be cancelled{done}"

    def _goes_back(self, operation_id: str) -> bool:
        """Whether an operation that is executed is on its way back."""
        return any(e.on_way_back for e in self._store.operations.journal(operation_id))

    # Execution

    def apply(self, operation_id: str, executor: Actor | str) -> OperationRecord:
        """Executes a READY operation, to its end. executor: a person, or the worker's name.

        Raises Refused where it may not begin: nothing was written then.
        """
        actor = executor if isinstance(executor, Actor) else Actor(executor, frozenset(), "worker")
        with self._ledger.audited(actor, "apply", operation_id):
            record, known = self._own(operation_id)
            self._check_kept(known.kind)
            self._check_executor(executor, record)
            if record.state is State.SUBMITTED:
                raise Refused(
                    f"operation {operation_id} waits for an approval by someone other than {record.requested_by}"
                )
            if record.state is not State.READY:
                raise Refused(f"operation {operation_id} is {record.state}: only one that is ready can be applied")
            self._planner.check_window(known.kind)
            with self._lease(wait=known.kind is Kind.ROLLBACK) as hold:
                self._check_executor(executor, record)  # The lease may have been waited for.
                ended = self._executor.start(record, known, hold, actor)
            self._after(ended)
            return ended

    def _check_executor(self, executor: Actor | str, record: OperationRecord) -> None:
        """Raises Refused where a person may not apply; a worker executes what others requested."""
        if isinstance(executor, Actor):
            self._check_persona(executor)
            self._require_operator(executor, "applying", record)

    def _check_kept(self, kind: Kind) -> None:
        """Raises Refused for a cutover whose journal, approvals and audit log the next restart would lose."""
        if self._forgets and kind is Kind.CUTOVER:
            raise Refused(FORGOTTEN)

    def _require_operator(
        self, actor: Actor, what: str, record: OperationRecord | None, roles_of: RolesOf | None = None
    ) -> RolesFound | None:
        """The roles of an actor who is an operator now; None for one who broke the glass for this rollback while roles
        are unknown. Raises Refused otherwise."""
        try:
            return access.require(actor.user_name, Role.OPERATOR, roles_of or self._roles_of, what)
        except RolesUnknown:
            if record is None or not break_glass.covers(self._store.audit, record, actor.user_name):
                raise
            return None

    def resume(self, operation_id: str, actor: Actor) -> OperationRecord:
        """Resumes an interrupted operation from the state of the workspace. Raises Refused.

        A cutover that failed, was asked to stop or was being undone goes back, never forward again. Any other goes on
        only where all that its start needed still holds: the plan, its approval, the gates and the data; otherwise it
        goes back as well.
        """
        return self._resume(operation_id, actor, actor)

    def request_resume(self, operation_id: str, actor: Actor) -> None:
        """Asks the worker to resume an interrupted operation. Raises Refused."""
        with self._ledger.audited(actor, resumption.REQUEST, operation_id):
            held = self._check_resume(operation_id, actor, self._roles_of)[2]
            record = self._store.operations.get(operation_id)
            if record is not None and record.state is State.RUNNING and not self.interrupted(record):
                raise Refused(f"operation {operation_id} is being executed: there is nothing to resume")
            plan_hash = None if record is None else record.plan_hash
            self._ledger.audit(
                actor, resumption.REQUEST, "allowed", operation_id, plan_hash, detail=seen_roles.detail(held)
            )

    def resume_requested(self, operation_id: str, executor: str) -> OperationRecord:
        """Resumes an operation as requested, with the rights that its requester has now: for the worker. executor: the
        worker's name. Raises Refused."""
        request = resumption.open_request(self._store.audit, operation_id)
        if request is None:
            raise Refused(f"no request to resume operation {operation_id} is open")
        requester = Actor(request.actor, frozenset(), request.source, local=request.local)
        return self._resume(operation_id, requester, Actor(executor, frozenset(), "worker"))

    def to_resume(self) -> Sequence[OperationRecord]:
        """Interrupted operations whose resumption is requested, oldest first (for the worker)."""
        if self._store.leases.holder(LEASE) is not None:
            return []
        found = self._store.operations.find(states=[State.RUNNING, State.NEEDS_HUMAN], migration=self._migration.name)
        return [o for o in found if resumption.open_request(self._store.audit, o.id) is not None][::-1]

    def _resume(self, operation_id: str, requester: Actor, executor: Actor) -> OperationRecord:
        # The worker has no token of the requester: what was seen at the request counts where it sees nothing itself.
        roles_of = (
            self._roles_of
            if executor is requester
            else seen_roles.with_seen(self._roles_of, self._store.audit, operation_id, self._clock)
        )
        with self._ledger.audited(executor, resumption.RESUME, operation_id):
            try:
                self._check_resume(operation_id, requester, roles_of)
            except PlanUnreadable as e:
                return self._end_unreadable(e, executor)
            with self._lease(wait=True) as hold:
                # Again: the lease may have been waited for.
                record, known, _ = self._check_resume(operation_id, requester, roles_of)
                ended = self._executor.resume(record, known, hold, executor)
            self._after(ended)
            return ended

    def _check_resume(
        self, operation_id: str, requester: Actor, roles_of: RolesOf
    ) -> tuple[OperationRecord, Plan, RolesFound | None]:
        """The operation, its plan, and the requester's roles (see `_require_operator`)."""
        self._check_persona(requester)
        held = self._require_operator(requester, "resuming", self._store.operations.get(operation_id), roles_of)
        record, known = self._own(operation_id)
        if record.state not in (State.RUNNING, State.NEEDS_HUMAN):
            raise Refused(f"operation {operation_id} is {record.state}: there is nothing to resume")
        if known.kind is Kind.REHEARSE:
            raise Refused("a rehearsal is not resumed: cancel it and plan a new one, which clears what is left")
        return record, known, held

    def bring_back(self, operation_id: str, executor: str) -> OperationRecord:
        """Ends an interrupted operation without a person: for the worker. Raises Refused.

        A cutover is undone (or only recorded as verified, if it was), a rollback goes on to its end; nothing goes
        further forward. executor: the worker's name.
        """
        actor = Actor(executor, frozenset(), "worker")
        try:
            record, known = self._own(operation_id)
        except PlanUnreadable as e:
            return self._end_unreadable(e, actor)
        with self._ledger.audited(actor, "bring back", operation_id, known.hash):
            if not self.interrupted(record):
                raise Refused(f"operation {operation_id} is {record.state}: it is not interrupted")
            with self._lease(wait=False) as hold:
                ended = self._executor.bring_back(record, known, hold, actor)
            self._after(ended)
            return ended

    def _end_unreadable(self, unread: PlanUnreadable, actor: Actor) -> OperationRecord:
        """An interrupted operation whose plan cannot be read is for a person, with what its journal holds."""
        record = unread.record
        if not self.interrupted(record):
            raise unread
        with self._lease(wait=True):
            known = unreadable(record, unread.problem, self._store.operations.journal(record.id))
            reason = f"NEEDS HUMAN: {known}. Bring the tables to one side by hand, then roll back to end it."
            self._ledger.move(
                actor, "end", "failed", record, [State.RUNNING], State.NEEDS_HUMAN, reason=reason,
                detail=self._ledger.journal_digest(record.id),
                columns={"ended_at": self._clock(), "reason": reason, "executor": actor.user_name},
            )  # fmt: skip
        return self._store.operations.get(record.id) or record

    def rollback(
        self, actor: Actor, confirmation: str, take_over: str = "", *, break_glass_reason: str | None = None
    ) -> OperationRecord:
        """Plans, submits and executes a rollback in this process: the emergency path. Raises Refused."""
        made = self.plan(Kind.ROLLBACK, {}, actor, break_glass_reason=break_glass_reason)
        return self.apply_here(made, actor, confirmation, take_over)

    def account(self, operation_id: str, actor: Actor, comment: str) -> int:
        """Accounts for a rollback by break-glass that has ended; gives how many more people have to. Raises Refused.

        Needs the role approver, and is for others than the one who broke the glass.
        """
        with self._ledger.audited(actor, break_glass.ACCOUNT, operation_id):
            self._check_persona(actor)
            record = self._store.operations.get(operation_id)
            if record is None:
                raise Refused(f"there is no operation {operation_id}")
            self._check_own(record)
            access.require(actor.user_name, Role.APPROVER, self._roles_of, "accounting for a rollback")
            break_glass.check_account(self._store.audit, record, actor, comment)
            self._ledger.audit(actor, break_glass.ACCOUNT, "allowed", record.id, record.plan_hash, comment.strip())
            return break_glass.PEOPLE - len(break_glass.accounted(self._store.audit, record))

    def unaccounted(self) -> Sequence[break_glass.Unaccounted]:
        """Rollbacks by break-glass that wait for people to account for them, oldest first."""
        return break_glass.unaccounted(self._store.audit, self._store.operations, self._migration.name)

    def apply_here(self, made: Plan, actor: Actor, confirmation: str, take_over: str = "") -> OperationRecord:
        """Submits a plan that needs no approval and executes it in this process, never the worker: the lease is held
        before the operation becomes ready. Raises Refused: nothing was written then.

        take_over: why the lease of a process that lives and does not get on is taken from it, for a rollback; that
        process can write nothing any more and sends nothing. Empty: it is not.
        """
        with self._ledger.audited(actor, "apply", made.operation_id, made.hash):
            if made.needs_approval:
                raise Refused(f"{made.kind} needs an approval: submit it")
            confirm.check(made.confirmation, confirmation)
            if take_over:
                self._take_over(made, actor, take_over)
            with self._lease(wait=made.kind is Kind.ROLLBACK, force=bool(take_over)) as hold:
                self.submit(made, actor, confirmation)
                record, known = self._ledger.get(made.operation_id)
                ended = self._executor.start(record, known, hold, actor)
            self._after(ended)
            return ended

    def _take_over(self, made: Plan, actor: Actor, reason: str) -> None:
        """Records who takes the lease from whom, and why. Raises Refused."""
        if made.kind is not Kind.ROLLBACK:
            raise Refused(f"only a rollback takes over from a process that lives, and this is a {made.kind}")
        self._check_persona(actor)
        access.require(actor.user_name, Role.OPERATOR, self._roles_of, "taking over")
        holder = self._store.leases.holder(LEASE)
        detail = {"holder": holder.owner, "token": holder.token} if holder is not None else {"holder": None}
        self._ledger.audit(actor, "take over", "allowed", made.operation_id, made.hash, reason, detail)

    # Reading

    def operation(self, operation_id: str) -> OperationView:
        """One operation with its plan and journal. Raises Refused if there is none of that id."""
        record, known = self._ledger.get(operation_id)
        return OperationView(
            record,
            known,
            tuple(self._store.operations.journal(operation_id)),
            tuple(self._store.operations.approvals(operation_id)),
            self.interrupted(record),
            recorded(self._store.audit, operation_id),
        )

    def interrupted(self, record: OperationRecord) -> bool:
        """Whether an operation was started and no process holds its lease."""
        return record.state is State.RUNNING and self._store.leases.holder(LEASE) is None

    def left(self) -> Sequence[OperationRecord]:
        """Operations that were started, that no process executes and no request resumes, oldest first (for the
        worker)."""
        if self._store.leases.holder(LEASE) is not None:
            return []
        found = self._store.operations.find(states=[State.RUNNING], migration=self._migration.name)
        return [o for o in found if resumption.open_request(self._store.audit, o.id) is None][::-1]

    def ready(self) -> Sequence[OperationRecord]:
        """Operations ready to execute, oldest first (for the worker). Those whose plan expired are ended.

        Cutovers are not among them while the window is closed.
        """
        moment = self._clock()
        waiting = (State.PLANNED, State.SUBMITTED, State.READY)
        for record in self._store.operations.find(states=waiting, limit=1000):
            if record.expires_at <= moment:
                reason = "its plan expired before it was started"
                self._ledger.move(
                    Actor("worker", frozenset(), "worker"), "expire", "failed", record, waiting, State.EXPIRED,
                    reason=reason, columns={"ended_at": moment, "reason": reason},
                )  # fmt: skip
        found = self._store.operations.ready(self._migration.name)
        try:
            self._planner.check_window(Kind.CUTOVER)
        except Refused:
            return [o for o in found if o.kind != Kind.CUTOVER]  # They wait for the window, unless their plan expires.
        return found

    def by_hand(self) -> ByHand:
        """What is where now, and the commands that finish by hand, forward and back. Raises WorkspaceError."""
        return self._planner.by_hand()

    def serving(self) -> Mapping[str, str]:
        """Which side serves each table, by fresh reads: table to `baseline`, `candidate` or what is wrong."""
        return self._planner.serving()

    def _own(self, operation_id: str) -> tuple[OperationRecord, Plan]:
        """An operation of this migration. Raises Refused where it is another's: this one's file names other jobs."""
        record, known = self._ledger.get(operation_id)
        self._check_own(record)
        return record, known

    def _check_own(self, record: OperationRecord) -> None:
        if record.migration != self._migration.name:
            raise Refused(
                f"operation {record.id} belongs to the migration {record.migration!r}, "
                f"not to {self._migration.name!r}: act with its migration file"
            )

    def _check_persona(self, actor: Actor) -> None:
        if approvals.is_persona(actor.local, actor.source) and not self._personas():
            raise Refused(f"{actor.user_name} is a local persona, which may act only on a local workspace")

    # Store

    @contextmanager
    def _lease(self, wait: bool, force: bool = False) -> Iterator[Hold]:
        """The one lease of all operations. An emergency waits for a dead process's lease to run out; others do not.

        force: takes it from whoever holds it.
        """
        owner = process_owner()
        waited = 0.0
        moment = self._clock()
        while (lease := self._store.leases.acquire(LEASE, owner, self._patience.lease, force=force)) is None:
            if not wait or waited >= self._patience.wait:
                holder = self._store.leases.holder(LEASE)
                who = (
                    f"{holder.owner} until {when(holder.expires_at, seconds=True)} at least"
                    if holder
                    else "another process"
                )
                raise Refused(f"another operation is being executed by {who}: wait until it has ended, or cancel it")
            self._sleep(0.5)
            waited += 0.5
            moment = self._clock()
        seconds, beat = self._patience.lease, self._patience.beat
        ticks = self._patience.ticks
        with Hold(self._store.leases, lease, seconds, beat, clock=self._clock, since=moment, ticks=ticks) as hold:
            yield hold
