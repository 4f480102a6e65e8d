"""Runs the old job's notebooks and the pipeline on one Spark, over generated sources under schemas of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.connect.readwriter import DataFrameWriter

from demo.sources.generate import generate
from demo.sources.schemas import SCHEMAS
from emulator.dialect.parser import parse
from emulator.dialect.render import Place, render
from emulator.runner.notebook import Widgets
from emulator.runner.source import cells_of, parameter_markers, statements_of

ROOT = Path(__file__).resolve().parents[2] / "pipeline"
TABLES = ("dim_fde", "income_verification", "iv_fde_ax", "iv_master_results", "unity_av_fde", "roi_fraud_reduction")
REPLACED = (
    "unity_fde.py",
    "dash_fde_iv_submissions.sql",
    "iv_fde_ax.sql",
    "iv_master_results.sql",
    "unity_av_fde.sql",
    "roi_fraud_reduction_submission_level.sql",
)
STAYING = (
    "python/blockSelfJoins.py",
    "24hr_iv_table_email.py",
    "fde_last_submission_report.sql",
    "unity_clean_tables.py",
    "properties_deactivation.py",
    "ov_dashboard.sql",
)
PREFIX = "dlt_v2_"
AS_OF = datetime(2026, 11, 23, tzinfo=UTC)


class Bench:
    """Sources, both sides' outputs and the means to run them, in schemas that begin with `area`."""

    def __init__(self, remote: str, area: str, folder: Path) -> None:
        self.remote, self.area, self.folder = remote, area, folder
        self.spark = SparkSession.builder.remote(remote).getOrCreate()
        self.hidden = f"{area}_update"
        for schema in SCHEMAS:
            self.spark.sql(f"CREATE DATABASE IF NOT EXISTS {self.schema(schema)}")
        self.spark.sql(f"CREATE DATABASE IF NOT EXISTS `{self.hidden}`")

    def schema(self, name: str) -> str:
        catalog, schema = name.split(".")
        return f"`{self.area}_{catalog}__{schema}`"

    def name(self, name: str) -> str:
        """Spark's name of a three-level one; any other stays."""
        parts = name.replace("`", "").split(".")
        return f"{self.schema('.'.join(parts[:2]))}.`{parts[2]}`" if len(parts) == 3 else name

    def generate(self, entries: int) -> None:
        generate(self.spark, self.name, entries=entries, seed=11, as_of=AS_OF)

    def sql(self, text: str, args: Mapping[str, str] | None = None) -> DataFrame:
        """Databricks SQL with three-level names."""
        statement = parse(text, dict(args or {}))
        places = {r.start: Place(self.name(".".join(r.parts))) for r in statement.refs if len(r.parts) == 3}
        return self.spark.sql(render(statement, places))

    def drop(self) -> None:
        for schema in SCHEMAS:
            self.spark.sql(f"DROP DATABASE IF EXISTS {self.schema(schema)} CASCADE")
        self.spark.sql(f"DROP DATABASE IF EXISTS `{self.hidden}` CASCADE")

    # -- the old job ---------------------------------------------------------------------------------------------------

    def run_notebook(self, notebook: str, **parameters: str) -> list[str]:
        """Executes a notebook as it lies in the repository; returns the values that it exited with."""
        widgets, exits = Widgets(parameters), list[str]()
        namespace: dict[str, Any] = {
            "__name__": "__main__",
            "spark": _Session(self),
            "display": lambda frame: frame.collect(),
            "dbutils": SimpleNamespace(widgets=widgets, notebook=SimpleNamespace(exit=exits.append)),
        }
        source = (ROOT / "legacy" / notebook).read_text()
        with self._three_level_writes():
            for cell in cells_of(source, "SQL" if notebook.endswith(".sql") else "PYTHON"):
                if cell.language == "python":
                    exec(compile(cell.text, notebook, "exec"), namespace)
                elif cell.language == "sql":
                    for statement, _ in statements_of(cell.text):
                        self._notebook_sql(statement, widgets)
        return exits

    def _notebook_sql(self, statement: str, widgets: Widgets) -> None:
        words = statement.split()
        if [w.upper() for w in words[:3]] == ["CREATE", "WIDGET", "TEXT"]:
            widgets.text(words[3], "")
            return
        values = widgets.getAll()
        self.sql(statement, {k: values[k] for k in parameter_markers(statement)}).collect()

    @contextmanager
    def _three_level_writes(self) -> Iterator[None]:
        original = DataFrameWriter.saveAsTable

        def save(writer: Any, name: str, *args: Any, **kwargs: Any) -> None:
            original(writer, self.name(name), *args, **kwargs)

        DataFrameWriter.saveAsTable = save  # type: ignore[method-assign]
        try:
            yield
        finally:
            DataFrameWriter.saveAsTable = original  # type: ignore[method-assign]

    def run_old_side(self) -> None:
        for notebook in REPLACED:
            self.run_notebook(notebook)

    # -- the pipeline --------------------------------------------------------------------------------------------------

    def configuration(self, more: Mapping[str, str]) -> dict[str, str]:
        given = {
            **more,
            "source_rds": self.schema("rds.pg_rds_public"),
            "source_iv": self.schema("rds.pg_rds_dp_income_validation_iv"),
            "source_ax": self.schema("rds.pg_rds_ax_public"),
            "source_av": self.schema("rds.pg_rds_av_av"),
            "source_helpers": self.schema("product.fde"),
            "source_sandbox": self.schema("product_sandbox.fde"),
            "table_prefix": PREFIX,
        }
        return {f"spark.{key}": value for key, value in given.items()}

    def update(
        self, transformations: Path = ROOT / "transformations", **configuration: str
    ) -> subprocess.CompletedProcess[str]:
        """One update by Spark's own command, from a copy of the specification in the repository."""
        spec = yaml.safe_load((ROOT / "spark-pipeline.yml").read_text())
        root = self.folder / transformations.parent.name
        root.mkdir(exist_ok=True)
        link = root / "transformations"
        if not link.exists():
            link.symlink_to(transformations)
        spec["storage"] = (self.folder / "storage").as_uri()
        spec["database"] = self.hidden
        spec["configuration"].update(self.configuration(configuration))
        path = root / "spark-pipeline.yml"
        path.write_text(yaml.safe_dump(spec))
        command = [sys.executable, "-m", "pyspark.pipelines.cli", "run", "--spec", str(path)]
        environment = {**os.environ, "SPARK_REMOTE": self.remote}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    # -- what came out -------------------------------------------------------------------------------------------------

    def old(self, table: str) -> DataFrame:
        return self.spark.table(self.name(f"product.fde.{table}"))

    def new(self, table: str) -> DataFrame:
        return self.spark.table(f"`{self.hidden}`.`{PREFIX}{table}`")

    def expectations(self) -> dict[tuple[str, str], tuple[str, int, int]]:
        """(dataset, expectation) to (action, passed, failed)."""
        found = {}
        for row in self.spark.sql(f"SHOW TABLES IN `{self.hidden}`").collect():
            if row["tableName"].startswith("__expectations__"):
                for r in self.spark.table(f"`{self.hidden}`.`{row['tableName']}`").collect():
                    found[r["dataset"], r["name"]] = (r["action"], r["passed_records"], r["failed_records"])
        return found


class _Session:
    """A notebook's `spark`, with three-level names."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bench.spark, name)

    def sql(self, text: str) -> DataFrame:
        return self._bench.sql(text)

    def table(self, name: str) -> DataFrame:
        return self._bench.spark.table(self._bench.name(name))


def assert_equal(bench: Bench, table: str) -> int:
    """Both sides of a table have the same columns, types, order and multiset of rows; returns the rows."""
    old, new = bench.old(table), bench.new(table)
    assert [(f.name, f.dataType) for f in new.schema] == [(f.name, f.dataType) for f in old.schema], table
    both = old.exceptAll(new), new.exceptAll(old)
    missing, extra = (frame.limit(3).toPandas().to_dict("records") for frame in both)
    assert (missing, extra) == ([], []), f"{table}: missing {missing}, extra {extra}"
    return old.count()
