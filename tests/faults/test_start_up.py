"""What the command line imports before it answers: lists of modules, since times differ between machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import commands
from app.cli.main import app

HEAVY = {
    "alembic",
    "app.operations.engine",
    "app.parity.runner",
    "databricks.sdk",
    "databricks.sql",
    "google.auth",
    "pandas",
    "psycopg",
    "pyarrow",
    "requests",
    "sqlalchemy.dialects.postgresql",
    "streamlit",
    "validation.connector",
}
"""Takes long to import, and no command that only reads the store needs it."""

PRINTS = """
import json, sys
from app.cli.main import main
status = main({arguments!r})
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    """The modules that a process has imported once it has run this command."""
    ran = subprocess.run(
        [sys.executable, "-c", PRINTS.format(arguments=arguments)],
        env={"CUTOVER_DATA": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stderr))


def test_help_imports_no_library_but_the_parser(tmp_path: Path) -> None:
    found = imported(tmp_path, "--help")
    assert not found & (HEAVY | {"sqlalchemy", "pydantic", "yaml", "rich", "validation", "app.store", "app.config"})
    assert {m for m in found if m.startswith("app.cli.")} == {
        "app.cli.commands",
        "app.cli.context",
        "app.cli.ending",
        "app.cli.main",
    }


def test_help_of_a_command_imports_the_module_of_no_other(tmp_path: Path) -> None:
    found = imported(tmp_path, "status", "--help")
    assert "app.cli.status" in found
    others = {module for module, _ in commands.COMMANDS.values()} - {"status"}
    assert not found & {f"app.cli.{module}" for module in others}


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("audit", "--json")])
def test_a_command_that_reads_the_store_imports_neither_sdk_nor_migrations(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert "alembic" in imported(tmp_path, *arguments), "the store is made"
    found = imported(tmp_path, *arguments)
    assert not found & HEAVY
    if "--json" in arguments:
        assert "rich" not in found


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each_help(name: str) -> None:
    assert app.commands[name].get_short_help_str(1000) == commands.COMMANDS[name][1]
