"""What a name that nothing has is given back to, and by which statement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations import gaps
from app.operations.definition import Observation
from app.operations.positions import Swap
from app.operations.world import Relation
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import MIGRATION, T0, FakeWorld

DIM = MIGRATION.tables[0]
SWAP = Swap(DIM.name, DIM.baseline, DIM.kept, DIM.candidate, "view", DIM.spare)
TABLE = f"ALTER TABLE `product`.`fde`.`{DIM.name}_old` RENAME TO `product`.`fde`.`{DIM.name}`"
VIEW = f"ALTER VIEW `product`.`fde`.`{DIM.name}__cutover` RENAME TO `product`.`fde`.`{DIM.name}`"
REFUSED = WorkspaceError("statement", "permission denied", status=403)
UNAVAILABLE = WorkspaceError("statement", "temporarily unavailable", status=503, retryable=True)
NO_ANSWER = WorkspaceError("statement", "no answer", retryable=True, uncertain=True)


class Taken:
    """A world whose table has the kept name, and the view its spare one: nothing has the name that consumers read."""

    def __init__(self, over: str | None = DIM.kept) -> None:
        self.world = FakeWorld()
        table = self.world.names.pop(DIM.baseline)
        self.before = Observation(T0, (table, self.world.names[DIM.candidate]))
        self.world.names[DIM.kept] = replace(table, name=DIM.kept)
        self.world.rows[DIM.kept] = self.world.rows[DIM.baseline]
        if over is not None:
            self.world.names[DIM.spare] = Relation(DIM.spare, "view", "VIEW", over=over, table_id="id-view")
        self.noted: list[str] = []
        self.waited: list[int] = []

    def close(self, *, forward: bool, proven: bool = True) -> tuple[str, ...]:
        return gaps.close(
            self.world, [SWAP], self.before if proven else None, forward=forward,
            note=self._note, wait=lambda attempt, problem: self.waited.append(attempt),
        )  # fmt: skip

    def _note(self, text: str) -> None:
        assert text not in self.world.sent
        self.noted.append(text)


@pytest.mark.parametrize(("forward", "statement"), [(True, VIEW), (False, TABLE)])
def test_the_view_gets_the_name_on_the_way_forward_and_the_table_on_the_way_back(forward: bool, statement: str) -> None:
    t = Taken()
    assert t.close(forward=forward) == (statement,)
    assert t.world.sent == t.noted == [statement]
    assert t.world.read(DIM.baseline) == f"old {DIM.name}"


@pytest.mark.parametrize("over", [None, DIM.candidate, "product.fde.else"])
def test_only_a_view_over_the_kept_table_gets_the_name(over: str | None) -> None:
    t = Taken(over)
    assert t.close(forward=True) == (TABLE,)


@pytest.mark.parametrize("over", [None, DIM.candidate])
def test_a_table_that_is_not_proven_to_be_the_old_one_gets_no_name(over: str | None) -> None:
    t = Taken(over)
    assert t.close(forward=True, proven=False) == () and t.world.sent == t.noted == []


@pytest.mark.parametrize("forward", [True, False])
def test_a_statement_that_is_refused_leaves_the_other_way(forward: bool) -> None:
    t = Taken()
    first, second = (VIEW, TABLE) if forward else (TABLE, VIEW)
    t.world.fail(first, REFUSED)
    assert t.close(forward=forward) == (second,) and t.noted == [first, second]


def test_a_name_that_cannot_be_given_raises_the_refusal() -> None:
    t = Taken()
    t.world.fail("RENAME TO", REFUSED)
    with pytest.raises(WorkspaceError, match="permission denied"):
        t.close(forward=True)


def test_a_service_that_is_unavailable_is_asked_again() -> None:
    t = Taken()
    left = [UNAVAILABLE, UNAVAILABLE]
    t.world.before("RENAME TO", lambda: _raise_next(left))
    assert t.close(forward=False) == (TABLE,) and t.waited == [1, 2]


def test_a_lost_answer_is_looked_for_before_it_is_sent_again() -> None:
    t = Taken()
    left = [NO_ANSWER]
    t.world.after("RENAME TO", lambda: _raise_next(left))
    assert t.close(forward=False) == (TABLE,)
    assert t.waited == [] and t.world.sent == [TABLE]


def _raise_next(errors: list[WorkspaceError]) -> None:
    if errors:
        raise errors.pop(0)
