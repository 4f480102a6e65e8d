"""The application that answers every call of the local workspace: REST and the SQL protocol on one port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.workspace import Workspace


def create_app(workspace: Workspace) -> Any:
    """The ASGI application of this workspace. SQL answers once `workspace.sql_ready` is set."""
    raise NotImplementedError
