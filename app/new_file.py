"""A file that appears under its name when it is whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(file: Path, *, force: bool, mode: int = 0o600) -> Iterator[Path]:
    """A file beside `file`, to be written in the block, that takes its name at the end; a block that fails leaves none.

    force: replace an existing file. mode: permissions of the file; until the end only its owner may read it.
    Raises FileExistsError without `force`, and OSError.
    """
    # Of a name of its own: another process may write the same file at this moment. The suffix says what it holds.
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=file.suffix, dir=file.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(mode)
        if force:
            part.replace(file)
        else:
            # Unlike a rename, it fails where another process has made the file meanwhile.
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)
