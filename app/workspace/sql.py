"""Statements on the SQL warehouse: values bound, connections reused, running statements cancellable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


class Cancel:
    """Cancels from another thread what runs under it; once set, what starts under it fails at once."""

    def __init__(self) -> None:
        raise NotImplementedError

    def set(self) -> None:
        """Cancel now."""
        raise NotImplementedError

    @property
    def is_set(self) -> bool:
        """It was cancelled."""
        raise NotImplementedError


class Sql:
    """A small pool of connections; each statement has one to itself, so threads never share a connection."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def query(
        self,
        text: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        what: str = "query",
        cancel: Cancel | None = None,
    ) -> list[Row]:
        """Rows of a statement that changes nothing, as dicts; repeated once on a fresh connection after no answer.

        parameters: values for `:name` or `?` markers. Raises WorkspaceError.
        """
        raise NotImplementedError

    def run(self, text: str, *, what: str, cancel: Cancel | None = None) -> None:
        """A statement that changes something; sent once. Raises WorkspaceError (`uncertain`: read back)."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes all connections."""
        raise NotImplementedError
