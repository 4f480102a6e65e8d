"""Roles as the workspace's groups give them."""

from __future__ import annotations

from app.access import RolesFound, RoleSource
from app.config.migration import Role


def in_groups(*roles: Role) -> RolesFound:
    """These roles, from groups that everybody may read."""
    return RolesFound(frozenset(roles), RoleSource.WORKSPACE_GROUPS)
