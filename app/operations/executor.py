"""Carries out what may begin, goes on with what was interrupted, and brings back what failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from app.config import Migration
from app.operations import plan as planning
from app.operations.actor import Actor, Refused
from app.operations.definition import CONVERGING, Kind, Observation, Plan
from app.operations.engine import LEASE_SECONDS, Engine, Hold, Stopped, Timing
from app.operations.ledger import Ledger, evidence_of
from app.operations.observe import look_back
from app.operations.past import last_cutover
from app.operations.perform import Performer, StepFailed
from app.operations.planner import Planner
from app.operations.steps import UnknownStep
from app.operations.world import World
from app.store.operations import OperationRecord, OperationsRepository, Phase, State
from app.workspace.errors import WorkspaceError


@dataclass(frozen=True)
class Patience:
    """Seconds. lease: how long a dead process keeps others out. wait: how long an emergency waits for that lease."""

    lease: float = LEASE_SECONDS
    wait: float = 30.0
    timing: Timing = field(default_factory=Timing)
    parallel: int = 6
    beat: bool = True


class Executor:
    """The way forward and the way back of operations. Every method needs the lease (`Hold`) of who calls it.

    ended: whether this process is to end: an operation is then left between two steps, and Interrupted raised.
    """

    def __init__(
        self,
        operations: OperationsRepository,
        ledger: Ledger,
        planner: Planner,
        world: World,
        migration: Migration,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        patience: Patience,
        ended: Callable[[], bool],
    ) -> None:
        self._operations = operations
        self._ledger = ledger
        self._planner = planner
        self._world = world
        self._migration = migration
        self._clock = clock
        self._sleep = sleep
        self._patience = patience
        self._ended = ended

    def begin(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Carries out what is READY, if all still holds. Raises Refused: nothing was written then."""
        if (current := self._operations.get(record.id)) is None or current.state is not State.READY:
            raise Refused(f"operation {record.id} was begun by another process")
        try:
            self._planner.check_before(record, known)
        except (Refused, WorkspaceError) as e:
            refused = {"reason": str(e), "ended_at": self._clock(), "executor": actor.user_name}
            self._operations.move(record.id, [State.READY], State.REFUSED, **refused)
            raise Refused(f"refused, nothing was written: {e}") from e
        started = {"started_at": self._clock(), "executor": actor.user_name}
        if not self._operations.move(record.id, [State.READY], State.RUNNING, **started):
            raise Refused(f"operation {record.id} was begun by another process")
        self._ledger.audit(actor, "begin", "allowed", record.id, known.hash, detail=evidence_of(known))
        return self._carry_out(record, known, hold, actor)

    def go_on(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Goes on with what was interrupted, forward or back. Raises Refused: nothing was written then."""
        operation_id = record.id
        fresh, _ = self._ledger.get(operation_id)  # What was true before the lease was waited for may be over.
        if fresh.state not in (State.RUNNING, State.NEEDS_HUMAN):
            raise Refused(f"operation {operation_id} is {fresh.state}: there is nothing to resume")
        undoing = known.kind is Kind.CUTOVER and self._goes_back(fresh)
        if known.kind is Kind.CUTOVER and not undoing and self._planner.all_serve_old(known):
            try:
                self._planner.check_before(record, known, resumed=True)
            except (Refused, WorkspaceError) as e:
                raise Refused(f"not resumed, no table serves the new side yet: {e}; roll it back") from e
        self._operations.move(
            operation_id, [State.RUNNING, State.NEEDS_HUMAN], State.RUNNING,
            executor=actor.user_name, stop_requested=undoing and fresh.stop_requested, ended_at=None, reason="",
        )  # fmt: skip
        self._ledger.audit(
            actor, "resume", "allowed", operation_id, known.hash, detail=self._ledger.journal_digest(operation_id)
        )
        if undoing:
            why = "it was asked to stop" if fresh.stop_requested else "it had failed, or its undo was interrupted"
            return self._undo(record, known, hold, actor, why)
        if known.kind is Kind.ROLLBACK:
            return self._roll_back_again(record, known, hold, actor)
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
        past = last_cutover(self._operations, self._migration)
        try:
            self._walk_back(known, hold, past.before, pause_new=True, since=known.observation)
        except (StepFailed, WorkspaceError, planning.NoWayBack) as e:
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where(str(e)))
        self._close_cutovers(record.id, actor)
        return self._end(record, known, hold, actor, State.VERIFIED, "")

    def _undo(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor, why: str) -> OperationRecord:
        """Brings a cutover that failed back to where it began. That it is to go back is journaled before anything else:
        whoever goes on with it must not go forward."""
        self._operations.write(
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
            self._operations,
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
            found = "; ".join(f"{t}: {s}" for t, s in self._planner.serving().items())
        except WorkspaceError as e:
            found = f"what the tables are cannot be seen: {e}"
        return f"NEEDS HUMAN: {why}. Now: {found}. Resume, or roll back, once the cause is removed."

    def _end(
        self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor, state: State, reason: str
    ) -> OperationRecord:
        """Says what became of an operation. Raises LeaseLost: then it is for whoever holds the lease now to say."""
        hold.check()
        values = {"ended_at": self._clock(), "reason": reason}
        detail = {"state": str(state), **self._ledger.journal_digest(record.id)}
        outcome = "done" if state is State.VERIFIED else "failed"
        # In the audit log first: an end that is in no log could never be mended, one that is there twice can be read.
        self._ledger.audit(actor, "end", outcome, record.id, known.hash, reason, detail)
        self._operations.move(record.id, [State.RUNNING], state, **values)
        return self._ledger.get(record.id)[0]

    def _close_cutovers(self, rollback_id: str, actor: Actor) -> None:
        """Cutovers that stopped midway are ended by the rollback that put everything back."""
        midway = [State.RUNNING, State.NEEDS_HUMAN]
        for other in self._operations.find(kinds=CONVERGING, states=midway):
            if other.id == rollback_id:
                continue
            reason = f"rolled back by {rollback_id}; {other.reason}".rstrip("; ")
            self._ledger.audit(actor, "end", "failed", other.id, other.plan_hash, reason, {"state": "undone"})
            self._operations.move(other.id, midway, State.UNDONE, ended_at=self._clock(), reason=reason)

    def _goes_back(self, record: OperationRecord) -> bool:
        """Whether a cutover that was interrupted was on its way back, or had failed or been stopped before that."""
        if record.stop_requested or record.state is State.NEEDS_HUMAN:
            return True
        open_failures: set[int] = set()
        for entry in self._operations.journal(record.id):
            if entry.direction == "back":
                return True
            if entry.phase is Phase.FAILED:
                open_failures.add(entry.number)
            elif entry.phase in (Phase.DONE, Phase.ALREADY):
                open_failures.discard(entry.number)
        return bool(open_failures)


def _denied(problem: Exception) -> bool:
    """Whether a step failed for lack of a privilege."""
    cause = problem.__cause__
    return isinstance(problem, StepFailed) and isinstance(cause, WorkspaceError) and cause.denied
