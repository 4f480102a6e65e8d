"""What a browser gets at the addresses of the service's own pages: the local workspace has none, and says so.

A browser brings no token, so a page shows nothing of the workspace's records, only what its address already says.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from html import escape

from emulator.rest.http import Answer, Call, route

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - local workspace</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }}
pre {{ overflow-x: auto; padding: 0.75rem; border: 1px solid; }}
:root {{ color-scheme: light dark; }}
</style></head><body>
<h1>{title}</h1>
<p>This is the local workspace; it has no pages of its own. On Databricks this link opens {what}.</p>
<p>To see it here, call the REST API with a token, or use the command line of Databricks:</p>
<pre>{ways}</pre>
</body></html>
"""


def page(title: str, what: str, *ways: str) -> Answer:
    """One page; everything given is text."""
    content = PAGE.format(title=escape(title), what=escape(what), ways=escape("\n".join(ways)))
    return Answer(content=content.encode(), media_type="text/html; charset=utf-8")


def of(template: str, title: str, what: str, *ways: str) -> None:
    """A page at `template`. title, what, ways: texts that name the address's parts in braces; ways quotes them."""

    def filled(params: Mapping[str, str], quote: Callable[[str], str], text: str) -> str:
        return text.format(**{name: quote(value) for name, value in params.items()})

    @route("GET", template, anonymous=True)
    def show(call: Call) -> Answer:
        plain = [filled(call.params, str, text) for text in (title, what)]
        return page(*plain, *(filled(call.params, shlex.quote, text) for text in ways))


of(
    "/",
    "Local workspace",
    "the workspace, or the job or run that the address names behind its #",
    "databricks jobs get JOB_ID",
    "databricks jobs get-run RUN_ID",
)
of(
    "/jobs/{job_id}",
    "Job {job_id}",
    "job {job_id}",
    "GET /api/2.2/jobs/get?job_id={job_id}",
    "databricks jobs get {job_id}",
)
of(
    "/jobs/{job_id}/runs/{run_id}",
    "Run {run_id}",
    "run {run_id} of job {job_id}",
    "GET /api/2.2/jobs/runs/get?run_id={run_id}",
    "databricks jobs get-run {run_id}",
)
of(
    "/pipelines/{pipeline_id}",
    "Pipeline {pipeline_id}",
    "pipeline {pipeline_id}",
    "GET /api/2.0/pipelines/{pipeline_id}",
    "databricks pipelines get {pipeline_id}",
)
of(
    "/pipelines/{pipeline_id}/updates/{update_id}",
    "Update {update_id}",
    "update {update_id} of pipeline {pipeline_id}",
    "GET /api/2.0/pipelines/{pipeline_id}/updates/{update_id}",
    "databricks pipelines get-update {pipeline_id} {update_id}",
)
of(
    "/explore/data/{catalog}",
    "Catalog {catalog}",
    "catalog {catalog}",
    "GET /api/2.1/unity-catalog/catalogs/{catalog}",
    "databricks catalogs get {catalog}",
)
of(
    "/explore/data/{catalog}/{schema}",
    "Schema {catalog}.{schema}",
    "schema {catalog}.{schema}",
    "GET /api/2.1/unity-catalog/schemas/{catalog}.{schema}",
    "databricks schemas get {catalog}.{schema}",
)
of(
    "/explore/data/{catalog}/{schema}/{table}",
    "Table {catalog}.{schema}.{table}",
    "table {catalog}.{schema}.{table}",
    "GET /api/2.1/unity-catalog/tables/{catalog}.{schema}.{table}",
    "databricks tables get {catalog}.{schema}.{table}",
)
of(
    "/sql/warehouses/{warehouse_id}",
    "SQL warehouse {warehouse_id}",
    "SQL warehouse {warehouse_id}",
    "GET /api/2.0/sql/warehouses/{warehouse_id}",
    "databricks warehouses get {warehouse_id}",
)
