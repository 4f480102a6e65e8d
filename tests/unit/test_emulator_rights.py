"""Who may see, run and manage what, and who hands that out."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service import catalog, jobs, pipelines

from databricks_client.held import Held
from databricks_client.identity import Identity
from databricks_client.rest import Rest
from emulator.workspace import Workspace
from tests.support.rest_calls import client_of, finished, notebook, pipeline, task


def test_a_job_is_seen_run_and_managed_by_level(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient, spark_up: None
):
    path = notebook(local, "quick", "ok")
    id = client.jobs.create(name="guarded", tasks=[task("a", path)]).job_id

    def grant(level: str) -> None:
        entry = jobs.JobAccessControlRequest(group_name="readers", permission_level=jobs.JobPermissionLevel(level))
        client.jobs.update_permissions(str(id), access_control_list=[entry])

    with pytest.raises(PermissionDenied):
        analyst.jobs.get(id)
    assert id not in [j.job_id for j in analyst.jobs.list()]
    grant("CAN_VIEW")
    assert analyst.jobs.get(id).settings.name == "guarded"
    with pytest.raises(PermissionDenied):
        analyst.jobs.run_now(id)
    with pytest.raises(PermissionDenied):
        analyst.jobs.get_permissions(str(id))
    grant("CAN_MANAGE_RUN")
    run = finished(analyst, analyst.jobs.run_now(id).run_id)
    assert run.creator_user_name == "analyst@example.com"
    with pytest.raises(PermissionDenied):
        analyst.jobs.update(id, new_settings=jobs.JobSettings(name="mine"))
    grant("CAN_MANAGE")
    analyst.jobs.update(id, new_settings=jobs.JobSettings(name="mine"))
    assert analyst.jobs.get_permissions(str(id)).object_id == f"/jobs/{id}"


def test_a_pipeline_is_run_by_those_who_may(client: WorkspaceClient, analyst: WorkspaceClient):
    id = pipeline(client, "guarded pipeline")
    with pytest.raises(PermissionDenied):
        analyst.pipelines.get(id)
    entry = pipelines.PipelineAccessControlRequest(
        user_name="analyst@example.com", permission_level=pipelines.PipelinePermissionLevel.CAN_VIEW
    )
    client.pipelines.update_permissions(id, access_control_list=[entry])
    assert analyst.pipelines.get(id).name == "guarded pipeline"
    for call in (analyst.pipelines.start_update, analyst.pipelines.stop, analyst.pipelines.delete):
        with pytest.raises(PermissionDenied):
            call(id)


def test_permissions_keep_exactly_one_owner(client: WorkspaceClient):
    id = client.jobs.create(name="owned").job_id
    entry = jobs.JobAccessControlRequest(
        user_name="analyst@example.com", permission_level=jobs.JobPermissionLevel.IS_OWNER
    )
    client.jobs.set_permissions(str(id), access_control_list=[entry])
    owners = [
        a.user_name
        for a in client.jobs.get_permissions(str(id)).access_control_list
        for p in a.all_permissions
        if p.permission_level is jobs.JobPermissionLevel.IS_OWNER
    ]
    assert owners == ["analyst@example.com"]
    assert client.jobs.get(id).run_as_user_name == "analyst@example.com"
    body: dict[str, Any] = {
        "access_control_list": [{"user_name": "nobody@example.com", "permission_level": "CAN_VIEW"}]
    }
    with pytest.raises(ResourceDoesNotExist):
        client.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{id}", body=body)
    body = {"access_control_list": [{"group_name": "readers", "permission_level": "CAN_RUN"}]}
    with pytest.raises(InvalidParameterValue, match="CAN_RUN"):
        client.api_client.do("PATCH", f"/api/2.0/permissions/jobs/{id}", body=body)


def test_an_unknown_token_is_nobody(local: Workspace):
    with pytest.raises(PermissionDenied):
        client_of(local, "dapi0").current_user.me()
    assert requests.get(f"{local.host}/api/2.2/jobs/list", timeout=5).status_code == 401


def test_a_token_works_until_it_is_deleted_or_has_expired(local: Workspace, analyst: WorkspaceClient):
    made = analyst.tokens.create(comment="short", lifetime_seconds=1)
    other = client_of(local, made.token_value)
    assert other.current_user.me().user_name == "analyst@example.com"
    time.sleep(1.1)
    with pytest.raises(PermissionDenied):
        other.current_user.me()
    kept = analyst.tokens.create(comment="kept")
    assert "kept" in [t.comment for t in analyst.tokens.list()]
    analyst.tokens.delete(kept.token_info.token_id)
    with pytest.raises(PermissionDenied):
        client_of(local, kept.token_value).current_user.me()


def test_the_administrator_alone_hands_out_tokens_and_faults(client: WorkspaceClient, analyst: WorkspaceClient):
    for method, path, body in (
        ("POST", "/emulator/tokens", {"user": "admin@example.com"}),
        ("POST", "/emulator/faults", {"status": 500}),
    ):
        with pytest.raises(PermissionDenied):
            analyst.api_client.do(method, path, body=body)
    with pytest.raises(ResourceDoesNotExist):
        client.api_client.do("POST", "/emulator/tokens", body={"user": "nobody@example.com"})


def test_users_and_groups_are_found_by_name(client: WorkspaceClient, analyst: WorkspaceClient):
    assert [u.display_name for u in client.users.list(filter='userName eq "analyst@example.com"')] == ["Ada Nowak"]
    assert list(client.users.list(filter='userName eq "x"')) == []
    group = next(iter(client.groups.list(filter='displayName eq "readers"')))
    assert [m.display for m in client.groups.get(group.id).members] == ["Ada Nowak"]
    assert [g.display for g in analyst.current_user.me().groups] == ["readers"]
    with pytest.raises(InvalidParameterValue):
        list(client.users.list(filter="colour eq red"))


def test_who_is_no_administrator_is_told_names_of_others_and_neither_groups_nor_members(analyst: WorkspaceClient):
    (user,) = list(analyst.users.list(filter='userName eq "analyst@example.com"', attributes="id,userName,groups"))
    assert (user.user_name, user.display_name, user.groups or None, user.active) == (
        "analyst@example.com",
        "Ada Nowak",
        None,
        None,
    )
    (group,) = list(analyst.groups.list(filter='displayName eq "readers"', attributes="displayName,members"))
    assert group.display_name == "readers" and not group.members
    assert not analyst.groups.get(group.id).members and not analyst.users.get(user.id).groups
    assert [g.display for g in analyst.current_user.me().groups] == ["readers"], "of themselves everybody is told all"


def test_the_panels_client_is_told_who_is_in_a_group_by_administrators_and_oneself_alone(
    client: WorkspaceClient, analyst: WorkspaceClient
):
    roles, user = {"reader": ("readers",)}, "analyst@example.com"
    admin, app = Identity(Rest(client)), Identity(Rest(analyst))
    assert admin.roles_of(user, roles) == {"reader"}
    assert app.roles_of(user, roles) is None, "not told is not none"
    assert app.roles_of(user, roles, app.me()) == {"reader"}
    assert user in app.user_names()


def test_groups_gain_and_lose_members(client: WorkspaceClient):
    from databricks.sdk.service import iam

    user = client.users.create(user_name="new@example.com", display_name="New Person")
    group = client.groups.create(display_name="new group", members=[iam.ComplexValue(value=user.id)])
    assert [m.value for m in client.groups.get(group.id).members] == [user.id]
    client.groups.patch(
        group.id,
        operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{user.id}"]')],
        schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP],
    )
    assert not client.groups.get(group.id).members
    with pytest.raises((ResourceAlreadyExists, ResourceConflict)):
        client.users.create(user_name="new@example.com")
    with pytest.raises(InvalidParameterValue, match="does not exist"):
        client.groups.create(display_name="half made", members=[iam.ComplexValue(value="5")])
    assert not list(client.groups.list(filter='displayName eq "half made"'))


def test_what_a_catalog_or_schema_cannot_keep_here_is_refused(client: WorkspaceClient):
    with pytest.raises(NotImplemented, match="a schema with storage_root"):
        client.schemas.create("s", "product", storage_root="s3://bucket")
    with pytest.raises(NotImplemented, match="a catalog with properties"):
        client.catalogs.create("c", properties={"a": "b"})


def test_policies_are_listed_to_who_manages_or_reads_metadata_and_none_can_be_created(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient
):
    local.sql.catalog.create_catalog("governed", client.current_user.me().user_name)
    assert list(client.policies.list_policies("CATALOG", "governed")) == []
    with pytest.raises(PermissionDenied):
        list(analyst.policies.list_policies("CATALOG", "governed"))
    client.grants.update("catalog", "governed", changes=[granting("analyst@example.com", "READ_METADATA")])
    assert list(analyst.policies.list_policies("catalog", "governed", include_inherited=True)) == []
    with pytest.raises(NotFound):
        list(client.policies.list_policies("CATALOG", "no_such_catalog"))
    with pytest.raises(NotFound):
        client.policies.get_policy("CATALOG", "governed", "mask")
    with pytest.raises(NotImplemented):
        client.policies.create_policy(
            catalog.PolicyInfo(["all"], catalog.SecurableType.TABLE, catalog.PolicyType.POLICY_TYPE_ROW_FILTER)
        )


def test_what_one_holds_on_the_metastore_is_listed(client: WorkspaceClient, analyst: WorkspaceClient):
    metastore = client.metastores.summary().metastore_id

    def held() -> list[str]:
        found = analyst.grants.get_effective("metastore", metastore, principal="analyst@example.com")
        return [str(p.privilege.value) for a in found.privilege_assignments or [] for p in a.privileges]

    assert held() == []
    client.grants.update("metastore", metastore, changes=[granting("analyst@example.com", "USE_SHARE")])
    assert held() == ["USE_SHARE"]
    with pytest.raises(NotFound):
        client.grants.get_effective("metastore", "another")
    taken = catalog.PermissionsChange(remove=[catalog.Privilege.USE_SHARE], principal="analyst@example.com")
    client.grants.update("metastore", metastore, changes=[taken])
    assert held() == []


def granting(principal: str, privilege: str) -> catalog.PermissionsChange:
    return catalog.PermissionsChange(add=[catalog.Privilege(privilege)], principal=principal)


def test_who_sees_all_shares_and_policies_is_decided_as_by_the_service(
    local: Workspace, client: WorkspaceClient, analyst: WorkspaceClient
):
    local.sql.catalog.create_catalog("seen", client.current_user.me().user_name)

    def blind(of: WorkspaceClient) -> list[bool]:
        rest = Rest(of)
        held = Held(rest, Identity(rest))
        return [bool(held.blind_to_shares()), bool(held.blind_to_policies("seen"))]

    metastore = client.metastores.summary().metastore_id
    assert blind(client) == [False, False], "the owner of metastore and catalog"
    assert blind(analyst) == [True, True]
    client.grants.update("metastore", metastore, changes=[granting("analyst@example.com", "USE_SHARE")])
    assert blind(analyst) == [False, True]
    client.grants.update("catalog", "seen", changes=[granting("analyst@example.com", "READ_METADATA")])
    assert blind(analyst) == [False, False]
