"""`import dlt` in a pipeline's source: what it defines, and what of it is refused by name. No Spark is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql.connect.session import SparkSession

from emulator.runner import update
from emulator.runner.update import DefinitionError, UpdateRun, kind_of


@pytest.fixture
def spark() -> Iterator[SparkSession]:
    """A session that is never connected: frames are made, nothing is asked of a server."""
    made = SparkSession(connection="sc://127.0.0.1:1")
    yield made
    made.client._channel.close()


@pytest.fixture
def read(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], UpdateRun]:
    """Reads a source file as an update does."""
    monkeypatch.setattr(update, "add_pipeline_analysis_context", lambda **_: nullcontext())

    def one(source: str) -> UpdateRun:
        (tmp_path / "tables_of_dlt.py").write_text("import dlt\n" + source)
        request = {"root": str(tmp_path), "hidden_schema": "h", "files": ["tables_of_dlt.py"]}
        run = UpdateRun(request, SimpleNamespace())  # type: ignore[arg-type]
        run.read_files(spark, "graph")
        return run

    return one


def kinds(run: UpdateRun) -> dict[str, str]:
    return {o.name: kind_of(o) for o in run.collected.outputs}


SOURCE = """
@dlt.view
def cleaned():
    return dlt.read("raw")

@dlt.table(name="gold", comment="c", table_properties={"delta.enableRowTracking": "true"})
def g():
    return later(dlt.read("cleaned"))

@dlt.table
def bronze():
    return spark.range(3).join(dlt.read_stream("raw"), "id").filter("id > 1")

dlt.create_streaming_table("target")

@dlt.append_flow(target="target")
def into():
    return dlt.read_stream("bronze")

def later(frame):
    return frame.select("id")
"""


def test_a_table_is_streaming_if_its_function_reads_a_stream(read: Callable[[str], UpdateRun]) -> None:
    run = read(SOURCE)
    assert kinds(run) == {
        "cleaned": "VIEW",
        "gold": "MATERIALIZED_VIEW",
        "bronze": "STREAMING_TABLE",
        "target": "STREAMING_TABLE",
    }
    gold: Any = next(o for o in run.collected.outputs if o.name == "gold")
    assert (gold.comment, gold.table_properties) == ("c", {"delta.enableRowTracking": "true"})
    assert {f.name: f.target for f in run.collected.flows} == {
        "cleaned": "cleaned",
        "gold": "gold",
        "bronze": "bronze",
        "into": "target",
    }
    assert not run.only_views()


@pytest.mark.parametrize("name", ["expect_or_drop", "expect_all", "apply_changes", "on_event_hook"])
def test_what_sparks_pipelines_lack_is_refused_by_name(read: Callable[[str], UpdateRun], name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(f'@dlt.table\n@dlt.{name}("id is set", "id IS NOT NULL")\ndef a():\n    return spark.range(1)\n')
    assert f"dlt.{name} is not supported by the local workspace" in str(caught.value.__cause__)


def test_a_function_that_fails_names_its_table(read: Callable[[str], UpdateRun]) -> None:
    with pytest.raises(DefinitionError, match="'broken'"):
        read("@dlt.table\ndef broken():\n    return nothing\n")
