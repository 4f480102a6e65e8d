"""Creates the new job in the configured workspace, or brings changes of its file to it, save schedule and parameters.

    python -m scripts.new_job --var deployer=YOU@COMPANY [--var NAME=VALUE ...] [--dry-run]

A cutover unpauses the new job and sets its parameters, and a rollback takes both back. A deploy of a bundle asserts all
that the bundle declares, so the job is in no bundle. Variables are those of databricks.yml, also from BUNDLE_VAR_NAME.
Exit status: 0 done, 1 failed, 2 wrong use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError

from databricks_client.endpoint import Endpoint, EndpointError
from databricks_client.redact import redact
from databricks_client.terminal import emit
from demo.bundle import BundleError, Json, Permission, Resource, load, read

ROOT = Path(__file__).resolve().parent.parent
BUNDLE, NEW_JOB = ROOT / "databricks.yml", ROOT / "pipeline" / "new_job.yml"
PREFIX = "BUNDLE_VAR_"

ONCE = ("schedule", "parameters", "name")
"""Set at the creation. Later the cutover, the rollback and the panel's pauses decide; the name finds the job."""


class Undecided(Exception):
    """The workspace does not hold what the job needs, or more than one of it; one line with the way out."""


def deploy(client: WorkspaceClient, job: Resource, dry_run: bool = False) -> list[str]:
    """Brings the job of that name to its file; gives what was done, nothing where all was so. Raises Undecided."""
    found = [j.job_id for j in client.jobs.list(name=job.name)]
    if len(found) > 1:
        raise Undecided(f"{len(found)} jobs are called {job.name}: rename or delete all but one")
    # Before anything is written: a missing group would end it half done.
    groups = {p.principal for p in job.permissions if p.kind == "group"}
    if absent := sorted(groups - {str(g.display_name) for g in client.groups.list(attributes="displayName")}):
        raise Undecided(f"the workspace has no group {', '.join(absent)}: create it, or name another one with --var")
    if not found:
        if not dry_run:
            created = _call(client, "POST", "/api/2.2/jobs/create", job.settings)["job_id"]
            _permit(client, str(created), job.permissions, dry_run)
            return [f"created job {created} ({job.name})"]
        return [f"create job {job.name}"]
    job_id = found[0]
    settings = _call(client, "GET", f"/api/2.2/jobs/get?job_id={job_id}").get("settings", {})
    changed = {k: v for k, v in job.settings.items() if k not in ONCE and not says(v, settings.get(k))}
    done = [f"set {k} of job {job_id} ({job.name})" for k in changed]
    if changed and not dry_run:
        # Only these fields: an update leaves the others, a reset would not. It merges tasks and clusters by key.
        gone = [
            f"{field}/{key}"
            for field, name in (("tasks", "task_key"), ("job_clusters", "job_cluster_key"))
            for key in _keys(settings.get(field), name) - _keys(job.settings.get(field), name)
        ]
        body = {"job_id": job_id, "new_settings": changed, "fields_to_remove": sorted(gone)}
        _call(client, "POST", "/api/2.2/jobs/update", body)
    return done + _permit(client, str(job_id), job.permissions, dry_run)


def says(declared: Any, remote: Any) -> bool:
    """Whether what is there says all that is declared; the service adds defaults to it."""
    if isinstance(declared, Mapping):
        return isinstance(remote, Mapping) and all(says(v, remote.get(k)) for k, v in declared.items())
    if isinstance(declared, list):
        if not isinstance(remote, list) or len(declared) != len(remote):
            return False
        return all(says(d, r) for d, r in zip(_ordered(declared), _ordered(remote), strict=True))
    return bool(declared == remote)


def _keys(items: Any, name: str) -> set[str]:
    return {str(i[name]) for i in items or ()}


def _ordered(items: list[Any]) -> list[Any]:
    """Tasks by their keys: the service gives them in an order of its own."""
    keyed = all(isinstance(i, Mapping) and "task_key" in i for i in items)
    return sorted(items, key=lambda i: str(i["task_key"])) if keyed else items


def _permit(client: WorkspaceClient, job_id: str, wanted: Sequence[Permission], dry_run: bool) -> list[str]:
    """Grants the permissions that are missing; takes none away."""
    path = f"/api/2.0/permissions/jobs/{job_id}"
    held = {
        (kind, entry[f"{kind}_name"], level["permission_level"])
        for entry in _call(client, "GET", path).get("access_control_list", [])
        for kind in ("user", "group", "service_principal")
        if f"{kind}_name" in entry
        for level in entry.get("all_permissions", [])
    }
    missing = [p for p in wanted if (p.kind, p.principal, p.level) not in held]
    if missing and not dry_run:
        entries = [{f"{p.kind}_name": p.principal, "permission_level": p.level} for p in missing]
        _call(client, "PATCH", path, {"access_control_list": entries})
    return [f"grant {p.level} on job {job_id} to {p.principal}" for p in missing]


def defined(client: WorkspaceClient, variables: Mapping[str, str]) -> Resource:
    """The new job as its file and the bundle's variables define it. Raises BundleError, Undecided, DatabricksError."""
    resources = read(BUNDLE)["targets"]["prod"]["resources"]
    name, app = resources["pipelines"]["production"]["name"], resources["apps"]["cutover"]["name"]
    pipelines = [p.pipeline_id for p in client.pipelines.list_pipelines() if p.name == name]
    if len(pipelines) != 1:
        few = "no pipeline is" if not pipelines else f"{len(pipelines)} pipelines are"
        raise Undecided(f"{few} called {name}: `databricks bundle deploy -t prod` makes one")
    ids = {
        "pipelines.production": str(pipelines[0]),
        "pipelines.development": "not used by this job",
        "jobs.development_schedule": "not used by this job",
        "apps.cutover.service_principal_client_id": str(client.apps.get(app).service_principal_client_id),
    }
    unused = dict.fromkeys(("warehouse_id", "old_job_id", "database_instance"), "not used by this job")
    return load(BUNDLE, "prod", also=[NEW_JOB], ids=ids, variables={**unused, **variables}).jobs["new"]


def _call(client: WorkspaceClient, method: str, path: str, body: Json | None = None) -> Json:
    found = client.api_client.do(method, path, body=body)
    return found if isinstance(found, dict) else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.new_job", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the bundle")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    given = parser.parse_args(arguments)
    if bad := [v for v in given.var if "=" not in v]:
        parser.error(f"--var {bad[0]}: write NAME=VALUE")
    variables = {k.removeprefix(PREFIX): v for k, v in os.environ.items() if k.startswith(PREFIX)}
    variables |= dict(v.split("=", 1) for v in given.var)
    try:
        client = Endpoint.discover().workspace()
        done = deploy(client, defined(client, variables), given.dry_run)
    except (BundleError, Undecided, EndpointError, DatabricksError) as e:
        emit(redact(f"The new job was not deployed: {' '.join(str(e).split())}"), error=True)
        return 1
    for line in done or ["nothing to do"]:
        emit(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
