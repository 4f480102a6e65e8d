"""Output of commands: one JSON value, or tables and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from app.cli.context import context
from databricks_client.terminal import emit_json

if TYPE_CHECKING:
    from app.cli.terminal import Terminal


def plain(value: Any) -> Any:
    """Any value of ours as JSON-ready: moments as ISO-8601 in UTC, days as ISO-8601, dataclasses as objects."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def show(as_json: bool, value: Any, draw: Callable[[Terminal], None]) -> None:
    """Prints the result: `value` as JSON, or what `draw` draws."""
    if as_json:
        emit_json(plain(value))
    else:
        draw(context.out)


def rows(title: str, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> Callable[[Terminal], None]:
    """Draws a table."""

    def draw(console: Terminal) -> None:
        from rich.table import Table

        table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*("" if v is None else str(v) for v in line))
        console.print(table)

    return draw


def count(value: int | None) -> str:
    """A number for display; empty where it is unknown."""
    return "" if value is None else f"{value:,}"


def moment(value: datetime | None) -> str:
    """A moment for display, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if value else ""
