"""What a comparison would read and how long it may take, from what earlier ones and the collector found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.collected.records import TableRecord
from app.store.collected.repository import CollectedRepository
from app.store.parity import ParityRepository


@dataclass(frozen=True)
class Expected:
    """Of both sides of all `tables` together. bytes: size of the files, as the newest reports have it.

    unknown_*: tables of which rows, bytes or seconds are not known, so that the true figure is greater.
    """

    tables: tuple[str, ...]
    rows: int
    bytes: int
    seconds: float
    unknown_rows: tuple[str, ...] = ()
    unknown_bytes: tuple[str, ...] = ()
    unknown_seconds: tuple[str, ...] = ()


def expected(
    parity: ParityRepository, collected: CollectedRepository, tables: Sequence[str], sides: str = "production"
) -> Expected:
    """What comparing these tables would take. Raises StoreError."""
    newest = parity.latest(sides)
    counted = {(r.table, r.side): r for r in collected.tables().values()}
    other = "candidate" if sides == "production" else "development"
    rows, size, seconds = 0, 0, 0.0
    no_rows, no_size, no_seconds = [], [], []
    for table in tables:
        result = newest.get(table)
        report = (parity.report(result.parity_id, table) or {}) if result else {}
        both = [_rows(counted.get((table, side))) for side in ("baseline", other)]
        if result and None not in (result.baseline_rows, result.candidate_rows):
            both = [result.baseline_rows, result.candidate_rows]
        rows += sum(n or 0 for n in both)
        no_rows += [table] if None in both else []
        sizes = [(report.get(side) or {}).get("bytes") for side in ("baseline", "candidate")]
        size += sum(n or 0 for n in sizes)
        no_size += [table] if None in sizes else []
        seconds += (result.seconds or 0.0) if result else 0.0
        no_seconds += [] if result and result.seconds else [table]
    return Expected(tuple(tables), rows, size, seconds, tuple(no_rows), tuple(no_size), tuple(no_seconds))


def _rows(record: TableRecord | None) -> int | None:
    return None if record is None or not record.exists else record.rows
