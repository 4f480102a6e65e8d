"""Whether the acting principal manages an object of the workspace (a job, a pipeline, a SQL warehouse)."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from databricks_client.errors import WorkspaceError
from databricks_client.rest import Rest

Managed = Literal["jobs", "pipelines", "warehouses"]
"""Kinds of objects, as the API for permissions names them."""


def may_manage(rest: Rest, kind: Managed, object_id: str) -> bool:
    """Whether it has CAN_MANAGE or owns the object. Raises WorkspaceError.

    The service shows an object's permissions only to who may manage it, so being shown them is the proof.
    """
    what = f"read permissions of {kind.removesuffix('s')} {object_id}"
    try:
        shown = rest.get(what, f"/api/2.0/permissions/{kind}/{quote(object_id, safe='')}")
    except WorkspaceError as e:
        if e.denied:
            return False
        raise
    return bool(shown.objects("access_control_list", required=True))
