"""docs/migration_file.md describes every kind of evidence with its parameters, and every setting that can be required."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config.evidence_params import KINDS
from app.config.expected import ExpectedJob, ExpectedPipeline
from app.config.migration import Migration

TEXT = (Path(__file__).parents[2] / "docs" / "migration_file.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M))
ROWS = [line.split("|")[1:-1] for line in SECTIONS["Evidence"].splitlines() if line.startswith("| `")]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)(?:: [^`]*)?`", text))


def test_every_kind_of_evidence_has_one_row() -> None:
    kinds = [k for row in ROWS for k in sorted(named(row[0]))]
    assert sorted(kinds) == sorted(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_row_of_a_kind_names_its_parameters(kind: str) -> None:
    row = next(r for r in ROWS if kind in named(r[0]))
    text = row[2] + (next(r for r in ROWS if "expectations_hold" in named(r[0]))[2] if "as `" in row[2] else "")
    taken = {n for n, f in KINDS[kind].model_fields.items() if f.annotation is not type(None)}
    assert taken <= named(text), sorted(taken - named(text))


@pytest.mark.parametrize("model", [ExpectedPipeline, ExpectedJob])
def test_every_setting_that_can_be_required_is_described(model: type[ExpectedPipeline | ExpectedJob]) -> None:
    names = {f.alias or n for n, f in model.model_fields.items()}
    assert names <= named(SECTIONS["Expected settings"])


def test_every_section_of_the_file_is_named() -> None:
    top = {c for line in TEXT.splitlines() if line.startswith("| `") for c in named(line.split("|")[1])}
    lacking = set(Migration.model_fields) - top
    assert lacking <= {"performance", "health"}, "their own documents describe them"
