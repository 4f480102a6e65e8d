"""What the repositories of collected records share: upserts, queries in parts, bounds of time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, case, func, or_

R = TypeVar("R")

# Most values that one statement may bind on SQLite; larger lists are queried in parts.
_BOUND = 500


def upsert(
    c: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    keep: Collection[str] = (),
    once_true: Collection[str] = (),
    grow: Collection[str] = (),
    same: str | None = None,
) -> None:
    """Inserts rows, or replaces those of the same primary key.

    Columns in `keep` are not overwritten by None (if `same` is given: only while that column stays the same), those in
    `once_true` not by False, those in `grow` not by a smaller number.
    """
    if not rows:
        return
    # Only writing needs them, and importing them takes longer than most reads.
    from sqlalchemy.dialects import postgresql, sqlite

    insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    new = statement.excluded
    key = [col.name for col in table.primary_key.columns]
    values: dict[str, Any] = {}
    for col in table.columns:
        if col.name in keep:
            kept = func.coalesce(new[col.name], col)
            values[col.name] = kept if same is None else case((new[same] == table.c[same], kept), else_=new[col.name])
        elif col.name in grow:
            values[col.name] = case((new[col.name] > col, new[col.name]), else_=col)
        elif col.name in once_true:
            values[col.name] = or_(new[col.name], col)
        elif col.name not in key:
            values[col.name] = new[col.name]
    c.execute(statement.on_conflict_do_update(index_elements=key, set_=values), [dict(r) for r in rows])


def rows_of(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Records (dataclasses) as rows of their table."""
    return [{f.name: getattr(r, f.name) for f in fields(r)} for r in records]


def parts(values: list[R]) -> Iterator[list[R]]:
    """`values` in lists that one statement can bind."""
    for i in range(0, len(values), _BOUND):
        yield values[i : i + _BOUND]


def between(query: Select[Any], column: Any, since: datetime | None, until: datetime | None) -> Select[Any]:
    """`query` within [since, until) of a column; None is no bound."""
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    return query
