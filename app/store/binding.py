"""The workspace that a store belongs to: written once, at the first action, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Column, Integer, Table, insert, select
from sqlalchemy.exc import IntegrityError

from app.store.audit import audit_log
from app.store.base import Repository, StoreError, UtcDateTime, metadata
from app.store.text import Identity, Label

store_workspace = Table(
    "store_workspace",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("workspace_id", Identity(300), nullable=False),
    Column("host", Label(300), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("bound_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True)
class Binding:
    """The workspace of a store. workspace_id: as the service reports it. local: it is reached on its own machine."""

    workspace_id: str
    host: str
    local: bool
    bound_at: datetime


class BindingRepository(Repository):
    """Reads which workspace the store belongs to, and binds it once."""

    _what = "the workspace of the store"

    def current(self) -> Binding | None:
        """The workspace that the store belongs to; None before the first action on one."""
        row = self._one(select(store_workspace).where(store_workspace.c.id == 1))
        return None if row is None else Binding(row.workspace_id, row.host, row.local, row.bound_at)

    def local(self) -> bool:
        """Whether personas count: only in a store that belongs to a local workspace."""
        found = self.current()
        return found is not None and found.local

    def bind(self, workspace_id: str, host: str, local: bool) -> Binding:
        """Binds the store to a workspace, or checks that it belongs to it. Raises StoreError where it does not."""
        found = self.current()
        if found is None:
            self._insert(workspace_id, host, local)
            found = self.current()
        if found is None:
            raise StoreError("the workspace of the store cannot be read after it was written; try again")
        if (found.workspace_id, found.local) != (workspace_id, local):
            raise StoreError(
                f"this store belongs to workspace {found.workspace_id} ({found.host}), and {host} is workspace "
                f"{workspace_id}{' on this machine' if local else ''}: set CUTOVER_STORE_URL to a store of its own"
            )
        return found

    def _insert(self, workspace_id: str, host: str, local: bool) -> None:
        if local and self._engine.dialect.name != "sqlite" and self._used_elsewhere():
            raise StoreError(
                f"this store holds records of a workspace that is not on this machine, and {host} is: "
                "set CUTOVER_STORE_URL to a store of its own"
            )
        row = {"id": 1, "workspace_id": workspace_id, "host": host, "local": local, "bound_at": self._clock()}
        with self._write() as c:
            try:
                # A savepoint: another process may bind it in this moment.
                with c.begin_nested():
                    c.execute(insert(store_workspace).values(row))
            except IntegrityError:
                return

    def _used_elsewhere(self) -> bool:
        query = select(audit_log.c.seq).where(audit_log.c.local.is_(False), audit_log.c.source != "worker").limit(1)
        return self._one(query) is not None
