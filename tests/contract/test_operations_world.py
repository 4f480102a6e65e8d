"""The workspace as operations see it does what their fake does (tests/unit has the same cases)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobAccessControlRequest,
    JobParameterDefinition,
    JobPermissionLevel,
    PauseStatus,
)

from app.operations.databricks import DatabricksWorld
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from databricks_client.quoting import literal, quote_table
from scripts.local_workspace import LocalWorkspace
from tests.support.world_contract import Ground, WorldContract, tag_table


class WorkspaceGround:
    """A catalog and a job of their own."""

    group = "account users"
    manager = ("group_name", "contract-engineers", "CAN_MANAGE")
    another = "contract.reader@example.com"

    def __init__(self, local: LocalWorkspace) -> None:
        self._client = local.endpoint.workspace()
        self.world = DatabricksWorld(Workspace(local.endpoint))
        self.catalog = f"contract_world_{uuid.uuid4().hex[:6]}"
        self.schema = f"{self.catalog}.s"
        self._client.catalogs.create(self.catalog, comment="Contract")
        self._client.schemas.create("s", self.catalog)
        self.job = self.catalog
        self._job_id = self._client.jobs.create(
            name=self.job,
            schedule=CronSchedule("0 0 6 1 1 ?", "UTC", PauseStatus.PAUSED),
            parameters=[
                JobParameterDefinition(name="prefix", default="p_"),
                JobParameterDefinition(name="other", default="o"),
            ],
            tasks=[],
        ).job_id
        self._client.groups.create(display_name=self.manager[1])
        self._client.users.create(user_name=self.another, display_name="Rhea Reader")
        entry = JobAccessControlRequest(group_name=self.manager[1], permission_level=JobPermissionLevel.CAN_MANAGE)
        self._client.jobs.update_permissions(str(self._job_id), access_control_list=[entry])
        token = self._client.api_client.do("POST", "/emulator/tokens", body={"user": self.another})["token"]
        self._reader = Endpoint(local.host, local.warehouse_id, token)
        for text in (f"USE CATALOG ON CATALOG {self.catalog}", f"USE SCHEMA ON SCHEMA {self.schema}"):
            self.world.execute(f"GRANT {text} TO `{self.another}`")
        self.keeps_tags = self._tries_tags()

    def table(self, name: str, comment: str | None = None, column_comment: str | None = None) -> None:
        about = f" COMMENT {literal(column_comment)}" if column_comment else ""
        said = f" COMMENT {literal(comment)}" if comment else ""
        self.world.execute(f"CREATE TABLE {quote_table(name)} (a BIGINT{about}, b STRING){said}")
        self.world.execute(f"INSERT INTO {quote_table(name)} VALUES (1, 'one'), (2, NULL)")

    def give_away(self, view: str) -> None:
        self.world.execute(f"ALTER VIEW {quote_table(view)} SET OWNER TO `{self.another}`")

    def read_by_another(self, name: str) -> None:
        self.world.execute(f"GRANT SELECT ON TABLE {quote_table(name)} TO `{self.another}`")
        with self._reader.sql() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {quote_table(name)}")
            cursor.fetchall()

    def _tries_tags(self) -> bool:
        self.table(f"{self.schema}.tagged")
        try:
            self.world.execute(tag_table(f"{self.schema}.tagged", {"k": "v"}))
        except WorkspaceError:
            return False
        return True

    def remove(self) -> None:
        """The job only: dropping a catalog of some 40 tables takes longer than one call may."""
        self._client.jobs.delete(self._job_id)
        for found in (*self._client.groups.list(), *self._client.users.list()):
            if self.manager[1] == found.display_name:
                self._client.groups.delete(str(found.id))
            elif self.another == getattr(found, "user_name", None):
                self._client.users.delete(str(found.id))


@pytest.fixture(scope="module")
def place(raw_workspace: LocalWorkspace) -> Iterator[WorkspaceGround]:
    found = WorkspaceGround(raw_workspace)
    yield found
    found.remove()


class TestDatabricksWorld(WorldContract):
    """The cases over a workspace."""

    @pytest.fixture
    def ground(self, place: WorkspaceGround) -> Ground:
        return place
