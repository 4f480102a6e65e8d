"""Permissions: every right of `app.config.permissions` that the acting principal needs, held or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import groupby

from app.config.permissions import APP, Needed, needed
from app.doctor.checks import system
from app.doctor.model import Finding, missing, ok, unknown
from app.doctor.setup import ANSWERS, Setup, permission_command
from databricks_client.errors import WorkspaceError
from databricks_client.held import Held, privilege_name
from databricks_client.managed import Managed, may_manage

PARALLEL = 8
BY_TABLE = {"SELECT": ("baseline", "candidate"), "MANAGE": ("baseline",)}
"""Rights that may be held on each of these tables in place of their schema."""


def find(setup: Setup) -> Iterator[Finding]:
    """One finding for what is held on a thing, and one for each right that is not."""
    mine = sorted((n for n in needed(setup.migration) if n.who == APP and n.kind), key=lambda n: (n.kind, n.name))
    groups = [list(g) for _, g in groupby(mine, key=lambda n: (n.kind, n.name))]
    held = Held(setup.workspace.rest, setup.workspace.identity)
    with ThreadPoolExecutor(PARALLEL) as pool:
        # With the context: calls are limited by it.
        for found in pool.map(lambda g: copy_context().run(_of, setup, held, g), groups):
            yield from found


def _of(setup: Setup, held: Held, rights: Sequence[Needed]) -> list[Finding]:
    kind = rights[0].kind
    if kind in ("job", "pipeline"):
        return _of_object(setup, rights[0])
    if kind == "warehouse":
        return [_of_warehouse(setup, rights[0])]
    if kind == "metastore":
        return [_sight(setup, rights[0], held.blind_to_shares())]
    return _of_securable(setup, held, rights)


def _of_object(setup: Setup, right: Needed) -> list[Finding]:
    """CAN_MANAGE on a job or pipeline; nothing where there is none, which its own check says."""
    try:
        of_job = right.kind == "job"
        id = str(setup.job(right.name).job_id) if of_job else setup.pipeline(right.name).pipeline_id
    except WorkspaceError:
        return []
    kind: Managed = "jobs" if of_job else "pipelines"
    try:
        if may_manage(setup.workspace.rest, kind, id):
            return [ok(right.on, "CAN_MANAGE")]
    except WorkspaceError as e:
        return [unknown(right.on, str(e), required=right.required)]
    fix = permission_command(kind, id, setup.principal(), "CAN_MANAGE")
    return [missing(right.on, f"{setup.principal()} has no CAN_MANAGE on it: {right.why}", fix, right.required)]


def _of_warehouse(setup: Setup, right: Needed) -> Finding:
    """An answered query proves CAN_USE; so do permissions that are shown, where none may be sent."""
    id = setup.workspace.endpoint.warehouse_id
    try:
        if setup.sql() == ANSWERS:
            return ok(right.on, "CAN_USE")
        if may_manage(setup.workspace.rest, "warehouses", id):
            return ok(right.on, "CAN_MANAGE")
    except WorkspaceError as e:
        if e.denied:
            fix = permission_command("warehouses", id, setup.principal(), "CAN_USE")
            return missing(right.on, f"{setup.principal()} has no CAN_USE on it: {right.why}", fix)
        return unknown(right.on, str(e))
    return unknown(right.on, f"CAN_USE shows in a query, and {setup.sql()}", "cutover doctor --start-warehouse")


def _of_securable(setup: Setup, held: Held, rights: Sequence[Needed]) -> list[Finding]:
    kind, name = rights[0].kind, rights[0].name
    on = rights[0].on
    required = any(r.required for r in rights)
    if name.partition(".")[0] == "system" and system.answers(setup, name):
        return [ok(on, "its tables answer")]
    owner, privileges = None, frozenset[str]()
    try:
        owner = held.owner(kind, name)
    except WorkspaceError as e:
        if e.status == 404:
            return []  # The check of catalogs and schemas, or of system tables, says so.
        if not e.denied:
            return [unknown(on, str(e), required=required)]
    try:
        privileges = held.own(kind, name)
    except WorkspaceError as e:
        if not e.denied:
            return [unknown(on, str(e), required=required)]
    if owner is not None and owner in held.holders():
        return [ok(on, f"owned by {owner}")]
    found: list[Finding] = []
    lacking = [r for r in rights if not _has(privileges, r.right)]
    for right in lacking:
        if right.right == "READ METADATA":
            found.append(_sight(setup, right, held.blind_to_policies(name)))
            continue
        without = _tables_without(setup, held, right)
        if without == []:
            continue
        where = f"; nor on table {without[0]}" if without else ""
        seen = f"{setup.principal()} has no {right.right} on it{where}: {right.why}"
        found.append(missing(on, seen, right.given_to(setup.principal()), right.required))
    shown = [r.right for r in rights if r not in lacking]
    if shown:
        found.insert(0, ok(on, ", ".join(shown)))
    return found


def _has(privileges: frozenset[str], right: str) -> bool:
    """ALL PRIVILEGES has every right but MANAGE; MANAGE shows metadata."""
    wanted = privilege_name(right)
    if wanted in privileges or (wanted == "READ_METADATA" and "MANAGE" in privileges):
        return True
    return "ALL_PRIVILEGES" in privileges and wanted != "MANAGE"


def _tables_without(setup: Setup, held: Held, right: Needed) -> list[str] | None:
    """Of the tables on each of which the right does as well as on their schema, those that lack it; None where it does
    not, or that cannot be read."""
    sides = BY_TABLE.get(right.right, ())
    tables = setup.migration.tables
    names = [n for t in tables for s in sides if (n := getattr(t, s)).rsplit(".", 1)[0] == right.name]
    if not names or right.kind != "schema":
        return None
    holders = held.holders()
    without = []
    for name in names:
        try:
            if held.owner("table", name) in holders or _has(held.own("table", name), right.right):
                continue
        except WorkspaceError as e:
            if not (e.denied or e.status == 404):
                return None
        without.append(name)
    return without


def _sight(setup: Setup, right: Needed, blind: str) -> Finding:
    if not blind:
        return ok(right.on, f"{right.right}, or what stands for it")
    if "is unknown" in blind:
        return unknown(right.on, blind, required=False)
    fix = right.given_to(setup.principal())
    return missing(right.on, f"{setup.principal()} has no {right.right}: {right.why}", fix, required=False)
