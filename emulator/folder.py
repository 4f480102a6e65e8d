"""One local workspace a folder: whoever runs one there holds a lock on a file in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class FolderError(Exception):
    """The folder cannot be used; the text is one line with the way out."""


def take_folder(data: Path) -> IO[str]:
    """Makes the folder if it is missing and locks it for this process, until what is given back is closed.

    Raises FolderError if it cannot be written or another workspace has it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "emulator.lock").open("a+")
    except OSError as e:
        raise FolderError(f"the data folder {data} cannot be written ({e.strerror or e}): choose another") from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise FolderError(
            f"a local workspace runs in {data} already (process {owner}): stop it, or choose another folder"
        ) from e
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
