"""Executes one notebook in a forked process: cells in order, `spark`, `dbutils` and `display` as on Databricks."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from emulator.access import demand_source
from emulator.files import FileError, Files
from emulator.records import WorkspaceObject
from emulator.runner.channel import Channel
from emulator.runner.source import cells_of, parameter_markers, statements_of, substitute
from emulator.session import connect_session
from emulator.state import State

RESULT_LIMIT = 5_000_000
LOG_LIMIT = 1_000_000
DISPLAY_ROWS = 10_000


class NotebookExit(BaseException):
    """Raised by `dbutils.notebook.exit`; carries the value."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class Widgets:
    """`dbutils.widgets`: defaults declared by the notebook, values given by the run."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str | None = None) -> None:
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: Any = (), label: str | None = None) -> None:
        self.text(name, defaultValue)

    combobox = dropdown
    multiselect = dropdown

    def get(self, name: str) -> str:
        values = self.getAll()
        if name not in values:
            raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")
        return values[name]

    getArgument = get

    def getAll(self) -> dict[str, str]:
        return {**self._defaults, **self._given}

    def remove(self, name: str) -> None:
        self._defaults.pop(name, None)

    def removeAll(self) -> None:
        self._defaults.clear()


class FileSystem:
    """`dbutils.fs` on `dbfs:/`, kept in a folder of the workspace's data."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, path: str) -> Path:
        inside = path.removeprefix("dbfs:").lstrip("/")
        target = (self._root / inside).resolve()
        if not target.is_relative_to(self._root.resolve()):
            raise ValueError(f"path outside of dbfs: {path}")
        return target

    def ls(self, path: str) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                path="dbfs:/" + str(p.relative_to(self._root)),
                name=p.name + ("/" if p.is_dir() else ""),
                size=0 if p.is_dir() else p.stat().st_size,
            )
            for p in sorted(self._path(path).iterdir())
        ]

    def head(self, file: str, maxBytes: int = 65536) -> str:
        return self._path(file).read_bytes()[:maxBytes].decode("utf-8", "replace")

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        target = self._path(file)
        if target.exists() and not overwrite:
            raise FileExistsError(f"{file} already exists")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(contents)
        return True

    def mkdirs(self, dir: str) -> bool:
        self._path(dir).mkdir(parents=True, exist_ok=True)
        return True

    def rm(self, dir: str, recurse: bool = False) -> bool:
        target = self._path(dir)
        if not target.exists():
            return False
        if target.is_dir():
            shutil.rmtree(target) if recurse else target.rmdir()
        else:
            target.unlink()
        return True

    def cp(self, source: str, destination: str, recurse: bool = False) -> bool:
        a, b = self._path(source), self._path(destination)
        b.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(a, b) if recurse and a.is_dir() else shutil.copy(a, b)
        return True


class TaskValues:
    """`dbutils.jobs.taskValues`: small values that tasks of a run hand to one another."""

    def __init__(self, state: State, run_id: int, task_key: str) -> None:
        self._state, self._run_id, self._task_key = state, run_id, task_key

    def set(self, key: str, value: Any) -> None:
        self._state.put_record("task_value", f"{self._run_id}/{self._task_key}/{key}", {"value": value})

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:
        found = self._state.record("task_value", f"{self._run_id}/{taskKey}/{key}")
        if found is None:
            if default is None:
                raise ValueError(f"no value {key} was set by task {taskKey}")
            return default
        return found["value"]


class Unsupported:
    """A part of `dbutils` that this workspace does not have: using it says so."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise NotImplementedError(f"{self._name}.{attribute} is not implemented by the local workspace")


class NotebookRun:
    """One notebook with its own namespace; `%run` shares it, `dbutils.notebook.run` makes another."""

    def __init__(
        self, spark: Any, files: Files, parameters: Mapping[str, str], context: Mapping[str, Any], log: io.StringIO
    ) -> None:
        self.spark, self.files, self.context, self.log = spark, files, context, log
        self.widgets = Widgets(parameters)
        self.namespace: dict[str, Any] = {
            "__name__": "__main__",
            "spark": spark,
            "sc": Unsupported("sc (SparkContext)"),
            "display": self.display,
            "displayHTML": lambda html: None,
            "getArgument": self.widgets.get,
            "dbutils": SimpleNamespace(
                widgets=self.widgets,
                notebook=SimpleNamespace(exit=self.exit, run=self.run_other, entry_point=Unsupported("entry_point")),
                fs=FileSystem(Path(context["dbfs"])),
                jobs=SimpleNamespace(
                    taskValues=TaskValues(files.state, int(context["run_id"]), str(context["task_key"]))
                ),
                **{name: Unsupported(f"dbutils.{name}") for name in ("secrets", "library", "data")},
            ),
        }

    # -- what a notebook calls -----------------------------------------------------------------------------------------

    @staticmethod
    def exit(value: Any = "") -> None:
        raise NotebookExit(str(value))

    def display(self, value: Any = None, *rest: Any, **options: Any) -> None:
        """Runs a DataFrame's query for its first rows, as the notebook page does."""
        if hasattr(value, "limit") and hasattr(value, "toArrow"):
            value = value.limit(DISPLAY_ROWS).toArrow()
            self.write(f"display: {value.num_rows} rows x {value.num_columns} columns\n")
        elif value is not None:
            self.write(f"{value}\n")

    def run_other(self, path: str, timeout_seconds: int = 0, arguments: Mapping[str, Any] | None = None) -> str:
        """`dbutils.notebook.run`: another notebook in a namespace of its own; returns its exit value."""
        other = NotebookRun(
            self.spark, self.files, {k: str(v) for k, v in (arguments or {}).items()}, self.context, self.log
        )
        result = other.run(self.resolve(path))
        return result or ""

    # -- cells ---------------------------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        if self.log.tell() < LOG_LIMIT:
            self.log.write(text)

    def resolve(self, path: str) -> WorkspaceObject:
        path = path.strip().strip("\"'")
        if not path.startswith("/"):
            path = str(self.context["path"]).rsplit("/", 1)[0] + "/" + path
        item = self.files.get(path)
        demand_source(self.files.state, str(self.context["principal"]), item.path)
        return item

    def run(self, item: WorkspaceObject) -> str | None:
        """Runs every cell; the exit value or None."""
        try:
            self.run_cells(item)
        except NotebookExit as e:
            return e.value
        return None

    def run_file(self, item: WorkspaceObject) -> str | None:
        """Runs a Python file with its arguments; an exit value only if it calls `dbutils.notebook.exit`."""
        sys.argv = [item.path, *self.context.get("arguments", [])]
        try:
            self.python(item.content.decode(), item.path)
        except NotebookExit as e:
            return e.value
        return None

    def run_cells(self, item: WorkspaceObject) -> None:
        text = item.content.decode()
        for number, cell in enumerate(cells_of(text, item.language or "PYTHON")):
            name = f"{item.path}#{number + 1}"
            if cell.language == "python":
                self.python(cell.text, name)
            elif cell.language == "sql":
                self.sql(cell.text)
            elif cell.language == "run":
                self.run_cells(self.resolve(cell.text.split("$")[0]))
            elif cell.language != "md":
                raise NotImplementedError(f"%{cell.language} cells are not implemented by the local workspace ({name})")

    def python(self, text: str, name: str) -> None:
        tree = ast.parse(text, name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), self.namespace)  # noqa: S102  this is what a notebook is
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), self.namespace)  # noqa: S307
            if value is not None and not hasattr(value, "toArrow"):
                self.write(f"{value!r}\n")

    def sql(self, text: str) -> None:
        for statement, _ in statements_of(text):
            if self.widget_statement(statement):
                continue
            values = self.widgets.getAll()
            statement = substitute(statement, values)
            markers = parameter_markers(statement)
            arguments = {name: values[name] for name in markers if name in values}
            frame = self.spark.sql(statement, args=arguments) if arguments else self.spark.sql(statement)
            self.namespace["_sqldf"] = frame
            self.display(frame)

    def widget_statement(self, statement: str) -> bool:
        """CREATE WIDGET and REMOVE WIDGET are the notebook's own, not Spark's."""
        words = statement.split()
        upper = [w.upper() for w in words]
        if upper[:2] == ["CREATE", "WIDGET"] and len(words) >= 4:
            _, found, default = statement.partition("DEFAULT")
            value = default.strip().split("CHOICES")[0].strip() if found else ""
            if value[:1] in "'\"" and value:
                value = value[1:].split(value[0])[0]
            self.widgets.text(words[3], value)
            return True
        if upper[:2] in (["REMOVE", "WIDGET"], ["DROP", "WIDGET"]):
            self.widgets.remove(words[2])
            return True
        return False


class Lineage:
    """What the statements of a notebook read and wrote: (reads, writes) of each, once."""

    def __init__(self) -> None:
        self.pairs: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()

    def note(
        self, *, reads: Sequence[str] = (), writes: Sequence[str] = (), error: str | None = None, **_: Any
    ) -> None:
        """Called after each statement; a failed one has moved nothing."""
        sources = tuple(sorted(n for n in reads if not n.startswith("system.")))
        if error is None and (sources or writes):
            self.pairs.add((sources, tuple(sorted(writes))))


def run_notebook(request: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Runs the notebook that the request names and returns the result message.

    request: remote, catalog_db, workspace_db, principal, groups, path, content, language, parameters, context.
    """
    started = time.monotonic()
    groups = set(request["groups"])
    lineage = Lineage()
    spark = connect_session(
        request["remote"],
        request["principal"],
        Path(request["catalog_db"]),
        groups_of=lambda _: groups,
        on_statement=lineage.note,
        job={
            "jobId": str(request["context"]["job_id"]),
            "jobRunId": str(request["context"]["run_id"]),
            "runId": str(request["context"]["task_run_id"]),
        },
    )
    channel.on_cancel = lambda: interrupt(spark)
    setup = time.monotonic() - started
    channel.send("ready", setup_ms=int(setup * 1000))
    files = Files(State(Path(request["workspace_db"])))
    log = io.StringIO()
    context = {**request["context"], "path": request["path"], "principal": request["principal"]}
    run = NotebookRun(spark, files, request["parameters"], context, log)
    item = WorkspaceObject(request["path"], 0, "NOTEBOOK", request["language"], 0, 0, str(request["content"]).encode())
    before = time.monotonic()
    answer: dict[str, Any] = {"ok": True, "result": None, "truncated": False}
    tee = _Tee(log)
    try:
        with contextlib.redirect_stdout(tee), contextlib.redirect_stderr(tee):
            value = run.run(item) if request["is_notebook"] else run.run_file(item)
        if value is not None:
            answer["result"], answer["truncated"] = value[:RESULT_LIMIT], len(value) > RESULT_LIMIT
    except FileError as e:
        answer = {"ok": False, "error": f"{e.code}: {e}", "error_trace": traceback.format_exc()}
    except (Exception, SystemExit) as e:  # noqa: BLE001  a notebook may raise anything; it becomes the run's error
        answer = {"ok": False, "error": error_line(e), "error_trace": trace_of(e)}
    answer["execution_ms"] = int((time.monotonic() - before) * 1000)
    answer["lineage"] = sorted(lineage.pairs)
    answer["logs"] = log.getvalue()[-LOG_LIMIT:]
    with contextlib.suppress(Exception):
        _stop(spark)
    return answer


def interrupt(spark: Any) -> None:
    """Stops every operation of the session on the server, and closes it, so that none can start after."""
    with contextlib.suppress(Exception):
        spark.interruptAll()
    spark.client.release_session()


def _stop(spark: Any) -> None:
    spark.stop()


def error_line(e: BaseException) -> str:
    """The platform's one-line form of an error: class and message."""
    return f"{class_of(e)}: {e}" if str(e) else class_of(e)


def class_of(e: BaseException) -> str:
    """The name of an error's class; a refusal of the catalog is an AnalysisException, as on the service."""
    return "AnalysisException" if type(e).__module__.startswith("emulator.") else type(e).__name__


def trace_of(e: BaseException) -> str:
    """The traceback without this module's own frames: what the notebook called and what that raised."""
    package = str(Path(__file__).resolve().parents[1])
    frames = [f for f in traceback.extract_tb(e.__traceback__) if not f.filename.startswith(package)]
    lines = traceback.format_list(frames)
    last = [error_line(e) + "\n"] if not isinstance(e, SyntaxError) else traceback.format_exception_only(type(e), e)
    return "".join(["Traceback (most recent call last):\n", *lines, *last])


class _Tee(io.TextIOBase):
    def __init__(self, log: io.StringIO) -> None:
        self._log = log

    def write(self, text: str) -> int:
        if self._log.tell() < LOG_LIMIT:
            self._log.write(text)
        return len(text)
