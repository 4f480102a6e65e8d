"""One Spark Connect session as the engine needs it: statements out, Arrow in, errors in Databricks' words."""

from __future__ import annotations

import itertools
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.plan import SQL, CachedRelation, LocalRelation, LogicalPlan, Read, SubqueryAlias
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.types import StructType

from emulator.sql.errors import SqlError, not_here
from emulator.sql.rows import Rows, holds_months, readable, spark_schema_of

# The caller gets the error of each failed statement; pyspark would print it here as well.
logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL)


POOL_NAMES = tuple(f"connection-{number}" for number in range(128))
"""Scheduling pools of the server. It keeps a pool for good, so there is not one for every session."""


def open_spark(url: str) -> SparkSession:
    """A new session of its own on the server at `url` (`sc://host:port`), scheduled fairly beside the others."""
    return scheduled(patient(SparkSession(connection=url)))


def scheduled(spark: SparkSession) -> SparkSession:
    """Puts what the session runs into a scheduling pool: Spark hands a session's settings on to its jobs.

    Two sessions that happen to share a pool take turns in it.
    """
    number = int(spark.session_id.replace("-", ""), 16) % len(POOL_NAMES)
    spark.conf.set("spark.scheduler.pool", POOL_NAMES[number])
    return spark


def end_session(url: str, session_id: str) -> None:
    """Interrupt and end a session of a process that is gone; nothing if the server does not know it (any more)."""
    spark = patient(SparkSession(connection=f"{url}/;session_id={session_id}"))
    try:
        spark.client.interrupt_all()
        spark.client.release_session()
    except PySparkException:
        return
    finally:
        spark.release_session_on_close = False
        _quietly(spark.stop)


def patient(spark: SparkSession) -> SparkSession:
    """Retries a server that is down for about ten seconds (pyspark's own policy is ten minutes)."""
    spark.client.set_retry_policies(
        [DefaultPolicy(max_retries=6, initial_backoff=100, max_backoff=3000, min_jitter_threshold=1000, jitter=200)]
    )
    return spark


def local_view(name: str, table: pa.Table) -> SubqueryAlias:
    """Rows of this process as a view that one statement sees under `name`."""
    schema = spark_schema_of(table.schema)
    plan: LogicalPlan = LocalRelation(table if table.num_rows else None, schema.json())
    return SubqueryAlias(plan, name)


class SparkLink:
    """Runs text on one Spark session. Safe to use from several threads."""

    def __init__(self, spark: SparkSession) -> None:
        self.url = f"sc://{spark.client._builder.host}"
        self.spark = spark
        self._client = spark.client
        self._configured: dict[str, str] = {}

    # ---- running

    def query(self, text: str, views: Sequence[SubqueryAlias] = (), tag: str | None = None) -> Rows:
        """Run a query: returns when its schema is known, the rows stream as they are taken."""
        return self._stream(SQL(text, None, None, list(views) or None), tag)

    def plan(self, plan: LogicalPlan, tag: str | None = None) -> Rows:
        return self._stream(plan, tag)

    def command(self, text: str, views: Sequence[SubqueryAlias] = (), tag: str | None = None) -> Rows:
        """Run DDL, DML or any other command to its end; its (small) result is here when this returns."""
        command = SQL(text, None, None, list(views) or None).command(self._client)
        with self._tagged(tag):
            _, properties, _ = self._client.execute_command(command)
        relation = properties.get("sql_command_result")
        if relation is None:
            return Rows.none()
        if relation.HasField("local_relation"):
            return _local_rows(relation.local_relation)
        return self._stream(CachedRelation(relation), tag)

    def configure(self, name: str, value: str) -> None:
        """Set a setting of the session; nothing where it was set to that by this before."""
        if self._configured.get(name) != value:
            self.spark.conf.set(name, value)
            self._configured[name] = value

    def forget_settings(self) -> None:
        """What `configure` set may be otherwise now, as after SET or RESET."""
        self._configured.clear()

    def table_schema(self, spark_name: str) -> StructType:
        """Schema of a table or view of Spark's catalog, comments in the fields' metadata."""
        plan = Read(spark_name)
        return self._client.schema(plan.to_proto(self._client))

    @property
    def session_id(self) -> str:
        return str(self._client._session_id)

    def interrupt(self, tag: str) -> bool:
        """Interrupt what runs under the tag; False if nothing did."""
        return bool(self._client.interrupt_tag(tag))

    def close(self) -> None:
        self.spark.stop()

    # ---- the inside

    def _stream(self, plan: LogicalPlan, tag: str | None) -> Rows:
        with self._tagged(tag):
            stream: Generator[Any, None, None] = self._client.to_table_as_iterator(plan.to_proto(self._client), {})
            held: list[pa.Table] = []
            schema: StructType | None = None
            for item in stream:
                if isinstance(item, StructType):
                    schema = item
                    break
                held.append(item)
        if schema is None:
            schema = spark_schema_of(held[0].schema) if held else StructType([])

        months = holds_months(schema)

        def tables() -> Iterator[pa.Table]:
            try:
                for item in itertools.chain(held, stream):
                    if isinstance(item, pa.Table):
                        yield readable(item) if months else item
            finally:
                stream.close()

        return Rows(schema, tables())

    @contextmanager
    def _tagged(self, tag: str | None) -> Iterator[None]:
        # Tags belong to the thread; the request is built when the stream is first read.
        if tag is None:
            yield
            return
        self._client.add_tag(tag)
        try:
            yield
        finally:
            self._client.remove_tag(tag)


def _local_rows(relation: Any) -> Rows:
    """The rows that a command's answer carries with it."""
    tables: list[pa.Table] = []
    schema: StructType | None = None
    if relation.schema:
        with_json = relation.schema.startswith("{")
        schema = StructType.fromJson(json.loads(relation.schema)) if with_json else None
    if relation.data:
        with pa.ipc.open_stream(relation.data) as reader:
            tables = [reader.read_all()]
        schema = schema or spark_schema_of(tables[0].schema)
    return Rows(schema or StructType([]), iter(tables))


def new_tag() -> str:
    return f"cutover-{uuid.uuid4().hex}"


# ---- errors

_STATE = re.compile(r"SQLSTATE: (\w{5})")
_CLASS = re.compile(r"^\[([A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\] ")
_PLAN = re.compile(r";?\s*\n'?(?:[A-Z][A-Za-z]+(?: |\n|\[|$)|\+- |:- |== (?:Parsed|Analyzed)).*", re.S)


def translate_error(error: Exception, translate: Callable[[str], str]) -> SqlError:
    """Spark's error as the service gives it: names in three levels, no plan, `[CLASS] text SQLSTATE: state`."""
    if isinstance(error, SqlError):
        return error
    if "RETRIES_EXCEEDED" in str(error) or any(
        sign in str(error) for sign in ("StatusCode.UNAVAILABLE", "NO_ACTIVE_SESSION", "INVALID_HANDLE.SESSION")
    ):
        return SqlError(
            "CANNOT_CONNECT", "The Spark server does not answer; it is being started again. Try again soon.", "08000"
        )
    if not isinstance(error, PySparkException):
        return SqlError("INTERNAL_ERROR", f"{type(error).__name__}: {error}")
    message = (error.getMessage() or str(error)).split("\n\nJVM stacktrace:")[0].strip()
    state_match = _STATE.search(message)
    if state_match and "== SQL" not in message[state_match.end() :][:30]:
        head, tail = message[: state_match.end()], message[state_match.end() :]
        message = head + _PLAN.sub("", tail)
    elif not state_match:
        message = _PLAN.sub("", message) or message
    message = translate(message)
    condition = error.getCondition() or ""
    found = _CLASS.match(message)
    error_class = found[1] if found else condition
    state = error.getSqlState() or (state_match[1] if state_match else None)
    if error_class == "NOT_SUPPORTED_COMMAND_FOR_V2_TABLE":
        # Delta's tables outside of the service are such to Spark; the author of the statement knows no other kind.
        return not_here(_CLASS.sub("", message).partition(" is not supported")[0])
    if error_class in ("OPERATION_CANCELED", "INTERRUPTED") or "OPERATION_CANCELED" in message:
        return SqlError("OPERATION_CANCELED", "Operation has been canceled.", "HY008")
    return _Worded(error_class or "INTERNAL_ERROR", message, state)


class _Worded(SqlError):
    """An error whose message Spark has already worded whole."""

    def __init__(self, error_class: str, message: str, sqlstate: str | None) -> None:
        super().__init__(error_class, message, sqlstate)
        known = _CLASS.match(message)
        whole = message if known else f"[{error_class}] {message}"
        if "SQLSTATE:" not in whole:
            whole = f"{whole} SQLSTATE: {self.sqlstate}"
        self.args = (whole,)
        self.text = message


# The server drops a session that was unused for 12 hours.
POOLED_SECONDS = 6 * 3600.0


class SparkPool:
    """Sessions kept ready, since opening one takes longer than a small query."""

    def __init__(self, url: Callable[[], str], ready: int = 2) -> None:
        """url: address of the server of this moment, with its generation after a `#`."""
        self._url = url
        self._ready = ready
        self._lock = threading.Lock()
        self._idle: list[tuple[str, float, SparkLink]] = []
        self._filling = False
        self._closed = False

    def take(self) -> SparkLink:
        """A session without temporary views or settings, on the server of this moment."""
        url = self._url()
        link: SparkLink | None = None
        with self._lock:
            while self._idle and link is None:
                made_for, since, candidate = self._idle.pop()
                if made_for == url and time.monotonic() - since < POOLED_SECONDS:
                    link = candidate
        self._fill()
        return link or _warm(open_spark(url.partition("#")[0]))

    def give(self, link: SparkLink, clean: bool) -> None:
        """Take a session back: kept if nothing in it was changed, else ended."""
        if clean and not self._closed:
            url = self._url()
            with self._lock:
                if len(self._idle) < 8:
                    self._idle.append((url, time.monotonic(), link))
                    return
        threading.Thread(target=_quietly, args=(link.close,), daemon=True).start()

    def _fill(self) -> None:
        with self._lock:
            if self._filling or self._closed or len(self._idle) >= self._ready:
                return
            self._filling = True

        def work() -> None:
            try:
                url = self._url()
                while not self._closed:
                    with self._lock:
                        if len(self._idle) >= self._ready:
                            return
                    link = _warm(open_spark(url.partition("#")[0]))
                    with self._lock:
                        self._idle.append((url, time.monotonic(), link))
            except Exception:  # noqa: BLE001 - a spare session that cannot be made is made when it is needed
                return
            finally:
                self._filling = False

        threading.Thread(target=work, name="spark-pool", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, _, link in idle:
            _quietly(link.close)


def _warm(spark: SparkSession) -> SparkLink:
    """The server makes a session's state at its first call: let that be before a user waits."""
    link = SparkLink(spark)
    link.query("SELECT 1").collect()
    return link


def _quietly(action: Callable[[], Any]) -> None:
    try:
        action()
    except Exception:  # noqa: BLE001 - ending a session of a server that is gone
        return
