"""Ends what an earlier executor sent: before and after the way back, until nothing of it can take effect any more.

Statements are found in the query history by the operation in their comment; they are cancelled, and their end is
awaited. REST calls cannot be cancelled: what was sent before the earlier lease's end has arrived some seconds later.
What cannot be proven to have ended makes an outcome that a person has to look at, never VERIFIED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.operations.engine import Hold
from app.operations.requests import IN_FLIGHT_SECONDS
from app.operations.world import World
from app.store.operations import JournalEntry, OperationRecord, OperationsRepository, Phase, State
from databricks_client.errors import WorkspaceError
from databricks_client.statement_execution import Sent, names

FIRST_SETTLE_SECONDS = 10.0
"""How long statements are cancelled and awaited before the old side is served again all the same."""

SETTLE_SECONDS = 30.0
"""How long they are awaited after that, before a person has to look."""

SHOWN_FOR = timedelta(days=1)
"""Statements that ended this long ago at most are sure to be in the history of who may see them."""

PAUSE, WAIT_PAUSE = 0.5, 2.0


@dataclass(frozen=True)
class Settled:
    """found: whether a statement had not ended. unproven: a sentence for each reason why something may still land."""

    found: bool = False
    unproven: tuple[str, ...] = ()


class Settling:
    """Of one executor that holds the lease. Every method raises LeaseLost, and StoreError unless alone.

    say: gets a line when something is waited for. alone: the id of the operation where the store does not answer: then
    only its own statements are ended, while the lease lasts by this process's clock.
    """

    def __init__(
        self,
        world: World,
        operations: OperationsRepository,
        hold: Hold,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        say: Callable[[str], object],
        alone: str | None = None,
    ) -> None:
        self._world = world
        self._operations = operations
        self._hold = hold
        self._clock = clock
        self._sleep = sleep
        self._say = say
        self._alone = alone

    def end_statements(self, seconds: float = SETTLE_SECONDS) -> Settled:
        """Cancels every statement of operations of this store and waits for its end, so many seconds at most."""
        start = self._clock()
        found = False
        while True:
            problem = ""
            left: list[Sent] = []
            try:
                left = [s for s in self._world.open_statements() if self._ours(s.tag.id)]
            except WorkspaceError as e:
                problem = f"the query history cannot be read: {e.cause}"
            if not left and not problem:
                return Settled(found, self._unseen())
            if left and not found:
                self._say(f"cancelling {len(left)} statements that an earlier process sent: {names(left)}")
            found = found or bool(left)
            for sent in left:
                with suppress(WorkspaceError):  # The next look shows whether it ended.
                    self._world.cancel_statement(sent.statement_id)
            if (self._clock() - start).total_seconds() >= seconds:
                reasons = [problem] if problem else []
                reasons += [f"statement {names([s])} has not ended though it was cancelled" for s in left]
                return Settled(found, tuple(reasons))
            self._pause(PAUSE)

    def wait_for_earlier_holder(self) -> None:
        """Until who held the lease before, and lost it to an operator, can count on it no longer."""
        self._wait(0.0, "until the process that held the lease before has noticed that it lost it")

    def wait_for_calls(self) -> None:
        """Until what was sent under the earlier lease, or had no answer under this one, has arrived."""
        self._wait(IN_FLIGHT_SECONDS, "until no request that was sent before can arrive any more")

    def quiet(self, began: float) -> bool:
        """Whether all that was sent before had arrived at the moment `began` of `Hold.tick`."""
        return began - self._hold.earlier >= IN_FLIGHT_SECONDS

    def check_held(self) -> None:
        """Keeps the lease while something is waited for."""
        if self._alone is None:
            self._hold.keep()
            return
        self._hold.progress()
        self._hold.check_alone()

    def _wait(self, after: float, why: str) -> None:
        left = self._hold.earlier + after - self._hold.tick()
        if left <= 0:
            return
        self._say(f"waiting {left:.0f} s {why}")
        while (left := self._hold.earlier + after - self._hold.tick()) > 0:
            self._pause(min(WAIT_PAUSE, left + 0.01))

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self.check_held()

    def _ours(self, operation_id: str) -> bool:
        if self._alone is not None:
            return operation_id == self._alone
        return self._operations.get(operation_id) is not None

    def _unseen(self) -> tuple[str, ...]:
        """Where not one statement of an unfinished operation is shown, the history of its sender is not either."""
        for operation_id, statement in self._known_statements().items():
            try:
                if not self._world.sees_statement(statement):
                    return (
                        f"the query history does not show statement {statement} of {operation_id} to this principal: "
                        "what else its sender sent is unknown; grant CAN MONITOR on the SQL warehouse",
                    )
            except WorkspaceError as e:
                return (f"the query history cannot be read: {e.cause}",)
        return ()

    def _known_statements(self) -> Mapping[str, str]:
        """Operation to the id of its newest statement whose end was journaled by an earlier holder of the lease."""
        found: dict[str, str] = {}
        if self._alone is not None:
            return found
        for record in unfinished(self._operations):
            for entry in reversed(self._operations.journal(record.id)):
                if self._clock() - entry.at > SHOWN_FOR:
                    break
                if entry.token != self._hold.lease.token and (known := _statement_id(entry)):
                    found[record.id] = known
                    break
        return found


def unfinished(operations: OperationsRepository, but: str | None = None) -> list[OperationRecord]:
    """Operations that were started and have not come to an end."""
    found = operations.find(states=[State.RUNNING, State.NEEDS_HUMAN])
    return [o for o in found if o.id != but]


def _statement_id(entry: JournalEntry) -> str:
    return str(entry.detail.get("statement_id", "")) if entry.phase is Phase.DONE else ""
