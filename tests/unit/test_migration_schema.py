"""The JSON Schema of the migration file: current, whole, and one mind with the models; errors name file, line, field."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from app.cli import main as cli
from app.config.base import ConfigError
from app.config.migration import DEFAULT_MIGRATION, Migration
from app.config.migration_schema import schema, text

FILE = Path(__file__).parents[2] / "docs" / "migration_file.schema.json"
BUNDLED = sorted(DEFAULT_MIGRATION.parent.glob("*.yaml"))
VALIDATOR = Draft202012Validator(schema())


def test_the_published_file_is_current() -> None:
    assert FILE.read_text() == text(), "cutover init --schema > docs/migration_file.schema.json"


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(("init", "--schema")) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_it_is_a_schema_with_a_description_of_every_field() -> None:
    Draft202012Validator.check_schema(schema())

    def fields(of: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(of, dict):
            yield from of.get("properties", {}).items() if isinstance(of.get("properties"), dict) else ()
            for value in of.values():
                yield from fields(value)
        elif isinstance(of, list):
            for value in of:
                yield from fields(value)

    found = list(fields(schema()))
    assert len(found) > 200
    assert [name for name, part in found if not part.get("description")] == []


@pytest.mark.parametrize("file", BUNDLED, ids=lambda f: f.stem)
def test_the_bundled_files_are_valid(file: Path) -> None:
    assert [e.message for e in VALIDATOR.iter_errors(yaml.safe_load(file.read_text()))] == []


def mistakes() -> dict[str, tuple[str, str]]:
    """Text of the bundled file to what takes its place, and the field that the error names."""
    return {
        "name: 00_rds\n": ("name: 00_rds\nnaem: x\n", "naem"),
        "timezone: America/New_York\n": ("timezone: Nowhere\n", "timezone"),
        "environment: development}": ("environment: staging}", "pipelines.0.environment"),
        "rehearsal_schema: team_sandbox.data_engineering": ("rehearsal_schema: x", "rehearsal_schema"),
        "  viewer: [rds-viewers]\n": ("", "roles.viewer"),
        "schedule: {owner: dane@snappt.com}": ("schedule: {owners: {nobody: a@b.c}}", "schedule.owners.nobody"),
    }


@pytest.mark.parametrize("old", sorted(mistakes()))
def test_an_error_names_file_line_and_field_in_one_line(tmp_path: Path, old: str) -> None:
    new, field = mistakes()[old]
    content = DEFAULT_MIGRATION.read_text()
    assert old in content
    file = tmp_path / "m.yaml"
    file.write_text(content.replace(old, new, 1))
    with pytest.raises(ConfigError) as e:
        Migration.load(file)
    message = str(e.value)
    place, _, _ = message.partition(": ")
    assert "\n" not in message and place.startswith(f"{file}:") and f": {field}: " in message
    if new:
        wanted = next(
            n for n, line in enumerate(file.read_text().split("\n"), 1) if new.strip().split("\n")[-1] in line
        )
        assert place == f"{file}:{wanted}"


DOUBLED = (
    (("gates", 1, "key"), ("gates", 0, "key")),
    (("tables", 1, "candidate"), ("tables", 0, "candidate")),
    (("metrics", 1, "key"), ("metrics", 0, "key")),
    (("sign_offs", 0, "key"), ("metrics", 0, "key")),
    (("phases", 0, "steps", 1, "deliverables", 0, "key"), ("phases", 0, "steps", 0, "deliverables", 0, "key")),
)


@pytest.mark.parametrize(("second", "first"), DOUBLED, ids=lambda p: ".".join(str(x) for x in p))
def test_what_is_given_twice_is_named_where_it_stands_the_second_time(
    tmp_path: Path, second: tuple[str | int, ...], first: tuple[str | int, ...]
) -> None:
    content = yaml.safe_load(DEFAULT_MIGRATION.read_text())
    at(content, second[:-1])[second[-1]] = at(content, first)
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigError) as e:
        Migration.load(file)
    message = str(e.value)
    line = int(message.split(":")[1])
    # The reader refuses two entries of one list by itself; what lies in several lists, the models do.
    assert "again" in message or ".".join(str(x) for x in second) in message
    assert str(at(content, first)) in "".join(file.read_text().splitlines(True)[line - 1 : line + 1])


def at(content: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        content = content[part]
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tables", 0, "keys"), ["id"]),
        (("tables", 0, "row_threshold"), "5"),
        (("pipelines", 0, "environment"), "staging"),
        (("gates", 0, "evidence"), {"kind": "no such"}),
        (("gates", 0, "evidence"), {"kind": "runtime_at_most", "params": {"factor": "2"}}),
        (("gates", 0, "evidence"), {"kind": "runtime_at_most"}),
        (("performance",), {"margin": 2}),
        (("alerts",), [{"kind": "pigeon", "key": "a"}]),
    ],
    ids=str,
)
def test_schema_and_models_refuse_alike(tmp_path: Path, path: tuple[str | int, ...], value: Any) -> None:
    content = copy.deepcopy(yaml.safe_load(DEFAULT_MIGRATION.read_text()))
    assert VALIDATOR.is_valid(content)
    at(content, path[:-1])[path[-1]] = value
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError):
        Migration.load(file)
    assert not VALIDATOR.is_valid(content)
