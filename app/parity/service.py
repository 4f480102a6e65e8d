"""Comparisons as people request them: request, cancel, reveal a row; each authorized and audited here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from app.access import Access, Actor, Refused
from app.config.migration import Migration, Role
from app.parity.reveal import NoSuchSample, Sampled, sampled_row
from app.store.parity import ParityRepository
from app.store.parity_records import ParityState
from validation.errors import SideUnreadable, SpecError, StatementError
from validation.row_reveal import Revealed, reveal
from validation.warehouse import Warehouse

REQUEST = "parity.request"
CANCEL = "parity.cancel"
REVEAL = "parity.reveal"


class ParityService:
    """Checks the role, writes the audit record, then acts. All methods raise Refused, which is audited, and StoreError.

    The audit record comes first: what cannot be audited does not happen.
    """

    def __init__(
        self,
        migration: Migration,
        parity: ParityRepository,
        access: Access,
        open_warehouse: Callable[[], AbstractContextManager[Warehouse]],
    ) -> None:
        """open_warehouse: connects to the SQL warehouse; called only to reveal a row. Raises WorkspaceError."""
        self._migration = migration
        self._parity = parity
        self._access = access
        self._open_warehouse = open_warehouse

    def subject(self, tables: Sequence[str]) -> str:
        """What the audit log names a comparison of these tables."""
        return "all tables" if len(tables) == len(self._migration.tables) else ", ".join(tables)

    def request(self, tables: Sequence[str], actor: Actor, *, final: bool = False, sides: str = "production") -> str:
        """Requests a comparison, which the worker executes; gives its id. Needs the role operator."""
        subject = self.subject(tables)
        self._access.require(actor, Role.OPERATOR, REQUEST, subject)
        self._access.record(actor, REQUEST, "allowed", subject, detail={"final": final, "sides": sides})
        return self._parity.request(tables, actor.user_name, final=final, sides=sides)

    def cancel(self, parity_id: str, actor: Actor) -> None:
        """Cancels a comparison that is queued or running, with its statement on the warehouse. Needs operator."""
        self._access.require(actor, Role.OPERATOR, CANCEL, parity_id)
        found = self._parity.run(parity_id)
        if found is None or found.state not in (ParityState.QUEUED, ParityState.RUNNING):
            raise self._access.refuse(actor, CANCEL, parity_id, f"comparison {parity_id} is neither queued nor running")
        self._access.record(actor, CANCEL, "allowed", parity_id)
        if not self._parity.cancel(parity_id, actor.user_name):
            raise Refused(f"comparison {parity_id} ended before it could be cancelled")

    def reveal(self, sampled: Sampled, actor: Actor, why: str) -> dict[str, Revealed]:
        """The sampled row of `baseline` and of `candidate`, at most one each. They are kept nowhere. Needs operator.

        The audit log has `allowed` before anything is read and then `done`, with the rows that were shown of each side
        and those that have the same key; `failed` where the row cannot be read, and nothing is shown where the log
        cannot be written. Refused also where `why` is empty or the report has no such row.
        """
        subject, why = sampled.subject, why.strip()
        self._access.require(actor, Role.OPERATOR, REVEAL, subject, "revealing a row")
        if not why:
            raise self._access.refuse(actor, REVEAL, subject, "give a reason to reveal the row: the audit log keeps it")
        try:
            spec, sample = sampled_row(sampled, self._parity)
        except NoSuchSample as e:
            raise self._access.refuse(actor, REVEAL, subject, str(e)) from e
        self._access.record(actor, REVEAL, "allowed", subject, why)
        # Imported here as it loads the Databricks SDK, which takes a second that a page need not wait.
        from databricks_client.errors import WorkspaceError

        try:
            with self._open_warehouse() as warehouse:
                found = reveal(warehouse, spec, sample)
        except (SpecError, StatementError, SideUnreadable, WorkspaceError) as e:
            # A statement's message may quote the very values that the log must not hold.
            reason = e.kind if isinstance(e, StatementError) else str(e)
            self._access.record(actor, REVEAL, "failed", subject, reason)
            raise Refused(f"the row cannot be read: {e}") from e
        shown = {side: int(f.row is not None) for side, f in found.items()}
        same_key = {side: f.same_key for side, f in found.items()}
        self._access.record(actor, REVEAL, "done", subject, why, {"shown": shown, "same_key": same_key})
        return found
