"""Names and ids that every local workspace has."""

from __future__ import annotations

ADMIN = "admin@example.com"
"""The workspace's administrator, a member of the group `admins`."""

WORKSPACE_ID = 7190334420000001
WAREHOUSE_NAME = "Local warehouse"

WAREHOUSE_START_SECONDS = 3.0
"""How long a stopped warehouse takes to start; the service takes seconds to minutes."""
