"""The file of a backup: a zip of `manifest.json` and, per table, a member of one JSON object a line."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import JSON, Table, TypeDecorator
from sqlalchemy.types import TypeEngine

from app.store.base import UtcDateTime
from app.store.schema import metadata

FORMAT = "cutover-store-1"
MANIFEST = "manifest.json"
LONGEST_LINE = 64 * 2**20
"""Bytes of a row or of the manifest that are read at most: a damaged file must not fill the memory."""

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
"""What `zipfile` raises for a file that is cut, changed, encrypted or no zip."""


class BackupError(Exception):
    """A backup cannot be written or restored; one line with the file, the cause and the way out."""


def member_of(table: str) -> str:
    """The name of a table's member."""
    return f"{table}.jsonl"


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as a line. Raises BackupError for one that could not be read back."""
    try:
        line = json.dumps(row, default=_plain, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (TypeError, ValueError) as e:
        raise BackupError(f"the store holds a value that no backup can hold: {e}") from e
    if len(line) > LONGEST_LINE:
        raise BackupError(f"the store holds a row of {len(line):,} bytes, a backup at most {LONGEST_LINE:,}")
    return line


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"a {type(value).__name__}")


class BackupFile:
    """A backup that is read. Raises BackupError for a file that is damaged, cut, or of another format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError as e:
            raise BackupError(f"{path} does not exist: name a backup") from e
        except _UNREADABLE as e:
            raise self.damaged("it is cut, or no backup") from e
        try:
            self._manifest = self._read_manifest()
            self.revision = self._manifest["revision"]
            self._tables: dict[str, dict[str, Any]] = self._manifest["tables"]
            self._check_members()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> BackupFile:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self._zip.close()

    def damaged(self, why: str) -> BackupError:
        """The error for this file."""
        return BackupError(f"{self._path} is damaged ({why}): nothing was restored; name another backup")

    def _read_manifest(self) -> dict[str, Any]:
        try:
            with self._zip.open(MANIFEST) as member:
                found = json.loads(member.read(LONGEST_LINE))
        except _UNREADABLE as e:
            raise self.damaged("its manifest cannot be read") from e
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BackupError(f"{self._path} has an unknown format: this program restores {FORMAT}")
        tables = found.get("tables")
        if not isinstance(found.get("revision"), str) or not isinstance(tables, dict):
            raise self.damaged("its manifest is incomplete")
        for entry in tables.values():
            if (
                not isinstance(entry, dict)
                or type(entry.get("rows")) is not int
                or type(entry.get("sha256")) is not str
            ):
                raise self.damaged("its manifest is incomplete")
        return found

    def _check_members(self) -> None:
        if sorted(self._zip.namelist()) != sorted([MANIFEST, *map(member_of, self._tables)]):
            raise self.damaged("its members are not those of its manifest")

    def check_tables(self) -> None:
        """Checks that it has the tables of this program's schema."""
        if set(self._tables) != set(metadata.tables):
            raise self.damaged("its tables are not those of its schema")

    def rows(self, table: Table) -> Iterator[dict[str, Any]]:
        """The rows of a table, of the types of its columns. Whether all are those of the manifest shows at the end."""
        entry, count, digest = self._tables[table.name], 0, hashlib.sha256()
        readers = {c.name: (c.type, bool(c.nullable)) for c in table.columns}
        try:
            with self._zip.open(member_of(table.name)) as member:
                while line := member.readline(LONGEST_LINE + 1):
                    count += 1
                    if len(line) > LONGEST_LINE or not line.endswith(b"\n") or count > entry["rows"]:
                        raise self.damaged(f"{table.name} has a line too many, or one too long")
                    digest.update(line)
                    row = json.loads(line)
                    if not isinstance(row, dict) or row.keys() != readers.keys():
                        raise self.damaged(f"line {count} of {table.name} is no row of it")
                    yield {name: _value(row[name], *reader) for name, reader in readers.items()}
        except _UNREADABLE as e:
            raise self.damaged(f"{table.name} cannot be read") from e
        if count != entry["rows"] or digest.hexdigest() != entry["sha256"]:
            raise self.damaged(f"{table.name} is not as its manifest has it")


def _value(value: Any, kind: TypeEngine[Any], nullable: bool) -> Any:
    """A value of a line as its column takes it. Raises ValueError."""
    if value is None and nullable:
        return None
    if isinstance(kind, UtcDateTime):
        if not isinstance(value, str):
            raise ValueError("no moment")
        return datetime.fromisoformat(value)
    inner = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    if isinstance(inner, JSON):
        return value
    wanted = inner.python_type
    # SQLite would take any type; a bool is an int in Python.
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        raise ValueError(f"no {wanted.__name__}")
    return value


class BackupWriter:
    """Writes the members into an open zip, then the manifest."""

    def __init__(self, archive: zipfile.ZipFile, revision: str, made_at: datetime) -> None:
        self._zip = archive
        self._head = {"format": FORMAT, "revision": revision, "made_at": made_at.astimezone(UTC).isoformat()}
        self._tables: dict[str, dict[str, Any]] = {}

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Writes one table and returns the number of its rows."""
        digest, count = hashlib.sha256(), 0
        with self._zip.open(member_of(table), "w", force_zip64=True) as member:
            for row in rows:
                line = line_of(row)
                member.write(line)
                digest.update(line)
                count += 1
        self._tables[table] = {"rows": count, "sha256": digest.hexdigest()}
        return count

    def finish(self) -> None:
        """Writes the manifest."""
        self._zip.writestr(MANIFEST, json.dumps({**self._head, "tables": self._tables}, indent=1))
