"""A Spark session that speaks Databricks SQL for one principal: three-level names, Unity's rules, parameters.

Used by the SQL warehouse (Thrift and statements), by notebooks (their `spark`) and by pipeline runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def connect_session(
    remote_url: str,
    principal: str,
    catalog_db: Path,
    *,
    groups_of: Callable[[str], set[str]],
    catalog: str = "main",
    schema: str = "default",
    virtual_tables: Mapping[str, Callable[[], Any]] | None = None,
) -> Any:
    """A notebook's `spark`: a proxy of pyspark's Connect session. Works in any process that reaches the server.

    remote_url: `sc://127.0.0.1:PORT`. catalog_db: `SqlWorkspace.catalog_db`. `spark.sql(text, args)`, `spark.table`, `spark.read.table`,
    `DataFrame.write.saveAsTable/insertInto`, `writeTo`, `spark.catalog.*` take one-, two- and three-level names and obey grants.
    """
    raise NotImplementedError


def patch_session(spark: Any, rewrite_name: Callable[[str], str], rewrite_sql: Callable[[str], str]) -> Any:
    """For pipeline runs: make a plain Connect session resolve names through `rewrite_name` (read.table, table,
    readStream.table) and SQL text through `rewrite_sql`. Returns the same session."""
    raise NotImplementedError


def pipeline_rewriters(
    catalog_db: Path, catalog: str, schema: str, own_datasets: Sequence[str], hidden_schema: str
) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """(rewrite_name, rewrite_sql) for `patch_session`: names of the pipeline's own datasets (one-, two- or three-level)
    become its graph's single-part names, every other name becomes its Spark name."""
    raise NotImplementedError
