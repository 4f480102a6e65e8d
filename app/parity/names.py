"""Where the old and the new table of a pair are now: a cutover keeps the old one under another name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from app.config.base import ConfigError
from app.config.migration import Table

if TYPE_CHECKING:
    from databricks_client.tables import Tables

KeptIs = Callable[[Table, str | None, str | None], Literal["old", "backup", "unknown"]]
"""What the kept name of a table holds, from the last cutover and the ids of the tables that have the served and the
kept name now: the `old` table, or a `backup` while the old table has its own name. Raises StoreError."""


def names_now(tables: Tables, table: Table, kept_is: KeptIs) -> tuple[str, str]:
    """Names of the old and the new table now.

    Raises WorkspaceError; StoreError; ConfigError where both names are tables and the last cutover does not show
    whether they were renamed or one is a backup: the wrong pair could be found identical.
    """
    if not tables.exists(table.kept):
        return table.baseline, table.candidate
    served = tables.state(table.baseline)
    if served.is_view:
        return table.kept, table.candidate
    match kept_is(table, served.table_id, tables.state(table.kept).table_id):
        case "old":
            return table.kept, table.baseline
        case "backup":
            return table.baseline, table.candidate
    raise ConfigError(
        f"both {table.baseline} and {table.kept} are tables: which of them is the old one is unknown; "
        "rename what is only a backup, or roll back"
    )
