"""Ends a command on SIGINT, SIGTERM or SIGHUP: cancels what it runs on the warehouse, and is gone within 2 s."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from databricks_client.running import RUNNING

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

CANCEL_SECONDS = 1.5
"""For cancelling statements on the warehouse: their first request may take a second until it is answered."""

END_SECONDS = 1.7
"""From the signal to the end of the process, whatever still blocks it."""


class Signalled(KeyboardInterrupt):
    """A signal requests the end of this process. number: which signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def status_of(number: int) -> int:
    """The exit status of a process that a signal ended, as shells have it."""
    return 128 + number


class Ending:
    """Whether a signal has requested the end of this process."""

    def __init__(self, final_message: Callable[[str], object]) -> None:
        self._final_message = final_message
        self._said = threading.Lock()
        self.number: int | None = None
        self.raised = False
        self.done = threading.Event()

    def status(self, otherwise: int) -> int:
        """The exit status: 128 + the signal's number, or `otherwise` without one."""
        return otherwise if self.number is None else status_of(self.number)

    def say(self, number: int) -> None:
        """Prints the final message of the command, once: called by the command itself, or in its place."""
        if self._said.acquire(blocking=False):
            self._final_message(signal.Signals(number).name)

    def watch(self, pipe: int) -> None:
        """Waits for the first signal; cancels, and ends the process where the main thread does not."""
        received = os.read(pipe, 1)
        if not received or received[0] not in SIGNALS:
            return
        number, until = received[0], time.monotonic() + END_SECONDS
        RUNNING.cancel_all(CANCEL_SECONDS)
        if not self.done.wait(max(0.0, until - time.monotonic())):
            with contextlib.suppress(Exception):
                self.say(number)
        # Also where it is done: threads that still wait for an answer would keep the interpreter from ending.
        time.sleep(max(0.0, min(0.2, until - time.monotonic())))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status_of(number))


@contextlib.contextmanager
def ends_on_signals(final_message: Callable[[str], object] = lambda _: None) -> Iterator[Ending]:
    """For the whole of a command, in the main thread: a signal raises Signalled there.

    A thread of its own takes the signal too, since Python runs a handler only once the main thread is back from where
    it blocks, as in a name lookup. final_message: called with the signal's name where the main
    thread does not end itself.
    """
    ending = Ending(final_message)
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return

    def raised(number: int, _frame: FrameType | None) -> None:
        ending.number = number
        if not ending.raised:  # A second one must not break off what the first one ends.
            ending.raised = True
            raise Signalled(number)

    # What is ignored stays so: `nohup` makes SIGHUP so.
    before = {n: signal.getsignal(n) for n in SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    wakeup = signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
    threading.Thread(target=ending.watch, args=(receiving,), name="signals", daemon=True).start()
    for number in before:
        signal.signal(number, raised)
    try:
        yield ending
    finally:
        ending.done.set()
        if ending.number is None:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(sending)
