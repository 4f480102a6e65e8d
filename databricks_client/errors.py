"""The one error of the workspace: which thing, why, and the way out, in one line; the original stays as `__cause__`."""

from __future__ import annotations

import re

from databricks_client.connection import words
from databricks_client.redact import redact

MAX_RETRY_AFTER = 86_400
"""Seconds; a longer Retry-After counts as a mistake of the service. Callers cap it further."""

_SQL_STATE = re.compile(r"SQLSTATE:?\s*([0-9A-Z]{5})")
_ERROR_CLASS = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")


class WorkspaceError(Exception):
    """A call to the workspace failed.

    what: the thing and the action, e.g. `pause job 42`. cause: the platform's own words. way_out: what to do.
    retryable: the same call may succeed later (throttled, unavailable, no answer).
    uncertain: no definite answer came, so a write may or may not have taken effect: read back before anything else.
    status: HTTP status, if one came. error_code: the platform's (`RESOURCE_DOES_NOT_EXIST`, or an SQL error class).
    sql_state: five characters, for SQL. retry_after: seconds to wait, from the service.
    """

    def __init__(
        self,
        what: str,
        cause: str,
        way_out: str = "",
        *,
        retryable: bool = False,
        uncertain: bool = False,
        status: int | None = None,
        error_code: str | None = None,
        sql_state: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.what = one_line(what)
        self.cause = one_line(cause)
        self.way_out = one_line(way_out)
        self.retryable = retryable
        self.uncertain = uncertain
        self.status = status
        self.error_code = error_code
        self.sql_state = sql_state
        self.retry_after = retry_after
        super().__init__(f"{self.what}: {self.cause}" + (f"; {self.way_out}" if self.way_out else ""))

    @property
    def not_found(self) -> bool:
        """The thing does not exist (or the caller may not know that it does)."""
        return self.status == 404 or self.sql_state == "42P01" or self.error_code == "TABLE_OR_VIEW_NOT_FOUND"

    @property
    def denied(self) -> bool:
        """The caller lacks a privilege, or is not known."""
        return self.status in (401, 403) or self.sql_state == "42501"


def one_line(text: object, limit: int = 600) -> str:
    """`text` without credentials and line breaks, cut to `limit` characters."""
    flat = " ".join(redact(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def from_rest(what: str, error: Exception) -> WorkspaceError:
    """The WorkspaceError for what the SDK raised; the caller raises it `from error`."""
    # The SDK takes 1.2 s of processor time to import: here, not above, since all that reads only the store imports
    # WorkspaceError too.
    import requests
    from databricks.sdk.errors import platform
    from databricks.sdk.errors.base import DatabricksError

    if isinstance(error, WorkspaceError):
        return error
    if isinstance(error, DatabricksError):
        statuses = {cls: status for status, cls in platform.STATUS_CODE_MAPPING.items()}
        status = next((statuses[c] for c in type(error).__mro__ if c in statuses), None)
        transient = status in (429, 503, 504) or error.retry_after_secs is not None
        return WorkspaceError(
            what,
            str(error) or type(error).__name__,
            _WAY_OUT.get(status or 0, ""),
            retryable=transient or (status is not None and status >= 500 and status != 501),
            uncertain=status is None or (status >= 500 and status != 501),
            status=status,
            error_code=error.error_code,
            retry_after=_seconds_to_wait(error.retry_after_secs),
        )
    if isinstance(error, (requests.RequestException, TimeoutError, ConnectionError)):
        return WorkspaceError(
            what,
            f"no answer from the workspace ({words(error) or _reason(error)})",
            "check that it runs and can be reached",
            retryable=True,
            uncertain=True,
        )
    return WorkspaceError(what, f"{type(error).__name__}: {error}", uncertain=True)


def _seconds_to_wait(requested: int | None) -> float | None:
    """The service's Retry-After, None where it gives no usable time."""
    return None if requested is None or requested < 0 else float(min(requested, MAX_RETRY_AFTER))


def from_sql(what: str, error: Exception) -> WorkspaceError:
    """The WorkspaceError for what the SQL connector raised; the caller raises it `from error`."""
    message = str(getattr(error, "message", None) or error)
    context = getattr(error, "context", None) or {}
    state = _SQL_STATE.search(message)
    error_class = _ERROR_CLASS.search(message)
    status = context.get("http-code") if isinstance(context, dict) else None
    if state is None and error_class is None:
        # Without an error class it is not the warehouse that spoke: the request or its answer was lost on the way.
        original = context.get("original-exception") if isinstance(context, dict) else None
        reason = words(error) or _reason(original if isinstance(original, Exception) else error)
        return WorkspaceError(
            what,
            f"no answer from the SQL warehouse ({reason})",
            _WAY_OUT.get(status or 0, "check that it runs and can be reached"),
            retryable=True,
            uncertain=True,
            status=status if isinstance(status, int) else None,
        )
    code = state.group(1) if state else ""
    return WorkspaceError(
        what,
        message.split("\n\nJVM stacktrace", 1)[0],
        # Class 08 is a lost connection behind the warehouse, XX an internal error: neither says how far it came.
        retryable=code.startswith("08"),
        uncertain=code.startswith(("08", "XX")),
        error_code=error_class.group(1) if error_class else None,
        sql_state=code or None,
    )


def _reason(error: BaseException) -> str:
    """The innermost cause in few words: the clients wrap it several times over."""
    for _ in range(10):
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = one_line(error, 400)
    # urllib3 puts its own words before those of the system: `...: [Errno 111] Connection refused`.
    return one_line(text.rsplit(": ", 1)[-1] or type(error).__name__, 200)


_WAY_OUT = {
    401: "check the credentials",
    403: "have the privilege granted to the acting principal",
    429: "the workspace is throttling; try again later",
    503: "the workspace is unavailable; try again later",
    504: "the workspace did not answer in time; try again later",
}
