"""Finds the filler: the module, outside this package, that puts catalogs, jobs and data into a workspace."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import cast

from emulator.workspace import Filler

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
"""The settings of the project that this package lies in; an installed package lies in none."""


class FillerError(Exception):
    """There is no such filler; the text is one line with the way out."""


def filler_of_project(project: Path = PROJECT) -> str:
    """`filler` of `[tool.emulator]` in the project's settings; "" if there are none.

    Raises FillerError if the file cannot be read or names something else than a module.
    """
    if not project.is_file():
        return ""
    try:
        name = tomllib.loads(project.read_text()).get("tool", {}).get("emulator", {}).get("filler", "")
    except (OSError, ValueError) as e:
        raise FillerError(f"{project} cannot be read ({e}): correct it, or start with --empty") from e
    if not isinstance(name, str):
        raise FillerError(f"{project}: filler of [tool.emulator] is not the name of a module: correct it")
    return name


def load_filler(name: str) -> Filler:
    """The module of that name. Raises FillerError if it is missing or has no functions `fill` and `tick`."""
    try:
        module = importlib.import_module(name)
    except ImportError as e:
        raise FillerError(f"the filler {name} cannot be imported ({e}): choose another, or start with --empty") from e
    missing = [f for f in ("fill", "tick") if not callable(getattr(module, f, None))]
    if missing:
        raise FillerError(f"the filler {name} has no function {missing[0]}: choose another, or start with --empty")
    return cast(Filler, module)
