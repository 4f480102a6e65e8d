"""The side that serves a table's public name now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.config.migration import Table
from app.store.collected.records import TableRecord


@dataclass(frozen=True)
class Serving:
    """side: `baseline`, `candidate` or `unknown`; how: how that side serves it, in words."""

    table: str
    side: str
    how: str
    as_of: datetime | None


def serving_side(table: Table, records: Mapping[str, TableRecord]) -> Serving:
    """The side that consumers of `table` read, from the newest collected state of its names."""
    public, candidate, kept = (records.get(n) for n in (table.baseline, table.candidate, table.kept))
    if public is None:
        return Serving(table.name, "unknown", "not collected yet", None)
    if not public.exists:
        return Serving(
            table.name, "unknown", f"{table.baseline} does not exist: consumers cannot read it", public.as_of
        )
    if public.table_type == "VIEW":
        if public.serves == table.candidate:
            return Serving(table.name, "candidate", f"a view over {table.candidate}", public.as_of)
        if public.serves == table.kept:
            return Serving(table.name, "baseline", f"a view over {table.kept}", public.as_of)
        return Serving(table.name, "unknown", "a view over something else", public.as_of)
    if kept is not None and kept.exists and candidate is not None and not candidate.exists:
        return Serving(table.name, "candidate", f"renamed from {table.candidate}", public.as_of)
    return Serving(table.name, "baseline", "the old job's own table", public.as_of)
