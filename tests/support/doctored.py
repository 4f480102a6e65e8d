"""A setup for the doctor on a local workspace without Spark: what it may do is decided by the workspace itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service import catalog as uc
from databricks.sdk.service import iam, jobs

from app.config.migration import CandidateJob, Evidence, Gate, JobRef, Migration, PipelineRef, Role, Roles, Table
from app.config.permissions import APP, needed
from app.config.roles import NamedUsers
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.doctor.model import Finding, Report, State
from app.doctor.run import CHECKS, Check, examine
from app.doctor.setup import Setup
from app.store.base import now
from databricks_client.client import Workspace as Client
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from emulator.metadata import MANAGED, ColumnRecord, TableRecord
from emulator.workspace import Workspace
from tests.support.rest_calls import notebook, pipeline, task

_NUMBERS = count(1)
ADMIN = "admin@example.com"


class Answers:
    """Stands in for the SQL warehouse, with the errors that the service gives. systems: table to `denied` or `absent`."""

    def __init__(self, systems: Mapping[str, str]) -> None:
        self.systems = systems
        self.asked: list[str] = []

    def query(self, text: str, *_: Any, what: str = "", **__: Any) -> list[dict[str, Any]]:
        self.asked.append(text)
        for name, how in self.systems.items():
            if ".".join(f"`{p}`" for p in name.split(".")) in text:
                denied = how == "denied"
                code = "INSUFFICIENT_PERMISSIONS" if denied else "TABLE_OR_VIEW_NOT_FOUND"
                state = "42501" if denied else "42P01"
                raise WorkspaceError(what, f"[{code}] SQLSTATE: {state}", error_code=code, sql_state=state)
        return [{"one": 1}]

    def close(self) -> None:
        return


class Doctored:
    """One migration, its jobs, pipeline and tables in the workspace, and an app's principal without a right."""

    def __init__(self, local: Workspace, client: WorkspaceClient, folder: Path) -> None:
        self.local, self.client, self.folder = local, client, folder
        n = next(_NUMBERS)
        self.catalog = f"shop{n}"
        self.principal = str(uuid.uuid4())
        self.id = str(local.ensure_service_principal(self.principal, "the app").id)
        self.systems: dict[str, str] = {}
        self.clock: Callable[[], datetime] = now
        self.identity = IdentitySource.PROXY
        self.in_apps = True
        self.store_url = f"sqlite:///{folder / 'store.db'}"
        self.groups = {r: f"{self.catalog}-{r}" for r in Role}
        for group in self.groups.values():
            local.ensure_group(group, (ADMIN,))
        self.sql: Answers
        self.migration = Migration(
            name=self.catalog, title="Shop", timezone="UTC",
            baseline_job=JobRef(name=f"old {n}"), candidate_job=CandidateJob(name=f"new {n}"),
            pipelines=(PipelineRef(name=f"prod {n}", environment="production"),),
            tables=(
                Table(name="t", baseline=f"{self.catalog}.s.t", candidate=f"{self.catalog}.s.v2_t", key=("id",)),
            ),
            roles=Roles(**{str(r): (g,) for r, g in self.groups.items()}), phases=(), metrics=(), sign_offs=(),
            issues=(), gates=(Gate(key="g", title="g", evidence=Evidence(kind="schedules_agree")),),
            rehearsal_schema=f"{self.catalog}.scratch",
        )  # fmt: skip

    def built(self) -> Doctored:
        """Makes jobs, pipeline, schemas and tables, as an administrator."""
        catalog = self.local.sql.catalog
        catalog.create_catalog(self.catalog, ADMIN)
        for schema in ("s", "scratch"):
            catalog.create_schema(f"{self.catalog}.{schema}", ADMIN)
        for name in ("t", "v2_t"):
            catalog.put_table(
                TableRecord(
                    self.catalog, "s", name, MANAGED, ADMIN, None, 1, ADMIN, 1, ADMIN, f"{self.catalog}-{name}",
                    columns=(ColumnRecord("id", "bigint", "{}", "LONG", 0),),
                )
            )  # fmt: skip
        path = notebook(self.local, "doctored", "ok")
        for name in (self.migration.baseline_job.name, self.migration.candidate_job.name):
            self.client.jobs.create(name=name, tasks=[task("a", path)])
        pipeline(self.client, self.migration.production_pipeline.name)
        return self

    def granted(self, *but: str) -> Doctored:
        """Gives the app's principal every right of the list, without those whose right or `right on` is in `but`."""
        for n in needed(self.migration):
            if n.who != APP or not n.kind or n.right in but or f"{n.right} on {n.on}" in but:
                continue
            if n.kind in ("catalog", "schema") and not n.name.startswith("system"):
                change = uc.PermissionsChange(principal=self.principal, add=[uc.Privilege(n.right.replace(" ", "_"))])
                self.client.grants.update(n.kind, n.name, changes=[change])
            elif n.kind in ("job", "pipeline", "warehouse"):
                self.permit(n.kind, n.right)
        return self

    def permit(self, kind: str, level: str) -> None:
        """Gives the app's principal a level on the jobs, the pipeline or the warehouse."""
        entry = {"service_principal_name": self.principal}
        if kind == "job":
            named = {self.migration.baseline_job.name, self.migration.candidate_job.name}
            for job in (j for j in self.client.jobs.list() if j.settings and j.settings.name in named):
                access = jobs.JobAccessControlRequest(permission_level=jobs.JobPermissionLevel(level), **entry)
                self.client.jobs.update_permissions(str(job.job_id), access_control_list=[access])
            return
        request = iam.AccessControlRequest(permission_level=iam.PermissionLevel(level), **entry)
        id = self.local.warehouse_id
        if kind == "pipeline":
            found = self.client.pipelines.list_pipelines(
                filter=f"name LIKE '{self.migration.production_pipeline.name}'"
            )
            id = str(next(iter(found)).pipeline_id)
        self.client.permissions.update(f"{kind}s", id, access_control_list=[request])

    def administered(self) -> Doctored:
        """Puts the app's principal into the group of administrators: it sees everything."""
        self.local.ensure_group("admins", (self.principal,))
        return self

    def with_users(self, **users: tuple[str, ...]) -> Doctored:
        """Names users in the migration file."""
        roles = self.migration.roles.model_copy(update={"users": NamedUsers(**users)})
        self.migration = self.migration.model_copy(update={"roles": roles})
        return self

    def setup(
        self, *, start_warehouse: bool = False, token: str | None = None, host: str | None = None,
        warehouse_id: str | None = None,
    ) -> Setup:  # fmt: skip
        """What the doctor checks, as the app's principal."""
        settings = Settings(
            data=self.folder, store_url=self.store_url, migration_path=Path("m.yaml"), identity=self.identity,
            in_databricks_apps=self.in_apps,
        )  # fmt: skip
        token = self.local.token_for(self.principal) if token is None else token
        workspace = Client(Endpoint(host or self.local.host, warehouse_id or self.local.warehouse_id, token))
        self.sql = Answers(self.systems)
        workspace.__dict__["sql"] = self.sql
        found = Context(settings=settings, migration=self.migration, workspace=workspace).examined(
            start_warehouse=start_warehouse
        )
        found.clock = self.clock
        return found

    def examine(
        self, *only: str, seconds: float = 20.0, checks: tuple[Check, ...] = tuple(CHECKS), **options: Any
    ) -> Report:
        """A run of the doctor as the app's principal. only: keys of checks, in place of all; options: of `setup`."""
        return examine(self.setup(**options), seconds, [c for c in checks if not only or c.key in only])


def of(report: Report, key: str, state: State | None = None) -> list[Finding]:
    """The findings of one check, of one state if that is given."""
    check = next(c for c in report.checks if c.key == key)
    return [f for f in check.findings if state is None or f.state is state]


def fixes(report: Report, key: str) -> list[str]:
    """The ways out of what a check found wrong."""
    return [f.fix for f in of(report, key) if f.fix]
