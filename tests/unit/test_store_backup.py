"""Backup, restore and check of a store, on both databases; every kind of unusable file is refused and writes nothing."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import select, text, update

from app.cli import main as cli
from app.cli.context import context
from app.operations import attested, store_check
from app.store import backup_format
from app.store.backup import backup, restore
from app.store.backup_format import MANIFEST, BackupError
from app.store.connect import open_engine
from app.store.open import Store, open_store
from app.store.operations import ApprovalRecord, operations
from app.store.schema import metadata
from tests.support.databases import SQLITE, content
from tests.support.operations_world import Given


def cut_over(store: Store) -> str:
    """Copies the store of a cutover that was executed into this one; its id."""
    given = Given()
    operation = given.cut_over()
    with given.engine.connect() as source, store.engine.begin() as target:
        for table in metadata.sorted_tables:
            if source.dialect.has_table(source, table.name):
                rows = [dict(r._mapping) for r in source.execute(select(table))]
                if rows:
                    target.execute(table.insert(), rows)
    return operation


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A backup of a store in which a cutover was executed, beside the store, `source.db`."""
    for name, held in backed_up().items():
        (tmp_path / name).write_bytes(held)
    return tmp_path / "backup.zip"


@cache
def backed_up() -> dict[str, bytes]:
    """Store and backup, made once."""
    with TemporaryDirectory(prefix="cutover-") as folder:
        source = open_store(f"sqlite:///{folder}/source.db")
        cut_over(source)
        backup(source.engine, Path(folder) / "backup.zip")
        with source.engine.connect() as c:
            c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        source.engine.dispose()
        return {name: (Path(folder) / name).read_bytes() for name in ("source.db", "backup.zip")}


def members(file: Path) -> dict[str, bytes]:
    """The members of a backup by name."""
    with zipfile.ZipFile(file) as z:
        return {n: z.read(n) for n in z.namelist()}


def write(file: Path, parts: dict[str, bytes]) -> None:
    """Writes a backup anew."""
    with zipfile.ZipFile(file, "w") as z:
        for name, part in parts.items():
            z.writestr(name, part)


def in_manifest(key: str, value: Any) -> Callable[[Path], None]:
    """Changes one value of the manifest."""

    def change(file: Path) -> None:
        parts = members(file)
        parts[MANIFEST] = json.dumps({**json.loads(parts[MANIFEST]), key: value}).encode()
        write(file, parts)

    return change


def in_lines(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Changes the lines of the audit log, and not the manifest."""

    def changed(file: Path) -> None:
        parts = members(file)
        parts["audit_log.jsonl"] = change(parts["audit_log.jsonl"])
        write(file, parts)

    return changed


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path) -> None:
    with zipfile.ZipFile(file) as z:
        member = z.getinfo("operations.jsonl")
    data = bytearray(file.read_bytes())
    data[member.header_offset + 200] ^= 0xFF
    file.write_bytes(bytes(data))


def not_a_zip(file: Path) -> None:
    file.write_text("text")


def without_a_member(file: Path) -> None:
    write(file, {n: p for n, p in members(file).items() if n != "leases.jsonl"})


def with_a_member(file: Path) -> None:
    write(file, {**members(file), "other.jsonl": b""})


UNUSABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (cut, "is damaged"),
    "a byte": (flip, "is damaged"),
    "no zip": (not_a_zip, "no backup"),
    "missing": (lambda f: f.unlink(), "does not exist"),
    "format": (in_manifest("format", "cutover-store-9"), "unknown format"),
    "revision": (in_manifest("revision", "0003"), "schema revision 0003"),
    "tables": (in_manifest("tables", {}), "members are not those"),
    "manifest": (in_manifest("tables", {"audit_log": {"rows": "2"}}), "manifest is incomplete"),
    "member missing": (without_a_member, "members are not those"),
    "member added": (with_a_member, "members are not those"),
    "value": (in_lines(lambda t: t.replace(b'"reason":"', b'"reason":"x', 1)), "not as its manifest"),
    "line missing": (in_lines(lambda t: t[t.index(b"\n") + 1 :]), "not as its manifest"),
    "line added": (in_lines(lambda t: t + t[: t.index(b"\n") + 1]), "a line too many"),
    "line cut": (in_lines(lambda t: t[:-1]), "a line too many, or one too long"),
    "no JSON": (in_lines(lambda t: b"{" + t), "cannot be read"),
    "column": (in_lines(lambda t: t.replace(b'"actor"', b'"author"', 1)), "is no row of it"),
    "type": (in_lines(lambda t: t.replace(b'"seq":1,', b'"seq":"1",', 1)), "cannot be read"),
    "moment": (in_lines(lambda t: t.replace(b'"at":"2', b'"at":"x', 1)), "cannot be read"),
}


def test_a_restored_store_is_equal_row_by_row_and_goes_on(store_urls: Callable[[], str], tmp_path: Path) -> None:
    store, other = open_store(store_urls()), open_store(store_urls())
    operation = cut_over(store)
    done = backup(store.engine, tmp_path / "b.zip")
    assert restore(other.engine, tmp_path / "b.zip").rows == done.rows == sum(map(len, content(store.engine).values()))
    assert content(other.engine) == content(store.engine)
    head = other.audit.head()
    assert head is not None and attested.verify(other, head.hash).whole and store_check.problems(other.engine) == []
    added = other.audit.append(actor="a", source="test", local=True, action="look", outcome="done", subject=operation)
    assert (added.seq, added.prev_hash) == (head.seq + 1, head.hash) and other.audit.verify().whole
    # An id of its own: the sequence of the restored store is past the restored ones.
    at = datetime(2026, 1, 12, tzinfo=UTC)
    kept = {a.id for a in other.operations.approvals(operation)}
    assert (
        kept
        and other.operations.approve(ApprovalRecord(0, operation, "0" * 64, "b", "t", True, "", at, at)) not in kept
    )
    for found in (store, other):
        found.engine.dispose()


def test_a_backup_of_sqlite_restores_on_either_database(store: Store, file: Path) -> None:
    restore(store.engine, file)
    source = open_engine(f"sqlite:///{file.parent / 'source.db'}")
    with source.connect() as mine, store.engine.connect() as other:
        for table in metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key.columns)
            assert mine.execute(query).all() == other.execute(query).all(), table.name
    source.dispose()


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_file_is_refused_and_nothing_written(store: Store, file: Path, kind: str) -> None:
    spoil, words = UNUSABLE[kind]
    spoil(file)
    with pytest.raises(BackupError, match=words) as e:
        restore(store.engine, file)
    assert "\n" not in str(e.value)
    assert not any(content(store.engine).values())


def test_a_line_is_read_to_a_limit(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_format, "LONGEST_LINE", 8_000)
    with pytest.raises(BackupError, match="one too long"):
        restore(store.engine, file)
    assert not any(content(store.engine).values())


def test_a_store_with_rows_is_left_alone(store: Store, file: Path) -> None:
    store.audit.append(actor="a", source="test", local=True, action="look", outcome="done", subject="s")
    before = content(store.engine)
    with pytest.raises(BackupError, match=r"not empty \(audit_"):
        restore(store.engine, file)
    assert content(store.engine) == before


def test_a_backup_is_of_one_moment(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over(store)
    before = content(store.engine)
    add = backup_format.BackupWriter.add

    def adding(self: backup_format.BackupWriter, table: str, rows: Any) -> int:
        count = add(self, table, rows)
        if table == metadata.sorted_tables[0].name:
            store.audit.append(actor="a", source="test", local=True, action="look", outcome="done", subject="s")
        return count

    monkeypatch.setattr(backup_format.BackupWriter, "add", adding)
    backup(store.engine, tmp_path / "b.zip")
    assert store.audit.verify().records == len(before["audit_log"]) + 1
    assert members(tmp_path / "b.zip")["audit_log.jsonl"].count(b"\n") == len(before["audit_log"])


def test_an_existing_file_is_kept_and_a_new_one_is_closed_to_others(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    file.write_text("mine")
    with pytest.raises(BackupError, match="replace it with --force"):
        backup(store.engine, file)
    assert file.read_text() == "mine"
    backup(store.engine, file, force=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and MANIFEST in members(file)
    assert not list(tmp_path.glob(".b.zip*"))
    if store.engine.dialect.name == SQLITE:
        with pytest.raises(BackupError, match="is the store itself"):
            backup(store.engine, Path(str(store.engine.url.database)), force=True)


def test_a_store_of_another_revision_is_neither_read_nor_written(store: Store, file: Path, tmp_path: Path) -> None:
    with store.engine.begin() as c:
        c.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    with pytest.raises(BackupError, match="revision 0003"):
        backup(store.engine, tmp_path / "b.zip")
    assert not list(tmp_path.glob("b.zip*"))
    with pytest.raises(BackupError, match="revision 0003"):
        restore(store.engine, file)
    assert store_check.problems(store.engine)[-1].startswith("the store's schema has revision 0003")


def test_check_names_a_changed_plan_and_a_changed_record(store: Store) -> None:
    operation = cut_over(store)
    assert store_check.problems(store.engine) == []
    with store.engine.begin() as c:
        c.execute(update(operations).values(plan_hash="0" * 64))
        c.execute(text("UPDATE audit_log SET reason = 'other' WHERE seq = 2"))
    plan, chain = store_check.problems(store.engine)
    assert plan == f"operation {operation}: its plan does not have the stored hash"
    assert chain == "audit chain: record 2 was changed after it was written"


def test_check_names_lines_and_approvals_without_an_operation(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    operation = cut_over(store)
    with store.engine.begin() as c:
        c.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    with store.engine.connect() as c:
        c.exec_driver_sql("PRAGMA foreign_keys=OFF")
        c.execute(operations.delete())
        c.commit()
        c.exec_driver_sql("PRAGMA foreign_keys=ON")
    found = store_check.problems(store.engine)
    assert f"operation_journal 1 belongs to operation {operation}, which is missing" in found
    assert f"operation_approvals 1 belongs to operation {operation}, which is missing" in found
    store.engine.dispose()


def test_check_names_a_damaged_index(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    cut_over(store)
    with store.engine.connect() as c:
        c.exec_driver_sql("PRAGMA writable_schema=ON")
        c.exec_driver_sql("UPDATE sqlite_master SET sql = replace(sql, 'reason TEXT NOT NULL', 'reason TEXT NOT NULL CHECK (0)')"
                          " WHERE name = 'audit_log'")  # fmt: skip
        c.commit()
    store.engine.dispose()
    assert any(p.startswith("database file: ") for p in store_check.problems(store.engine))
    store.engine.dispose()


def test_the_command_backs_up_restores_and_checks(
    store_urls: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def use(url: str) -> None:
        """As a new process with this store."""
        if "store" in vars(context):
            context.store.engine.dispose()
        vars(context).clear()
        monkeypatch.setenv("CUTOVER_STORE_URL", url)

    urls = store_urls(), store_urls()
    store = open_store(urls[0])
    cut_over(store)
    file = tmp_path / "b.zip"
    use(urls[0])
    assert cli.main(["store", "backup", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"{sum(map(len, content(store.engine).values())):,} rows" in " ".join(said.split())
    assert cli.main(["store", "backup", str(file)]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.main(["store", "restore", str(file)]) == 2
    assert "not empty" in capsys.readouterr().err
    with store.engine.begin() as c:
        c.execute(update(operations).values(plan_hash="0" * 64))
    assert cli.main(["store", "check", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    store.engine.dispose()
    use(urls[1])
    assert cli.main(["store", "restore", str(file)]) == 0
    assert cli.main(["store", "check"]) == 0
    assert "intact" in capsys.readouterr().out
    use(f"sqlite:///{tmp_path / 'none.db'}")
    assert cli.main(["store", "check"]) == 1
    assert "does not exist" in capsys.readouterr().err and not (tmp_path / "none.db").exists()
    vars(context).clear()
