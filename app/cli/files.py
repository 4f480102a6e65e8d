"""Files that a command writes: new ones only, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.cli.ending import WrongUse


def write_new(files: Mapping[Path, str]) -> None:
    """Writes files that must not exist yet, all or none. Raises WrongUse."""
    written: list[Path] = []
    try:
        for path, text in files.items():
            # Line ends as they are: those of the CSV are its own.
            with path.open("x", encoding="utf-8", newline="") as file:
                written.append(path)
                file.write(text)
    except OSError as e:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(e, FileExistsError):
            raise WrongUse(f"{e.filename} exists already: name another file") from e
        raise WrongUse(f"{e.filename or path} cannot be written: {e.strerror}") from e
