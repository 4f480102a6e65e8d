"""Looks up a user's roles now, from the first source that answers: the user's own groups, groups that the app may read,
the migration file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.access import Refused, RolesFound, RoleSource, RolesUnseen, SignedIn
from app.config.roles import Roles
from databricks_client.errors import WorkspaceError

if TYPE_CHECKING:
    from databricks_client.identity import Identity, Principal


@dataclass(frozen=True)
class RoleLookup:
    """One request's sources of roles.

    app: users and groups as this process's own principal may read them.
    signed_in: whose request it is; None outside a page. of_token: users and groups as the bearer of a token may read
    them. own_principal: whether this process's own principal is the user who acts, as on the command line.
    """

    roles: Roles
    app: Callable[[], Identity]
    of_token: Callable[[str], Identity]
    signed_in: SignedIn | None = None
    own_principal: bool = False

    def of(self, user: str) -> RolesFound:
        """The user's roles. Raises RolesUnseen where no source says, Refused or WorkspaceError where one fails."""
        silent = ["no group holds a role"]
        if any(self.roles.groups.values()):
            own, reason = self._own(user)
            # An answer that lacks groups is not one without groups: the next source is read.
            found = self.app().roles_of(user, self.roles.groups, own)
            if found is not None:
                return RolesFound(found, RoleSource.WORKSPACE_GROUPS if own is None else RoleSource.OWN_GROUPS)
            silent = [reason, "the app may not read who is in which group"]
        if self.roles.users is None:
            silent.append("the migration file names no users")
            raise RolesUnseen(f"no source says which roles {user} has: {'; '.join(silent)}")
        # Lower case, not casefold: two mail addresses must not become one person's.
        named = {role: {n.lower() for n in names} for role, names in self.roles.users.of_roles.items()}
        return RolesFound(
            frozenset(role for role, names in named.items() if user.lower() in names), RoleSource.MIGRATION_FILE
        )

    def _own(self, user: str) -> tuple[Principal | None, str]:
        """The user with the groups that the service tells the user, or None and the reason. Raises Refused,
        WorkspaceError."""
        if self.own_principal:
            me = self.app().me()
            if not _same_user(me, user):
                return None, "another user's groups are not told to this one"
        elif self.signed_in is None or self.signed_in.user != user:
            return None, "the user's own groups are not known here"
        elif self.signed_in.token is None:
            return None, "no token of the user is forwarded"
        else:
            try:
                me = self.of_token(self.signed_in.token).me()
            except WorkspaceError as e:
                # Expired, or without the scope that reads the current user; anything else may be better in a moment.
                if e.status not in (401, 403):
                    raise
                return None, "the forwarded token is expired or may not read the user: reload the page"
            if not _same_user(me, user):
                raise Refused(f"the forwarded token is not that of {user}: reload the page")
        if me.groups is None:
            return None, "the workspace does not list the user's own groups"
        return me, ""


def _same_user(found: Principal, user: str) -> bool:
    """Whether an answer is about this user; the service compares names without regard to case."""
    return found.user_name.lower() == user.lower()
