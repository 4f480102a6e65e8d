"""The local workspace as one of its users sees it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from typing import Any

from databricks_client.client import Workspace
from scripts.local_workspace import LocalWorkspace


def control(local: LocalWorkspace, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """A call of the local workspace's own control routes."""
    request = urllib.request.Request(
        local.host + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {local.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def as_user(local: LocalWorkspace, user: str) -> Workspace:
    token = control(local, "POST", "/emulator/tokens", {"user": user})["token"]
    return Workspace(replace(local.endpoint, token=token))
