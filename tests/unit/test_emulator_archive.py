"""The steps of an archive against the local workspace: what the service refuses, it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import jobs

from app.operations.databricks import DatabricksWorld
from app.operations.job_access import may_manage
from app.operations.requests import Call
from app.operations.steps.decommission import LimitAccess, RenameJob, RestoreAccess
from databricks_client.client import Workspace as Client
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from emulator.workspace import Workspace
from tests.support.world_contract import do

READERS = ("group_name", "readers", "CAN_MANAGE_RUN")
ANALYST = ("user_name", "analyst@example.com", "CAN_MANAGE")


def world_of(local: Workspace, client: WorkspaceClient) -> DatabricksWorld:
    return DatabricksWorld(Client(Endpoint(local.host, "w", str(client.config.token))))


@pytest.fixture
def job_id(client: WorkspaceClient) -> int:
    schedule = jobs.CronSchedule("0 0 6 * * ?", "UTC", jobs.PauseStatus.PAUSED)
    made = client.jobs.create(name="to archive", schedule=schedule, tasks=[]).job_id
    entries = [
        jobs.JobAccessControlRequest(group_name="readers", permission_level=jobs.JobPermissionLevel.CAN_MANAGE_RUN),
        jobs.JobAccessControlRequest(user_name=ANALYST[1], permission_level=jobs.JobPermissionLevel.CAN_MANAGE),
    ]
    client.jobs.update_permissions(str(made), access_control_list=entries)
    assert made is not None
    return made


def test_a_job_is_archived_and_brought_back(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient, job_id: int
) -> None:
    world, theirs = world_of(local, client), world_of(local, analyst)
    before, access = world.job("to archive", job_id), world.job_access(job_id)
    assert {READERS, ANALYST} < set(access.entries) and may_manage(access)
    rename, limit = RenameJob(job_id, "to archive", "archived"), LimitAccess(job_id, "archived", access.entries)
    for step in (rename, limit):
        assert not step.is_done(world)
        do(world, step)
        assert step.is_done(world)
    assert world.job("to archive", job_id) == replace(before, name="archived")
    now = set(world.job_access(job_id).entries)
    assert (*READERS[:2], "CAN_VIEW") in now and (*ANALYST[:2], "CAN_VIEW") in now
    assert theirs.job("archived", job_id).paused is True, "kept, to be viewed"
    for refused in (lambda: do(theirs, RenameJob(job_id, "archived", "x"), world), lambda: theirs.job_access(job_id)):
        with pytest.raises(WorkspaceError) as e:
            refused()
        assert e.value.denied
    do(world, RestoreAccess(job_id, "archived", access.entries))
    do(world, RenameJob(job_id, "archived", "to archive"))
    assert world.job_access(job_id) == access and world.job("to archive") == before


def test_who_manages_it_by_an_entry_of_its_own_keeps_that(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient, job_id: int
) -> None:
    theirs = world_of(local, analyst)
    access = theirs.job_access(job_id)
    assert access.me == ANALYST[1] and not access.admin and may_manage(access)
    do(theirs, LimitAccess(job_id, "to archive", access.entries))
    assert ANALYST in theirs.job_access(job_id).entries
    do(theirs, RestoreAccess(job_id, "to archive", access.entries))
    assert theirs.job_access(job_id) == access


@pytest.mark.parametrize(
    "entries",
    [
        [{"group_name": "readers", "permission_level": "IS_OWNER"}],
        [{"group_name": "readers", "permission_level": "CAN_DANCE"}],
        [{"group_name": "admins", "permission_level": "CAN_VIEW"}],
        [{"user_name": "gone@example.com", "permission_level": "CAN_VIEW"}],
        [{"group_name": "readers", "user_name": "analyst@example.com", "permission_level": "CAN_VIEW"}],
    ],
)
def test_permissions_that_the_service_refuses_change_nothing(
    local: Workspace, client: WorkspaceClient, job_id: int, entries: list[dict[str, Any]]
) -> None:
    world = world_of(local, client)
    before = world.job_access(job_id)
    path = f"/api/2.0/permissions/jobs/{job_id}"
    with pytest.raises(WorkspaceError):
        world.send(Call("set permissions", "PUT", path, {"access_control_list": entries}))
    assert world.job_access(job_id) == before


def test_a_job_that_is_gone_cannot_be_archived(local: Workspace, client: WorkspaceClient, job_id: int) -> None:
    world = world_of(local, client)
    client.jobs.delete(job_id)
    for look in (world.job_access, lambda i: world.job("to archive", i)):
        with pytest.raises(WorkspaceError) as e:
            look(job_id)
        assert e.value.not_found, "so that it counts as gone"
    with pytest.raises(WorkspaceError):
        do(world, RenameJob(job_id, "a", "b"))


def test_what_administrators_were_given_on_the_job_itself_is_left_to_them(
    local: Workspace, client: WorkspaceClient, job_id: int
) -> None:
    world, admins = world_of(local, client), ("group_name", "admins", "CAN_MANAGE")
    do(world, RestoreAccess(job_id, "to archive", (admins,)))
    access = world.job_access(job_id)
    assert admins in access.entries
    do(world, LimitAccess(job_id, "to archive", access.entries))
    assert admins in world.job_access(job_id).entries
