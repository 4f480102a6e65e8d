"""Which workspace: finds host, credentials and SQL warehouse, and opens the two clients that speak to it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from validation.redact import know, redact

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sql.client import Connection


ADDRESS = "workspace.json"
"""File in the data folder of a local workspace that runs: its address, for clients on the same machine."""


class EndpointError(Exception):
    """No usable workspace is configured; the text names what is missing and the way out, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class SettingError(EndpointError):
    """A setting cannot be used as it is written; the text names it and never shows its value."""


def setting(name: str) -> str:
    """An environment variable without surrounding white space (secret files end in LF, Windows' in CR LF); "" if unset.

    Raises SettingError where a control character is left inside.
    """
    value = os.environ.get(name, "").strip()
    if not value.isprintable():
        raise SettingError(f"{name} holds a control character or a line break: set it to one line without any")
    return value


def data_folder() -> Path:
    """The folder of the local workspace and store: `CUTOVER_DATA`, else `.data` in the current directory."""
    return Path(setting("CUTOVER_DATA") or ".data").resolve()


@dataclass(frozen=True)
class Endpoint:
    """A workspace and one SQL warehouse of it.

    host: with scheme, without a trailing slash.
    warehouse_id: id of the SQL warehouse; its path is `/sql/1.0/warehouses/<id>`.
    token: a bearer token, or None where the SDK's own credential chain (client id and secret, profile) applies.
    """

    host: str
    warehouse_id: str
    token: str | None = field(repr=False)

    def __post_init__(self) -> None:
        """Refuses what no header or address can hold. Raises SettingError."""
        know(self.token)
        for name, value in (
            ("the workspace's address (DATABRICKS_HOST)", self.host),
            ("the SQL warehouse's id (DATABRICKS_WAREHOUSE_ID)", self.warehouse_id),
            ("the token (DATABRICKS_TOKEN)", self.token or ""),
        ):
            if not (value.isascii() and value.isprintable()) or " " in value:
                raise SettingError(f"{name} holds a blank, a control or a non-ASCII character: set the value alone")
        try:
            parts = urlsplit(self.host)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise SettingError("the workspace's address (DATABRICKS_HOST) is none: write it as https://HOST")
        if parts.username is not None or parts.password is not None:
            raise SettingError(
                "the workspace's address (DATABRICKS_HOST) holds a user or a password: write it as https://HOST "
                "and set DATABRICKS_TOKEN"
            )

    @classmethod
    def discover(cls, data: Path | None = None) -> Endpoint:
        """The environment's workspace (`DATABRICKS_HOST`, ...), else the local workspace that runs in `data`.

        Raises EndpointError when neither is there.
        """
        host = setting("DATABRICKS_HOST")
        if host:
            warehouse = setting("DATABRICKS_WAREHOUSE_ID")
            if not warehouse:
                raise EndpointError(
                    "DATABRICKS_WAREHOUSE_ID is not set: name the SQL warehouse that comparisons and swaps use"
                )
            if "://" not in host:
                host = "https://" + host
            return cls(host.rstrip("/"), warehouse, setting("DATABRICKS_TOKEN") or None)
        return cls.local(data or data_folder())

    @classmethod
    def local(cls, data: Path) -> Endpoint:
        """The local workspace that runs in `data`. Raises EndpointError without one."""
        file = data / ADDRESS
        try:
            found: dict[str, Any] = json.loads(file.read_text())
            return cls(found["host"], found["warehouse_id"], found["token"])
        except FileNotFoundError as e:
            raise EndpointError(
                "no workspace: DATABRICKS_HOST is not set and no local workspace runs here (start one with `make run`)"
            ) from e
        except (OSError, ValueError, KeyError) as e:
            raise EndpointError(
                f"{file} is not readable as a workspace's address: {e}; restart the local workspace"
            ) from e

    @property
    def http_path(self) -> str:
        """Path of the SQL warehouse below the host."""
        return f"/sql/1.0/warehouses/{self.warehouse_id}"

    def workspace(self) -> WorkspaceClient:
        """A new REST client with a 60 s request timeout; credentials as in the class docstring."""
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config

        if self.token is not None:
            return WorkspaceClient(
                config=Config(
                    host=self.host, token=self.token, auth_type="pat", http_timeout_seconds=60, retry_timeout_seconds=60
                )
            )
        return WorkspaceClient(config=Config(host=self.host, http_timeout_seconds=60, retry_timeout_seconds=60))

    def sql(self, **options: Any) -> Connection:
        """A new SQL connection to the warehouse. `options` go to `databricks.sql.connect` unchanged."""
        from databricks import sql
        from databricks.sdk.core import Config

        credentials: dict[str, Any] = {"access_token": self.token}
        if self.token is None:
            config = Config(host=self.host)
            credentials = {"credentials_provider": lambda: config.authenticate}
        settings: dict[str, Any] = {
            "server_hostname": self.host.split("://", 1)[1],
            "http_path": self.http_path,
            # The connector assumes https; the full address says what it is, for both.
            "_connection_uri": self.host + self.http_path,
            "enable_telemetry": False,
        }
        return sql.connect(**credentials, **settings, **options)
