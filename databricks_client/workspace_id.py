"""Which workspace this is, as the service itself reports it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from databricks_client.answers import Answer
from databricks_client.endpoint import on_this_machine
from databricks_client.errors import WorkspaceError
from databricks_client.rest import Rest

ORG_ID = "X-Databricks-Org-Id"


@dataclass(frozen=True)
class WorkspaceId:
    """A workspace. id: the service's number for it; where it reports none, its host.

    local: it is reached on this machine. A workspace that is reached through a tunnel is therefore another one than the
    same workspace by its own name.
    """

    id: str
    host: str
    local: bool


def read_workspace_id(rest: Rest, host: str) -> WorkspaceId:
    """The workspace behind `host`. Not from settings of this process, which may be wrong.

    Raises WorkspaceError where the service does not answer.
    """
    name = urlsplit(host).hostname or host
    reported = _of_host(rest) or _of_header(rest)
    return WorkspaceId(reported or f"host {name}", host, on_this_machine(host))


def _of_host(rest: Rest) -> str | None:
    what = "read which workspace this is"
    try:
        found = rest.get(what, "/.well-known/databricks-config")
    except WorkspaceError as e:
        if e.status in (400, 401, 403, 404):
            return None
        raise
    return str(found.whole("workspace_id", 1)) if found.has("workspace_id") else None


def _of_header(rest: Rest) -> str | None:
    what = "read which workspace this is"
    path = "/api/2.0/preview/scim/v2/Me"
    try:
        raw = rest.read(what, lambda: rest.client.api_client.do("GET", path, response_headers=[ORG_ID]))
    except WorkspaceError as e:
        if e.status == 404:
            return None
        raise
    found = Answer(raw, what)
    return str(found.whole(ORG_ID, 1)) if found.has(ORG_ID) else None
