"""The workspace's clock, as the Date header of an answer has it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from databricks_client.answers import Answer
from databricks_client.errors import WorkspaceError
from databricks_client.rest import Rest

_ME = "/api/2.0/preview/scim/v2/Me"


def read_clock(rest: Rest) -> datetime | None:
    """When the workspace answered, by its own clock, to the second; None where its answer has no date.

    Raises WorkspaceError.
    """
    what = "read the workspace's clock"
    raw = rest.read(what, lambda: rest.client.api_client.do("GET", _ME, response_headers=["Date"]))
    text = Answer(raw, what).text_or_none("Date")
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError as e:
        raise WorkspaceError(what, f"its Date header {text!r} is no date") from e
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
