"""Roles of people, and the workspace groups that hold them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import model_validator

from app.config.base import Frozen, Mistake


class Role(StrEnum):
    """What a person may do; each role includes the one before it only if the groups say so."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


class NamedUsers(Frozen):
    """User names that hold each role where no group can be read."""

    viewer: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    approver: tuple[str, ...] = ()

    @property
    def of_roles(self) -> dict[Role, tuple[str, ...]]:
        """Each role and the users that hold it."""
        return {Role.VIEWER: self.viewer, Role.OPERATOR: self.operator, Role.APPROVER: self.approver}


class Roles(Frozen):
    """Workspace groups that hold each role. Membership is looked up at the moment of the action.

    users: who holds each role where the workspace says of no group who is in it; None: nobody then does.
    """

    viewer: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    approver: tuple[str, ...] = ()
    users: NamedUsers | None = None

    @model_validator(mode="after")
    def _each_role_is_given(self) -> Roles:
        if self.users is None and (missing := [r for r in Role if str(r) not in self.model_fields_set]):
            raise Mistake("name its groups, or the users of each role under `users`", str(missing[0]))
        return self

    @property
    def groups(self) -> dict[Role, tuple[str, ...]]:
        """Each role and the groups that hold it."""
        return {Role.VIEWER: self.viewer, Role.OPERATOR: self.operator, Role.APPROVER: self.approver}
