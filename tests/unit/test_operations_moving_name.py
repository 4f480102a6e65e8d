"""A name that moves between two reads of it is looked at anew."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from app.operations.databricks import DatabricksWorld
from databricks_client.errors import WorkspaceError
from databricks_client.tables import TableState


def world(states: Iterator[bool], error: WorkspaceError) -> DatabricksWorld:
    def grants(name: str) -> None:
        raise error

    def state(name: str) -> TableState:
        return TableState(name=name, exists=next(states))

    tables = SimpleNamespace(state=state, grants=grants)
    return DatabricksWorld(SimpleNamespace(tables=tables))  # type: ignore[arg-type]


def test_a_name_that_went_away_while_it_was_read_is_absent() -> None:
    gone = WorkspaceError("read grants", "cannot be found", error_code="TABLE_OR_VIEW_NOT_FOUND")
    assert gone.not_found
    assert world(iter([True, False]), gone).relation("a.b.c").kind == "absent"
    with pytest.raises(WorkspaceError):
        world(iter([True, True]), gone).relation("a.b.c")


def test_another_refusal_is_raised_at_once() -> None:
    with pytest.raises(WorkspaceError):
        world(iter([True]), WorkspaceError("read grants", "permission denied", status=403)).relation("a.b.c")
