"""The protocol over HTTP: checks who may send SQL to which warehouse, reads a call and writes its answer."""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from databricks.sql.thrift_api.TCLIService import TCLIService
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.TTransport import TMemoryBuffer

from emulator import access
from emulator.rest.errors import ServiceError
from emulator.thrift.calls import Calls
from emulator.thrift.sessions import Sessions

if TYPE_CHECKING:
    from emulator.workspace import Workspace


def thrift_routes(host: Workspace) -> list[Route]:
    """The routes to mount in the workspace's Starlette application."""
    server = ThriftServer(host)
    return [
        Route("/sql/1.0/warehouses/{warehouse_id}", server.handle, methods=["POST"]),
        Route("/sql/1.0/endpoints/{warehouse_id}", server.handle, methods=["POST"]),
    ]


class ThriftServer:
    """Answers the SQL protocol for one workspace."""

    def __init__(self, host: Workspace) -> None:
        self.host = host
        self.sessions = Sessions(host)
        self.calls = ThreadPoolExecutor(64, thread_name_prefix="thrift")
        host.sessions_of = self.sessions.count

    async def handle(self, request: Request) -> Response:
        token = _bearer(request.headers.get("authorization", ""))
        if token is None:
            return _refusal(
                401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
            )
        body = await request.body()
        loop = asyncio.get_running_loop()
        # A statement whose answer is to be lost runs to its end first: its sender's next call would cancel it.
        until_done = bool(request.scope.get("until_done"))
        warehouse_id = request.path_params["warehouse_id"]
        return await loop.run_in_executor(self.calls, self.answer, token, warehouse_id, body, until_done)

    def answer(self, token: str, warehouse_id: str, body: bytes, until_done: bool = False) -> Response:
        """One call's answer. token: the caller's. body: the call as Thrift writes it."""
        principal = self.host.principal(token)
        if principal is None:
            return _refusal(401, "UNAUTHENTICATED", "Invalid access token.")
        try:
            access.demand_warehouse(self.host.state, principal, warehouse_id)
        except ServiceError as e:
            return _refusal(e.status, e.code, e.message)
        if not self.host.use_warehouse(warehouse_id):
            return _refusal(503, "TEMPORARILY_UNAVAILABLE", "The SQL warehouse is starting; try again shortly.", 1)
        self.sessions.end_idle()
        source, target = TMemoryBuffer(body), TMemoryBuffer()
        processor = TCLIService.Processor(Calls(self.sessions, principal.name, warehouse_id, until_done))
        limits = {"string_length_limit": None, "container_length_limit": None}
        try:
            processor.process(TBinaryProtocol(source, **limits), TBinaryProtocol(target, **limits))
        except (EOFError, ValueError, struct.error, TException) as e:
            return _refusal(400, "BAD_REQUEST", f"Not a Thrift request: {e}")
        answer = target.getvalue()
        if not answer:
            return _refusal(400, "BAD_REQUEST", "Not a Thrift request.")
        return Response(answer, media_type="application/x-thrift")


def _bearer(header: str) -> str | None:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _refusal(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    # A header holds one line of plain characters, whatever the request named.
    line = "".join(c if c.isprintable() else " " for c in message).encode("ascii", "backslashreplace").decode()
    headers = {"x-thriftserver-error-message": line, "x-databricks-reason-phrase": line}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return JSONResponse({"error_code": code, "message": message}, status_code=status, headers=headers)
