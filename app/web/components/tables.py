"""Tables with typed columns and units, and their export as CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from app.moments import in_zone
from app.web.components.opening import OPENS, on_click, put
from app.web.components.text import literal
from validation.spreadsheet import csv_line

ColumnKind = Literal["text", "number", "time", "seconds", "usd", "dbu", "percent", "link", "ratio", "open", "page"]

SHOWN = 500
"""Largest number of rows drawn; the export has all."""

FULL = 20
"""Largest number of rows of a table that does not scroll."""


@dataclass(frozen=True)
class Column:
    """One column: `key` in each row, `label` with its unit, and how to draw it. width: a size by name, or in pixels.

    A cell of kind `link` is an address, shown as `link_text`. A cell of kind `open` is an id: a click puts it into the
    page's address under the column's `key`, or calls `opens` with it. A cell of kind `page` is an id as well: it links
    to another page of the panel, at `address` followed by the id.
    """

    key: str
    label: str
    kind: ColumnKind = "text"
    width: Literal["small", "medium", "large"] | int | None = None
    help: str | None = None
    pinned: bool = False
    link_text: str = "open"
    opens: Callable[[str], None] | None = None
    address: str = ""


def csv_text(value: object) -> str | None:
    """A value as text for CSV: times in ISO-8601 with their zone, None for an empty field."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return str(value)


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """The rows as CSV, headed by the columns' labels."""
    lines = [csv_line(c.label for c in columns)]
    lines += (csv_line(csv_text(row.get(c.key)) for c in columns) for row in rows)
    return "".join(lines)


def _config(column: Column, zone: ZoneInfo, key: str) -> Any:
    common: dict[str, Any] = {"label": column.label, "help": column.help, "pinned": column.pinned or None}
    if column.width:
        common["width"] = column.width
    match column.kind:
        case "time":
            return st.column_config.DatetimeColumn(**common, timezone=zone.key, format="YYYY-MM-DD HH:mm:ss z")
        case "number":
            return st.column_config.NumberColumn(**common, format="localized")
        case "seconds":
            return st.column_config.NumberColumn(**common, format="%.2f")
        case "usd":
            return st.column_config.NumberColumn(**common, format="%.4f")
        case "dbu":
            return st.column_config.NumberColumn(**common, format="%.3f")
        case "ratio":
            return st.column_config.NumberColumn(**common, format="%.2f×")
        case "percent":
            return st.column_config.NumberColumn(**common, format="percent")
        case "link":
            return st.column_config.LinkColumn(**common, display_text=column.link_text)
        case "page":
            return st.column_config.LinkColumn(**common, display_text=f"{re.escape(column.address)}(.*)")
        case "open":
            click = f"{key}_{column.key}_click"
            clicked = on_click(click, column.opens or partial(put, column.key))
            return st.column_config.ButtonColumn(
                **common, type="tertiary", alignment="left", key=click, on_click=clicked
            )
        case "text":
            return st.column_config.TextColumn(**common)


_NUMERIC = ("number", "seconds", "usd", "dbu", "percent", "ratio")


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], zone: ZoneInfo) -> pd.DataFrame:
    """The rows as a typed frame: an empty column keeps its type, and pandas infers no type from text.

    The times inside texts are in `zone`, as those of time columns are.
    """
    series: dict[str, pd.Series[Any]] = {}
    for column in columns:
        values = [row.get(column.key) for row in rows]
        if column.kind == "time":
            series[column.key] = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
        elif column.kind in _NUMERIC:
            series[column.key] = pd.to_numeric(pd.Series(values, dtype="object"), errors="coerce")
        elif column.kind == "text":
            texts = {v: in_zone(v, zone) for v in {str(v) for v in values if v is not None}}
            series[column.key] = pd.Series([None if v is None else texts[str(v)] for v in values], dtype="object")
        elif column.kind == "page":
            series[column.key] = pd.Series(
                [None if v is None else column.address + quote(str(v), safe="") for v in values], dtype="object"
            )
        else:
            mark = OPENS if column.kind == "open" else ""
            series[column.key] = pd.Series([None if v is None else f"{v}{mark}" for v in values], dtype="object")
    return pd.DataFrame(series, columns=[c.key for c in columns])


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    key: str,
    zone: ZoneInfo,
    empty: str,
    name: str,
    export: Callable[[], str] | None = None,
) -> None:
    """Draws the rows, and a button below that exports them as `name`.csv.

    empty: text where there are no rows. export: makes a CSV of more than `rows`, on demand.
    """
    if not rows:
        st.caption(literal(empty))
        return
    drawn = rows[:SHOWN]
    arguments: dict[str, Any] = {
        "hide_index": True,
        "column_config": {c.key: _config(c, zone, key) for c in columns},
        "placeholder": "–",
        "width": "stretch",
        "key": key,
    }
    arguments["height"] = "content" if len(drawn) <= FULL else 440
    st.dataframe(frame(drawn, columns, zone), **arguments)
    with st.container(horizontal=True, vertical_alignment="center"):
        csv_button("CSV", export or (lambda: to_csv(rows, columns)), key=f"{key}_csv", name=name)
        if len(rows) > SHOWN:
            st.caption(f"First {SHOWN:,} of {len(rows):,} rows; the CSV has all.")


def csv_button(label: str, export: Callable[[], str], *, key: str, name: str) -> None:
    """Draws a button that saves `name`.csv. export: makes the CSV when it is clicked."""
    st.download_button(
        label,
        data=export,
        file_name=f"{name}.csv",
        mime="text/csv",
        key=key,
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
        help="All rows, times in ISO-8601 with their zone",
    )
