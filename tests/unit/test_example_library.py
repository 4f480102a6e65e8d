"""What the library's installer sends to the workspace by REST: kept as it is, and once, however often it is sent."""

from __future__ import annotations

from databricks.sdk import WorkspaceClient

from app.config.migration import Migration
from emulator.workspace import Workspace
from examples.loans.install import HERE, NEW, OLD, PIPELINE, files, job, pipeline
from tests.support.rest_calls import notebook, task


def test_its_files_pipeline_and_jobs_are_made_once(local: Workspace, client: WorkspaceClient) -> None:
    for _ in range(2):
        files(client, "/Shared/library")
        made = pipeline(client, "/Shared/library")
        for name in (OLD, NEW):
            job(client, name, task("a", notebook(local, "loans", "ok")))
    assert len([p for p in client.pipelines.list_pipelines() if p.name == PIPELINE]) == 1
    spec = client.pipelines.get(made).spec
    assert spec is not None and (spec.catalog, spec.schema) == ("library", "circulation")
    assert [len(list(client.jobs.list(name=n))) for n in (OLD, NEW)] == [1, 1]
    held = local.files.find("/Shared/library/transformations/loans.py")
    assert held is not None and held.content == (HERE / "transformations" / "loans.py").read_bytes()
    loaded = local.files.find("/Shared/library/load_loans")
    assert loaded is not None and loaded.object_type == "NOTEBOOK"


def test_its_file_names_what_the_installer_makes() -> None:
    migration = Migration.load(HERE / "loans.yaml")
    assert (migration.baseline_job.name, migration.candidate_job.name) == (OLD, NEW)
    assert migration.production_pipeline.name == PIPELINE
    source = (HERE / "transformations" / "loans.py").read_text() + (HERE / "load_loans.sql").read_text()
    for table in migration.tables:
        assert table.baseline in source and f'name="{table.candidate.rsplit(".", 1)[1]}"' in source
