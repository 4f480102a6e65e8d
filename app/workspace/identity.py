"""Who someone is and which roles they have now."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Role, Roles
from app.workspace.rest import Rest


@dataclass(frozen=True)
class Principal:
    """A user or service principal. groups: names of all groups it is in, nested ones included as far as looked up."""

    user_name: str
    display_name: str
    active: bool
    groups: frozenset[str]


class Identity:
    """Users and groups of the workspace, asked each time. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def me(self) -> Principal:
        """The acting principal: the one whose credentials this process has."""
        raise NotImplementedError

    def user(self, user_name: str) -> Principal | None:
        """The user of that name with its groups, None where there is none."""
        raise NotImplementedError

    def roles_of(self, user_name: str, roles: Roles) -> frozenset[Role]:
        """The roles that the user's groups give now; empty for an unknown or inactive user. Nested groups count."""
        raise NotImplementedError
