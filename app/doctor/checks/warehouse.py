"""The SQL warehouse: whether it exists, may be used, runs, and stops by itself."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.model import Finding, missing, ok, unknown, warning
from app.doctor.setup import ANSWERS, Setup, permission_command
from databricks_client.errors import WorkspaceError

LIST = "databricks warehouses list"
GONE = ("DELETING", "DELETED")


def setting(setup: Setup) -> str:
    """The setting that names the warehouse, where this process has it from."""
    if setup.settings.in_databricks_apps:
        return "databricks bundle deploy -t prod --var warehouse_id=ID   # ID of `databricks warehouses list`"
    return f"export DATABRICKS_WAREHOUSE_ID=ID   # ID of `{LIST}`"


def find(setup: Setup) -> Iterator[Finding]:
    """What the warehouse is, and whether a query was answered."""
    id = setup.workspace.endpoint.warehouse_id
    subject = f"SQL warehouse {id}"
    try:
        found = setup.warehouse()
    except WorkspaceError as e:
        if e.denied:
            fix = permission_command("warehouses", id, setup.principal(), "CAN_USE")
            yield missing(subject, f"{setup.principal()} may not see it ({e.cause})", fix)
        elif e.status in (400, 404):
            yield missing(subject, f"it does not exist ({e.cause})", setting(setup))
        else:
            yield unknown(subject, str(e))
        return
    if found.state in GONE:
        yield missing(subject, f"{found.name} is {found.state}", setting(setup))
        return
    yield ok(subject, f"{found.name} is {found.state}" + (f", {found.kind}" if found.kind else ""))
    if found.auto_stop_minutes == 0:
        yield warning(
            "auto-stop", "it never stops by itself and costs day and night",
            f"in the workspace: SQL Warehouses > {found.name} > Edit > Auto stop: after 10 minutes",
        )  # fmt: skip
    elif found.auto_stop_minutes is not None:
        yield ok("auto-stop", f"after {found.auto_stop_minutes} minutes without a statement")
    yield _query(setup, id)


def _query(setup: Setup, id: str) -> Finding:
    try:
        answer = setup.sql()
    except WorkspaceError as e:
        if e.denied:
            fix = permission_command("warehouses", id, setup.principal(), "CAN_USE")
            return missing("a query", f"{setup.principal()} may not use it ({e.cause})", fix)
        return unknown("a query", str(e), f"databricks warehouses get {id}")
    if answer == ANSWERS:
        return ok("a query", "it was answered")
    return unknown("a query", answer, "cutover doctor --start-warehouse")
