"""The old job against one update of the pipeline: seconds on the same Spark with equal input, and whether tables agree.

`ENTRIES` (20000) sizes the source data, `ROUNDS` (3) says how often each side runs, in turn.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.pipelines import UpdateInfoState

from app.config.migration import DEFAULT_MIGRATION, Migration
from benchmarks.table import show
from scripts.local_workspace import LocalWorkspace
from validation.comparison import compare
from validation.connector import DatabricksWarehouse
from validation.spec import ComparisonSpec

PREPARE_SECONDS = 3600
RUN = timedelta(hours=1)


def job_seconds(client: WorkspaceClient, job_id: int) -> float:
    """Runs a job to its end; its `run_duration`. Raises RuntimeError when it fails."""
    run = client.jobs.run_now(job_id).result(timeout=RUN)
    if run.state is None or run.state.result_state is None or run.state.result_state.value != "SUCCESS":
        raise RuntimeError(f"run {run.run_id} ended {run.state}")
    return (run.run_duration or 0) / 1000


def update_seconds(client: WorkspaceClient, pipeline_id: str) -> float:
    """Runs an update to its end; seconds from its creation to its last event. Raises RuntimeError when it fails."""
    update_id = str(client.pipelines.start_update(pipeline_id).update_id)
    client.pipelines.wait_get_pipeline_idle(pipeline_id, timeout=RUN)
    found = client.pipelines.get_update(pipeline_id, update_id).update
    if found is None or found.state is not UpdateInfoState.COMPLETED:
        raise RuntimeError(f"update {update_id} ended {found.state if found else 'unknown'}")
    answer = client.api_client.do(
        "GET",
        f"/api/2.0/pipelines/{pipeline_id}/events",
        query={"max_results": 1, "filter": f"update_id = '{update_id}'"},
    )
    assert isinstance(answer, dict)
    last = datetime.fromisoformat(str(answer["events"][0]["timestamp"]))
    return last.timestamp() - (found.creation_time or 0) / 1000


def main() -> None:
    """Prints the medians, the ratio and the verdict of each table."""
    entries, rounds = int(os.environ.get("ENTRIES", "20000")), int(os.environ.get("ROUNDS", "3"))
    migration = Migration.load(DEFAULT_MIGRATION)
    with tempfile.TemporaryDirectory() as folder:
        workspace = LocalWorkspace(Path(folder), entries)
        workspace.start()
        try:
            workspace.wait_prepared(PREPARE_SECONDS)
            client = workspace.endpoint.workspace()
            job = next(j.job_id for j in client.jobs.list(name=migration.baseline_job.name))
            name = migration.production_pipeline.name
            pipeline = next(p.pipeline_id for p in client.pipelines.list_pipelines() if p.name == name)
            assert job is not None and pipeline is not None
            old, new = [], []
            for _ in range(rounds):
                old.append(job_seconds(client, job))
                new.append(update_seconds(client, pipeline))
                print(f"old job {old[-1]:.1f} s, update {new[-1]:.1f} s", flush=True)
            show(
                ("entries", "old job (s)", "update (s)", "ratio", "runs"),
                [
                    (
                        f"{entries:,}",
                        f"{median(old):.1f}",
                        f"{median(new):.1f}",
                        f"{median(new) / median(old):.2f}",
                        " ".join(f"{o:.1f}/{n:.1f}" for o, n in zip(old, new, strict=True)),
                    )
                ],
            )
            print()
            warehouse = DatabricksWarehouse.open(workspace.endpoint)
            reports = [
                compare(warehouse, ComparisonSpec(t.baseline, t.candidate, keys=t.key)) for t in migration.tables
            ]
            show(
                ("table", "rows", "verdict"),
                [(t.name, f"{r.baseline_rows:,}", r.label) for t, r in zip(migration.tables, reports, strict=True)],
            )
        finally:
            workspace.stop()


if __name__ == "__main__":
    main()
