"""Parity: statements by the SQL connector, in UTC, cancelled when asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from databricks.sql.exc import OperationalError

from validation import Cancelled, StatementError
from validation.connector import DatabricksWarehouse


class Session:
    """A connection of the connector and its cursor in one: what fails is named, a statement runs until cancelled."""

    description = (("n",),)

    def __init__(self, *failing: str) -> None:
        self.failing, self.cancelled, self.closed = failing, 0, 0

    def _end(self, what: str) -> None:
        if what in self.failing:
            raise OperationalError(f"{what} failed")

    def cursor(self) -> Session:
        self._end("cursor")
        return self

    def execute(self, sql: str, parameters: Any) -> None:
        while sql.endswith("*/ slow") and not self.cancelled:
            time.sleep(0.01)

    def fetchall(self) -> list[Any]:
        return []

    def cancel(self) -> None:
        self.cancelled += 1
        self._end("cancel")

    def close(self) -> None:
        self.closed += 1
        self._end("close")


def test_a_connection_that_will_not_end_spoils_nothing() -> None:
    with DatabricksWarehouse(Session("close", "cancel")) as warehouse:
        assert warehouse.execute("quick") == []
        with pytest.raises(Cancelled):
            warehouse.execute("slow", None, lambda: True)
    with pytest.raises(StatementError, match="cursor failed"):
        DatabricksWarehouse(Session("cursor")).execute("quick")


def test_who_cannot_say_whether_to_cancel_leaves_nothing_running_on_the_warehouse() -> None:
    def broken() -> bool:
        raise RuntimeError("the store is away")

    session: Any = Session()
    with pytest.raises(RuntimeError, match="the store is away"):
        DatabricksWarehouse(session).execute("slow", None, broken)
    assert session.cancelled and session.closed == 1


def test_statements_run_in_utc() -> None:
    asked: dict[str, Any] = {}
    endpoint = type("Endpoint", (), {"host": "h", "sql": lambda self, **options: asked.update(options)})()
    DatabricksWarehouse.open(endpoint)
    assert asked["session_configuration"] == {"TIMEZONE": "UTC"}
