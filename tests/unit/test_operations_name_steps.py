"""Steps on names touch only what they were made for: anything else that has the name stops them."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.model import Model
from app.operations.steps import DropStandIn, FlipView, LeaveName, RenameTable, StepFailed, TakeName
from app.operations.world import Relation, absent

X, OLD, NEW, SPARE = "c.s.x", "c.s.x_old", "c.s.new_x", "c.s.x__cutover"


def table(name: str) -> Relation:
    return Relation(name, "table", "MANAGED", table_id=f"id-{name}")


def view(name: str, over: str | None) -> Relation:
    return Relation(name, "view", "VIEW", over=over)


def seen(**changed: Relation) -> Model:
    """The four names; nothing has one that is not given."""
    short = {"x": X, "old": OLD, "new": NEW, "spare": SPARE}
    return Model.of(changed.get(k, absent(n)) for k, n in short.items())


DROP = DropStandIn(OLD, X)
LEAVE = LeaveName(X, SPARE, OLD, OLD)
FLIP = FlipView(X, OLD, NEW)
TAKE = TakeName(SPARE, X, OLD, NEW)
RENAME = RenameTable(X, OLD)


@pytest.mark.parametrize(
    ("step", "world"),
    [
        (DROP, seen(old=view(OLD, NEW), x=table(X))),
        (DROP, seen(old=view(OLD, None), x=table(X))),
        (LEAVE, seen(x=view(X, NEW), old=table(OLD))),
        (LEAVE, seen(x=view(X, None), old=table(OLD))),
        (LEAVE, seen(x=table(X), old=table(OLD))),
        (FLIP, seen(x=view(X, "c.s.else"), old=table(OLD))),
        (FLIP, seen(x=table(X), old=table(OLD))),
        (FLIP, seen(old=table(OLD))),
        (TAKE, seen(spare=view(SPARE, NEW), old=table(OLD))),
        (TAKE, seen(spare=view(SPARE, "c.s.else"), old=table(OLD))),
        (TAKE, seen(x=view(X, "c.s.else"), spare=view(SPARE, OLD))),
        (TAKE, seen(x=table(X), spare=view(SPARE, OLD))),
        (RENAME, seen(x=table(X), old=table(OLD))),
        (RENAME, seen(x=view(X, OLD), old=view(OLD, NEW))),
        (RENAME, seen()),
    ],
)
def test_what_has_the_name_and_is_not_ours_stops_a_step(step: Any, world: Model) -> None:
    with pytest.raises(StepFailed):
        step.is_done(world)


@pytest.mark.parametrize(
    ("step", "world", "done"),
    [
        (DROP, seen(old=view(OLD, X), x=table(X)), False),
        (DROP, seen(x=table(X)), True),
        (DROP, seen(old=table(OLD)), True),
        (LEAVE, seen(x=view(X, OLD), old=table(OLD)), False),
        (LEAVE, seen(spare=view(SPARE, OLD), old=table(OLD)), True),
        (LEAVE, seen(x=table(X)), True),
        (FLIP, seen(x=view(X, OLD)), False),
        (FLIP, seen(x=view(X, NEW)), True),
        (TAKE, seen(spare=view(SPARE, OLD), old=table(OLD)), False),
        (TAKE, seen(x=view(X, OLD)), True),
        (TAKE, seen(x=view(X, NEW)), True),
        (RENAME, seen(x=table(X)), False),
        (RENAME, seen(old=table(OLD)), True),
        (RENAME, seen(x=view(X, OLD), old=table(OLD)), True),
    ],
)
def test_a_step_knows_what_it_leaves_and_what_it_finds(step: Any, world: Model, done: bool) -> None:
    assert step.is_done(world) is done
