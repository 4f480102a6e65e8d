"""What can go wrong in a comparison: wrong use, an unreadable side, a statement that failed or was cancelled."""

from __future__ import annotations

import re

from databricks_client.redact import redact

_CLASS = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")


class ValidationError(Exception):
    """Base of all errors of this package; the text names the thing, the cause and the way out, in one line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(redact(message))


class SpecError(ValidationError):
    """The specification of a comparison is wrong (bad name, tolerance, key...): wrong use, nothing was run."""


class StatementError(ValidationError):
    """The warehouse refused or failed a statement.

    sqlstate: the five characters of the SQL standard where the service gives them, else "".
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate

    @property
    def kind(self) -> str:
        """Error class and SQLSTATE alone: the message may quote values of the tables."""
        found = _CLASS.search(str(self))
        state = f"SQLSTATE {self.sqlstate}" if self.sqlstate else ""
        return ", ".join(p for p in (found.group(1) if found else "", state) if p) or "of an unknown class"


class SideUnreadable(ValidationError):
    """One side cannot be read: it does not exist, the caller may not read it, or its description failed."""


class Cancelled(ValidationError):
    """The caller cancelled the comparison; the running statement was cancelled on the warehouse."""
