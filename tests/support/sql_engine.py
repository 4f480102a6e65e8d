"""An SQL engine without Spark: a catalog, and a link that records the statements it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emulator.catalog import Catalog
from emulator.metadata import MANAGED, Grant, TableRecord
from emulator.sql.engine import Engine
from emulator.sql.rows import Rows
from emulator.sql.session import Context

ADMIN, ANALYST = "admin@example.com", "analyst@example.com"


class Link:
    """Stands in for a session of Spark: keeps what it is sent."""

    url, session_id = "sc://127.0.0.1:1", "s-1"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.settings: dict[str, str] = {}

    def configure(self, name: str, value: str) -> None:
        self.settings[name] = value

    def forget_settings(self) -> None:
        self.settings.clear()

    def command(self, text: str, views: Sequence[Any] = (), tag: str | None = None) -> Rows:
        self.sent.append(text)
        return Rows.none()

    query = command


def record(name: str, location: str | None = None) -> TableRecord:
    catalog, schema, table = name.split(".")
    return TableRecord(
        catalog, schema, table, MANAGED, ADMIN, None, 1, ADMIN, 1, ADMIN, name, storage_location=location
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog.sqlite", lambda name: {"admins"} if name == ADMIN else set())
    for name in ("main", "product"):
        made.create_catalog(name, ADMIN)
    made.create_schema("main.default", ADMIN)
    made.create_schema("product.fde", ADMIN)
    made.put_table(record("product.fde.t"))
    return made


@pytest.fixture
def engine(catalog: Catalog, tmp_path: Path) -> Engine:
    """A session of somebody who may use the schema and no table in it."""
    catalog.put_grants("CATALOG", "product", [Grant(ANALYST, "USE_CATALOG")], ADMIN)
    catalog.put_grants("SCHEMA", "product.fde", [Grant(ANALYST, "USE_SCHEMA")], ADMIN)
    catalog.put_grants("CATALOG", "main", [Grant("account users", "USE_CATALOG")], ADMIN)
    catalog.put_grants("SCHEMA", "main.default", [Grant("account users", "USE_SCHEMA")], ADMIN)
    return Engine(Link(), catalog, Context(ANALYST), tmp_path / "tables")  # type: ignore[arg-type]


def sent(engine: Engine) -> list[str]:
    return engine.link.sent  # type: ignore[attr-defined, no-any-return]
