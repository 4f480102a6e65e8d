"""What a Delta table's log on the local disk says: its newest version, rows written, properties, partition columns."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def folder_of(location: str | None) -> Path | None:
    """The local folder of a storage location; None if it has none or lies elsewhere."""
    if not location:
        return None
    parts = urlsplit(location)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path) if parts.scheme else location)


def newest_version(location: str | None) -> int | None:
    """Number of the newest commit in a Delta log; None if there is no log."""
    folder = folder_of(location)
    if folder is None:
        return None
    try:
        names = [path.name for path in (folder / "_delta_log").iterdir() if path.suffix == ".json"]
    except OSError:
        return None
    return max((int(name[:20]) for name in names if name[:20].isdigit()), default=None)


def rows_written(location: str | None, after: int) -> int | None:
    """Rows that the one WRITE committed after a version wrote, from its commit's own metrics.

    None where that is unknown: others wrote at the same time, and a commit does not name its author.
    """
    folder = folder_of(location)
    newest = newest_version(location)
    if folder is None or newest is None:
        return None
    if newest == after:
        # Nothing committed: an INSERT of no rows.
        return 0
    counts: set[int] = set()
    try:
        for version in range(after + 1, newest + 1):
            for line in (folder / "_delta_log" / f"{version:020}.json").read_text().splitlines():
                if line.startswith('{"commitInfo"'):
                    info = json.loads(line)["commitInfo"]
                    if info.get("operation") == "WRITE":
                        counts.add(int(info["operationMetrics"]["numOutputRows"]))
    except (OSError, ValueError, KeyError):
        return None
    # Of several that wrote equally many, each wrote so many.
    return counts.pop() if len(counts) == 1 else None


def delta_properties(location: str | None) -> dict[str, str]:
    """Table properties from the newest metadata."""
    return {str(k): str(v) for k, v in _newest_metadata(location, 50).get("configuration", {}).items()}


def partition_columns(location: str | None) -> list[str] | None:
    """Partition columns from the newest metadata; None if the newest commits have none."""
    return _newest_metadata(location, 20).get("partitionColumns")


def _newest_metadata(location: str | None, commits: int) -> dict[str, Any]:
    """The newest metadata in the last `commits` commits (short, local files); empty if there is none."""
    folder = folder_of(location)
    if folder is None:
        return {}
    with suppress(OSError, ValueError):
        for file in sorted((folder / "_delta_log").glob("*.json"), reverse=True)[:commits]:
            for line in file.read_text().splitlines():
                if '"metaData"' in line:
                    return dict(json.loads(line)["metaData"])
    return {}
