"""The workspace as one object: the only place where the two clients and the parts around them are put together."""

from __future__ import annotations

from functools import cached_property

from databricks.sdk import WorkspaceClient

from databricks_client.billing import Billing
from databricks_client.connection import CALL_SECONDS, NoAnswer
from databricks_client.endpoint import Endpoint
from databricks_client.errors import from_rest
from databricks_client.identity import Identity
from databricks_client.jobs import Jobs
from databricks_client.lineage import Lineage
from databricks_client.links import Links
from databricks_client.pipelines import Pipelines
from databricks_client.rest import NoRepeat, Rest
from databricks_client.sql import Sql
from databricks_client.statement_execution import StatementExecution
from databricks_client.statement_history import StatementHistory
from databricks_client.tables import Tables
from databricks_client.warehouse import Warehouse
from databricks_client.workspace_id import WorkspaceId, read_workspace_id


class Workspace:
    """Databricks as this project needs it. Parts are made when first used; a test replaces any of them by name.

    Threads may share it.
    """

    def __init__(self, endpoint: Endpoint, call_seconds: float = CALL_SECONDS) -> None:
        """call_seconds: how long one REST call may take with its repetitions."""
        self.endpoint = endpoint
        self._call_seconds = call_seconds

    @cached_property
    def client(self) -> WorkspaceClient:
        """The SDK's client; it repeats nothing by itself (see `Rest`). Raises WorkspaceError, EndpointError."""
        try:
            config = self.endpoint.config(request_seconds=self._call_seconds, retry_timeout_seconds=3, clock=NoRepeat())
        except NoAnswer as e:
            raise from_rest("sign in to the workspace", e) from e
        return WorkspaceClient(config=config)

    @cached_property
    def rest(self) -> Rest:
        """REST calls with this project's errors and repetition."""
        return Rest(self.client, call_seconds=self._call_seconds)

    @cached_property
    def workspace_id(self) -> WorkspaceId:
        """Which workspace this is, as the service reports it. Raises WorkspaceError."""
        return read_workspace_id(self.rest, self.endpoint.host)

    @cached_property
    def links(self) -> Links:
        """Addresses of the workspace's own pages."""
        return Links(self.endpoint.host)

    @cached_property
    def sql(self) -> Sql:
        """Queries on the SQL warehouse."""
        return Sql(self.endpoint.sql)

    @cached_property
    def statements(self) -> StatementExecution:
        """Statements that change something."""
        return StatementExecution(self.rest, self.endpoint.warehouse_id)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The SQL warehouse itself."""
        return Warehouse(self.rest, self.endpoint.warehouse_id)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self.rest, self.links)

    @cached_property
    def pipelines(self) -> Pipelines:
        return Pipelines(self.rest, self.links)

    @cached_property
    def tables(self) -> Tables:
        return Tables(self.rest, self.sql, self.links, self.identity)

    @cached_property
    def billing(self) -> Billing:
        return Billing(self.sql, lambda: self.workspace_id.id)

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage(self.sql)

    @cached_property
    def statement_history(self) -> StatementHistory:
        return StatementHistory(self.sql)

    @cached_property
    def identity(self) -> Identity:
        return Identity(self.rest)

    def close(self) -> None:
        """Closes the SQL connections."""
        if "sql" in self.__dict__:
            self.sql.close()
