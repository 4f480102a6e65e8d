"""System tables: whether each that is read is enabled and answers."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.model import Finding, missing, ok, unknown
from app.doctor.setup import ANSWERS, Setup
from databricks_client.errors import WorkspaceError
from databricks_client.held import UC
from databricks_client.quoting import quote_table
from databricks_client.statements import grant_on

TABLES = {
    "system.billing.usage": "run costs",
    "system.billing.list_prices": "run costs in USD",
    "system.lakeflow.pipeline_update_timeline": "which run started an update",
    "system.access.table_lineage": "who reads the tables",
    "system.query.history": "who uses time travel, streams or writes; anchors of the audit log",
}
"""Every system table that the panel reads, to what stops without it. None of them is needed for a cutover."""


def find(setup: Setup) -> Iterator[Finding]:
    """Each table by REST, and by a query where the warehouse answers."""
    try:
        answers = setup.sql()
    except WorkspaceError as e:
        answers = e.cause
    for name, why in TABLES.items():
        yield _by_query(setup, name, why) if answers == ANSWERS else _by_rest(setup, name, why, answers)


def answers(setup: Setup, place: str) -> bool:
    """Whether each table in the catalog or schema answered a query of this run, which proves every right on it."""
    try:
        if setup.sql() != ANSWERS:
            return False
        for name in (n for n in TABLES if n.startswith(f"{place}.")):
            _read(setup, name)
    except WorkspaceError:
        return False
    return True


def _read(setup: Setup, name: str) -> None:
    def query() -> int:
        text = f"SELECT 1 AS one FROM {quote_table(name)} LIMIT 1"
        return len(setup.workspace.sql.query(text, what=f"read {name}"))

    setup.once(("system table", name), query)


def _by_query(setup: Setup, name: str, why: str) -> Finding:
    try:
        _read(setup, name)
    except WorkspaceError as e:
        schema = name.rsplit(".", 1)[0]
        if e.denied:
            return _denied(setup, name, why)
        if e.not_found or e.error_code in ("SCHEMA_NOT_FOUND", "NO_SUCH_CATALOG_EXCEPTION"):
            return missing(name, f"schema {schema} is not enabled: {why}", _enable(setup, schema), required=False)
        return unknown(name, str(e), required=False)
    return ok(name, "it answers")


def _by_rest(setup: Setup, name: str, why: str, answers: str) -> Finding:
    schema = name.rsplit(".", 1)[0]
    try:
        found = setup.workspace.tables.state(name)
    except WorkspaceError as e:
        return _denied(setup, name, why) if e.denied else unknown(name, str(e), required=False)
    if not found.exists:
        return missing(
            name, f"schema {schema} is not enabled, or {setup.principal()} may not see it: {why}",
            f"{_enable(setup, schema)}; {_grants(setup, schema)}", required=False,
        )  # fmt: skip
    return unknown(name, f"it exists; no query was sent: {answers}", "cutover doctor --start-warehouse", required=False)


def _denied(setup: Setup, name: str, why: str) -> Finding:
    schema = name.rsplit(".", 1)[0]
    return missing(name, f"{setup.principal()} may not read it: {why}", _grants(setup, schema), required=False)


def _grants(setup: Setup, schema: str) -> str:
    who = setup.principal()
    return "; ".join(
        [
            grant_on("CATALOG", "system", "USE CATALOG", who),
            grant_on("SCHEMA", schema, "USE SCHEMA", who),
            grant_on("SCHEMA", schema, "SELECT", who),
        ]
    )


def _enable(setup: Setup, schema: str) -> str:
    """The command of an account administrator that enables a system schema."""

    def metastore() -> str:
        return setup.workspace.rest.get("read the metastore", f"{UC}/metastore_summary").name("metastore_id")

    try:
        id = setup.once("metastore", metastore)
    except WorkspaceError:
        id = "METASTORE_ID"
    return f"databricks system-schemas enable {id} {schema.split('.')[1]}"
