"""Who someone is and which roles they have now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from databricks_client.answers import Answer
from databricks_client.connection import ROLE_SECONDS
from databricks_client.errors import WorkspaceError
from databricks_client.rest import Rest

# Groups within groups are followed so deep; a cycle ends there too.
NESTING = 5

# As many entries as the service gives in one page of a SCIM list.
SCIM_PAGE = 10_000

R = TypeVar("R")

_SCIM = "/api/2.0/preview/scim/v2"


@dataclass(frozen=True)
class Principal:
    """A user or service principal.

    active, groups (nested ones may lack): None where the answer does not say. The service tells a caller who is not a
    workspace administrator only the name, display name and id of others.
    """

    user_name: str
    display_name: str
    active: bool | None
    groups: frozenset[str] | None
    id: str


class Identity:
    """Users and groups of the workspace, looked up at each call. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def me(self) -> Principal:
        """The acting principal: the one whose credentials this process has."""
        with self._rest.limited(ROLE_SECONDS):
            return _principal(self._rest.get("read the acting principal", f"{_SCIM}/Me"), active=True)

    def user(self, user_name: str) -> Principal | None:
        """The user of that name with its groups, None where there is none."""
        what = f"look up user {user_name}"
        condition = _is("userName", user_name)
        if condition is None:
            return None
        found = self._list(what, "Users", {"filter": condition, "attributes": "id,userName,displayName,active,groups"})
        # The service compares names without regard to case, as mail addresses are.
        same = [u for u in found if u.name("userName").casefold() == user_name.casefold()]
        if len(same) > 1:
            raise WorkspaceError(what, f"{len(same)} users have this name", "give each user a name of its own")
        return _principal(same[0]) if same else None

    def user_names(self) -> tuple[str, ...]:
        """Names of all users, sorted, without those that are known to be inactive."""
        found = self._list("list users", "Users", {"attributes": "userName,active"})
        return tuple(sorted(u.name("userName") for u in found if u.flag("active", True)))

    def group(self, name: str) -> bool | None:
        """Whether the acting principal sees who is in the group of this name; None where it sees no such group."""
        what = f"look up group {name}"
        condition = _is("displayName", name)
        if condition is None:
            return None
        found = self._list(what, "Groups", {"filter": condition, "attributes": "id,displayName,members"})
        same = [g for g in found if g.name("displayName") == name]
        return any(g.has("members") for g in same) if same else None

    def roles_of(
        self, user_name: str, roles: Mapping[R, Sequence[str]], own: Principal | None = None
    ) -> frozenset[R] | None:
        """The roles that the user's groups give now; empty for an unknown or inactive user. Nested groups count.

        roles: each role, and the groups whose members have it. own: the user as the service describes them to
        themselves, with their groups; groups within groups then count where this caller may read them.
        None where this caller may not see who is in which group.

        All of it within ROLE_SECONDS: a workspace that does not answer must not block the action.
        """
        with self._rest.limited(ROLE_SECONDS):
            try:
                user = own or self.user(user_name)
                return frozenset() if user is None or user.active is False else self._roles_of(user, roles)
            except WorkspaceError as e:
                if e.status == 403:
                    return None
                raise

    def _roles_of(self, user: Principal, roles: Mapping[R, Sequence[str]]) -> frozenset[R] | None:
        looked_up: dict[str, bool | None] = {}

        def member(group: str) -> bool | None:
            if user.groups is not None and group in user.groups:
                return True
            if group not in looked_up:
                looked_up[group] = self._contains(group, user)
            return looked_up[group]

        members = {role: [member(g) for g in groups] for role, groups in roles.items()}
        if any(found is None for each in members.values() for found in each):
            return None
        return frozenset(role for role, each in members.items() if any(each))

    def _contains(self, group: str, user: Principal) -> bool | None:
        """Whether a group has the user as a member, or as one of a group within it; None where that cannot be seen."""
        # Who sees the user's groups, all but nested ones, needs no members to know of a direct membership.
        unseen = False if user.groups is not None else None
        what = f"look up group {group}"
        condition = _is("displayName", group)
        if condition is None:
            return False
        try:
            found = self._list(what, "Groups", {"filter": condition, "attributes": "id,displayName,members"})
            level = [g for g in found if g.name("displayName") == group]
            seen: set[str] = set()
            for _ in range(NESTING):
                inner: list[str] = []
                for g in level:
                    if unseen is None and not g.has("members"):
                        return None
                    for m in g.objects("members"):
                        member, kind = m.name("value"), m.text_or_none("$ref") or ""
                        if member == user.id:
                            return True
                        if "Groups" in kind and member not in seen:
                            seen.add(member)
                            inner.append(member)
                if not inner:
                    return False
                level = [self._group(i) for i in inner]
        except WorkspaceError as e:
            if e.status == 403:
                return unseen
            raise
        return False

    def _group(self, group_id: str) -> Answer:
        found = self._rest.get(f"look up group {group_id}", f"{_SCIM}/Groups/{quote(group_id, safe='')}")
        if found.name("id") != group_id:
            found.fail("id", "is another group's")
        return found

    def _list(self, what: str, kind: str, query: dict[str, Any]) -> list[Answer]:
        """Every entry of a SCIM list, page by page."""
        found: list[Answer] = []
        before: list[Mapping[str, Any]] = []
        while True:
            page = self._rest.get(what, f"{_SCIM}/{kind}", {**query, "startIndex": len(found) + 1, "count": SCIM_PAGE})
            total = page.whole_or_none("totalResults")
            # A list without entries says so in its total; an answer that has neither is no list.
            entries = page.objects("Resources", required=total is None)
            found += entries
            if total is not None and len(found) >= total:
                return found
            if not entries:
                if total is not None:
                    page.fail("Resources", f"ends after {len(found)} of {total} entries")
                return found
            if before == (before := [e.raw for e in entries]):
                page.fail("Resources", "is the page before it again, so the list would never end")


def _principal(user: Answer, active: bool | None = None) -> Principal:
    """active: what a missing `active` means."""
    name = user.name("userName")
    groups = user.objects("groups")
    for group in groups:
        if not group.has("display") and not group.has("value"):
            group.fail("display", "is missing, and so is its value")
    return Principal(
        user_name=name,
        display_name=user.text_or_none("displayName") or name,
        active=active if (said := user.flag_or_none("active")) is None else said,
        groups=frozenset(display for g in groups if (display := g.name_or_none("display")))
        if user.has("groups")
        else None,
        id=user.name("id"),
    )


def _is(attribute: str, value: str) -> str | None:
    """A SCIM filter for exactly this value; None for one that no name is: a quote in it could end the string early."""
    return None if not value or '"' in value or "\\" in value else f'{attribute} eq "{value}"'
