"""The local workspace as a distribution of its own: a wheel that needs nothing else of this project."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from databricks_client import endpoint
from emulator import folder

ROOT = Path(__file__).resolve().parents[2]
OURS = {p.name for p in ROOT.iterdir() if (p / "__init__.py").is_file()} | {"tests", "benchmarks"}
MODULES_OF = {
    "databricks-sdk": {"databricks"},
    "databricks-sql-connector": {"databricks", "pyarrow"},
    "googleapis-common-protos": {"google"},
    "protobuf": {"google"},
}
"""Modules that a distribution brings under another name than its own."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel, built from a copy of the two folders that it takes modules from."""
    source = tmp_path_factory.mktemp("source")
    for name in ("emulator", "databricks_client"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(source / "wheels"))
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source / "emulator")]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert built.returncode == 0, built.stderr
    assert not (source / "emulator" / "build").exists(), "the package's folder holds nothing but the package"
    (found,) = (source / "wheels").glob("*.whl")
    return ZipFile(found)


def modules(wheel: ZipFile) -> dict[str, str]:
    return {name: wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py")}


def imported(source: str) -> set[str]:
    """First parts of the names of all modules that a source imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def settings(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text())["project"]
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ]", text, maxsplit=1)[0] for text in requirements}


def test_the_wheel_holds_every_module_of_the_package_and_no_other(wheel: ZipFile) -> None:
    there = {p.relative_to(ROOT).as_posix() for p in (ROOT / "emulator").rglob("*.py")}
    assert set(modules(wheel)) == there


def test_what_is_installed_imports_nothing_else_of_this_project(wheel: ZipFile) -> None:
    wrong = {name: found for name, text in modules(wheel).items() if (found := imported(text) & OURS - {"emulator"})}
    assert not wrong


def test_what_is_shared_is_whole_in_the_wheel(wheel: ZipFile) -> None:
    for name in ("names", "quartz", "quoting", "terminal"):
        shared = (ROOT / "databricks_client" / f"{name}.py").read_text()
        assert modules(wheel)[f"emulator/shared/{name}.py"] == shared


def test_every_library_that_it_imports_is_required(wheel: ZipFile) -> None:
    required = names(settings(ROOT / "emulator" / "pyproject.toml")["dependencies"])
    brought = set().union(*(MODULES_OF.get(name, {name}) for name in required))
    used = set().union(*(imported(text) for text in modules(wheel).values()))
    assert used - brought - set(sys.stdlib_module_names) - {"emulator"} == set()


def test_this_project_requires_for_it_what_it_requires_itself() -> None:
    whole = settings(ROOT / "pyproject.toml")
    here = {*whole["dependencies"], *whole["optional-dependencies"]["local"]}
    assert set(settings(ROOT / "emulator" / "pyproject.toml")["dependencies"]) <= here


def test_clients_look_for_the_address_where_the_workspace_leaves_it() -> None:
    assert endpoint.ADDRESS == folder.ADDRESS
