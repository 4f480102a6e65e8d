"""The operations service as the pages call it: this store, the workspace as reached now, roles looked up now."""

from __future__ import annotations

from app.operations.service import OperationsService
from app.operations.wiring import operations_service
from app.widgets import identity
from app.widgets.panel import Panel


def operations(here: Panel) -> OperationsService:
    """A service for one action. Raises EndpointError while no workspace is configured or running."""
    return operations_service(here.store, identity.workspace(here), here.migration)
