"""Walks the steps of a plan: hold the lease, probe, journal the intent, act, read back, journal the outcome."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from app.operations.journal import Journal, JournalLost
from app.operations.performer import Detail, Performer
from app.operations.requests import IN_FLIGHT_SECONDS, Statement
from app.operations.steps import PlannedStep, StepFailed, require_known
from app.store.base import StoreError, now
from app.store.heartbeat import Heartbeat
from app.store.leases import OPERATIONS_LEASE, Lease, LeaseLost, LeaseRepository, ticks
from app.store.operations import JournalEntry, OperationsRepository, Phase
from databricks_client.errors import WorkspaceError
from databricks_client.fencing import NotSent, fenced
from databricks_client.running import new_statement, sending
from databricks_client.statement_execution import Unsettled

log = logging.getLogger("cutover.operations")

PARALLEL = 6
OPEN_AT_ONCE = 2
"""So many tables at most are without a name at a time: the fewer share the warehouse, the sooner each has its own. Not
where readers get other rows by it: there all are moved at once, so that both sides are mixed as briefly as can be."""

ATTEMPTS = 4
READ_BACKS = 5
LONGEST_WAIT = 10.0
"""Seconds that a step waits at most before it is retried, whatever the service requests."""
ABSENT, ANSWERED = "absent_seconds", "answered"
"""In the journal's detail: how long nothing had a name before this step gave it; when a step was answered."""

FIRST_GAP_PAUSE, LONGEST_GAP_PAUSE = 0.1, 2.0
"""Seconds between attempts while nothing has a name; they double from the first to the longest."""
ARRIVAL_PAUSE = 2.0
LEASE = OPERATIONS_LEASE
LEASE_SECONDS = 15.0

SEND_SECONDS = 2.0
"""What must be left of the lease, by this process's clock, when a request is sent: its bytes are on their way by then.
What the workspace does with them later is the business of who takes over (see `settle`)."""

PROGRESS_SECONDS = 420.0
"""Without a step, a look or an answer for so long the lease is not renewed: longer than any call without a limit of its
own may take."""


class Stopped(Exception):
    """The operation stopped between two steps because a stop was requested."""


class Interrupted(Exception):
    """The process is to end: the operation stays between two steps until someone resumes it or rolls it back."""


@dataclass(frozen=True)
class Timing:
    """Seconds between attempts of a step, and between reads that look whether an effect shows."""

    retry: float = 0.5
    read_back: float = 0.2


class Hold:
    """The lease while an operation runs: renewed in the background, checked before every step and every request.

    It is renewed only while the work makes progress. Leaving it releases the lease. Raises LeaseLost as soon as another
    process may have it.
    """

    def __init__(
        self,
        leases: LeaseRepository,
        lease: Lease,
        seconds: float = LEASE_SECONDS,
        beat: bool = True,
        *,
        clock: Callable[[], datetime] = now,
        since: datetime | None = None,
        ticks: Callable[[], float] = ticks,
    ) -> None:
        """since: the moment, by `clock`, before the lease was taken. ticks: a clock that nobody sets."""
        self._leases = leases
        self._lease = lease
        self._seconds = seconds
        self._clock = clock
        self._ticks = ticks
        taken = since or clock()
        self._until = taken + timedelta(seconds=seconds)
        self._ends = ticks() - max(0.0, (clock() - taken).total_seconds()) + seconds
        self._quiet = ticks() - lease.before
        self._long = self._unanswered = -math.inf
        self._look: Callable[[], bool] = lambda: False
        self.stop_seen = False
        """Whether the last renewal saw that a stop is requested. For who must not wait for the store."""
        self.progress()
        name = f"the lease {lease.name!r}"
        self._beat = Heartbeat(name, self._renew, every=seconds / 3, within=seconds) if beat else None

    def __enter__(self) -> Hold:
        if self._beat is not None:
            self._beat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._beat is not None:
            self._beat.__exit__()
        try:
            self._leases.release(self._lease, settled=self._ticks() - self._unanswered >= IN_FLIGHT_SECONDS)
        except StoreError as e:
            # It expires by itself; this must not hide what became of the operation.
            log.warning("the lease of operations was not released and expires by itself: %s", e)

    @property
    def seconds(self) -> float:
        """How long the lease lasts without renewal."""
        return self._seconds

    @property
    def lease(self) -> Lease:
        """The lease that journal lines are written under."""
        return self._lease

    @property
    def lost(self) -> str | None:
        """Why the lease cannot be renewed any more, in one line; None while it can."""
        return None if self._beat is None else self._beat.lost

    def check(self) -> None:
        """Raises LeaseLost unless the lease is held at this moment, and renewed in the background."""
        if self.lost is not None:
            raise LeaseLost(self.lost)
        self._leases.check(self._lease)

    def keep(self) -> None:
        """Keeps the lease while something is waited for. Raises LeaseLost, StoreError."""
        self.progress()
        if self.left() < self._seconds / 2:
            self.renew()
        self.check()

    def check_send(self) -> None:
        """Raises LeaseLost unless the lease lasts for SEND_SECONDS at least. Needs no store."""
        self.check_alone()
        if self.left() < min(SEND_SECONDS, self._seconds / 5):
            raise LeaseLost(f"lease {self._lease.name!r} may expire within {SEND_SECONDS:.0f} s: nothing more is sent")

    def left(self) -> float:
        """Seconds that the lease lasts at least, by this process's clocks: counted from before the last renewal.

        By two clocks, the more cautious one: one may have been set, the other may have stood while the machine did.
        """
        return min((self._until - self._clock()).total_seconds(), self._ends - self._ticks())

    def progress(self) -> None:
        """Says that the work goes on: the lease is renewed for PROGRESS_SECONDS without another sign."""
        self._due = self._ticks() + PROGRESS_SECONDS

    def expect(self, seconds: float) -> None:
        """Says that a call may take this long, so that no sign of progress need come before."""
        self._long = max(self._long, self._ticks() + seconds + PROGRESS_SECONDS)

    def tick(self) -> float:
        """This moment in seconds by a clock that nobody sets."""
        return self._ticks()

    @property
    def earlier(self) -> float:
        """The moment, by `tick`, at which the last request was sent at the latest that may still arrive: the end of the
        grant before this one (in the future where its holder lost it to an operator), or see `unanswered`."""
        return self._quiet

    def unanswered(self) -> None:
        """Says that a call had no answer and its effect does not show: it may still arrive."""
        self._unanswered = self._ticks()
        self._quiet = max(self._quiet, self._unanswered)

    @property
    def unsettled(self) -> bool:
        """Whether a call under this lease had no answer and did not show."""
        return self._unanswered > -math.inf

    def watch(self, stop_requested: Callable[[], bool]) -> None:
        """With each renewal, looks whether a stop is requested."""
        self._look = stop_requested

    def renew(self) -> None:
        """Renews the lease now. Raises LeaseLost, StoreError."""
        self._renew()

    def check_alone(self) -> None:
        """Raises LeaseLost once the lease may have expired by this process's clock. Needs no store."""
        if self.lost is not None:
            raise LeaseLost(self.lost)
        if self.left() <= 0:
            raise LeaseLost(f"lease {self._lease.name!r} may have expired: it could not be renewed in time")

    def _renew(self) -> Lease:
        moment, tick = self._clock(), self._ticks()
        if tick > max(self._due, self._long):
            raise LeaseLost(f"lease {self._lease.name!r} is given up: its work made no progress in time")
        renewed = self._leases.renew(self._lease, self._seconds)
        self._until = moment + timedelta(seconds=self._seconds)
        self._ends = tick + self._seconds
        self.stop_seen = self._look()
        return renewed


class Engine:
    """Executes steps for one operation under one lease. `direction` (`forward`, `back`) goes into the journal."""

    def __init__(
        self,
        performer: Performer,
        repository: OperationsRepository,
        hold: Hold,
        operation_id: str,
        direction: str,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
        timing: Timing | None = None,
        parallel: int = PARALLEL,
        may_stop: bool = True,
        ended: Callable[[], bool] = lambda: False,
        silent: bool = False,
    ) -> None:
        """may_stop: whether a user may request a stop. ended: whether this process is to end. silent: see Journal."""
        self._do = performer
        self._hold = hold
        if may_stop:
            hold.watch(lambda: repository.stop_requested(operation_id))
        self._journal = Journal(repository, hold, operation_id, direction, clock=clock, sleep=sleep, silent=silent)
        self._clock = clock
        self._sleep = sleep
        self._timing = timing or Timing()
        self._parallel = parallel
        self._may_stop = may_stop
        self._ended = ended
        self._halt = threading.Event()
        self._names: dict[int, str] = {}
        self._naming = threading.Lock()

    @property
    def journal(self) -> Journal:
        """What it writes to."""
        return self._journal

    def run(self, steps: Sequence[PlannedStep]) -> None:
        """All steps, stage after stage, the lanes of a stage side by side.

        Raises UnknownStep before anything is done if one is unknown; StepFailed, Stopped or WorkspaceError when a step
        could not be done (everything before it is); Interrupted between two steps; LeaseLost or JournalLost when
        nothing more may start.
        """
        for planned in steps:
            require_known(planned.step)
        for _, stage in groupby(steps, key=lambda p: p.stage):
            found = list(stage)
            lanes = [[p for p in found if p.lane == lane] for lane in dict.fromkeys(p.lane for p in found)]
            if len(lanes) == 1:
                self._lane(lanes[0])
            elif all(len(lane) == 1 for lane in lanes):
                self._together([lane[0] for lane in lanes])
            else:
                self._side_by_side(lanes)

    def _side_by_side(self, lanes: Sequence[Sequence[PlannedStep]]) -> None:
        steps = [p.step for lane in lanes for p in lane]
        few = any(s.frees_name for s in steps) and not any(s.switches_side for s in steps)
        self._all([partial(self._lane, lane) for lane in lanes], OPEN_AT_ONCE if few else self._parallel)

    def _together(self, steps: Sequence[PlannedStep]) -> None:
        """One step a lane: all are prepared first, then sent at once, so that the mixed time is about one call."""
        ready = self._all([partial(self._prepare, p) for p in steps], self._parallel)
        pairs = [(p, since) for p, since in zip(steps, ready, strict=True) if since is not None]
        if pairs:
            # Once for all of them: a store that fails in between would leave some sent and some not.
            self.check_continue()
        self._all([partial(self._act_now, p, since) for p, since in pairs], self._parallel)

    def _all(self, calls: Sequence[Callable[[], Any]], width: int) -> list[Any]:
        """`width` at once; a failure keeps the others from starting another step and is raised once all have ended."""

        def guarded(call: Callable[[], Any]) -> Any:
            try:
                return call()
            except BaseException:
                self._halt.set()
                raise

        if self._parallel == 1 or len(calls) <= 1:
            return [call() for call in calls]
        with ThreadPoolExecutor(min(width, self._parallel, len(calls))) as pool:
            # With the context: statements are tagged by it.
            futures = [pool.submit(copy_context().run, guarded, call) for call in calls]
        errors = [e for f in futures if (e := f.exception()) is not None]
        if errors:
            self._halt.clear()
            # What stops everything goes before what failed; what merely gave way to another's failure comes last.
            errors.sort(key=lambda e: (not isinstance(e, (LeaseLost, JournalLost)), isinstance(e, _GaveWay)))
            for e in errors:
                if not isinstance(e, Exception):
                    raise e
            raise errors[0]
        return [f.result() for f in futures]

    def _lane(self, steps: Sequence[PlannedStep]) -> None:
        """One step after the other.

        Steps that are joined are one chain: all their intents are journaled before the first is sent, and the store and
        the workspace's catalog are left alone until the last has been answered: what fails there must not leave a name
        that nothing has.
        """
        rest = list(steps)
        while rest:
            since = self._prepare(rest[0])
            chain = _chain(rest)
            if since is None:
                del rest[0]
                continue
            # The later ones are not looked at before: these statements refuse a name that is taken.
            intents = [since, *(self._intend(p) for p in chain[1:])]
            del rest[: len(chain)]
            if len(chain) == 1:
                self._confirm(self._send(chain[0], since))
            else:
                self._send_chain(chain, intents)

    def _send_chain(self, chain: Sequence[PlannedStep], intents: Sequence[Detail]) -> None:
        """Sends joined steps back to back, then journals and reads back what became of them."""
        sent: list[_Sent] = []
        late: list[_Late] = []
        missed = 0
        try:
            while len(sent) < len(chain):
                planned, moment = chain[len(sent)], intents[len(sent)]
                if sent and sent[-1].planned.step.frees_name:
                    try:
                        sent.append(self._give_name(sent[-1], planned, moment, late))
                    except _NotFreed:
                        missed += 1
                        freed = sent.pop()
                        if missed == ATTEMPTS:
                            late.append((freed.planned, Phase.FAILED, str(freed.lost)))
                            raise StepFailed(f"{freed.planned.step.text}: {freed.lost}") from freed.lost
                    continue
                # Every name is there: the lease's new holder can continue.
                if missed:
                    self.check_continue()
                elif sent:
                    self._journal.check_alone()
                sent.append(self._send(planned, moment, late))
        except _NameGivenBack as e:
            self._note_late(late)
            self._confirm_all([s for s in sent if s.planned is not e.freed])
            raise StepFailed(str(e)) from e.__cause__
        except LeaseLost:
            raise
        except _NameOpen as e:
            self._note_late(late)
            raise StepFailed(str(e)) from e.__cause__
        except Exception:
            self._note_late(late)
            self._confirm_all(sent)
            raise
        self._note_late(late)
        self._confirm_all(sent)

    def _give_name(self, freed: _Sent, planned: PlannedStep, since: Detail, late: list[_Late]) -> _Sent:
        """Sends the step that gives a name, until something has the name again: nothing else is done before.

        No stop and no end of the process is heard. What may succeed later is repeated while the lease lasts; what is
        refused for good is answered by giving the name back to what had it. Raises _NameGivenBack; _NotFreed; _NameOpen
        where both are refused; LeaseLost: then the new holder gives the name.
        """
        step, back = planned.step, freed.planned.step.takes_back
        since_freed = time.monotonic()
        uncertain: WorkspaceError | None = None
        for attempt in itertools.count(1):
            started = time.monotonic()
            try:
                with sending(self._name(planned)), fenced(self._check_send, self._is_lost):
                    detail = self._do.act(step)
                return self._answered(planned, since, {**detail, ABSENT: _seconds(since_freed)}, started)
            except NotSent as e:
                raise LeaseLost(str(e)) from e
            except WorkspaceError as e:
                problem: Exception = e
                late.append((planned, Phase.RETRY, f"attempt {attempt}, while nothing has the name: {e}"))
                if e.uncertain:
                    self._hold.unanswered()
                if _may_succeed(e):
                    uncertain = uncertain if e.retryable and not e.uncertain else e
                    self._hold.progress()
                    self._journal.check_alone()
                    self._sleep(gap_pause(attempt, e.retry_after))
                    continue
            except Exception as e:  # noqa: BLE001 (whatever it is, something must have the name)
                problem = e
                late.append((planned, Phase.RETRY, f"attempt {attempt}, while nothing has the name: {_kind_of(e)}"))
            # An attempt without an answer may have landed, or the step before never did: either is seen by the names.
            if uncertain is not None and self._seems_done(planned):
                return self._answered(planned, since, {ABSENT: _seconds(since_freed)}, started, uncertain)
            if freed.lost is not None and self._seems_undone(freed.planned):
                self._hold.unanswered()
                raise _NotFreed from problem
            text = f"{step.text}: {problem}"
            if back is None:
                late.append((planned, Phase.FAILED, str(problem)))
                raise _NameOpen(text) from problem
            given = self._give_back(back, freed, late)
            late.append((planned, Phase.FAILED, f"{problem}; {given}"))
            raise _NameGivenBack(f"{text}; {given}", freed.planned) from problem
        raise AssertionError("unreachable")

    def _give_back(self, back: Statement, freed: _Sent, late: list[_Late]) -> str:
        """Gives a name back to what had it, and says so. Raises _NameOpen where that is refused too, LeaseLost."""
        for attempt in itertools.count(1):
            try:
                with sending(self._name(freed.planned)), fenced(self._check_send, self._is_lost):
                    self._do.send_alone(back)
                return f"the name was given back: {back.text}"
            except NotSent as e:
                raise LeaseLost(str(e)) from e
            except WorkspaceError as e:
                late.append((freed.planned, Phase.RETRY, f"attempt {attempt} to give the name back: {e}"))
                if e.uncertain:
                    self._hold.unanswered()
                if _may_succeed(e):
                    self._hold.progress()
                    self._journal.check_alone()
                    self._sleep(gap_pause(attempt, e.retry_after))
                    continue
                if self._seems_undone(freed.planned):
                    return "the name is with what had it"
                late.append((freed.planned, Phase.FAILED, f"the name cannot be given back: {e}"))
                raise _NameOpen(f"{freed.planned.step.text}: nothing has the name, and {back.text} failed: {e}") from e
        raise AssertionError("unreachable")

    def _seems_done(self, planned: PlannedStep) -> bool:
        """Whether a step shows as done; not where that cannot be seen."""
        try:
            return self._do.is_so(planned.step, {}, {})
        except (WorkspaceError, StepFailed):
            return False

    def _seems_undone(self, planned: PlannedStep) -> bool:
        """Whether a step shows as not done; not where that cannot be seen."""
        try:
            return not self._do.is_done(planned.step)
        except (WorkspaceError, StepFailed):
            return False

    def _note_late(self, late: Sequence[_Late]) -> None:
        for planned, phase, text in late:
            self._note(planned, phase, text)

    def _confirm_all(self, sent: list[_Sent]) -> None:
        while sent:
            self._confirm(sent.pop(0))

    def _act_now(self, planned: PlannedStep, since: Detail) -> None:
        """Acts some time after the intent was journaled under the lease: so the lease is looked at again."""
        if self._halt.is_set():
            raise _GaveWay("another table's step failed")
        self._journal.check_alone()
        self._confirm(self._send(planned, since))

    def _prepare(self, planned: PlannedStep) -> Detail | None:
        """Checks the lease, looks, journals the intent. None if it is so already, else what the first intent kept."""
        self.check_continue()
        # The way back is always planned anew from the world: its numbers name other steps than an earlier try's.
        before = self._history(planned) if self._journal.direction == "forward" and planned.step.only_once else {}
        first = dict(before[Phase.INTENT].detail) if Phase.INTENT in before else None
        if Phase.DONE in before:
            self._note(planned, Phase.ALREADY, f"{planned.step.text}: done before the interruption")
            return None
        try:
            done = self._retrying(planned, lambda: self._do.is_done(planned.step, first))
        except StepFailed as e:
            self._note(planned, Phase.FAILED, str(e))
            raise
        if done:
            self._note(planned, Phase.ALREADY, f"{planned.step.text}: no change needed")
            return None
        intent = self._do.before(planned.step) if first is None else first
        self._note(planned, Phase.INTENT, planned.step.text, intent)
        return intent

    def _intend(self, planned: PlannedStep) -> Detail:
        """Journals the intent, without a look."""
        self._note(planned, Phase.INTENT, planned.step.text)
        return {}

    def _send(self, planned: PlannedStep, since: Detail, late: list[_Late] | None = None) -> _Sent:
        """Acts. After an error it looks first: the effect may be there though the answer was lost.

        late: where given, it is one of a chain: no stop is heard, and journal lines are added to it instead.
        """
        step = planned.step

        def note(phase: Phase, text: str) -> None:
            if late is None:
                self._note(planned, phase, text)
            else:
                late.append((planned, phase, text))

        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1 and late is None:
                self.check_continue()
            started = time.monotonic()
            try:
                with sending(self._name(planned)), fenced(self._check_send, self._given_up):
                    detail = self._do.act(step)
                return self._answered(planned, since, detail, started)
            except NotSent as e:
                raise LeaseLost(str(e)) from e
            except StepFailed as e:
                note(Phase.FAILED, str(e))
                raise
            except WorkspaceError as e:
                if late is not None and step.frees_name and _may_have_landed(e):
                    # To look would lengthen the time without a name: the next step finds out whether it landed.
                    return self._answered(planned, since, {}, started, e)
                if self._ended():
                    # Its statement was cancelled for that: it has not failed, and resuming looks what became of it.
                    raise Interrupted(
                        f"operation {self._journal.operation_id} stopped within a step: this process is ending"
                    ) from e
                problem = e
            self._hold.progress()
            # An update that another started looks like ours: only where no definite answer came can it be ours.
            # What cannot be read back is sent again, and what may still arrive is ended before the end.
            seen = step.readable and (problem.uncertain or step.shared_effect)
            if seen and self._shows(planned, {}, since, problem):
                return self._answered(planned, since, {}, started, problem)
            if problem.uncertain:
                self._hold.unanswered()
                if not step.repeatable:
                    self._await_arrival()
                    if self._shows(planned, {}, since, problem):
                        return self._answered(planned, since, {}, started, problem)
                    text = f"{problem}; it does not show after {IN_FLIGHT_SECONDS:.0f} s and is not sent again"
                    note(Phase.FAILED, text)
                    raise StepFailed(f"{step.text}: {text}") from problem
            if problem.error_code == "OPERATION_CANCELED" and self._given_up():
                self._hold.check_alone()
                raise Stopped("a stop was requested; the statement under way was cancelled") from problem
            if not problem.retryable or attempt == ATTEMPTS or isinstance(problem, Unsettled):
                note(Phase.FAILED, str(problem))
                raise StepFailed(f"{step.text}: {problem}") from problem
            note(Phase.RETRY, f"attempt {attempt} of {ATTEMPTS}: {problem}")
            self._sleep(max(self._timing.retry * 2 ** (attempt - 1), min(problem.retry_after or 0.0, LONGEST_WAIT)))
        raise AssertionError("unreachable")

    def _await_arrival(self) -> None:
        """Waits until a request that had no answer has arrived, or never will. No stop is heard: it may be on its way.

        Raises LeaseLost, JournalLost; Interrupted: whoever resumes waits in its place.
        """
        while (left := self._hold.earlier + IN_FLIGHT_SECONDS - self._hold.tick()) > 0:
            self._sleep(min(ARRIVAL_PAUSE, left + 0.01))
            self._journal.keep()
            if self._ended():
                raise Interrupted(f"operation {self._journal.operation_id} stopped while a request may still arrive")

    def _answered(
        self, planned: PlannedStep, since: Detail, detail: Detail, started: float, lost: WorkspaceError | None = None
    ) -> _Sent:
        return _Sent(planned, since, {**detail, ANSWERED: self._clock().isoformat()}, _seconds(started), lost)

    def _confirm(self, sent: _Sent) -> None:
        """Reads back what was answered as done, and journals it."""
        planned, text = sent.planned, sent.planned.step.text
        if sent.lost is not None:
            text += f": the answer was lost ({sent.lost}), the effect is there"
        elif not self._shows(planned, sent.detail, sent.since, None):
            self._note(planned, Phase.FAILED, f"{text}: the answer was success, but the effect is missing", sent.detail)
            raise StepFailed(f"{text}: the answer was success, but the effect is missing")
        self._note(planned, Phase.DONE, text, {**sent.detail, "seconds": sent.seconds})

    def _shows(self, planned: PlannedStep, detail: Detail, since: Detail, problem: Exception | None) -> bool:
        """Whether the effect can be seen. After success it is looked for a few times: a listing may lag behind."""
        step = planned.step
        if not step.changes:
            return problem is None
        for attempt in range(READ_BACKS if problem is None else 1):
            if attempt:
                self._sleep(self._timing.read_back * 2**attempt)
            try:
                if self._retrying(planned, lambda: self._do.is_so(step, detail, since)):
                    return True
            except StepFailed as e:
                if problem is not None:
                    continue
                self._note(planned, Phase.FAILED, str(e))
                raise
        return False

    def _retrying(self, planned: PlannedStep, look: Callable[[], bool]) -> bool:
        """Looks, a few times where the workspace does not answer. Raises StepFailed when it stays so."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return look()
            except WorkspaceError as e:
                if not e.retryable or attempt == ATTEMPTS:
                    raise StepFailed(f"{planned.step.text}: cannot be read: {e}") from e
                self._sleep(self._timing.retry * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def check_continue(self) -> None:
        """Called between steps and while one waits. Raises what keeps the operation from going on."""
        if self._halt.is_set():
            raise _GaveWay("another table's step failed")
        self._journal.check()
        if self._ended():
            raise Interrupted(
                f"operation {self._journal.operation_id} stopped between two steps: this process is ending"
            )
        if self._may_stop and self._journal.stop_requested():
            raise Stopped("a stop was requested")

    def _history(self, planned: PlannedStep) -> dict[Phase, JournalEntry]:
        """The first line of this step in each phase, by this run or one that was interrupted."""
        found: dict[Phase, JournalEntry] = {}
        for entry in self._journal.entries():
            if entry.direction == self._journal.direction and entry.number == planned.number:
                found.setdefault(entry.phase, entry)
        return found

    def _note(self, planned: PlannedStep, phase: Phase, text: str, detail: Detail | None = None) -> None:
        if phase is Phase.INTENT and planned.step.changes:
            # The name that its statement carries: by it whoever takes over finds it in the query history.
            detail = {**(detail or {}), "statement": self._name(planned)}
        self._journal.write(planned, phase, text, detail)

    def _name(self, planned: PlannedStep) -> str:
        with self._naming:
            if planned.number not in self._names:
                self._names[planned.number] = new_statement(self._hold.lease.token)
            return self._names[planned.number]

    def _check_send(self) -> None:
        """Called right before a request's bytes are sent: waits for nothing."""
        try:
            self._hold.check_send()
        except LeaseLost as e:
            raise NotSent(str(e)) from e

    def _is_lost(self) -> bool:
        return self._hold.lost is not None

    def _given_up(self) -> bool:
        """Whether what is under way is to be cancelled: waits for nothing."""
        return self._hold.lost is not None or self._ended() or (self._may_stop and self._hold.stop_seen)


_Late = tuple[PlannedStep, Phase, str]
"""A journal line that waits until its name is no longer open."""


def _chain(steps: Sequence[PlannedStep]) -> list[PlannedStep]:
    """The first step with those that it is joined with."""
    found = [steps[0]]
    while found[-1].step.joined and len(found) < len(steps):
        found.append(steps[len(found)])
    return found


class _NameOpen(Exception):
    """Nothing has a name, and what could give it was refused."""


class _NotFreed(Exception):
    """The step that was to free a name had no answer and did not land: what had the name has it still."""


class _NameGivenBack(Exception):
    """A name that was freed has what had it before; freed: the step that had freed it."""

    def __init__(self, text: str, freed: PlannedStep) -> None:
        super().__init__(text)
        self.freed = freed


def gap_pause(attempt: int, retry_after: float | None) -> float:
    """Seconds until a name is tried for again: short, since readers get errors, but not below what was requested."""
    own = FIRST_GAP_PAUSE * 2.0 ** min(attempt - 1, 10)
    return min(max(own, retry_after or 0.0), LONGEST_GAP_PAUSE)


def _may_have_landed(problem: WorkspaceError) -> bool:
    return problem.uncertain or problem.error_code == "OPERATION_CANCELED"


def _may_succeed(problem: WorkspaceError) -> bool:
    """Whether a statement may succeed when repeated; one that was cancelled because the process ends is among them."""
    return problem.retryable or problem.uncertain or problem.error_code == "OPERATION_CANCELED"


def _kind_of(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


@dataclass(frozen=True)
class _Sent:
    """A step that was sent. since: what its first intent kept. lost: the error in place of an answer, where its effect
    was seen all the same."""

    planned: PlannedStep
    since: Detail
    detail: Detail
    seconds: float
    lost: WorkspaceError | None = None


def _seconds(started: float) -> float:
    return round(time.monotonic() - started, 3)


class _GaveWay(StepFailed):
    """This lane stopped because another failed."""
