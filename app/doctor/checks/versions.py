"""Versions of Python, of the clients, of the warehouse's channel and of the panel."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.doctor.model import Finding, missing, ok, unknown, warning
from app.doctor.setup import Setup
from databricks_client.errors import WorkspaceError

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = ("databricks-sdk", "databricks-sql-connector")
OLDEST, BEFORE = (3, 11), (3, 13)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s\\;]+)", re.MULTILINE)


def find(setup: Setup) -> Iterator[Finding]:
    """The installed versions beside those that requirements.txt pins."""
    python = ".".join(str(n) for n in sys.version_info[:3])
    if OLDEST <= sys.version_info[:2] < BEFORE:
        yield ok("Python", python)
    else:
        yield missing("Python", f"{python}; this program runs on 3.11 and 3.12", "uv venv --python 3.12")
    pinned = _pinned()
    for name in CLIENTS:
        try:
            found = version(name)
        except PackageNotFoundError:
            yield missing(name, "it is not installed", "pip install -r requirements.txt")
            continue
        wanted = pinned.get(name, found)
        if found == wanted:
            yield ok(name, found)
        else:
            yield warning(name, f"{found}; tested with {wanted}", "pip install -r requirements.txt")
    yield ok("panel", panel_version())
    yield _channel(setup)


def _pinned() -> dict[str, str]:
    try:
        text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    except OSError:
        return {}
    return {name.lower(): pin for name, pin in _PIN.findall(text)}


def panel_version() -> str:
    """The version of this program."""
    try:
        with (ROOT / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return version("cutover")


def _channel(setup: Setup) -> Finding:
    subject = "warehouse channel"
    try:
        channel = setup.warehouse().channel.removeprefix("CHANNEL_NAME_").lower() or "current"
    except WorkspaceError as e:
        return unknown(subject, e.cause, required=False)
    if channel == "current":
        return ok(subject, channel)
    return warning(
        subject, f"{channel}: statements may behave otherwise there",
        "in the workspace: SQL Warehouses > the warehouse > Edit > Channel: Current",
    )  # fmt: skip
