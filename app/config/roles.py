"""Roles of people, and the workspace groups that hold them."""

from __future__ import annotations

from enum import StrEnum

from app.config.base import Frozen


class Role(StrEnum):
    """What a person may do; each role includes the one before it only if the groups say so."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


class Roles(Frozen):
    """Workspace groups that hold each role. Membership is looked up at the moment of the action."""

    viewer: tuple[str, ...]
    operator: tuple[str, ...]
    approver: tuple[str, ...]

    @property
    def groups(self) -> dict[Role, tuple[str, ...]]:
        """Each role and the groups that hold it."""
        return {Role.VIEWER: self.viewer, Role.OPERATOR: self.operator, Role.APPROVER: self.approver}
