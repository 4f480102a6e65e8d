"""What a deploy of the bundle does in a workspace: a plain one after a cutover flips nothing, a destroy leaves the jobs.

The calls are those of the official command line tool: create, and for what is there the complete definition again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from demo.bundle import Bundle, load, read
from emulator.workspace import Workspace
from scripts import new_job
from tests.support.bundled_definitions import NEW_JOB_FILE, OLD_JOB_FILE

FILE = Path(__file__).parents[2] / "databricks.yml"
OLD_ID, SP = 314473856953682, "apps.cutover.service_principal_client_id"
VARIABLES = {"warehouse_id": "w", "deployer": "admin@example.com", "old_job_id": str(OLD_ID), "database_instance": "i"}
LATER = {"pipelines.production": "p", "pipelines.development": "d", "jobs.development_schedule": "1", SP: "sp"}


@pytest.fixture
def deployed(local: Workspace, client: WorkspaceClient) -> Iterator[dict[str, str]]:
    """Ids of what a first deploy made, in a workspace where the old job ran before."""
    for group in ("rds-viewers", "rds-operators", "rds-approvers"):
        local.ensure_group(group, ())
    old = load(FILE, "prod", also=[OLD_JOB_FILE], ids=LATER, variables=VARIABLES).jobs["old"].settings
    changed = {**old, "email_notifications": {"on_failure": ["oncall@example.com"]}, "tags": {"team": "rds"}}
    local.jobs.create(changed, "admin@example.com", job_id=OLD_ID)
    ids = deploy(client, {})
    yield ids
    destroy(client, ids)
    for job in client.jobs.list():
        client.jobs.delete(job.job_id)


def bundle(ids: dict[str, str], target: str = "prod") -> Bundle:
    return load(FILE, target, ids={**LATER, "workspace.current_user.userName": "me@example.com", **ids},
                variables=VARIABLES if target == "prod" else {})  # fmt: skip


def deploy(client: WorkspaceClient, ids: dict[str, str]) -> dict[str, str]:
    """One deploy: what is not there is created, what is there gets all that is declared, and nothing else stays."""
    made, do = dict(ids), client.api_client.do
    for key, app in bundle(made).apps.items():
        known = f"apps.{key}" in made
        settings = {k: v for k, v in app.settings.items() if k != "source_code_path"}
        path = f"/api/2.0/apps/{app.name}" if known else "/api/2.0/apps"
        found = do("PATCH" if known else "POST", path, body=settings)
        made |= {f"apps.{key}": app.name, SP: found["service_principal_client_id"]}
    for key in bundle(made).pipelines:
        settings = bundle(made).pipelines[key].settings
        if id := made.get(f"pipelines.{key}"):
            do("PUT", f"/api/2.0/pipelines/{id}", body={**settings, "id": id})
        else:
            made[f"pipelines.{key}"] = do("POST", "/api/2.0/pipelines", body=settings)["pipeline_id"]
    for key in bundle(made).jobs:
        settings = bundle(made).jobs[key].settings
        if id := made.get(f"jobs.{key}"):
            do("POST", "/api/2.2/jobs/reset", body={"job_id": int(id), "new_settings": settings})
        else:
            made[f"jobs.{key}"] = str(do("POST", "/api/2.2/jobs/create", body=settings)["job_id"])
    return made


def destroy(client: WorkspaceClient, ids: dict[str, str]) -> None:
    for reference, id in ids.items():
        match reference.split(".")[0], reference:
            case _, r if r == SP:
                continue
            case "jobs", _:
                client.jobs.delete(int(id))
            case "pipelines", _:
                client.pipelines.delete(id)
            case "apps", _:
                client.apps.delete(id)


def settings_of(client: WorkspaceClient, job_id: int) -> dict[str, Any]:
    found: dict[str, Any] = client.api_client.do("GET", f"/api/2.2/jobs/get?job_id={job_id}")["settings"]
    return found


def new_job_of(client: WorkspaceClient, dry_run: bool = False) -> list[str]:
    return new_job.deploy(client, new_job.defined(client, VARIABLES), dry_run)


def id_of(client: WorkspaceClient, name: str) -> int:
    (found,) = [j.job_id for j in client.jobs.list(name=name)]
    return int(found or 0)


def test_the_bundle_declares_neither_the_old_job_nor_the_new_one() -> None:
    assert set(bundle({}).jobs) == {"development_schedule"}
    declared = {r["name"]: r for r in bundle({}).apps["cutover"].settings["resources"]}
    assert declared["old-job"]["job"]["id"] == str(OLD_ID), "referred to by its id"


def test_a_deploy_leaves_the_old_job_as_it_is_and_makes_no_second_one(
    client: WorkspaceClient, deployed: dict[str, str]
) -> None:
    found = settings_of(client, OLD_ID)
    assert id_of(client, "00_RDS") == OLD_ID
    assert found["email_notifications"] == {"on_failure": ["oncall@example.com"]} and found["tags"] == {"team": "rds"}


def test_a_second_deploy_changes_nothing(client: WorkspaceClient, deployed: dict[str, str]) -> None:
    new_job_of(client)
    before = {j.job_id: settings_of(client, int(j.job_id or 0)) for j in client.jobs.list()}
    assert deploy(client, deployed) == deployed
    assert new_job_of(client) == []
    assert {j.job_id: settings_of(client, int(j.job_id or 0)) for j in client.jobs.list()} == before
    assert len(before) == 3


def test_a_plain_deploy_after_the_cutover_flips_nothing(client: WorkspaceClient, deployed: dict[str, str]) -> None:
    new_job_of(client)
    new = id_of(client, "00_RDS_v2")
    for job_id, status, more in (
        (OLD_ID, "PAUSED", {}),
        (new, "UNPAUSED", {"parameters": [{"name": "report_prefix", "default": ""}]}),
    ):
        schedule = {**settings_of(client, job_id)["schedule"], "pause_status": status}
        body = {"job_id": job_id, "new_settings": {"schedule": schedule, **more}}
        client.api_client.do("POST", "/api/2.2/jobs/update", body=body)
    before = {i: settings_of(client, i) for i in (OLD_ID, new)}
    deploy(client, deployed)
    new_job_of(client)
    assert {i: settings_of(client, i) for i in (OLD_ID, new)} == before
    assert before[new]["schedule"]["pause_status"] == "UNPAUSED"
    assert before[OLD_ID]["schedule"]["pause_status"] == "PAUSED"


def test_a_change_of_the_new_jobs_file_is_brought_to_it_and_nothing_else(
    client: WorkspaceClient, deployed: dict[str, str]
) -> None:
    assert new_job_of(client, dry_run=True) == ["create job 00_RDS_v2"] and not list(client.jobs.list(name="00_RDS_v2"))
    (created,) = new_job_of(client)
    new = id_of(client, "00_RDS_v2")
    assert created == f"created job {new} (00_RDS_v2)"
    before = settings_of(client, new)
    assert before["schedule"]["pause_status"] == "PAUSED"
    extra = {"task_key": "by_hand", "notebook_task": {"notebook_path": "/Shared/x", "source": "WORKSPACE"}}
    body = {"job_id": new, "new_settings": {"tasks": [extra], "max_concurrent_runs": 5}}
    client.api_client.do("POST", "/api/2.2/jobs/update", body=body)
    assert len(settings_of(client, new)["tasks"]) == len(before["tasks"]) + 1
    would = [f"set {f} of job {new} (00_RDS_v2)" for f in ("max_concurrent_runs", "tasks")]
    assert new_job_of(client, dry_run=True) == would and settings_of(client, new) != before
    assert new_job_of(client) == would
    assert settings_of(client, new) == before
    client.api_client.do("PUT", f"/api/2.0/permissions/jobs/{new}", body={"access_control_list": []})
    assert [d.split()[1] for d in new_job_of(client)] == ["CAN_MANAGE", "CAN_MANAGE_RUN", "CAN_VIEW", "CAN_VIEW"]
    assert new_job_of(client) == []


def test_the_new_job_needs_its_pipeline_and_a_name_of_its_own(local: Workspace, client: WorkspaceClient) -> None:
    with pytest.raises(new_job.Undecided, match="no pipeline is called 00_RDS_FDE_Pipeline_PROD"):
        new_job.defined(client, VARIABLES)
    job = load(FILE, "prod", also=[NEW_JOB_FILE], ids=LATER, variables=VARIABLES).jobs["new"]
    made = [client.api_client.do("POST", "/api/2.2/jobs/create", body=job.settings)["job_id"] for _ in range(2)]
    with pytest.raises(new_job.Undecided, match="2 jobs are called 00_RDS_v2"):
        new_job.deploy(client, job)
    for job_id in made:
        client.jobs.delete(job_id)
    absent = load(FILE, "prod", also=[NEW_JOB_FILE], ids=LATER, variables={**VARIABLES, "viewers": "absent"})
    with pytest.raises(new_job.Undecided, match="has no group absent"):
        new_job.deploy(client, absent.jobs["new"])
    assert not list(client.jobs.list(name="00_RDS_v2")), "nothing was written"


def test_a_destroy_leaves_both_jobs(client: WorkspaceClient, deployed: dict[str, str]) -> None:
    new_job_of(client)
    destroy(client, deployed)
    deployed.clear()
    assert {j.settings.name for j in client.jobs.list() if j.settings} == {"00_RDS", "00_RDS_v2"}


def test_the_default_target_makes_nothing_live_and_nothing_outside_the_sandbox() -> None:
    found = bundle({}, "dev")
    assert (set(found.jobs), set(found.pipelines), set(found.apps)) == (
        {"development_schedule"},
        {"development"},
        set(),
    )
    assert found.jobs["development_schedule"].settings["schedule"]["pause_status"] == "PAUSED"
    pipeline = found.pipelines["development"].settings
    assert (pipeline["catalog"], pipeline["schema"]) == ("team_sandbox", "data_engineering")
    assert found.workspace["root_path"] == "/Workspace/Users/me@example.com/.bundle/cutover/dev"


def test_the_app_declares_its_database_and_everybody_with_a_role_may_open_it() -> None:
    app = bundle({}).apps["cutover"]
    declared = {r["name"]: r for r in app.settings["resources"]}
    assert declared["database"]["database"] == {
        "instance_name": "i", "database_name": "databricks_postgres", "permission": "CAN_CONNECT_AND_CREATE",
    }  # fmt: skip
    assert {(p.principal, p.level) for p in app.permissions} == {
        (f"rds-{role}", "CAN_USE") for role in ("viewers", "operators", "approvers")
    }


@pytest.mark.skipif(
    not (FILE.parent / ".git").exists(), reason="a copy of the files, which says not which are the project's"
)
def test_only_what_runs_is_uploaded() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=FILE.parent, capture_output=True, text=True, check=True).stdout
    exclude = [p.removesuffix("/**") for p in read(FILE)["sync"]["exclude"]]
    left = {f.split("/")[0] for f in files.splitlines()} - set(exclude)
    assert left == {
        ".gitignore", ".streamlit", "app", "app.yaml", "databricks.yml", "databricks_client", "migrations", "pipeline", "pyproject.toml",
        "requirements.txt", "validation",
    }  # fmt: skip
