"""Exit status of a command, and the exceptions that end it."""

from __future__ import annotations

from typing import NoReturn

DONE, FAILED, WRONG_USE = 0, 1, 2


class WrongUse(Exception):
    """The command line cannot be executed; one line that says what is wrong and what to write."""


class Ended(Exception):
    """The command has printed its answer and ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def end(passed: bool) -> NoReturn:
    """Ends the command with 0 or 1."""
    raise Ended(DONE if passed else FAILED)
