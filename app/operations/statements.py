"""SQL of the swap and of rehearsals: pure text, identifiers quoted, values as literals."""

from __future__ import annotations

from collections.abc import Mapping

from databricks_client.quoting import literal, quote_table


def rename_table(old: str, new: str) -> str:
    """Renames a table within its catalog; both names three-level."""
    return f"ALTER TABLE {quote_table(old)} RENAME TO {quote_table(new)}"


def rename_view(old: str, new: str) -> str:
    """Renames a view within its catalog; its definition, owner, grants, comment and tags stay with it."""
    return f"ALTER VIEW {quote_table(old)} RENAME TO {quote_table(new)}"


def view_query(over: str) -> str:
    """The query of a view that serves table `over` unchanged."""
    return f"SELECT * FROM {quote_table(over)}"


def sample_query(relation: str) -> str:
    """The query that shows that a name can be read in all its columns."""
    return f"{view_query(relation)} LIMIT 1"


def create_view(name: str, over: str, comment: str | None = None) -> str:
    """Creates view `name` that serves `over` with all columns that it will ever have; fails where the name is taken.

    Without schema evolution a view keeps the columns that `*` stood for when it was created.
    """
    said = f" COMMENT {literal(comment)}" if comment is not None else ""
    return f"CREATE VIEW {quote_table(name)} WITH SCHEMA EVOLUTION{said} AS {view_query(over)}"


def alter_view(name: str, over: str) -> str:
    """Points view `name` at `over`, atomically, keeping its grants."""
    return f"ALTER VIEW {quote_table(name)} AS {view_query(over)}"


def follow_columns(name: str) -> str:
    """Has view `name` take over columns that are added to what it serves."""
    return f"ALTER VIEW {quote_table(name)} WITH SCHEMA EVOLUTION"


def drop_view(name: str) -> str:
    """Drops a view; refused by the platform where `name` is a table."""
    return f"DROP VIEW {quote_table(name)}"


def drop_table(name: str) -> str:
    """Drops a table; refused by the platform where `name` is a view."""
    return f"DROP TABLE {quote_table(name)}"


def copy_table(source: str, target: str, rows: int | None) -> str:
    """Creates table `target` with rows of `source`: at most `rows`, or all (None)."""
    limit = "" if rows is None else f" LIMIT {int(rows)}"
    return f"CREATE TABLE {quote_table(target)} AS {view_query(source)}{limit}"


def set_view_tags(name: str, tags: Mapping[str, str]) -> str:
    """Sets tags of a view. Raises ValueError for no tags."""
    if not tags:
        raise ValueError("no tags to set")
    pairs = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in sorted(tags.items()))
    return f"ALTER VIEW {quote_table(name)} SET TAGS ({pairs})"
