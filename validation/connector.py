"""A SQL warehouse reached by the Databricks SQL connector (Thrift): runs, binds, cancels."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from databricks_client.connection import GivenUp, words
from databricks_client.running import RUNNING, tagged
from validation.errors import Cancelled, StatementError
from validation.warehouse import Parameters, Row, never

if TYPE_CHECKING:
    from databricks.sql.client import Connection

    from databricks_client.endpoint import Endpoint

_POLL_SECONDS = 0.2
_SQLSTATE = re.compile(r"SQLSTATE:? ?([0-9A-Z]{5})")
_LONGEST = 600


class DatabricksWarehouse:
    """Statements over one connection; closes it when left as a context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, endpoint: Endpoint, stopped: Callable[[], bool] = never) -> Self:
        """A new connection, whose session is in UTC: some casts and differences of times depend on its time zone.

        Raises StatementError when the warehouse does not answer or does not let us in, Cancelled once `stopped`.
        """
        from databricks.sql.exc import Error

        try:
            return cls(endpoint.sql(stopped=stopped, session_configuration={"TIMEZONE": "UTC"}))
        except (Error, OSError) as e:
            why = words(e) or _statement_error(e)
            raise StatementError(
                f"the SQL warehouse at {endpoint.host} cannot be reached: {why}; check that it runs and can be reached"
            ) from e
        except GivenUp as e:
            raise Cancelled(str(e)) from e

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _quietly(self._connection.close)

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        """As `Warehouse.execute`. The statement runs in a thread of its own, so that it can be cancelled meanwhile.

        What `cancelled` itself raises cancels the statement too, and is raised once that has ended.
        """
        from databricks.sql.exc import Error

        try:
            cursor = self._connection.cursor()
        except Error as e:
            raise _statement_error(e) from e
        done: list[Any] = []
        text = tagged(sql)

        def run() -> None:
            try:
                with RUNNING.watch(cursor.cancel):
                    cursor.execute(text, dict(parameters) if parameters else None)
                    done.append([row.asDict() for row in cursor.fetchall()])
            except BaseException as e:  # noqa: BLE001 - handed to the waiting caller, below
                done.append(e)

        thread = threading.Thread(target=run, name="warehouse-statement", daemon=True)
        thread.start()
        stopped: BaseException | None = None
        while thread.is_alive():
            try:
                thread.join(_POLL_SECONDS)
                if stopped is None and thread.is_alive() and cancelled():
                    stopped = Cancelled("the statement was cancelled on the warehouse")
            except BaseException as e:  # Raised again below, once nothing runs on the warehouse.
                if stopped is not None:
                    raise  # Asked to end for the second time: the service does not answer.
                stopped = e
            if stopped is not None and thread.is_alive():
                # Asked for again until it ends: before the service has answered there is no command to cancel.
                _quietly(cursor.cancel)
        try:
            if stopped is not None:
                raise stopped
            result = done[0]
            if isinstance(result, Exception):
                raise _statement_error(result) from result
            if isinstance(result, BaseException):
                raise result
            return list(result)
        finally:
            _quietly(cursor.close)


def _quietly(end: Callable[[], Any]) -> None:
    """Ends what the service may have ended already, or may no longer answer for: what was read stays good."""
    from databricks.sql.exc import Error

    with contextlib.suppress(Error, OSError):
        end()


def _statement_error(error: Exception) -> StatementError:
    """The service's message in one line, and its SQLSTATE."""
    text = str(error)
    state = _SQLSTATE.search(text)
    line = text.strip().split("\n", 1)[0].strip() or type(error).__name__
    return StatementError(line[:_LONGEST], state.group(1) if state else "")
