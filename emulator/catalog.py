"""Unity Catalog's metadata: catalogs, schemas, tables, views, owners and grants, in one SQLite file.

No Spark here: `emulator.session` joins these records to Spark's tables. Any process may open the same file (WAL).
Principals are user names, group names or application ids. Times are milliseconds since the epoch, as in the REST API.
Names are kept in lower case, as Unity Catalog does.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from emulator.dialect.names import NameBook, spark_schema
from emulator.folder import private_file
from emulator.metadata import (
    CatalogRecord,
    ColumnRecord,
    Grant,
    Intent,
    SchemaRecord,
    TableRecord,
    no_permission,
    process_start,
    table_not_found,
)
from emulator.records import now_ms
from emulator.shared.names import folded, folded_path
from emulator.sql.errors import SqlError, not_here

ADMINS = "admins"
ACCOUNT_USERS = "account users"
SYSTEM_OWNER = "System user"

# Which privileges each securable takes; those of a container reach what it holds.
_TABLE_PRIVILEGES = ("SELECT", "MODIFY", "APPLY_TAG", "MANAGE", "ALL_PRIVILEGES", "REFRESH", "READ_METADATA")
_SCHEMA_PRIVILEGES = (
    *_TABLE_PRIVILEGES,
    "USE_SCHEMA",
    "CREATE_TABLE",
    "CREATE_VIEW",
    "CREATE_MATERIALIZED_VIEW",
    "CREATE_FUNCTION",
    "CREATE_VOLUME",
    "CREATE_MODEL",
    "CREATE_MODEL_VERSION",
    "EXECUTE",
    "READ_VOLUME",
    "WRITE_VOLUME",
    "EXTERNAL_USE_SCHEMA",
)
_CATALOG_PRIVILEGES = (*_SCHEMA_PRIVILEGES, "USE_CATALOG", "CREATE_SCHEMA", "BROWSE")
PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "METASTORE": ("CREATE_CATALOG", "MANAGE", "USE_SHARE"),
    "CATALOG": _CATALOG_PRIVILEGES,
    "SCHEMA": _SCHEMA_PRIVILEGES,
    "TABLE": _TABLE_PRIVILEGES,
}
METASTORE = "metastore"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS catalogs (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schemas (
    catalog TEXT, name TEXT, record TEXT NOT NULL, PRIMARY KEY (catalog, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tables (
    catalog TEXT, schema TEXT, name TEXT, table_type TEXT NOT NULL, pipeline_id TEXT, record TEXT NOT NULL,
    PRIMARY KEY (catalog, schema, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tables_by_pipeline ON tables (pipeline_id);
CREATE TABLE IF NOT EXISTS grants (
    securable_type TEXT, full_name TEXT, principal TEXT, privilege TEXT, granted_at INTEGER, granted_by TEXT,
    PRIMARY KEY (securable_type, full_name, principal, privilege)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    securable_type TEXT, full_name TEXT, column_name TEXT, tag TEXT, value TEXT,
    PRIMARY KEY (securable_type, full_name, column_name, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS functions (
    catalog TEXT, schema TEXT, name TEXT, owner TEXT, PRIMARY KEY (catalog, schema, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT, full_name TEXT, pid INTEGER, pid_start TEXT, details TEXT);
CREATE TABLE IF NOT EXISTS generation (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO generation VALUES (1, 1);
"""


def _split(full_name: str, count: int) -> tuple[str, ...]:
    parts = tuple(folded_path(full_name).split(".")) if full_name.count(".") == count - 1 else ()
    if len(parts) != count or not all(parts):
        raise SqlError("INVALID_PARAMETER_VALUE", f"'{full_name}' is not a name of {count} parts.")
    return parts


class Catalog:
    """The metadata of one local workspace. Methods raise `emulator.sql.errors.SqlError` with the service's classes.

    path: the SQLite file. groups_of: names of all groups (nested too) that a principal is in; members of `admins` pass
    every check. Safe to share between threads.
    """

    def __init__(self, path: Path, groups_of: Callable[[str], set[str]]) -> None:
        self.path = path
        self._groups_of = groups_of
        self._local = threading.local()
        self._book: tuple[int, NameBook] | None = None
        private_file(path)
        with self._write() as db:
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    db.execute(statement)

    # ------------------------------------------------------------------------------------------------- the database

    def _db(self) -> sqlite3.Connection:
        held: tuple[int, sqlite3.Connection] | None = getattr(self._local, "db", None)
        if held is None or held[0] != os.getpid():
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            held = (os.getpid(), db)
            self._local.db = held
        return held[1]

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, seen whole or not at all. Nests within a thread."""
        db = self._db()
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one."""
        with self._write():
            yield

    # ------------------------------------------------------------------------------------------------------ catalogs

    def list_catalogs(self) -> list[CatalogRecord]:
        rows = self._db().execute("SELECT record FROM catalogs ORDER BY name")
        return [CatalogRecord(**json.loads(row[0])) for row in rows]

    def find_catalog(self, name: str) -> CatalogRecord | None:
        row = self._db().execute("SELECT record FROM catalogs WHERE name = ?", (folded(name),)).fetchone()
        return CatalogRecord(**json.loads(row[0])) if row else None

    def get_catalog(self, name: str) -> CatalogRecord:
        """Raises NO_SUCH_CATALOG_EXCEPTION."""
        found = self.find_catalog(name)
        if found is None:
            raise SqlError(
                "NO_SUCH_CATALOG_EXCEPTION",
                f"Catalog '{name}' was not found. Please verify the catalog name and then retry the "
                "query or command again.",
            )
        return found

    def create_catalog(self, name: str, actor: str, comment: str | None = None) -> CatalogRecord:
        """The record alone; `SqlWorkspace.create_catalog` is the whole."""
        now = now_ms()
        record = CatalogRecord(folded(name), actor, comment, now, actor, now, actor, {}, str(uuid.uuid4()))
        with self._write() as db:
            if self.find_catalog(name) is not None:
                raise SqlError("CATALOG_ALREADY_EXISTS", f"Catalog '{name}' already exists.")
            db.execute("INSERT INTO catalogs VALUES (?, ?)", (record.name, json.dumps(asdict(record))))
            self._changed(db)
        return record

    def put_catalog(self, record: CatalogRecord) -> None:
        with self._write() as db:
            db.execute("UPDATE catalogs SET record = ? WHERE name = ?", (json.dumps(asdict(record)), record.name))

    def remove_catalog(self, name: str) -> None:
        with self._write() as db:
            db.execute("DELETE FROM catalogs WHERE name = ?", (folded(name),))
            self._forget(db, "CATALOG", folded(name))
            self._changed(db)

    # ------------------------------------------------------------------------------------------------------- schemas

    def list_schemas(self, catalog: str) -> list[SchemaRecord]:
        """Raises NO_SUCH_CATALOG_EXCEPTION."""
        self.get_catalog(catalog)
        rows = self._db().execute("SELECT record FROM schemas WHERE catalog = ? ORDER BY name", (folded(catalog),))
        return [SchemaRecord(**json.loads(row[0])) for row in rows]

    def all_schemas(self) -> list[SchemaRecord]:
        rows = self._db().execute("SELECT record FROM schemas ORDER BY catalog, name")
        return [SchemaRecord(**json.loads(row[0])) for row in rows]

    def find_schema(self, catalog: str, schema: str) -> SchemaRecord | None:
        query = "SELECT record FROM schemas WHERE catalog = ? AND name = ?"
        row = self._db().execute(query, (folded(catalog), folded(schema))).fetchone()
        return SchemaRecord(**json.loads(row[0])) if row else None

    def get_schema(self, full_name: str) -> SchemaRecord:
        """Raises SCHEMA_NOT_FOUND (or NO_SUCH_CATALOG_EXCEPTION)."""
        catalog, schema = _split(full_name, 2)
        found = self.find_schema(catalog, schema)
        if found is None:
            self.get_catalog(catalog)
            raise SqlError(
                "SCHEMA_NOT_FOUND",
                f"The schema `{catalog}`.`{schema}` cannot be found. Verify the spelling and "
                "correctness of the schema and "
                "catalog.\nIf you did not qualify the name with a catalog, verify the "
                "current_schema() output, or qualify the "
                "name with the correct catalog.\nTo tolerate the error on drop use DROP SCHEMA IF EXISTS.",
            )
        return found

    def create_schema(self, full_name: str, actor: str, comment: str | None = None) -> SchemaRecord:
        """The record alone; `SqlWorkspace.create_schema` is the whole."""
        catalog, name = _split(full_name, 2)
        now = now_ms()
        record = SchemaRecord(catalog, name, actor, comment, now, actor, now, actor, {}, str(uuid.uuid4()))
        with self._write() as db:
            self.get_catalog(catalog)
            if self.find_schema(catalog, name) is not None:
                raise SqlError(
                    "SCHEMA_ALREADY_EXISTS",
                    f"Cannot create schema `{catalog}`.`{name}` because it already exists.\nChoose a "
                    "different name, drop the "
                    "existing schema, or add the IF NOT EXISTS clause to tolerate pre-existing schema.",
                )
            db.execute("INSERT INTO schemas VALUES (?, ?, ?)", (catalog, name, json.dumps(asdict(record))))
            self._changed(db)
        return record

    def put_schema(self, record: SchemaRecord) -> None:
        with self._write() as db:
            db.execute(
                "UPDATE schemas SET record = ? WHERE catalog = ? AND name = ?",
                (json.dumps(asdict(record)), record.catalog_name, record.name),
            )

    def remove_schema(self, full_name: str) -> None:
        catalog, name = _split(full_name, 2)
        with self._write() as db:
            db.execute("DELETE FROM schemas WHERE catalog = ? AND name = ?", (catalog, name))
            db.execute("DELETE FROM functions WHERE catalog = ? AND schema = ?", (catalog, name))
            self._forget(db, "SCHEMA", f"{catalog}.{name}")
            self._changed(db)

    # -------------------------------------------------------------------------------------------------------- tables

    def list_tables(self, schema_full_name: str) -> list[TableRecord]:
        """Raises SCHEMA_NOT_FOUND (or NO_SUCH_CATALOG_EXCEPTION)."""
        self.get_schema(schema_full_name)
        catalog, schema = _split(schema_full_name, 2)
        query = "SELECT record FROM tables WHERE catalog = ? AND schema = ? ORDER BY name"
        return [_table(row[0]) for row in self._db().execute(query, (catalog, schema))]

    def all_tables(self, catalog: str | None = None) -> list[TableRecord]:
        query = "SELECT record FROM tables WHERE ?1 IS NULL OR catalog = ?1 ORDER BY catalog, schema, name"
        return [_table(row[0]) for row in self._db().execute(query, (catalog,))]

    def pipeline_tables(self, pipeline_id: str) -> list[TableRecord]:
        query = "SELECT record FROM tables WHERE pipeline_id = ? ORDER BY catalog, schema, name"
        return [_table(row[0]) for row in self._db().execute(query, (pipeline_id,))]

    def find_table(self, full_name: str) -> TableRecord | None:
        return self.find((lambda p: (p[0], p[1], p[2]))(_split(full_name, 3)))

    def find(self, key: tuple[str, str, str]) -> TableRecord | None:
        query = "SELECT record FROM tables WHERE catalog = ? AND schema = ? AND name = ?"
        row = self._db().execute(query, tuple(folded(part) for part in key)).fetchone()
        return _table(row[0]) if row else None

    def get_table(self, full_name: str) -> TableRecord:
        """Raises TABLE_OR_VIEW_NOT_FOUND (or NO_SUCH_CATALOG_EXCEPTION)."""
        catalog, schema, name = _split(full_name, 3)
        found = self.find((catalog, schema, name))
        if found is None:
            self.get_catalog(catalog)
            raise table_not_found((catalog, schema, name))
        return found

    def put_table(self, record: TableRecord) -> None:
        """Insert or replace a table's record; its grants stay."""
        data = asdict(record)
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO tables VALUES (?, ?, ?, ?, ?, ?)",
                (*record.key, record.table_type, record.pipeline_id, json.dumps(data)),
            )
            if record.name != record.spark_table:
                self._changed(db)

    def locations(self) -> list[str]:
        """Where the tables that the catalog has keep their files."""
        rows = self._db().execute("SELECT json_extract(record, '$.storage_location') FROM tables")
        return [str(row[0]) for row in rows if row[0]]

    def remove_table(self, full_name: str) -> None:
        """Takes a table with its grants out of the catalog."""
        with self._write() as db:
            db.execute("DELETE FROM tables WHERE catalog = ? AND schema = ? AND name = ?", _split(full_name, 3))
            self._forget(db, "TABLE", folded_path(full_name))

    def rename_table(self, old: TableRecord, new: tuple[str, str, str], actor: str) -> None:
        """Moves a table's record, grants and tags. Unity keys those by the table's id, so they follow the rename."""
        renamed = replace(
            old, catalog_name=new[0], schema_name=new[1], name=new[2], updated_at=now_ms(), updated_by=actor
        )
        with self._write() as db:
            db.execute("DELETE FROM tables WHERE catalog = ? AND schema = ? AND name = ?", old.key)
            self.put_table(renamed)
            for table in ("grants", "tags"):
                db.execute(
                    f"UPDATE OR REPLACE {table} SET full_name = ? WHERE securable_type = 'TABLE' AND full_name = ?",
                    (renamed.full_name, old.full_name),
                )

    # ----------------------------------------------------------------------------------------------------- functions

    def put_function(self, key: tuple[str, str, str], owner: str) -> None:
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO functions VALUES (?, ?, ?, ?)", (*key, owner))

    def remove_function(self, key: tuple[str, str, str]) -> None:
        with self._write() as db:
            db.execute("DELETE FROM functions WHERE catalog = ? AND schema = ? AND name = ?", key)

    def has_function(self, key: tuple[str, str, str]) -> bool:
        query = "SELECT 1 FROM functions WHERE catalog = ? AND schema = ? AND name = ?"
        return self._db().execute(query, key).fetchone() is not None

    # ------------------------------------------------------------------------------------------------------- intents

    def begin(self, operation: str, full_name: str, **details: Any) -> int:
        """Notes a change before Spark executes it. Returns its id for `finish`."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO intents (operation, full_name, pid, pid_start, details) VALUES (?, ?, ?, ?, ?)",
                (operation, full_name, os.getpid(), process_start(os.getpid()), json.dumps(details)),
            )
            return int(cursor.lastrowid or 0)

    def finish(self, intent: int) -> None:
        with self._write() as db:
            db.execute("DELETE FROM intents WHERE id = ?", (intent,))

    def intents(self) -> list[Intent]:
        rows = self._db().execute("SELECT id, operation, full_name, pid, pid_start, details FROM intents ORDER BY id")
        return [Intent(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]

    # -------------------------------------------------------------------------------------------------------- grants

    def groups_of(self, principal: str) -> set[str]:
        """All groups of a principal, `account users` among them."""
        return {*self._groups_of(principal), ACCOUNT_USERS}

    def is_admin(self, principal: str) -> bool:
        return ADMINS in self._groups_of(principal)

    def grants(self, securable_type: str, full_name: str, principal: str | None = None) -> list[Grant]:
        """What was granted on this securable itself."""
        kind, name = self._securable(securable_type, full_name)
        query = (
            "SELECT principal, privilege FROM grants WHERE securable_type = ?1 AND full_name = ?2"
            " AND (?3 IS NULL OR principal = ?3) ORDER BY principal, privilege"
        )
        return [Grant(row[0], row[1]) for row in self._db().execute(query, (kind, name, principal))]

    def effective_grants(self, securable_type: str, full_name: str, principal: str | None = None) -> list[Grant]:
        """What was granted here or on what holds it. With a principal: also what its groups have."""
        kind, name = self._securable(securable_type, full_name)
        holders = None if principal is None else {principal, *self.groups_of(principal)}
        found: list[Grant] = []
        for level, level_name in _upwards(kind, name):
            for grant in self._grants_at(level, level_name):
                if holders is not None and grant[0] not in holders:
                    continue
                if grant[1] in PRIVILEGES[kind]:
                    source = None if level == kind else (level, level_name)
                    found.append(Grant(grant[0], grant[1], source))
        return found

    def update_grants(
        self,
        securable_type: str,
        full_name: str,
        changes: Iterable[tuple[str, Sequence[str], Sequence[str]]],
        actor: str,
    ) -> list[Grant]:
        """Add and remove privileges. changes: (principal, to add, to remove). Needs ownership or MANAGE.

        Raises INVALID_PRIVILEGE for a privilege that this kind of securable does not take.
        """
        kind, name = self._securable(securable_type, full_name)
        self.require_manage(actor, kind, name)
        table = self.find_table(name) if kind == "TABLE" else None
        is_view = table is not None and table.table_type == "VIEW"
        with self._write() as db:
            for principal, add, remove in changes:
                for privilege in add:
                    known = _privilege(kind, privilege)
                    if is_view and known == "MODIFY":
                        raise _not_applicable(privilege, "VIEW")
                    db.execute(
                        "INSERT OR IGNORE INTO grants VALUES (?, ?, ?, ?, ?, ?)",
                        (kind, name, principal, known, now_ms(), actor),
                    )
                for privilege in remove:
                    known = _privilege(kind, privilege)
                    db.execute(
                        "DELETE FROM grants WHERE securable_type = ? AND full_name = ? AND principal = ?"
                        " AND (privilege = ? OR ? = 'ALL_PRIVILEGES')",
                        (kind, name, principal, known, known),
                    )
        return self.grants(kind, name)

    def put_grants(self, securable_type: str, full_name: str, grants: Iterable[Grant], actor: str) -> None:
        """Grants as they are, unchecked (seeding, restoring)."""
        kind, name = self._securable(securable_type, full_name)
        with self._write() as db:
            for grant in grants:
                db.execute(
                    "INSERT OR IGNORE INTO grants VALUES (?, ?, ?, ?, ?, ?)",
                    (kind, name, grant.principal, grant.privilege, now_ms(), actor),
                )

    def drop_grants(self, securable_type: str, full_name: str) -> None:
        with self._write() as db:
            self._forget(db, securable_type, folded_path(full_name))

    def owner_of(self, securable_type: str, full_name: str) -> str:
        if securable_type == "CATALOG":
            return self.get_catalog(full_name).owner
        if securable_type == "SCHEMA":
            return self.get_schema(full_name).owner
        if securable_type == "TABLE":
            return self.get_table(full_name).owner
        return ADMINS

    def owns(self, principal: str, securable_type: str, full_name: str) -> bool:
        owner = self.owner_of(securable_type, full_name)
        return owner == principal or owner in self.groups_of(principal)

    def has_privilege(self, principal: str, privilege: str, securable_type: str, full_name: str) -> bool:
        """Whether the principal has the privilege: itself, by a group, as owner, or on what holds the securable."""
        if self.is_admin(principal):
            return True
        kind, name = self._securable(securable_type, full_name)
        holders = {principal, *self.groups_of(principal)}
        if kind != "METASTORE" and self.owner_of(kind, name) in holders:
            return True
        for level, level_name in _upwards(kind, name):
            for holder, granted in self._grants_at(level, level_name):
                if holder in holders and (
                    granted == privilege or (granted == "ALL_PRIVILEGES" and privilege != "MANAGE")
                ):
                    return True
        if privilege == "MANAGE":
            # The owner of the container manages what is in it.
            return any(
                self.owner_of(level, level_name) in holders
                for level, level_name in _upwards(kind, name)[1:]
                if level != "METASTORE"
            )
        return False

    def require(self, principal: str, privilege: str, securable_type: str, full_name: str) -> None:
        """Raises INSUFFICIENT_PERMISSIONS in the service's words."""
        if not self.has_privilege(principal, privilege, securable_type, full_name):
            raise no_permission(privilege, securable_type, full_name)

    def require_use(self, principal: str, catalog: str, schema: str | None = None) -> None:
        """USE CATALOG and USE SCHEMA, without which nothing in them can be touched."""
        self.require(principal, "USE_CATALOG", "CATALOG", catalog)
        if schema is not None:
            self.require(principal, "USE_SCHEMA", "SCHEMA", f"{catalog}.{schema}")

    def require_manage(self, principal: str, securable_type: str, full_name: str) -> None:
        """Ownership or MANAGE."""
        if self.is_admin(principal) or self.has_privilege(principal, "MANAGE", securable_type, full_name):
            return
        raise no_permission("MANAGE", securable_type, full_name)

    def can_see(self, principal: str, securable_type: str, full_name: str) -> bool:
        """Whether listings show it: the principal owns it or holds a privilege on it, on what holds it, or in it."""
        if self.is_admin(principal):
            return True
        kind, name = self._securable(securable_type, full_name)
        holders = {principal, *self.groups_of(principal)}
        for level, level_name in _upwards(kind, name):
            if level != "METASTORE" and self.owner_of(level, level_name) in holders:
                return True
            if any(
                holder in holders and not (level != kind and granted in ("USE_CATALOG", "USE_SCHEMA"))
                for holder, granted in self._grants_at(level, level_name)
            ):
                return True
        if kind in ("CATALOG", "SCHEMA"):
            rows = self._db().execute(
                "SELECT DISTINCT principal FROM grants WHERE full_name >= ? AND full_name < ?", (name + ".", name + "/")
            )
            return any(row[0] in holders for row in rows)
        return False

    def _grants_at(self, kind: str, name: str) -> list[tuple[str, str]]:
        query = "SELECT principal, privilege FROM grants WHERE securable_type = ? AND full_name = ?"
        return [(row[0], row[1]) for row in self._db().execute(query, (kind, name))]

    def _securable(self, securable_type: str, full_name: str) -> tuple[str, str]:
        """Checks that it exists; its type and name in the form of the grants table."""
        kind = securable_type.upper()
        name = folded_path(full_name)
        if kind == "CATALOG":
            self.get_catalog(name)
        elif kind == "SCHEMA":
            self.get_schema(name)
        elif kind == "TABLE":
            self.get_table(name)
        elif kind == "METASTORE":
            name = METASTORE
        else:
            raise not_here(f"A grant on a securable of type {securable_type}")
        return kind, name

    @staticmethod
    def _forget(db: sqlite3.Connection, kind: str, name: str) -> None:
        """Removes grants and tags of a securable that is gone, or new under its old name."""
        for table in ("grants", "tags"):
            db.execute(f"DELETE FROM {table} WHERE securable_type = ? AND full_name = ?", (kind.upper(), name))

    # ---------------------------------------------------------------------------------------------------------- tags

    def tags_of(self, securable_type: str, full_name: str) -> dict[str, dict[str, str]]:
        """Tags of one securable: by column (`""` for the securable itself), key to value."""
        found: dict[str, dict[str, str]] = {}
        query = "SELECT column_name, tag, value FROM tags WHERE securable_type = ? AND full_name = ? ORDER BY 1, 2"
        for column, tag, value in self._db().execute(query, (securable_type, folded_path(full_name))):
            found.setdefault(column, {})[tag] = value
        return found

    def put_tags(self, securable_type: str, full_name: str, column: str, tags: Mapping[str, str]) -> None:
        """Replaces the tags of a securable (column `""`) or of one of its columns, unchecked."""
        name = folded_path(full_name)
        with self._write() as db:
            db.execute(
                "DELETE FROM tags WHERE securable_type = ? AND full_name = ? AND column_name = ?",
                (securable_type, name, column),
            )
            db.executemany(
                "INSERT INTO tags VALUES (?, ?, ?, ?, ?)",
                [(securable_type, name, column, key, value) for key, value in tags.items()],
            )

    def follow_columns(self, old: TableRecord, new: TableRecord) -> None:
        """After a change of a table's columns: tags of a renamed column go with it, those of a dropped one go."""
        before, after = [c.name for c in old.columns], [c.name for c in new.columns]
        renamed = dict(zip(before, after, strict=True)) if len(before) == len(after) else {}
        for column, tags in self.tags_of("TABLE", new.full_name).items():
            if column and column not in after:
                self.put_tags("TABLE", new.full_name, column, {})
                if renamed.get(column) is not None and renamed[column] not in before:
                    self.put_tags("TABLE", new.full_name, renamed[column], tags)

    # --------------------------------------------------------------------------------------------------------- names

    @staticmethod
    def _changed(db: sqlite3.Connection) -> None:
        db.execute("UPDATE generation SET value = value + 1")

    def name_book(self) -> NameBook:
        """The way back from Spark's names, made again when schemas have changed."""
        generation = int(self._db().execute("SELECT value FROM generation").fetchone()[0])
        if self._book is None or self._book[0] != generation:
            schemas = {
                spark_schema(record.catalog_name, record.name): (record.catalog_name, record.name)
                for record in self.all_schemas()
            }
            coded = {
                record.spark_table: record.name for record in self.all_tables() if record.spark_table != record.name
            }
            self._book = (generation, NameBook(schemas, coded))
        return self._book[1]


def _table(text: str) -> TableRecord:
    data = json.loads(text)
    data["columns"] = tuple(ColumnRecord(**column) for column in data["columns"])
    return TableRecord(**data)


def _upwards(kind: str, name: str) -> list[tuple[str, str]]:
    """The securable and what holds it, innermost first."""
    levels = [(kind, name)]
    if kind == "TABLE":
        levels.append(("SCHEMA", name.rsplit(".", 1)[0]))
    if kind in ("TABLE", "SCHEMA"):
        levels.append(("CATALOG", name.split(".", 1)[0]))
    return levels


def _privilege(kind: str, text: str) -> str:
    name = text.upper().strip().replace(" ", "_")
    name = {"ALL": "ALL_PRIVILEGES", "USAGE": "USE_SCHEMA", "INSERT": "MODIFY"}.get(name, name)
    if name not in PRIVILEGES[kind]:
        raise _not_applicable(text, kind)
    return name


def _not_applicable(privilege: str, kind: str) -> SqlError:
    text = f"Privilege {privilege.upper()} is not applicable to this entity [{kind}]."
    return SqlError("INVALID_PARAMETER_VALUE", text)
