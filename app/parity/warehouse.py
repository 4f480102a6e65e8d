"""The connection to the SQL warehouse on which comparisons run."""

from __future__ import annotations

from collections.abc import Callable

from databricks_client.client import Workspace
from databricks_client.connection import words
from databricks_client.errors import WorkspaceError, one_line
from databricks_client.sql import CONNECTION_OPTIONS
from validation.connector import DatabricksWarehouse
from validation.warehouse import never


def open_warehouse(workspace: Workspace, stopped: Callable[[], bool] = never) -> DatabricksWarehouse:
    """A new connection to the warehouse, to be left when done. Raises WorkspaceError where it cannot be reached.

    stopped: gives the attempt up, while the warehouse starts.
    """
    try:
        return DatabricksWarehouse(workspace.endpoint.sql(stopped=stopped, **CONNECTION_OPTIONS))
    except Exception as e:
        raise WorkspaceError(
            "connect to the SQL warehouse", words(e) or one_line(e), "check that it runs and can be reached",
            retryable=True,
        ) from e  # fmt: skip
