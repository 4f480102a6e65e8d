"""The tree, what the service has and this has not, and faults on demand."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from io import BytesIO

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    InternalError,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service import apps
from databricks.sdk.service import workspace as tree

from emulator.faults import Faults, Rule
from emulator.workspace import Workspace
from tests.support.waiting import wait_until


def test_a_notebook_goes_in_and_comes_out(client: WorkspaceClient):
    client.workspace.mkdirs("/Shared/deep/er")
    text = "# Databricks notebook source\nprint(1)\n"
    client.workspace.import_(
        "/Shared/deep/er/n",
        content=base64.b64encode(text.encode()).decode(),
        format=tree.ImportFormat.SOURCE,
        language=tree.Language.PYTHON,
    )
    assert base64.b64decode(client.workspace.export("/Shared/deep/er/n").content).decode() == text
    status = client.workspace.get_status("/Workspace/Shared/deep/er/n")
    assert (status.object_type, status.language) == (tree.ObjectType.NOTEBOOK, tree.Language.PYTHON)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.import_("/Shared/deep/er/n", content="", language=tree.Language.PYTHON)
    client.workspace.upload("/Shared/deep/er/f.txt", BytesIO("größe".encode()), format=tree.ImportFormat.AUTO)
    assert client.workspace.download("/Shared/deep/er/f.txt").read().decode() == "größe"
    assert {o.path for o in client.workspace.list("/Shared/deep", recursive=True)} == {
        "/Shared/deep/er/n",
        "/Shared/deep/er/f.txt",
    }
    with pytest.raises(BadRequest, match="not empty"):
        client.workspace.delete("/Shared/deep")
    client.workspace.delete("/Shared/deep", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.get_status("/Shared/deep")


def test_a_raw_file_is_not_overwritten_unless_told(client: WorkspaceClient):
    path = "/api/2.0/workspace-files/import-file/Shared/lock"
    client.api_client.do("POST", path, data=b"1", headers={"Content-Type": "application/octet-stream"})
    with pytest.raises((AlreadyExists, ResourceConflict)):
        client.api_client.do("POST", path, data=b"2")
    client.api_client.do("POST", path, query={"overwrite": "true"}, data=b"3")
    assert client.workspace.download("/Shared/lock").read() == b"3"


def test_what_the_service_has_and_this_has_not_says_so_by_name(client: WorkspaceClient):
    with pytest.raises(NotImplemented, match=r"SecretsAPI\.list_scopes"):
        list(client.secrets.list_scopes())
    with pytest.raises(NotImplemented, match=r"PipelinesAPI\.clone"):
        client.api_client.do("POST", "/api/2.0/pipelines/x/clone", body={})
    with pytest.raises(NotFound, match="No API found"):
        client.api_client.do("GET", "/api/2.0/no/such/thing")


def test_sql_says_that_it_is_still_starting(local: Workspace, client: WorkspaceClient):
    answer = requests.post(f"{local.host}/sql/1.0/warehouses/{local.warehouse_id}", data=b"", timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert client.warehouses.get(local.warehouse_id).state.value == "STARTING"


def test_an_app_is_recorded_but_never_deployed(client: WorkspaceClient):
    app = client.apps.create(apps.App(name="cutover"), no_compute=True).response
    assert app.service_principal_client_id
    with pytest.raises(NotImplemented):
        client.apps.deploy("cutover", apps.AppDeployment(source_code_path="/x"))
    client.apps.update("cutover", apps.App(name="cutover", description="panel"))
    assert client.apps.get("cutover").description == "panel"
    admin = client.current_user.me().id
    taken = client.api_client.do("PATCH", "/api/2.0/apps/cutover", body={"service_principal_id": int(admin)})
    assert taken["service_principal_id"] == app.service_principal_id, "deleting the app deletes its principal alone"
    client.apps.delete("cutover")
    with pytest.raises(ResourceDoesNotExist):
        client.apps.get("cutover")


@pytest.fixture
def no_faults(local: Workspace) -> Iterator[None]:
    yield
    local.faults.clear()


def test_a_fault_answers_instead_of_the_service(client: WorkspaceClient, no_faults: None):
    rule = {"method": "GET", "path": "jobs/get$", "status": 500, "error_code": "INTERNAL_ERROR", "count": 1}
    client.api_client.do("POST", "/emulator/faults", body=rule)
    id = client.jobs.create(name="faulty").job_id
    with pytest.raises(InternalError):
        client.jobs.get(id)
    assert client.jobs.get(id).job_id == id, "it applies as often as it was told"
    with pytest.raises(InvalidParameterValue):
        client.api_client.do("POST", "/emulator/faults", body={"colour": "red"})


def test_an_answer_can_be_lost_after_the_effect(local: Workspace, client: WorkspaceClient, no_faults: None):
    headers = {"Authorization": f"Bearer {local.admin_token}", "X-Emulator-Fault": '{"drop": "after"}'}
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{local.host}/api/2.2/jobs/create", json={"name": "lost answer"}, headers=headers, timeout=5)
    assert [j.settings.name for j in client.jobs.list(name="lost answer")] == ["lost answer"]
    headers["X-Emulator-Fault"] = '{"drop": "before"}'
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{local.host}/api/2.2/jobs/create", json={"name": "never came"}, headers=headers, timeout=5)
    assert list(client.jobs.list(name="never came")) == []


def test_a_call_can_be_slow(local: Workspace, no_faults: None):
    headers = {"Authorization": f"Bearer {local.admin_token}", "X-Emulator-Fault": '{"latency_seconds": 0.4}'}
    before = time.monotonic()
    assert requests.get(f"{local.host}/api/2.2/jobs/list", headers=headers, timeout=5).status_code == 200
    assert time.monotonic() - before >= 0.4


def test_an_answer_can_be_kept_back_after_the_effect_until_its_rule_is_removed(
    local: Workspace, client: WorkspaceClient, no_faults: None
):
    rule = local.faults.add(Rule(method="POST", path="jobs/create$", answer_seconds=60, count=1))
    ids: list[int | None] = []
    call = threading.Thread(target=lambda: ids.append(client.jobs.create(name="kept back").job_id))
    call.start()
    wait_until(lambda: local.faults.rules()[0].held == 1)
    assert [j.settings.name for j in client.jobs.list(name="kept back")] == ["kept back"], "the effect is there"
    assert call.is_alive() and not ids
    local.faults.clear(rule.id)
    call.join(5)
    assert len(ids) == 1


def test_an_answer_is_kept_back_for_the_seconds_of_its_rule(local: Workspace, no_faults: None):
    rule = local.faults.add(Rule(path="jobs/list$", answer_seconds=0.3))
    headers = {"Authorization": f"Bearer {local.admin_token}"}
    before = time.monotonic()
    assert requests.get(f"{local.host}/api/2.2/jobs/list", headers=headers, timeout=5).status_code == 200
    assert time.monotonic() - before >= 0.3
    assert [(r.id, r.held, r.applied) for r in local.faults.rules()] == [(rule.id, 0, 1)]


def test_rules_skip_count_and_look_at_sql():
    faults = Faults()
    faults.add(Rule(path="^/sql/", sql_contains="alter VIEW", skip=1, count=2, status=500))
    hits = [faults.hit("POST", "/sql/1.0/warehouses/x", sql="ALTER VIEW a AS SELECT 1") for _ in range(4)]
    assert [h is not None for h in hits] == [False, True, True, False]
    assert faults.hit("POST", "/sql/1.0/warehouses/x", sql="SELECT 1") is None
    assert faults.hit("GET", "/api/2.2/jobs/list") is None
    faults.add(Rule(body_contains='"job_id": 7,', status=500))
    bodies = (b'{"job_id": 7, "a": 1}', b'{"job_id": 77}', b"")
    assert [faults.hit("POST", "/api/2.2/jobs/update", body=b) is not None for b in bodies] == [True, False, False]
    for bad in (
        {"drop": "sideways"},
        {"probability": 2},
        {"path": "("},
        {"status": 200},
        {"latency_seconds": -1},
        {"answer_seconds": -1},
        {"queue_seconds": -1},
        {"held": 1},
    ):
        with pytest.raises(ValueError, match=r"."):
            Rule.from_dict(bad)
