"""What a database's error means: its cause and the way out, in one line, the same words for SQLite and PostgreSQL."""

from __future__ import annotations

import re

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_ERRORS = (SQLAlchemyError, UnicodeError, OverflowError)
"""What a database driver raises: its own errors, and Python's for a value that it cannot send."""

_LOCKED = "the database is locked by another connection: end what holds it, or try again"
_SLOW = "the database needs too long for a statement: look at its load, then try again"
_FULL = "the disk or the quota of the database is full: free some space"
_READ_ONLY = "the database is read-only: give this process write access to it (a file needs it for its folder too)"
_UNREADABLE = "the database file cannot be opened: look at its path and at the access rights of its folder"
_DAMAGED = "the file is damaged or no database: restore a backup, or name another file"
_DOWN = "the database server does not answer: look whether it runs, and at host and port in CUTOVER_STORE_URL"
_UNKNOWN_HOST = "the database server's host name is unknown: look at CUTOVER_STORE_URL"
_STARTING = "the database server starts or stops: try again soon"
_BUSY = "the database server accepts no more connections: close some, or raise its limit"
_NO_DATABASE = "no such database on that server: create it, or look at its name in CUTOVER_STORE_URL"
_PASSWORD = "the database server refuses the user or the password: look at both"
_NOT_ALLOWED = "the database user lacks a right: grant it"
_NO_TABLE = "a table of the store is missing: the schema is another version's or damaged"

_SQLITE = (
    (("SQLITE_BUSY", "SQLITE_LOCKED"), _LOCKED),
    (("SQLITE_FULL",), _FULL),
    (("SQLITE_READONLY", "SQLITE_PERM"), _READ_ONLY),
    (("SQLITE_CANTOPEN",), _UNREADABLE),
    (("SQLITE_NOTADB", "SQLITE_CORRUPT"), _DAMAGED),
    (("SQLITE_IOERR",), "the disk of the database reports an error: look at its space and health"),
)
"""By the beginning of `sqlite_errorname`, https://www.sqlite.org/rescode.html."""

_POSTGRES = {
    "55P03": _LOCKED,
    "40P01": _LOCKED,
    "57014": _SLOW,
    "53100": _FULL,
    "25006": _READ_ONLY,
    "53300": _BUSY,
    "57P01": _STARTING,
    "57P02": _STARTING,
    "57P03": _STARTING,
    "3D000": _NO_DATABASE,
    "28P01": _PASSWORD,
    "28000": _PASSWORD,
    "42501": _NOT_ALLOWED,
    "42P01": _NO_TABLE,
    "42703": _NO_TABLE,
}
"""By SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_BY_TEXT = (
    (r"no such (table|column)|has no column named", _NO_TABLE),
    (r"could not translate host name|failed to resolve host|name or service not known|name resolution", _UNKNOWN_HOST),
    (r"connection refused|timeout expired|timed out|no route to host|network is unreachable|does not answer", _DOWN),
    (r"database .* does not exist", _NO_DATABASE),
    (r"password authentication failed|role .* does not exist|no pg_hba.conf entry|no password supplied", _PASSWORD),
    (r"too many (clients|connections)|connection slots are reserved", _BUSY),
    (r"(is|are) (starting up|shutting down)|not yet accepting connections|terminating connection", _STARTING),
    (r"server closed the connection|connection (was |is )?(closed|lost|reset)", _DOWN),
)
"""Where a driver gives no code, as libpq does for a connection that did not come about."""


def cause(error: BaseException) -> str:
    """Why the database failed and what to do, then the driver's own words; those alone where they are not known."""
    if isinstance(error, PoolTimeout):
        return "all connections to the database are in use: try again, or end what holds them"
    original = getattr(error, "orig", None) or error
    words = in_a_line(str(original))
    meaning = _meaning(original, words)
    return words if meaning is None else f"{meaning} ({words})"


def _meaning(original: BaseException, words: str) -> str | None:
    name = getattr(original, "sqlite_errorname", None) or ""
    for beginnings, meaning in _SQLITE:
        if name.startswith(beginnings):
            return meaning
    found = _POSTGRES.get(getattr(original, "sqlstate", None) or "")
    if found is not None:
        return found
    if isinstance(original, UnicodeError):
        return "a text holds what no database can keep"
    return next((meaning for pattern, meaning in _BY_TEXT if re.search(pattern, words, re.IGNORECASE)), None)


def in_a_line(text: str) -> str:
    """Without line breaks and control characters, which the quoted value of a statement may hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
