"""Which workspace: finds host, credentials and SQL warehouse, and opens the two clients that speak to it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from databricks_client.connection import (
    CALL_SECONDS,
    CONNECT_SECONDS,
    METADATA_SECONDS,
    SOCKET_SECONDS,
    SQL_OPENING,
    STATE_SECONDS,
    NoAnswer,
    open_session,
    within,
)
from databricks_client.redact import know, redact

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.core import Config
    from databricks.sql.client import Connection


ADDRESS = "workspace.json"
"""File in the data folder of a local workspace that runs: its address, for clients on the same machine."""


def on_this_machine(host: str) -> bool:
    """Whether a host, with or without scheme and port, is this machine itself."""
    name = urlsplit(host if "://" in host else f"https://{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


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

    def config(self, *, request_seconds: float = SOCKET_SECONDS, **options: Any) -> Config:
        """The SDK's configuration with these credentials. request_seconds: between two bytes of an answer.

        Raises EndpointError where the credentials cannot be used, NoAnswer where the service that checks them is away.
        """
        quiet_clients()
        kind = _config_class()
        if self.token is not None:
            credentials: dict[str, Any] = {"token": self.token, "auth_type": "pat"}
        else:
            # Handed over, since the SDK would read them from the environment as they are written there.
            names = {"client_id": "DATABRICKS_CLIENT_ID", "client_secret": "DATABRICKS_CLIENT_SECRET"}
            credentials = {key: value for key, name in names.items() if (value := setting(name))}
        try:
            return within(
                CONNECT_SECONDS,
                lambda: kind(host=self.host, http_timeout_seconds=request_seconds, **credentials, **options),
            )
        except ValueError as e:
            raise EndpointError(f"the credentials for {self.host} cannot be used: {' '.join(str(e).split())}") from e

    def workspace(self) -> WorkspaceClient:
        """A new REST client: credentials as in the class docstring, time limits of `databricks_client.connection`."""
        from databricks.sdk import WorkspaceClient

        config = self.config(request_seconds=CALL_SECONDS, retry_timeout_seconds=int(CALL_SECONDS))
        return WorkspaceClient(config=config)

    def sql(self, stopped: Callable[[], bool] = lambda: False, **options: Any) -> Connection:
        """A new SQL connection to the warehouse, which is waited for while it starts.

        stopped: gives the attempt up. `options` go to `databricks.sql.connect`. Raises what `open_session` raises.
        """
        from databricks import sql

        quiet_clients()
        credentials: dict[str, Any] = {"access_token": self.token}
        if self.token is None:
            config = self.config()
            credentials = {"credentials_provider": lambda: config.authenticate}
        settings: dict[str, Any] = {
            **SQL_OPENING,
            "server_hostname": self.host.split("://", 1)[1],
            "http_path": self.http_path,
            # The connector assumes https; the full address says what it is, for both.
            "_connection_uri": self.host + self.http_path,
            "enable_telemetry": False,
        }
        return open_session(
            lambda: sql.connect(**credentials, **{**settings, **options}),
            self.warehouse_state,
            name=f"SQL warehouse {self.warehouse_id}",
            stopped=stopped,
        )

    def warehouse_state(self) -> str:
        """State of the SQL warehouse (`RUNNING`, `STARTING`, ...); "" where REST gives none within STATE_SECONDS."""
        try:
            state = within(STATE_SECONDS, lambda: self.workspace().warehouses.get(self.warehouse_id).state)
        except Exception:  # noqa: BLE001 - whatever keeps it from being known, the caller has an error of its own
            return ""
        return state.value if state is not None else ""


def quiet_clients() -> None:
    """Keeps the clients from printing: our errors say what they would, and theirs quote requests."""
    for name in ("databricks", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@cache
def _config_class() -> type[Config]:
    """The SDK's configuration, which spends METADATA_SECONDS at most on asking the host what it is.

    The SDK calls with the timeouts of ordinary calls, and a name lookup has none.
    """
    from databricks.sdk.core import Config

    Config.attributes()  # A subclass has these only once its base has gathered them.

    class BoundedConfig(Config):
        def _resolve_host_metadata(self) -> None:
            with contextlib.suppress(NoAnswer):
                within(METADATA_SECONDS, super()._resolve_host_metadata)

    return BoundedConfig
