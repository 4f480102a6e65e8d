"""Addresses of the workspace's own pages."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from databricks_client.quoting import split_table


@dataclass(frozen=True)
class Links:
    """Pages of the workspace at `host` (with scheme, no trailing slash)."""

    host: str

    def job(self, job_id: int) -> str:
        return f"{self.host}/jobs/{job_id}"

    def run(self, job_id: int, run_id: int) -> str:
        return f"{self.host}/jobs/{job_id}/runs/{run_id}"

    def pipeline(self, pipeline_id: str) -> str:
        return f"{self.host}/pipelines/{quote(pipeline_id, safe='')}"

    def update(self, pipeline_id: str, update_id: str) -> str:
        return f"{self.pipeline(pipeline_id)}/updates/{quote(update_id, safe='')}"

    def table(self, full_name: str) -> str:
        return f"{self.host}/explore/data/" + "/".join(quote(p, safe="") for p in split_table(full_name))
