"""The REST API of the local workspace, one module an API area; and what a browser gets instead of pages."""

from __future__ import annotations

import importlib

AREAS = (
    "control",
    "jobs",
    "pipelines",
    "permissions",
    "unity_catalog",
    "identity",
    "sql",
    "tree",
    "apps",
    "compute",
    "pages",
)


def load_routes() -> None:
    """Imports every area, which registers its routes."""
    for area in AREAS:
        importlib.import_module(f"emulator.rest.{area}")
