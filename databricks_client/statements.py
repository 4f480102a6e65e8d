"""SQL of the swap and of what it restores: pure text, so that a plan shows exactly what will run."""

from __future__ import annotations

from collections.abc import Mapping

from databricks_client.quoting import literal, quote, quote_table


def rename_table(old: str, new: str) -> str:
    """Renames a table within its catalog; both names three-level."""
    return f"ALTER TABLE {quote_table(old)} RENAME TO {quote_table(new)}"


def view_query(over: str) -> str:
    """The query of a view that serves table `over` unchanged."""
    return f"SELECT * FROM {quote_table(over)}"


def create_view(name: str, over: str, comment: str | None = None) -> str:
    """Creates view `name` that serves `over`; fails where the name is taken."""
    said = f" COMMENT {literal(comment)}" if comment is not None else ""
    return f"CREATE VIEW {quote_table(name)}{said} AS {view_query(over)}"


def alter_view(name: str, over: str) -> str:
    """Points view `name` at `over`, atomically, keeping its grants."""
    return f"ALTER VIEW {quote_table(name)} AS {view_query(over)}"


def drop_view(name: str) -> str:
    """Drops a view; refused by the platform where `name` is a table."""
    return f"DROP VIEW {quote_table(name)}"


def set_comment(name: str, comment: str | None) -> str:
    """Sets or (None) removes the comment of a table or view."""
    return f"COMMENT ON TABLE {quote_table(name)} IS {'NULL' if comment is None else literal(comment)}"


def set_tags(name: str, tags: Mapping[str, str], kind: str = "TABLE") -> str:
    """Sets tags of a table or view (`kind` is TABLE or VIEW)."""
    if kind not in ("TABLE", "VIEW"):
        raise ValueError(f"{kind!r} is neither TABLE nor VIEW")
    if not tags:
        raise ValueError("no tags to set")
    pairs = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in sorted(tags.items()))
    return f"ALTER {kind} {quote_table(name)} SET TAGS ({pairs})"


def grant(name: str, privilege: str, principal: str) -> str:
    """What an administrator runs to give one privilege on a table; shown where the panel finds it missing."""
    return f"GRANT {privilege.replace('_', ' ')} ON TABLE {quote_table(name)} TO {quote(principal)}"


def grant_on(kind: str, full_name: str, privilege: str, principal: str) -> str:
    """The same for a CATALOG or SCHEMA, whose names have one or two levels."""
    if kind not in ("CATALOG", "SCHEMA"):
        raise ValueError(f"{kind!r} is neither CATALOG nor SCHEMA")
    name = ".".join(quote(part) for part in full_name.split("."))
    return f"GRANT {privilege} ON {kind} {name} TO {quote(principal)}"
