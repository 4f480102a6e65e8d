"""The state of a side: what identifies its data now, so that a change while reading, or since a report, is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from databricks_client.names import folded
from validation.errors import StatementError
from validation.history import as_time, newest
from validation.report import SideState, TableWrite
from validation.schema import TableSchema, schema_at
from validation.sqltext import quote_table, split_name
from validation.warehouse import Warehouse, never

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED"})
"""States of an update that writes no more."""

_UNITS = ("", "K", "M", "G", "T")
_PLANNED = re.compile(r"Statistics\(sizeInBytes=([\d.]+) ([KMGTPE]?)i?B[,)]")


@dataclass(frozen=True)
class TableUpdate:
    """A pipeline's update, as the one that last wrote a table. state: the service's word.

    written_at: when it wrote that table (`updates.written_at`); None where it is not known, or it did not write it.
    """

    update_id: str
    state: str
    written_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether it writes no more."""
        return self.state in ENDED

    @property
    def version(self) -> str:
        """What identifies the data of a table that this update wrote.

        A failed update is distinguished from a completed one: each table commits by itself, so either may have been
        rewritten, and by unlike parts of the update.
        """
        return f"update:{self.update_id}" + ("" if self.state == "COMPLETED" else f" ({self.state.lower()})")


UpdateOf = Callable[[str], TableUpdate | None]
"""Table name to the newest update, in whatever state, of the pipeline that owns it; validate-only updates left out.

None: no pipeline's table, or one that was never updated. Raises SideUnreadable where it is unknown.
"""


def read_state(
    warehouse: Warehouse,
    name: str,
    schema: TableSchema,
    pinned: int | None,
    update_of: UpdateOf | None,
    cancelled: Callable[[], bool] = never,
) -> SideState:
    """The state of one side; `version_before` holds what identifies its data, None where nothing does."""
    state = SideState(
        name=name,
        table_type=schema.table_type,
        bytes=schema.bytes,
        pinned=pinned is not None,
        hidden=" and ".join(schema.hidden) or None,
    )
    if pinned is not None:
        found = newest(warehouse, name, cancelled, pinned)
        return replace(
            state,
            version_before=f"delta:{pinned}",
            version_after=f"delta:{pinned}",
            last_write=None if found is None else found.at,
            written=None if found is None else found.written,
            produced_by=None if found is None or found.written is None else found.written.run,
        )
    is_view = "VIEW" in schema.table_type
    update = update_of(name) if update_of is not None else None
    if not is_view and not schema.temporary and schema.provider in {"delta", ""}:
        found = newest(warehouse, name, cancelled)
        if found is not None:
            size = _bytes(warehouse, name, cancelled)
            return replace(
                state,
                version_before=f"delta:{found.version}",
                last_write=found.at,
                written=found.written,
                produced_by=_produced_by(found.written, update),
                bytes=state.bytes if size is None else size,
            )
    if update is not None:
        return replace(
            state,
            version_before=update.version,
            last_write=update.written_at,
            produced_by=f"update {update.update_id}",
            writer=None if update.ended else f"update {update.update_id}, {update.state.lower()}",
        )
    if schema.refreshed:
        return replace(state, version_before=f"refreshed:{schema.refreshed}")
    if schema.table_type == "MATERIALIZED_VIEW":
        altered = _last_altered(warehouse, name, cancelled)
        if altered is not None:
            return replace(state, version_before=f"altered:{altered.isoformat()}", last_write=altered)
    if schema.definition:
        return replace(state, version_before=f"definition:{schema.definition}")
    return state


def identifies_data(version: str | None) -> bool:
    """Whether equal versions mean equal data.

    A view's definition alone does not: its sources may change. Nor does the time of the last change of a materialized
    view's definition. A change of either still is a sign that the data changed.
    """
    return version is not None and not version.startswith(("definition:", "altered:"))


def delta_version(state: SideState) -> int | None:
    """The Delta version that identifies the data of a side, None where something else does."""
    version = state.version_before or ""
    return int(version.removeprefix("delta:")) if version.startswith("delta:") else None


def pin(
    warehouse: Warehouse, schema: TableSchema, state: SideState, cancelled: Callable[[], bool] = never
) -> tuple[TableSchema, SideState]:
    """A side tied to the Delta version that it has, with the columns of that version: what is written later is no
    matter then. Unchanged where it has no Delta version or the service does not read one of this table."""
    version = delta_version(state)
    if version is None or state.pinned:
        return schema, state
    try:
        return schema_at(warehouse, state.name, schema, version, cancelled), replace(state, pinned=True)
    except StatementError:
        return schema, state


def _produced_by(written: TableWrite | None, update: TableUpdate | None) -> str | None:
    """The run that a Delta table's history names, else the newest update of its pipeline unless the write is later."""
    if written is not None and written.run is not None:
        return written.run
    if update is None:
        return None
    later = written and written.at and update.written_at and written.at > update.written_at
    return None if later else f"update {update.update_id}"


def _bytes(warehouse: Warehouse, name: str, cancelled: Callable[[], bool]) -> int | None:
    try:
        rows = warehouse.execute(f"DESCRIBE DETAIL {quote_table(name)}", None, cancelled)
    except StatementError:
        return None
    size = rows[0].get("sizeInBytes") if rows else None
    return None if size is None else int(size)


def planned_bytes(warehouse: Warehouse, name: str, cancelled: Callable[[], bool] = never) -> int | None:
    """What the optimizer takes for the bytes of a view or of another object without a size: a hint, from a plan
    that is not run. None where it gives none, or one beyond all sense, as the 8 EiB that stand for an unknown one.
    """
    try:
        rows = warehouse.execute(f"EXPLAIN COST SELECT * FROM {quote_table(name)}", None, cancelled)
    except StatementError:
        return None
    found = _PLANNED.search(str(next(iter(rows[0].values()), "")) if rows else "")
    if found is None or found.group(2) not in _UNITS:
        return None
    return int(float(found.group(1)) * 1024 ** _UNITS.index(found.group(2)))


def _last_altered(warehouse: Warehouse, name: str, cancelled: Callable[[], bool]) -> datetime | None:
    parts = split_name(name)
    if len(parts) != 3:
        return None
    try:
        rows = warehouse.execute(
            f"SELECT last_altered FROM {quote_table(f'`{parts[0]}`.information_schema.tables')} "
            "WHERE table_schema = :schema AND table_name = :table",
            {"schema": folded(parts[1]), "table": folded(parts[2])},
            cancelled,
        )
    except StatementError:
        return None
    return as_time(rows[0]["last_altered"]) if rows else None
