"""Quoting: the one place where a name becomes part of SQL text."""

from __future__ import annotations


def quote(name: str, *, may_be_empty: bool = False) -> str:
    """One identifier (column, principal, part of a table's name) in backticks, backticks inside doubled.

    may_be_empty: a view may have a column without a name. Raises ValueError for what cannot be an identifier.
    """
    if not (name or may_be_empty) or "\0" in name:
        raise ValueError(f"{name!r} is not an identifier")
    return "`" + name.replace("`", "``") + "`"


def quote_table(full_name: str) -> str:
    """A three-level name, each part quoted. Parts hold no dots (Unity Catalog allows none in names)."""
    parts = full_name.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{full_name!r} is not a three-level name (catalog.schema.table)")
    return ".".join(quote(p) for p in parts)


def split_table(full_name: str) -> tuple[str, str, str]:
    """Catalog, schema and table of a three-level name."""
    parts = full_name.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{full_name!r} is not a three-level name (catalog.schema.table)")
    return parts[0], parts[1], parts[2]


def literal(text: str) -> str:
    """A string literal, for the few statements (DDL) whose grammar takes no bound value."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
