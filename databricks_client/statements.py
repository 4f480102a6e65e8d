"""SQL that an administrator runs to give what the panel finds missing."""

from __future__ import annotations

from databricks_client.quoting import quote, quote_table


def grant(name: str, privilege: str, principal: str) -> str:
    """What an administrator runs to give one privilege on a table; shown where the panel finds it missing."""
    return f"GRANT {privilege.replace('_', ' ')} ON TABLE {quote_table(name)} TO {quote(principal)}"


def grant_on(kind: str, full_name: str, privilege: str, principal: str) -> str:
    """The same for a CATALOG or SCHEMA, whose names have one or two levels."""
    if kind not in ("CATALOG", "SCHEMA"):
        raise ValueError(f"{kind!r} is neither CATALOG nor SCHEMA")
    name = ".".join(quote(part) for part in full_name.split("."))
    return f"GRANT {privilege} ON {kind} {name} TO {quote(principal)}"


def grant_on_metastore(privilege: str, principal: str) -> str:
    """The same for the metastore of the workspace."""
    return f"GRANT {privilege} ON METASTORE TO {quote(principal)}"
