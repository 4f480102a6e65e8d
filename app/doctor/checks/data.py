"""Catalogs, schemas and tables of the migration: whether each can be seen, with the columns that the file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar
from urllib.parse import quote as url_quote

from app.config.migration import Migration, Table
from app.doctor.model import Finding, ok, unknown, warning
from app.doctor.model import missing as absent
from app.doctor.setup import Setup
from databricks_client.errors import WorkspaceError
from databricks_client.held import UC
from databricks_client.names import all_folded, folded
from databricks_client.quoting import quote
from databricks_client.statements import grant_on
from databricks_client.tables import TableState

PARALLEL = 8
T = TypeVar("T")


def find(setup: Setup) -> Iterator[Finding]:
    """Catalogs, then schemas, then tables; what lies in something that cannot be seen is not looked at."""
    seen: set[str] = set()
    for name, required in places(setup.migration).items():
        catalog = name.partition(".")[0]
        if "." in name and catalog not in seen:
            continue
        found = _place(setup, name, required)
        if found.state is found.state.OK:
            seen.add(name)
        yield found
    names = [(n, t, side) for t in setup.migration.tables for side, n in _sides(t) if n.rsplit(".", 1)[0] in seen]
    with ThreadPoolExecutor(PARALLEL) as pool:
        calls = [pool.submit(copy_context().run, _state, setup, n) for n, _, _ in names]
        for (name, table, side), call in zip(names, calls, strict=True):
            yield _table(setup, name, table, side, call.result)


def places(migration: Migration) -> dict[str, bool]:
    """Catalogs and schemas of the tables, and the scratch schema, to whether a cutover needs them."""
    found: dict[str, bool] = {}
    for table in migration.tables:
        for side, name in _sides(table):
            schema = name.rsplit(".", 1)[0]
            for place in (schema.split(".")[0], schema):
                found[place] = found.get(place, False) or side != "development"
    for place in (migration.rehearsal_schema.split(".")[0], migration.rehearsal_schema):
        found[place] = True
    return dict(sorted(found.items(), key=lambda kv: kv[0].count(".")))


def _sides(table: Table) -> Iterator[tuple[str, str]]:
    yield "baseline", table.baseline
    yield "candidate", table.candidate
    if table.development:
        yield "development", table.development


def _place(setup: Setup, name: str, required: bool) -> Finding:
    kind = "schema" if "." in name else "catalog"
    what = f"read {kind} {name}"
    path = f"{UC}/{'schemas' if kind == 'schema' else 'catalogs'}/{url_quote(name, safe='')}"
    subject = f"{kind} {name}"
    try:
        setup.workspace.rest.get(what, path)
    except WorkspaceError as e:
        use = grant_on(kind.upper(), name, f"USE {kind.upper()}", setup.principal())
        if e.denied:
            return absent(subject, f"{setup.principal()} may not see it", use, required)
        if e.status == 404:
            quoted = ".".join(quote(p) for p in name.split("."))
            return absent(subject, "it does not exist", f"CREATE {kind.upper()} IF NOT EXISTS {quoted}", required)
        return unknown(subject, str(e), required=required)
    return ok(subject, "it exists")


def _state(setup: Setup, name: str) -> TableState:
    return setup.workspace.tables.state(name)


def _table(setup: Setup, name: str, table: Table, side: str, read: Callable[[], TableState]) -> Finding:
    subject = f"table {name}"
    try:
        state = read()
    except WorkspaceError as e:
        if e.denied:
            schema = name.rsplit(".", 1)[0]
            fix = grant_on("SCHEMA", schema, "SELECT", setup.principal())
            return absent(subject, f"{setup.principal()} may not see it", fix, side != "development")
        return unknown(subject, str(e), required=side != "development")
    if not state.exists:
        return _no_table(setup, subject, table, side)
    known = all_folded(c.name for c in state.columns)
    if side == "baseline" and known:
        for part in ("key", "watermark", "sensitive", "exclude"):
            lacking = [c for c in getattr(table, part) if folded(c) not in known]
            if lacking:
                fix = f"{setup.settings.migration_path}: tables: {table.name}: {part}: without {lacking[0]!r}"
                return absent(
                    subject, f"it has no column {lacking[0]!r}, which the migration file names as {part}", fix
                )
    return ok(subject, f"{(state.table_type or 'a table').replace('_', ' ')}, {len(state.columns)} columns")


def _no_table(setup: Setup, subject: str, table: Table, side: str) -> Finding:
    if side == "baseline":
        fix = f"{setup.settings.migration_path}: tables: {table.name}: baseline: the table's name in the workspace"
        return absent(subject, "it does not exist", fix)
    environment = "production" if side == "candidate" else "development"
    if environment not in {p.environment for p in setup.migration.pipelines}:
        return warning(subject, "it does not exist, and neither does a pipeline that writes it")
    return warning(subject, "no update has written it yet", f"cutover start-update {environment}")
