"""A file takes its name when it is whole; what another process made meanwhile is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.new_file import new_file


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_it_takes_its_name_at_the_end_and_is_closed_to_others_until_then(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with new_file(file, force=False, mode=0o644) as part:
        part.write_text("text")
        assert not file.exists() and mode_of(part) == 0o600 and part.suffix == ".yaml"
    assert [f.name for f in tmp_path.iterdir()] == ["a.yaml"]
    assert file.read_text() == "text" and mode_of(file) == 0o644


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), new_file(tmp_path / "a", force=True) as part:
        part.write_text("half")
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("force", "kept"), [(False, "theirs"), (True, "mine")])
def test_a_file_that_was_made_meanwhile_is_replaced_only_on_demand(tmp_path: Path, force: bool, kept: str) -> None:
    file = tmp_path / "a"

    def write() -> None:
        with new_file(file, force=force) as part:
            part.write_text("mine")
            file.write_text("theirs")

    if force:
        write()
    else:
        with pytest.raises(FileExistsError):
            write()
    assert [f.name for f in tmp_path.iterdir()] == ["a"] and file.read_text() == kept


def test_two_at_once_do_not_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    with new_file(file, force=True) as one, new_file(file, force=True) as two:
        one.write_text("one")
        two.write_text("two")
    assert file.read_text() == "one"
