"""Files of a local workspace: other users of the machine can read none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.catalog import Catalog
from emulator.folder import take_folder
from emulator.state import State


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    """The umask of most machines: what is made without care is readable to everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Names in the folder, itself included, that another user could read, write or enter."""
    return [p.name for p in (folder, *folder.rglob("*")) if p.lstat().st_mode & 0o077]


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    take_folder(tmp_path / "data").close()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_what_an_earlier_version_left_readable_is_closed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "spark").mkdir(parents=True)
    for name in ("workspace.db", "workspace.db-wal", "spark/spark.log"):
        (data / name).write_text("dapi")
    outside = tmp_path / "outside"
    outside.write_text("")
    (data / "link").symlink_to(outside)
    take_folder(data).close()
    (data / "link").unlink()
    assert open_to_others(data) == []
    assert outside.stat().st_mode & 0o777 == 0o644, "what a link points to belongs to somebody else"


def test_the_databases_and_their_logs_are_for_their_owner_whoever_opens_them(tmp_path: Path) -> None:
    state = State(tmp_path / "workspace.db")
    state.create_token(state.create_principal("user", "a@example.com", "A").id, "secret")
    catalog = Catalog(tmp_path / "catalog.sqlite", lambda _: set())
    catalog.create_catalog("main", "admins", None)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert {"workspace.db", "workspace.db-wal", "workspace.db-shm", "catalog.sqlite-wal"} <= set(names)
    assert [n for n in names if (tmp_path / n).stat().st_mode & 0o077] == []
    state.close()
