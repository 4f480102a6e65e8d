"""Checks a store: schema, audit chain, what belongs to operations, plan hashes, and the database file itself."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, select

from app.operations.plan_hash import hash_of
from app.store.audit import AuditRepository
from app.store.backup import revision_problem, snapshot
from app.store.faults import in_a_line
from app.store.look import revision_of
from app.store.operations import approvals, journal, operations


def problems(engine: Engine) -> list[str]:
    """What is wrong with the store, a line each; none where it is intact. Raises StoreError where it cannot be read."""
    with snapshot(engine) as c:
        found = [in_a_line(line) for line in _of_database(c)]
        wrong = revision_problem(revision_of(c))
        if wrong:
            # Nothing more can be read.
            return [*found, wrong]
        found += [in_a_line(line) for line in (*_strays(c, journal), *_strays(c, approvals), *_plans(c))]
    chain = AuditRepository(engine).verify()
    return found if chain.whole else [*found, f"audit chain: {chain.reason}"]


def _of_database(c: Connection) -> Iterator[str]:
    if c.dialect.name == "sqlite":
        for line in c.exec_driver_sql("PRAGMA integrity_check").scalars():
            if line != "ok":
                yield f"database file: {line}"


def _strays(c: Connection, table: Table) -> Iterator[str]:
    key = next(iter(table.primary_key.columns))
    query = select(key, table.c.operation_id).where(table.c.operation_id.not_in(select(operations.c.id))).order_by(key)
    for number, operation in c.execute(query):
        yield f"{table.name} {number} belongs to operation {operation}, which is missing"


def _plans(c: Connection) -> Iterator[str]:
    query = select(operations.c.id, operations.c.plan_hash, operations.c.plan).order_by(operations.c.id)
    for operation, expected, plan in c.execute(query.execution_options(yield_per=100)):
        try:
            same = hash_of(plan) == expected
        except (AttributeError, KeyError, TypeError, ValueError):
            same = False
        if not same:
            yield f"operation {operation}: its plan does not have the stored hash"
