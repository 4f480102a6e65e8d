"""Steps on grants and tags send only what is missing, and are done once it is there."""

from __future__ import annotations

import pytest

from app.operations.model import Model
from app.operations.requests import Call
from app.operations.steps import RestoreGrants, RestoreTags, RevokeGrants
from app.operations.world import Grant, Relation

V = "c.s.v"
TAGS = (("domain", "fde"), ("tier", "1"))


def seen(*grants: Grant, tags: tuple[tuple[str, str], ...] = ()) -> Model:
    return Model.of([Relation(V, "view", "VIEW", over="c.s.x", grants=grants, tags=tags)])


@pytest.mark.parametrize("tags", [(), (("domain", "fde"),), (("domain", "other"), ("tier", "1"))])
def test_tags_that_are_missing_or_otherwise_are_not_done(tags: tuple[tuple[str, str], ...]) -> None:
    assert not RestoreTags(V, TAGS).is_done(seen(tags=tags))


def test_tags_are_done_once_all_are_there_whatever_else_is() -> None:
    assert RestoreTags(V, TAGS).is_done(seen(tags=(*TAGS, ("more", "x"))))


def test_only_what_is_missing_is_granted_and_only_what_is_there_revoked() -> None:
    wanted = (Grant("a", ("SELECT", "MODIFY")), Grant("b", ("SELECT",)))
    world = seen(Grant("a", ("SELECT",)), Grant("c", ("SELECT",)))
    for step, word, changes in (
        (RestoreGrants(V, wanted), "add", [("a", ["MODIFY"]), ("b", ["SELECT"])]),
        (RevokeGrants(V, wanted), "remove", [("a", ["SELECT"])]),
    ):
        assert not step.is_done(world)
        (call,) = step.requests(world)
        assert isinstance(call, Call) and call.body is not None
        assert [(c["principal"], c[word]) for c in call.body["changes"]] == changes
        after = step.leaves(world)
        assert step.is_done(after) and step.requests(after) == ()
