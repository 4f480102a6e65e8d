"""What the store knows of the newest cutover: how its tables were before their names moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from app.config import Migration, Table
from app.operations.codec import observation_from_json
from app.operations.definition import Kind, Observation
from app.store.operations import OperationsRepository, State

_BEGUN = (State.RUNNING, State.NEEDS_HUMAN, State.VERIFIED, State.UNDONE)


@dataclass(frozen=True)
class PastCutover:
    """before: what a cutover saw before its first write. methods: table to how it was swapped (`view`, `rename`).

    Of a migration that never had one, both are empty.
    """

    before: Observation | None = None
    methods: dict[str, str] = field(default_factory=dict)

    def kept_is(self, table: Table, served_id: str | None, kept_id: str | None) -> Literal["old", "backup", "unknown"]:
        """What the kept name holds, by the ids of the tables that have the served and the kept name now.

        `old`: a cutover renamed both tables. `backup`: the old table has its own name, and the kept name holds a copy.
        """
        if self.before is None or not served_id or not kept_id:
            return "unknown"
        old, new = (self.before.relation(n).table_id for n in (table.baseline, table.candidate))
        if served_id == old:
            return "backup"
        return "old" if (kept_id, served_id) == (old, new) and self.methods.get(table.name) == "rename" else "unknown"


def last_cutover(operations: OperationsRepository, migration: Migration) -> PastCutover:
    """The newest cutover of the migration's tables that was begun. Raises StoreError."""
    found = operations.find(kinds=[Kind.CUTOVER], states=_BEGUN, limit=20)
    for record in sorted(found, key=lambda o: o.started_at or o.created_at, reverse=True):
        before, methods = observation_from_json(record.plan)
        if {t.baseline for t in migration.tables} <= {r.name for r in before.relations}:
            return PastCutover(before, methods)
    return PastCutover()
