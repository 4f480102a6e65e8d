"""Who someone is and which roles they have now."""

from __future__ import annotations

from dataclasses import dataclass

from databricks.sdk.service import iam

from app.config import Role, Roles
from app.workspace.errors import WorkspaceError
from app.workspace.rest import Rest

# Groups within groups are followed so deep; a cycle ends there too.
NESTING = 5


@dataclass(frozen=True)
class Principal:
    """A user or service principal. groups: names of the groups that the service lists for it (nested ones may lack)."""

    user_name: str
    display_name: str
    active: bool
    groups: frozenset[str]
    id: str = ""


class Identity:
    """Users and groups of the workspace, asked each time. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def me(self) -> Principal:
        """The acting principal: the one whose credentials this process has."""
        return _principal(self._rest.read("read the acting principal", self._rest.client.current_user.me))

    def user(self, user_name: str) -> Principal | None:
        """The user of that name with its groups, None where there is none."""
        what = f"look up user {user_name}"
        condition = _is("userName", user_name)
        if condition is None:
            return None
        client = self._rest.client.users
        found = self._rest.read(
            what, lambda: list(client.list(filter=condition, attributes="id,userName,displayName,active,groups"))
        )
        # The service compares names without regard to case, as mail addresses are.
        same = [u for u in found if (u.user_name or "").casefold() == user_name.casefold()]
        if len(same) > 1:
            raise WorkspaceError(what, f"{len(same)} users have this name", "nobody can be told apart: fix the users")
        return _principal(same[0]) if same else None

    def roles_of(self, user_name: str, roles: Roles) -> frozenset[Role]:
        """The roles that the user's groups give now; empty for an unknown or inactive user. Nested groups count."""
        user = self.user(user_name)
        if user is None or not user.active:
            return frozenset()
        by_role = {Role.VIEWER: roles.viewer, Role.OPERATOR: roles.operator, Role.APPROVER: roles.approver}
        looked_up: dict[str, bool] = {}

        def member(group: str) -> bool:
            if group in user.groups:
                return True
            if group not in looked_up:
                looked_up[group] = self._contains(group, user.id)
            return looked_up[group]

        return frozenset(role for role, groups in by_role.items() if any(member(g) for g in groups))

    def _contains(self, group: str, user_id: str) -> bool:
        """Whether a group has the user as a member of a group within it."""
        what = f"look up group {group}"
        client = self._rest.client.groups
        condition = _is("displayName", group)
        if condition is None:
            return False
        found = self._rest.read(what, lambda: list(client.list(filter=condition, attributes="id,displayName,members")))
        level = [g for g in found if g.display_name == group]
        seen: set[str] = set()
        for _ in range(NESTING):
            inner: list[str] = []
            for g in level:
                for m in g.members or []:
                    if m.value == user_id:
                        return True
                    if "Groups" in (m.ref or "") and m.value and m.value not in seen:
                        seen.add(m.value)
                        inner.append(m.value)
            if not inner:
                return False
            level = [self._group(i) for i in inner]
        return False

    def _group(self, group_id: str) -> iam.Group:
        client = self._rest.client.groups
        return self._rest.read(f"look up group {group_id}", lambda: client.get(group_id))


def _principal(user: iam.User) -> Principal:
    return Principal(
        user_name=user.user_name or "",
        display_name=user.display_name or user.user_name or "",
        active=user.active is not False,
        groups=frozenset(g.display for g in user.groups or [] if g.display),
        id=user.id or "",
    )


def _is(attribute: str, value: str) -> str | None:
    """A SCIM filter for exactly this value; None for one that no name is: a quote in it could end the string early."""
    return None if not value or '"' in value or "\\" in value else f'{attribute} eq "{value}"'
