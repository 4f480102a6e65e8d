"""A SQL warehouse as this package needs it: run one statement, bind its parameters, cancel it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Row = Mapping[str, Any]
"""One result row: column name to Python value."""

Parameters = Mapping[str, str | int | float | None]


def never() -> bool:
    """The cancel flag of a caller who does not cancel."""
    return False


class Warehouse(Protocol):
    """Runs SQL of Databricks' dialect in a session in UTC. Implementations are used from one thread at a time."""

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        """All rows of one statement; `:name` in `sql` is bound from `parameters`.

        `cancelled` is called a few times a second while the statement runs; once true, the statement is cancelled on
        the warehouse and Cancelled is raised. Raises StatementError when the statement fails.
        """
        ...
