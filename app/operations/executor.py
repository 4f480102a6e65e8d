"""Executes operations that may start, resumes interrupted ones, and undoes failed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from app.access import Actor, Refused
from app.config.migration import Migration
from app.operations import gaps, plan_swap, scratch
from app.operations.by_hand import as_detail
from app.operations.codec import CodecError
from app.operations.definition import CONVERGING, Kind, Observation, Plan
from app.operations.draft import NoWayBack, number
from app.operations.engine import LEASE_SECONDS, Engine, Hold, Interrupted, Stopped, Timing, gap_pause
from app.operations.journal import JournalLost, retry_while_held
from app.operations.ledger import Ledger, Recorded, evidence_of
from app.operations.observe import look_back, relations
from app.operations.past import PastCutover, last_cutover, of_record
from app.operations.performer import Performer
from app.operations.planner import Planner, WorldChanged
from app.operations.settle import FIRST_SETTLE_SECONDS, SETTLE_SECONDS, Settling, unfinished
from app.operations.steps import StepFailed, UnknownStep, require_known
from app.operations.world import World
from app.store.base import StoreError
from app.store.leases import LeaseLost, ticks
from app.store.operations import OperationRecord, OperationsRepository, Phase, State
from databricks_client.errors import WorkspaceError
from databricks_client.fencing import NotSent, fenced
from databricks_client.running import new_statement, sending, working_on

R = TypeVar("R")

RECHECK_SECONDS = 60.0
"""Age from which a check no longer lets a cutover change anything more."""

STOPPED = "a stop was requested"


@dataclass(frozen=True)
class Patience:
    """Seconds. lease: how long a dead process keeps others out. wait: how long an emergency waits for that lease.
    ticks: a clock that nobody sets."""

    lease: float = LEASE_SECONDS
    wait: float = 30.0
    timing: Timing = field(default_factory=Timing)
    parallel: int = 6
    beat: bool = True
    ticks: Callable[[], float] = ticks


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

    def start(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Executes what is READY, if all still holds. Raises Refused: nothing was written then."""
        with working_on("operation", record.id):
            return self._start(record, known, hold, actor)

    def _start(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        if (current := self._operations.get(record.id)) is None or current.state is not State.READY:
            raise Refused(f"operation {record.id} was started by another process")
        taken_over = known.kind is Kind.ROLLBACK and (
            hold.earlier > hold.tick() or bool(unfinished(self._operations, record.id))
        )
        try:
            self._start_warehouse(known, hold)
            past = self._past(record, known)
            closed = known.kind is Kind.ROLLBACK and self._close_gaps(known, hold, past, forward=False)
            if taken_over:
                settling = self._settling(known, hold)
                settling.wait_for_earlier_holder()
                settling.end_statements()
                closed = self._close_gaps(known, hold, past, forward=False) or closed
            if closed:
                self._planner.check_authority(record, known)
            replan = closed or self._changed_under(record, known, taken_over)
            accepted = [r.gate for r in self._planner.accepted(record, known)]
        except (Refused, WorkspaceError) as e:
            refused = {"reason": str(e), "ended_at": self._clock(), "executor": actor.user_name}
            reason = f"refused, nothing was written: {e}"
            if self._ledger.move(
                actor, "apply", "refused", record, [State.READY], State.REFUSED, reason=reason, columns=refused
            ):
                raise Recorded(reason) from e
            raise Refused(reason) from e
        started = {"started_at": self._clock(), "executor": actor.user_name}
        if not self._persist(
            hold,
            lambda: self._ledger.move(
                actor, "begin", "allowed", record, [State.READY], State.RUNNING,
                detail={**evidence_of(known), "accepted_risks": accepted}, lease=hold.lease, columns=started,
            ),
        ):  # fmt: skip
            raise Refused(f"operation {record.id} was started by another process")
        if replan:  # The names are not as they were planned for.
            return self._roll_back_again(record, known, hold, actor, self._past(record, known))
        return self._execute(record, known, hold, actor, taken_over=taken_over)

    def _changed_under(self, record: OperationRecord, known: Plan, taken_over: bool) -> bool:
        """Checks that all still holds; whether only the workspace changed, by what a rollback takes over from.

        What that process had sent may have taken effect after the rollback was planned: an emergency does not begin
        anew for that. Raises Refused, WorkspaceError.
        """
        try:
            self._planner.check_before(record, known)
        except WorldChanged:
            if not taken_over:
                raise
            return True
        return False

    def resume(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Resumes an interrupted operation, forward or back. Raises Refused: nothing was written then."""
        with working_on("operation", record.id):
            return self._resume(record, known, hold, actor)

    def _resume(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        operation_id = record.id
        fresh, _ = self._ledger.get(operation_id)  # What was true before the lease was waited for may be over.
        if fresh.state not in (State.RUNNING, State.NEEDS_HUMAN):
            raise Refused(f"operation {operation_id} is {fresh.state}: there is nothing to resume")
        undoing = known.kind is Kind.CUTOVER and self._goes_back(fresh)
        self._start_warehouse(known, hold)
        forward = known.kind is Kind.CUTOVER and not undoing
        if forward:
            self._close_gaps(known, hold, of_record(record), forward=True)
        if not undoing and known.kind is not Kind.ROLLBACK and (unproven := self._settle_forward(known, hold)):
            raise Refused(f"not resumed, what was sent before may still take effect: {'; '.join(unproven)}")
        if forward:  # What was sent before may have freed one.
            self._close_gaps(known, hold, of_record(record), forward=True)
        back = self._why_back(fresh, known)
        self._ledger.move(
            actor, "resume", "allowed", record, [State.RUNNING, State.NEEDS_HUMAN], State.RUNNING, lease=hold.lease,
            detail=self._ledger.journal_digest(operation_id),
            # A stop that was requested stays so: whoever continues must hear it.
            columns={"executor": actor.user_name, "ended_at": None, "reason": ""},
        )  # fmt: skip
        if back:
            return self._undo(record, known, hold, actor, back)
        if known.kind is Kind.ROLLBACK:
            return self._roll_back_again(record, known, hold, actor, self._past(record, known))
        return self._execute(record, known, hold, actor, resumed=True)

    def _why_back(self, fresh: OperationRecord, known: Plan) -> str:
        """Why an interrupted operation goes back instead of on; empty where it goes on.

        Going on needs all that starting needs, save for what the operation's own steps did. Raises Refused where that
        cannot be seen, or where an operation that has no way back may not go on: nothing was written then.
        """
        if known.kind is Kind.ROLLBACK:
            return ""
        if known.kind is Kind.CUTOVER and self._goes_back(fresh):
            return STOPPED if fresh.stop_requested else "it had failed, or its undo was interrupted"
        if self._all_done(known):
            return ""  # Only its end is not recorded.
        try:
            self._planner.check_window(known.kind)
            self._planner.check_midway(fresh, known)
        except WorkspaceError as e:
            raise Refused(f"not resumed, the workspace cannot be read: {e}") from e
        except Refused as e:
            if known.kind is not Kind.CUTOVER:
                raise Refused(f"not resumed: {e}; end it with: cutover cancel {fresh.id}") from e
            return f"it may not go on: {e}"
        return ""

    def _all_done(self, known: Plan) -> bool:
        """Whether the last step is journaled as done: then only the operation's end is missing."""
        entries = self._operations.journal(known.operation_id)
        done = (Phase.DONE, Phase.ALREADY)
        return any(e.number == known.steps[-1].number and e.phase in done and e.direction == "forward" for e in entries)

    def bring_back(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        """Ends an operation that was interrupted, without a person and without going further forward.

        A cutover is undone, unless its outcome was verified and only its end is missing; a rollback goes on; of any
        other it is recorded what may have started. Raises Refused where it is no longer interrupted.
        """
        with working_on("operation", record.id):
            return self._bring_back(record, known, hold, actor)

    def _bring_back(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor) -> OperationRecord:
        fresh, _ = self._ledger.get(record.id)
        if fresh.state is not State.RUNNING:
            raise Refused(f"operation {record.id} is {fresh.state}: it is no longer interrupted")
        self._ledger.move(
            actor, "bring back", "allowed", record, [State.RUNNING], State.RUNNING, lease=hold.lease,
            detail=self._ledger.journal_digest(record.id), columns={"executor": actor.user_name},
        )  # fmt: skip
        entries = self._operations.journal(record.id)
        if known.kind is Kind.ROLLBACK:
            return self._roll_back_again(record, known, hold, actor, self._past(record, known))
        if known.kind is not Kind.CUTOVER:
            last = next((e for e in reversed(entries) if e.phase in (Phase.INTENT, Phase.DONE)), None)
            what = "nothing had started" if last is None else f"last in its journal: {last.text} ({last.phase})"
            cleared = self._clear_scratch(known, hold, interrupted=True)
            return self._end(record, known, hold, actor, State.FAILED, f"it was interrupted; {what}{cleared}")
        all_done = self._all_done(known)
        if all_done and (unproven := self._settle_forward(known, hold)):
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where("; ".join(unproven)))
        if all_done and not self._goes_back(fresh):
            return self._execute(record, known, hold, actor)
        return self._undo(record, known, hold, actor, "it was interrupted and not resumed")

    def _execute(
        self,
        record: OperationRecord,
        known: Plan,
        hold: Hold,
        actor: Actor,
        *,
        taken_over: bool = False,
        resumed: bool = False,
    ) -> OperationRecord:
        # Read before anything moves: the way back must not need the store.
        past = self._persist(hold, lambda: self._past(record, known))
        try:
            self._forward(record, known, hold, resumed)
            self._settle_own(known, hold)
        except (LeaseLost, Interrupted):
            raise
        except Exception as e:  # noqa: BLE001 (whatever stopped it, what it has done is brought back)
            if known.kind is Kind.CUTOVER:
                return self._undo(record, known, hold, actor, _why(e))
            if known.kind is Kind.ROLLBACK:
                if _denied(e) or isinstance(e, JournalLost):
                    silent = isinstance(e, JournalLost)
                    return self._roll_back_again(record, known, hold, actor, past, silent=silent)
                if self._close_gaps(known, hold, past, forward=False):
                    return self._roll_back_again(record, known, hold, actor, past)  # With every name there.
                return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where(_why(e)))
            why = _why(e) + self._clear_scratch(known, hold)
            return self._end(record, known, hold, actor, State.FAILED, why)
        if known.kind is Kind.ROLLBACK:
            if taken_over:
                self._settling(known, hold).wait_for_calls()
            if taken_over or past.unrestored(self._migration, known.observation, pause_new=True):
                return self._roll_back_again(record, known, hold, actor, past)  # It may be seen by now.
            self._close_cutovers(record, hold, actor)
        try:
            return self._end(record, known, hold, actor, State.VERIFIED, "")
        except Stopped as e:
            if known.kind is Kind.CUTOVER:
                return self._undo(record, known, hold, actor, str(e))
            return self._end(record, known, hold, actor, State.FAILED, f"{e}; its last step had been done")

    def _forward(self, record: OperationRecord, known: Plan, hold: Hold, resumed: bool) -> None:
        """The steps in order. A cutover is checked again before it changes anything more where it was resumed, once
        nothing else can write any more, and wherever its last check lies back longer than RECHECK_SECONDS: it may have
        waited for a run or for a service that did not answer. Raises what the engine raises, and Refused."""
        engine = self._engine(known, hold, "forward", may_stop=known.kind is not Kind.ROLLBACK)
        if known.kind is not Kind.CUTOVER or self._all_done(known):
            engine.run(known.steps)
            return
        for planned in known.steps:
            require_known(planned.step)
        checked, due, quiet = self._clock(), resumed, False
        for _, stage in groupby(known.steps, key=lambda p: p.stage):
            found = list(stage)
            late = (self._clock() - checked).total_seconds() >= RECHECK_SECONDS
            if any(p.step.changes for p in found) and (late or (due and quiet)):
                self._planner.check_midway(record, known)
                checked, due = self._clock(), due and not quiet
            engine.run(found)
            quiet = quiet or any(p.step.proves_idle for p in found)

    def _clear_scratch(self, known: Plan, hold: Hold, *, interrupted: bool = False) -> str:
        """Drops what a rehearsal that failed made, by its journal; what became of it, to append to a reason."""
        if known.kind is not Kind.REHEARSE:
            return ""
        try:
            names = scratch.made_by(known, self._operations.journal(known.operation_id))
            if not names:
                return ""
            if interrupted and (unproven := self._settle_forward(known, hold)):
                return f"; its scratch copies are left, what was sent may still land: {'; '.join(unproven)}"
            steps = scratch.clean_up(relations(self._world, names))
            self._engine(known, hold, "back", may_stop=False).run(steps)
        except (StepFailed, WorkspaceError, StoreError) as e:
            return f"; its scratch copies are left ({_why(e)}): the next rehearsal removes them"
        return f"; its {len(steps)} scratch copies are removed"

    def _past(self, record: OperationRecord, known: Plan) -> PastCutover:
        """What an operation's way back is built from: its own plan, or that of the cutover that it takes back."""
        if known.kind is Kind.CUTOVER:
            return of_record(record)
        if known.kind is not Kind.ROLLBACK:
            return PastCutover()
        undoes = self._operations.get(record.undoes) if record.undoes else None
        if undoes is not None:
            with suppress(CodecError):
                return of_record(undoes)
        return last_cutover(self._operations, self._migration)

    def _roll_back_again(
        self,
        record: OperationRecord,
        known: Plan,
        hold: Hold,
        actor: Actor,
        past: PastCutover,
        *,
        silent: bool = False,
    ) -> OperationRecord:
        """Resumes an interrupted rollback: its steps are planned again from the state of the workspace."""
        try:
            self._close_gaps(known, hold, past, forward=False, silent=silent)
            walk = self._walk_back(known, hold, past, pause_new=True, silent=silent)
        except (LeaseLost, Interrupted):
            raise
        except Exception as e:  # noqa: BLE001 (a person has to look, whatever it is)
            self._close_gaps(known, hold, past, forward=False, silent=silent)
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, self._where(_why(e)))
        unrestored = (*past.unrestored(self._migration, walk.seen, pause_new=True), *walk.unproven)
        if unrestored:
            parts = ("every table has its own name again", walk.text, *unrestored)
            reason = self._where("; ".join(p for p in parts if p))
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, reason, walk.unwritten)
        self._close_cutovers(record, hold, actor)
        return self._end(record, known, hold, actor, State.VERIFIED, walk.text, walk.unwritten)

    def _undo(self, record: OperationRecord, known: Plan, hold: Hold, actor: Actor, why: str) -> OperationRecord:
        """Brings a cutover that failed back to where it started. The decision to go back is journaled first: a process
        that continues it must not go forward. Where the journal cannot be written, it goes back all the same."""
        past = of_record(record)
        self._close_gaps(known, hold, past, forward=False)
        journal = self._engine(known, hold, "back", may_stop=False).journal
        try:
            journal.note_undo(f"undoing everything: {why}")
            silent = False
        except JournalLost:
            silent = True
        try:
            walk = self._walk_back(known, hold, past, pause_new=False, silent=silent)
        except (LeaseLost, Interrupted):
            raise
        except Exception as e:  # noqa: BLE001 (a person has to look, whatever it is)
            self._close_gaps(known, hold, past, forward=False, silent=silent)
            reason = self._where(f"{why}; and undoing it failed: {_why(e)}")
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, reason)
        unrestored = (*past.unrestored(self._migration, walk.seen, pause_new=False), *walk.unproven)
        if unrestored:
            parts = (why, "every table has its own name again", walk.text, *unrestored)
            reason = self._where("; ".join(p for p in parts if p))
            return self._end(record, known, hold, actor, State.NEEDS_HUMAN, reason, walk.unwritten)
        kept = plan_swap.grants_kept(past.swaps_in(self._migration, walk.seen), walk.seen, past.before)
        reason = "; ".join(p for p in (why, "everything is undone", walk.text, *kept) if p)
        return self._end(record, known, hold, actor, State.UNDONE, reason, walk.unwritten)

    def _close_gaps(self, known: Plan, hold: Hold, past: PastCutover, *, forward: bool, silent: bool = False) -> bool:
        """Gives every name that an interrupted exchange left without a table or view to one of them, before anything
        else is read; whether there was one. What cannot be looked at, or is refused, the way back or forward says.

        Raises LeaseLost.
        """
        journal = self._engine(known, hold, "forward" if forward else "back", may_stop=False, silent=silent).journal

        def wait(attempt: int, problem: WorkspaceError) -> None:
            hold.progress()
            journal.check_alone()
            self._sleep(gap_pause(attempt, problem.retry_after))

        def note(text: str) -> None:
            journal.note_once("name", f"nothing had the name: {text}")

        swaps = past.swaps_in(self._migration, known.observation)
        try:
            with sending(new_statement(hold.lease.token)), fenced(hold.check_send, lambda: hold.lost is not None):
                return bool(gaps.close(self._world, swaps, past.before, forward=forward, note=note, wait=wait))
        except NotSent as e:
            raise LeaseLost(str(e)) from e
        except WorkspaceError:
            return False

    def _walk_back(
        self,
        known: Plan,
        hold: Hold,
        past: PastCutover,
        *,
        pause_new: bool,
        silent: bool = False,
    ) -> _Walk:
        """Walks back until nothing that was sent before can change the world any more, and gives what was seen last.

        What an earlier process or an earlier step sent is ended first; once that could have taken effect on the way,
        the way is planned and verified again.
        """
        settling = self._settling(known, hold, silent)
        self._start_warehouse(known, hold, silent)
        settling.wait_for_earlier_holder()
        unwritten: list[str] = []
        for last in (False, True):
            settled = settling.end_statements(SETTLE_SECONDS if last else FIRST_SETTLE_SECONDS)
            began = hold.tick()
            try:
                walk = self._walk_once(known, hold, past, pause_new=pause_new, silent=silent)
            except (StepFailed, NoWayBack):
                # What still took effect on the way may be why: it is planned again once nothing can.
                if last or (settling.quiet(began) and not settled.unproven):
                    raise
            else:
                unwritten += walk.unwritten
                unproven = settled.unproven
                if walk.unwritten and not settling.quiet(began):
                    # Without the store the lease ends soon: there is no time to wait and look again.
                    unproven = (*unproven, "a request that was sent before may still arrive")
                if last or walk.unwritten or (settling.quiet(began) and not unproven):
                    return replace(walk, unwritten=tuple(unwritten), unproven=unproven)
            settling.wait_for_calls()
        raise AssertionError("unreachable")

    def _walk_once(
        self,
        known: Plan,
        hold: Hold,
        past: PastCutover,
        *,
        pause_new: bool,
        silent: bool,
    ) -> _Walk:
        """Plans the way back from where the world is, and walks it; gives what was seen.

        Where a view is not one's own, it cannot be pointed at the old table: then the old table takes its name. Where
        the journal cannot be written any more, the rest is walked without it (silent) while the lease lasts.
        """
        owned, unwritten = True, list[str]()
        while True:
            seen = look_back(self._world, self._migration, self._clock(), past)
            steps = plan_swap.back(
                past.swaps_in(self._migration, seen),
                seen,
                past.before,
                pause_new=pause_new,
                parameters=past.back_parameters(self._migration),
                owned=owned,
                unknown=past.unknown,
            )
            engine = self._engine(known, hold, "back", may_stop=False, seen=seen, silent=silent)
            try:
                engine.run(number(steps))
            except JournalLost:
                silent = True
                continue
            except StepFailed as e:
                if owned and _denied(e):
                    owned = False
                    continue
                raise
            finally:
                unwritten += engine.journal.unwritten
            return _Walk(seen, tuple(unwritten))

    def _settling(self, known: Plan, hold: Hold, silent: bool = False) -> Settling:
        journal = self._engine(known, hold, "back", may_stop=False, silent=silent).journal
        return Settling(
            self._world,
            self._operations,
            hold,
            clock=self._clock,
            sleep=self._sleep,
            say=lambda text: journal.note("settle", "Settle", text),
            alone=known.operation_id if silent else None,
        )

    def _settle_own(self, known: Plan, hold: Hold) -> None:
        """Ends what had no answer and was sent again, then verifies once more. Raises StepFailed where it cannot."""
        if not hold.unsettled or known.kind not in CONVERGING:
            return
        settling = self._settling(known, hold)
        settling.wait_for_calls()
        settled = settling.end_statements()
        if settled.unproven:
            raise StepFailed("; ".join(settled.unproven))
        self._engine(known, hold, "forward", may_stop=False).run(known.steps[-1:])

    def _settle_forward(self, known: Plan, hold: Hold) -> tuple[str, ...]:
        """Before going on where an earlier process stopped: a sentence for each reason why something may still land."""
        settling = self._settling(known, hold)
        settling.wait_for_earlier_holder()
        settling.wait_for_calls()
        return settling.end_statements().unproven

    def _start_warehouse(self, known: Plan, hold: Hold, silent: bool = False) -> None:
        """Starts the SQL warehouse and waits for it, where the operation needs one."""
        if known.kind in CONVERGING or known.kind in (Kind.REHEARSE, Kind.DROP_BACKUP):
            journal = self._engine(known, hold, "forward", may_stop=False, silent=silent).journal
            settling = self._settling(known, hold, silent)
            self._world.ensure_running(
                lambda text: journal.note("warehouse", "StartWarehouse", text), settling.check_held
            )

    def _engine(
        self,
        known: Plan,
        hold: Hold,
        direction: str,
        *,
        may_stop: bool,
        seen: Observation | None = None,
        silent: bool = False,
    ) -> Engine:
        performer = Performer(
            self._world,
            seen or known.observation,
            lambda: engine.check_continue(),
            self._clock,
            self._sleep,
            hold.expect,
        )
        engine = Engine(
            performer,
            self._operations,
            hold,
            known.operation_id,
            direction,
            silent=silent,
            clock=self._clock,
            sleep=self._sleep,
            timing=self._patience.timing,
            parallel=self._patience.parallel,
            may_stop=may_stop,
            ended=self._ended,
        )
        return engine

    def _persist(self, hold: Hold, call: Callable[[], R]) -> R:
        return retry_while_held(call, hold, clock=self._clock, sleep=self._sleep)

    def _by_hand(self) -> dict[str, Any]:
        """For the audit log: what is where, and the commands that finish by hand."""
        try:
            return {"by_hand": as_detail(self._planner.by_hand())}
        except (WorkspaceError, StoreError) as e:
            return {"by_hand_unknown": str(e)}

    def _where(self, why: str) -> str:
        """The reason with what each name serves now, for the person who has to look."""
        try:
            found = "; ".join(f"{t}: {s}" for t, s in self._planner.serving().items())
        except (WorkspaceError, StoreError) as e:
            found = f"the tables cannot be read: {e}"
        way_out = "Resume, or roll back, once the cause is removed; or finish by hand: cutover by-hand."
        return f"NEEDS HUMAN: {why}. Now: {found}. {way_out}"

    def _end(
        self,
        record: OperationRecord,
        known: Plan,
        hold: Hold,
        actor: Actor,
        state: State,
        reason: str,
        unwritten: Sequence[str] = (),
    ) -> OperationRecord:
        """Records what became of an operation. unwritten: what the journal lacks, for the audit log.

        Raises LeaseLost: then the lease's new holder records the outcome; JournalLost: then it stays RUNNING, and is
        taken up again; Stopped where it would be VERIFIED but for a stop that was requested before.
        """

        by_hand = self._by_hand() if state is State.NEEDS_HUMAN else {}

        def ended() -> OperationRecord:
            hold.check()
            detail = {**self._ledger.journal_digest(record.id), **by_hand}
            if unwritten:
                detail["not_journaled"] = list(unwritten)
            outcome = "done" if state is State.VERIFIED else "failed"
            verified = state is State.VERIFIED
            text = "; ".join(filter(None, (reason, self._ledger.doubt(record))))
            moved = self._ledger.move(
                actor, "end", outcome, record, [State.RUNNING], state, reason=text, detail=detail, lease=hold.lease,
                columns={"ended_at": self._clock(), "reason": text}, unless_stopped=verified,
            )  # fmt: skip
            if not moved and verified and self._operations.stop_requested(record.id):
                raise Stopped(STOPPED)
            return self._operations.get(record.id) or record

        try:
            return self._persist(hold, ended)
        except JournalLost as e:
            way_out = f"the worker ends it once the store answers, or run: cutover resume {record.id}"
            raise JournalLost(f"that operation {record.id} came to {state} cannot be recorded: {e}; {way_out}") from e

    def _close_cutovers(self, rollback: OperationRecord, hold: Hold, actor: Actor) -> None:
        """Cutovers that stopped midway are ended by the rollback that put everything back."""
        midway = [State.RUNNING, State.NEEDS_HUMAN]
        for other in self._operations.find(kinds=CONVERGING, states=midway, migration=rollback.migration):
            if other.id == rollback.id:
                continue
            reason = f"rolled back by {rollback.id}; {other.reason}".rstrip("; ")
            self._ledger.move(
                actor, "end", "failed", other, midway, State.UNDONE, reason=reason, lease=hold.lease,
                detail=self._ledger.journal_digest(other.id), columns={"ended_at": self._clock(), "reason": reason},
            )  # fmt: skip

    def _goes_back(self, record: OperationRecord) -> bool:
        """Whether a cutover that was interrupted was on its way back, or had failed or been stopped before that."""
        if record.stop_requested or record.state is State.NEEDS_HUMAN:
            return True
        open_failures: set[int] = set()
        for entry in self._operations.journal(record.id):
            if entry.on_way_back:
                return True
            if entry.phase is Phase.FAILED:
                open_failures.add(entry.number)
            elif entry.phase in (Phase.DONE, Phase.ALREADY):
                open_failures.discard(entry.number)
        return bool(open_failures)


@dataclass(frozen=True)
class _Walk:
    """A way back that was walked to its end. seen: what it was planned from. unwritten: what no journal line says.
    unproven: a sentence for each reason why something that was sent before may still take effect."""

    seen: Observation
    unwritten: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a person must know of it; empty where the journal is whole."""
        if not self.unwritten:
            return ""
        return f"the journal could not be written and lacks {len(self.unwritten)} steps of the way back"


def _why(problem: Exception) -> str:
    if isinstance(problem, JournalLost):
        return f"its journal could not be written: {problem}"
    known = isinstance(problem, (StepFailed, Stopped, WorkspaceError, UnknownStep, NoWayBack))
    return str(problem) if known else f"{type(problem).__name__}: {problem}"


def _denied(problem: Exception) -> bool:
    """Whether a step failed for lack of a privilege."""
    cause = problem.__cause__
    return isinstance(problem, StepFailed) and isinstance(cause, WorkspaceError) and cause.denied
