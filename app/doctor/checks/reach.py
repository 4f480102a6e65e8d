"""Whether the workspace answers, which one it is, and as whom."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.model import Finding, ok, unknown
from app.doctor.model import missing as absent
from app.doctor.setup import Setup
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError


def find(setup: Setup) -> Iterator[Finding]:
    """The workspace's number, and the acting principal."""
    host = setup.workspace.endpoint.host
    try:
        me = setup.me()
    except (WorkspaceError, EndpointError) as e:
        if not reached(setup):
            yield absent(host, str(e), f"curl -sS -o /dev/null -w '%{{http_code}}' {host}/api/2.0/preview/scim/v2/Me")
            return
        yield _refused(setup, e)
        return
    try:
        number = setup.once("workspace id", lambda: setup.workspace.workspace_id)
        yield ok("workspace", f"{host} answers; it is workspace {number.id}")
    except WorkspaceError as e:
        yield unknown("workspace", f"{host} answers, and which workspace it is cannot be read: {e.cause}")
    groups = "whose groups are not shown to it" if me.groups is None else f"in {len(me.groups)} group(s)"
    yield ok("identity", f"acts as {me.user_name}, {groups}")


def _refused(setup: Setup, error: WorkspaceError | EndpointError) -> Finding:
    if setup.settings.in_databricks_apps:
        return absent("identity", str(error), "databricks apps start cutover")
    host = setup.workspace.endpoint.host
    return absent("identity", str(error), f"databricks auth login --host {host}")


def signed_in(setup: Setup) -> bool:
    """Whether the workspace takes this process's credentials."""
    try:
        setup.me()
    except (WorkspaceError, EndpointError) as e:
        # Everybody may read who they are: a refusal is one of the credentials.
        return getattr(e, "status", None) not in (401, 403) and reached(setup)
    return True


def reached(setup: Setup) -> bool:
    """Whether the workspace gave any answer, a refusal too."""
    try:
        setup.me()
    except WorkspaceError as e:
        return e.status is not None or not e.retryable
    except EndpointError:
        return False
    return True
