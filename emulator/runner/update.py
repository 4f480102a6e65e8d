"""Executes one pipeline update in a forked process: reads the source files, defines the graph, runs it, reports.

The same as `spark-pipelines run` (or `dry-run`), with three additions: names are three-level; definitions are
collected before any is sent, to distinguish a flow's reads from the pipeline's own datasets; and what each flow wrote
is read back while others still run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pyspark.pipelines.add_pipeline_analysis_context import add_pipeline_analysis_context
from pyspark.pipelines.block_session_mutations import block_session_mutations
from pyspark.pipelines.graph_element_registry import GraphElementRegistry, graph_element_registration_context
from pyspark.pipelines.output import MaterializedView, Sink, StreamingTable, TemporaryView
from pyspark.pipelines.spark_connect_graph_element_registry import SparkConnectGraphElementRegistry
from pyspark.pipelines.spark_connect_pipeline import create_dataflow_graph, start_run

from emulator.runner.channel import Channel
from emulator.runner.dlt_module import dlt_module, settled
from emulator.session import patch_session, pipeline_rewriters
from emulator.sql import commit_info
from emulator.sql.spark import scheduled

HIDDEN_PREFIX = "__expectations__"


class DefinitionError(Exception):
    """The pipeline's source could not be read; `__cause__` is what it raised."""


class Collected(GraphElementRegistry):  # type: ignore[misc]
    """Remembers definitions in the order they came, to be sent once all files are read."""

    def __init__(self) -> None:
        self.outputs: list[Any] = []
        self.flows: list[Any] = []
        self.cdc_flows: list[Any] = []
        self.sql: list[tuple[str, Path]] = []
        # Functions of `dlt.table`, which does not say whether its table is a streaming one.
        self.undecided: set[Any] = set()

    def register_output(self, output: Any) -> None:
        self.outputs.append(output)

    def register_flow(self, flow: Any) -> None:
        self.flows.append(flow)

    def register_auto_cdc_flow(self, flow: Any) -> None:
        self.cdc_flows.append(flow)

    def register_sql(self, sql_text: str, file_path: Path) -> None:
        self.sql.append((sql_text, file_path))


def plain(name: str) -> str:
    """The last part of a dataset's name, without quotes."""
    return name.replace("`", "").rsplit(".", 1)[-1]


def kind_of(output: Any) -> str:
    if isinstance(output, MaterializedView):
        return "MATERIALIZED_VIEW"
    if isinstance(output, StreamingTable):
        return "STREAMING_TABLE"
    if isinstance(output, TemporaryView):
        return "VIEW"
    return "SINK" if isinstance(output, Sink) else "TABLE"


def run_update(request: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Runs the update that the request describes and returns the result message.

    request: remote, catalog_db, configuration, catalog, schema, hidden_schema, fresh_schema (to be made and taken
    instead if no dataset needs what it held before), root, files, storage, dry, refresh, full_refresh,
    full_refresh_all, pipeline_id, principal, groups (that it acts as).
    """
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            return UpdateRun(request, channel).execute()
    except Exception as e:  # noqa: BLE001  becomes the update's error
        changed = "TableMaterializationException" in str(e) and "[DELTA_" in str(e)
        return {"ok": False, "exceptions": exceptions_of(e), "schema_changed": changed, "logs": output.getvalue()}


class UpdateRun:
    """One update in this process."""

    def __init__(self, request: Mapping[str, Any], channel: Channel) -> None:
        self.request, self.channel = request, channel
        self.root = Path(request["root"])
        self.hidden = str(request["hidden_schema"])
        self.collected = Collected()
        self.readers = ThreadPoolExecutor(2)
        self.read_back: dict[str, Future[dict[str, Any]]] = {}

    def execute(self) -> dict[str, Any]:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.remote(self.request["remote"])
        builder = builder.config("spark.sql.connect.serverStacktrace.enabled", "false")
        builder = builder.config(commit_info.SETTING, commit_info.signature(self.request["principal"], {}, None))
        for key, value in self.request["configuration"].items():
            builder = builder.config(key, value)
        spark = scheduled(builder.create())
        self.spark = spark
        self.channel.on_cancel = self.interrupt
        self.channel.send("ready")
        try:
            return self.with_session(spark)
        finally:
            with contextlib.suppress(Exception):
                spark.stop()

    def interrupt(self) -> None:
        """Stops the flows on the server: interrupting ends their queries, releasing the session its pipeline."""
        with contextlib.suppress(Exception):
            self.spark.interruptAll()
        self.spark.client.release_session()

    def with_session(self, spark: Any) -> dict[str, Any]:
        graph = self.new_graph(spark)
        self.read_files(spark, graph)
        if self.request["fresh_schema"] and self.only_views():
            self.hidden = self.request["fresh_schema"]
            # What an update that did not complete left there is not wanted.
            spark.sql(f"DROP DATABASE IF EXISTS `{self.hidden}` CASCADE")
            spark.sql(f"CREATE DATABASE `{self.hidden}`")
            graph = self.new_graph(spark)
        own = [plain(o.name) for o in self.collected.outputs]
        if self.collected.sql:
            own += sql_datasets(self.collected.sql)
        rewrite_name, rewrite_sql = pipeline_rewriters(
            Path(self.request["catalog_db"]),
            self.request["catalog"],
            self.request["schema"],
            own,
            self.hidden,
            principal=self.request["principal"],
            groups_of=lambda _: set(self.request["groups"]),
        )
        patch_session(spark, rewrite_name, rewrite_sql)
        inputs = self.define(spark, graph, rewrite_sql)
        datasets = [
            {
                "name": plain(o.name),
                "type": kind_of(o),
                "comment": o.comment,
                "properties": dict(getattr(o, "table_properties", None) or {}),
                "inputs": inputs.get(plain(o.name), []),
            }
            for o in self.collected.outputs
        ]
        self.channel.send("graph", datasets=datasets, hidden_schema=self.hidden)
        self.channel.go.wait()
        selected = self.selection(own)
        for event in start_run(
            spark,
            graph,
            full_refresh=selected("full_refresh"),
            full_refresh_all=bool(self.request["full_refresh_all"]),
            refresh=selected("refresh"),
            dry=bool(self.request["dry"]),
            storage=self.request["storage"],
        ):
            result = event.get("pipeline_event_result")
            if result is not None:
                self.on_event(result.event)
        written = {name: future.result() for name, future in self.read_back.items()}
        return {"ok": True, "written": written}

    def new_graph(self, spark: Any) -> str:
        return str(create_dataflow_graph(spark, "spark_catalog", self.hidden, dict(self.request["configuration"])))

    def only_views(self) -> bool:
        """Whether every dataset is computed whole by each update, so that none needs what it held before."""
        outputs = self.collected.outputs
        whole = all(isinstance(o, MaterializedView | TemporaryView) for o in outputs)
        return whole and not self.collected.cdc_flows and not self.collected.sql

    # -- definitions ---------------------------------------------------------------------------------------------------

    def read_files(self, spark: Any, graph: str) -> None:
        """Imports every Python file and collects every SQL file. Raises DefinitionError naming the file."""
        for folder in {self.root, *((self.root / f).parent for f in self.request["files"])}:
            sys.path.insert(0, str(folder))
        sys.modules["dlt"] = dlt_module(spark, self.collected.undecided)
        with graph_element_registration_context(self.collected):
            for name in self.request["files"]:
                file = self.root / name
                if file.suffix == ".sql":
                    self.collected.register_sql(file.read_text(), Path(name))
                    continue
                spec = importlib.util.spec_from_file_location(file.stem, file)
                assert spec is not None and spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                module.__dict__["spark"] = spark
                module.__dict__["dbutils"] = None
                sys.modules.setdefault(file.stem, module)
                linecache.checkcache(str(file))
                try:
                    with (
                        add_pipeline_analysis_context(spark=spark, dataflow_graph_id=graph, flow_name=None),
                        block_session_mutations(),
                    ):
                        spec.loader.exec_module(module)
                except Exception as e:
                    raise DefinitionError(f"Failed to read {name}") from e
        self.settle(spark, graph)

    def settle(self, spark: Any, graph: str) -> None:
        """Makes a streaming table of each `dlt.table` whose function reads a stream."""
        functions = {f.target: f.func for f in self.collected.flows if f.func in self.collected.undecided}
        for index, output in enumerate(self.collected.outputs):
            function = functions.get(output.name)
            if function is None:
                continue
            try:
                with add_pipeline_analysis_context(spark=spark, dataflow_graph_id=graph, flow_name=output.name):
                    self.collected.outputs[index] = settled(output, function, spark.client)
            except Exception as e:
                raise DefinitionError(f"Failed to resolve flow: '{output.name}'.") from e

    def define(self, spark: Any, graph: str, rewrite_sql: Any) -> dict[str, list[str]]:
        """Sends the definitions to the server; dataset name to the names it reads."""
        registry = SparkConnectGraphElementRegistry(spark, graph)
        inputs: dict[str, list[str]] = {}
        for output in self.collected.outputs:
            output = with_plain_name(output)
            registry.register_output(output)
        for flow in self.collected.flows:
            flow = with_plain_target(flow)
            seen: list[str] = []
            try:
                registry.register_flow(noting_inputs(flow, spark, seen))
            except Exception as e:
                raise DefinitionError(f"Failed to resolve flow: '{flow.name}'.") from e
            inputs.setdefault(plain(flow.target), []).extend(seen)
        for flow in self.collected.cdc_flows:
            registry.register_auto_cdc_flow(flow)
        for text, path in self.collected.sql:
            registry.register_sql(rewrite_sql(text), path)
        return inputs

    def selection(self, own: list[str]) -> Any:
        """A function from `refresh` or `full_refresh` to the Spark names of the chosen datasets with their
        expectations."""

        def chosen(key: str) -> list[str]:
            names = [plain(n) for n in self.request[key]]
            for name in names:
                if name not in own:
                    raise DefinitionError(f"Dataset '{name}' of {key}_selection is not defined in the pipeline.")
            extra = [HIDDEN_PREFIX + n for n in names if HIDDEN_PREFIX + n in own]
            return [f"spark_catalog.{self.hidden}.{n}" for n in [*names, *extra]]

        return chosen

    # -- progress ------------------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        at = event.timestamp.seconds * 1000 + event.timestamp.nanos // 1_000_000
        head, _, error = str(event.message).partition("\nError: ")
        words = head.replace("Failed to resolve flow:", "Flow").split()
        status = re.search(r"\b(QUEUED|PLANNING|STARTING|RUNNING|COMPLETED|FAILED|SKIPPED|STOPPED|EXCLUDED)\b", head)
        if words[:1] != ["Flow"] or len(words) < 2 or (status is None and not error):
            self.channel.send("run", message=str(event.message), at=at)
            return
        name, state = plain(words[1].strip("'.")), status[1] if status else "FAILED"
        self.channel.send("flow", name=name, status=state, error=error.split("\n\nJVM stacktrace:")[0], at=at)
        if state == "COMPLETED" and not self.request["dry"]:
            self.read_back[name] = self.readers.submit(self.wrote, name)

    def wrote(self, name: str) -> dict[str, Any]:
        """Version and rows of what a flow wrote; for a table of expectations, its rows."""
        table = f"`{self.hidden}`.`{name}`"
        sql = getattr(self.spark, "unpatched_sql", None) or self.spark.sql
        if name.startswith(HIDDEN_PREFIX):
            rows = [r.asDict() for r in sql(f"SELECT * FROM {table}").collect()]
            self.channel.send("expectations", name=name.removeprefix(HIDDEN_PREFIX), rows=rows)
            return {"expectations": rows}
        rows = sql(f"DESCRIBE HISTORY {table} LIMIT 1").collect()
        metrics = rows[0]["operationMetrics"] or {}
        answer = {"version": int(rows[0]["version"]), "rows": int(metrics.get("numOutputRows", 0) or 0)}
        self.channel.send("wrote", name=name, **answer, bytes=int(metrics.get("numOutputBytes", 0) or 0))
        return answer


def with_plain_name(output: Any) -> Any:
    return dataclasses.replace(output, name=plain(output.name))


def with_plain_target(flow: Any) -> Any:
    return dataclasses.replace(flow, name=plain(flow.name), target=plain(flow.target))


def noting_inputs(flow: Any, spark: Any, seen: list[str]) -> Any:
    """The same flow; calling its function also notes the tables that its plan reads."""
    inner = flow.func

    def function() -> Any:
        frame = inner()
        with contextlib.suppress(Exception):
            seen.extend(dict.fromkeys(reads_of(frame._plan.to_proto(spark.client))))
        return frame

    return dataclasses.replace(flow, func=function)


def reads_of(message: Any) -> Iterator[str]:
    """Names of the tables in a Connect plan (the last of their parts for own datasets, Spark's name for others)."""
    from google.protobuf.message import Message  # type: ignore[import-untyped]

    for field, value in message.ListFields():
        if field.name == "unparsed_identifier" and message.DESCRIPTOR.name == "NamedTable":
            yield value.replace("`", "")
        elif field.message_type is not None:
            items = value.values() if hasattr(value, "values") else value
            if isinstance(items, Message):
                items = [items]
            for item in items:
                if isinstance(item, Message):
                    yield from reads_of(item)
        elif field.name == "query" and isinstance(value, str):
            yield from sql_reads(value)


def sql_reads(query: str) -> list[str]:
    """Names of the tables that a SQL text reads."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(query, dialect="databricks")
    except sqlglot.errors.SqlglotError:
        return []
    ctes = {c.alias for c in tree.find_all(exp.CTE)}
    names = [".".join(p.name for p in t.parts) for t in tree.find_all(exp.Table)]
    return [n for n in names if n and n not in ctes]


def sql_datasets(files: list[tuple[str, Path]]) -> list[str]:
    """Names of the datasets that SQL files define."""
    pattern = (
        r"\bCREATE\s+(?:OR\s+REFRESH\s+)?(?:TEMPORARY\s+)?(?:MATERIALIZED\s+VIEW|STREAMING\s+TABLE|VIEW)\s+"
        r"(?:IF\s+NOT\s+EXISTS\s+)?([\w.`]+)"
    )
    return [plain(name) for text, _ in files for name in re.findall(pattern, text, re.I)]


CLASSES = {
    "AnalysisException": "org.apache.spark.sql.AnalysisException",
    "ParseException": "org.apache.spark.sql.catalyst.parser.ParseException",
    "UnknownException": "org.apache.spark.SparkException",
    "SparkException": "org.apache.spark.SparkException",
}


def exceptions_of(e: BaseException) -> list[dict[str, Any]]:
    """The chain of causes as the event log serializes it: class, message, stack (the pipeline's own frames)."""
    chain: list[dict[str, Any]] = []
    seen: BaseException | None = e
    while seen is not None and len(chain) < 6:
        frames = [f for f in traceback.extract_tb(seen.__traceback__) if not _foreign(f.filename)]
        stack = [
            {
                "declaring_class": "",
                "method_name": f.name,
                "file_name": Path(f.filename).name,
                "line_number": f.lineno or 0,
            }
            for f in reversed(frames[-12:])
        ]
        message = str(seen).split("\n\nJVM stacktrace:")[0].strip()
        name = CLASSES.get(type(seen).__name__, type(seen).__name__)
        found = re.match(r"\(([\w.$]+)\) (?:([\w.$]+Exception): )?", message)
        if found:
            name, message = found[2] or found[1], message[found.end() :]
        if isinstance(seen, DefinitionError):
            name = "UpdateFailedException"
        chain.append({"class_name": name, "message": message, "stack": stack})
        seen = seen.__cause__
    return chain


def _foreign(filename: str) -> bool:
    """Whether a frame is this module's, Spark's or Python's own: nothing of the pipeline's author."""
    package = str(Path(__file__).resolve().parents[1])
    return filename.startswith((package, "<frozen", sys.base_prefix)) or "site-packages" in filename
