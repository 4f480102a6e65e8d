"""docs/cli.md names every command with each of its options, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import app
from validation.__main__ import parser

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^##+ `([^`]+)`\n(.*?)(?=^##|\Z)", TEXT, re.S | re.M))
"""Name of a command to the text below its heading."""

OPTION = re.compile(r"--[a-z][a-z-]*")


def commands(command: Any, path: str) -> dict[str, Any]:
    """Path of a command to the command; a group counts where it does something by itself."""
    below = getattr(command, "commands", {})
    found = {} if below and not command.invoke_without_command else {path: command}
    for name, sub in below.items():
        found |= commands(sub, f"{path} {name}")
    return found


COMMANDS = commands(app, "cutover")


def options(command: Any) -> set[str]:
    """Long options of a command, without --help."""
    spelled = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}
    return spelled - {"--help"}


def named(section: str) -> set[str]:
    """Options in the section of a command; `--wait/--no-wait` names two."""
    return set(OPTION.findall(SECTIONS[section]))


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(SECTIONS) == {*COMMANDS, "python -m validation"}


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_section_names_the_options_of_its_command(path: str) -> None:
    assert named(path) == options(COMMANDS[path])


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_section_has_an_example(path: str) -> None:
    assert f"\n```\n{path}" in SECTIONS[path]


def test_arguments_are_named() -> None:
    for path, command in COMMANDS.items():
        usage = SECTIONS[path].split("`")[1]
        for p in command.params:
            if p.param_type_name == "argument":
                name = (p.metavar or p.name).upper()
                assert name in usage or name.removesuffix("S") in usage, f"{path}: {name}"


def test_options_of_the_module_are_named() -> None:
    known = {o for a in parser()._actions for o in a.option_strings if o.startswith("--")} - {"--help"}
    assert named("python -m validation") == known
