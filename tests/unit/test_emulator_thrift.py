"""The SQL protocol's door: who may send SQL to a warehouse, and what comes in that is no request. No Spark is needed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from emulator.records import Warehouse
from emulator.thrift.calls import Calls
from emulator.thrift.server import ThriftServer
from emulator.workspace import Workspace
from tests.support.emulator_workspace import Caller, workspace_in


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = workspace_in(tmp_path_factory.mktemp("thrift"))
    workspace.sql_ready.set()
    workspace.warehouse_start_seconds = 0.0
    workspace.ensure_user("analyst@example.com", "Ada Nowak")
    workspace.state.put_warehouse(Warehouse("closed", "admin@example.com", "STOPPED", {"name": "Closed"}))
    return workspace


def open_session(workspace: Workspace, warehouse: str, user: str = "analyst@example.com") -> Response:
    """What the connector's first request gets: a call of OpenSession."""
    from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TTransport import TMemoryBuffer

    server = ThriftServer(workspace)
    server.sessions.open = lambda *_: SimpleNamespace(  # type: ignore[method-assign, assignment, return-value]
        guid=b"1" * 16, engine=SimpleNamespace(context=SimpleNamespace(catalog="main", schema="default"))
    )
    sent = TMemoryBuffer()
    request = ttypes.TOpenSessionReq(client_protocol_i64=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7)
    TCLIService.Client(TBinaryProtocol(sent)).send_OpenSession(request)
    return server.answer(workspace.token_for(user), warehouse, sent.getvalue())


def document(answer: Response) -> dict[str, Any]:
    return dict(json.loads(bytes(answer.body)))


def test_who_may_not_use_a_warehouse_opens_no_session_on_it(local: Workspace):
    answer = open_session(local, "closed")
    assert (answer.status_code, document(answer)["error_code"]) == (403, "PERMISSION_DENIED")
    assert "CAN_USE" in answer.headers["x-thriftserver-error-message"]
    assert local.state.warehouse("closed").state == "STOPPED", "a refused request starts nothing"  # type: ignore[union-attr]
    local.state.set_permissions("warehouses", "closed", {("user", "analyst@example.com"): "CAN_VIEW"})
    assert open_session(local, "closed").status_code == 403
    local.state.set_permissions("warehouses", "closed", {("user", "analyst@example.com"): "CAN_USE"})
    answer = open_session(local, "closed")
    assert (answer.status_code, answer.media_type) == (200, "application/x-thrift")
    local.state.set_permissions("warehouses", "closed", {})


def test_rest_and_thrift_refuse_the_same_people_in_the_same_words(local: Workspace):
    statement = {"warehouse_id": "closed", "statement": "SELECT 1"}
    analyst = Caller(local, local.token_for("analyst@example.com"))
    status, by_rest = analyst("POST", "/api/2.0/sql/statements", statement)
    by_thrift = open_session(local, "closed")
    assert (status, by_rest["message"]) == (by_thrift.status_code, document(by_thrift)["message"])
    status, by_rest = analyst("POST", "/api/2.0/sql/statements", statement | {"warehouse_id": "none"})
    by_thrift = open_session(local, "none")
    assert (status, by_rest["message"]) == (by_thrift.status_code, document(by_thrift)["message"])
    assert open_session(local, local.warehouse_id).status_code == 200, "everybody may use the workspace's own"


@pytest.mark.parametrize(
    ("statement_timeout", "query_timeout", "seconds"),
    [("0", 5, 5.0), ("0", 0, None), (None, 5, 5.0), ("3", 5, 3.0), ("7", 0, 7.0), (None, None, None)],
)
@pytest.mark.parametrize("overlaid", [True, False])
def test_a_timeout_of_zero_leaves_the_other_one(
    statement_timeout: str | None, query_timeout: int | None, seconds: float | None, overlaid: bool
):
    from databricks.sql.thrift_api.TCLIService import ttypes

    given = {} if statement_timeout is None else {"STATEMENT_TIMEOUT": statement_timeout}
    context = SimpleNamespace(settings={} if overlaid else given)
    started: list[Any] = []
    sessions = SimpleNamespace(
        session=lambda *_: SimpleNamespace(engine=SimpleNamespace(context=context)),
        record=lambda *_: None,
        start=lambda operation, _: started.append(operation),
    )
    handle = ttypes.TSessionHandle(sessionId=ttypes.THandleIdentifier(guid=b"1" * 16, secret=b"1" * 16))
    request = ttypes.TExecuteStatementReq(
        sessionHandle=handle, statement="SELECT 1", confOverlay=given if overlaid else None, queryTimeout=query_timeout
    )
    request.runAsync = True
    Calls(sessions, "analyst@example.com", "w").ExecuteStatement(request)  # type: ignore[arg-type]
    assert started[0].timeout == seconds


OPEN = b"\x80\x01\x00\x01\x00\x00\x00\x0bOpenSession"


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(body=st.binary(max_size=60) | st.binary(max_size=30).map(lambda rest: OPEN + rest))
def test_what_is_no_request_is_answered(local: Workspace, body: bytes):
    answer = ThriftServer(local).answer(local.admin_token, local.warehouse_id, body)
    assert answer.status_code in (200, 400), bytes(answer.body)


@pytest.mark.parametrize("warehouse", ["€", "a\nb: c", "\x00", "x" * 5000])
def test_a_refusal_can_be_sent_whatever_the_address_named(local: Workspace, warehouse: str):
    answer = open_session(local, warehouse)
    assert answer.status_code == 404
    line = answer.headers["x-thriftserver-error-message"]
    assert line.isascii() and line.isprintable()
