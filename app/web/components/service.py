"""The operations service as the pages call it: this store, the workspace as reached now, roles looked up now."""

from __future__ import annotations

from app.context import Context
from app.operations.service import OperationsService
from app.web.components import identity
from app.web.components.panel import Panel


def operations(here: Panel) -> OperationsService:
    """A service for one action. Raises EndpointError while no workspace is configured or running."""
    return Context(store=here.store, workspace=identity.workspace(here), migration=here.migration).operations
