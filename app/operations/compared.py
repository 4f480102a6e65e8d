"""Whether the rows that were compared are those that are there: what identifies a relation's rows, as text.

`delta:12 2026-01-31T06:00:00+00:00` is a Delta version with the time of its commit; for what a pipeline wrote last see
`validation.state.TableUpdate.version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.store.parity import ParityRepository

PREFIX = "data of "
"""Evidence of which rows of a relation were compared is called this and the relation's name."""


def delta(version: int, committed: datetime) -> str:
    """A version of a Delta table."""
    return f"delta:{version} {committed.isoformat()}"


def of_report(report: Mapping[str, Any]) -> dict[str, str]:
    """Evidence from a stored report: which rows of each of its two relations were compared, where that is known."""
    found: dict[str, str] = {}
    for side in (report.get("baseline") or {}, report.get("candidate") or {}):
        version, written = side.get("version_before"), side.get("last_write")
        if not isinstance(version, str):
            continue
        if version.startswith("delta:") and written:
            found[PREFIX + side["name"]] = delta(int(version.removeprefix("delta:")), datetime.fromisoformat(written))
        elif version.startswith("update:"):
            found[PREFIX + side["name"]] = version
    return found


def of_store(parity: ParityRepository) -> dict[str, str]:
    """What the newest production comparison of each table gives: its id as `parity TABLE`, and `of_report`."""
    found: dict[str, str] = {}
    for table, result in parity.latest("production").items():
        found[f"parity {table}"] = result.parity_id
        found |= of_report(parity.report(result.parity_id, table) or {})
    return found


def same(then: str, now: str) -> bool:
    """Whether the rows `then` are those `now`. then: the newest version of any kind when they were compared; now: the
    newest version that changed rows.

    A version that changed rows before or at the compared one is no change since. The time decides too, because the
    versions of a table that was dropped and made anew begin again at 0.
    """
    if then.startswith("delta:") and now.startswith("delta:"):
        return all(n <= t for n, t in zip(_parsed(now), _parsed(then), strict=True))
    return then == now


def _parsed(text: str) -> tuple[Any, Any]:
    version, committed = text.removeprefix("delta:").split(" ", 1)
    return int(version), datetime.fromisoformat(committed)
