"""The reader's roles are known without waiting for the workspace."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from app.access import Refused, RolesFound
from app.config.migration import Role
from app.web.components.reader import Roles
from tests.support.roles_held import in_groups
from tests.support.waiting import wait_until

BOTH = in_groups(Role.VIEWER, Role.OPERATOR)


def answers(roles: RolesFound) -> Callable[[str], RolesFound]:
    return lambda user: roles


def refuses(user: str) -> RolesFound:
    raise Refused("the workspace does not answer")


def test_roles_are_known_at_once_where_the_workspace_answers() -> None:
    assert Roles().of("erin", answers(BOTH)) == BOTH


def test_a_slow_workspace_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.components.reader.WAIT_SECONDS", 0.01)
    answer = threading.Event()

    def slow(user: str) -> RolesFound:
        answer.wait(30)
        return BOTH

    roles = Roles()
    assert roles.of("erin", slow) is None
    answer.set()
    wait_until(lambda: roles.of("erin", slow) == BOTH)


def test_roles_are_read_again_when_they_are_old_and_forgotten_when_that_fails() -> None:
    roles = Roles()
    assert roles.of("erin", answers(BOTH)) == BOTH
    assert roles.of("erin", refuses) == BOTH, "not read again yet"
    roles.due_at = 0.0
    roles.of("erin", refuses)
    wait_until(lambda: roles.known is None)
