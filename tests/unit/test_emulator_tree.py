"""The tree of notebooks and files: who may read, change and delete what, as the service's folders have it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.rest.errors import ServiceError
from emulator.runner.notebook import NotebookRun
from emulator.workspace import Workspace
from tests.support.emulator_workspace import Caller, workspace_in

ANN, BOB, APP = "ann@example.com", "bob@example.com", "app-1"
JOBS_NOTEBOOK = "/Repos/dbx_git/dbx/job"
SOURCE = "# Databricks notebook source\nprint(1)\n"
API = "/api/2.0/workspace"


@pytest.fixture
def local(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = workspace_in(tmp_path_factory.mktemp("tree"))
    for user in (ANN, BOB):
        workspace.ensure_user(user, user)
    workspace.ensure_service_principal(APP, "App")
    workspace.ensure_group("readers", (BOB,))
    workspace.files.import_source(JOBS_NOTEBOOK, SOURCE)
    workspace.files.mkdirs(f"/Users/{ANN}")
    return workspace


class As:
    """Somebody's calls of the workspace API; each gives status and document."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.call = Caller(workspace, workspace.token_for(name))

    def put(self, path: str, overwrite: bool = False) -> tuple[int, Any]:
        content = base64.b64encode(SOURCE.encode()).decode()
        body = {"path": path, "content": content, "language": "PYTHON", "format": "SOURCE", "overwrite": overwrite}
        return self.call("POST", f"{API}/import", body)

    def put_file(self, path: str) -> tuple[int, Any]:
        return self.call("POST", f"/api/2.0/workspace-files/import-file{path}", b"x", {"overwrite": "true"})

    def read(self, path: str) -> tuple[int, Any]:
        return self.call("GET", f"{API}/export", query={"path": path})

    def status(self, path: str) -> tuple[int, Any]:
        return self.call("GET", f"{API}/get-status", query={"path": path})

    def mkdirs(self, path: str) -> tuple[int, Any]:
        return self.call("POST", f"{API}/mkdirs", {"path": path})

    def delete(self, path: str) -> tuple[int, Any]:
        return self.call("POST", f"{API}/delete", {"path": path, "recursive": True})

    def listed(self, path: str) -> list[str]:
        return [o["path"] for o in self.call("GET", f"{API}/list", query={"path": path})[1].get("objects", [])]


@pytest.fixture
def who(local: Workspace) -> Callable[[str], As]:
    return lambda name: As(local, name)


def permit(workspace: Workspace, path: str, level: str, **principal: str) -> tuple[int, Any]:
    """Gives a level on a folder or notebook, by the permissions API."""
    item = workspace.files.get(path)
    kind = {"NOTEBOOK": "notebooks", "DIRECTORY": "directories", "FILE": "files"}[item.object_type]
    entry = {**principal, "permission_level": level}
    return Caller(workspace)("PATCH", f"/api/2.0/permissions/{kind}/{item.object_id}", {"access_control_list": [entry]})


def refused(answer: tuple[int, Any], words: str) -> bool:
    status, document = answer
    assert (status, document.get("error_code")) == (403, "PERMISSION_DENIED"), document
    assert words in document["message"]
    return True


def test_nobody_but_an_administrator_changes_what_a_job_runs(local: Workspace, who: Callable[[str], As]):
    for name in (ANN, APP):
        one = who(name)
        assert refused(
            one.put(JOBS_NOTEBOOK, overwrite=True), f"{name} does not have Edit permissions on {JOBS_NOTEBOOK}"
        )
        assert refused(one.put_file(JOBS_NOTEBOOK), "Edit")
        assert refused(one.put("/Repos/dbx_git/dbx/new"), "Manage permissions on /Repos/dbx_git/dbx")
        assert refused(one.delete(JOBS_NOTEBOOK), "Manage")
        assert refused(one.delete("/Repos/dbx_git"), "Manage")
        assert refused(one.mkdirs("/Repos/dbx_git/mine"), "Manage")
        assert refused(one.read(JOBS_NOTEBOOK), "View")
        assert one.listed("/Repos/dbx_git/dbx") == []
    assert local.files.get(JOBS_NOTEBOOK).content == SOURCE.encode()
    admin = who("admin@example.com")
    assert admin.put(JOBS_NOTEBOOK, overwrite=True)[0] == 200
    assert admin.delete(JOBS_NOTEBOOK)[0] == 200


def test_a_home_folder_is_its_users_own(who: Callable[[str], As]):
    ann, bob, home = who(ANN), who(BOB), f"/Users/{ANN}"
    assert ann.mkdirs(f"{home}/deep/er")[0] == 200
    assert ann.put(f"{home}/deep/er/n")[0] == 200
    assert ann.put_file(f"/Workspace{home}/f.txt")[0] == 200
    assert ann.read(f"{home}/deep/er/n")[0] == 200
    for answer in (bob.read(f"{home}/deep/er/n"), bob.status(home)):
        assert refused(answer, "View")
    assert refused(bob.put(f"{home}/n"), "Manage")
    assert refused(bob.delete(home), "Manage")
    assert (ann.listed("/Users"), bob.listed("/Users")) == ([home], [])
    assert ann.delete(f"{home}/deep")[0] == 200
    assert bob.mkdirs(f"/Users/{BOB}/first")[0] == 200, "a home that nobody has made yet"
    assert who(APP).mkdirs(f"/Users/{APP}/.bundle/panel")[0] == 200
    assert refused(bob.mkdirs(f"/Users/{ANN}x"), "Manage")


def test_everybody_manages_what_lies_in_shared_and_nobody_deletes_it(who: Callable[[str], As]):
    assert who(ANN).put("/Shared/n")[0] == 200
    assert who(BOB).put("/Shared/n", overwrite=True)[0] == 200
    assert who(BOB).delete("/Shared/n")[0] == 200
    for name in (BOB, "admin@example.com"):
        status, document = who(name).delete("/Shared")
        assert (status, document["message"]) == (400, "Folder /Shared is protected")
    assert refused(who(BOB).mkdirs("/mine"), "Manage")


def test_a_permission_on_a_folder_reaches_what_lies_in_it(local: Workspace, who: Callable[[str], As]):
    bob = who(BOB)
    permit(local, "/Repos/dbx_git", "CAN_READ", group_name="readers")
    assert bob.read(JOBS_NOTEBOOK)[0] == 200
    assert bob.listed("/Repos/dbx_git/dbx") == [JOBS_NOTEBOOK]
    assert refused(bob.put(JOBS_NOTEBOOK, overwrite=True), "Edit")
    assert refused(who(ANN).read(JOBS_NOTEBOOK), "View")
    permit(local, "/Repos/dbx_git/dbx", "CAN_EDIT", user_name=BOB)
    assert bob.put(JOBS_NOTEBOOK, overwrite=True)[0] == 200
    assert refused(bob.put("/Repos/dbx_git/dbx/new"), "Manage")
    permit(local, "/Repos/dbx_git/dbx", "CAN_MANAGE", user_name=BOB)
    assert bob.put("/Repos/dbx_git/dbx/new")[0] == 200
    assert bob.delete(JOBS_NOTEBOOK)[0] == 200


def test_permissions_tell_where_they_come_from_and_end_with_the_object(local: Workspace, who: Callable[[str], As]):
    permit(local, "/Repos/dbx_git", "CAN_READ", group_name="readers")
    status, document = permit(local, JOBS_NOTEBOOK, "CAN_RUN", user_name=BOB)
    assert status == 200
    folder = local.files.get("/Repos/dbx_git").object_id
    found = {e.get("group_name") or e.get("user_name"): e["all_permissions"] for e in document["access_control_list"]}
    assert found["readers"] == [
        {"permission_level": "CAN_READ", "inherited": True, "inherited_from_object": [f"/directories/{folder}"]}
    ]
    assert found[BOB] == [{"permission_level": "CAN_RUN", "inherited": False}]
    notebook = local.files.get(JOBS_NOTEBOOK).object_id
    assert Caller(local)("GET", f"/api/2.0/permissions/files/{notebook}")[0] == 404, "it is a notebook"
    assert who("admin@example.com").delete("/Repos/dbx_git")[0] == 200
    assert local.state.permissions("notebooks", str(notebook)) == {}


def test_whoever_makes_an_object_manages_it_and_may_share_it(local: Workspace, who: Callable[[str], As]):
    who(ANN).put(f"/Users/{ANN}/n")
    id = local.files.get(f"/Users/{ANN}/n").object_id
    body = {"access_control_list": [{"user_name": BOB, "permission_level": "CAN_READ"}]}
    assert refused(who(BOB).call("PATCH", f"/api/2.0/permissions/notebooks/{id}", body), "CAN_MANAGE")
    assert who(ANN).call("PATCH", f"/api/2.0/permissions/notebooks/{id}", body)[0] == 200
    assert who(BOB).read(f"/Users/{ANN}/n")[0] == 200
    assert refused(who(BOB).put(f"/Users/{ANN}/n", overwrite=True), "Edit")


def test_what_one_made_stays_ones_own_when_the_folder_is_no_longer(local: Workspace, who: Callable[[str], As]):
    bob, folder = who(BOB), "/Repos/dbx_git/dbx"
    permit(local, folder, "CAN_MANAGE", user_name=BOB)
    assert bob.put(f"{folder}/n")[0] == bob.mkdirs(f"{folder}/own")[0] == 200
    local.state.set_permissions("directories", str(local.files.get(folder).object_id), {})
    assert refused(bob.put(f"{folder}/other"), "Manage")
    assert bob.put(f"{folder}/n", overwrite=True)[0] == bob.put(f"{folder}/own/n")[0] == 200
    assert bob.delete(f"{folder}/own")[0] == 200


def test_what_is_not_there_is_not_found_where_one_may_look(who: Callable[[str], As]):
    assert who(ANN).status(f"/Users/{ANN}/none")[0] == 404
    assert who(ANN).status("/Shared")[0] == who(ANN).status("/Users")[0] == 200
    assert who(ANN).put(f"/Users/{ANN}/none/n")[0] == 404


def test_a_notebook_runs_no_other_that_its_principal_may_not_read(local: Workspace, tmp_path: Path) -> None:
    secret = f"/Users/{ANN}/secret"
    local.files.import_source(secret, "1 + 1", "PYTHON")
    context = {"dbfs": str(tmp_path), "run_id": 1, "task_key": "a", "path": f"/Users/{BOB}/n"}

    def run_by(principal: str) -> NotebookRun:
        return NotebookRun(None, local.files, {}, {**context, "principal": principal}, io.StringIO())

    with pytest.raises(ServiceError, match=f"{BOB}, lacks the required permissions"):
        run_by(BOB).run_other(secret)
    assert run_by(ANN).run_other(secret) == ""
