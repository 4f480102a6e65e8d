"""Where a table is, from names and ids; what is not proven is in doubt, and what others made is not ours."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.operations.positions import Position, Swap, locate, prepared_views
from app.operations.world import Relation, absent

X, OLD, NEW, SPARE = "c.s.x", "c.s.x_old", "c.s.new_x", "c.s.x__cutover"
VIEW = Swap("x", X, OLD, NEW, "view", SPARE)
RENAME = Swap("x", X, OLD, NEW, "rename", SPARE)


def table(name: str, table_id: str) -> Relation:
    return Relation(name, "table", "MANAGED", table_id=table_id)


def view(name: str, over: str | None) -> Relation:
    return Relation(name, "view", "VIEW", over=over)


def names(**found: Relation) -> Mapping[str, Relation]:
    short = {"x": X, "old": OLD, "new": NEW, "spare": SPARE}
    return {n: found.get(k, absent(n)) for k, n in short.items()}


RENAMED = names(old=table(OLD, "old"), new=table(NEW, "new"))
FLIPPED = names(x=view(X, NEW), old=table(OLD, "old"), new=table(NEW, "new"))
SWAPPED = names(x=table(X, "new"), old=table(OLD, "old"))


@pytest.mark.parametrize(
    ("swap", "world", "position"),
    [(VIEW, RENAMED, Position.RENAMED), (VIEW, FLIPPED, Position.FLIPPED), (RENAME, SWAPPED, Position.SWAPPED)],
)
def test_a_kept_table_is_in_doubt_unless_its_id_proves_it(
    swap: Swap, world: Mapping[str, Relation], position: Position
) -> None:
    proven = locate(swap, world, "old", "new")
    assert (proven.position, proven.doubt) == (position, "")
    if position is not Position.SWAPPED:  # Of two tables nothing but the id tells which is which.
        guessed = locate(swap, world, None, "new", "the store is gone")
        assert guessed.position is position
        assert (
            "nothing proves that c.s.x_old is the old table" in guessed.doubt and "the store is gone" in guessed.doubt
        )


def test_a_kept_table_that_shows_no_id_is_in_doubt() -> None:
    world = {**FLIPPED, OLD: Relation(OLD, "table", "MANAGED")}
    assert "shows no id" in locate(VIEW, world, "old", "new").doubt


def test_a_kept_table_of_another_id_is_unknown() -> None:
    world = {**FLIPPED, OLD: table(OLD, "a backup")}
    assert locate(VIEW, world, "old", "new").position is Position.UNKNOWN


def test_between_the_two_renames_the_prepared_view_proves_the_kept_table() -> None:
    world = {**RENAMED, SPARE: view(SPARE, OLD)}
    assert locate(VIEW, world).doubt == ""
    assert locate(VIEW, {**RENAMED, SPARE: view(SPARE, NEW)}).doubt != ""


@pytest.mark.parametrize("over", [NEW, "c.s.else", None])
def test_a_view_over_something_else_is_no_stand_in_of_ours(over: str | None) -> None:
    assert prepared_views(VIEW, names(x=table(X, "old"), old=view(OLD, over))) == ()


@pytest.mark.parametrize("over", [X, "c.s.else", None])
def test_a_view_over_something_else_is_no_prepared_view_of_ours(over: str | None) -> None:
    assert prepared_views(VIEW, names(x=table(X, "old"), spare=view(SPARE, over))) == ()


def test_the_stand_in_and_the_prepared_view_are_ours() -> None:
    stand_in, prepared = view(OLD, X), view(SPARE, NEW)
    assert prepared_views(VIEW, names(x=table(X, "old"), old=stand_in, spare=prepared)) == (stand_in, prepared)
    assert prepared_views(VIEW, names(x=table(X, "old"), spare=view(SPARE, OLD))) == (view(SPARE, OLD),)
