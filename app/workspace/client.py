"""The workspace as one object: the only place where the two clients and the parts around them are put together."""

from __future__ import annotations

from functools import cached_property

from databricks.sdk import WorkspaceClient

from app.workspace.billing import Billing
from app.workspace.errors import from_rest
from app.workspace.identity import Identity
from app.workspace.jobs import Jobs
from app.workspace.lineage import Lineage
from app.workspace.links import Links
from app.workspace.pipelines import Pipelines
from app.workspace.rest import NoRepeat, Rest
from app.workspace.sql import Sql
from app.workspace.tables import Tables
from app.workspace.workspace_id import WorkspaceId, read_workspace_id
from validation.connection import CALL_SECONDS, NoAnswer
from validation.endpoint import Endpoint


class Workspace:
    """Databricks as this project needs it. Parts are made when first used; a test replaces any of them by name.

    Threads may share it.
    """

    def __init__(self, endpoint: Endpoint, call_seconds: float = CALL_SECONDS) -> None:
        """call_seconds: how long one REST call may take with its repetitions."""
        self.endpoint = endpoint
        self._call_seconds = call_seconds

    @classmethod
    def discover(cls) -> Workspace:
        """The workspace that the environment names, else the local one that runs. Raises EndpointError."""
        return cls(Endpoint.discover())

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
        """Statements on the SQL warehouse."""
        return Sql(self.endpoint.sql)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self.rest, self.links)

    @cached_property
    def pipelines(self) -> Pipelines:
        return Pipelines(self.rest, self.links, self.identity)

    @cached_property
    def tables(self) -> Tables:
        return Tables(self.rest, self.sql, self.links, self.identity)

    @cached_property
    def billing(self) -> Billing:
        return Billing(self.sql)

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage(self.sql)

    @cached_property
    def identity(self) -> Identity:
        return Identity(self.rest)

    def close(self) -> None:
        """Closes the SQL connections."""
        if "sql" in self.__dict__:
            self.sql.close()
