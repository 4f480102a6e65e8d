"""How a command ends: its exit status, and what stops it before."""

from __future__ import annotations

from typing import NoReturn

DONE, FAILED, WRONG_USE = 0, 1, 2


class WrongUse(Exception):
    """The command was given what makes no sense; one line that says what would."""


class Ended(Exception):
    """The command has printed its answer and ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def end(passed: bool) -> NoReturn:
    """Ends the command with 0 or 1."""
    raise Ended(DONE if passed else FAILED)
