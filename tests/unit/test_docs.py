"""Documents name modules, functions and files that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DOCUMENTS = sorted(
    p
    for pattern in ("*.md", "docs/*.md", "pipeline/*.md", "emulator/*.md", "demo/*.md", "benchmarks/*.md")
    for p in ROOT.glob(pattern)
)

PATH = re.compile(r"`((?:app|validation|databricks_client|pipeline|emulator|demo|scripts|tests|docs)(?:/[\w.]+)*)/?`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
ROW = re.compile(r"^\| `([\w/]+\.py)` \| (`[^|]+`) \|", re.M)


@cache
def defined(path: str) -> frozenset[str]:
    """Names of a module: `function`, `Class`, `Class.method`."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
    return frozenset(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    assert [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_every_path_exists(document: Path) -> None:
    assert [path for path in PATH.findall(document.read_text()) if not (ROOT / path).exists()] == []


def test_every_function_of_the_journeys_is_in_its_module() -> None:
    rows = [(path, name.strip("` ")) for path, names in ROW.findall(ARCHITECTURE) for name in names.split(",")]
    assert len(rows) > 30
    assert [row for row in rows if row[1] not in defined(row[0])] == []


def test_every_room_is_in_the_architecture() -> None:
    rooms = {p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "app").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}`" not in ARCHITECTURE} == set()
