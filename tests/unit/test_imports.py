"""Who may import whom. The layers of docs and README are held here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"app", "databricks_client", "pipeline", "validation", "emulator", "demo", "examples", "benchmarks", "tests"}

MAY_IMPORT = {
    "databricks_client": {"databricks_client"},
    "validation": {"validation", "databricks_client"},
    "pipeline": {"pipeline"},
    "emulator": {
        "emulator",
        "databricks_client.names",
        "databricks_client.quartz",
        "databricks_client.quoting",
        "databricks_client.terminal",
    },
    "app/config": {"app.config", "databricks_client", "validation"},
    "app/access.py": {"app.config", "app.store"},
    "app/store": {"app.store", "app.config", "app.new_file", "databricks_client", "validation"},
    "app/performance": {
        "app.performance",
        "app.durations",
        "app.moments",
        "app.store",
        "app.config",
        "databricks_client",
    },
    "app/parity": {
        "app.parity",
        "app.access",
        "app.durations",
        "app.moments",
        "app.config",
        "app.store",
        "databricks_client",
        "validation",
    },
    "app/progress": {
        "app.parity",
        "app.performance",
        "app.progress",
        "app.access",
        "app.durations",
        "app.moments",
        "app.store",
        "app.config",
        "databricks_client",
        "validation",
    },
    "app/draft": {"app.draft", "app.new_file", "app.config", "databricks_client"},
    "app/doctor": {
        "app.access",
        "app.doctor",
        "app.durations",
        "app.left_behind",
        "app.moments",
        "app.progress.drift",
        "app.store",
        "app.config",
        "databricks_client",
    },
    "app/alerts": {"app.alerts", "app.moments", "app.config", "app.store"},
    "app/report": {
        "app.report",
        "app.durations",
        "app.moments",
        "app.operations.attested",
        "app.performance",
        "app.progress",
        "app.store",
    },
    "app/operations": {
        "app.access",
        "app.durations",
        "app.moments",
        "app.operations",
        "app.progress",
        "app.store",
        "app.config",
        "databricks_client",
        "validation",
    },
}
"""Folder or file, and the prefixes of our modules that it may import. What is not listed may use all but `NEVER`."""

NEVER = {"app": {"emulator", "demo", "examples", "pipeline", "tests", "benchmarks"}}


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def imports(file: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add(".".join(file.relative_to(ROOT).parts[: -node.level]))
    return frozenset(name for name in found if name.split(".")[0] in OURS)


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
            names = {n.name for node in ast.walk(parsed(file)) if isinstance(node, ast.Import) for n in node.names}
            names |= {node.module or "" for node in ast.walk(parsed(file)) if isinstance(node, ast.ImportFrom)}
            assert not any(n.split(".")[0] in ("pyspark", "sqlglot", "starlette", "uvicorn") for n in names), file


# -- cycles --------------------------------------------------------------------------------------------------------------

ROOMS = ("app", "databricks_client", "demo", "emulator", "pipeline", "validation")
NOTEBOOKS = ROOT / "pipeline" / "legacy"


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def all_imports(node: ast.AST, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below a node, those inside functions too. types: those for a type checker as well."""
    for child in ast.iter_child_nodes(node):
        if not types and isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from all_imports(child, types)


def import_graph(modules: Mapping[str, ast.Module], types: bool = False) -> dict[str, set[str]]:
    """Of each module by its name those of `modules` that it imports, at the top or inside a function."""
    graph: dict[str, set[str]] = {}
    for name, tree in modules.items():
        named: set[str] = set()
        # What a relative import counts from: the package itself, or that which the module lies in.
        is_package = any(m.startswith(f"{name}.") for m in modules)
        parts = name.split(".") if is_package else name.split(".")[:-1]
        for node in all_imports(tree, types):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
                continue
            above = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                named.add(whole if whole in modules else source)
        graph[name] = {m for m in named if m in modules and m != name}
    return graph


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """One cycle of the graph, its first module repeated at the end; empty if there is none."""
    path: list[str] = []
    done: set[str] = set()

    def visit(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        found = next((c for m in sorted(graph[module]) if (c := visit(m))), [])
        path.pop()
        done.add(module)
        return found

    return next((c for module in sorted(graph) if (c := visit(module))), [])


def test_no_module_imports_itself_by_way_of_others_not_even_inside_a_function() -> None:
    files = [f for room in ROOMS for f in python_files(room) if NOTEBOOKS not in f.parents]
    graph = import_graph({module_name(f): parsed(f) for f in files})
    assert len(graph) > 150 and "pipeline.fde.submissions" in graph["pipeline.fde.assets"]
    assert not cycle(graph), " -> ".join(cycle(graph))


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "app"])
def test_outside_of_the_panel_no_cycle_exists_for_a_type_checker_either(room: str) -> None:
    files = [f for f in python_files(room) if NOTEBOOKS not in f.parents]
    graph = import_graph({module_name(f): parsed(f) for f in files}, types=True)
    assert not cycle(graph), " -> ".join(cycle(graph))


def test_an_import_inside_a_function_closes_a_cycle_and_one_for_a_type_checker_does_not() -> None:
    first = "def f() -> None:\n    from b import g\n    g()"
    second = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n"
    modules = {"a": ast.parse(first), "b": ast.parse(second)}
    assert cycle(import_graph(modules)) == []
    assert cycle(import_graph(modules, types=True)) == ["a", "b", "a"]
    modules["b"] = ast.parse("import a")
    assert cycle(import_graph(modules)) == ["a", "b", "a"]


IMPORT = re.compile(r"^[ \t]*(?:from\s+\S+\s+)?import\s+(?:\([^)]*\)|.*)", re.MULTILINE)
"""A statement in a text: to parse the 40,000 lines of the tests takes 3 s."""


def names_a_test(statement: str) -> bool:
    return re.search(r"(?<!\w)test_", statement) is not None


def test_no_test_module_imports_a_test_module() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}: {statement.strip()}"
        for file in python_files("tests")
        for statement in IMPORT.findall(file.read_text())
        if names_a_test(statement)
    ]
    assert len(IMPORT.findall(Path(__file__).read_text())) >= 6
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "from tests.unit.test_x import a",
        "    import tests.unit.test_x",
        "from tests.unit import (\n    x,\n    test_x,\n)",
    ],
)
def test_an_import_of_a_test_module_is_seen(text: str) -> None:
    (statement,) = IMPORT.findall(text)
    assert names_a_test(statement)
    assert not names_a_test(statement.replace("test_x", "latest_x"))
