"""The operations service as the pages call it: this store, the workspace as reached now, roles looked up now."""

from __future__ import annotations

from app.operations.service import OperationsService
from app.widgets.panel import Panel


def operations(here: Panel) -> OperationsService:
    """A service for one action. Raises EndpointError while no workspace is configured or running."""
    raise NotImplementedError(here.migration.name)
