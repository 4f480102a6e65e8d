"""Who may import whom. The layers of docs and README are held here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"app", "databricks_client", "pipeline", "validation", "emulator", "demo", "benchmarks", "tests"}

MAY_IMPORT = {
    "databricks_client": {"databricks_client"},
    "validation": {"validation", "databricks_client"},
    "pipeline": {"pipeline"},
    "emulator": {"emulator", "databricks_client"},
    "app/config": {"app.config", "databricks_client", "validation"},
    "app/access.py": {"app.config", "app.store"},
    "app/store": {"app.store", "app.config", "databricks_client", "validation"},
    "app/progress": {"app.progress", "app.access", "app.store", "app.config", "databricks_client", "validation"},
    "app/operations": {
        "app.access",
        "app.operations",
        "app.progress",
        "app.store",
        "app.config",
        "databricks_client",
        "validation",
    },
}
"""Folder or file, and the prefixes of our modules that it may import. What is not listed may use all but `NEVER`."""

NEVER = {"app": {"emulator", "demo", "pipeline", "tests", "benchmarks"}}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(".".join(file.relative_to(ROOT).parts[: -node.level]))
    return {name for name in found if name.split(".")[0] in OURS}


def python_files(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def under(name: str, prefixes: set[str]) -> bool:
    return any(name == p or name.startswith(p + ".") for p in prefixes)


@pytest.mark.parametrize("place", sorted(MAY_IMPORT))
def test_layer_imports_only_what_it_may(place: str) -> None:
    files = [f for f in python_files(place) if "migrations" not in f.parts and f.name != "open.py"]
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports(file)
        if not under(name, MAY_IMPORT[place])
    ]
    assert not wrong, "\n".join(wrong)


def test_the_panel_never_imports_the_local_workspace_or_the_pipeline() -> None:
    wrong = [f"{f.relative_to(ROOT)}: {n}" for f in python_files("app") for n in imports(f) if under(n, NEVER["app"])]
    assert not wrong, "\n".join(wrong)


def test_spark_is_not_imported_by_what_runs_on_databricks_apps() -> None:
    for place in ("app", "validation"):
        for file in python_files(place):
            names = {
                n.name
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Import)
                for n in node.names
            }
            names |= {
                node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)
            }
            assert not any(n.split(".")[0] in ("pyspark", "sqlglot", "starlette", "uvicorn") for n in names), file
