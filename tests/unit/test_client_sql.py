"""The pool of connections: one a statement, given back or thrown away; cancelling; what is sent again and what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sql.exc import RequestError, ServerOperationError

from databricks_client.errors import WorkspaceError
from databricks_client.running import tag_of
from databricks_client.sql import IDLE_SECONDS, Sql

LOST = RequestError("Error during request to server", {"original-exception": ConnectionResetError("reset")})
REFUSED = ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no. SQLSTATE: 42P01")


class Warehouse:
    """Makes connections; `act` is what a statement does. Counts what was opened, closed and sent."""

    def __init__(self) -> None:
        self.act: Callable[[str, Any], list[Any]] = lambda text, cursor: []
        self.sent: list[str] = []
        self.opened = self.closed = self.cancels = 0

    def connect(self, **_: Any) -> Any:
        self.opened += 1
        return Connection(self)


class Connection:
    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def cursor(self) -> Any:
        return Cursor(self.warehouse)

    def close(self) -> None:
        self.warehouse.closed += 1


class Row:
    def asDict(self) -> dict[str, Any]:
        return {"n": 1}


class Cursor:
    description = (("n",),)

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.known = False
        self.cancelled = threading.Event()

    def execute(self, text: str, parameters: Any = None) -> None:
        assert tag_of(text) is not None
        text = text.split(" */ ", 1)[1]
        self.warehouse.sent.append(text)
        self.rows = self.warehouse.act(text, self)

    def fetchall(self) -> list[Any]:
        return self.rows

    def cancel(self) -> None:
        self.warehouse.cancels += 1
        if self.known:
            self.cancelled.set()

    def close(self) -> None: ...


def raises(error: Exception) -> Callable[[str, Any], list[Any]]:
    """What a statement does that fails."""

    def act(*_: Any) -> list[Any]:
        raise error

    return act


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


def test_a_connection_is_used_again_until_it_has_idled_too_long(warehouse: Warehouse) -> None:
    moment = [0.0]
    sql = Sql(warehouse.connect, clock=lambda: moment[0])
    warehouse.act = lambda *_: [Row()]
    assert sql.query("a") == [{"n": 1}]
    sql.query("b")
    assert warehouse.opened == 1
    moment[0] = IDLE_SECONDS + 1
    sql.query("c")
    assert (warehouse.opened, warehouse.closed) == (2, 1)
    sql.close()
    assert warehouse.closed == 2


def test_a_question_is_asked_again_once_on_a_fresh_connection(warehouse: Warehouse) -> None:
    sql = Sql(warehouse.connect)
    warehouse.act = raises(LOST)
    with pytest.raises(WorkspaceError) as caught:
        sql.query("question")
    assert warehouse.sent == ["question"] * 2 and caught.value.uncertain
    assert warehouse.opened == warehouse.closed == 2, "a connection whose answer was lost is not used again"


def test_a_refused_statement_is_sent_once_and_the_connection_stays(warehouse: Warehouse) -> None:
    sql = Sql(warehouse.connect)
    warehouse.act = raises(REFUSED)
    with pytest.raises(WorkspaceError) as caught:
        sql.query("x")
    assert caught.value.not_found and not caught.value.uncertain
    assert (len(warehouse.sent), warehouse.opened, warehouse.closed) == (1, 1, 0)


def test_a_warehouse_that_cannot_be_reached_is_retryable_and_nothing_took_effect() -> None:
    def connect(**_: Any) -> Any:
        raise LOST

    with pytest.raises(WorkspaceError) as caught:
        Sql(connect).query("x")
    assert caught.value.retryable and not caught.value.uncertain


def runs_until_cancelled(_: str, cursor: Cursor) -> list[Any]:
    """The service has answered only after a while; before, there is no command that could be cancelled."""
    time.sleep(0.4)
    cursor.known = True
    assert cursor.cancelled.wait(10), "it was never cancelled"
    raise ServerOperationError("Query has been cancelled")


def test_cancelling_before_the_service_has_answered_works_too(warehouse: Warehouse) -> None:
    sql, cancel = Sql(warehouse.connect), threading.Event()
    warehouse.act = runs_until_cancelled
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(WorkspaceError) as caught:
        sql.query("slow", cancelled=cancel.is_set)
    assert caught.value.error_code == "OPERATION_CANCELED" and warehouse.cancels >= 2
    assert len(warehouse.sent) == 1, "what was cancelled is not asked again"
    with pytest.raises(WorkspaceError, match="before it began"):
        sql.query("next", cancelled=cancel.is_set)
    assert len(warehouse.sent) == 1


def test_a_statement_that_takes_too_long_is_cancelled_and_said_so(warehouse: Warehouse) -> None:
    sql = Sql(warehouse.connect)
    warehouse.act = runs_until_cancelled
    with pytest.raises(WorkspaceError, match="no result within 0 s; it was cancelled") as caught:
        sql.query("slow", limit=0.1)
    assert caught.value.retryable


def test_statements_side_by_side_have_a_connection_each(warehouse: Warehouse) -> None:
    sql, together = Sql(warehouse.connect), threading.Barrier(4)

    def act(*_: Any) -> list[Any]:
        together.wait(10)
        return []

    warehouse.act = act
    threads = [threading.Thread(target=lambda: sql.query("x")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warehouse.opened == 4
    warehouse.act = lambda *_: []
    sql.query("y")
    assert warehouse.opened == 4
