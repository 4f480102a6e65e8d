"""A session's SQL: statements run one by one, each reported when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.connect.plan import SubqueryAlias

from emulator.catalog import Catalog
from emulator.dialect.names import quoted, split_name
from emulator.sql import dml
from emulator.sql.commands import Commands
from emulator.sql.errors import SqlError
from emulator.sql.execute import execute
from emulator.sql.job import Job
from emulator.sql.literals import NO_PARAMETERS, Parameters
from emulator.sql.rows import Rows
from emulator.sql.session import Context, SqlSession, VirtualTables
from emulator.sql.spark import SparkLink

StatementHook = Callable[..., None]


@dataclass(frozen=True)
class _Clock:
    """When a statement started: `started` in seconds since 1970, `monotonic` by a clock that only goes forward."""

    started: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


class Engine(SqlSession):
    """Statements of one session. Not shared between sessions; statements of one session may overlap.

    on_statement: called after each statement.
    """

    def __init__(
        self,
        link: SparkLink,
        catalog: Catalog,
        context: Context,
        tables_root: Path,
        virtual: VirtualTables | None = None,
        on_statement: StatementHook | None = None,
    ) -> None:
        super().__init__(link, catalog, context, tables_root, virtual)
        self.on_statement = on_statement
        self.commands = Commands(self, self.run)

    # ---------------------------------------------------------------------------------------- running

    def run(self, text: str, parameters: Parameters = NO_PARAMETERS, tag: str | None = None) -> Rows:
        """Run one statement. Commands have ended when this returns; the rows of a query stream. Raises SqlError."""
        clock = _Clock()
        job = Job(self, text, parameters, tag)
        try:
            rows = execute(job, self.commands)
        except (PySparkException, SqlError) as e:
            error = self.translated(e)
            self._report(job, clock, error)
            if error is e:
                raise
            raise error from e
        except BaseException as e:
            self._report(job, clock, SqlError("INTERNAL_ERROR", f"{type(e).__name__}: {e}"))
            raise
        return Rows(rows.schema, self._watched(rows.tables, job, clock), rows.modified)

    def prepare(self, text: str, parameters: Parameters = NO_PARAMETERS) -> tuple[str, list[SubqueryAlias]] | None:
        """For a query: Spark's text with the local views it needs, checked and resolved. None for a command."""
        job = Job(self, text, parameters, None)
        if not job.statement.is_query:
            return None
        error: SqlError | None = None
        try:
            return job.spark_text(), job.views
        except (PySparkException, SqlError) as e:
            error = self.translated(e)
            raise
        finally:
            self._report(job, _Clock(), error)

    def write_table(
        self, name: str, mode: str, act: Callable[[str, str | None], None], external: str | None, provider: str
    ) -> None:
        """A DataFrame written to a table. mode: error, ignore, append, overwrite, replace or insert.

        act: does the writing, given Spark's name of the table and the location to create it at (None to leave it).
        external: the location that the writer named. Raises SqlError.
        """
        parts = split_name(name)
        job = Job(self, f"INSERT INTO {quoted(parts)} VALUES (1)", NO_PARAMETERS, None)
        try:
            self.sign_commits()
            dml.write_frame(job, self.full(parts), mode, act, external, provider)
        except PySparkException as e:
            raise self.translated(e) from e

    def _watched(self, tables: Iterator[pa.Table], job: Job, clock: _Clock) -> Iterator[pa.Table]:
        error: SqlError | None = None
        try:
            yield from tables
        except PySparkException as e:
            error = self.translated(e)
            raise error from e
        finally:
            self._report(job, clock, error)

    def _report(self, job: Job, clock: _Clock, error: SqlError | None) -> None:
        if self.on_statement is None:
            return
        self.on_statement(
            principal=self.context.principal,
            text=job.text,
            kind=job.kind,
            reads=sorted(job.reads),
            writes=sorted(job.writes),
            started=clock.started,
            seconds=time.monotonic() - clock.monotonic,
            error=str(error) if error else None,
        )
