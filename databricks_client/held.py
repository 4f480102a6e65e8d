"""What the acting principal holds on a securable of Unity Catalog: ownership and privileges, and so what it can see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from databricks_client import statements
from databricks_client.errors import WorkspaceError
from databricks_client.identity import Identity
from databricks_client.rest import Rest

UC = "/api/2.1/unity-catalog"
SEES_SECONDS = 30.0
"""How long an answer about what the principal can see is used again: six tables are looked at in a moment."""


class Held:
    """Privileges of the acting principal. All methods but `blind_to_*` raise WorkspaceError."""

    def __init__(self, rest: Rest, identity: Identity) -> None:
        self._rest = rest
        self._identity = identity
        self._lock = threading.Lock()
        self._blind: dict[str, tuple[float, str]] = {}

    def holders(self) -> frozenset[str]:
        """Names by which the acting principal holds something: its own and those of its groups."""
        me = self._identity.me()
        return frozenset({me.user_name, *(me.groups or ()), "account users"})

    def owner(self, kind: str, full_name: str) -> str | None:
        """The owner of a `catalog`, `schema` or `table`."""
        path = {"catalog": "catalogs", "schema": "schemas", "table": "tables"}[kind]
        return self._rest.get(f"read {kind} {full_name}", f"{UC}/{path}/{quote(full_name, safe='')}").name_or_none(
            "owner"
        )

    def effective(self, kind: str, full_name: str, principal: str | None = None) -> dict[str, frozenset[str]]:
        """principal -> privileges on the securable, those of its schema and catalog included."""
        found: dict[str, set[str]] = {}
        query: dict[str, Any] = {"max_results": 0}
        if principal is not None:
            query["principal"] = principal
        pages = self._rest.pages(
            f"read effective privileges on {full_name}",
            f"{UC}/effective-permissions/{kind}/{quote(full_name, safe='')}",
            query,
        )
        for page in pages:
            for entry in page.objects("privilege_assignments"):
                privileges = {privilege_name(p.name("privilege")) for p in entry.objects("privileges")}
                found.setdefault(entry.name("principal"), set()).update(privileges)
        return {who: frozenset(privileges) for who, privileges in found.items()}

    def own(self, kind: str, full_name: str) -> frozenset[str]:
        """Privileges of the acting principal alone, which it may always list."""
        found = self.effective(kind, full_name, self._identity.me().user_name)
        return frozenset(p for privileges in found.values() for p in privileges)

    def blind_to_shares(self) -> str:
        """Why some shares of the metastore may be invisible to the acting principal; empty where all are visible.

        The service lists every share to who has USE SHARE on the metastore or owns it, and to others only their own
        (SharesAPI.list).
        """
        return self._kept("shares", self._blind_to_shares)

    def blind_to_policies(self, catalog: str) -> str:
        """Why some attribute-based policies on a catalog or in it may be invisible; empty where all are visible.

        Policies are shown to who owns what they are attached to, or has MANAGE or READ METADATA on it.
        """
        return self._kept(f"policies {catalog}", lambda: self._blind_to_policies(catalog))

    def _kept(self, key: str, look: Callable[[], str]) -> str:
        with self._lock:
            at, found = self._blind.get(key, (0.0, ""))
            if at and time.monotonic() - at < SEES_SECONDS:
                return found
            try:
                found = look()
            except WorkspaceError as e:
                return f"what the acting principal may see is unknown ({e.cause})"
            self._blind[key] = (time.monotonic(), found)
            return found

    def _blind_to_shares(self) -> str:
        metastore = self._rest.get("read the metastore", f"{UC}/metastore_summary")
        me = self._identity.me().user_name
        if metastore.name_or_none("owner") in self.holders():
            return ""
        if "USE_SHARE" in self.own("metastore", metastore.name("metastore_id")):
            return ""
        return (
            "only the acting principal's own shares are listed to it; to list all: "
            f"{statements.grant_on_metastore('USE SHARE', me)}"
        )

    def _blind_to_policies(self, catalog: str) -> str:
        if self.owner("catalog", catalog) in self.holders():
            return ""
        if {"MANAGE", "READ_METADATA"} & self.own("catalog", catalog):
            return ""
        grant = statements.grant_on("CATALOG", catalog, "READ METADATA", self._identity.me().user_name)
        return f"policies of catalog {catalog} are not shown to the acting principal; to show them: {grant}, or MANAGE"


def privilege_name(name: str) -> str:
    """A privilege as REST writes it: SQL shows blanks where REST has underscores."""
    return name.upper().replace(" ", "_")
