"""The real SQL connector against a server that loses answers: a change is sent once, whatever the connector would do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.transport import TTransport

from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError


class Lost(Exception):
    """The request was taken and its answer is not sent."""


class Sessions:
    """Opens and closes sessions; a statement is counted, then its answer is lost."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def OpenSession(self, request: Any) -> Any:
        handle = ttypes.TSessionHandle(sessionId=ttypes.THandleIdentifier(guid=b"1" * 16, secret=b"2" * 16))
        return ttypes.TOpenSessionResp(
            status=ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS),
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=handle,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, request: Any) -> Any:
        return ttypes.TCloseSessionResp(status=ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS))

    def ExecuteStatement(self, request: Any) -> Any:
        self.statements.append(request.statement.split(" */ ", 1)[1])
        raise Lost


@contextmanager
def losing() -> Iterator[tuple[Workspace, Sessions]]:
    sessions = Sessions()
    processor = TCLIService.Processor(sessions)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            incoming = TBinaryProtocol.TBinaryProtocol(TTransport.TMemoryBuffer(body))
            out = TTransport.TMemoryBuffer()
            name, _kind, _number = incoming.readMessageBegin()
            if name == "ExecuteStatement":
                arguments = TCLIService.ExecuteStatement_args()
                arguments.read(incoming)
                with pytest.raises(Lost):
                    sessions.ExecuteStatement(arguments.req)
                self.close_connection = True
                self.connection.shutdown(2)
                return
            again = TBinaryProtocol.TBinaryProtocol(TTransport.TMemoryBuffer(body))
            processor.process(again, TBinaryProtocol.TBinaryProtocol(out))
            answer = out.getvalue()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-thrift")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    workspace = Workspace(Endpoint(f"http://127.0.0.1:{http.server_port}", "w1", "token"))
    try:
        yield workspace, sessions
    finally:
        workspace.close()
        http.shutdown()
        http.server_close()


def test_a_question_whose_answer_was_lost_is_asked_twice_and_no_more() -> None:
    with losing() as (workspace, sessions):
        with pytest.raises(WorkspaceError):
            workspace.sql.query("SELECT 1")
        assert sessions.statements == ["SELECT 1"] * 2
