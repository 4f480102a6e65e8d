"""One local workspace a folder: its process holds a lock on a file in it, and only its owner can read what is there."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

PRIVATE = 0o077
"""Permission bits of other users: nothing in a data folder has one, since tokens, tables and logs lie there."""


ADDRESS = "workspace.json"
"""File in the folder of a workspace that runs: its address and token, for clients on the same machine."""


class FolderError(Exception):
    """The folder cannot be used; the text is one line with the way out."""


def take_folder(data: Path) -> IO[str]:
    """Makes the folder if it is missing and locks it for this process, until what is given back is closed.

    The folder and what is in it are closed to other users. Raises FolderError if it cannot be written or another
    workspace has it.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    make_private(data)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def make_private(data: Path) -> None:
    """Takes other users' permissions off the folder and, where it had any, off everything in it."""
    if not _close_to_others(data):
        return
    for folder, folders, files in os.walk(data):
        for name in (*folders, *files):
            _close_to_others(Path(folder) / name)


def _close_to_others(path: Path) -> bool:
    """Whether the path was open to others. Symbolic links and what another user owns stay as they are."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & PRIVATE:
            path.chmod(stat.S_IMODE(mode) & ~PRIVATE)
            return True
    return False


def private_file(path: Path) -> Path:
    """The file, made empty if it is missing, readable by its owner only, whatever the umask of this process.

    For SQLite, which gives a database's mode to the -wal and -shm files that it makes beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in ("", "-wal", "-shm"):
        _close_to_others(path.with_name(path.name + suffix))
    return path
