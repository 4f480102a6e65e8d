"""One active update: runs the pipeline's source files from the workspace tree, then publishes the datasets at once."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from emulator.access import demand_source, owner_of
from emulator.dialect.names import hidden_schema_name
from emulator.files import EXTENSION, FileError, language_of_source, normal_path
from emulator.records import Json, Pipeline, Update, now_ms
from emulator.rest.errors import ServiceError, bad
from emulator.runner.event_log import data_quality, flow_id, make_event, progress_event
from emulator.runner.host import Host
from emulator.runner.zygote import Execution, ProcessDied
from emulator.spark_jobs import FlowsGoOn
from emulator.sql.errors import SqlError
from emulator.state import State

HIDDEN_PREFIX = "__expectations__"
PUBLISHERS = 6


class ActiveUpdate:
    """One active update."""

    def __init__(self, workspace: Host, pipeline: Pipeline, update: Update) -> None:
        self.workspace, self.state = workspace, workspace.state
        self.pipeline, self.update = pipeline, update
        self.lock = threading.RLock()
        self.cancelled = False
        self.ended = False
        self.execution: Execution | None = None
        self.datasets: dict[str, Json] = {}
        self.written: dict[str, Json] = {}
        self.quality: dict[str, list[Json]] = {}
        self.held: dict[str, tuple[str, int]] = {}
        self.failed_flows: list[str] = []
        self.unended: dict[str, str] = {}
        self.flow_errors: dict[str, str] = {}
        self.refusal: Json | None = None
        self.whole = False
        self.replaced = False
        self.hidden = ""
        self.folder = self.workspace.data / "run" / f"update-{update.update_id}"
        spec = pipeline.spec
        self.catalog = str(spec["catalog"])
        self.schema = str(spec.get("schema") or spec.get("target"))
        self.dry = bool(update.request.get("validate_only"))

    # -- the course of an update ---------------------------------------------------------------------------------------

    def execute(self) -> None:
        request, short = self.update.request, self.update.update_id[:6]
        create: Json = {"cause": self.update.cause, "config": self.pipeline.spec, **request}
        if self.update.job_run_id is not None:
            create["job_details"] = {
                "job_id": self.update.job_id,
                "run_id": self.update.job_run_id,
                "task_run_id": self.update.job_task_run_id,
            }
        self.event("create_update", f"Update {short} started by {self.update.cause}.", {"create_update": create})
        self.enter("WAITING_FOR_RESOURCES")
        self.workspace.wait_for_sql()
        self.enter("INITIALIZING", start_ms=now_ms(), cluster_id=cluster_id(self.update.update_id))
        try:
            files = self.source_files()
        except (FileError, ServiceError) as e:
            self.fail([{"class_name": "LoadLibraryException", "message": str(e), "stack": []}])
            return
        hidden = self.hidden_schema()
        try:
            answer = self.run_process(hidden, files, None if self.dry or self.selects() else self.next_schema())
            if answer.get("schema_changed") and not self.cancelled:
                hidden = self.next_schema()
                self.workspace.sql.spark_command(f"DROP DATABASE IF EXISTS `{hidden}` CASCADE")
                self.workspace.sql.spark_command(f"CREATE DATABASE `{hidden}`")
                # No longer a selection: everything must be written there.
                self.whole = True
                answer = self.run_process(hidden, files, None)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.cancelled:
            self.end_cancelled()
        elif self.refusal is not None:
            self.fail([self.refusal])
        elif not answer["ok"]:
            self.fail(answer["exceptions"])
        elif self.dry:
            self.end("COMPLETED")
        else:
            self.publish()

    def run_process(self, hidden: str, files: Sequence[str], fresh: str | None) -> Json:
        """Runs the update in a process of its own and returns its answer.

        hidden: the schema that it writes into. fresh: the one that it makes and takes instead if it can write
        everything anew.
        """
        with self.lock:
            if self.cancelled:
                return {"ok": False, "exceptions": []}
            self.hidden = hidden
            self.execution = self.workspace.processes.run(self.process_request(hidden, files, fresh))
        try:
            return self.execution.wait(self.on_message)
        except ProcessDied as e:
            return {"ok": False, "exceptions": [{"class_name": "DriverLost", "message": str(e), "stack": []}]}
        finally:
            self.workspace.processes.done(self.execution)

    # -- where datasets are written ------------------------------------------------------------------------------------
    #
    # An update that refreshes everything, and nothing but materialized views, writes into a fresh hidden schema: the
    # next generation. Readers of what is published keep their files, and Spark has no table to truncate first, which
    # takes it half a second each. A selection, and streaming tables, go on with the tables that there are; only where a
    # dataset's columns change in a way that Delta cannot alter is their whole graph written anew as well (on Databricks
    # the dataset is).

    def generation(self) -> int:
        """The number of the generation that is published."""
        return int(self.state.meta(f"generation/{self.pipeline.pipeline_id}") or 0)

    def selects(self) -> bool:
        """Whether only some datasets are to be refreshed."""
        return bool(self.update.request.get("refresh_selection") or self.update.request.get("full_refresh_selection"))

    def schema_of(self, generation: int) -> str:
        return generation_schema(self.pipeline.pipeline_id, generation)

    def hidden_schema(self) -> str:
        """The schema of the generation that is published; the first one is created when missing."""
        if self.generation() == 0:
            return self.workspace.sql.hidden_schema(self.pipeline.pipeline_id)
        return self.schema_of(self.generation())

    def next_schema(self) -> str:
        return self.schema_of(self.generation() + 1)

    def drop_generations(self) -> None:
        """Drops hidden schemas that nothing published reads any more. Readers of the last update keep theirs."""
        key = f"generation_dropped/{self.pipeline.pipeline_id}"
        for number in range(int(self.state.meta(key) or 0), self.generation() - 1):
            self.workspace.sql.spark_command(f"DROP DATABASE IF EXISTS `{self.schema_of(number)}` CASCADE")
            self.state.set_meta(key, str(number + 1))

    def process_request(self, hidden: str, files: Sequence[str], fresh: str | None) -> Json:
        request = self.update.request
        owner = run_as(self.state, self.pipeline)
        settings = {"catalog": self.catalog, "schema": self.schema, **(self.pipeline.spec.get("configuration") or {})}
        settings.update(request.get("parameters") or {})
        configuration = {k if k.startswith("spark.") else f"spark.{k}": str(v) for k, v in settings.items()}
        configuration.setdefault("spark.sql.pipelines.maxFlowRetryAttempts", "0")
        storage = self.workspace.data / "pipelines" / self.pipeline.pipeline_id
        storage.mkdir(parents=True, exist_ok=True)
        return {
            "kind": "update",
            "remote": self.workspace.sql.remote_url,
            "catalog_db": str(self.workspace.sql.catalog_db),
            "pipeline_id": self.pipeline.pipeline_id,
            "principal": owner,
            "groups": sorted(self.workspace.groups_of(owner)),
            "configuration": configuration,
            "catalog": self.catalog,
            "schema": self.schema,
            "hidden_schema": hidden,
            "fresh_schema": fresh,
            "root": str(self.folder),
            "files": list(files),
            "storage": storage.as_uri(),
            "dry": self.dry,
            "refresh": [] if self.whole else request.get("refresh_selection") or [],
            "full_refresh": [] if self.whole else request.get("full_refresh_selection") or [],
            "full_refresh_all": bool(request.get("full_refresh")),
        }

    def source_files(self) -> list[str]:
        """Writes the pipeline's source as it lies in the workspace tree into a folder; names of the files to load.

        Everything below the root path comes along, so that imports between files work.
        """
        files = self.workspace.files
        chosen: list[str] = []
        for library in self.pipeline.spec["libraries"]:
            if library.get("glob"):
                chosen += self.matching(str(library["glob"]["include"]))
            else:
                path = normal_path(str((library.get("file") or library.get("notebook"))["path"]))
                if files.find(path) is None:
                    raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"Unable to load library: {path} does not exist.")
                chosen.append(path)
        if not chosen:
            raise ServiceError("RESOURCE_DOES_NOT_EXIST", "No source files match the pipeline's libraries.")
        root = normal_path(self.pipeline.spec.get("root_path") or str(PurePosixPath(chosen[0]).parent))
        owner = run_as(self.state, self.pipeline)
        for path in chosen:
            demand_source(self.state, owner, path)
        copies = {o.path: o for o in files.below(root)} | {p: files.get(p) for p in chosen}
        loaded: list[str] = []
        for path, item in sorted(copies.items()):
            if item.object_type not in ("NOTEBOOK", "FILE"):
                continue
            inside = (
                path.removeprefix(root.rstrip("/") + "/")
                if path.startswith(root.rstrip("/") + "/")
                else path.lstrip("/")
            )
            language = item.language or language_of_source(item.content[:200].decode("utf-8", "replace"))
            suffix = EXTENSION.get(language or "", "") if item.object_type == "NOTEBOOK" else ""
            name = inside if not suffix or inside.endswith(suffix) else inside + suffix
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(item.content)
            if path in chosen and name.endswith((".py", ".sql")):
                loaded.append(name)
        return loaded

    def matching(self, pattern: str) -> list[str]:
        """Paths that a glob names: a file, or a folder with `/**`."""
        if not pattern.endswith("/**"):
            if any(c in pattern for c in "*?["):
                raise bad(f"Invalid glob '{pattern}': only a file, or a folder with '/**', may be included.")
            return [self.workspace.files.get(pattern).path]
        found = self.workspace.files.below(pattern[:-3])
        return [
            o.path
            for o in found
            if o.object_type == "NOTEBOOK" or (o.object_type == "FILE" and o.path.endswith((".py", ".sql")))
        ]

    # -- messages of the process ---------------------------------------------------------------------------------------

    def on_message(self, message: Json) -> None:
        kind = message["type"]
        if kind == "graph":
            again = bool(self.datasets)
            self.datasets = {d["name"]: d for d in message["datasets"]}
            self.hidden = message["hidden_schema"]
            if not again:
                self.on_graph()
            self.may_go()
        elif kind == "flow":
            self.on_flow(message["name"], message["status"], message["at"], message["error"])
        elif kind == "wrote":
            self.written[message["name"]] = message
            self.release(message["name"])
        elif kind == "expectations":
            self.on_counts(message["name"], message["rows"])

    def on_counts(self, name: str, rows: Sequence[Json]) -> None:
        """The counts that stand beside the dataset `name`: its own, and maybe those of others."""
        found: dict[str, list[Json]] = {name: []}
        for row in rows:
            found.setdefault(row["dataset"] if row["dataset"] in self.datasets else name, []).append(row)
        self.quality |= found
        for dataset in found:
            view = self.datasets.get(dataset)
            if view is not None and view["type"] == "VIEW":
                self.flow_event(dataset, "COMPLETED", now_ms())
            self.release(dataset)

    def may_go(self) -> None:
        """Lets the process on, unless a dataset would take a name that is not this pipeline's."""
        owner = run_as(self.state, self.pipeline)
        assert self.execution is not None
        try:
            for dataset in self.visible().values():
                if dataset["type"] in ("MATERIALIZED_VIEW", "STREAMING_TABLE"):
                    self.workspace.sql.check_publish(self.pipeline.pipeline_id, self.full(dataset["name"]), owner)
        except SqlError as e:
            self.refusal = {"class_name": "org.apache.spark.sql.AnalysisException", "message": str(e), "stack": []}
            self.execution.cancel()
            return
        self.execution.go()

    def on_graph(self) -> None:
        """The graph is defined: datasets and flows into the event log."""
        if self.update.request.get("full_refresh") or self.update.request.get("full_refresh_selection"):
            self.enter("RESETTING")
        self.enter("SETTING_UP_TABLES")
        for dataset in self.visible().values():
            full, kind = self.full(dataset["name"]), dataset["type"]
            if kind == "SINK":
                continue
            self.event(
                "dataset_definition",
                f"Dataset '{full}' defined as {kind}.",
                {
                    "dataset_definition": {
                        "dataset_type": kind,
                        "num_flows": 1,
                        "materialization": kind != "VIEW",
                        "expectation_count": len(self.quality.get(dataset["name"], [])),
                    }
                },
                origin={"dataset_name": full},
            )
            flow_type = {"MATERIALIZED_VIEW": "COMPLETE", "VIEW": "VIEW"}.get(kind, "APPEND")
            self.event(
                "flow_definition",
                f"Flow '{full}' defined as {flow_type}.",
                {
                    "flow_definition": {
                        "output_dataset": full,
                        "flow_type": flow_type,
                        "input_datasets": [{"name": n} for n in self.inputs_of(dataset)],
                        "comment": dataset.get("comment"),
                    }
                },
                origin={"dataset_name": full, "flow_name": full},
            )
        if not self.dry:
            self.enter("RUNNING")

    def inputs_of(self, dataset: Json) -> list[str]:
        """Three-level names of what a dataset reads."""
        names = []
        for name in dict.fromkeys(dataset["inputs"]):
            *schema, own = name.split(".")
            if own in self.datasets and (not schema or schema[-1].startswith("__pipeline")):
                names.append(self.full(own))
            else:
                names.append(unity_name(name))
        return [n for n in dict.fromkeys(names) if HIDDEN_PREFIX not in n]

    def on_flow(self, name: str, status: str, at: int, error: str = "") -> None:
        """A flow changed its state. COMPLETED is held back until its rows and expectations have been read."""
        if error:
            self.flow_errors[name.removeprefix(HIDDEN_PREFIX)] = error
        if name.startswith(HIDDEN_PREFIX):
            if status == "FAILED":
                self.failed_flows.append(name)
            return
        dataset = self.datasets.get(name)
        if dataset is None or dataset["type"] == "VIEW":
            return
        if status in ("COMPLETED", "FAILED", "SKIPPED", "EXCLUDED", "STOPPED"):
            self.unended.pop(name, None)
        if status == "COMPLETED":
            self.held[name] = (status, at)
            self.release(name)
            return
        if status in ("SKIPPED", "EXCLUDED", "STOPPED"):
            self.flow_event(name, status, at)
            return
        if status == "FAILED":
            self.failed_flows.append(name)
            return
        self.unended[name] = status
        self.flow_event(name, status, at)

    def release(self, name: str) -> None:
        """Writes the COMPLETED event of a flow once all that belongs to it is known."""
        with self.lock:
            if name not in self.held or name not in self.written:
                return
            if HIDDEN_PREFIX + name in self.datasets and name not in self.quality:
                return
            status, at = self.held.pop(name)
        self.flow_event(name, status, at)

    def flow_event(self, name: str, status: str, at: int, error: Json | None = None) -> None:
        full = self.full(name)
        progress: Json = {"status": status}
        if status == "COMPLETED":
            written = self.written.get(name)
            if written is not None:
                progress["metrics"] = {"num_output_rows": written["rows"]}
                if written.get("bytes"):
                    progress["metrics"]["num_output_bytes"] = written["bytes"]
            if name in self.quality:
                progress["data_quality"] = data_quality(full, self.quality[name])
        verb = "has" if status in ("COMPLETED", "FAILED") else "is"
        self.event(
            "flow_progress",
            f"Flow '{full}' {verb} {status}.",
            {"flow_progress": progress},
            level="ERROR" if status == "FAILED" else "INFO",
            origin={"dataset_name": full, "flow_name": full, "flow_id": flow_id(self.pipeline.pipeline_id, full)},
            error=error,
            at=at,
        )

    # -- publishing and ends -------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Shows what was written under the public names, all at once as far as one statement a name goes."""
        for name in list(self.held):
            self.flow_event(name, *self.held.pop(name))
        owner = run_as(self.state, self.pipeline)
        chosen = [d for d in self.visible().values() if d["type"] != "VIEW" and d["name"] in self.written]

        def one(dataset: Json) -> None:
            self.workspace.sql.publish_materialized_view(
                self.pipeline.pipeline_id,
                self.full(dataset["name"]),
                f"{self.hidden}.{dataset['name']}",
                int(self.written[dataset["name"]]["version"]),
                owner=owner,
                comment=dataset.get("comment"),
                table_type=dataset["type"],
                properties=dataset.get("properties") or {},
            )

        if self.hidden != self.schema_of(self.generation()):
            self.state.set_meta(f"generation/{self.pipeline.pipeline_id}", str(self.generation() + 1))
        try:
            with ThreadPoolExecutor(PUBLISHERS) as pool:
                list(pool.map(one, chosen))
        except Exception as e:  # noqa: BLE001  whatever publishing raises fails the update, as its error
            self.fail([{"class_name": type(e).__name__, "message": str(e), "stack": []}])
            return
        self.replaced = len(chosen) == len([d for d in self.visible().values() if d["type"] != "VIEW"])
        self.workspace.note_lineage(
            self.pipeline, self.update, {self.full(d["name"]): self.inputs_of(d) for d in chosen}
        )
        self.end("COMPLETED")

    def fail(self, exceptions: Sequence[Json]) -> None:
        """Ends the update as FAILED with the error in the event log; nothing is published."""
        readable = [{**e, "message": self.readable(str(e["message"]))} for e in exceptions]
        for name in dict.fromkeys(n.removeprefix(HIDDEN_PREFIX) for n in self.failed_flows):
            self.unended.pop(name, None)
            own = self.flow_errors.get(name)
            kind = readable[0]["class_name"] if readable else "org.apache.spark.SparkException"
            causes = [{"class_name": kind, "message": self.readable(own), "stack": []}] if own else readable
            self.flow_event(name, "FAILED", now_ms(), {"fatal": True, "exceptions": causes})
        self.stop_flows()
        self.end("FAILED", {"fatal": True, "exceptions": readable})

    def readable(self, text: str) -> str:
        """A message of Spark's with public names for hidden ones."""
        text = re.sub(rf"`?spark_catalog`?\.(?=`?{re.escape(self.hidden)})", "", text) if self.hidden else text
        if self.hidden:
            text = re.sub(rf"`{re.escape(self.hidden)}`", f"`{self.catalog}`.`{self.schema}`", text)
            text = re.sub(rf"\b{re.escape(self.hidden)}\b", f"{self.catalog}.{self.schema}", text)
        text = re.sub(r"(SQLSTATE: \w{5}[^\n]*?);?\s*\n'?[A-Z+:'][\s\S]*\Z", r"\1", text)
        return self.workspace.sql.catalog.name_book().translate(text)

    def end_cancelled(self) -> None:
        """The update was stopped: flows that had not ended are STOPPED."""
        try:
            if self.hidden and not self.workspace.stopping.is_set():
                self.workspace.sql.end_flows(self.hidden)
        except FlowsGoOn as e:
            text = f"Update {self.update.update_id[:6]} was stopped, but flows of it may still run in Spark: {e}."
            self.event("user_action", text, {"user_action": {"action": "STOP"}}, level="WARN")
        self.stop_flows()
        self.end("CANCELED")

    def stop_flows(self) -> None:
        for name, status in self.unended.items():
            self.flow_event(name, "SKIPPED" if status == "QUEUED" else "STOPPED", now_ms())
        self.unended.clear()
        self.held.clear()

    def end(self, state: str, error: Json | None = None) -> None:
        with self.lock:
            if self.ended:
                return
            self.ended = True
        self.enter(state, end_ms=now_ms(), error=error)

    def cancel(self) -> None:
        """Stops the update for real."""
        with self.lock:
            if self.cancelled or self.ended:
                return
            self.cancelled = True
            execution = self.execution
        self.enter("STOPPING")
        if execution is not None:
            execution.cancel()

    def enter(self, state: str, *, error: Json | None = None, **fields: Any) -> None:
        """Moves the update into a state and says so in the event log."""
        with self.lock:
            self.update = self.state.put_update(replace(self.update, state=state, **fields))
        self.state.add_event(progress_event(self.pipeline, self.update, error))

    def tidy(self) -> None:
        """Drops what the update has replaced, once it has ended and has been reported."""
        if self.replaced:
            self.drop_generations()

    # -- small things --------------------------------------------------------------------------------------------------

    def visible(self) -> dict[str, Json]:
        return {n: d for n, d in self.datasets.items() if not n.startswith(HIDDEN_PREFIX)}

    def full(self, name: str) -> str:
        return f"{self.catalog}.{self.schema}.{name}"

    def event(self, event_type: str, message: str, details: Json, **more: Any) -> None:
        self.state.add_event(make_event(self.pipeline, self.update.update_id, event_type, message, details, **more))


def run_as(state: State, pipeline: Pipeline) -> str:
    """The principal that a pipeline's updates act as: its owner."""
    return owner_of(state, "pipelines", pipeline.pipeline_id) or pipeline.creator


def generation_schema(pipeline_id: str, number: int) -> str:
    """The hidden schema of a pipeline's generation, which are counted from 0."""
    base = hidden_schema_name(pipeline_id)
    return base if number == 0 else f"{base}_g{number}"


def cluster_id(update_id: str) -> str:
    """A cluster id in the service's form, made from the update's id."""
    digits = int(update_id[:8], 16)
    return f"{datetime.now(UTC):%m%d-%H%M%S}-{digits:08x}"


def unity_name(spark_name: str) -> str:
    """The three-level name of a Spark table name `c__s.t`; others as they are."""
    parts = spark_name.removeprefix("spark_catalog.").split(".")
    if len(parts) == 2 and "__" in parts[0] and not parts[0].startswith("x__"):
        catalog, _, schema = parts[0].partition("__")
        return f"{catalog}.{schema}.{parts[1]}"
    return ".".join(parts)
