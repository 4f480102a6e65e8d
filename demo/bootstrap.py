"""Fills a workspace with the bundled migration: people, catalogs, notebooks, jobs, source data, a first run, history.

Every step can be repeated and marks itself done only when it is whole, so that a start after a kill goes on from there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from demo.bundle import Bundle, Resource, load
from demo.history import Sides, history
from demo.sources import SCHEMAS, TABLES, generate
from demo.sources import tick as tick_sources
from demo.sources.schemas import Table
from emulator import system_tables
from emulator.constants import ADMIN
from emulator.dialect.names import literal, quoted, spark_part, spark_schema
from emulator.records import Json, Run, now_ms
from emulator.workspace import SIZE, FillError, Progress, Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = "/Repos/dbx_git/dbx/snappt"
PIPELINE = f"{NOTEBOOKS}/dlt_pipelines"
PIPELINE_FOLDERS = ("transformations", "fde")

APP = "cutover-app"
PEOPLE = {
    "engineer@example.com": "Erin Okafor",
    "lead@example.com": "Lars Lindqvist",
    "stakeholder@example.com": "Sofia Marchetti",
    "analyst@example.com": "Ada Nowak",
}
GROUPS = {
    "rds-viewers": ("engineer@example.com", "lead@example.com", "stakeholder@example.com"),
    "rds-operators": ("engineer@example.com", "lead@example.com"),
    "rds-approvers": ("lead@example.com",),
    "data-consumers": ("analyst@example.com",),
}
OUTPUTS = tuple(
    f"product.fde.{name}"
    for name in (
        "dim_fde",
        "income_verification",
        "iv_fde_ax",
        "iv_master_results",
        "unity_av_fde",
        "roi_fraud_reduction",
    )
)
OUTPUT_SCHEMA = "product.fde"
SANDBOX_SCHEMA = "team_sandbox.data_engineering"

# Ids are fixed, so that links and bookmarks survive a new data folder. That of the old job is the production's.
IDS = {
    "pipelines.development": "0d1f0000-0000-4000-8000-00000000de01",
    "pipelines.production": "0d1f0000-0000-4000-8000-00000000be02",
    "jobs.old": "314473856953682",
    "jobs.new": "529104417736208",
    "jobs.development_schedule": "790355128846117",
    "apps.cutover.service_principal_client_id": APP,
}

FIRST_RUN = "First run of both jobs"

DECLARERS = 4
"""Statements that declare tables at the same time."""


def definitions(warehouse_id: str) -> Bundle:
    """Jobs and pipelines of a workspace in mid-migration: the bundle's, the new job, and the old one of production."""
    return load(
        ROOT / "databricks.yml",
        "prod",
        also=[ROOT / "pipeline" / "new_job.yml", ROOT / "demo" / "old_job.yml"],
        ids=IDS,
        variables={
            "deployer": ADMIN,
            "warehouse_id": warehouse_id,
            "old_job_id": IDS["jobs.old"],
            "database_instance": "none here",
            "notebooks": NOTEBOOKS,
            "pipeline_root": PIPELINE,
        },
    )


@dataclass(frozen=True)
class Step:
    """One part of the preparation. key: what it is remembered by; title: what a person reads."""

    key: str
    title: str
    execute: Callable[[], None]


def fill(workspace: Workspace, entries: int, seed: int, progress: Progress) -> None:
    """Puts the bundled migration in place, or what of it is missing; needs a running Spark.

    entries, seed: size and seed of the source data; a folder that has its data keeps it, whatever is requested later.
    Raises FillError, naming the step.
    """
    began, place = time.monotonic(), ""

    def show(step: str, done: int = 0, total: int = 0, message: str = "") -> None:
        progress(step, done, total, f"{place}, {_elapsed(time.monotonic() - began)}: {message or step}")

    made = Bootstrap(workspace, entries, seed, show)
    system_tables.register(workspace)
    steps = made.steps()
    for number, step in enumerate(steps):
        if workspace.state.meta(f"bootstrap.{step.key}"):
            continue
        place = f"Step {number + 1} of {len(steps)}"
        show(step.title)
        try:
            step.execute()
        except Exception as e:
            if workspace.stopping.is_set():
                raise
            why = str(e) or type(e).__name__
            raise FillError(f"{step.title}: {why}; start again to go on from this step") from e
        workspace.state.set_meta(f"bootstrap.{step.key}", datetime.now(UTC).isoformat())
    made.refresh_files()


def tick(workspace: Workspace, share: float = 0.01, now: datetime | None = None) -> Json:
    """Lets time pass in the source tables, once, as between two runs. Returns the fields of `demo.sources.Ticked`."""
    spark = local_spark(workspace)
    try:
        number = int(workspace.state.meta("bootstrap.ticks") or 0) + 1
        seed = int(workspace.state.meta("bootstrap.seed") or 7)
        done = tick_sources(spark, spark_name, seed=seed, number=number, share=share, now=now or datetime.now(UTC))
        workspace.state.set_meta("bootstrap.ticks", str(number))
        return asdict(done)
    finally:
        spark.stop()


def spark_name(full_name: str) -> str:
    """The identifier under which Spark has a table of the catalog."""
    catalog, schema, name = full_name.split(".", 2)
    return quoted((spark_schema(catalog, schema), spark_part(name)))


def local_spark(workspace: Workspace) -> SparkSession:
    from pyspark.sql.connect.session import SparkSession as Connect

    return Connect.builder.remote(workspace.sql.remote_url).create()


class Bootstrap:
    def __init__(self, workspace: Workspace, entries: int, seed: int, progress: Progress) -> None:
        self.workspace, self.state, self.progress = workspace, workspace.state, progress
        self.admin = ADMIN
        # What the first start decided stays decided.
        self.entries = int(self._first(SIZE, str(entries)))
        self.seed = int(self._first("bootstrap.seed", str(seed)))
        self.as_of = datetime.fromisoformat(self._first("bootstrap.as_of", datetime.now(UTC).isoformat()))

    def _first(self, key: str, value: str) -> str:
        found = self.state.meta(key)
        if found is None:
            self.state.set_meta(key, value)
        return found or value

    def steps(self) -> list[Step]:
        return [
            Step("people", "Users and groups", self.people),
            Step("catalogs", "Catalogs and schemas", self.catalogs),
            Step("files", "Notebooks and pipeline source", self.refresh_files),
            Step("jobs", "Jobs and pipelines", self.jobs),
            Step("sources", "Source data", self.sources),
            Step("first_run", FIRST_RUN, self.first_run),
            Step("grants", "Grants", self.grants),
            Step("history", "Generated history", self.history),
        ]

    # -- people, catalogs --------------------------------------------------------------------------------------------

    def people(self) -> None:
        for email, name in PEOPLE.items():
            self.workspace.ensure_user(email, name)
        self.workspace.ensure_service_principal(APP, "Cutover (app)")
        for group, members in GROUPS.items():
            self.workspace.ensure_group(group, members)

    def catalogs(self) -> None:
        for schema in dict.fromkeys((*SCHEMAS, OUTPUT_SCHEMA, SANDBOX_SCHEMA)):
            catalog = schema.split(".")[0]
            self.sql(f"CREATE CATALOG IF NOT EXISTS {quoted([catalog])}")
            self.sql(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema.split('.'))}")
        readers = {"rds-viewers": ("SELECT",), APP: ("SELECT",)}
        for catalog in ("product", "product_sandbox", "team_sandbox", "rds", "system"):
            everyone = (*readers, "data-consumers") if catalog == "product" else tuple(readers)
            for principal in everyone:
                self.grant(("USE CATALOG",), "CATALOG", catalog, principal)
        for schema in dict.fromkeys((*SCHEMAS, OUTPUT_SCHEMA, SANDBOX_SCHEMA)):
            for principal, privileges in readers.items():
                self.grant(("USE SCHEMA", *privileges), "SCHEMA", schema, principal)
        for schema in ("system.billing", "system.lakeflow", "system.access"):
            for principal, privileges in readers.items():
                self.grant(("USE SCHEMA", *privileges), "SCHEMA", schema, principal)
        self.grant(("USE SCHEMA",), "SCHEMA", OUTPUT_SCHEMA, "data-consumers")
        # What the panel's service principal needs to switch tables over and to rehearse it.
        for schema in (OUTPUT_SCHEMA, SANDBOX_SCHEMA):
            self.grant(("CREATE TABLE", "MODIFY", "MANAGE"), "SCHEMA", schema, APP)

    def grants(self) -> None:
        for table in OUTPUTS:
            self.grant(("SELECT",), "TABLE", table, "data-consumers")

    def grant(self, privileges: tuple[str, ...], kind: str, name: str, principal: str) -> None:
        self.workspace.sql.catalog.update_grants(kind, name, [(principal, privileges, ())], self.admin)

    def sql(self, text: str) -> None:
        self.workspace.sql.execute(self.admin, text)

    # -- files -------------------------------------------------------------------------------------------------------

    def refresh_files(self) -> None:
        """Brings the notebooks and the pipeline's source into the workspace tree.

        A later start brings what has changed in the project, and leaves alone what was edited in the workspace.
        """
        for path, source in self.files():
            content = source.read_text()
            wanted, known = _digest(content.encode()), self.state.meta(f"bootstrap.file.{path}")
            held = self.workspace.files.find(path)
            edited = held is not None and known is not None and _digest(held.content) != known
            if edited or (held is not None and known == wanted):
                continue
            if path.startswith(PIPELINE):
                item = self.workspace.files.put_file(path, content.encode())
            else:
                item = self.workspace.files.import_source(path, content)
            self.state.set_meta(f"bootstrap.file.{path}", _digest(item.content))

    @staticmethod
    def files() -> list[tuple[str, Path]]:
        """(path in the workspace, file of the project) of every notebook and every file of the pipeline's source."""
        legacy, pipeline = ROOT / "pipeline" / "legacy", ROOT / "pipeline"
        notebooks = [p for p in sorted(legacy.rglob("*")) if p.suffix in (".py", ".sql") and p.name != "__init__.py"]
        found = [(f"{NOTEBOOKS}/{p.relative_to(legacy).with_suffix('').as_posix()}", p) for p in notebooks]
        for folder in PIPELINE_FOLDERS:
            sources = sorted((pipeline / folder).rglob("*.py"))
            found += [(f"{PIPELINE}/{p.relative_to(pipeline).as_posix()}", p) for p in sources]
        return found

    # -- jobs and pipelines ------------------------------------------------------------------------------------------

    def bundle(self) -> Bundle:
        return definitions(self.workspace.warehouse_id)

    def jobs(self) -> None:
        """Creates what is missing; what exists may have been changed since and stays as it is."""
        bundle = self.bundle()
        for resource in bundle.pipelines.values():
            pipeline_id = IDS[resource.reference]
            if self.state.pipeline(pipeline_id) is None:
                self.workspace.pipelines.create(resource.settings, self.admin, pipeline_id=pipeline_id)
                self.permit("pipelines", pipeline_id, resource)
        for resource in bundle.jobs.values():
            job_id = int(IDS[resource.reference])
            if self.state.job(job_id) is None:
                self.workspace.jobs.create(resource.settings, self.admin, job_id=job_id)
                self.permit("jobs", str(job_id), resource)
        permitted = self.state.permissions("warehouses", self.workspace.warehouse_id)
        self.state.set_permissions(
            "warehouses", self.workspace.warehouse_id, {**permitted, ("service_principal", APP): "CAN_USE"}
        )

    def permit(self, kind: str, object_id: str, resource: Resource) -> None:
        held = self.state.permissions(kind, object_id)
        given = {(p.kind, p.principal): p.level for p in resource.permissions}
        self.state.set_permissions(kind, object_id, {**given, **held})

    # -- data --------------------------------------------------------------------------------------------------------

    def sources(self) -> None:
        """Declares the tables to the catalog, then writes them whole."""

        def declare(table: Table) -> None:
            columns = ", ".join(f"{quoted([c.name])} {c.type}" for c in table.columns)
            name = quoted(table.name.split("."))
            self.sql(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) COMMENT {literal(table.comment)}")

        with ThreadPoolExecutor(DECLARERS, thread_name_prefix="declare") as pool:
            list(pool.map(declare, TABLES.values()))

        def show(table: str, done: int, total: int) -> None:
            self.progress("Source data", done, total, f"Source data: {done} of {total} tables, last {table}")

        spark = local_spark(self.workspace)
        try:
            generate(spark, spark_name, entries=self.entries, seed=self.seed, as_of=self.as_of, progress=show)
        finally:
            spark.stop()

    def first_run(self) -> None:
        """One real run of each job, so that the tables of both sides are there; another one where a kill ended it."""
        old, new = self.missing_run("jobs.old"), self.missing_run("jobs.new")
        if old is not None:
            run = self.started(old)
            if new is not None:
                # Both jobs begin with the notebook that builds the helper tables anew: one at a time.
                self.wait_for([run], until_first_task=True)
                self.finish([run, self.started(new)])
            else:
                self.finish([run])
        elif new is not None:
            self.finish([self.started(new)])

    def missing_run(self, reference: str) -> int | None:
        """Id of a job that has no successful run of its own yet; None where it has one."""
        job_id = int(IDS[reference])
        runs = self.state.runs(job_id=job_id, generated=False)
        return None if any(r.result_state == "SUCCESS" for r in runs) else job_id

    def started(self, job_id: int) -> Run:
        active = self.state.runs(job_id=job_id, generated=False, active=True)
        return active[0] if active else self.workspace.jobs.run_now(job_id, self.admin)

    def finish(self, runs: list[Run]) -> None:
        """Waits until the runs have ended. Raises FillError for one that fails twice."""
        failed = [r for r in self.wait_for(runs) if r.result_state != "SUCCESS"]
        # Where no table is there yet, a task can be ahead of one whose table it reads but need not wait for.
        for run in failed:
            self.workspace.jobs.repair(run.run_id, None, all_failed=True)
        for run in self.wait_for(failed):
            if run.result_state != "SUCCESS":
                raise FillError(f"run {run.run_id} of {run.run_name} ended {run.result_state}: {run.state_message}")

    def wait_for(self, runs: list[Run], until_first_task: bool = False) -> list[Run]:
        """The runs once all have ended, or once a task of theirs has; shows meanwhile what runs."""
        while True:
            tasks = [t for r in runs for t in self.state.tasks(r.run_id)]
            done = sum(not t.active for t in tasks)
            if until_first_task and done:
                return runs
            if not any(self.active(r) for r in runs):
                return [self.workspace.jobs.wait(r.run_id) for r in runs]
            names = ", ".join(sorted({t.task_key for t in tasks if t.life_cycle_state == "RUNNING"}))
            state = f"{done} of {len(tasks)} tasks, {names or 'starting'}"
            self.progress(FIRST_RUN, done, len(tasks), f"{FIRST_RUN}: {state}")
            if self.workspace.stopping.wait(1.0):
                raise FillError("the workspace stops")

    def active(self, run: Run) -> bool:
        found = self.state.run(run.run_id)
        return found is not None and found.active

    def history(self) -> None:
        """Weeks before the first start, at once or not at all."""
        if self.state.updates(generated=True, limit=1):
            return
        old, new, development = (self.state.job(int(IDS[f"jobs.{k}"])) for k in ("old", "new", "development_schedule"))
        pipelines = [self.state.pipeline(IDS[f"pipelines.{k}"]) for k in ("development", "production")]
        if old is None or new is None or development is None or pipelines[0] is None or pipelines[1] is None:
            raise FillError("a job or pipeline of the bundle was deleted while the workspace was being prepared")
        measured: dict[str, float] = {}
        for run in self.state.runs(job_id=old.job_id, generated=False)[:1]:
            ran = [t for t in self.state.tasks(run.run_id) if t.result_state == "SUCCESS"]
            measured = {t.task_key: (t.end_ms - t.start_ms) / 1000 for t in ran}
        sides = Sides(old, new, development, pipelines[0], pipelines[1], self.admin, self.entries, measured)
        made = history(sides, self.as_of, seed=self.seed)
        with self.state.transaction():
            self.state.put_runs(made.runs, made.tasks)
            self.state.put_updates(made.updates, made.events)
            # Jobs and pipelines are as old as their history.
            for job in (old, new, development):
                first = min(r.start_ms for r in made.runs if r.job_id == job.job_id)
                self.state.put_job(replace(job, created_ms=min(job.created_ms, first - 3_600_000)))
            for pipeline in pipelines:
                if pipeline is not None:
                    first = min(u.created_ms for u in made.updates if u.pipeline_id == pipeline.pipeline_id)
                    self.state.put_pipeline(replace(pipeline, created_ms=min(pipeline.created_ms, first - 3_600_000)))
            self.consumers()

    def consumers(self) -> None:
        """Readers of the six tables that lineage knows of: invented ones, and their ids say so."""
        readers = (
            ("DASHBOARD_V3", "generated-dashboard-fraud-overview", ("dim_fde", "roi_fraud_reduction")),
            ("DASHBOARD_V3", "generated-dashboard-income", ("income_verification", "iv_master_results")),
            ("DBSQL_QUERY", "generated-query-weekly-rulings", ("dim_fde",)),
            ("NOTEBOOK", "generated-notebook-asset-review", ("unity_av_fde", "dim_fde")),
        )
        day = 86_400_000
        for entity_type, entity_id, tables in readers:
            for age in (1, 3, 8, 15):
                at = int(self.as_of.timestamp() * 1000) - age * day
                system_tables.note_lineage(
                    self.state,
                    entity_type=entity_type,
                    entity_id=entity_id,
                    entity_run_id=f"{entity_id}-{age}",
                    created_by="analyst@example.com",
                    sources=[f"{OUTPUT_SCHEMA}.{t}" for t in tables],
                    targets=(),
                    at_ms=min(at, now_ms()),
                )


def _elapsed(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
