"""A session's state: its context, names completed, and Spark and the catalog kept in step."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException

from emulator.catalog import Catalog
from emulator.dialect.names import literal, quote, quoted, spark_part, spark_schema
from emulator.metadata import MANAGED, Intent, TableRecord
from emulator.shared.names import folded
from emulator.sql import commit_info
from emulator.sql.delta_log import folder_of, partition_columns
from emulator.sql.errors import SqlError
from emulator.sql.rows import columns_of
from emulator.sql.spark import SparkLink, end_session, translate_error

FullName = tuple[str, str, str]
VirtualTables = Mapping[str, Callable[[], pa.Table]]


@dataclass
class Context:
    """What a session's statements share. catalog, schema: the current ones. temp_views: names only Spark knows.

    job: of a notebook of a job, the fields of the run as a table's history has them.
    """

    principal: str
    catalog: str = "main"
    schema: str = "default"
    temp_views: set[str] = field(default_factory=set)
    changed: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    job: Mapping[str, str] = field(default_factory=dict)


class SqlSession:
    """What the statements of one session read and change.

    link: its Spark session. tables_root: folder of managed tables. virtual: tables answered by this process.
    """

    def __init__(
        self,
        link: SparkLink,
        catalog: Catalog,
        context: Context,
        tables_root: Path,
        virtual: VirtualTables | None = None,
    ) -> None:
        self.link = link
        self.catalog = catalog
        self.context = context
        self.tables_root = tables_root
        self.virtual = virtual or {}

    def sign_commits(self) -> None:
        """Before a statement that may commit: Delta's commits name this session's principal and job."""
        own = self.context.settings.get(commit_info.SETTING)
        self.link.configure(commit_info.SETTING, commit_info.signature(self.context.principal, self.context.job, own))

    def translated(self, error: Exception) -> SqlError:
        """Any error of Spark in three-level names."""
        return translate_error(error, self.catalog.name_book().translate)

    # ------------------------------------------------------------------------------------------ names

    def full(self, parts: Sequence[str]) -> FullName:
        """A table's name completed from the session's catalog and schema, in lower case."""
        lower = [folded(part) for part in parts]
        if len(lower) == 1:
            return self.context.catalog, self.context.schema, lower[0]
        if len(lower) == 2:
            return self.context.catalog, lower[0], lower[1]
        return lower[0], lower[1], lower[2]

    def full_schema(self, parts: Sequence[str]) -> tuple[str, str]:
        lower = [folded(part) for part in parts]
        if not lower:
            return self.context.catalog, self.context.schema
        if len(lower) == 1 and "." in lower[0]:
            lower = lower[0].split(".")
        if len(lower) > 2:
            raise SqlError(
                "IDENTIFIER_TOO_MANY_NAME_PARTS", f"{quoted(parts)} is not a valid name of a schema.", "42601"
            )
        return (self.context.catalog, lower[0]) if len(lower) == 1 else (lower[0], lower[1])

    def find(self, name: FullName) -> TableRecord | None:
        """The record of a table, after finishing what a killed process left of it."""
        found = self.catalog.find(name)
        if found is None:
            self.recover(".".join(name))
            found = self.catalog.find(name)
        return found

    def use(self, catalog: str, schema: str) -> None:
        self.context.catalog, self.context.schema = catalog, schema
        self.context.changed = True

    # ------------------------------------------------------------------------------- Spark's side of DDL

    def spark_name(self, name: FullName) -> str:
        return quoted((spark_schema(name[0], name[1]), spark_part(name[2])))

    def spark_has(self, name: FullName) -> bool:
        try:
            self.link.table_schema(self.spark_name(name))
        except PySparkException as e:
            if "TABLE_OR_VIEW_NOT_FOUND" in (e.getCondition() or str(e)) or "SCHEMA_NOT_FOUND" in str(e):
                return False
            # A broken view exists all the same.
            database, table = spark_schema(name[0], name[1]), spark_part(name[2])
            shown = self.link.command(f"SHOW TABLES IN {quote(database)} LIKE {literal(table)}").collect()
            return bool(shown.num_rows > 0)
        return True

    def read_columns(self, record: TableRecord) -> TableRecord:
        """The record with columns as Spark has them now."""
        schema = self.link.table_schema(self.spark_name(record.key))
        partitions = partition_columns(record.storage_location)
        if partitions is None:
            # No newer metadata: they are what they were.
            known = {c.partition_index: c.name for c in record.columns if c.partition_index is not None}
            partitions = [known[index] for index in sorted(known)]
        return replace(record, columns=columns_of(schema, partitions))

    def drop_orphan(self, database: str, table: str) -> bool:
        """Drop what Spark has under a name that the catalog does not know, if it is a leftover of ours or a view."""
        spark_name = quoted((database, table))
        detail = self.link.command(f"DESCRIBE EXTENDED {spark_name}").collect().to_pylist()
        facts = {row["col_name"]: row["data_type"] for row in detail}
        if facts.get("Type") == "VIEW":
            self.link.command(f"DROP VIEW IF EXISTS {spark_name}")
            return True
        folder = folder_of(facts.get("Location"))
        if folder is None or folder.parent != self.tables_root:
            return False
        self.link.command(f"DROP TABLE IF EXISTS {spark_name}")
        self.remove_folder(facts["Location"])
        return True

    def remove_folder(self, location: str | None) -> None:
        """Delete a managed table's files: nothing outside of the folder of managed tables, and nothing that a table of
        the catalog has (while a table moves to another schema, Spark knows its files by two names).
        """
        folder = folder_of(location)
        if folder is None or folder.parent != self.tables_root:
            return
        if folder not in {folder_of(found) for found in self.catalog.locations()}:
            shutil.rmtree(folder, ignore_errors=True)

    def recover(self, full_name: str | None = None) -> int:
        """Finish or undo changes that a killed process began (all, or those of one name). Returns how many."""
        done = 0
        for intent in self.catalog.intents():
            if full_name not in (None, intent.full_name, intent.details.get("to")) or not intent.abandoned:
                continue
            # Spark may still be at it, for a process that was killed while the server lived on.
            session = intent.details.get("session")
            if session and intent.details.get("url") == self.link.url:
                end_session(self.link.url, session)
                time.sleep(1.0)
            self._recover_one(intent)
            done += 1
        return done

    def _recover_one(self, intent: Intent) -> None:
        parts = intent.full_name.split(".")
        catalog = self.catalog
        if intent.operation == "create" and len(parts) == 3:
            record = TableRecord(**{**intent.details["record"], "columns": ()})
            # Spark may hold another writer's table. Read first: a writer that has ended has entered its table by then.
            theirs = self.changed_by_another(intent.full_name, intent.id)
            if catalog.find(record.key) is None and not self.spark_has(record.key):
                self.remove_folder(record.storage_location)
            elif catalog.find(record.key) is None and not theirs:
                with suppress(PySparkException):
                    record = self.read_columns(record)
                catalog.put_table(record)
        elif intent.operation == "drop" and len(parts) == 3:
            name = (parts[0], parts[1], parts[2])
            found = catalog.find(name)
            if found is not None and not self.spark_has(name):
                catalog.remove_table(intent.full_name)
                if found.table_type == MANAGED:
                    self.remove_folder(found.storage_location)
        elif intent.operation == "rename":
            name = (parts[0], parts[1], parts[2])
            to = tuple(intent.details["to"].split("."))
            found = catalog.find(name)
            if found is not None and not self.spark_has(name) and self.spark_has((to[0], to[1], to[2])):
                catalog.rename_table(found, (to[0], to[1], to[2]), intent.details["actor"])
        elif intent.operation == "schema" and catalog.find_schema(parts[0], parts[1]) is None:
            with suppress(PySparkException):
                self.link.command(f"DROP DATABASE IF EXISTS {quote(spark_schema(parts[0], parts[1]))}")
        elif intent.operation == "refresh" and len(parts) == 3:
            found = catalog.find((parts[0], parts[1], parts[2]))
            if found is not None:
                with suppress(PySparkException):
                    catalog.put_table(self.read_columns(found))
        catalog.finish(intent.id)

    def changed_by_another(self, full_name: str, intent: int) -> bool:
        """Whether a living statement, other than that of this intent, is changing a name or renames something to it."""
        return any(
            i.id != intent and full_name in (i.full_name, i.details.get("to")) and not i.abandoned
            for i in self.catalog.intents()
        )

    @contextmanager
    def intent(
        self, operation: str, full_name: str, record: TableRecord | None = None, **details: Any
    ) -> Iterator[int]:
        """Around a change of Spark and catalog: if this process dies in it, `recover` knows. Gives the intent's id.

        record: of what is made.

        After an error it is unknown whether Spark did it (it may have, before it was cancelled or died): the two are
        made to agree. If Spark does not answer either, the next start does that.
        """
        details |= {"session": self.link.session_id, "url": self.link.url}
        if record is not None:
            details["record"] = _plain(record)
        number = self.catalog.begin(operation, full_name, **details)
        try:
            yield number
        except BaseException:
            with suppress(Exception):
                self._recover_one(next(i for i in self.catalog.intents() if i.id == number))
            raise
        self.catalog.finish(number)


def _plain(record: TableRecord) -> dict[str, Any]:
    return {
        name: (dict(value) if isinstance(value, Mapping) else value)
        for name, value in vars(record).items()
        if name != "columns"
    }
