"""The SQL warehouse's Thrift protocol over HTTP, as the SQL connector speaks it: POST /sql/1.0/warehouses/{id}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.warehouse import SqlWorkspace


class ThriftHost(Protocol):
    """What this route needs from the workspace."""

    sql: SqlWorkspace

    def authenticate(self, token: str) -> str | None:
        """The principal (user name or application id) of a bearer token, None if unknown or expired."""

    def use_warehouse(self, warehouse_id: str) -> bool:
        """False if there is no such warehouse; starts a stopped one (and counts it as used)."""


def thrift_routes(host: ThriftHost) -> list[Route]:
    """The routes to mount in the workspace's Starlette application."""
    raise NotImplementedError
