"""A SQL warehouse as comparisons need it, over the SQL connection of `databricks_client`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from databricks_client.connection import GivenUp, words
from databricks_client.sql import CONNECTION_OPTIONS, close, execute
from validation.errors import Cancelled, StatementError
from validation.warehouse import Parameters, Row, never

if TYPE_CHECKING:
    from databricks.sql.client import Connection

    from databricks_client.endpoint import Endpoint

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
            return cls(endpoint.sql(stopped=stopped, **CONNECTION_OPTIONS))
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
        close(self._connection)

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        """As `Warehouse.execute`. What `cancelled` itself raises cancels the statement too, and is raised then."""
        from databricks.sql.exc import Error

        try:
            outcome = execute(self._connection, sql, dict(parameters) if parameters else None, cancelled=cancelled)
        except Error as e:
            raise _statement_error(e) from e
        if outcome.cancelled:
            raise Cancelled("the statement was cancelled on the warehouse")
        if outcome.error is not None:
            raise _statement_error(outcome.error) from outcome.error
        return outcome.rows


def _statement_error(error: Exception) -> StatementError:
    """The service's message in one line, and its SQLSTATE."""
    text = str(error)
    state = _SQLSTATE.search(text)
    line = text.strip().split("\n", 1)[0].strip() or type(error).__name__
    return StatementError(line[:_LONGEST], state.group(1) if state else "")
