"""A Spark session that speaks Databricks SQL for one principal: three-level names, Unity's rules, parameters.

Notebooks get it as their `spark`; pipeline runs get a plain session whose names are rewritten (`patch_session`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect import dataframe as connect_dataframe
from pyspark.sql.connect import readwriter
from pyspark.sql.connect.catalog import Catalog as ConnectCatalog
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.plan import SQL, LocalRelation, LogicalPlan, Read, SubqueryAlias
from pyspark.sql.connect.readwriter import DataFrameReader
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.connect.streaming.readwriter import DataStreamReader

from emulator.catalog import Catalog
from emulator.dialect.names import literal, quote, quoted, spark_part, spark_schema, split_name
from emulator.dialect.parser import parse
from emulator.dialect.render import Place, render
from emulator.dialect.statement import Statement
from emulator.dialect.tokens import tokenize
from emulator.shared.names import folded
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.literals import bound
from emulator.sql.rows import Rows
from emulator.sql.session import Context
from emulator.sql.spark import SparkLink, patient, scheduled


class DatabricksSession(SparkSession):  # type: ignore[misc]
    """Spark Connect's session with Databricks' names. Everything that is not overridden is pyspark's own."""

    engine: Engine

    def sql(self, sqlQuery: str, args: Any = None, **kwargs: Any) -> DataFrame:
        """As on Databricks: a query is lazy, a command runs at once and gives its result."""
        views: list[SubqueryAlias] = []
        if kwargs:
            from pyspark.sql.connect.sql_formatter import SQLStringFormatter

            formatter = SQLStringFormatter(self)
            sqlQuery = formatter.format(sqlQuery, **kwargs)
            views = [SubqueryAlias(frame._plan, name) for frame, name in formatter._temp_views]
        names = {folded(view._alias) for view in views}
        known = self.engine.context.temp_views
        added = names - known
        known |= added
        try:
            parameters = bound(args if args is not None else ())
            prepared = _raised(lambda: self.engine.prepare(sqlQuery, parameters))
            if prepared is not None:
                text, local = prepared
                return DataFrame(SQL(text, None, None, [*views, *local] or None), self)
            rows = _raised(lambda: self.engine.run(sqlQuery, parameters))
            return self.frame(rows)
        finally:
            self.engine.context.temp_views -= added

    def frame(self, rows: Rows) -> DataFrame:
        """Rows that are here as a DataFrame."""
        table = rows.collect()
        plan: LogicalPlan = LocalRelation(table if table.num_rows else None, rows.schema.json())
        return DataFrame(plan, self)

    @property
    def read(self) -> DataFrameReader:
        return _Reader(self)

    @property
    def readStream(self) -> DataStreamReader:
        return _StreamReader(self)

    def table(self, tableName: str) -> DataFrame:
        return cast("DataFrame", self.read.table(tableName))

    @functools.cached_property
    def catalog(self) -> ConnectCatalog:
        return _Catalog(self)


class UnityError(PySparkException):  # type: ignore[misc]
    """A refusal of the catalog, as notebooks see errors of Spark."""

    def __init__(self, error: SqlError) -> None:
        super().__init__(message=str(error))
        self._error = error

    def getCondition(self) -> str:
        return self._error.error_class

    getErrorClass = getCondition

    def getSqlState(self) -> str:
        return self._error.sqlstate

    def __str__(self) -> str:
        return str(self._error)


def _raised(action: Callable[[], Any]) -> Any:
    """Runs it; a SqlError becomes an exception of pyspark, with Spark's own type where it came from Spark."""
    try:
        return action()
    except SqlError as e:
        cause = e.__cause__
        if isinstance(cause, PySparkException):
            cause._message = str(e)
            raise cause from None
        raise UnityError(e) from None


def _source(session: DatabricksSession, name: str, options: Mapping[str, str]) -> LogicalPlan:
    """The plan that reads a table by its Databricks name."""
    statement = f"SELECT * FROM {name}"
    job_text = _raised(lambda: session.engine.prepare(statement))
    assert job_text is not None
    text, local = job_text
    if local or any(ref.appended for ref in parse(statement).refs) or not options:
        return SQL(text, None, None, local or None)
    return Read(text.removeprefix("SELECT * FROM ").strip(), dict(options))


class _Reader(DataFrameReader):  # type: ignore[misc]
    def table(self, tableName: str) -> DataFrame:
        session = cast("DatabricksSession", self._client)
        return self._df(_source(session, tableName, self._options))


class _StreamReader(DataStreamReader):  # type: ignore[misc]
    def table(self, tableName: str) -> DataFrame:
        session = cast("DatabricksSession", self._client)
        prepared = _raised(lambda: session.engine.prepare(f"SELECT * FROM {tableName}"))
        return cast("DataFrame", super().table(prepared[0].removeprefix("SELECT * FROM ").strip()))


class _Catalog(ConnectCatalog):  # type: ignore[misc]
    """`spark.catalog` in Databricks' names."""

    @property
    def _engine(self) -> Engine:
        return cast("DatabricksSession", self._sparkSession).engine

    def currentCatalog(self) -> str:
        return self._engine.context.catalog

    def setCurrentCatalog(self, catalogName: str) -> None:
        _raised(lambda: self._engine.run(f"USE CATALOG {quote(catalogName)}"))

    def currentDatabase(self) -> str:
        return self._engine.context.schema

    def setCurrentDatabase(self, dbName: str) -> None:
        _raised(lambda: self._engine.run(f"USE SCHEMA {quoted(split_name(dbName))}"))

    def tableExists(self, tableName: str, dbName: str | None = None) -> bool:
        parts = split_name(tableName)
        if dbName is not None:
            parts = (*split_name(dbName), *parts)
        if len(parts) == 1 and folded(parts[0]) in self._engine.context.temp_views:
            return True
        name = self._engine.full(parts)
        found = self._engine.find(name)
        visible = found is not None and self._engine.catalog.can_see(
            self._engine.context.principal, "TABLE", found.full_name
        )
        return visible or ".".join(name) in self._engine.virtual

    def databaseExists(self, dbName: str) -> bool:
        catalog, schema = self._engine.full_schema(split_name(dbName))
        return self._engine.catalog.find_schema(catalog, schema) is not None

    def listTables(self, dbName: str | None = None, pattern: str | None = None) -> Any:
        from pyspark.sql.catalog import Table

        catalog, schema = self._engine.full_schema(split_name(dbName) if dbName else ())
        like = f" LIKE {literal(pattern)}" if pattern else ""
        rows = (
            _raised(lambda: self._engine.run(f"SHOW TABLES IN {quoted((catalog, schema))}{like}")).collect().to_pylist()
        )
        found = []
        for row in rows:
            record = None if row["isTemporary"] else self._engine.find((catalog, schema, row["tableName"]))
            kind = "TEMPORARY" if row["isTemporary"] else (record.table_type if record else "TABLE")
            comment = record.comment if record else None
            found.append(
                Table(
                    row["tableName"],
                    None if row["isTemporary"] else catalog,
                    None if row["isTemporary"] else [schema],
                    comment,
                    kind,
                    row["isTemporary"],
                )
            )
        return found

    def dropTempView(self, viewName: str) -> bool:
        self._engine.context.temp_views.discard(folded(viewName))
        return bool(super().dropTempView(viewName))

    def _spark(self, tableName: str) -> str:
        prepared = _raised(lambda: self._engine.prepare(f"SELECT * FROM {tableName}"))
        return str(prepared[0].removeprefix("SELECT * FROM ").strip())

    def refreshTable(self, tableName: str) -> None:
        super().refreshTable(self._spark(tableName))

    def cacheTable(self, tableName: str, storageLevel: Any = None) -> None:
        super().cacheTable(self._spark(tableName), storageLevel)

    def uncacheTable(self, tableName: str) -> None:
        super().uncacheTable(self._spark(tableName))

    def isCached(self, tableName: str) -> bool:
        return bool(super().isCached(self._spark(tableName)))

    def listColumns(self, tableName: str, dbName: str | None = None) -> Any:
        full = f"{dbName}.{tableName}" if dbName else tableName
        return super().listColumns(self._spark(full))


def connect_session(
    remote_url: str,
    principal: str,
    catalog_db: Path,
    *,
    groups_of: Callable[[str], set[str]],
    catalog: str = "main",
    schema: str = "default",
    virtual_tables: Mapping[str, Callable[[], pa.Table]] | None = None,
    on_statement: Callable[..., None] | None = None,
    job: Mapping[str, str] | None = None,
) -> DatabricksSession:
    """A notebook's `spark`: pyspark's Connect session in Databricks' names, in any process that reaches the server.

    remote_url: `sc://127.0.0.1:PORT`. catalog_db: `SqlWorkspace.catalog_db`. `spark.sql(text, args)`, `spark.table`,
    `spark.read.table`, `DataFrame.write.saveAsTable/insertInto`, `writeTo` and `spark.catalog` take one-, two- and
    three-level names and obey grants. on_statement: as of SqlWorkspace. job: the run that the notebook is of, as a
    table's history names it.
    """
    _patch_writers()
    spark = cast("DatabricksSession", scheduled(patient(DatabricksSession(connection=remote_url))))
    spark.engine = Engine(
        SparkLink(spark),
        Catalog(Path(catalog_db), groups_of),
        Context(principal, catalog, schema, job=job or {}),
        Path(catalog_db).resolve().parent / "tables",
        virtual_tables,
        on_statement,
    )
    # Not every way in which a notebook writes passes through the engine.
    spark.engine.sign_commits()
    _translate_errors(spark)
    SparkSession._set_default_and_active_session(spark)
    return spark


def _translate_errors(spark: DatabricksSession) -> None:
    """What a DataFrame's own execution raises, in Databricks' names too."""
    client = spark.client
    handle = client._handle_error

    def translated(error: Exception) -> Any:
        try:
            handle(error)
        except PySparkException as e:
            if e._message:
                e._message = spark.engine.catalog.name_book().translate(e._message)
            raise

    client._handle_error = translated


# ---- writing tables from DataFrames


_patched = False


def _patch_writers() -> None:
    """Teach pyspark's writers Databricks' names, for sessions of ours alone."""
    global _patched
    if _patched:
        return
    _patched = True
    writer, writer2, frame = readwriter.DataFrameWriter, readwriter.DataFrameWriterV2, connect_dataframe.DataFrame
    save, insert = writer.saveAsTable, writer.insertInto

    def save_as_table(
        self: Any,
        name: str,
        format: Any = None,
        mode: Any = None,
        partitionBy: Any = None,
        **options: Any,
    ) -> None:
        session = self._spark
        if not isinstance(session, DatabricksSession):
            save(self, name, format, mode, partitionBy, **options)
            return
        self.mode(mode).options(**options)
        chosen = str(self._write.mode or "error").lower()
        external = self._write.options.get("path")

        def act(spark_name: str, location: str | None) -> None:
            if location is not None and external is None:
                self.option("path", location)
            save(self, spark_name, format, None, partitionBy)

        _raised(
            lambda: session.engine.write_table(name, chosen, act, external, format or self._write.source or "delta")
        )

    def insert_into(self: Any, tableName: str, overwrite: bool | None = None) -> None:
        session = self._spark
        if not isinstance(session, DatabricksSession):
            insert(self, tableName, overwrite)
            return
        _raised(
            lambda: session.engine.write_table(
                tableName, "insert", lambda n, _: insert(self, n, overwrite), None, "delta"
            )
        )

    writer.saveAsTable = save_as_table
    writer.insertInto = insert_into

    def second(method: str, mode: str) -> None:
        original = getattr(writer2, method)

        @functools.wraps(original)
        def call(self: Any, *args: Any) -> None:
            session = self._spark
            if not isinstance(session, DatabricksSession):
                original(self, *args)
                return
            own_name = self._write.table_name

            def act(spark_name: str, location: str | None) -> None:
                self._write.table_name = spark_name
                if location is not None:
                    self._write.options["path"] = location
                try:
                    original(self, *args)
                finally:
                    self._write.table_name = own_name

            provider = self._write.provider or "delta"
            _raised(lambda: session.engine.write_table(own_name, mode, act, None, provider))

        setattr(writer2, method, call)

    for method, mode in {
        "create": "error",
        "replace": "replace",
        "createOrReplace": "overwrite",
        "append": "insert",
        "overwrite": "insert",
        "overwritePartitions": "insert",
    }.items():
        second(method, mode)

    def temporary(method: str) -> None:
        original = getattr(frame, method)

        @functools.wraps(original)
        def call(self: Any, name: str) -> None:
            original(self, name)
            if isinstance(self._session, DatabricksSession):
                self._session.engine.context.temp_views.add(folded(name.strip("`")))

        setattr(frame, method, call)

    temporary("createTempView")
    temporary("createOrReplaceTempView")


# ---- pipeline runs


def patch_session(spark: Any, rewrite_name: Callable[[str], str], rewrite_sql: Callable[[str], str]) -> Any:
    """For pipeline runs: make a plain Connect session resolve names through `rewrite_name` (read.table, table,
    readStream.table) and SQL text through `rewrite_sql`. Returns the same session; `spark.unpatched_sql` is the old
    `sql`.
    """
    base = type(spark)

    class _PipelineReader(DataFrameReader):  # type: ignore[misc]
        def table(self, tableName: str) -> DataFrame:
            return cast("DataFrame", super().table(rewrite_name(tableName)))

    class _PipelineStreamReader(DataStreamReader):  # type: ignore[misc]
        def table(self, tableName: str) -> DataFrame:
            return cast("DataFrame", super().table(rewrite_name(tableName)))

    class PipelineSession(base):  # type: ignore[misc, valid-type]
        def sql(self, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:
            return base.sql(self, rewrite_sql(sqlQuery), args, **kwargs)

        def unpatched_sql(self, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:
            return base.sql(self, sqlQuery, args, **kwargs)

        @property
        def read(self) -> DataFrameReader:
            return _PipelineReader(self)

        @property
        def readStream(self) -> DataStreamReader:
            return _PipelineStreamReader(self)

        def table(self, tableName: str) -> Any:
            return self.read.table(tableName)

    spark.__class__ = PipelineSession
    return spark


def pipeline_rewriters(
    catalog_db: Path,
    catalog: str,
    schema: str,
    own_datasets: Sequence[str],
    hidden_schema: str,
    *,
    principal: str | None = None,
    groups_of: Callable[[str], set[str]] | None = None,
) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """(rewrite_name, rewrite_sql) for `patch_session`.

    Names of the pipeline's own datasets (one-, two- or three-level) become its graph's single-part names; a single
    part that
    no table of the pipeline's schema has is left to the graph too; every other name becomes its Spark name. With a
    principal: SELECT on those is checked (SqlError).
    """
    del hidden_schema
    tables = Catalog(Path(catalog_db), groups_of or (lambda _: {"admins"}))
    own = {folded(name) for name in own_datasets}
    home = (folded(catalog), folded(schema))

    def place(parts: Sequence[str]) -> str | None:
        """The name to put there; None to leave it as it is."""
        lower = [folded(part) for part in parts]
        full = (*home, lower[0]) if len(lower) == 1 else ((home[0], *lower) if len(lower) == 2 else tuple(lower))
        if full[:2] == home and full[2] in own:
            return quote(parts[-1])
        name = (full[0], full[1], full[2])
        record = tables.find(name)
        if record is None:
            if len(lower) == 1:
                return None
            tables.get_catalog(name[0])
            # Spark says in its own words, translated later, that it is not there.
        elif principal is not None:
            tables.require_use(principal, name[0], name[1])
            tables.require(principal, "SELECT", "TABLE", record.full_name)
        return quoted((spark_schema(name[0], name[1]), spark_part(name[2])))

    def rewrite_name(name: str) -> str:
        return place(split_name(name)) or name

    def one(text: str) -> str:
        statement: Statement = parse(text, pipeline=True)
        places: dict[int, Place] = {}
        for ref in statement.refs:
            text_of = place(ref.parts)
            if text_of is not None:
                full = (*home, ref.parts[0])[-3:] if len(ref.parts) == 1 else ref.parts
                full = (home[0], *full) if len(full) == 2 else full
                places[ref.start] = Place(text_of, text_of, (full[0], full[1], full[2]))
        return render(statement, places)

    return rewrite_name, lambda text: map_statements(text, one)


def map_statements(text: str, change: Callable[[str], str]) -> str:
    """Each statement of a script changed, all between them (semicolons, comments, blanks) kept."""
    pieces: list[str] = []
    start, begin, depth = 0, None, 0
    for token in tokenize(text):
        if token.text == ";" and depth == 0:
            if begin is not None:
                pieces += [text[start:begin], change(text[begin : token.start])]
                start = token.start
            begin = None
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if begin is None:
            begin = token.start
    if begin is not None:
        pieces += [text[start:begin], change(text[begin:])]
        start = len(text)
    pieces.append(text[start:])
    return "".join(pieces)
