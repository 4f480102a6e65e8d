"""Settings of one process, from the environment."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

from sqlalchemy import URL

from app.config.base import ConfigError, Frozen
from app.config.migration import DEFAULT_MIGRATION
from databricks_client.connection import STATEMENT_SECONDS
from databricks_client.endpoint import SettingError, data_folder, on_this_machine, setting


class IdentitySource(StrEnum):
    """Where a user comes from: the Databricks Apps proxy's headers, a persona chosen locally, or the token's user."""

    PROXY = "proxy"
    PERSONA = "persona"
    TOKEN = "token"


def _postgres_resource() -> str | None:
    """URL of the Postgres that Databricks Apps gives as a resource (PGHOST and its companions), without a password."""
    if not (host := setting("PGHOST")):
        return None
    port = setting("PGPORT") or "5432"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"PGPORT={port!r} is no port: give a number from 1 to 65535")
    url = URL.create(
        "postgresql+psycopg",
        username=setting("PGUSER") or None,
        host=host,
        port=int(port),
        database=setting("PGDATABASE") or None,
        query={"sslmode": setting("PGSSLMODE") or "require"},
    )
    return url.render_as_string(hide_password=False)


def _local_settings(data: Path) -> dict[str, str]:
    """What the local start command left in the data folder; nothing where another workspace is spoken to."""
    if setting("DATABRICKS_HOST") or setting("DATABRICKS_APP_NAME"):
        return {}
    file = data / "panel.json"
    try:
        found = json.loads(file.read_text())
        return {"CUTOVER_IDENTITY": str(found["identity"]), "CUTOVER_MIGRATION": str(found["migration"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{file} cannot be read ({type(e).__name__}): run `make run` again, or remove it") from e


def _job_id(name: str) -> int | None:
    text = setting(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ConfigError(
            f"{name}={text!r} is no id of a job: give its number, or leave it out to find the job by name"
        )
    return int(text)


def _seconds(name: str, otherwise: float, least: float, most: float) -> float:
    text = setting(name)
    if not text:
        return otherwise
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found <= most:
        raise ConfigError(f"{name}={text!r}: give a number of seconds from {least:g} to {most:g}")
    return found


class Settings(Frozen):
    """Settings of one process, from the environment. docs/settings.md has each variable."""

    data: Path
    store_url: str
    migration_path: Path
    identity: IdentitySource
    statement_seconds: float = STATEMENT_SECONDS
    in_databricks_apps: bool = False
    baseline_job_id: int | None = None

    @property
    def store_is_ephemeral(self) -> bool:
        """Whether a restart loses the store: SQLite in Databricks Apps, whose disk is cleared."""
        return self.in_databricks_apps and self.store_url.startswith("sqlite")

    @classmethod
    def from_environment(cls) -> Settings:
        """Reads CUTOVER_DATA, CUTOVER_STORE_URL, CUTOVER_MIGRATION, CUTOVER_IDENTITY, CUTOVER_STATEMENT_SECONDS.

        Inside Databricks Apps (DATABRICKS_APP_NAME is set) identity is always the proxy's. A persona can be chosen
        only where CUTOVER_IDENTITY=persona says so, which the local start command does, for its own processes and, by
        a file in the data folder, for commands beside them. Raises ConfigError.
        """
        try:
            return cls._read()
        except SettingError as e:
            raise ConfigError(str(e)) from e

    @classmethod
    def _read(cls) -> Settings:
        data = data_folder()
        local = _local_settings(data)

        def given(name: str) -> str:
            return setting(name) or local.get(name, "")

        if setting("DATABRICKS_APP_NAME"):
            identity = IdentitySource.PROXY
        else:
            wanted = given("CUTOVER_IDENTITY") or IdentitySource.TOKEN
            try:
                identity = IdentitySource(wanted)
            except ValueError as e:
                raise ConfigError(f"CUTOVER_IDENTITY={wanted!r} is none of proxy, persona, token") from e
        host = setting("DATABRICKS_HOST")
        if identity is IdentitySource.PERSONA and host and not on_this_machine(host):
            raise ConfigError(
                f"CUTOVER_IDENTITY=persona lets everybody be anyone, and {host} is not on this machine: "
                "use token, or proxy behind one"
            )
        return cls(
            data=data,
            store_url=setting("CUTOVER_STORE_URL") or _postgres_resource() or f"sqlite:///{data / 'cutover.db'}",
            migration_path=Path(given("CUTOVER_MIGRATION") or DEFAULT_MIGRATION),
            identity=identity,
            in_databricks_apps=bool(setting("DATABRICKS_APP_NAME")),
            baseline_job_id=_job_id("CUTOVER_BASELINE_JOB_ID"),
            statement_seconds=_seconds("CUTOVER_STATEMENT_SECONDS", STATEMENT_SECONDS, 5.0, 3600.0),
        )
