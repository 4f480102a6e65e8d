"""The journal of an operation while it runs: writes are retried while the lease lasts, and end in an orderly stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from app.operations.steps import PlannedStep
from app.store.base import StoreError
from app.store.leases import LeaseLost
from app.store.operations import JournalEntry, OperationsRepository, Phase

if TYPE_CHECKING:
    from app.operations.engine import Hold

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between attempts; they double from the first to the longest."""

R = TypeVar("R")


class JournalLost(StoreError):
    """The store did not answer while the lease allowed retries. No further step may start; what is done is undone."""


def retry_while_held(
    call: Callable[[], R],
    hold: Hold,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    given_up: Callable[[], bool] = lambda: False,
) -> R:
    """What `call` gives. While it raises StoreError it is called again, up to half the lease's length and while half of
    the lease remains, so that the other half is left to undo.

    given_up: whether another thread has already given up. Raises JournalLost, and what else `call` raises.
    """
    first = clock()
    pause = FIRST_PAUSE
    while True:
        try:
            return call()
        except StoreError as e:
            spent = (clock() - first).total_seconds()
            if given_up() or spent >= hold.seconds / 2 or hold.left() <= hold.seconds / 2:
                raise JournalLost(str(e)) from e
        sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class Journal:
    """One direction of one operation. Threads may share it.

    silent: the store is left alone: lines are kept in `unwritten`, and the lease counts by this process's clock. For
    the way back once the store has failed: no other process can hold the lease before it has expired.
    """

    def __init__(
        self,
        repository: OperationsRepository,
        hold: Hold,
        operation_id: str,
        direction: str,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        silent: bool = False,
    ) -> None:
        self._repository = repository
        self._hold = hold
        self._clock = clock
        self._sleep = sleep
        self._lost = False
        self.operation_id = operation_id
        self.direction = direction
        self.silent = silent
        self.unwritten: list[str] = []

    def write(self, planned: PlannedStep, phase: Phase, text: str, detail: Mapping[str, Any] | None = None) -> None:
        """Appends a line of a step. Raises LeaseLost, JournalLost."""
        self._hold.progress()
        if self.silent:
            if phase is not Phase.INTENT:
                self.unwritten.append(f"{text} ({phase})")
            return
        step = type(planned.step).__name__
        self._write(planned.number, planned.stage, planned.lane, step, phase, text, detail)

    def note_undo(self, text: str) -> None:
        """Says that from here everything goes back. Raises LeaseLost, JournalLost."""
        self._write(0, "undo", "", "Undo", Phase.NOTE, text)

    def note(self, stage: str, step: str, text: str, detail: Mapping[str, Any] | None = None) -> None:
        """A line that is of no step. Raises LeaseLost, JournalLost."""
        self._hold.progress()
        if not self.silent:
            self._write(0, stage, "", step, Phase.NOTE, text, detail)

    def note_once(self, stage: str, text: str) -> None:
        """Writes a line that nothing waits for: where the store does not answer, it is kept in `unwritten`.

        Raises LeaseLost.
        """
        try:
            self._hold.check_alone()
            if not self.silent:
                self._repository.write(
                    self._hold.lease, self.operation_id, direction=self.direction, number=0, stage=stage, lane="",
                    step="", phase=Phase.NOTE, text=text,
                )  # fmt: skip
                return
        except LeaseLost:
            raise
        except StoreError:
            pass
        self.unwritten.append(text)

    def _write(
        self,
        number: int,
        stage: str,
        lane: str,
        step: str,
        phase: Phase,
        text: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        self._persist(
            lambda: self._repository.write(
                self._hold.lease,
                self.operation_id,
                direction=self.direction,
                number=number,
                stage=stage,
                lane=lane,
                step=step,
                phase=phase,
                text=text,
                detail=detail,
            )
        )

    def check(self) -> None:
        """Raises LeaseLost unless the lease is held at this moment. Who checks goes on: that is progress."""
        self._hold.progress()
        if self.silent:
            self._hold.check_alone()
        else:
            self._persist(self._hold.check)

    def keep(self) -> None:
        """Keeps the lease while something is waited for. Raises LeaseLost, JournalLost."""
        if self.silent:
            self._hold.check_alone()
        else:
            self._persist(self._hold.keep)

    def check_alone(self) -> None:
        """Raises LeaseLost if the lease has run out by this process's clock; waits for no store."""
        self._hold.check_alone()

    def stop_requested(self) -> bool:
        """Whether a stop of the operation was requested."""
        return not self.silent and self._persist(lambda: self._repository.stop_requested(self.operation_id))

    def entries(self) -> Sequence[JournalEntry]:
        """All lines of the operation so far."""
        return self._persist(lambda: self._repository.journal(self.operation_id))

    def _persist(self, call: Callable[[], R]) -> R:
        try:
            return retry_while_held(call, self._hold, clock=self._clock, sleep=self._sleep, given_up=lambda: self._lost)
        except JournalLost:
            self._lost = True
            raise
